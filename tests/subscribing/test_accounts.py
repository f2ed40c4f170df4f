"""What a subscriber tells of itself: a row for each publisher, with what came, what did not, and how late it was."""

from __future__ import annotations

import math

import pytest

from ipcpy.clock import Clock
from ipcpy.node.books import Moment
from ipcpy.protocol.link.rows import Dropped, Received, Step
from ipcpy.protocol.wire import Kind, pack_frame
from ipcpy.subscribing.accounts import account
from receiving import HERE, NODE, Side

SAME, UNKNOWN = Clock(0.0, 0.0, 0.0), Clock(0.0, math.inf, math.inf)


def rows_of(side, clock=SAME, seen=None):
    found = []

    def clock_of(node):
        if seen is not None:
            seen.append(node)
        return clock

    moment = Moment(False, clock_of)
    moment.now_ns = side.wall_ns
    account(side.inbound, side.inbox, found, moment)
    return found


def data(number, seq, sent_ns):
    return pack_frame(Kind.DATA, number, seq, sent_ns, b"x", codec=0)


def received(side, **options):
    return [row for row in rows_of(side, **options) if isinstance(row, Received)]


def test_what_came_is_told_with_its_bytes_and_what_waits_to_be_taken():
    side = Side()
    side.match(1)
    for seq in range(1, 4):
        side.data(1, seq, b"body")
    (row,) = received(side)
    assert (row.publisher, row.subscriber, row.step) == (1, side.number, Step.MATCHED)
    assert (row.messages, row.bytes, row.queued, row.lost) == (3, 12, 3, {})
    side.messages()
    assert received(side)[0].queued == 0


def test_messages_that_wait_are_told_by_publisher():
    side = Side()
    side.match(1)
    side.match(2)
    side.data(1, 1, b"a")
    side.data(2, 1, b"b")
    side.data(2, 2, b"c")
    assert [row.queued for row in received(side)] == [1, 2]


def test_what_is_lost_is_told_by_cause_and_the_sum_is_what_was_published():
    side = Side(depth=2)
    side.match(1)
    for seq in (1, 2, 3, 4, 8):
        side.data(1, seq, b"x")
    side.now += 5
    side.inbound.handle_timer(side.now)
    (row,) = received(side)
    assert row.lost == {"network": 3, "inbox": 3}
    assert row.messages + sum(row.lost.values()) == 8
    side.inbound.take(b"no frame", HERE)
    assert rows_of(side)[-1] == Dropped(4, side.number, {"malformed": 1})


def test_the_books_of_a_row_are_those_of_stats():
    side = Side(depth=3)
    side.match(1)
    for seq in (1, 2, 5, 6, 7, 9):
        side.data(1, seq, b"xy")
    _, each = side.inbound.stats()
    (row,) = received(side)
    stats = each[f"{1:016x}"]
    assert (row.messages, row.bytes, row.lost) == (stats.received, stats.bytes, stats.lost)


@pytest.mark.parametrize(("met", "step"), [("known", Step.SILENT), ("gone", Step.LEFT), ("misfit", Step.MISFIT)])
def test_it_is_told_how_far_a_match_is(met, step):
    side = Side()
    flow = side.meet(1)
    if met == "gone":
        side.inbound.leave(1, side.now)
    if met == "misfit":
        flow.mismatch = ("field x: float here, int there",)
    assert received(side)[0].step == step


def test_latency_is_there_from_the_second_reading_on():
    side = Side()
    side.match(1)
    side.data(1, 1, b"x")
    assert received(side)[0].latency is None
    for seq in (2, 3):
        side.inbound.take(data(1, seq, side.wall_ns - 2_000_000), HERE)
    latency = received(side)[0].latency
    assert (latency.least, latency.p50, latency.p99, latency.bound) == (0.002, 0.002, 0.002, 0.0)


def test_latency_is_corrected_by_how_far_the_publishers_clock_is_ahead_and_never_negative():
    side = Side()
    side.match(1)
    rows_of(side)
    side.inbound.take(data(1, 1, side.wall_ns + 3_600_000_000_000), HERE)  # its clock is an hour ahead
    latency = received(side, clock=Clock(3600.004, 0.001, 0.5))[0].latency
    assert latency.p50 == pytest.approx(0.004) and latency.bound == 0.001
    assert received(side, clock=Clock(3599.0, 0.001, 0.5))[0].latency.least == 0.0


def test_latency_is_not_told_where_nothing_is_known_of_the_publishers_clock():
    side = Side()
    side.match(1)
    rows_of(side)
    side.data(1, 1, b"x")
    assert received(side, clock=UNKNOWN)[0].latency is None


def test_the_clock_of_a_node_is_looked_at_once_for_all_its_publishers():
    side, seen = Side(), []
    for number in (1, 2, 3):
        side.match(number)
    rows_of(side)
    for number in (1, 2, 3):
        side.data(number, 1, b"x")
    rows_of(side, seen=seen)
    assert seen == [NODE.id]
