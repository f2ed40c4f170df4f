"""Route: one subscriber: what the system refuses, what is owed, what is counted."""

from __future__ import annotations

from collections import deque
from threading import RLock

import pytest

from ipcpy.protocol.data import heads
from ipcpy.protocol.data.fragments import Outgoing
from ipcpy.protocol.data.heads import Place, pack_fragment, unpack_fragment
from ipcpy.protocol.data.history import History
from ipcpy.protocol.data.matching import TAKES_IT, Match, answer
from ipcpy.protocol.data.passage import LEAST
from ipcpy.protocol.data.reliable import Reliable
from ipcpy.protocol.data.reports import POLL_BODY, pack_missing, pack_report
from ipcpy.protocol.data.sender import AHEAD, MAX_WAIT
from ipcpy.protocol.wire import OVERHEAD, Kind, Malformed, frames, pack_frame
from ipcpy.publishing.framing import Framing
from ipcpy.publishing.memory import Memory
from ipcpy.publishing.route import MAX_BACKLOG, Route, _send_fragments
from ipcpy.publishing.segments import Segments
from surroundings import LAN_DATAGRAM, NUMBER, RAW, SENT_NS, TOKEN, WINDOW, Socket, Surroundings, endpoint

HERE, THERE = ("127.0.0.1", 4001), ("10.0.0.9", 4001)
SUBSCRIBER = 5


class World:
    """A framing, and routes of it to one subscriber."""

    def __init__(self, reliable=False):
        self.framing = Framing(NUMBER, RAW, lambda: SENT_NS)
        self.reliable = Reliable(History(100, 1 << 20)) if reliable else None
        self.memory = Memory(Segments(NUMBER, 0, Surroundings(), lambda node: None, RLock()), Surroundings(), abs)

    def route(self, address=HERE):
        match = Match(NUMBER, SUBSCRIBER, 99, 0.0)
        return Route(
            endpoint(SUBSCRIBER), address, Socket(address, deque()), match, self.framing, self.reliable, self.memory
        )

    def begun(self, address=HERE, first=None):
        """Return a route to a subscriber that has just answered."""
        route = self.route(address)
        probe = next(frames(route.match.probe_frame()))
        assert route.match.answered(read(answer(probe, SUBSCRIBER, TAKES_IT, WINDOW, TOKEN)), 0.0)
        route.begin(self.framing.seq + 1 if first is None else first, 0.0)
        return route

    def keep(self, body):
        message = self.framing.kept(body, self.reliable.history.next)
        self.reliable.add(message, 0.0)
        self.framing.kept_all(message.seq, len(body))
        return message


def read(datagram):
    (frame,) = frames(datagram)
    return frame


def sent(route, kind):
    return [frame for datagram in route.socket.sent for frame in frames(datagram) if frame.kind == kind]


def report(next_seq, position, missing=()):
    return read(pack_frame(Kind.REPORT, NUMBER, SUBSCRIBER, position, pack_report(next_seq, WINDOW, missing)))


def large(framing, size):
    return framing.large([memoryview(bytes(size))], size)


def test_the_start_says_the_first_number_before_any_data_is_sent():
    world = World()
    world.framing.batch([b"earlier"])
    route = world.begun()
    assert [(frame.kind, frame.seq) for frame in map(read, route.socket.sent)] == [(Kind.START, 2)]
    assert route.matched and not route.behind


def test_a_frame_that_the_system_refuses_twice_counts_as_refused():
    world = World()
    route = world.begun()
    frame = world.framing.batch([b"a", b"b"])
    route.socket.refusals = 1
    assert route.send_again(frame, 2) == 1
    route.socket.refusals = 0
    assert route.send_again(frame, 2) == 0
    assert route.socket.sent[-1] == frame
    assert (route.stats().handed, route.stats().refused) == (0, 2)


def test_what_a_refused_connection_reported_of_an_earlier_datagram_costs_no_message():
    route = World().begun()
    refusals = [ConnectionRefusedError()]
    plain = route.socket.send
    route.socket.send = lambda data: plain(data) if not refusals else (_ for _ in ()).throw(refusals.pop())
    assert route.send(b"data")
    assert route.socket.sent[-1] == b"data"


