"""Intervals and delays on two made-up clocks, of which one is set."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ipcpy.cli.arrivals import Arrivals

SECOND = 1_000_000_000
PERIOD = SECOND // 100


@pytest.fixture
def clocks():
    made = SimpleNamespace(mono=50 * SECOND, wall=1_700_000_000 * SECOND)

    def advance(ns):
        made.mono += ns
        made.wall += ns

    made.advance = advance
    made.arrivals = Arrivals(1000, lambda: made.mono, lambda: made.wall)
    return made


def receive(clocks, count=50, waited=0):
    """Take messages of 100 Hz, each a millisecond late, that waited for us."""
    for _ in range(count):
        clocks.advance(PERIOD)
        clocks.arrivals.add(clocks.wall - waited - SECOND // 1000, clocks.wall - waited)


def test_intervals_and_delays(clocks):
    receive(clocks)
    assert clocks.arrivals.intervals() == [0.01] * 49
    assert clocks.arrivals.delays() == [0.001] * 50
    assert len(clocks.arrivals) == 50


def test_what_waited_counts_from_when_it_came(clocks):
    receive(clocks, 2)
    came = [clocks.wall + PERIOD * number for number in range(1, 11)]
    clocks.advance(PERIOD * 10)  # we were busy
    for at in came:
        clocks.arrivals.add(at, at)
    assert clocks.arrivals.intervals() == [0.01] * 11


def test_messages_out_of_order_have_no_negative_intervals(clocks):
    clocks.advance(SECOND)
    for ago in (3, 1, 2, 0):
        clocks.arrivals.add(0, clocks.wall - ago * PERIOD)
    assert clocks.arrivals.intervals() == [0.01] * 3


@pytest.mark.parametrize("step", [3600 * SECOND, -3600 * SECOND, SECOND // 4, -SECOND // 4])
def test_a_clock_that_is_set_changes_neither_intervals_nor_delays(clocks, step):
    receive(clocks)
    clocks.wall += step
    sent = clocks.wall - step - SECOND // 1000
    clocks.advance(PERIOD)
    clocks.arrivals.add(sent + PERIOD, clocks.wall)  # it was on its way
    receive(clocks)
    intervals = clocks.arrivals.intervals()
    assert min(intervals) >= 0
    assert max(intervals) == pytest.approx(0.01)
    assert set(clocks.arrivals.delays()) == {0.001}
    assert clocks.arrivals.told_step() == step / SECOND
    assert clocks.arrivals.told_step() == 0.0


@pytest.mark.parametrize("step", [3600 * SECOND, -3600 * SECOND])
def test_messages_that_waited_while_the_clock_was_set_come_when_they_are_read(clocks, step):
    clocks.advance(7200 * SECOND)
    receive(clocks)
    stamped = clocks.wall
    clocks.wall += step
    for _ in range(5):
        clocks.arrivals.add(stamped - SECOND // 1000, stamped)
    assert min(clocks.arrivals.intervals()) >= 0
    assert max(clocks.arrivals.intervals()) <= 0.01
    assert set(clocks.arrivals.delays()) == {0.001}


def test_a_clock_that_is_slewed_is_not_told(clocks):
    for _ in range(100):
        clocks.wall += 5_000
        receive(clocks, 1)
    assert clocks.arrivals.told_step() == 0.0


def test_only_the_newest_count(clocks):
    arrivals = Arrivals(3, lambda: clocks.mono, lambda: clocks.wall)
    for number in range(10):
        arrivals.add(0, number)
    assert len(arrivals) == 3
