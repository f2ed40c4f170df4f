"""Delivery: who came, who answered, who went, and the end; dialogues in one thread, on a made-up clock."""

from __future__ import annotations

import pytest

from ipcpy.protocol.data.matching import TYPES_DIFFER
from ipcpy.protocol.data.reports import pack_missing, pack_report
from ipcpy.protocol.wire import Kind, pack_frame
from surroundings import NUMBER, WINDOW, Listener, Surroundings, endpoint

HERE, THERE = ("127.0.0.1", 4001), ("10.0.0.9", 4001)
REPORT = pack_report(2, WINDOW, [])  # the first message is there


@pytest.fixture
def world():
    return Surroundings()


def numbers(listener, kind=Kind.DATA):
    return [frame.seq for frame in listener.of_kind(kind)]


def test_a_subscriber_is_sent_data_once_it_has_answered_and_not_before(world):
    delivery, dispatch = world.deliver()
    listener = Listener(1, HERE)
    listener.silent = True
    world.listeners[HERE] = listener
    delivery.subscriber_found(1, endpoint(1), HERE)
    world.run(1.0)
    assert dispatch.one(b"to nobody") == 0
    listener.silent = False
    world.run(1.0)
    assert dispatch.one(b"to it") == 1
    world.run()
    assert listener.bodies == [b"to it"]
    assert numbers(listener, Kind.START) == [2]


def test_a_subscriber_that_refuses_is_sent_nothing(world):
    delivery, dispatch = world.deliver()
    listener = world.listen(1, verdict=TYPES_DIFFER)
    world.run(1.0)
    assert dispatch.one(b"body") == 0
    world.run(1.0)
    assert listener.bodies == [] and delivery.outlet.confirmed() == 0


@pytest.mark.parametrize(("keep", "expected"), [(0, [6]), (3, [3, 4, 5, 6]), (100, [1, 2, 3, 4, 5, 6])])
def test_a_latecomer_gets_what_is_kept_for_it_first(world, keep, expected):
    _, dispatch = world.deliver(keep=keep)
    for number in range(5):
        dispatch.one(b"%d" % number)
    listener = world.listen(1)
    world.run()
    dispatch.one(b"live")
    world.run()
    assert numbers(listener) == expected


@pytest.mark.parametrize(("block", "expected"), [(1.0, [3, 4, 5]), (0.0, [5])])
def test_a_reliable_topic_loses_nothing_while_a_subscriber_is_being_matched(world, block, expected):
    _, dispatch = world.deliver(reliable=True, block=block)
    dispatch.many([b"before", b"before"])
    listener = world.listen(1)
    dispatch.many([b"meanwhile", b"meanwhile"])
    world.run()
    dispatch.one(b"live")
    world.run()
    assert numbers(listener) == expected


def test_what_a_subscriber_asks_for_is_sent_again_to_it_alone(world):
    delivery, dispatch = world.deliver(reliable=True)
    first, second = world.listen(1), world.listen(2)
    world.run()
    for number in range(4):
        dispatch.one(b"%d" % number)
    first.missing = [(2, 4)]
    world.run(1.0)
    assert numbers(first) == [1, 2, 3, 4, 2, 3]
    assert numbers(second) == [1, 2, 3, 4]
    assert delivery.outlet.stats().retransmitted == 2


def test_what_is_asked_for_by_reports_that_lay_there_together_is_sent_again_once(world, monkeypatch):
    """A subscriber that was stopped answers all polls at once, and to send much again takes a publisher a while."""
    delivery, dispatch = world.deliver(reliable=True)
    listener = world.listen(1)
    world.run()
    dispatch.one(b"a")
    world.run(1.0)
    send = world.sockets[listener.address].send

    def slowly(data):
        world.now += 0.01
        send(data)

    monkeypatch.setattr(world.sockets[listener.address], "send", slowly)
    dispatch.one(b"b")
    report = pack_frame(Kind.REPORT, NUMBER, 1, 0, pack_report(2, WINDOW, [(2, 3)]))
    for _ in range(5):
        delivery.receive_datagram(report, listener.address)
    assert delivery.outlet.stats().retransmitted == 1
    world.now += 0.01
    delivery.receive_datagram(report, listener.address)
    assert delivery.outlet.stats().retransmitted == 2


def test_a_subscriber_at_another_address_is_matched_anew_and_its_counts_go_on(world):
    delivery, dispatch = world.deliver()
    world.listen(1, HERE)
    world.run()
    dispatch.many([b"a", b"b"])
    moved = world.listen(1, THERE)
    world.run()
    dispatch.one(b"c")
    world.run()
    assert moved.bodies == [b"c"]
    assert world.released == [HERE]
    assert delivery.outlet.stats().subscribers[f"{1:016x}"].handed == 3