def test_a_large_message_goes_out_in_fragments_of_what_the_way_takes():
    world = World()
    route = world.begun(THERE)
    route.owe(large(world.framing, 3000), 0.0)
    runs = [unpack_fragment(frame) for frame in sent(route, Kind.FRAGMENT)]
    assert sum(len(part) for run in runs for part in run.parts) == 3000
    assert max(map(len, route.socket.sent)) == LAN_DATAGRAM
    assert {(run.place.source, run.place.codec, run.place.seq, run.place.sent_ns) for run in runs} == {
        (NUMBER, RAW, 1, SENT_NS)
    }


def test_large_messages_that_wait_for_too_long_are_given_up_by_a_best_effort_publisher():
    world = World()
    route = world.begun(THERE)
    for _ in range(AHEAD + 2):
        route.owe(large(world.framing, 400_000), 0.0)
    assert route.sender.backlog == AHEAD + 2 and not route.stats().given_up
    route.owe(large(world.framing, 400_000), MAX_WAIT + 0.001)
    assert route.sender.backlog == AHEAD and route.sender.owes(1) and route.sender.owes(world.framing.seq)
    assert route.stats().given_up == 3


def test_with_too_many_large_messages_owed_those_of_a_reliable_topic_wait_to_be_asked_for():
    world = World(reliable=True)
    route = world.begun(THERE)
    for number in range(1, MAX_BACKLOG + 2):
        message = large(world.framing, 400_000)
        world.reliable.add(message, 0.0)
        route.owe(message, 0.0)
        assert route.sender.owes(number) == (number <= MAX_BACKLOG)
    assert route.stats().given_up == 0


def test_a_message_that_all_later_ones_wait_for_is_sent_though_as_many_of_these_are_owed_as_may_be():
    world = World(reliable=True)
    route = world.begun()
    lost, *later = [large(world.framing, 70_000) for _ in range(MAX_BACKLOG + 1)]
    for message in (lost, *later):
        world.reliable.add(message, 0.0)
    for message in later:  # they are there, and no report can say so: its first number is that of what is lost
        route.owe(message, 0.0)
    route.reported(report(lost.seq, route.sender.position, [(lost.seq, lost.seq + 1)]), 0.001)
    assert route.sender.owes(lost.seq)
    assert lost.seq in {frame.seq for frame in sent(route, Kind.FRAGMENT)}


def test_what_a_report_asks_for_is_sent_again_and_counted():
    world = World(reliable=True)
    route = world.begun()
    for message in [world.keep(b"%d" % number) for number in range(3)]:
        assert route.send(message.frame)
        route.charge(message.size, 0.0)
    route.reported(report(2, route.sender.position, [(2, 3)]), 0.1)
    assert [frame.seq for frame in sent(route, Kind.DATA)] == [1, 2, 3, 2]
    assert route.stats().retransmitted == 1
    assert route.acknowledged == 1 and route.behind
    assert route.sender.lossy  # though it is on this host


def test_a_small_message_that_is_asked_for_again_and_again_is_tried_in_smaller_datagrams():
    """A tunnel that drops full-size datagrams without a word: what is asked for in vain as one frame never came."""
    world = World(reliable=True)
    route = world.begun(THERE)
    seqs = [world.keep(bytes(1_400)).seq for _ in range(MAX_BACKLOG)]
    now = 0.0
    for _ in range(200):
        del route.socket.sent[:]
        now += 0.01
        route.reported(report(seqs[0], route.sender.position, [(seqs[0], seqs[-1] + 1)]), now)
        if route.passage.size == LEAST:
            break
    assert all(len(datagram) <= LEAST for datagram in route.socket.sent[-MAX_BACKLOG:])
    assert {frame.kind for frame in map(read, route.socket.sent)} == {Kind.FRAGMENT, Kind.POLL}
    assert route.max_body == LEAST - OVERHEAD, "new messages go in smaller datagrams too"


def test_of_a_small_message_that_came_in_part_the_rest_is_sent_again():
    world = World(reliable=True)
    route = world.begun(THERE)
    seq = world.keep(bytes(1_400)).seq
    route.passage.size = LEAST
    route.missing(read(pack_frame(Kind.MISSING, NUMBER, seq, SUBSCRIBER, pack_missing(1, b"\x01"))), 0.01)
    assert [unpack_fragment(frame)[1] for frame in sent(route, Kind.FRAGMENT)] == [1]


def test_a_latecomer_gets_what_is_kept_from_its_first_number_on():
    world = World(reliable=True)
    for number in range(5):
        world.keep(b"%d" % number)
    route = world.begun(first=4)
    assert [(frame.seq, bytes(frame.body)) for frame in sent(route, Kind.DATA)] == [(4, b"3"), (5, b"4")]
    assert sent(route, Kind.START)[0].seq == 4
    assert route.stats().handed == 2


