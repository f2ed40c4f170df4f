"""Sinks: publishers as those were that were recorded."""

from __future__ import annotations

import pytest

from ipcpy.bag import sinks as module
from ipcpy.bag.form import Origin
from ipcpy.bag.records import Entry
from ipcpy.bag.sinks import Sinks, check_remap
from ipcpy.bag.tracks import Track
from ipcpy.errors import ArgumentError
from ipcpy.subscribing.subscriber import Subscriber
from ipcpy.testing import MemoryNetwork

pytest.importorskip("mcap", reason="needs ipcpy[bag]")

from mcap.records import Channel  # noqa: E402


@pytest.fixture
def node():
    with MemoryNetwork() as net:
        yield net.node()


def track(topic, publisher=1, **origin):
    told = Origin(topic, f"{publisher:016x}", "raw", **origin)
    return Track(Channel(1, topic, "raw", told.metadata(), 0), None)


def entry(data, channel):
    return Entry(0, channel, 1, 0, memoryview(data))


def test_tracks_of_one_publisher_share_one(node):
    sinks = Sinks(node, {}, None)
    sinks.open({1: track("a", 1), 2: track("a", 1), 3: track("a", 2), 4: track("b", 1)})
    assert sorted(each.topic for each in sinks.publishers()) == ["a", "a", "b"]
    sinks.close()
    assert sinks.publishers() == ()


def test_publishers_are_reliable_and_latched_as_they_were(node, wait_until):
    sinks = Sinks(node, {"a": "replay/a"}, None)
    sinks.open({1: track("a", reliable=True, keep=3)})
    wait_until(node.topics)
    (info,) = next(topic for topic in node.topics() if topic.name == "replay/a").publishers
    assert (info.reliable, info.keep) == (True, 3)
    sinks.close()


def test_they_are_announced_with_the_codec_and_publish_bodies(node):
    sub = Subscriber("a", node=node)
    sinks = Sinks(node, {}, None)
    sinks.open({1: track("a")})
    sinks.wait(1, 10)
    assert sinks.publish(entry(b"abc", 1), sinks.body(entry(b"abc", 1))) == 1
    assert sub.recv(timeout=10).data == b"abc"
    assert next(topic for topic in node.topics() if topic.name == "a").codec == "raw"
    sinks.close()


def test_too_many_are_refused_and_none_is_left(node, monkeypatch):
    monkeypatch.setattr(module, "MAX_PUBLISHERS", 3)
    sinks = Sinks(node, {}, None)
    with pytest.raises(ArgumentError, match=r"more than 3 publishers: choose some of its topics \(--topics\)"):
        sinks.open({n: track(f"t/{n}") for n in range(5)})
    assert sinks.publishers() == ()


def test_what_is_no_remapping_is_refused():
    assert check_remap(None) == {}
    assert check_remap({"imu": "a/imu"}) == {"imu": "a/imu"}
    for wrong in ("imu", ["imu"], 5):
        with pytest.raises(ArgumentError, match="remap is a dict such as"):
            check_remap(wrong)
    with pytest.raises(ArgumentError, match="a publisher's topic cannot be a pattern"):
        check_remap({"imu": "a/*"})