def test_the_counts_of_a_subscriber_to_which_there_is_no_way_any_more_stay(world):
    delivery, dispatch = world.deliver()
    world.listen(1, HERE)
    world.run()
    dispatch.many([b"a", b"b"])
    world.no_way.add(THERE)
    delivery.subscriber_found(1, endpoint(1), THERE)
    assert dispatch.one(b"c") == 0
    assert delivery.outlet.stats().handed == 2
    world.no_way.clear()
    back = world.listen(1, THERE)
    world.run()
    assert dispatch.one(b"d") == 1
    world.run()
    assert back.bodies == [b"d"]
    assert delivery.outlet.stats().handed == 3


def test_a_reliable_topic_goes_on_without_a_subscriber_to_which_there_is_no_way_any_more(world):
    _, dispatch = world.deliver(reliable=True)
    world.listen(1, HERE)
    stays = world.listen(2)
    world.run()
    dispatch.one(b"a")
    world.no_way.add(THERE)
    world.listen(1, THERE)
    assert dispatch.one(b"b") == 1
    world.run(60.0)
    assert stays.bodies == [b"a", b"b"]


def test_what_a_subscriber_lacks_when_it_is_matched_anew_is_sent_again_and_not_counted_twice(world):
    delivery, dispatch = world.deliver(reliable=True)
    listener = world.listen(1, HERE)
    listener.reports = False
    world.run()
    dispatch.many([b"a", b"b"])
    listener.silent = True
    delivery.verify(HERE)
    world.run(5.0)
    dispatch.one(b"while it was away")
    listener.silent, listener.reports = False, True
    world.run(5.0)
    assert numbers(listener)[-3:] == [1, 2, 3]
    stats = delivery.outlet.stats()
    assert (stats.published, stats.handed, stats.retransmitted) == (3, 2, 3)


def test_a_socket_is_released_with_the_last_subscriber_at_its_address(world):
    delivery, _ = world.deliver()
    for number in (1, 2):
        world.listen(number, HERE)
    delivery.subscriber_lost(1)
    assert world.released == []
    delivery.subscriber_lost(2)
    delivery.subscriber_lost(2)
    assert world.released == [HERE]


def test_a_subscriber_whose_host_says_that_nobody_listens_is_believed_if_it_answers_challenges(world):
    delivery, dispatch = world.deliver()
    listener = world.listen(1, HERE)
    world.run()
    delivery.verify(HERE)
    assert dispatch.one(b"meanwhile") == 1
    world.run(5.0)
    assert dispatch.one(b"still") == 1
    listener.silent = True
    delivery.verify(HERE)
    world.run(5.0)
    assert dispatch.one(b"gone") == 0
    listener.silent = False
    world.run(5.0)
    assert dispatch.one(b"back") == 1
    world.run()
    assert listener.bodies == [b"meanwhile", b"still", b"back"]
    assert delivery.outlet.stats().handed == 3


@pytest.mark.parametrize(
    ("data", "address"),
    [
        (b"no frame at all", HERE),
        (pack_frame(Kind.REPORT, NUMBER, 1, 0, b"no report"), HERE),
        (pack_frame(Kind.MISSING, NUMBER, 1, 1, b""), HERE),
        (pack_frame(Kind.REPORT, NUMBER + 1, 1, 0, bytes(12)), HERE),
        (pack_frame(Kind.REPORT, NUMBER, 2, 0, bytes(12)), HERE),
        (pack_frame(Kind.REPORT, NUMBER, 1, 0, REPORT), THERE),
        (pack_frame(Kind.STARTED, NUMBER, 1, 0), THERE),
        (pack_frame(Kind.ANSWER, NUMBER, 1, 0, bytes(16)), THERE),
    ],
    ids=[
        *("garbage", "no report", "no bitmap", "another publisher", "another subscriber"),
        *("report from elsewhere", "started from elsewhere", "answer from elsewhere"),
    ],
)
def test_what_is_no_answer_of_a_subscriber_from_its_address_changes_nothing(world, data, address):
    delivery, dispatch = world.deliver(reliable=True)
    world.listen(1, HERE)
    world.run()
    dispatch.one(b"body")
    before = delivery.outlet.stats(), delivery.outlet.ways, delivery.outlet.routes[0].acknowledged
    sent = len(world.sockets[HERE].sent)
    delivery.receive_datagram(data, address)
    assert (delivery.outlet.stats(), delivery.outlet.ways, delivery.outlet.routes[0].acknowledged) == before
    assert len(world.sockets[HERE].sent) == sent


