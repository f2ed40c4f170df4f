"""Hearing: only what somebody looks at, shared, bounded, at the right times."""

from __future__ import annotations

import pytest

import ipcpy as ipc
from ipcpy.testing import MemoryNetwork
from ipcpy.web import hearing as module
from ipcpy.web.hearing import LINGER, Hearing


class Steps:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def network():
    with MemoryNetwork() as network:
        yield network


@pytest.fixture
def clock():
    return Steps()


@pytest.fixture
def hearing(network, clock):
    web = network.node("web")
    hearing = Hearing(lambda domain: web if domain == network.domain else None, clock)
    yield hearing
    hearing.close()


def publisher(network, topic="imu", count=1):
    pub = ipc.Publisher(topic, node=network.node("robot"))
    pub.wait_for_subscribers(count, timeout=30)
    return pub


def test_numbers_of_the_fields_that_are_plotted_are_kept(network, hearing, wait_until):
    id = f"{network.domain} imu"
    assert hearing.want("page", {id: ["gz", "pos[1]"]}) == []
    pub = publisher(network)
    for n in range(50):
        pub.publish({"gz": n, "pos": [0, -n], "name": "arm"})
    assert wait_until(lambda: hearing.poll() >= 0 and hearing.ears[id].count == 50)
    ear = hearing.ears[id]
    assert {field: series.added for field, series in ear.series.items()} == {"gz": 50, "pos[1]": 50}
    columns = ear.series["pos[1]"].columns(ear.series["gz"].first, ear.series["gz"].last, 1000.0)
    assert (min(columns.low), max(columns.high)) == (-49.0, 0.0)
    assert ear.newest.data["gz"] == 49


def test_a_sample_stands_at_the_time_when_it_was_sent(network, hearing, wait_until):
    id = f"{network.domain} imu"
    hearing.want("page", {id: ["x"]})
    pub = publisher(network)
    pub.publish({"x": 1})
    assert wait_until(lambda: hearing.poll() >= 0 and hearing.ears[id].count)
    ear = hearing.ears[id]
    assert ear.series["x"].last == ear.newest.sent_ns / 1e9


def test_where_nothing_is_plotted_only_the_newest_message_is_taken(network, hearing, wait_until):
    id = f"{network.domain} imu"
    hearing.want("page", {id: ()})
    pub = publisher(network)
    for n in range(20):
        pub.publish(n)
    assert wait_until(lambda: hearing.poll() >= 0 and (hearing.ears[id].newest and hearing.ears[id].newest.data == 19))
    assert hearing.ears[id].series == {}


def test_what_two_look_at_is_subscribed_to_once(network, hearing):
    id = f"{network.domain} imu"
    hearing.want("one", {id: ["x"]})
    ear = hearing.ears[id]
    hearing.want("two", {id: ["x", "y"]})
    assert hearing.ears == {id: ear} and set(ear.series) == {"x", "y"}


def test_what_nobody_looks_at_is_let_go_after_a_while(network, hearing, clock):
    id = f"{network.domain} imu"
    hearing.want("one", {id: ["x"]})
    sub = hearing.ears[id].sub
    hearing.want("one", {})
    clock.now += LINGER - 0.1
    hearing.poll()
    assert id in hearing.ears
    clock.now += 0.2
    hearing.poll()
    assert hearing.ears == {}
    with pytest.raises(ipc.ClosedError):
        sub.recv(0)


def test_who_comes_back_in_time_finds_it_as_it_was(network, hearing, clock):
    id = f"{network.domain} imu"
    hearing.want("one", {id: ["x"]})
    ear = hearing.ears[id]
    hearing.leave("one")
    clock.now += LINGER / 2
    hearing.want("two", {id: ["x"]})
    clock.now += LINGER * 2
    hearing.poll()
    assert hearing.ears[id] is ear


@pytest.mark.parametrize("id", ["", "imu", "other imu", "{} a//b", "{} *x", "{} @ipcpy/x\0"])
def test_what_cannot_be_heard_is_said(network, hearing, id):
    (sentence,) = hearing.want("page", {id.format(network.domain): ["x"]})
    assert len(sentence.split()) > 3
    assert hearing.ears == {}


def test_a_field_that_is_none_is_said(network, hearing):
    assert "path" in hearing.want("page", {f"{network.domain} imu": ["a..b"]})[0]


def test_topics_and_fields_are_bounded(network, hearing, monkeypatch):
    monkeypatch.setattr(module, "MAX_TOPICS", 3)
    monkeypatch.setattr(module, "MAX_SERIES", 5)
    refused = hearing.want("page", {f"{network.domain} t{n}": ["a", "b"] for n in range(4)})
    assert len(hearing.ears) == 3 and sum(len(ear.series) for ear in hearing.ears.values()) == 5
    assert refused == ["5 fields are plotted already", "3 topics are looked at already"]


def test_a_topic_with_much_to_say_leaves_the_others_their_turn(network, hearing, wait_until, monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 40)
    ids = [f"{network.domain} {topic}" for topic in ("loud", "still")]
    hearing.want("page", {id: ["x"] for id in ids})
    loud, still = publisher(network, "loud"), publisher(network, "still")
    for n in range(200):
        loud.publish({"x": n})
    still.publish({"x": 1})
    assert wait_until(
        lambda: hearing.ears[ids[0]].sub.stats.received == 200 and hearing.ears[ids[1]].sub.stats.received
    )
    for _ in range(3):
        assert hearing.poll() <= 41
    assert hearing.ears[ids[1]].count == 1


def test_what_did_not_arrive_is_counted_while_it_is_plotted(network, hearing, wait_until, clock, monkeypatch):
    monkeypatch.setattr(module, "DEPTH", 10)
    id = f"{network.domain} imu"
    hearing.want("page", {id: ["x"]})
    pub = publisher(network)
    for n in range(50):
        pub.publish({"x": n})
    ear = hearing.ears[id]
    assert wait_until(lambda: ear.sub.stats.lost.get("inbox") == 40)
    hearing.poll()
    assert (ear.count, ear.missed) == (10, {"inbox": 40})


def test_a_message_is_looked_into_now_and_then(network, hearing, wait_until, clock):
    id = f"{network.domain} imu"
    hearing.want("page", {id: ()})
    pub = publisher(network)
    pub.publish({"x": 1, "name": "arm"})
    assert wait_until(lambda: hearing.poll() >= 0 and hearing.ears[id].count)
    ear = hearing.ears[id]
    assert ear.look(clock.now) == (["x"], False)
    assert ear.look(clock.now + 0.1) is None


@pytest.mark.parametrize("pattern", ["**", "arm/*", "*"])
def test_a_pattern_is_not_heard_for_it_would_be_all_topics(network, hearing, pattern):
    (refused,) = hearing.want("page", {f"{network.domain} {pattern}": ()})
    assert "is a pattern" in refused and hearing.ears == {}
