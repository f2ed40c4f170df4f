"""Outlet: whom a frame goes to and how, what is counted, heartbeats."""

from __future__ import annotations

import gc
import threading

import pytest

from ipcpy.protocol.data.places import PLACED_FROM
from ipcpy.protocol.data.reports import POLL_BODY
from ipcpy.protocol.wire import MAX_BODY, Kind
from ipcpy.publishing.memory import SHELF
from ipcpy.publishing.outlet import SLACK
from surroundings import LAN_DATAGRAM, LOCAL_DATAGRAM, Surroundings

THERE = ("10.0.0.9", 0)
HEADER_AND_CHECK = 36


@pytest.fixture
def world():
    return Surroundings()


def test_a_message_is_handed_to_every_subscriber(world):
    delivery, dispatch = world.deliver()
    listeners = [world.listen(number) for number in (1, 2)]
    world.run()
    assert delivery.outlet.confirmed() == 2
    assert dispatch.one(b"body") == 2
    world.run()
    assert [listener.bodies for listener in listeners] == [[b"body"], [b"body"]]


def test_a_subscriber_that_the_system_refuses_is_not_counted_as_handed(world):
    delivery, dispatch = world.deliver()
    listeners = [world.listen(number) for number in (1, 2)]
    world.run()
    world.sockets[listeners[0].address].refusals = 2
    assert dispatch.one(b"body") == 1
    stats = delivery.outlet.stats()
    assert (stats.handed, stats.refused, stats.published, stats.bytes) == (1, 1, 1, 4)
    assert stats.subscribers[f"{1:016x}"].refused == 1


def test_a_frame_has_room_for_what_every_way_takes_and_needs_a_check_where_one_leaves_the_host(world):
    delivery, _ = world.deliver()
    outlet = delivery.outlet
    assert outlet.max_body == MAX_BODY
    world.listen(1)
    world.run()
    assert (outlet.max_body, outlet.needs_check) == (LOCAL_DATAGRAM - HEADER_AND_CHECK, False)
    world.listen(2, THERE)
    world.run()
    assert (outlet.max_body, outlet.needs_check) == (LAN_DATAGRAM - HEADER_AND_CHECK, True)
    delivery.subscriber_lost(2)
    assert (outlet.max_body, outlet.needs_check) == (LOCAL_DATAGRAM - HEADER_AND_CHECK, False)


def test_the_counts_of_a_subscriber_that_left_stay(world):
    delivery, dispatch = world.deliver()
    world.listen(1)
    world.run()
    dispatch.many([b"a", b"b"])
    delivery.subscriber_lost(1)
    assert dispatch.many([b"c"]) == 0
    stats = delivery.outlet.stats()
    assert (stats.published, stats.handed) == (3, 2)
    assert stats.subscribers[f"{1:016x}"].handed == 2


def polls(listener):
    return [frame.seq for frame in listener.of_kind(Kind.POLL)]


def test_some_time_after_the_last_message_those_who_have_not_acknowledged_it_are_asked(world):
    _, dispatch = world.deliver()
    listener = world.listen(1)
    listener.reports = False
    world.run(1.0)
    dispatch.one(b"body")
    world.run(0.099)
    assert polls(listener) == []
    world.run(0.002)
    assert polls(listener) == [1]
    world.run(0.5)
    assert polls(listener) == [1, 1]
    world.run(20.0)
    assert polls(listener) == [1] * 12  # every two seconds, as long as it does not answer
    listener.reports = True
    world.run(60.0)
    assert polls(listener) == [1] * 13


def test_heartbeats_end_once_all_have_acknowledged_and_begin_anew_with_the_next_message(world):
    delivery, dispatch = world.deliver()
    listener = world.listen(1)
    world.run(1.0)
    for number in (1, 2):
        dispatch.one(b"body")
        assert delivery.outlet.beating
        world.run(60.0)
        assert not delivery.outlet.beating
        assert polls(listener) == list(range(1, number + 1))


