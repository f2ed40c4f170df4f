"""The clocks of the peers: whom a node asks, whom it answers, and what it says of each."""

from __future__ import annotations

import math
import time
from collections import Counter
from types import SimpleNamespace

import pytest

import ipcpy as ipc
from ipcpy.node.clocks import MAX_PAST, Clocks, read_clocks
from ipcpy.protocol.link.clocks import Told, pack_clock, unpack_clock
from ipcpy.protocol.link.entries import NodeEntry
from ipcpy.protocol.link.link import PeerFound, PeerLost, PeerMoved
from ipcpy.protocol.link.peers import Path, Peer
from ipcpy.protocol.link.readings import Reading
from ipcpy.protocol.link.table import Mirror

S = 10**9
THERE, HERE = ("10.0.0.2", 17770), ("127.0.0.1", 17771)
GIVEN, TOKEN = 0x77, 0x55


class Loop:
    """Takes note of what is to be done when."""

    def __init__(self):
        self.timers = []

    def in_thread(self):
        return True

    def call_at(self, when, function):
        self.timers.append((when, function))

    def call(self, function, *arguments):
        function(*arguments)


class Made:
    """The clocks of a node with one peer."""

    def __init__(self, address=THERE, *, takes=True):
        peer = Peer(2, address, 0.0, Mirror())
        peer.paths[address] = Path(GIVEN, TOKEN, 0.0)
        peer.clocks = takes
        peer.entry = NodeEntry("n", "h", 1, "1", "d")
        self.link = SimpleNamespace(id=1, peers={2: peer}, addresses={address: peer}, dropped=Counter())
        self.loop, self.sent, self.steady = Loop(), [], 50 * S
        self.clocks = Clocks(self.loop, self.link, lambda data, to: self.sent.append((data, to)), self.read)
        self.address = address

    def read(self):
        self.steady += 10_000
        return Reading(self.steady, self.steady + 10**18)

    def find(self, address=None):
        self.clocks.on_event(PeerFound(2, None, address or self.address))

    def fire(self):
        self.loop.timers.pop()[1]()

    def take(self, **changes):
        told = Told(2, GIVEN, 1, Reading(7 * S, 10**18 + 3600 * S + self.steady), 0, 0, False)
        self.clocks.receive(pack_clock(told._replace(**changes)), self.address)

    def answer(self):
        question = unpack_clock(self.sent[-1][0])
        self.take(number=question.number, echo_ns=question.reading.steady_ns, came_ns=7 * S - 1000)


def test_a_peer_of_another_host_is_asked_as_soon_as_it_is_found():
    made = Made()
    made.find()
    made.fire()
    (data, to) = made.sent[0]
    told = unpack_clock(data)
    assert (told.source, told.token, told.ask, to) == (1, TOKEN, True, THERE)


def test_what_a_peer_answers_is_known_to_whoever_asks():
    made = Made()
    made.find()
    made.fire()
    assert made.clocks.of(2) == ipc.Clock(0.0, math.inf, math.inf)
    made.answer()
    clock = made.clocks.of(2)
    assert clock.offset == pytest.approx(3600, abs=0.001)
    assert 0 < clock.bound < 0.001
    assert 0 <= clock.age < 1


def test_a_question_is_answered_at_once_and_to_where_it_came_from():
    made = Made()
    made.take(ask=True)
    (data, to) = made.sent[0]
    told = unpack_clock(data)
    assert (told.echo_ns, told.ask, told.token, to) == (7 * S, False, TOKEN, THERE)
    made.take(ask=False, number=2)
    assert len(made.sent) == 1


@pytest.mark.parametrize(("changes", "cause"), [({"source": 3}, "unknown"), ({"token": TOKEN}, "unknown")])
def test_what_is_not_from_the_peer_is_counted_and_not_answered(changes, cause):
    made = Made()
    made.take(ask=True, **changes)
    assert made.link.dropped == {cause: 1}
    assert not made.sent


def test_garbage_is_counted():
    made = Made()
    made.clocks.receive(bytes(65), THERE)
    assert made.link.dropped == {"malformed": 1}


def test_a_node_of_this_host_has_its_clock_and_is_not_asked():
    made = Made(HERE)
    made.find()
    assert not made.loop.timers
    assert made.clocks.of(2) == made.clocks.of(1) == ipc.Clock(0.0, 0.0, 0.0)


def test_an_older_peer_is_not_asked_and_nothing_is_known_of_it():
    made = Made(takes=False)
    made.find()
    assert not made.loop.timers
    assert made.clocks.of(2).bound == math.inf


def test_a_peer_that_is_found_at_this_host_after_all_is_asked_no_more():
    made = Made()
    made.find()
    made.clocks.on_event(PeerMoved(2, HERE))
    made.link.peers[2].address = HERE
    made.fire()
    assert not made.sent
    assert made.clocks.of(2).bound == 0.0


def test_what_was_known_of_a_node_that_went_is_known_for_its_last_messages():
    made = Made()
    made.find()
    made.fire()
    made.answer()
    made.clocks.on_event(PeerLost(2, "closed"))
    assert made.clocks.of(2).bound < math.inf
    for id in range(3, 4 + MAX_PAST):
        made.link.peers[id] = made.link.peers[2]
        made.clocks.on_event(PeerFound(id, None, THERE))
        made.clocks.on_event(PeerLost(id, "closed"))
    assert made.clocks.of(2).bound == math.inf


def test_whoever_wants_to_know_has_the_peer_asked_sooner():
    made = Made()
    made.find()
    made.fire()
    made.answer()
    count = len(made.loop.timers)
    made.clocks.known(2)
    assert len(made.loop.timers) <= count + 1


def test_a_node_whose_clock_may_have_been_set_is_asked_at_once_but_not_for_each_message():
    made = Made()
    made.find()
    made.fire()
    made.answer()
    made.clocks._clocks[2].asked_at -= 1
    for _ in range(10):
        made.clocks.hurry(2)
    assert len(made.sent) == 2


def test_nothing_is_remembered_of_who_has_not_said_who_it_is():
    made = Made()
    made.link.peers[2].entry = None
    made.take(ask=True)
    assert not made.sent
    assert not made.clocks._clocks
    assert not made.link.dropped


def test_both_clocks_are_read_at_one_moment():
    first, second = read_clocks(), read_clocks()
    assert 0 <= second.steady_ns - first.steady_ns
    assert abs((second.wall_ns - second.steady_ns) - (first.wall_ns - first.steady_ns)) < S


def test_a_clock_can_be_seen_without_being_asked_for_more_often():
    made = Made()
    made.find()
    made.fire()
    assert made.clocks.seen(2) == ipc.Clock(0.0, math.inf, math.inf)
    made.answer()
    clock = made.clocks._clocks[2]  # noqa: SLF001 (when it is asked next is not shown)
    due = clock.due
    assert made.clocks.seen(2).offset == pytest.approx(3600, abs=0.001)
    assert made.clocks.seen(77) == ipc.Clock(0.0, math.inf, math.inf)
    assert made.clocks.seen(1) == ipc.Clock(0.0, 0.0, 0.0)
    assert clock.due == due and not clock.wanted(time.monotonic())
    made.clocks.of(2)
    assert clock.wanted(time.monotonic())
