"""How one subscriber takes shared memory: what waits for it, what it is told, and what it is to have in fragments."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from handing import ends
from ipcpy.protocol.data.history import Kept, Placed
from ipcpy.protocol.data.places import PLACED_FROM, Offer, OfferKind, Spot, held, pack_spot
from ipcpy.protocol.data.pool import Slot
from ipcpy.protocol.data.sender import DATAGRAM_COST, HURRY, Sender
from ipcpy.protocol.wire import Kind, frames
from ipcpy.publishing.framing import Framing
from ipcpy.publishing.segments import Tie
from ipcpy.publishing.sharing import LATER, UNTAKEN, WAIT, Sharing
from surroundings import NUMBER, RAW, SENT_NS, WINDOW

SIZE = PLACED_FROM


class Memory:
    """Stands for a publisher's Memory: it does and says what a test wants.

    Attributes:
        handed: what was noted of whom: (spot, tie, position).
    """

    def __init__(self):
        self.enabled, self.wanted = True, False
        self.room, self.admits, self.taken = True, True, False
        self.handed = []
        self._generation = 0

    def placed(self):
        self._generation += 1
        spot = Spot(0, self._generation, self._generation, 8_192, SIZE)
        return Placed(Slot(spot, SIZE), spot, memoryview(bytes(SIZE)))

    def place(self, parts, size):
        return self.placed() if self.room else None

    def hand(self, slot, tie, position):
        slot.handed[tie.reader] = position
        self.handed.append((slot.spot, tie, position))

    def takes(self, tie, spot):
        return self.admits

    def has_taken(self, tie, spot):
        return self.taken


class World:
    """One subscriber, as a test has it."""

    def __init__(self, *, local=True):
        self.memory, self.sent, self.noted = Memory(), [], []
        self.framing = Framing(NUMBER, RAW, lambda: SENT_NS)
        self.sharing = Sharing(self.memory, self.framing, self.send, local=local)
        self.sender = Sender(WINDOW, lossy=False)
        ours, self.theirs = ends()
        self.tie = Tie(ours, Offer(OfferKind.OFFER, NUMBER, 5, 7, 0, 0))

    def send(self, frame):
        self.sent.append(frame)
        self.noted.append(len(self.memory.handed))

    def take(self):
        """Let the subscriber take the memory."""
        self.tie.reader.segments, self.tie.pending = 1, False
        self.tie.reader.ledger = [0] * 64
        return self.sharing.settle(self.tie)

    def kept(self, size=SIZE, placed=None, seq=0):
        return self.framing.large([memoryview(bytes(size))], size, seq, placed)

    def told(self):
        """Return the numbers and bodies of the frames that were sent."""
        found = [frame for datagram in self.sent for frame in frames(datagram)]
        assert all((frame.kind, frame.source, frame.codec) == (Kind.PLACED, NUMBER, RAW) for frame in found)
        return [(frame.seq, bytes(frame.body)) for frame in found]

    def close(self):
        self.tie.sock.close()
        self.theirs.close()


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    world.close()


def test_who_is_on_another_host_never_takes_memory():
    world = World(local=False)
    world.memory.wanted = True
    world.sharing.begin(1.0)
    assert not world.sharing.possible and not world.sharing.ready
    assert not world.sharing.send(world.kept(), world.sender, 1.0)
    world.close()


def test_where_memory_is_not_shared_nobody_is_offered_any(world):
    world.memory.enabled = False
    assert not Sharing(world.memory, world.framing, world.sent.append, local=True).possible
    world.sharing.begin(1.0)
    assert not world.sharing.possible


def test_who_is_here_may_be_offered_memory_and_takes_it_once_it_has_answered(world):
    sharing = world.sharing
    assert sharing.possible and not sharing.ready
    sharing.settle(world.tie)
    assert sharing.possible and not sharing.ready and sharing.tie is world.tie, "it has not answered yet"
    world.take()
    assert sharing.ready
    world.tie.reader.gone = True
    sharing.settle(world.tie)
    assert not sharing.possible and not sharing.ready and sharing.tie is None


def test_who_takes_no_memory_is_not_asked_again_before_the_next_match(world):
    world.sharing.settle(None)
    assert not world.sharing.possible
    world.sharing.begin(1.0)
    assert world.sharing.possible


def test_where_its_node_is_busy_memory_is_offered_later_and_not_for_ever(world):
    pauses = [world.sharing.try_later() for _ in LATER]
    assert pauses == list(LATER) == sorted(LATER) and world.sharing.possible
    assert world.sharing.try_later() is None and not world.sharing.possible


def test_which_way_large_messages_go_is_known_where_it_is_worth_saying(world):
    assert world.sharing.way == "", "no memory was wanted yet"
    world.memory.wanted = True
    assert world.sharing.way == "", "it may still take some"
    world.take()
    assert world.sharing.way == "shared"
    world.sharing.settle(None)
    assert world.sharing.way == "refused"
    other = World(local=False)
    other.memory.wanted = True
    assert other.sharing.way == ""
    other.close()


# -- what is kept for a latecomer --------------------------------------------------------------------------------------


def test_what_is_kept_waits_a_moment_for_memory_that_may_be_taken(world):
    world.memory.wanted = True
    world.sharing.begin(1.0)
    assert world.sharing.send(world.kept(), world.sender, 1.0) and world.sent == []
    assert world.sharing.send(world.kept(), world.sender, 1.0 + WAIT - 0.001) and world.sent == []
    assert not world.sharing.send(world.kept(), world.sender, 1.0 + WAIT), "in fragments, then"


@pytest.mark.parametrize("wanted", [False, True])
def test_it_waits_only_where_memory_is_offered_at_all(world, wanted):
    world.memory.wanted = wanted
    world.sharing.begin(1.0)
    assert world.sharing.send(world.kept(), world.sender, 1.0) == wanted


def test_small_messages_and_those_of_one_frame_wait_for_nothing(world):
    world.memory.wanted = True
    world.sharing.begin(1.0)
    assert not world.sharing.send(world.kept(PLACED_FROM - 1), world.sender, 1.0)
    world.take()
    assert not world.sharing.send(world.kept(PLACED_FROM - 1), world.sender, 1.0)
    frame = Kept(9, SENT_NS, bytes(40_000), (), 40_000)
    assert not world.sharing.send(frame, world.sender, 1.0) and world.sent == []


def test_the_answer_ends_the_waiting_once(world):
    world.memory.wanted = True
    world.sharing.begin(1.0)
    assert not world.sharing.settle(world.tie), "it is still to come"
    assert world.take(), "now what has waited can be asked for"
    assert not world.take()
    message = world.kept()
    assert world.sharing.send(message, world.sender, 1.0)
    assert [seq for seq, _ in world.told()] == [message.seq]


def test_the_refusal_ends_the_waiting_too(world):
    world.memory.wanted = True
    world.sharing.begin(1.0)
    assert world.sharing.settle(None)
    assert not world.sharing.send(world.kept(), world.sender, 1.0)


def test_who_has_taken_memory_already_waits_for_nothing_when_it_is_matched_anew(world):
    world.take()
    world.memory.wanted = True
    world.sharing.begin(1.0)
    assert world.sharing.send(world.kept(), world.sender, 1.0) and len(world.sent) == 1


# -- telling -----------------------------------------------------------------------------------------------------------


def test_what_it_is_told_is_where_the_message_lies_and_is_noted_before_the_frame_leaves(world):
    world.take()
    placed = world.memory.placed()
    message = world.kept(placed=placed)
    assert world.sharing.send(message, world.sender, 2.0)
    assert world.told() == [(message.seq, pack_spot(placed.spot))] and world.noted == [1]
    size = len(world.sent[0]) + DATAGRAM_COST
    assert world.memory.handed == [(placed.spot, world.tie, size)] and world.sender.position == size
    assert world.sender.next_timer() == 2.0 + HURRY, "it is asked whether that has arrived"


def test_a_message_that_was_not_placed_before_is_placed_for_a_latecomer(world):
    world.take()
    message = world.kept()
    assert message.placed is None and world.sharing.send(message, world.sender, 2.0)
    assert len(world.memory.handed) == 1 and len(world.told()) == 1


@pytest.mark.parametrize("change", [{"room": False}, {"admits": False}, {"taken": True}])
def test_what_has_no_room_or_is_too_much_or_was_let_go_of_already_goes_in_fragments(world, change):
    world.take()
    vars(world.memory).update(change)
    assert not world.sharing.send(world.kept(), world.sender, 2.0)
    assert world.sent == [] and world.memory.handed == [] and world.sender.position == 0
    assert world.sharing.count == world.sharing.retransmitted == 0


def test_messages_are_counted_once_and_how_often_they_were_sent_again(world):
    def counts():
        return world.sharing.count, world.sharing.retransmitted

    world.take()
    live, late = world.kept(placed=world.memory.placed()), world.kept(placed=world.memory.placed())
    world.sharing.tell(live.placed, 68, world.sender, 2.0)
    assert counts() == (1, 0)
    world.sharing.send(late, world.sender, 2.0)
    assert counts() == (2, 0)
    world.sharing.send(live, world.sender, 2.0)
    world.sharing.send(late, world.sender, 2.0)
    assert counts() == (2, 2)
    alone = [world.kept(), world.kept()]  # each of which is placed whenever it is sent
    for message in (*alone, *alone):
        world.sharing.send(message, world.sender, 2.0)
    assert counts() == (4, 4)


def test_what_is_acknowledged_is_known_to_the_pool(world):
    world.sharing.acknowledged(50)
    world.take()
    world.sharing.acknowledged(100)
    assert world.tie.reader.acked == 100


def test_too_many_messages_that_were_not_taken_make_it_busy_until_it_has_taken_or_lost_some(world):
    world.take()
    ledger = world.tie.reader.ledger
    told = [world.memory.placed() for _ in range(UNTAKEN)]
    for placed in told[:-1]:
        world.sharing.tell(placed, 68, world.sender, 2.0)
    assert not world.sharing.busy
    world.sharing.tell(told[-1], 68, world.sender, 2.0)
    assert world.sharing.busy
    ledger[told[0].spot.entry] = held(told[0].spot.generation)
    assert not world.sharing.busy, "it has one in hand"
    world.sharing.tell(world.memory.placed(), 68, world.sender, 2.0)
    assert world.sharing.busy
    world.tie.reader.acked = world.memory.handed[1][2]
    assert not world.sharing.busy, "the news of one has been read, or got lost"
    assert len(world.tie.untaken) == UNTAKEN - 1


def test_the_ledger_tells_when_all_is_taken_and_up_to_where(world):
    assert world.sharing.taken == 0
    world.take()
    for _ in range(2):
        world.sharing.tell(world.memory.placed(), 68, world.sender, 0.0)
    ledger = world.tie.reader.ledger
    ledger[1] = held(1)
    assert world.sharing.taken == 0, "one has not been taken"
    ledger[2] = held(2)
    assert world.sharing.taken == world.sender.position == world.memory.handed[-1][2]


def test_who_takes_no_memory_is_never_busy_with_it(world):
    assert not world.sharing.busy
    world.take()
    for _ in range(UNTAKEN):
        world.sharing.tell(world.memory.placed(), 68, world.sender, 2.0)
    world.tie.reader.ledger, world.tie.reader.gone = (), True
    world.sharing.settle(world.tie)
    assert not world.sharing.busy


def test_who_takes_none_is_told_nothing(world):
    assert not world.sharing.takes(world.memory.placed())
    world.take()
    assert world.sharing.takes(world.memory.placed())
    world.memory.admits = False
    assert not world.sharing.takes(world.memory.placed())


def test_with_the_match_ends_what_it_is_offered_and_not_what_it_holds(world):
    world.sharing.end()
    world.take()
    assert not world.tie.parted
    world.sharing.end()
    assert world.tie.parted and world.tie.ready