def test_heartbeats_need_nothing_but_their_start(world):
    delivery, dispatch = world.deliver()
    listener = world.listen(1)
    world.run()
    dispatch.one(b"body")
    world.run(60.0)
    listener.heard.clear()
    delivery.outlet.start_beating()
    assert delivery.outlet.beating
    world.run(0.2)
    assert not delivery.outlet.beating and listener.heard == []  # it has acknowledged everything


@pytest.mark.parametrize(("address", "slack"), [(("127.0.0.1", 0), SLACK), (THERE, 0.0)])
def test_the_rest_of_a_large_message_is_not_worth_waking_a_thread_where_nothing_gets_lost(world, address, slack):
    _, dispatch = world.deliver()
    listener = world.listen(1, address)
    world.run(1.0)
    listener.reports = False
    dispatch.one(bytes(600_000))
    (alarm,) = world.alarms
    assert alarm.due < world.now + 0.1  # before the heartbeat
    assert alarm.slack == slack
    world.run(0.06)
    assert len(polls(listener)) > 1  # nobody answers: it asks again


def test_no_clock_is_read_for_a_small_message_while_heartbeats_run(world):
    delivery, dispatch = world.deliver()
    world.listen(1)
    world.run()
    dispatch.one(b"body")
    assert delivery.outlet.beating
    looks = world.looks
    assert delivery.outlet.send(b"frame") == 1
    assert world.looks == looks


def test_what_a_reliable_topic_keeps_is_polled_for_until_it_is_acknowledged(world):
    delivery, dispatch = world.deliver(reliable=True)
    listener = world.listen(1)
    listener.reports = False
    world.run()
    dispatch.one(b"body")
    world.run(0.05)
    asked = len(polls(listener))
    assert asked > 0
    listener.reports = True
    world.run(10.0)
    assert all(route.acknowledged == 1 for route in delivery.outlet.routes)
    settled = len(polls(listener))
    world.run(100.0)
    assert len(polls(listener)) == settled


def test_a_forked_child_forgets_everything_though_another_thread_held_the_lock(world):
    delivery, dispatch = world.deliver(reliable=True)
    world.listen(1)
    world.run()
    dispatch.one(b"body")
    outlet = delivery.outlet
    lock = outlet.monitor.lock
    lock.acquire()
    delivery.abandon()
    assert not outlet.usable and not outlet.closed
    assert (outlet.ways, outlet.routes, outlet.reliable, outlet.by_number) == ((), (), None, {})
    ended = threading.Thread(target=lambda: (delivery.network_changed(), delivery.subscriber_lost(1)), daemon=True)
    ended.start()
    ended.join(20)
    assert not ended.is_alive()
    lock.release()


def test_it_has_enough_subscribers_once_they_are_matched_or_it_is_closed(world):
    delivery, _ = world.deliver()
    outlet = delivery.outlet
    assert outlet.has(0) and not outlet.has(1)
    world.listen(1)
    world.run()
    assert outlet.has(1) and not outlet.has(2)
    delivery.close()
    assert outlet.has(2), "nobody will come: whoever waits is told so"


# -- shared memory -----------------------------------------------------------------------------------------------------

LARGE = bytes(range(200)) * 500  # 100,000 bytes
MIB = 1 << 20


@pytest.fixture
def sharing():
    pytest.importorskip("fcntl")
    world = Surroundings(64 * MIB)
    yield world
    world.close()


def prepared(world, count=1, *, there=0, **options):
    """Return a delivery, what publishes by it, and listeners of this host that have taken memory, then those of others.

    The first message went to all in fragments.
    """
    delivery, dispatch = world.deliver(**options)
    listeners = [world.listen(number) for number in range(1, count + 1)]
    listeners += [world.listen(count + number, ("10.0.0.9", 0)) for number in range(1, there + 1)]
    world.run()
    dispatch.one(LARGE)
    world.run(2.0)
    return delivery, dispatch, *listeners


def fragments(listener):
    return {frame.seq for frame in listener.of_kind(Kind.FRAGMENT)}


def idle(delivery):
    """Tell whether nothing of the shared memory is in use any more."""
    delivery.outlet.memory.shelf.clear()
    return delivery.outlet.memory.segments.pool.idle


