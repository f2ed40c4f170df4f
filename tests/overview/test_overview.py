"""Readings of flows as rows: what a system looks like that somebody made up."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

import ipcpy as ipc
from flowing import Pair, endpoint, node, nodes_of, topics_of
from ipcpy.overview import Overview


def read(overview, pairs, now, domain="lab", **how):
    overview.take(domain, nodes_of(pairs), topics_of(pairs), [pair.flow for pair in pairs], now, **how)


def run(overview, pairs, seconds, rate, *, start=0.0, step=0.5, own=(), **how):
    """Let time pass for all pairs, with a reading each step, and return when it is then."""
    now = start
    read(overview, pairs, now, own=own)
    for _ in range(round(seconds / step)):
        now += step
        for pair in pairs:
            pair.pass_time(step, rate, **how)
        read(overview, pairs, now, own=own)
    return now


def test_the_first_reading_names_everything_and_knows_no_rate():
    overview = Overview()
    read(overview, [Pair(lost={"kernel": 3})], 0.0)
    (row,) = overview.topics()
    assert (row.domain, row.topic, row.codec, row.publishers, row.subscribers) == ("lab", "imu", "msgpack", 1, 1)
    assert (row.rate, row.bandwidth, row.loss, row.lost, row.causes) == (None, None, None, 3, {"kernel": 3})
    assert row.ways == ("loopback",)
    assert row.nodes == ("arm", "brain", "robot")


def test_two_readings_tell_rate_and_bandwidth():
    overview, pair = Overview(), Pair()
    run(overview, [pair], 3, 100, size=50)
    (row,) = overview.topics()
    assert row.rate == pytest.approx(100)
    assert row.bandwidth == pytest.approx(5000)
    assert row.loss == 0.0
    (flow,) = row.flows
    assert (flow.from_name, flow.to_name, flow.rate) == ("arm", "brain", pytest.approx(100))


def test_a_topic_is_published_once_however_many_listen():
    overview = Overview()
    pairs = [Pair(subscriber=node(name)) for name in ("a", "b", "c")]
    run(overview, pairs, 3, 20, size=1000)
    (row,) = overview.topics()
    assert row.subscribers == 3
    assert row.rate == pytest.approx(20)
    assert row.bandwidth == pytest.approx(20_000)
    assert overview.nodes()[0].sends == pytest.approx(60)


def test_publishers_of_one_topic_add_up():
    overview = Overview()
    run(overview, [Pair(publisher=node("left")), Pair(publisher=node("right"))], 3, 20)
    assert overview.topics()[0].rate == pytest.approx(40)


def test_a_topic_that_nobody_listens_to_has_a_rate_all_the_same():
    overview = Overview()
    run(overview, [Pair(subscriber=None)], 3, 20)
    (row,) = overview.topics()
    assert (row.rate, row.bandwidth, row.loss) == (pytest.approx(20), None, None)  # no size is told
    assert row.subscribers == 0


def test_loss_is_that_of_the_subscriber_that_loses_most_and_of_the_last_seconds():
    overview, well, badly = Overview(), Pair(subscriber=node("a")), Pair(subscriber=node("b"))
    now = run(overview, [well, badly], 10, 100)
    badly.pass_time(0.5, 100, lost=0.5)
    well.pass_time(0.5, 100)
    read(overview, [well, badly], now + 0.5)
    (row,) = overview.topics()
    assert row.loss == pytest.approx(25 / 500)  # of five seconds
    assert row.lost == 25
    assert row.rate == pytest.approx(100)
    run(overview, [well, badly], 10, 100, start=now + 1)
    assert overview.topics()[0].loss == 0.0
    assert overview.topics()[0].lost == 25


def test_what_was_received_and_then_dropped_unread_is_lost_and_no_new_life():
    """A subscriber that does not read: its inbox is full, and each message that comes pushes one out."""
    overview, pair = Overview(), Pair()
    now = run(overview, [pair], 5, 100)
    pair.pass_time(1.0, 100)
    pair.received -= 110  # some that waited were too old as well
    pair.lost = {"inbox": 100, "too old": 10}
    read(overview, [pair], now + 1)
    (row,) = overview.topics()
    assert row.rate == pytest.approx(100)
    assert row.flows[0].rate == 0.0
    assert row.bandwidth == pytest.approx(10_000)
    assert row.loss == pytest.approx(110 / 500, rel=0.2)


def test_latency_is_that_of_the_slowest():
    overview = Overview()
    pairs = [
        Pair(subscriber=node("a"), latency=(1e-4, 2e-4, 3e-4)),
        Pair(subscriber=node("b"), latency=(2e-4, 5e-4, 9e-4)),
        Pair(subscriber=node("c")),
    ]
    read(overview, pairs, 0.0)
    assert overview.topics()[0].latency == (1e-4, 5e-4, 9e-4)


def test_what_is_not_heard_of_any_more_has_no_rate_and_no_latency():
    overview, pair = Overview(), Pair(latency=(1e-4, 2e-4, 3e-4))
    now = run(overview, [pair], 5, 100)
    pair.age = 6.0  # its node is stopped: the last counts come again and again
    read(overview, [pair], now + 6.0)
    (row,) = overview.topics()
    assert (row.rate, row.latency) == (None, None)


def test_the_past_has_a_point_a_second_and_shows_what_was_missed():
    overview, pair = Overview(history=10), Pair()
    now = run(overview, [pair], 4, 100)
    past = overview.topics()[0].history
    assert math.isnan(past[0])
    assert past[1:] == pytest.approx([100.0] * 4)
    pair.pass_time(3.0, 100)
    read(overview, [pair], now + 3.0)
    past = overview.topics()[0].history
    assert [math.isnan(rate) for rate in past] == [True, *[False] * 4, True, True, False]
    run(overview, [pair], 30, 100, start=now + 4)
    assert len(overview.topics()[0].history) == 10


def test_a_reading_after_hours_adds_no_more_points_than_are_kept():
    overview, pair = Overview(history=10), Pair()
    now = run(overview, [pair], 4, 100)
    read(overview, [pair], now + 1e6)
    assert len(overview.topics()[0].history) == 10


def test_why_and_queue_are_those_of_the_flows():
    overview = Overview()
    pairs = [
        Pair(subscriber=node(name), why=why)
        for name, why in (("a", "They differ."), ("b", "They differ.\nIt is stopped."))
    ]
    read(overview, pairs, 0.0)
    assert overview.topics()[0].why == ("They differ.", "It is stopped.")


def test_nodes_have_what_they_send_and_receive():
    overview = Overview()
    pairs = [Pair("imu"), Pair("gps"), Pair("cmd", publisher=node("brain"), subscriber=node("arm"))]
    run(overview, pairs, 3, 10, lost=0.2)
    arm, brain = overview.nodes()
    assert (arm.name, arm.publishes, arm.subscribes) == ("arm", ("gps", "imu"), ("cmd",))
    assert arm.sends == pytest.approx(20)
    assert arm.receives == pytest.approx(8)
    assert brain.lost == 12
    assert (brain.host, brain.pid, brain.state) == ("robot", 7, "alive")


def test_who_looks_is_left_out():
    overview, viewer = Overview(), node("top")
    pairs = [
        Pair(),
        Pair(subscriber=viewer),
        Pair("plotted", subscriber=viewer),
        Pair("mine", publisher=viewer, subscriber=None),
    ]
    read(overview, pairs, 0.0, own={viewer.id})
    assert [(row.topic, row.subscribers, len(row.flows)) for row in overview.topics()] == [
        ("imu", 1, 1),
        ("plotted", 0, 1),
    ]
    assert [row.name for row in overview.nodes()] == ["arm", "brain"]


def test_the_rate_of_a_topic_stays_known_when_only_who_looks_listens_to_it():
    overview, viewer = Overview(), node("top")
    pair = Pair("plotted", subscriber=None)
    now = run(overview, [pair], 3, 50, own={viewer.id})
    assert overview.topics()[0].rate == pytest.approx(50)
    pair.subscriber = viewer
    pair.pass_time(0.5, 50, lost=1.0)
    read(overview, [pair], now + 0.5, own={viewer.id})
    (row,) = overview.topics()
    assert row.rate == pytest.approx(50)
    assert (row.subscribers, row.loss, row.lost, row.latency) == (0, None, 0, None)


def test_a_subscriber_without_a_publisher_waits():
    overview, brain = Overview(), node("brain")
    wanted = ipc.TopicInfo("gps", "", {}, (), (endpoint("subscriber", "gps", brain),))
    overview.take("lab", [brain], [wanted], [], 0.0)
    (row,) = overview.topics()
    assert (row.rate, row.flows) == (None, ())
    assert [(flow.from_name, flow.to_name) for flow in row.waiting] == [("", "brain")]


def test_domains_stay_apart_and_can_be_forgotten():
    overview = Overview()
    here = [Pair()]
    there = [Pair(publisher=node("arm", domain="home"), subscriber=node("brain", domain="home"))]
    read(overview, there, 0.0, "home")
    read(overview, here, 0.0, "lab")
    assert [row.key for row in overview.topics()] == [("home", "imu"), ("lab", "imu")]
    assert {row.domain for row in overview.flows()} == {"home", "lab"} == set(overview.domains)
    assert overview.topic("home", "imu").domain == "home"
    overview.forget("home")
    assert overview.topic("home", "imu") is None
    assert [row.domain for row in overview.nodes()] == ["lab", "lab"]


def test_what_a_reading_does_not_show_is_forgotten():
    overview, pair = Overview(), Pair()
    now = run(overview, [pair], 3, 100)
    read(overview, [], now)
    assert overview.topics() == overview.flows() == overview.nodes() == ()
    read(overview, [pair], now + 1)
    assert overview.topics()[0].rate is None


def test_what_a_bridge_has_from_beyond_is_from_whom_it_is():
    overview, pair = Overview(), Pair()
    bridged = replace(pair.flow.publisher, via={"bridge": "robot7", "node": "camera"})
    flow = replace(pair.flow, publisher=bridged)
    overview.take("lab", nodes_of([pair]), topics_of([pair]), [flow], 0.0)
    assert [row.from_name for row in overview.flows()] == ["camera via bridge robot7"]
