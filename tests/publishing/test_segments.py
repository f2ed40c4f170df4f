"""The segments of one publisher: made, offered, taken, lied about, given back; memory and sockets are real."""

from __future__ import annotations

import errno
import gc
import logging
import os
from threading import RLock

import pytest

from handing import TOKEN, Taker, descriptors, ends, exchange, in_child, mapped
from ipcpy.protocol.data.places import ENTRIES, MAX_SEGMENTS, TABLE_SIZE, OfferKind, pack_offer, unpack_offer
from ipcpy.protocol.data.pool import LEAST
from ipcpy.publishing.segments import PAUSE, Segments
from ipcpy.transport import memory
from still import StillLoop

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memory is shared on Linux")

NUMBER, SUBSCRIBER, NODE = 0xA1, 77, "f" * 16
LIMIT = 8 * LEAST
MESSAGE = 100_000


class World:
    """The segments of a publisher, and the subscribers' ends of its connections."""

    def __init__(self, limit=LIMIT):
        self.loop, self.changes, self.theirs, self.nodes, self.refuses = StillLoop(), [], [], [], False
        self.lock = RLock()
        self.segments = Segments(NUMBER, limit, self.loop, self.connect, self.lock)

    def connect(self, node):
        assert not self.lock._is_owned(), "connecting may take a while"
        self.nodes.append(node)
        if self.refuses:
            return None
        ours, theirs = ends()
        self.theirs.append(theirs)
        return ours

    def tie(self, subscriber=SUBSCRIBER, size=MESSAGE):
        return self.segments.tie(NODE, subscriber, TOKEN, size, self.changes.append)

    def takers(self):
        """Let the other ends be those of subscribers that take everything."""
        return [Taker(sock, self.loop) for sock in self.theirs]

    def exchange(self):
        """Let both sides read everything that has come."""
        exchange(self.loop)

    def leave(self, at=-1):
        """End a connection, as the end of the subscriber's process does."""
        self.loop.unwatch(self.theirs[at])
        self.theirs[at].close()
        self.exchange()

    def read(self, at=-1):
        """Read an offer as a subscriber does that a test plays."""
        data, found = self.theirs[at].receive()
        return unpack_offer(data), found

    def close(self):
        self.segments.close()
        for each in self.theirs:
            each.close()


@pytest.fixture
def world():
    before = descriptors()
    world = World()
    yield world
    world.close()
    for file in list(world.loop.ready):
        if file in world.theirs:
            world.loop.unwatch(file)
    assert not world.loop.ready
    gc.collect()
    assert descriptors() == before, "no descriptor is left"


@pytest.fixture
def tied(world):
    """A subscriber that has taken the first segment."""
    tie = world.tie()
    (taker,) = world.takers()
    world.exchange()
    assert tie.ready and world.changes == [tie]
    return tie, taker


# -- the hand-over -----------------------------------------------------------------------------------------------------


def test_the_first_subscriber_is_offered_a_segment_that_is_made_for_messages_of_a_size(world):
    assert world.segments.areas == [] and world.segments.pool.total == 0
    tie = world.tie(size=3 << 20)
    offer, (descriptor,) = world.read()
    assert world.nodes == [NODE]
    assert offer[:4] == (OfferKind.OFFER, NUMBER, SUBSCRIBER, TOKEN)
    assert offer.segment == 0 and offer.size >= 4 * (3 << 20)
    area = memory.open_sealed(descriptor, offer.size)
    os.close(descriptor)
    assert area.size == world.segments.pool.total == offer.size
    assert tie.pending and not tie.ready and world.changes == []


def test_a_subscriber_is_ready_once_it_has_answered_with_its_ledger(world, tied):
    tie, taker = tied
    assert not tie.pending and tie.reader.segments == 1 and not tie.reader.gone
    assert list(tie.reader.ledger) == [0] * ENTRIES and tie.reader.ledger.readonly
    assert not taker.lies


def test_further_subscribers_are_offered_the_same_memory(world):
    ties = [world.tie(number) for number in (1, 2, 3)]
    takers = world.takers()
    world.exchange()
    assert all(tie.ready for tie in ties) and len(world.segments.areas) == 1
    slot = world.segments.pool.take(10)
    part = world.segments.areas[0].part(slot.spot.offset, slot.spot.size)
    memory.view(part, writable=True)[:] = b"0123456789"
    assert [bytes(taker.take(slot.spot)) for taker in takers] == [b"0123456789"] * 3


def test_where_nobody_takes_memory_nothing_is_made(world):
    world.refuses = True
    assert world.tie() is None
    assert world.segments.areas == [] and not world.loop.ready