def test_the_right_frames_before_a_wrong_one_are_taken(world):
    delivery, dispatch = world.deliver()
    world.listen(1, HERE).reports = False
    world.run()
    dispatch.one(b"body")
    delivery.receive_datagram(pack_frame(Kind.REPORT, NUMBER, 1, 0, REPORT) + b"no frame at all", HERE)
    assert delivery.outlet.routes[0].acknowledged == 1


def test_closing_withdraws_the_topic_and_releases_everything_once(world):
    delivery, dispatch = world.deliver(reliable=True)
    for number, address in ((1, HERE), (2, THERE)):
        world.listen(number, address)
    world.run()
    dispatch.one(b"body")
    before = delivery.outlet.stats()
    delivery.close()
    delivery.close()
    world.run(60.0)
    assert world.withdrawn == [NUMBER]
    assert sorted(world.released) == sorted([HERE, THERE])
    assert (delivery.outlet.ways, delivery.outlet.routes, delivery.outlet.reliable) == ((), (), None)
    assert delivery.outlet.closed and not delivery.outlet.usable
    assert delivery.outlet.stats() == before


def test_nobody_who_comes_after_the_end_is_challenged(world):
    delivery, _ = world.deliver()
    delivery.close()
    listener = world.listen(1)
    world.run(10.0)
    assert listener.heard == []


def test_it_may_be_forgotten_where_its_lock_is_held(world):
    delivery, _ = world.deliver()
    with delivery.outlet.monitor.lock:
        delivery.forget()
        assert world.withdrawn == [NUMBER] and delivery.outlet.usable, "closed as soon as the lock is free"
    world.run()
    assert not delivery.outlet.usable
    withdrawn = list(world.withdrawn)
    delivery.forget()
    world.run()
    assert world.withdrawn == withdrawn and set(withdrawn) == {NUMBER}


def test_what_is_forgotten_where_nobody_holds_the_lock_is_closed_at_once(world):
    delivery, _ = world.deliver()
    delivery.forget()
    assert not delivery.outlet.usable and set(world.withdrawn) == {NUMBER}


def test_what_a_forked_child_has_left_behind_is_closed_without_a_word(world):
    delivery, dispatch = world.deliver()
    world.listen(1, HERE)
    world.run()
    dispatch.one(b"body")
    sent = len(world.sockets[HERE].sent)
    delivery.abandon()
    delivery.forget()
    delivery.close()
    world.run(60.0)
    assert delivery.outlet.closed
    assert (world.withdrawn, world.released, len(world.sockets[HERE].sent)) == ([], [], sent)


def test_a_topic_is_announced_anew_with_its_group(world):
    delivery, _ = world.deliver(multicast=True, keep=2)
    world.interfaces = {HERE[0]: 3}
    world.listen(1, HERE)
    world.run()
    plain, with_group = world.entries
    assert (plain.topic, plain.keep, plain.group, plain.group_port) == ("topic", 2, "", 0)
    assert with_group.group.startswith("239.255.") and 20_000 <= with_group.group_port < 30_000
    assert (with_group.topic, with_group.keep) == ("topic", 2)


def test_multicast_begins_anew_when_the_interfaces_are_others(world):
    delivery, dispatch = world.deliver(multicast=True)
    world.interfaces = {HERE[0]: 3}
    listener = world.listen(1, HERE)
    world.run()
    (before,) = world.groups
    delivery.network_changed()
    assert before.closed
    assert len(world.groups) == 2 and not world.groups[1].closed
    assert dispatch.one(b"by unicast meanwhile") == 1
    world.run()
    assert listener.bodies == [b"by unicast meanwhile"]
    delivery.close()
    assert world.groups[1].closed


def test_what_is_published_in_the_io_thread_while_it_holds_the_lock_goes_out_once_that_is_done(world):
    """As by a handler of the log, in which something is said in the midst of other work."""
    delivery, dispatch = world.deliver(reliable=True)
    listener = world.listen(1)
    world.run()
    missing, said = delivery.outlet.by_number[1].missing, []

    def say(frame, now):
        missing(frame, now)
        said.append(dispatch.one(b"said"))

    delivery.outlet.by_number[1].missing = say
    dispatch.one(b"before")
    frame = pack_frame(Kind.MISSING, NUMBER, 1, 1, pack_missing(0, b"\1"))
    delivery.receive_datagram(frame, listener.address)
    assert said == [1]
    world.run(1.0)
    assert delivery.outlet.stats().published == 2


