"""Counts: sums by cause, and the counts of subscribers that left, which are never lost."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.stats import MAX_PAST, FlowStats, NodeStats, PastRoutes, PublisherStats, RouteStats, SubscriberStats

COUNTS = st.integers(0, 1_000)
ROUTES = st.builds(RouteStats, COUNTS, COUNTS, COUNTS, COUNTS, shared=COUNTS)
CAUSES = st.dictionaries(st.sampled_from(["network", "inbox", "codec"]), COUNTS)
FLOWS = st.builds(FlowStats, COUNTS, COUNTS, COUNTS, COUNTS, CAUSES, shared=COUNTS, late=COUNTS)


def numbers(stats):
    return tuple(value for value in dataclasses.astuple(stats) if isinstance(value, int))


@given(FLOWS, FLOWS, FLOWS)
def test_flows_add_up_in_any_order_cause_by_cause(a, b, c):
    assert a + b == b + a and (a + b) + c == a + (b + c)
    total = a + b
    assert total.received == a.received + b.received and total.bytes == a.bytes + b.bytes
    assert total.shared == a.shared + b.shared and total.late == a.late + b.late
    assert total.lost.keys() == a.lost.keys() | b.lost.keys()
    assert sum(total.lost.values()) == sum(a.lost.values()) + sum(b.lost.values())


@given(FLOWS)
def test_nothing_is_added_by_an_empty_flow(flow):
    assert flow + FlowStats() == FlowStats() + flow == flow


@given(ROUTES, ROUTES)
def test_routes_add_up(a, b):
    total = a + b
    assert numbers(total) == tuple(x + y for x, y in zip(numbers(a), numbers(b), strict=True))


@given(st.lists(st.tuples(st.integers(0, 100), ROUTES), max_size=200), st.dictionaries(st.integers(0, 100), ROUTES))
def test_the_sums_of_a_publisher_hold_whoever_left_and_came_back(left, living):
    past = PastRoutes()
    for number, stats in left:
        past.add(str(number), stats)
    total = past.sum({str(number): stats for number, stats in living.items()}, 7, 70)
    everybody = sum([stats for _, stats in left] + list(living.values()), RouteStats())
    assert (total.handed, total.retransmitted, total.refused, total.given_up, total.shared) == numbers(everybody)
    assert (total.published, total.bytes) == (7, 70)


def test_of_those_that_left_the_latest_64_are_listed_and_the_others_summed():
    past = PastRoutes()
    for number in range(MAX_PAST + 10):
        past.add(str(number), RouteStats(handed=1))
    total = past.sum({}, 0, 0)
    assert set(total.subscribers) == {str(number) for number in range(10, MAX_PAST + 10)}
    assert total.handed == MAX_PAST + 10


def test_a_subscriber_that_left_again_is_the_latest_and_its_counts_are_one():
    past = PastRoutes()
    for number in range(MAX_PAST):
        past.add(str(number), RouteStats(handed=1))
    past.add("0", RouteStats(handed=2))
    past.add("new", RouteStats())
    total = past.sum({"0": RouteStats(handed=4)}, 0, 0)
    assert total.subscribers["0"] == RouteStats(handed=7) and "1" not in total.subscribers


@pytest.mark.parametrize("kind", [FlowStats, NodeStats, PublisherStats, RouteStats, SubscriberStats])
def test_counts_begin_at_nothing_and_do_not_change(kind):
    stats = kind()
    for field in dataclasses.fields(stats):
        assert getattr(stats, field.name) in (0, {}, "")
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(stats, field.name, 1)


@pytest.mark.parametrize("kind", [FlowStats, NodeStats, PublisherStats, RouteStats, SubscriberStats])
def test_every_count_is_explained(kind):
    own = [field.name for field in dataclasses.fields(kind) if field.name in vars(kind)["__annotations__"]]
    assert own and all(f"    {name}: " in kind.__doc__ for name in own)


def test_who_it_is_stays_with_the_counts_of_one_and_goes_in_a_sum():
    past = PastRoutes()
    past.add("a", RouteStats(1, topic="imu", node="arm", host="h1"))
    total = past.sum({"a": RouteStats(2, topic="imu", node="arm", host="h1"), "b": RouteStats(4, topic="*")}, 7, 70)
    assert total.subscribers == {
        "a": RouteStats(3, topic="imu", node="arm", host="h1"),
        "b": RouteStats(4, topic="*"),
    }
    assert (total.handed, total.topic, total.node, total.host) == (7, "", "", "")
    assert FlowStats(1, topic="imu") + FlowStats(2, topic="imu") == FlowStats(3)
