"""What ``hz`` shows of lateness."""

from __future__ import annotations

import pytest

import ipcpy as ipc
from ipcpy.cli.lateness import Lateness, often_late, promised


@pytest.fixture
def nodes():
    with ipc.Node("reader") as reader, ipc.Node("writer") as writer:
        yield reader, writer


def test_it_says_what_is_promised_how_often_it_was_late_and_what_is_late_now(nodes, wait_until):
    reader, writer = nodes
    sub = ipc.Subscriber("arm/*", deadline=0.05, node=reader)
    lateness = Lateness(sub)
    pubs = [ipc.Publisher(f"arm/{name}", rate=rate, node=writer) for name, rate in (("a", 30), ("b", 12.5))]
    sub.wait_for_publishers(2, timeout=20)
    assert lateness.record()["promised"] == 42.5
    wait_until(lambda: lateness.record()["late_now"] == ["arm/a", "arm/b"])
    pubs[0].publish(1)
    wait_until(lambda: sub.stats.received)
    wait_until(lambda: "arm/a" not in lateness.record()["late_now"] or sub.stats.late > 2)
    assert lateness.record()["late"] >= 2
    sub.close()
    assert lateness.record()["promised"] is None


@pytest.mark.parametrize(
    ("line", "deadline", "said"),
    [
        ({"promised": None, "late": 0, "late_now": []}, None, ""),
        ({"promised": 100.0, "late": 0, "late_now": []}, None, "  late 0"),
        ({"promised": 100.0, "late": 1200, "late_now": ["a", "b"]}, None, "  late 1,200, now: a, b"),
        ({"promised": None, "late": 0, "late_now": []}, 0.05, "  late 0 (50 ms)"),
        ({"promised": None, "late": 3, "late_now": []}, None, "  late 3"),
    ],
)
def test_lateness_is_shown_where_something_is_expected_in_time(line, deadline, said):
    assert often_late(line, deadline) == said


def test_a_promise_is_shown_beside_the_rate():
    assert promised({"promised": None}) == ""
    assert promised({"promised": 100.0}) == " of 100"
