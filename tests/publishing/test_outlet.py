"""Outlet: whom a frame goes to and how, what is counted, heartbeats."""

from __future__ import annotations

import threading

import pytest

from ipcpy.protocol.wire import MAX_BODY, Kind
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
    ended.join(5)
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
