"""A short look at a topic: rates by numbers and times that messages carry, and types that came."""

from __future__ import annotations

from collections import namedtuple

import pytest

import ipcpy as ipc
from ipcpy.cli.observe import Observed, observe

SECOND = 1_000_000_000
Imu = namedtuple("Imu", "gx gy")
State = namedtuple("State", "code")


def message(seq, sent, publisher="a", data=None):
    return ipc.Message(data, "t", seq, int(sent * SECOND), 0, publisher)


def test_a_rate_counts_what_was_published_also_what_got_lost():
    seen = Observed(0.5, {})
    for seq in (1, 2, 5, 11):
        seen.add(message(seq, seq / 100))
    assert seen.rate() == pytest.approx(100)


def test_rates_of_several_publishers_are_added():
    seen = Observed(0.5, {})
    for number in range(10):
        seen.add(message(number, number / 100, "a"))
        seen.add(message(7 + number, 5 + number / 10, "b"))
    assert seen.rate() == pytest.approx(110)


def test_kept_messages_may_be_old_and_have_no_rate():
    seen = Observed(0.5, {"a": 2})
    for number in range(2):
        seen.add(message(number, number / 100))
    assert seen.rate() is None
    for number in range(2, 12):
        seen.add(message(number, 3600 + number / 10))
    assert seen.rate() == pytest.approx(10)


@pytest.mark.parametrize("times", [(1.0,), (1.0, 1.0), (2.0, 1.0)])
def test_too_few_messages_or_a_clock_that_was_set_have_no_rate(times):
    seen = Observed(0.5, {})
    for number, sent in enumerate(times):
        seen.add(message(number, sent))
    assert seen.rate() is None


def test_of_a_library_the_types_that_came_are_named():
    seen = Observed(0.5, {})
    assert seen.text("struct") == ""
    seen.add(message(1, 1, data=Imu(1, 2)))
    assert seen.text("struct") == "Imu"
    for _ in range(1_000):
        seen.add(message(1, 1, data=State(1)))
    assert seen.text("struct") == "Imu (1), State (1,000)"
    assert seen.text("msgpack") == "State"


def test_a_topic_is_listened_to(wait_until):
    library = ipc.MsgLibrary({1: ("<2f", Imu), 2: ("<i", State)})
    with ipc.Node("robot") as node, ipc.Publisher("observe/imu", library, keep=3, node=node) as pub:
        for _ in range(3):
            pub.publish(Imu(1, 2))
        (topic,) = wait_until(lambda: [each for each in node.topics() if each.name == "observe/imu"], timeout=20.0)
        seen = observe(node, topic, 2.0)
    assert (seen.newest.data, dict(seen.types), seen.stats.received) == (Imu(1, 2), {"Imu": 3}, 3)
    assert seen.size() == 15  # a header of 6 bytes, a check of 1, and 8
    record = seen.record()
    assert (record["received"], record["rate"], record["mean_size"]) == (3, None, 15)
    assert (record["types"], record["newest"]["type"]) == ({"Imu": 3}, "Imu")


def test_a_silent_topic_has_a_reason(wait_until):
    with ipc.Node("robot") as node, ipc.Publisher("observe/silent", node=node):
        (topic,) = wait_until(lambda: [each for each in node.topics() if each.name == "observe/silent"], timeout=20.0)
        seen = observe(node, topic, 0.05)
    assert seen.newest is None and seen.size() is None and seen.rate() is None
    assert seen.record()["newest"] is None
    assert seen.why != ""