@pytest.mark.parametrize("how", ["close", "forget"])
def test_what_an_exception_from_outside_has_left_open_is_closed(world, monkeypatch, how):
    delivery, _ = world.deliver()

    def interrupt():
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(world, "in_thread", interrupt)
    with pytest.raises(KeyboardInterrupt):
        delivery.close()
    if how == "forget":
        delivery.forget()
    world.run()
    assert delivery.outlet.withdrawn and set(world.withdrawn) == {NUMBER}


@pytest.mark.parametrize("size", [10, 300_000])
def test_a_timeout_error_that_a_signal_handler_raised_in_the_midst_of_sending_is_raised(world, size):
    delivery, dispatch = world.deliver()
    world.listen(1, HERE)
    world.run()
    socket = world.sockets[HERE]
    send, sent = socket.send, []

    def interrupted(data):
        socket.send = send
        socket.send(data)
        sent.append(data)
        raise TimeoutError("as the handler of a program's alarm does")

    socket.send = interrupted
    delivery.outlet.rebuild()
    with pytest.raises(TimeoutError, match="alarm"):
        dispatch.one(bytes(size))
    delivery.outlet.rebuild()
    assert socket.sent.count(sent[0]) == 1, "the system refused nothing, so it was not sent again"
    assert next(iter(delivery.outlet.stats().subscribers.values())).refused == 0


@pytest.mark.parametrize("moment", ["owe", "send"])
def test_what_arrived_of_a_large_message_is_asked_though_an_exception_from_outside_interrupted_it(world, moment):
    delivery, dispatch = world.deliver()
    listener = world.listen(1, HERE)
    world.run()
    socket, route = world.sockets[HERE], delivery.outlet.routes[0]
    where, name = (socket, "send_many") if moment == "send" else (route, "pump")
    interrupted = getattr(where, name)

    def interrupt(*_):
        setattr(where, name, interrupted)
        raise KeyboardInterrupt

    setattr(where, name, interrupt)
    with pytest.raises(KeyboardInterrupt):
        dispatch.one(bytes(300_000))
    world.run(1.0)
    assert listener.of_kind(Kind.POLL), "else nobody would ever know that it is missing"


# -- shared memory -----------------------------------------------------------------------------------------------------

LIMIT = 64 << 20
LARGE = bytes(range(200)) * 500  # 100,000 bytes


@pytest.fixture
def sharing():
    pytest.importorskip("fcntl")
    world = Surroundings(LIMIT)
    yield world
    world.close()


def shared(delivery, number=1):
    return delivery.outlet.stats().subscribers[f"{number:016x}"].shared


def test_memory_is_offered_with_the_first_large_message_and_used_for_the_next(sharing):
    delivery, dispatch = sharing.deliver()
    listener = sharing.listen(1)
    sharing.run()
    dispatch.many([b"small"] * 10)
    sharing.run(1.0)
    assert sharing.handovers.connections == []
    dispatch.one(LARGE)
    sharing.run(1.0)
    assert len(sharing.handovers.connections) == 1 and listener.of_kind(Kind.FRAGMENT) and not listener.placed
    fragments = len(listener.of_kind(Kind.FRAGMENT))
    dispatch.one(LARGE)
    sharing.run(1.0)
    assert listener.taken == {12: LARGE} and len(listener.of_kind(Kind.FRAGMENT)) == fragments
    assert shared(delivery) == 1 and delivery.outlet.stats().shared == 1


def test_who_comes_later_is_offered_memory_as_soon_as_it_is_matched(sharing):
    delivery, dispatch = sharing.deliver()
    first = sharing.listen(1)
    sharing.run()
    dispatch.one(LARGE)
    sharing.run(1.0)
    second = sharing.listen(2)
    sharing.run(1.0)
    dispatch.one(LARGE)
    sharing.run(1.0)
    assert first.taken == second.taken == {2: LARGE}
    assert second.of_kind(Kind.FRAGMENT) == [] and shared(delivery, 2) == 1


def test_who_is_on_another_host_is_offered_none(sharing):
    delivery, dispatch = sharing.deliver()
    here, there = sharing.listen(1), sharing.listen(2, ("10.0.0.9", 0))
    sharing.run()
    for _ in range(2):
        dispatch.one(LARGE)
        sharing.run(1.0)
    assert len(sharing.handovers.connections) == 1
    assert here.taken == {2: LARGE} and not there.placed
    assert {frame.seq for frame in there.of_kind(Kind.FRAGMENT)} == {1, 2}
    assert (shared(delivery, 1), shared(delivery, 2)) == (1, 0)