def test_one_that_goes_without_an_answer_is_a_tie_no_more(world):
    tie = world.tie()
    world.leave()
    assert not tie.pending and not tie.ready and tie.reader.gone and world.changes == [tie]
    assert not world.loop.ready


def answer(offer, **changes):
    return pack_offer(offer._replace(**{"kind": OfferKind.TAKEN, **changes}))


@pytest.mark.parametrize(
    "change",
    [
        {"kind": OfferKind.OFFER},
        {"kind": OfferKind.REFUSED},
        {"publisher": NUMBER + 1},
        {"subscriber": SUBSCRIBER + 1},
        {"token": TOKEN + 1},
        {"segment": 1},
        {"segment": MAX_SEGMENTS - 1},
        {"size": LEAST + 1},
    ],
    ids=lambda change: str(*change),
)
def test_an_answer_that_lies_ends_the_connection(world, change):
    tie = world.tie()
    offer, found = world.read()
    world.theirs[0].send(answer(offer, **change), found)
    os.close(found[0])
    world.exchange()
    assert tie.reader.gone and not tie.ready and world.changes == [tie] and not world.loop.ready
    assert world.theirs[0].receive() is None and world.theirs[0].ended


def ledger(size=TABLE_SIZE):
    descriptor, _ = memory.create("test-ledger", size)
    return descriptor


def unsealed():
    descriptor = os.memfd_create("test-unsealed")
    os.ftruncate(descriptor, TABLE_SIZE)
    return descriptor


