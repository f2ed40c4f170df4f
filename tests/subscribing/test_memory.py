"""What one publisher shares with one subscriber: offers and places that lie, marks, letting go, fork, the end."""

from __future__ import annotations

import gc
import os
import threading

import pytest

from handing import SIZE, Giver, descriptors, mapped, readable
from ipcpy.protocol.data.places import ENTRIES, MAX_SEGMENTS, TABLE_SIZE, OfferKind, held, let_go
from ipcpy.protocol.wire import Malformed
from ipcpy.subscribing.memory import Shared, Shares
from ipcpy.transport import memory
from ipcpy.transport.held import Held
from still import StillLoop

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memory is shared on Linux")

PUBLISHER, SUBSCRIBER = 0xA1, 77


class World:
    """A subscriber, and a publisher that a test plays."""

    def __init__(self):
        self.loop, self.lies = StillLoop(), 0
        self.giver = Giver(PUBLISHER, SUBSCRIBER)
        self.shared = None

    def begin(self, **changes):
        """Offer the first segment, as a test has it; return whether it was taken."""
        self.shared = Shared(self.loop, self.giver.theirs, self.on_lie)
        offer = self.giver.offer._replace(**{name: value for name, value in changes.items() if name != "descriptors"})
        taken = self.shared.begin(offer, changes.get("descriptors", [self.giver.descriptor]))
        if taken:
            self.giver.read()
        return taken

    def on_lie(self):
        self.lies += 1

    def exchange(self):
        """Let the subscriber read, and the publisher read its answers."""
        for file, ready in list(self.loop.ready.items()):
            if readable(file):
                ready()
        self.giver.read()

    def ended(self):
        """Tell whether the subscriber has closed its end."""
        self.giver.read()
        return self.giver.sock.ended


@pytest.fixture
def world():
    gc.collect()  # what earlier tests left in cycles
    before = descriptors()
    world = World()
    yield world
    if world.shared is not None:
        world.shared.close()
    world.giver.close()
    assert not world.loop.ready
    assert descriptors() == before, "no descriptor is left"


@pytest.fixture
def shared(world):
    assert world.begin()
    return world.shared


# -- offers ------------------------------------------------------------------------------------------------------------


def test_an_offer_is_answered_with_a_ledger_that_only_the_subscriber_writes_to(world, shared):
    giver = world.giver
    assert giver.answers == [giver.offer._replace(kind=OfferKind.TAKEN)]
    assert list(giver.ledger) == [0] * ENTRIES and giver.ledger.readonly


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({"size": SIZE - 1}, 1),
        ({"size": SIZE + 1}, 1),
        ({"size": 2 * SIZE}, 1),
        ({"size": TABLE_SIZE}, 1),
        ({"size": 0}, 1),
        ({"size": 1 << 63}, 1),
        ({"segment": 1}, 1),
        ({"segment": MAX_SEGMENTS}, 1),
        ({}, 0),
        ({}, 2),
    ],
)
def test_a_first_offer_that_is_not_as_it_should_be_is_not_taken(world, changes, count):
    assert not world.begin(**changes, descriptors=[world.giver.descriptor] * count)
    assert world.giver.answers == [] and not world.loop.ready
    with pytest.raises(Malformed):
        world.shared.take(world.giver.lay(b"x"))


def test_what_could_shrink_or_is_no_memory_is_not_taken(world):
    other, (reading, writing) = os.memfd_create("test-unsealed"), os.pipe()
    os.ftruncate(other, SIZE)
    for descriptor in (other, reading, writing, 1_000_000):
        assert not world.begin(descriptors=[descriptor])
    for descriptor in (other, reading, writing):
        os.close(descriptor)


def test_a_segment_that_has_room_for_the_table_alone_is_not_taken(world):
    descriptor, _ = memory.create("test-table", TABLE_SIZE)
    assert not world.begin(size=TABLE_SIZE, descriptors=[descriptor])
    os.close(descriptor)


def test_a_subscriber_that_cannot_answer_has_not_taken_anything(world):
    world.giver.sock.close()
    assert not world.begin()


def test_further_segments_are_taken_in_order_and_answered_without_a_descriptor(world, shared):
    giver = world.giver
    descriptor, area = memory.create("test-second", 2 * SIZE)
    offer = giver.offer._replace(segment=1, size=2 * SIZE)
    giver.send(offer, [descriptor])
    world.exchange()
    os.close(descriptor)
    assert giver.answers[1:] == [offer._replace(kind=OfferKind.TAKEN)] and not world.lies
    memory.view(area.part(2 * SIZE - 5, 5), writable=True)[:] = b"there"
    spot = giver.lay(b"x")._replace(segment=1, offset=2 * SIZE - 5, size=5)
    assert bytes(shared.take(spot)) == b"there"