def test_who_takes_no_memory_is_not_asked_again_and_gets_everything_by_udp(sharing):
    delivery, dispatch = sharing.deliver()
    listener = sharing.listen(1)
    sharing.run()
    sharing.handovers.refuses = True
    dispatch.one(LARGE)
    sharing.run(1.0)
    sharing.handovers.refuses = False
    dispatch.one(LARGE)
    sharing.run(1.0)
    assert not listener.placed and {frame.seq for frame in listener.of_kind(Kind.FRAGMENT)} == {1, 2}
    assert sharing.handovers.connections == [] and delivery.outlet.stats().shared == 0
    assert delivery.outlet.small == delivery.outlet.max_body, "what fits a datagram goes in one again"


def test_where_the_subscribers_node_is_busy_memory_is_offered_later(sharing):
    _, dispatch = sharing.deliver()
    listener = sharing.listen(1)
    sharing.run()
    sharing.handovers.crowded = 2
    dispatch.one(LARGE)
    sharing.run(0.05)
    assert sharing.handovers.crowded == 1
    sharing.run(1.0)
    assert sharing.handovers.crowded == 0
    dispatch.one(LARGE)
    sharing.run(1.0)
    assert listener.taken == {2: LARGE}


def test_a_subscriber_whose_connection_ends_gets_what_follows_by_udp(sharing):
    delivery, dispatch = sharing.deliver()
    listener = sharing.listen(1)
    sharing.run()
    for _ in range(2):
        dispatch.one(LARGE)
        sharing.run(1.0)
    assert listener.taken == {2: LARGE}
    listener.taker.close()
    sharing.run(1.0)
    dispatch.one(LARGE)
    sharing.run(1.0)
    assert listener.placed == [2] and 3 in {frame.seq for frame in listener.of_kind(Kind.FRAGMENT)}
    assert delivery.outlet.memory.segments.areas == [], "nobody takes it: the memory is given back"


def test_a_subscriber_that_is_matched_anew_is_offered_memory_anew(sharing):
    _, dispatch = sharing.deliver()
    sharing.listen(1, HERE)
    sharing.run()
    dispatch.one(LARGE)
    sharing.run(1.0)
    moved = sharing.listen(1, ("127.0.0.1", 4002))
    sharing.run(1.0)
    assert len(sharing.handovers.connections) == 2
    dispatch.one(LARGE)
    sharing.run(1.0)
    assert moved.taken == {2: LARGE}


def test_the_end_of_the_publisher_ends_the_connections_and_leaves_what_is_held(sharing):
    delivery, dispatch = sharing.deliver()
    listener = sharing.listen(1)
    listener.holds = True
    sharing.run()
    for _ in range(2):
        dispatch.one(LARGE)
        sharing.run(1.0)
    delivery.close()
    sharing.run()
    (connection,) = sharing.handovers.connections
    assert connection.fileno() == -1 and bytes(listener.held[0]) == LARGE
    assert delivery.outlet.memory.segments.areas == []


# -- what is kept for latecomers


def test_a_large_message_that_is_kept_waits_until_the_latecomer_has_taken_memory(sharing):
    delivery, dispatch = sharing.deliver(reliable=True, keep=2)
    sharing.listen(1)
    sharing.run()
    for _ in range(3):
        dispatch.one(LARGE)
        sharing.run(1.0)
    late = sharing.listen(2)
    late.expects = (2, 3)
    sharing.run(1.0)
    assert late.taken == {2: LARGE, 3: LARGE} and late.of_kind(Kind.FRAGMENT) == []
    assert delivery.outlet.stats().subscribers[f"{2:016x}"].shared == 2


def test_what_was_published_before_anybody_took_memory_is_placed_for_a_latecomer(sharing):
    _, dispatch = sharing.deliver(keep=1)
    first = sharing.listen(1)
    sharing.run()
    dispatch.one(LARGE)
    sharing.run(1.0)
    assert not first.placed
    late = sharing.listen(2)
    late.expects = (1,)
    sharing.run(1.0)
    assert late.taken == {1: LARGE} and late.of_kind(Kind.FRAGMENT) == []


def test_where_a_latecomer_takes_no_memory_what_has_waited_comes_by_udp(sharing):
    _, dispatch = sharing.deliver(reliable=True, keep=1)
    sharing.listen(1)
    sharing.run()
    dispatch.one(LARGE)
    sharing.run(1.0)
    sharing.handovers.refuses = True
    late = sharing.listen(2)
    late.expects = (1,)
    sharing.run(1.0)
    assert not late.placed and {frame.seq for frame in late.of_kind(Kind.FRAGMENT)} == {1}
