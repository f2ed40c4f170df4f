from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

import ipcpy as ipc
import ipcpy.testing
from ipcpy.viewers.listening import LINGER, PEEKS, TURN, Listening, Peeks


@pytest.fixture
def network() -> Iterator[ipcpy.testing.MemoryNetwork]:
    with ipcpy.testing.MemoryNetwork() as network:
        yield network


def test_a_topic_is_subscribed_to_while_somebody_looks_and_a_moment_longer(network, wait_until) -> None:
    robot, viewer = network.node("robot"), network.node("viewer")
    pub = ipc.Publisher("imu", ipc.Raw(), node=robot)
    taken: list[ipc.Message] = []
    listening = Listening(viewer, taken.append)
    listening.listen(["imu"], 0.0)
    assert listening.topics == ("imu",)
    pub.wait_for_subscribers(timeout=10)
    pub.publish(b"abc")
    wait_until(lambda: taken)
    assert bytes(taken[0].data) == b"abc"
    listening.listen([], LINGER / 2)
    assert listening.topics == ("imu",)
    listening.listen([], LINGER + 0.01)
    assert listening.topics == ()
    wait_until(lambda: not pub.subscribers)
    listening.close()


def test_a_namespace_changes_no_topic_that_is_looked_at(wait_until) -> None:
    with ipc.Node(interfaces="lo", namespace="robot1") as node:
        listening = Listening(node, print)
        listening.listen(["imu"], 0.0)
        wait_until(lambda: [topic.name for topic in node.topics()] == ["imu"])
        listening.close()


def test_a_topic_that_cannot_be_subscribed_to_is_said_once_and_tried_again(network, monkeypatch, caplog) -> None:
    listening = Listening(network.node("viewer"), print)
    real, fails = ipc.Subscriber, [True, True, False]

    def subscriber(*args: object, **options: object) -> ipc.Subscriber:
        if fails.pop(0):
            raise ipc.TransportError(24, "too many open files")
        return real(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ipc, "Subscriber", subscriber)
    with caplog.at_level(logging.WARNING):
        for now in (0.0, 0.1, 0.2):
            listening.listen(["imu"], now)
    assert listening.topics == ("imu",)
    assert caplog.text.count("imu cannot be shown") == 1
    listening.close()


def test_what_is_lost_stays_counted_when_nobody_looks_any_more(network) -> None:
    listening = Listening(network.node("viewer"), print)
    listening.listen(["imu"], 0.0)
    assert listening.lost() == 0
    listening.close()
    assert listening.lost() == 0


def test_only_some_publishers_are_listened_to_at_a_time_and_each_has_its_turn() -> None:
    peeks = Peeks()
    unknown = {f"{number:04}": f"topic/{number}" for number in range(3 * PEEKS)}
    now, seen = 0.0, set()
    for _ in range(3):
        chosen = peeks.choose(unknown, now)
        assert len(chosen) == PEEKS
        assert peeks.choose(unknown, now + TURN / 2) == chosen
        seen |= chosen
        now += TURN
    assert seen == set(unknown.values())
    chosen = peeks.choose(unknown, now)
    assert peeks.choose(unknown, now + TURN) == chosen  # the second time round each has twice as long
    assert peeks.choose(unknown, now + 2 * TURN).isdisjoint(chosen)


def test_where_nobody_waits_a_publisher_is_listened_to_until_it_says_something() -> None:
    peeks = Peeks()
    assert peeks.choose({"a": "doc"}, 0.0) == peeks.choose({"a": "doc"}, 1000.0) == {"doc"}
    assert peeks.choose({}, 1001.0) == set()