@pytest.mark.parametrize(
    "make",
    [
        list,
        lambda: [ledger(), ledger()],
        lambda: [ledger(2 * TABLE_SIZE)],
        lambda: [ledger(TABLE_SIZE // 2)],
        lambda: [unsealed()],
        lambda: [os.open(os.devnull, os.O_RDWR)],
    ],
    ids="none two large small unsealed file".split(),
)
def test_a_ledger_that_is_not_as_it_should_be_ends_the_connection(world, make):
    tie = world.tie()
    offer, found = world.read()
    sent = make()
    world.theirs[0].send(answer(offer), sent)
    for each in (*found, *sent):
        os.close(each)
    world.exchange()
    assert tie.reader.gone and not tie.ready and not world.loop.ready


@pytest.mark.parametrize("datagram", [b"x", bytes(44), bytes(200)])
def test_what_is_no_answer_ends_the_connection(world, datagram):
    tie = world.tie()
    world.theirs[0].send(datagram, [0, 1, 2])
    world.exchange()
    assert tie.reader.gone and not world.loop.ready


def test_an_answer_to_what_was_not_asked_ends_the_connection_of_one_that_was_ready(world):
    ties = [world.tie(number) for number in (1, 2)]
    takers = world.takers()
    world.exchange()
    takers[0].sock.send(answer(ties[0].offer, size=LEAST, segment=1))
    world.exchange()
    assert ties[0].reader.gone and ties[1].ready and len(world.segments.areas) == 1


def interrupt(*_):
    raise KeyboardInterrupt


# -- growing -----------------------------------------------------------------------------------------------------------


def test_a_further_segment_is_offered_to_all_and_used_for_those_who_have_it(world, tied):
    tie, taker = tied
    assert world.segments.grow(MESSAGE)
    assert len(world.segments.areas) == 2 and tie.reader.segments == 1
    world.exchange()
    assert tie.reader.segments == 2 and world.segments.pool.segments == 2 and not taker.lies
    descriptor, found = ledger(), world.segments.pool.total
    taker.sock.send(answer(tie.offer, segment=2, size=LEAST), [descriptor])
    os.close(descriptor)
    world.exchange()
    assert tie.reader.gone and found <= LIMIT


def test_a_ledger_that_comes_with_a_further_answer_is_a_lie(world):
    tie = world.tie()
    offer, found = world.read()
    descriptor = ledger()
    world.theirs[0].send(answer(offer), [descriptor])
    world.segments.grow(MESSAGE)
    second, more = world.read()
    world.exchange()
    assert tie.ready
    world.theirs[0].send(answer(second), [descriptor])
    for each in (*found, *more, descriptor):
        os.close(each)
    world.exchange()
    assert tie.reader.gone


def test_it_grows_up_to_the_limit_and_not_beyond(world):
    grown = 0
    while world.segments.grow(MESSAGE):
        grown += 1
        assert grown <= MAX_SEGMENTS
    assert world.segments.pool.total == LIMIT == sum(area.size for area in world.segments.areas)
    assert len(world.segments.areas) == grown >= 3
    assert not world.segments.grow(1)


def test_where_no_memory_may_be_shared_none_is_made():
    world = World(limit=0)
    assert world.tie() is None and not world.segments.grow(MESSAGE) and world.segments.areas == []
    world.close()


def test_a_message_that_never_fits_makes_nothing(world):
    assert not world.segments.grow(LIMIT)
    assert world.segments.areas == []


def test_what_is_asked_for_several_times_at_once_is_made_once_in_the_io_thread(world, monkeypatch):
    calls = []
    with monkeypatch.context() as patch:
        patch.setattr(world.loop, "call", lambda function, *arguments: calls.append((function, arguments)))
        for _ in range(3):
            world.segments.grow_soon(MESSAGE)
    assert world.segments.areas == [] and len(calls) == 1
    function, arguments = calls.pop()
    function(*arguments)
    assert len(world.segments.areas) == 1
    world.segments.grow_soon(MESSAGE)
    assert len(world.segments.areas) == 2, "and once more, when that has come to its end"


def test_what_was_asked_for_when_an_exception_came_from_outside_is_asked_for_again(world, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(world.loop, "call", interrupt)
        with pytest.raises(KeyboardInterrupt):
            world.segments.grow_soon(MESSAGE)
    world.segments.grow_soon(MESSAGE)
    assert len(world.segments.areas) == 1


def test_of_two_threads_that_make_the_same_segment_one_gives_way(world, monkeypatch):
    create = memory.create

    def interrupted(name, size):
        monkeypatch.setattr(memory, "create", create)
        assert world.segments.grow(MESSAGE)
        return create(name, size)

    monkeypatch.setattr(memory, "create", interrupted)
    assert world.segments.grow(MESSAGE), "there is one, whoever made it"
    assert len(world.segments.areas) == 1 and world.segments.pool.total == LEAST
    gc.collect()
    assert mapped("ipcpy-segment") == 1


@pytest.mark.parametrize("segments", [0, 1])
@pytest.mark.parametrize("where", ["ipcpy.protocol.data.pool.Pool.add", "still.StillLoop.call"])
def test_an_exception_from_outside_in_the_midst_of_growing_leaves_nothing_half_done(monkeypatch, where, segments):
    world = World()
    if segments:
        tie = world.tie()
        world.takers()
        world.exchange()
    with monkeypatch.context() as patch:
        patch.setattr(where, interrupt)
        with pytest.raises(KeyboardInterrupt):  # in the thread of somebody who is lent memory
            world.segments.grow(MESSAGE)
    assert world.segments.grow(MESSAGE)
    if not segments:
        tie = world.tie()
        world.takers()
    world.exchange()
    assert tie.ready and tie.reader.segments == world.segments.pool.segments == len(world.segments.areas)
    assert world.segments.pool.total == sum(area.size for area in world.segments.areas)
    world.close()


def test_where_the_system_has_no_memory_more_it_goes_on_with_what_there_is(world, tied, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    total = world.segments.pool.total
    monkeypatch.setattr(memory, "create", refuse)
    with caplog.at_level(logging.WARNING, "ipcpy"):
        assert not world.segments.grow(MESSAGE)
        assert not world.segments.grow(MESSAGE)
    assert caplog.text.count("shared memory more are to be had: [Errno 28]") == 1
    assert world.segments.pool.limit == total and tied[0].ready


def test_where_the_system_has_no_memory_at_all_nobody_is_tied(world, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(memory, "create", refuse)
    assert world.tie() is None and world.tie() is None
    assert world.theirs[0].receive() is None and world.theirs[0].ended
    assert caplog.text.count("are to be had") == 1, "it is said once, and not tried again"


# -- the end -----------------------------------------------------------------------------------------------------------


def test_the_memory_is_given_back_once_all_have_gone_and_made_anew_for_the_next(world):
    ties = [world.tie(number) for number in (1, 2)]
    world.takers()
    world.exchange()
    world.leave(0)
    assert ties[0].reader.gone and world.segments.pool.total == LEAST and len(world.segments.areas) == 1
    world.leave(1)
    gc.collect()
    assert world.segments.areas == [] and world.segments.pool.total == 0 and not mapped("ipcpy-segment")
    assert world.tie(3).pending and world.segments.pool.total == LEAST and world.segments.pool.limit == LIMIT


def test_memory_that_the_publisher_itself_uses_is_not_given_back(world, tied):
    slot = world.segments.pool.take(MESSAGE)
    world.leave()
    assert tied[0].reader.gone and len(world.segments.areas) == 1
    slot.in_use = False
    tie = world.tie(2)
    assert tie.offer.subscriber == 2 and len(world.segments.areas) == 1
    world.leave()
    assert world.segments.areas == []


def test_what_a_subscriber_held_is_free_when_its_connection_ends(world, tied):
    tie, taker = tied
    pool = world.segments.pool
    slot, other = pool.take(MESSAGE), pool.take(MESSAGE)
    pool.hand(slot, tie.reader, 100)
    slot.in_use = False
    view = taker.take(slot.spot)
    assert pool.take(MESSAGE).spot.offset != slot.spot.offset, "it is held"
    world.leave()
    assert pool.take(MESSAGE).spot.offset == slot.spot.offset
    assert len(view) == MESSAGE and other.in_use


def test_after_the_end_all_connections_are_closed_and_nothing_is_made(world, tied):
    world.segments.close()
    world.segments.close()
    assert tied[0].reader.gone and world.segments.areas == [] and not world.segments.pool.limit
    assert not world.segments.grow(MESSAGE) and world.tie() is None
    world.exchange()
    assert tied[1].sock.fileno() == -1, "the subscriber saw the end"


def test_after_the_end_nothing_is_mapped_though_somebody_has_the_publisher_still(world):
    before = mapped("ipcpy-segment")  # by what failed tests have left, and a traceback keeps
    assert world.segments.grow(MESSAGE) and mapped("ipcpy-segment") == before + 1
    world.segments.close()
    assert mapped("ipcpy-segment") == before


def test_a_segment_that_is_made_while_the_publisher_is_closed_is_not_kept(world, monkeypatch):
    create = memory.create

    def interrupted(name, size):
        world.segments.close()
        return create(name, size)

    monkeypatch.setattr(memory, "create", interrupted)
    world.segments.grow(MESSAGE)
    gc.collect()
    assert world.segments.areas == [] and not mapped("ipcpy-segment")


def test_a_forked_child_closes_what_is_its_parents_and_the_parent_goes_on(world, tied):
    tie, taker = tied

    def abandon():
        before = descriptors()
        world.segments.abandon()
        del world.segments.pool.table
        gc.collect()
        return (before - descriptors()).total() == 2 and world.segments.areas == []

    assert in_child(abandon), "its end of the connection, and the descriptor"
    assert tie.ready and world.segments.grow(MESSAGE)
    world.exchange()
    assert tie.reader.segments == 2 and not taker.lies


# -- what is not needed any more ---------------------------------------------------------------------------------------


@pytest.fixture
def slow(world, monkeypatch):
    """The world, whose clock a test moves."""
    monkeypatch.setattr("ipcpy.publishing.segments.time", world.loop)
    return world


def grow(world, count=2):
    """Make so many segments more, and let everybody take them."""
    for _ in range(count):
        assert world.segments.grow(MESSAGE)
        world.exchange()


def state(world):
    """Return how many segments there are: in the pool, as mappings in this process, and as those of the publisher."""
    gc.collect()
    return world.segments.pool.segments, mapped("ipcpy-segment"), len(world.segments.areas)


def test_segments_that_nobody_needs_are_given_back_by_both_sides_after_two_looks(slow, tied):
    tie, taker = tied
    grow(slow)
    before = descriptors()["/memfd"]
    assert state(slow) == (3, 6, 3)
    slow.loop.advance(PAUSE)
    slow.exchange()
    assert state(slow) == (3, 6, 3), "they were made just now"
    slow.loop.advance(PAUSE)
    assert (tie.reader.segments, state(slow)) == (1, (1, 4, 1)), "the subscriber has not read it yet"
    slow.exchange()
    assert state(slow) == (1, 2, 1)
    assert descriptors()["/memfd"] == before - 2
    assert tie.ready and not taker.lies


def test_there_is_a_look_only_while_there_is_more_than_one_segment_or_nobody_shares_it(slow, tied):
    slow.loop.advance(PAUSE)  # it was made before anybody shared it
    assert not slow.loop.timers
    grow(slow)
    assert [when for when, _ in slow.loop.timers] == [slow.loop.now + PAUSE]
    slow.loop.advance(PAUSE)
    assert len(slow.loop.timers) == 1
    slow.loop.advance(PAUSE)
    slow.exchange()
    assert not slow.loop.timers and state(slow) == (1, 2, 1)
    grow(slow, 1)
    assert len(slow.loop.timers) == 1, "and again, once there is"


def test_after_the_end_there_is_no_look_any_more(slow, tied):
    grow(slow)
    slow.segments.close()
    slow.loop.advance(PAUSE)
    assert not slow.loop.timers and slow.segments.areas == []


def test_segments_that_were_given_back_with_the_last_subscriber_are_not_looked_for(slow, tied):
    grow(slow)
    slow.leave()
    slow.tie(2)
    slow.loop.advance(PAUSE)
    assert not slow.loop.timers and slow.segments.pool.segments == 1


def test_what_somebody_holds_keeps_its_segment_and_those_before_it(slow, tied):
    tie, taker = tied
    grow(slow, 3)
    pool, slots = slow.segments.pool, []
    while not slots or slots[-1].spot.segment < 2:
        slots.append(pool.take(MESSAGE))
        pool.hand(slots[-1], tie.reader, len(slots))
        slots[-1].in_use = False
    held = taker.take(slots[-1].spot)
    tie.reader.acked = len(slots)
    for _ in range(3):
        slow.loop.advance(PAUSE)
        slow.exchange()
    assert (pool.segments, tie.reader.segments) == (3, 3)
    del held
    slow.loop.advance(PAUSE)
    slow.exchange()
    assert (pool.segments, tie.reader.segments, taker.lies) == (1, 1, 0)


def test_nothing_is_given_back_before_all_have_answered_what_they_were_offered(slow, tied):
    tie = slow.tie(2)
    grow(slow, 1)
    slow.loop.advance(4 * PAUSE)
    assert slow.segments.pool.segments == tied[0].reader.segments == 2
    taker = Taker(slow.theirs[-1], slow.loop)
    slow.exchange()
    assert tie.reader.segments == 2
    slow.loop.advance(2 * PAUSE)
    slow.exchange()
    assert slow.segments.pool.segments == tie.reader.segments == 1 and not taker.lies


def test_the_number_of_a_segment_that_was_given_back_is_offered_again_and_used(slow, tied):
    tie, taker = tied
    for size in (MESSAGE, LEAST // 2):
        assert slow.segments.grow(size)
        slow.exchange()
        assert tie.reader.segments == 2 and not taker.lies
        slot = slow.segments.pool.take(slow.segments.areas[1].size)
        part = slow.segments.areas[1].part(0, slot.spot.size)
        memory.view(part, writable=True)[:5] = b"there"
        assert bytes(taker.take(slot.spot)[:5]) == b"there"
        slot.in_use = False
        del part
        slow.loop.advance(2 * PAUSE)
        slow.exchange()
        assert state(slow) == (1, 2, 1) and tie.ready and not taker.lies


def test_one_that_is_matched_no_more_is_offered_nothing_and_holds_up_nobody(slow, tied):
    left, taker = tied
    left.parted = True
    slow.loop.unwatch(taker.sock)
    tie = slow.tie(2)
    other = Taker(slow.theirs[-1], slow.loop)
    grow(slow, 1)
    assert (left.offered, tie.reader.segments) == (1, 2)
    slow.loop.advance(2 * PAUSE)
    slow.exchange()
    assert slow.segments.pool.segments == 1 and tie.ready and not other.lies
    assert taker.sock.receive() is None and not taker.sock.ended, "it was told nothing"


def test_one_that_left_is_told_what_is_gone_of_what_it_had(slow, tied):
    left, taker = tied
    grow(slow, 1)
    left.parted = True
    slow.loop.advance(2 * PAUSE)
    slow.exchange()
    assert state(slow) == (1, 2, 1) and not left.reader.gone and not taker.lies


def test_memory_that_is_lent_though_nobody_shares_it_is_given_back_once_it_was_not_used_between_two_looks(slow):
    assert slow.segments.grow(MESSAGE) and slow.segments.grow(MESSAGE)
    for _ in range(3):
        slow.segments.pool.take(MESSAGE).in_use = False
        slow.loop.advance(PAUSE)
    assert state(slow) == (1, 1, 1)
    slow.loop.advance(PAUSE)
    assert state(slow) == (0, 0, 0) and not slow.loop.timers


def test_what_is_used_when_the_last_subscriber_leaves_is_given_back_later(slow, tied):
    slot, vacated = slow.segments.pool.take(MESSAGE), []
    slow.segments.vacate = lambda: vacated.append(slow.lock._is_owned())
    slow.leave()
    slow.loop.advance(2 * PAUSE)
    assert state(slow)[2] == 1 and vacated == [True, True]
    slot.in_use = False
    slow.loop.advance(PAUSE)
    assert state(slow)[2] == 0 and not slow.loop.timers