def test_a_message_that_all_take_from_memory_is_one_small_frame_for_each(sharing):
    delivery, dispatch, *listeners = prepared(sharing, 3)
    sockets = [sharing.sockets[listener.address] for listener in listeners]
    before = [len(socket.sent) for socket in sockets]
    assert dispatch.one(LARGE) == 3
    sent = [socket.sent[at:] for socket, at in zip(sockets, before, strict=True)]
    assert all(len(datagrams) == 1 and len(datagrams[0]) < 100 for datagrams in sent)
    sharing.run(1.0)
    assert [listener.taken for listener in listeners] == [{2: LARGE}] * 3
    assert delivery.outlet.stats().shared == 3 and delivery.outlet.stats().handed == 6


def test_who_cannot_take_it_from_memory_gets_it_in_fragments_meanwhile(sharing):
    delivery, dispatch, here, there = prepared(sharing, there=1)
    assert dispatch.one(LARGE) == 2
    sharing.run(1.0)
    assert here.taken == {2: LARGE} and fragments(here) == {1}
    assert not there.placed and fragments(there) == {1, 2}
    assert delivery.outlet.stats().shared == 1


@pytest.mark.parametrize(("size", "shared"), [(PLACED_FROM - 1, False), (PLACED_FROM, True)])
def test_from_32_kib_on_a_message_goes_by_memory_though_a_datagram_would_hold_it(sharing, size, shared):
    delivery, dispatch, listener = prepared(sharing)
    assert delivery.outlet.small == PLACED_FROM - 1 < size + 1 < delivery.outlet.max_body
    dispatch.one(bytes(size))
    sharing.run(1.0)
    assert (2 in listener.taken) == shared and len(listener.bodies) == (not shared)


def test_where_all_best_effort_subscribers_take_memory_they_are_known_at_a_glance(sharing):
    delivery, _, listener = prepared(sharing)
    assert delivery.outlet.sharers == delivery.outlet.routes != ()
    sharing.listen(2, THERE)
    sharing.run()
    assert delivery.outlet.sharers == ()
    delivery.subscriber_lost(2)
    assert delivery.outlet.sharers == delivery.outlet.routes
    listener.taker.close()
    sharing.run()
    assert delivery.outlet.sharers == ()


@pytest.mark.parametrize("there", [0, 1])
@pytest.mark.parametrize("reliable", [False, True])
def test_the_news_of_a_message_that_got_lost_are_sent_again_when_a_report_asks_for_it(sharing, reliable, there):
    delivery, dispatch, listener, *_ = prepared(sharing, reliable=reliable, there=there)
    socket = sharing.sockets[listener.address]
    socket.losing = True
    dispatch.one(LARGE)
    socket.losing = False
    listener.expects = (2,)
    sharing.run(1.0)
    assert listener.taken == {2: LARGE} and listener.placed == [2] and fragments(listener) == {1}
    stats = delivery.outlet.stats().subscribers[f"{1:016x}"]
    assert (stats.handed, stats.shared, stats.retransmitted) == (2, 1, 1)


def test_the_last_messages_of_a_best_effort_topic_can_still_be_had(sharing):
    delivery, dispatch, listener = prepared(sharing)
    socket = sharing.sockets[listener.address]
    socket.losing = True
    last = SHELF + 3
    for number in range(2, last + 1):
        dispatch.one(LARGE + bytes([number]))
    socket.losing = False
    kept = range(last + 1 - SHELF, last + 1)
    listener.expects = kept  # those before it has given up
    sharing.run(1.0)
    assert {number: body[-1] for number, body in listener.taken.items()} == {number: number for number in kept}
    lowest = [POLL_BODY.unpack(poll.body)[1] for poll in listener.of_kind(Kind.POLL) if poll.seq == last]
    assert lowest[0] == kept[0], "the lowest number that could be had was said"
    assert [message.seq for message in delivery.outlet.memory.shelf] == [], "what has been acknowledged is kept no more"


def test_a_message_that_was_taken_and_let_go_of_is_sent_in_fragments_if_it_is_asked_for_again(sharing):
    """The subscriber was interrupted: it cannot take it from there a second time."""
    _, dispatch, listener = prepared(sharing, reliable=True)
    listener.missing = [(2, 3)]
    dispatch.one(LARGE)
    sharing.run(1.0)
    assert listener.placed == [2] and fragments(listener) == {1, 2}


