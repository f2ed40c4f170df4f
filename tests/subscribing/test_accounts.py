"""What a subscriber tells of itself: a row for each publisher, with what came, what did not, and how late it was.

Each test counts as nodes do, which is in C where that was compiled, and again by its twin in Python.
"""

from __future__ import annotations

import math
import threading
from array import array
from copy import copy

import pytest

from ipcpy.clock import Clock
from ipcpy.node.books import Moment, count_all
from ipcpy.protocol.link.rows import Dropped, Latency, Received, Step
from ipcpy.protocol.wire import Kind, pack_frame
from ipcpy.subscribing.accounts import Account
from ipcpy.subscribing.latencies import AGAIN
from receiving import HERE, NODE, THERE, Side

SAME, UNKNOWN = Clock(0.0, 0.0, 0.0), Clock(0.0, math.inf, math.inf)


def by_twin(accounts, rows, moment):
    for account in accounts:
        account(rows, moment)


@pytest.fixture(params=["as nodes count", "by the twin"], autouse=True)
def count(request, monkeypatch):
    """Counts accounts in one of both ways; so does ``rows_of``."""
    way = count_all if request.param == "as nodes count" else by_twin
    monkeypatch.setattr(Ways, "count", staticmethod(way))
    return way


class Ways:
    count = staticmethod(by_twin)


def account_of(side, lock=None, *, own=False):
    return Account(side.inbound, side.inbox, lock or threading.RLock(), own=own)


def rows_of(side, clock=SAME, seen=None, *, own=False, hidden=False):
    found = []

    def clock_of(node):
        if seen is not None:
            seen.append(node)
        return clock

    moment = Moment(hidden, clock_of)
    moment.now_ns = side.wall_ns
    Ways.count([account_of(side, own=own)], found, moment)
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


@pytest.mark.parametrize(("count", "slowest"), [(100, 100), (101, 100), (102, 101)])
def test_one_in_a_hundred_may_be_slower_than_the_slowest_that_is_told(count, slowest):
    side = Side()
    side.match(1)
    rows_of(side)
    for took in range(count, 0, -1):
        side.inbound.take(data(1, count - took + 1, side.wall_ns - took * 1_000_000), HERE)
    latency = received(side)[0].latency
    assert (latency.least, latency.p99) == (0.001, slowest / 1_000)
    assert latency.p50 == (count + 1) // 2 / 1_000


def test_who_asks_twice_in_a_second_is_told_the_same_latency_and_then_that_of_all_messages_since():
    side = Side()
    side.match(1)
    rows_of(side)
    told = []
    for seq, took in enumerate((5, 9, 7, 8), 1):
        side.inbound.take(data(1, seq, side.wall_ns - took * 1_000_000), HERE)
        told.append(received(side)[0].latency)
        side.wall_ns += AGAIN // 2
    assert told[1] is told[0] and told[0].p50 == 0.005
    assert told[3] is told[2] and (told[2].least, told[2].p99) == (0.007, 0.009)
    side.wall_ns += AGAIN
    assert received(side)[0].latency == (0.008, 0.008, 0.008, 0.0)
    side.wall_ns += AGAIN
    assert received(side)[0].latency is None


def test_latency_is_corrected_by_how_far_the_publishers_clock_is_ahead_and_never_negative():
    side = Side()
    side.match(1, address=THERE)
    rows_of(side)
    side.inbound.take(data(1, 1, side.wall_ns + 3_600_000_000_000), THERE)  # its clock is an hour ahead
    latency = received(side, clock=Clock(3600.004, 0.001, 0.5))[0].latency
    assert latency.p50 == pytest.approx(0.004) and latency.bound == 0.001
    side.wall_ns += AGAIN
    side.inbound.take(data(1, 2, side.wall_ns + 3_600_000_000_000), THERE)
    assert received(side, clock=Clock(3599.0, 0.001, 0.5))[0].latency.least == 0.0


def test_latency_is_not_told_where_nothing_is_known_of_the_publishers_clock():
    side = Side()
    side.match(1, address=THERE)
    rows_of(side)
    side.data(1, 1, b"x", THERE)
    assert received(side, clock=UNKNOWN)[0].latency is None


def test_the_clock_of_a_node_is_looked_at_once_for_all_its_publishers():
    side, seen = Side(), []
    for number in (1, 2, 3):
        side.match(number, address=THERE)
    rows_of(side)
    for number in (1, 2, 3):
        side.data(number, 1, b"x", THERE)
    rows_of(side, seen=seen)
    assert seen == [NODE.id]


def test_publisher_and_subscriber_of_one_host_have_one_clock_and_none_is_looked_at():
    side, seen = Side(), []
    side.match(1)
    rows_of(side)
    side.inbound.take(data(1, 1, side.wall_ns + 5), HERE)  # the clock was set between
    latency = received(side, clock=UNKNOWN, seen=seen)[0].latency
    assert (latency.least, latency.p99, latency.bound) == (0.0, 0.0, 0.0)
    assert seen == []


