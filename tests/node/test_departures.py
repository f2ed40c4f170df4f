"""Who left, when and how: the sentences, and that no more is kept than is of use."""

from __future__ import annotations

import pytest

from ipcpy.graph import EndpointInfo, NodeInfo
from ipcpy.node.departures import MAX_KEPT, MAX_TOLD, Departures
from still import HandClock


@pytest.fixture
def clock():
    return HandClock(1_000.0)


@pytest.fixture
def departures(clock):
    return Departures(clock)


def endpoint(topic="imu", name="cam", host="h1", kind="publisher", address="10.0.0.1:17770"):
    node = NodeInfo("0" * 16, name, host, 7, "default", address, "1", "alive", 0.0)
    return EndpointInfo("1" * 16, kind, topic, "raw", {}, False, 0, node)


def told(departures, kind="publisher", topic="imu"):
    return departures.sentences(kind, lambda name: name == topic)


@pytest.mark.parametrize(
    ("reason", "with_node", "said"),
    [
        ("process died", True, "the process of publisher 'cam' on h1 died 3 s ago"),
        ("host unreachable", True, "the host of publisher 'cam' on h1 became unreachable, and it was given up 3 s ago"),
        ("timed out", True, "publisher 'cam' on h1 was lost 3 s ago: nothing came from it any more"),
        ("closed", True, "publisher 'cam' on h1 left 3 s ago: its node said goodbye"),
        ("closed", False, "publisher 'cam' on h1 left 3 s ago: it was closed"),
        ("something new", True, "publisher 'cam' on h1 left 3 s ago: something new"),
    ],
)
def test_it_says_how_one_left_and_when(departures, clock, reason, with_node, said):
    departures.add(endpoint(), reason, with_node=with_node)
    clock.now += 3
    assert told(departures) == [said]


def test_only_those_that_are_asked_for_are_told_of(departures):
    departures.add(endpoint(kind="subscriber", name="arm", address=None), "closed", with_node=False)
    departures.add(endpoint(topic="gps"), "closed", with_node=False)
    assert told(departures) == []
    assert told(departures, "subscriber") == ["subscriber 'arm' in this process left 0.0 s ago: it was closed"]


def test_who_came_back_did_not_leave_and_who_left_again_left_once(departures, clock):
    departures.add(endpoint(), "process died", with_node=True)
    departures.returned(endpoint())
    assert told(departures) == []
    for _ in range(3):
        departures.add(endpoint(), "process died", with_node=True)
    departures.returned(endpoint(name="another"))
    assert len(told(departures)) == 1


def test_the_latest_are_told_first_and_few_of_them(departures, clock):
    for number in range(20):
        departures.add(endpoint(name=f"n{number}"), "closed", with_node=False)
        clock.now += 1
    assert [each.split("'")[1] for each in told(departures)] == [
        f"n{number}" for number in range(19, 19 - MAX_TOLD, -1)
    ]


def test_what_is_kept_is_bounded(departures):
    for number in range(10_000):
        departures.add(endpoint(topic=f"t{number}"), "closed", with_node=False)
    assert len(departures._kept) == MAX_KEPT
    assert told(departures, topic="t9999") and not told(departures, topic=f"t{9_999 - MAX_KEPT}")