def test_a_subscriber_that_holds_too_much_gets_the_rest_by_udp_and_others_go_on(sharing):
    world = Surroundings(4 * MIB)
    delivery, dispatch, hoarder, other = prepared(world, 2)
    hoarder.holds = True
    for _ in range(60):
        dispatch.one(LARGE)
        world.run(0.5)
    assert len(other.taken) == 60 and 10 <= len(hoarder.taken) <= 20, "half of what there is, and no more"
    assert fragments(hoarder) == {1, *range(2 + len(hoarder.taken), 62)} and fragments(other) == {1}
    hoarder.held.clear()
    dispatch.one(LARGE)
    world.run(0.5)
    assert 62 in hoarder.taken and other.taken[62] == LARGE
    assert delivery.outlet.stats().given_up == 0
    world.close()


def test_memory_is_free_again_once_all_have_let_go_of_it_or_the_news_of_it_got_lost(sharing):
    delivery, dispatch, first, second = prepared(sharing, 2)
    sharing.sockets[first.address].losing = True
    dispatch.one(LARGE)
    assert not idle(delivery)
    sharing.sockets[first.address].losing = False
    sharing.run(5.0)
    assert second.taken == {2: LARGE} and first.taken == {} and idle(delivery)


@pytest.mark.parametrize("reliable", [False, True])
@pytest.mark.parametrize("nth", [0, 1, 2])
def test_an_exception_from_outside_while_subscribers_are_told_loses_no_memory(sharing, nth, reliable):
    delivery, dispatch, *listeners = prepared(sharing, 3, reliable=reliable)
    sharing.sockets[listeners[nth].address].raises = KeyboardInterrupt()
    for listener in listeners:
        listener.expects = (2,)
    with pytest.raises(KeyboardInterrupt):
        dispatch.one(LARGE)
    sharing.run(2.0)
    assert [listener.taken for listener in listeners] == [{2: LARGE}] * 3, "those who were not told ask for it"
    assert dispatch.one(LARGE) == 3
    sharing.run(2.0)
    assert [listener.taken.get(3) for listener in listeners] == [LARGE] * 3
    gc.collect()  # the exception's traceback
    assert reliable or idle(delivery)


COMMON = ("transport.memory.view", "protocol.data.pool.Pool.left", "publishing.outlet.Outlet.send")
UNCOMMON = ("protocol.data.pool.Pool.admits", "protocol.data.pool.Pool.hand", "publishing.outlet.Outlet.send")


@pytest.mark.parametrize("common", [True, False])
def test_an_exception_from_outside_before_anybody_is_told_loses_no_memory(sharing, monkeypatch, common):
    delivery, dispatch, listener = prepared(sharing)

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    for where in COMMON if common else UNCOMMON:
        with monkeypatch.context() as patch:
            if not common:  # as where some take it from there and others do not
                patch.setattr(delivery.outlet, "sharers", ())
            patch.setattr(f"ipcpy.{where}", interrupt)
            with pytest.raises(KeyboardInterrupt):
                dispatch.one(LARGE)
    sharing.run(2.0)
    gc.collect()
    assert idle(delivery)
    dispatch.one(LARGE)
    sharing.run(2.0)
    assert list(listener.taken.values()) == [LARGE]


def test_what_the_system_refuses_counts_as_refused_and_is_sent_again_when_it_is_asked_for(sharing):
    delivery, dispatch, listener = prepared(sharing)
    sharing.sockets[listener.address].refusals = 2
    listener.expects = (2,)
    dispatch.one(LARGE)
    sharing.run(1.0)
    assert listener.taken == {2: LARGE}


def test_where_the_system_has_no_memory_everything_goes_by_udp(sharing, monkeypatch):
    def refuse(*_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("os.memfd_create", refuse)
    delivery, dispatch, listener = prepared(sharing)
    dispatch.one(LARGE)
    sharing.run(1.0)
    assert fragments(listener) == {1, 2} and not listener.placed
    assert delivery.outlet.stats().handed == 2