def test_a_poll_says_what_was_sent_and_what_can_still_be_had():
    world = World(reliable=True)
    route = world.begun()
    for _ in range(3):
        world.keep(b"x")
    route.poll()
    (poll,) = sent(route, Kind.POLL)
    assert (poll.source, poll.seq, POLL_BODY.unpack(poll.body)) == (NUMBER, 3, (0, 1))


def test_a_poll_of_a_best_effort_publisher_says_that_nothing_is_kept():
    world = World()
    route = world.begun()
    world.framing.batch([b"a", b"b"])
    route.poll()
    (poll,) = sent(route, Kind.POLL)
    assert (poll.seq, POLL_BODY.unpack(poll.body)) == (2, (0, 3))


def test_fragments_that_are_missing_are_sent_again():
    world = World()
    route = world.begun(THERE)
    route.owe(large(world.framing, 3000), 0.0)
    count = len(sent(route, Kind.FRAGMENT))
    route.reported(report(1, route.sender.position), 0.01)
    route.missing(read(pack_frame(Kind.MISSING, NUMBER, 1, SUBSCRIBER, pack_missing(1, b"\1"))), 0.01)
    again = sent(route, Kind.FRAGMENT)[count:]
    assert [unpack_fragment(frame).number for frame in again] == [1]
    assert route.stats().retransmitted == 1


def test_a_way_on_this_host_is_lossy_only_once_something_got_lost():
    """A poll in the midst of a message is answered with what is missing of it, though all of that is on its way."""
    world = World()
    route = world.begun()
    message = large(world.framing, 70_000)
    route.owe(message, 0.0)
    missing = read(pack_frame(Kind.MISSING, NUMBER, message.seq, SUBSCRIBER, pack_missing(1, b"\1")))
    route.missing(missing, 0.01)
    assert not route.sender.lossy and route.stats().retransmitted == 0
    route.reported(report(message.seq, route.sender.position), 0.02)
    route.missing(missing, 0.02)
    assert route.sender.lossy and route.stats().retransmitted == 1


def test_of_a_kept_message_that_is_owed_no_more_only_what_is_missing_is_sent_again():
    world = World(reliable=True)
    route = world.begun(THERE)
    message = large(world.framing, 3000)
    world.reliable.add(message, 0.0)
    route.missing(read(pack_frame(Kind.MISSING, NUMBER, 1, SUBSCRIBER, pack_missing(2, b"\1"))), 0.01)
    assert [unpack_fragment(frame).number for frame in sent(route, Kind.FRAGMENT)] == [2]


@pytest.mark.parametrize("address", [HERE, THERE])
def test_a_large_message_is_owed_until_it_has_arrived(address):
    world = World()
    route = world.begun(address)
    message = large(world.framing, 70_000)
    route.owe(message, 0.0)
    assert not route.sender.busy and route.sender.owes(message.seq)
    route.reported(report(message.seq + 1, route.sender.position), 0.001)
    assert not route.sender.owes(message.seq)


@pytest.mark.parametrize(("kind", "take"), [(Kind.REPORT, Route.reported), (Kind.MISSING, Route.missing)])
def test_an_answer_without_a_right_body_changes_nothing(kind, take):
    world = World()
    route = world.begun()
    world.framing.batch([b"a"])
    before = route.stats()
    with pytest.raises(Malformed):
        take(route, read(pack_frame(kind, NUMBER, 1, SUBSCRIBER, b"x")), 0.0)
    assert route.stats() == before and route.behind and not route.sender.lossy


def test_at_another_address_the_counts_go_on():
    world = World()
    old = world.begun()
    world.framing.batch([b"a", b"b", b"c"])
    new = world.route(THERE)
    new.take_over(old)
    world.framing.batch([b"while nobody could be reached"])
    assert new.matched and new.heard_at == old.heard_at == 0
    assert new.stats().handed == 3


def test_a_subscriber_that_leaves_challenges_unanswered_is_sent_no_more_and_its_counts_stay():
    world = World()
    route = world.begun()
    route.match.started(read(pack_frame(Kind.STARTED, NUMBER, SUBSCRIBER, 99, b"")))
    world.framing.batch([b"a", b"b"])
    route.match.verify(1.0)
    stopped = [route.handle_timer(1.0 + 0.1 * step) for step in range(10)]
    assert stopped.count(True) == 1
    assert not route.match.open
    world.framing.batch([b"c"])
    assert route.stats().handed == 2