def test_ipcpys_own_topics_are_told_only_to_who_asks_for_them():
    side = Side()
    side.match(1)
    side.inbound.take(b"no frame", HERE)
    assert rows_of(side, own=True) == []
    assert len(rows_of(side, own=True, hidden=True)) == 2


def test_of_many_publishers_each_is_told(count):
    sides = [Side(number=number) for number in range(1, 40)]
    for side in sides:
        for number in range(1, 1 + side.number):
            side.match(number)
            side.data(number, 1, b"x" * side.number)
    rows, moment = [], Moment(False, lambda node: SAME)
    count([account_of(side) for side in sides], rows, moment)
    told = [(row.subscriber, row.publisher, row.messages, row.bytes) for row in rows]
    assert told == [(side.number, number, 1, side.number) for side in sides for number in range(1, 1 + side.number)]


def test_whatever_is_called_as_an_account_is_called(count):
    rows, moment = [], Moment(False, lambda node: SAME)
    count([lambda *given: given[0].append(given[1]), account_of(Side())], rows, moment)
    assert rows == [moment]


class Lock:
    """A lock that says what becomes of it."""

    def __init__(self):
        self.said = []

    def acquire(self, blocking=True):
        self.said.append("taken")
        return True

    def release(self):
        self.said.append("given back")

    def __enter__(self):
        self.acquire()

    def __exit__(self, *_):
        self.release()


def test_a_subscriber_is_counted_under_its_lock_which_is_given_back_whatever_happens(count):
    side, lock = Side(), Lock()
    flow = side.match(1)
    account = account_of(side, lock)
    count([account], [], Moment(False, lambda node: SAME))
    assert lock.said == ["taken", "given back"]
    flow.matched = False
    del flow.mismatch  # which Python looks at, of a flow that is not matched
    with pytest.raises(AttributeError, match="mismatch"):
        count([account], [], Moment(False, lambda node: SAME))
    assert lock.said == ["taken", "given back"] * 2


FIELDS = "number matched undecodable told asked_ns noted enough least_ns fastest_ns local bytes id receiver".split()


def _outcome(count, spoil):
    side = Side()
    flow = side.match(1)
    side.data(1, 1, b"x")
    account, told = account_of(side), []
    for _ in range(3):
        rows, moment = [], Moment(False, lambda node: SAME)
        moment.now_ns = side.wall_ns
        try:
            count([account], rows, moment)
        except Exception as error:
            told.append(type(error))
        told.append([repr(row) for row in rows])
        spoil(flow, account)
        side.wall_ns += AGAIN
    return told


VALUES = [None, "x", -1.5, 1 << 70, -(1 << 70), True, [5], array("q", [3, 1, 2] * 100), array("b", b"abc")]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_a_field_of_a_flow_of_a_type_that_nobody_expects_is_told_as_the_twin_does(count, field, value):
    def spoil(flow, account):
        setattr(flow, field, copy(value))

    assert _outcome(count, spoil) == _outcome(by_twin, spoil)


@pytest.mark.parametrize("field", ["first", "next", "lost"])
@pytest.mark.parametrize("value", [None, "x", -1.5, 1 << 70, (1 << 64) - 1, {"kernel": 3}], ids=repr)
def test_a_count_of_a_type_that_nobody_expects_is_told_as_the_twin_does(count, field, value):
    def spoil(flow, account):
        setattr(flow.receiver, field, value)

    assert _outcome(count, spoil) == _outcome(by_twin, spoil)


@pytest.mark.parametrize("field", ["own", "number", "flows", "messages", "dropped", "discarded", "late", "nobodys"])
@pytest.mark.parametrize("value", [None, "x", 1 << 70, {}, {f"{1:016x}": 3}, {1: "x"}], ids=repr)
def test_a_field_of_an_account_of_a_type_that_nobody_expects_is_told_as_the_twin_does(count, field, value):
    def spoil(flow, account):
        setattr(account, f"_{field}", value)

    assert _outcome(count, spoil) == _outcome(by_twin, spoil)


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_a_flow_that_is_not_there_crashes_nothing(count, field):
    def spoil(flow, account):
        if hasattr(flow, field):
            delattr(flow, field)

    assert len(_outcome(count, spoil)) >= 3


def test_rows_are_of_the_types_that_they_say(count):
    side = Side()
    side.match(1)
    side.match(2, address=THERE)
    rows_of(side)
    for number, address in ((1, HERE), (2, THERE)):
        side.inbound.take(data(number, 1, side.wall_ns - 5), address)
    side.inbound.take(b"no frame", HERE)
    rows = rows_of(side)
    assert [type(row) for row in rows] == [Received, Received, Dropped]
    assert [type(row.latency) for row in rows[:2]] == [Latency, Latency]
    for row in rows[:2]:
        assert [type(each) for each in row.latency] == [float] * 4
        assert [type(each) for each in row[:8]] == [int] * 8
