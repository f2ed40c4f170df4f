"""Publishing through shared memory alone: one frame to each, everything noted before it leaves, or nothing done."""

from __future__ import annotations

import pytest

from ipcpy.protocol.data.places import PLACED_FROM, SPOT, unpack_spot
from ipcpy.protocol.data.sender import DATAGRAM_COST
from ipcpy.protocol.wire import CHECK_SIZE, HEADER_SIZE, Kind, frames
from ipcpy.publishing.placing import FULL_SHELF, Placing
from ipcpy.publishing.sharing import UNTAKEN
from surroundings import NUMBER, RAW, Surroundings

LARGE = bytes(range(200)) * 500
LIMIT = 4 << 20


class World:
    """A publisher whose subscribers have taken its memory."""

    def __init__(self, count):
        pytest.importorskip("fcntl")
        self.around = Surroundings(LIMIT)
        self.delivery, dispatch = self.around.deliver()
        self.outlet = self.delivery.outlet
        self.listeners = [self.around.listen(number) for number in range(1, count + 1)]
        self.around.run()
        dispatch.one(LARGE)
        self.around.run(2.0)
        self.framing = self.outlet._framing
        self.placing = Placing(self.outlet, self.framing, self.around.clock)

    def send(self, *parts):
        return self.placing.publish(list(parts))

    def run(self, seconds=1.0):
        self.around.run(seconds)


@pytest.fixture
def world():
    world = World(2)
    yield world
    world.around.close()


def test_a_message_in_parts_goes_out_as_one_frame_that_says_where_it_lies(world):
    sockets = [world.around.sockets[listener.address] for listener in world.listeners]
    before = [len(socket.sent) for socket in sockets]
    assert world.send(LARGE[:1_000], LARGE[1_000:]) == 2
    sent = [socket.sent[at:] for socket, at in zip(sockets, before, strict=True)]
    assert len(sent[0]) == 1 and sent[0] == sent[1]
    (frame,) = frames(sent[0][0])
    assert (frame.kind, frame.source, frame.seq, frame.codec) == (Kind.PLACED, NUMBER, 2, RAW)
    assert unpack_spot(frame.body).size == len(LARGE)
    world.run()
    assert [listener.taken[2] == LARGE for listener in world.listeners] == [True, True]


def test_all_books_are_kept(world):
    route = world.outlet.routes[0]
    position = route.sender.position
    world.send(LARGE)
    assert route.sender.position == position + HEADER_SIZE + SPOT.size + CHECK_SIZE + DATAGRAM_COST
    assert [message.seq for message in world.outlet.memory.shelf] == [2] and world.framing.bytes == 2 * len(LARGE)
    assert len(route.sharing.tie.untaken) == 1 and route.sharing.tie.reader.count == 1
    stats = world.outlet.stats()
    assert (stats.published, stats.handed, stats.shared) == (2, 4, 2) and world.outlet.beating
    world.run()
    assert not world.outlet.memory.shelf and world.outlet.memory.segments.pool.idle


def test_what_cannot_go_that_way_leaves_everything_as_it_was(world):
    def state():
        pool = world.outlet.memory.segments.pool
        return world.framing.seq, len(world.outlet.memory.shelf), pool.free, pool.generation

    before = state()
    assert world.send(bytes(PLACED_FROM - 1)) is None, "it is too small"
    assert world.send(bytes(LIMIT)) is None, "there is no room"
    assert state() == before


def test_who_has_to_be_waited_for_is_waited_for_elsewhere(world):
    world.listeners[0].silent = world.listeners[1].silent = True
    for _ in range(UNTAKEN):
        assert world.send(LARGE) == 2
    assert world.send(LARGE) is None


def test_while_more_messages_than_a_few_are_not_taken_it_is_asked_for_what_is_missing(world):
    for listener in world.listeners:
        world.around.sockets[listener.address].losing = True
    polls = [len(listener.of_kind(Kind.POLL)) for listener in world.listeners]
    for _ in range(FULL_SHELF + 1):
        world.send(LARGE)
    for listener in world.listeners:
        world.around.sockets[listener.address].losing = False
        listener.expects = (2, 3, 4)
    world.run(0.05)
    assert [len(listener.of_kind(Kind.POLL)) > at for listener, at in zip(world.listeners, polls, strict=True)]
    assert [sorted(listener.taken) for listener in world.listeners] == [[2, 3, 4]] * 2


def test_a_message_that_one_who_holds_too_much_cannot_take_is_placed_and_not_yet_published(world):
    hoarder, other = world.listeners
    hoarder.holds = True
    number = 2
    while (found := world.send(LARGE)) == 2:
        world.run(0.5)
        number += 1
        assert number < 40
    assert 10 < number < 30 and bytes(found.body) == LARGE and world.framing.seq == number - 1
    assert sorted(other.taken) == sorted(hoarder.taken) == list(range(2, number))


@pytest.mark.parametrize("nth", [0, 1])
def test_after_an_exception_from_outside_those_who_did_not_hear_of_it_are_asked(world, nth):
    world.around.sockets[world.listeners[nth].address].raises = KeyboardInterrupt()
    for listener in world.listeners:
        listener.expects = (2,)
    with pytest.raises(KeyboardInterrupt):
        world.send(LARGE)
    world.run()
    assert [listener.taken.get(2) == LARGE for listener in world.listeners] == [True, True]
