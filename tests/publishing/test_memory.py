"""The shared memory of one publisher: bodies and loans in it, who may be told, and what is free again."""

from __future__ import annotations

import gc
import os
import sys
from threading import RLock

import pytest

from handing import TOKEN, Taker, ends, in_child, readable
from ipcpy.protocol.data.history import Kept
from ipcpy.protocol.data.places import PLACED_FROM, let_go
from ipcpy.publishing.loans import MARGIN, lend
from ipcpy.publishing.memory import SHELF, Memory
from ipcpy.publishing.segments import Segments
from ipcpy.transport import memory as mappings
from still import StillLoop

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memory is shared on Linux")

NODE = "f" * 16
LIMIT = 4 << 20  # the first segment, and no other
SIZE = 1_000_000  # of which the first segment holds four


class World:
    """The memory of one publisher, and subscribers that have taken it."""

    def __init__(self, limit=LIMIT):
        self.loop, self.wanted, self.takers = StillLoop(), [], []
        self.segments = Segments(0xA1, limit, self.loop, self.connect, RLock())
        self.memory = Memory(self.segments, self.loop, self.wanted.append)

    def connect(self, node):
        ours, theirs = ends()
        self.takers.append(Taker(theirs, self.loop))
        return ours

    def tie(self, number=77):
        tie = self.segments.tie(NODE, number, TOKEN, SIZE, lambda tie: None)
        self.exchange()
        assert tie.ready
        return tie

    def exchange(self):
        while due := [ready for file, ready in self.loop.ready.items() if readable(file)]:
            due[0]()

    def place(self, body, parts=1):
        step = -(-len(body) // parts)
        views = [memoryview(body)[at : at + step] for at in range(0, len(body), step)]
        return self.memory.place(views, len(body))

    def kept(self, placed, seq=1):
        return Kept(seq, 5, b"", [placed.body], placed.spot.size, placed)

    def free(self):
        """Return how many bytes are free, once all that is let go of is found."""
        self.segments.pool.reclaim()
        return self.segments.pool.free

    def close(self):
        self.memory.close()
        for taker in self.takers:
            if taker.shared is not None:
                taker.shared.close()


@pytest.fixture
def world():
    world = World()
    yield world
    world.close()


@pytest.fixture
def tie(world):
    return world.tie()


def body(size=SIZE, first=0):
    return bytes(range(first, first + 200)) * (size // 200)


# -- when memory is used at all ----------------------------------------------------------------------------------------


def test_memory_is_wanted_once_for_the_first_message_that_suits_it(world):
    memory = world.memory
    assert memory.enabled and not memory.wanted
    assert not memory.suits(PLACED_FROM - 1) and memory.suits(PLACED_FROM)
    memory.want(PLACED_FROM)
    memory.want(SIZE)
    assert world.wanted == [PLACED_FROM] and memory.wanted


def test_where_no_memory_may_be_shared_nothing_suits_it_and_nothing_is_lent():
    world = World(limit=0)
    assert not world.memory.enabled and not world.memory.suits(SIZE)
    assert world.memory.lend(SIZE) is None and not world.wanted
    world.close()


def test_before_there_is_memory_nothing_is_placed_and_some_is_made(world):
    assert world.place(body()) is None
    assert world.segments.areas, "for the next message"
    assert world.place(body()) is not None


# -- bodies ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [1, 2, 7])
def test_a_body_lies_there_as_one_whatever_parts_it_came_in(world, tie, parts):
    placed = world.place(body(), parts)
    assert bytes(placed.body) == body() and placed.body.readonly
    world.memory.hand(placed.slot, tie, 100)
    assert bytes(world.takers[0].take(placed.spot)) == body()


def test_memory_is_free_again_once_the_publisher_and_all_who_were_told_have_let_go_of_it(world, tie):
    before = world.free()
    placed = world.place(body())
    spot = placed.spot
    world.memory.hand(placed.slot, tie, 100)
    view = world.takers[0].take(spot)
    assert world.free() <= before - SIZE
    del placed
    assert world.free() <= before - SIZE, "the subscriber has it"
    del view
    assert world.free() == before


def test_where_there_is_no_room_a_body_is_not_placed_and_room_is_made_for_the_next():
    world = World(limit=4 * LIMIT)
    world.tie()
    held = []
    while (placed := world.place(body())) is not None:
        held.append(placed)
        assert len(held) < 20
    assert len(held) == 4 and len(world.segments.areas) == 2
    placed = world.place(body())
    assert placed.spot.segment == 1
    world.close()


def test_at_the_limit_a_body_is_not_placed_and_nothing_is_lent(world, tie):
    held = [world.place(body()) for _ in range(4)]
    assert None not in held and world.place(body()) is None and world.memory.lend(SIZE) is None
    assert len(world.segments.areas) == 1
    held.pop()
    assert world.place(body()) is not None


def test_an_exception_from_outside_while_a_body_is_laid_loses_no_memory(world, tie, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    before = world.free()
    for where in ("view", "Area.part"):
        with monkeypatch.context() as patch:
            patch.setattr(f"ipcpy.transport.memory.{where}", interrupt)
            with pytest.raises(KeyboardInterrupt):
                world.place(body())
            with pytest.raises(KeyboardInterrupt):
                world.memory.lend(SIZE)
    gc.collect()
    assert world.free() == before


def test_a_slot_that_an_exception_took_from_who_was_to_get_it_is_found_when_room_is_needed(world, tie, monkeypatch):
    take = world.segments.pool.take

    def interrupted(size):
        take(size)
        raise KeyboardInterrupt  # before anybody has what it returns

    for _ in range(4):
        with monkeypatch.context() as patch:
            patch.setattr(world.segments.pool, "take", interrupted)
            with pytest.raises(KeyboardInterrupt):
                world.place(body())
    held = [world.place(body()) for _ in range(4)]
    assert None not in held


def test_a_slot_of_whose_end_an_exception_took_the_news_is_found_when_room_is_needed(world, tie, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "unraisablehook", lambda _: None)
        patch.setattr(world.memory._held, "_gone", lambda _: 1 / 0)
        for _ in range(4):
            world.place(body())  # and let go of at once
    assert world.free() < SIZE
    held = [world.place(body()) for _ in range(4)]
    assert None not in held


# -- the shelf ---------------------------------------------------------------------------------------------------------


def test_the_latest_messages_of_a_best_effort_topic_stay_for_who_did_not_hear_of_them(world, tie):
    memory, before = world.memory, world.free()
    for seq in range(1, SHELF + 3):
        placed = world.place(body(PLACED_FROM - 168))
        memory.shelf.append(world.kept(placed, seq))
        memory.hand(placed.slot, tie, 100)
    tie.reader.acked, placed = 100, None
    assert [message.seq for message in memory.shelf] == list(range(3, SHELF + 3))
    assert memory.lowest(99) == 3
    assert [message.seq for message in memory.asked([(1, 4), (5, 6)])] == [3, 5]
    memory.forget_before(5)
    assert [message.seq for message in memory.shelf] == list(range(5, SHELF + 3)) and memory.lowest(99) == 5
    memory.forget_before(100)
    assert memory.lowest(99) == 99 and memory.asked([(0, 100)]) == []
    assert world.free() == before


def test_what_all_who_were_told_have_taken_leaves_the_shelf_when_the_next_is_placed(world, tie):
    memory, taker = world.memory, world.takers[0]
    for seq in (1, 2, 3):
        placed = world.place(body(first=seq))
        memory.shelf.append(world.kept(placed, seq))
        memory.hand(placed.slot, tie, 100)
        if seq != 2:
            del placed
            taker.take(memory.shelf[-1].placed.spot)
    placed = None
    assert [message.seq for message in memory.shelf] == [2, 3], "the first left it when the second was placed"
    fourth = world.place(body())
    assert [message.seq for message in memory.shelf] == [2, 3] and fourth is not None


def test_the_shelf_gives_way_to_what_has_no_room(world, tie):
    memory = world.memory
    for seq in range(1, 5):
        placed = world.place(body())
        memory.shelf.append(world.kept(placed, seq))
        memory.hand(placed.slot, tie, 100)
        tie.reader.acked = 100  # read, or lost
    del placed
    assert world.free() < SIZE
    assert world.place(body()) is not None and not memory.shelf


def test_the_shelf_stays_where_more_memory_will_be_made_for_what_has_no_room():
    world = World(limit=16 << 20)
    memory, tie = world.memory, world.tie()
    for seq in range(1, 5):
        placed = world.place(body())
        memory.shelf.append(world.kept(placed, seq))
        memory.hand(placed.slot, tie, 100)
        tie.reader.acked = 100  # read, or lost: the subscriber may ask for it
    del placed
    assert world.place(body()) is None and [message.seq for message in memory.shelf] == [1, 2, 3, 4]
    world.close()


def test_the_shelf_is_given_back_once_the_process_of_the_last_subscriber_was_killed(world, tie):
    memory = world.memory
    for seq in (1, 2):
        placed = world.place(body())
        memory.shelf.append(world.kept(placed, seq))
        memory.hand(placed.slot, tie, 100)  # nothing is acknowledged any more
    del placed
    world.loop.unwatch(world.takers[0].sock)
    world.takers[0].sock.close()
    world.exchange()
    assert tie.reader.gone and not memory.shelf and world.segments.areas == []


# -- loans -------------------------------------------------------------------------------------------------------------


def test_a_loan_is_placed_where_it_lies(world, tie):
    memory = world.memory
    view = lend(memory, SIZE, None)
    view[:] = body()
    address = mappings.address_of(view)
    assert memory.lent
    placed = memory.place_lent([view], SIZE)
    assert mappings.address_of(placed.body) == address and placed.body.readonly and not memory.lent
    memory.hand(placed.slot, tie, 100)
    assert bytes(world.takers[0].take(placed.spot)) == body()


def test_what_a_codec_puts_around_a_loan_is_written_before_and_after_it(world, tie):
    numpy = pytest.importorskip("numpy")
    array = lend(world.memory, (1_000, 1_000), "u1")
    array[:] = 7
    parts = [memoryview(b"head"), memoryview(b"er"), array.data.cast("B"), memoryview(b"tail")]
    placed = world.memory.place_lent(parts, SIZE + 10)
    assert bytes(placed.body) == b"header" + b"\7" * SIZE + b"tail"
    assert not array.flags.writeable and (array == 7).all()
    world.memory.hand(placed.slot, tie, 100)
    assert bytes(world.takers[0].take(placed.spot)[:6]) == b"header"
    assert isinstance(array, numpy.ndarray)


@pytest.mark.parametrize("around", [(MARGIN + 1, 0), (0, MARGIN + 1)])
def test_more_around_a_loan_than_there_is_room_is_no_loan(world, tie, around):
    view = lend(world.memory, SIZE, None)
    parts = [memoryview(bytes(around[0])), view, memoryview(bytes(around[1]))]
    assert world.memory.place_lent(parts, SIZE + sum(around)) is None
    assert world.memory.lent, "it is still the user's to publish"
    room = [memoryview(bytes(MARGIN)), view, memoryview(bytes(MARGIN))]
    assert world.memory.place_lent(room, SIZE + 2 * MARGIN) is not None


def test_a_part_of_a_loan_and_what_was_not_lent_are_not_placed_as_one(world, tie):
    view = lend(world.memory, SIZE, None)
    for other in (view[:-1], view[1:], memoryview(bytes(SIZE)), view[:10]):
        assert world.memory.place_lent([other], len(other)) is None
    assert world.memory.place_lent([], 0) is None
    assert world.memory.place_lent([view], SIZE) is not None


def test_a_loan_is_published_once(world, tie):
    view = lend(world.memory, SIZE, None)
    assert world.memory.place_lent([view], SIZE) is not None
    assert world.memory.place_lent([view], SIZE) is None


def test_a_loan_that_is_dropped_is_free_again(world, tie):
    before = world.free()
    for _ in range(20):
        assert world.memory.lend(SIZE) is not None
    gc.collect()
    assert world.free() == before


def test_the_memory_of_a_loan_is_free_once_neither_its_user_nor_its_message_has_it(world, tie):
    before = world.free()
    view = lend(world.memory, SIZE, None)
    placed = world.memory.place_lent([view], SIZE)
    del view
    assert world.free() < before
    del placed
    assert world.free() == before
    view = lend(world.memory, SIZE, None)
    placed = world.memory.place_lent([view], SIZE)
    del placed
    assert world.free() < before
    del view
    assert world.free() == before


def test_memory_is_lent_before_anybody_is_there_to_take_it(world):
    view = lend(world.memory, SIZE, None)
    assert world.wanted == [SIZE + 2 * MARGIN] and world.memory.lent
    world.tie()
    placed = world.memory.place_lent([view], SIZE)
    world.memory.hand(placed.slot, world.tie(2), 100)
    assert len(world.takers[1].take(placed.spot)) == SIZE


def test_who_interrupts_work_with_the_memory_is_lent_none_of_it(world, tie):
    free = world.free()
    with world.segments.lock:  # as a signal handler finds it, which came in the midst of place()
        assert world.memory.lend(SIZE) is None
    assert world.free() == free
    assert world.memory.lend(SIZE) is not None


def test_what_is_too_large_for_the_limit_is_not_lent(world):
    assert world.memory.lend(LIMIT) is None and world.segments.areas == []


# -- who may be told ---------------------------------------------------------------------------------------------------


def test_only_who_has_the_segment_and_does_not_hoard_is_told(world):
    tie = world.tie()
    placed = world.place(body())
    assert world.memory.takes(tie, placed.spot) and not world.memory.takes(None, placed.spot)
    assert not world.memory.takes(tie, placed.spot._replace(segment=1))
    world.takers[0].shared.close()
    world.exchange()
    assert tie.reader.gone and not world.memory.takes(tie, placed.spot)


def test_who_holds_more_than_is_left_is_told_of_no_more(world, tie):
    taker, views = world.takers[0], []
    for _ in range(2):
        placed = world.place(body())
        assert world.memory.takes(tie, placed.spot)
        world.memory.hand(placed.slot, tie, 100)
        views.append(taker.take(placed.spot))
    placed = world.place(body())
    assert not world.memory.takes(tie, placed.spot)
    views.pop()
    placed = None
    placed = world.place(body())
    assert world.memory.takes(tie, placed.spot)


def test_who_has_let_go_of_a_message_cannot_be_told_of_it_once_more(world, tie):
    placed, taker = world.place(body()), world.takers[0]
    world.memory.hand(placed.slot, tie, 100)
    assert not world.memory.has_taken(tie, placed.spot)
    view = taker.take(placed.spot)
    assert not world.memory.has_taken(tie, placed.spot), "it still holds it"
    del view
    assert tie.reader.ledger[placed.spot.entry] == let_go(placed.spot.generation)
    assert world.memory.has_taken(tie, placed.spot)


# -- the end, and fork -------------------------------------------------------------------------------------------------


def test_after_the_end_what_users_have_can_still_be_read_and_nothing_is_placed_or_lent(world, tie):
    view = lend(world.memory, SIZE, None)
    placed = world.place(body())
    world.memory.shelf.append(world.kept(placed))
    world.memory.close()
    assert tie.reader.gone and not world.memory.shelf and not world.memory.lent
    view[:4] = b"mine"
    assert bytes(view[:4]) == b"mine" and bytes(placed.body) == body()
    assert world.place(body()) is None and world.memory.lend(SIZE) is None and not world.memory.suits(SIZE)
    assert world.memory.place_lent([view], SIZE) is None


def test_what_is_lent_when_a_child_is_forked_is_not_used_again_before_its_end(world, tie):
    before = world.free()
    view = lend(world.memory, SIZE, None)
    orders = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(orders[1])
        os.read(orders[0], 1)
        view[:] = b"c" * SIZE
        os._exit(0)
    os.close(orders[0])
    del view
    assert world.free() < before
    os.close(orders[1])
    os.waitpid(pid, 0)
    ended = next(file for file in world.loop.ready if isinstance(file, int))
    assert readable(ended, 10)
    world.loop.ready[ended]()
    assert world.free() == before


def test_a_forked_child_has_none_of_it_and_its_parent_all(world, tie):
    placed = world.place(body())

    def abandon():
        world.memory.abandon()
        return not world.memory.lent and world.place(body()) is None

    assert in_child(abandon)
    assert world.memory.takes(tie, placed.spot) and world.place(body()) is not None