@pytest.mark.parametrize(
    "change",
    [
        {"kind": OfferKind.TAKEN},
        {"publisher": PUBLISHER + 1},
        {"subscriber": SUBSCRIBER + 1},
        {"token": 8},
        {"segment": 0},
        {"segment": 2},
        {"size": 2 * SIZE},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_further_offer_that_lies_is_counted_and_ends_the_connection_but_not_what_came_before(world, shared, change):
    giver = world.giver
    before = giver.lay(b"before")
    giver.send(giver.offer._replace(**{"segment": 1, **change}), [giver.descriptor])
    world.exchange()
    assert world.lies == 1 and world.ended() and not world.loop.ready
    assert bytes(shared.take(before)) == b"before"


@pytest.mark.parametrize("datagram", [b"x", bytes(44), bytes(200)])
def test_what_is_no_offer_ends_the_connection(world, shared, datagram):
    world.giver.sock.send(datagram, [world.giver.descriptor] * 3)
    world.exchange()
    assert world.lies == 1 and world.ended()


def test_a_publisher_that_offers_more_than_anybody_may_map_is_cut_off(world, shared, monkeypatch):
    monkeypatch.setattr("ipcpy.subscribing.memory.MAX_MAPPED", 3 * SIZE)
    descriptor, _ = memory.create("test-large", SIZE)
    for number in (1, 2, 3):
        world.giver.send(world.giver.offer._replace(segment=number), [descriptor])
        world.exchange()
        assert world.lies == (number == 3)
    os.close(descriptor)
    assert world.ended()


def test_the_end_of_the_publisher_is_no_lie_and_what_it_placed_can_still_be_read(world, shared):
    giver = world.giver
    view, later = shared.take(giver.lay(b"held")), giver.lay(b"later", entry=1)
    giver.sock.close()
    world.exchange()
    assert not world.lies and not world.loop.ready
    assert bytes(view) == b"held" and bytes(shared.take(later)) == b"later"


# -- messages ----------------------------------------------------------------------------------------------------------


def test_what_is_taken_is_the_memory_itself_read_only_and_marked_as_long_as_anybody_has_a_view(world, shared):
    giver = world.giver
    spot = giver.lay(b"0123456789", entry=3)
    view = shared.take(spot)
    assert bytes(view) == b"0123456789" and view.readonly and len(shared) == 1
    memory.view(giver.area.part(spot.offset, 1), writable=True)[:] = b"X"
    assert bytes(view[:2]) == b"X1", "nothing was copied"
    assert giver.ledger[3] == held(spot.generation)
    part = view[4:]
    del view
    assert giver.ledger[3] == held(spot.generation)
    del part
    assert giver.ledger[3] == let_go(spot.generation) and len(shared) == 0


def test_a_message_is_taken_once(world, shared):
    giver = world.giver
    spot = giver.lay(b"once")
    view = shared.take(spot)
    assert shared.take(spot) is None, "while it is held"
    del view
    assert shared.take(spot) is None, "and after that"
    assert giver.ledger[0] == let_go(spot.generation)
    later = giver.lay(b"later")
    assert bytes(shared.take(later)) == b"later"
    assert shared.take(spot) is None, "a frame that comes late does no harm"
    assert giver.ledger[0] == let_go(later.generation)


def test_what_is_not_there_any_more_is_not_taken_and_said_to_be_let_go_of(world, shared):
    giver = world.giver
    spot = giver.lay(b"early", entry=2)
    giver.table[2] = 0
    assert shared.take(spot) is None and giver.ledger[2] == let_go(spot.generation)
    spot = giver.lay(b"used again", entry=2)
    giver.table[2] = spot.generation + 1
    assert shared.take(spot) is None and giver.ledger[2] == let_go(spot.generation)
    assert len(shared) == 0


def test_the_mark_is_set_before_the_look_whether_it_is_still_there(world, shared):
    """The publisher clears the table between the two: it finds the mark, and puts back what it has cleared."""
    giver = world.giver
    spot = giver.lay(b"body")
    seen = []

    class Table:
        def __getitem__(self, entry):
            seen.append(giver.ledger[entry])
            return giver.table[entry]

    table, shared._table = shared._table, Table()
    assert bytes(shared.take(spot)) == b"body"
    shared._table = table
    assert seen == [held(spot.generation)]


@pytest.mark.parametrize(
    "change",
    [
        {"segment": 1},
        {"segment": MAX_SEGMENTS - 1},
        {"offset": SIZE - 3},
        {"offset": SIZE},
        {"size": SIZE},
        {"offset": 1 << 29, "size": 1 << 29},
    ],
)
def test_a_place_outside_of_what_was_offered_is_a_lie_and_marks_nothing(world, shared, change):
    spot = world.giver.lay(b"body")
    with pytest.raises(Malformed) as caught:
        shared.take(spot._replace(**change))
    assert caught.value.cause == "memory" and world.giver.ledger[0] == 0
    assert bytes(shared.take(spot)) == b"body"


def test_another_message_where_one_is_held_is_a_lie_and_the_one_that_is_held_stays(world, shared):
    giver = world.giver
    first = giver.lay(b"first")
    view = shared.take(first)
    with pytest.raises(Malformed):
        shared.take(giver.lay(b"second"))
    assert giver.ledger[0] == held(first.generation) and bytes(view) == b"first"


def test_all_that_lies_at_the_end_of_a_segment_can_be_read(world, shared):
    spot = world.giver.lay(b"x")
    view = shared.take(spot._replace(offset=SIZE - 1, size=1))
    assert bytes(view) == b"\0"


def test_any_thread_may_let_go(world, shared):
    giver = world.giver
    spot = giver.lay(b"body")
    views = [shared.take(spot)]
    thread = threading.Thread(target=views.clear)
    thread.start()
    thread.join(20)
    assert giver.ledger[0] == let_go(spot.generation)


def test_an_exception_from_outside_leaves_nothing_marked_that_nobody_holds(world, shared, monkeypatch):
    giver = world.giver
    spot = giver.lay(b"body")

    def interrupt(*_):
        raise KeyboardInterrupt

    later = giver.lay(b"later", entry=1)
    with monkeypatch.context() as patch:
        patch.setattr(memory.Area, "part", interrupt)
        with pytest.raises(KeyboardInterrupt):
            shared.take(spot)
    assert giver.ledger[0] == let_go(spot.generation) and len(shared) == 0
    hold = Held.hold

    def hold_and_interrupt(*what):
        hold(*what)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Held, "hold", hold_and_interrupt)
        with pytest.raises(KeyboardInterrupt):
            shared.take(later)
    gc.collect()
    assert giver.ledger[1] == let_go(later.generation) and len(shared) == 0
    gone = giver.lay(b"gone", entry=2)
    giver.table[2] = 0
    with monkeypatch.context() as patch:
        patch.setattr(Held, "holds", interrupt)
        with pytest.raises(KeyboardInterrupt):
            shared.take(gone)
    assert giver.ledger[2] == let_go(gone.generation)


# -- the end -----------------------------------------------------------------------------------------------------------


def test_the_publisher_is_told_of_the_end_once_nothing_is_held_any_more(world, shared):
    giver = world.giver
    spot = giver.lay(b"held")
    view = shared.take(spot)
    shared.close()
    shared.close()
    assert not world.loop.ready and not world.ended(), "the connection is what keeps the memory"
    assert bytes(view) == b"held"
    del view
    assert giver.ledger[0] == let_go(spot.generation) and world.ended()


def test_it_is_over_at_once_where_nothing_is_held(world, shared):
    assert not world.ended()
    shared.close()
    assert world.ended()


def test_what_a_user_holds_keeps_the_connection_though_nobody_has_anything_else_of_the_subscriber(world, shared):
    giver = world.giver
    spot = giver.lay(b"held")
    view = shared.take(spot)
    shared.close()
    del shared
    world.shared = None
    gc.collect()
    assert not world.ended() and giver.ledger[0] == held(spot.generation)
    del view
    assert world.ended() and giver.ledger[0] == let_go(spot.generation)


def test_a_forked_child_marks_nothing_and_what_it_has_seen_stays_until_its_end(world, shared):
    giver = world.giver
    spot = giver.lay(b"held")
    views = [shared.take(spot)]
    orders = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(orders[1])
        views.clear()
        shared.abandon()
        os.read(orders[0], 1)
        os._exit(0)
    os.close(orders[0])
    views.clear()
    assert giver.ledger[0] == held(spot.generation), "the child has it before its eyes"
    assert not world.ended()
    os.close(orders[1])
    os.waitpid(pid, 0)
    (ended,) = [file for file in world.loop.ready if file is not giver.theirs]
    assert readable(ended, 10)
    world.loop.ready[ended]()
    assert giver.ledger[0] == let_go(spot.generation)


# -- before the first offer, and after the last ------------------------------------------------------------------------


@pytest.fixture
def shares():
    shares = Shares()
    yield shares
    shares.close()


def test_where_nothing_was_offered_nothing_can_lie(shares, world):
    with pytest.raises(Malformed) as caught:
        shares.take(world.giver.lay(b"x"))
    assert caught.value.cause == "memory"
    shares.abandon()
    shares.close()


def test_an_offer_takes_the_place_of_what_was_shared_before_unless_it_is_refused(shares, world):
    def offer(giver, **changes):
        found = [giver.descriptor]
        return shares.take_offer(giver.offer._replace(**changes), found, giver.theirs, world.loop, world.on_lie)

    giver = world.giver
    assert offer(giver)
    giver.read()
    view = shares.take(giver.lay(b"first"))
    with Giver(PUBLISHER, SUBSCRIBER) as second, Giver(PUBLISHER, SUBSCRIBER) as third:
        assert not offer(second, size=SIZE + 1)
        assert bytes(shares.take(giver.lay(b"still", entry=1))) == b"still" and not world.ended()
        assert offer(third)
        assert bytes(shares.take(third.lay(b"third"))) == b"third"
        assert bytes(view) == b"first" and not world.ended(), "somebody holds what came before"
        del view
        assert world.ended()
        shares.close()
        with pytest.raises(Malformed):
            shares.take(third.lay(b"late", entry=2))


def test_where_the_system_has_no_memory_for_a_ledger_the_offer_is_refused(shares, world, monkeypatch):
    def refuse(*_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", refuse)
    giver = world.giver
    assert not shares.take_offer(giver.offer, [giver.descriptor], giver.theirs, world.loop, world.on_lie)


# -- segments that are gone --------------------------------------------------------------------------------------------


@pytest.fixture
def second(world, shared):
    """A second segment: its mapping at the publisher, and its offer."""
    offer = world.giver.offer._replace(segment=1, size=2 * SIZE)
    yield give(world, offer), offer


def give(world, offer):
    descriptor, area = memory.create("test-further", offer.size)
    world.giver.send(offer, [descriptor])
    world.exchange()
    os.close(descriptor)
    return area


def retire(world, offer, descriptors=()):
    world.giver.send(offer._replace(kind=OfferKind.RETIRED), list(descriptors))
    world.exchange()


def further(world, area, body, entry):
    """Lay a body into the second segment."""
    memory.view(area.part(0, len(body)), writable=True)[:] = body
    return world.giver.lay(body, entry)._replace(segment=1, offset=0)


def test_the_last_segment_goes_without_an_answer_and_what_came_before_stays(world, shared, second):
    _, offer = second
    before, answers = mapped("test-further"), len(world.giver.answers)
    retire(world, offer)
    assert (mapped("test-further"), before) == (1, 2), "the publisher's own"
    assert len(world.giver.answers) == answers and not world.lies and not world.ended()
    assert bytes(shared.take(world.giver.lay(b"first"))) == b"first"
    with pytest.raises(Malformed):
        shared.take(world.giver.lay(b"x", entry=1)._replace(segment=1, offset=0))


def test_what_a_user_holds_of_it_stays_with_its_memory(world, shared, second):
    area, offer = second
    view = shared.take(further(world, area, b"held", entry=3))
    retire(world, offer)
    assert bytes(view) == b"held" and mapped("test-further") == 2 and len(shared) == 1
    del view
    assert mapped("test-further") == 1 and len(shared) == 0


def test_a_copy_of_a_frame_that_was_taken_is_no_lie_where_its_segment_is_gone(world, shared, second):
    area, offer = second
    spot = further(world, area, b"once", entry=3)
    assert bytes(shared.take(spot)) == b"once"
    retire(world, offer)
    assert shared.take(spot) is None
    with pytest.raises(Malformed):
        shared.take(spot._replace(generation=spot.generation + 1))


def test_its_number_may_be_offered_again(world, shared, second):
    _, offer = second
    retire(world, offer)
    again = offer._replace(size=SIZE)
    area = give(world, again)
    assert world.giver.answers[-1] == again._replace(kind=OfferKind.TAKEN) and not world.lies
    assert bytes(shared.take(further(world, area, b"anew", entry=3))) == b"anew"


@pytest.mark.parametrize(
    "change",
    [{"segment": 0, "size": SIZE}, {"segment": 2}, {"size": SIZE}, {"publisher": 5}, {"subscriber": 5}, {"token": 8}],
    ids=lambda change: next(iter(change)),
)
def test_only_the_last_segment_can_go_else_it_is_a_lie(world, shared, second, change):
    area, offer = second
    spot = further(world, area, b"there", entry=3)
    retire(world, offer._replace(**change))
    assert world.lies == 1 and world.ended() and not world.loop.ready
    assert bytes(shared.take(spot)) == b"there"


def test_the_first_segment_stays_also_where_it_is_the_last(world, shared):
    spot = world.giver.lay(b"there")
    retire(world, world.giver.offer)
    assert world.lies == 1 and world.ended()
    assert bytes(shared.take(spot)) == b"there"


def test_what_goes_comes_without_a_descriptor(world, shared, second):
    retire(world, second[1], [world.giver.descriptor])
    assert world.lies == 1 and world.ended()