def test_a_challenge_that_the_system_refuses_is_sent_again_in_time():
    route = World().route()
    route.socket.refusals = 1
    assert not route.handle_timer(0.0)
    assert route.socket.sent == []
    assert not route.handle_timer(route.next_timer())
    assert [read(datagram).kind for datagram in route.socket.sent] == [Kind.PROBE]


def test_what_a_message_may_have_depends_on_the_way():
    world = World()
    assert (world.route(HERE).local, world.route(THERE).local) == (True, False)
    assert world.route(THERE).max_body == LAN_DATAGRAM - 36  # 32 of the header, 4 of the check


# -- shared memory -----------------------------------------------------------------------------------------------------


def test_the_counts_of_messages_in_shared_memory_go_on_over_matches_and_addresses():
    world = World()
    route = world.begun()
    route.sharing.count, route.sharing.retransmitted = 3, 2
    assert (route.stats().shared, route.stats().retransmitted) == (3, 2)
    route.begin(1, 0.0)
    assert route.sharing.count == 0
    route.sharing.count = 1
    assert (route.stats().shared, route.stats().retransmitted) == (4, 2)
    moved = world.route(("127.0.0.1", 4002))
    moved.take_over(route)
    assert (moved.stats().shared, moved.stats().retransmitted) == (4, 2)


def test_a_poll_of_a_best_effort_topic_names_what_can_still_be_had_in_shared_memory():
    world = World()
    route = world.begun()
    world.framing.batch([b"x"] * 5)
    route.poll()
    world.memory.shelf.append(large(world.framing, 40_000))
    route.poll()
    assert [POLL_BODY.unpack(frame.body)[1] for frame in sent(route, Kind.POLL)] == [6, 6]
    world.framing.batch([b"x"])
    route.poll()
    assert POLL_BODY.unpack(sent(route, Kind.POLL)[-1].body)[1] == 6, "the message on the shelf"
    world.memory.forget_before(7)
    route.poll()
    assert POLL_BODY.unpack(sent(route, Kind.POLL)[-1].body)[1] == 8


def test_what_a_report_asks_for_and_nobody_takes_from_shared_memory_is_sent_in_fragments():
    world = World()
    route = world.begun()
    message = large(world.framing, 40_000)
    world.memory.shelf.append(message)
    route.reported(report(1, 0, [(1, 2)]), 0.0)
    assert {frame.seq for frame in sent(route, Kind.FRAGMENT)} == {1} and sent(route, Kind.PLACED) == []


# -- runs, sent in C ---------------------------------------------------------------------------------------------------


class Running(Socket):
    """A made-up socket that sends runs, with what they were."""

    def __init__(self, refuses_from=None):
        super().__init__(THERE, deque())
        self.runs, self.run_lengths, self.refuses_from = True, [], refuses_from

    def send_run(self, common, number, data):
        if len(self.run_lengths) == self.refuses_from:
            self.runs = False
            return False
        _, codec, source, seq, sent_ns, total = heads._COMMON.unpack(common)
        part = Place(source, seq, sent_ns, codec & 0xFFFF, total, codec >> 16)
        parts = [data[at : at + part.size] for at in range(0, len(data), part.size)]
        self.run_lengths.append(len(parts))
        for index, each in enumerate(parts, number):
            self.send(pack_fragment(part, index * part.size, [each]) + each)
        return True


@pytest.mark.parametrize("refuses_from", [None, 0, 1])
@pytest.mark.parametrize(
    ("parts", "runs"),
    [
        ([40_000], [41]),  # 40 whole fragments and one of 0 to 999 bytes
        ([20, 40_000], [40]),  # the first lies in both
        ([12_345, 27_655], [12, 28]),  # so does the 13th
        ([1_500] * 27, []),  # few in each: all together
        ([37_500, 2_500], [37, 3]),  # few, but the last
    ],
)
def test_fragments_that_lie_in_one_part_go_as_runs_and_the_others_as_ever(parts, runs, refuses_from):
    body = bytes(range(256)) * 160
    views, at = [], 0
    for size in parts:
        views.append(memoryview(body)[at : at + size])
        at += size
    message = Outgoing(Place(NUMBER, 1, SENT_NS, RAW, at, 999), views)
    socket = Running(refuses_from)
    _send_fragments(socket, message, range(message.count))
    assert socket.sent == [b"".join(each) for each in message.fragments(range(message.count))]
    assert socket.run_lengths == runs[:refuses_from]
