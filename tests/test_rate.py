"""Rate: ticks that do not drift, what was missed, in threads and in coroutines."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ipcpy as ipc
from ipcpy.rate import Grid


def test_the_ticks_of_a_loop_that_keeps_up_are_a_period_apart_however_long_its_turns_take():
    grid = Grid(0.1, 50.0)
    now = 50.0
    for number, turn in enumerate([0.0, 0.09, 0.05, 0.099, 0.01], 1):
        due, missed = grid.next(now + turn)
        assert (due, missed) == (pytest.approx(50 + number * 0.1), 0)
        now = due


def test_a_turn_that_takes_a_little_too_long_is_followed_by_the_next_at_once_and_the_one_after_is_in_time():
    grid = Grid(0.1, 50.0)
    assert grid.next(50.15) == (pytest.approx(50.15), 0), "what comes before a loop is no part of it"
    assert grid.next(50.30) == (pytest.approx(50.25), 0)
    assert grid.next(50.31) == (pytest.approx(50.35), 0)


def test_ticks_that_passed_are_left_out_and_counted():
    grid = Grid(0.1, 50.0)
    grid.next(50.05)
    assert grid.next(50.56) == (pytest.approx(50.5), 3)
    assert grid.next(50.57) == (pytest.approx(50.6), 0)


@given(st.floats(0.001, 10), st.lists(st.floats(0, 100), min_size=1, max_size=50))
def test_every_tick_is_on_the_grid_none_is_early_and_none_is_counted_twice(period, turns):
    grid, now, ticks, missed = Grid(period, 0.0), 0.0, 0, 0
    grid.begin(0.0)
    grid.next(0.0)
    now = period
    for turn in turns:
        due, left_out = grid.next(now + turn)
        ticks, missed = ticks + 1, missed + left_out
        assert due == pytest.approx((1 + ticks + missed) * period)
        assert due > now + turn - period - 1e-6, "who is behind by a whole period leaves a tick out"
        now = max(now + turn, due)


@pytest.mark.parametrize("hz", [0, -1, 2e6, float("nan"), float("inf"), True, None, "100"])
def test_a_rate_that_is_none_is_refused(hz):
    with pytest.raises(ipc.ArgumentError, match="a rate is a number of times a second"):
        ipc.Rate(hz)


def test_a_loop_takes_as_long_as_its_ticks():
    rate = ipc.Rate(200)
    started = time.monotonic()
    for _ in range(20):
        rate.sleep()
    assert time.monotonic() - started >= 19 * rate.period
    assert rate.ticks == 20
    assert (rate.hz, rate.period) == (200.0, 0.005)


def test_an_iteration_begins_at_once_and_says_what_was_missed():
    rate = ipc.Rate(100)
    started = time.monotonic()
    assert next(rate) == 0
    time.sleep(0.055)  # the turn that takes too long
    missed = next(rate)
    assert missed >= 4
    assert rate.missed == missed
    assert time.monotonic() - started >= 0.05


def test_coroutines_keep_their_pace_side_by_side_and_one_that_is_always_late_lets_others_run():
    async def main():
        turns = {"slow": 0, "other": 0}

        async def slow():
            async for _ in ipc.Rate(1000):
                time.sleep(0.002)  # noqa: ASYNC251 - that is what makes it late
                turns["slow"] += 1
                if turns["slow"] == 20:
                    return

        async def other():
            while turns["slow"] < 20:
                await asyncio.sleep(0)
                turns["other"] += 1

        async with asyncio.timeout(10):
            await asyncio.gather(slow(), other())
        assert turns["other"] >= 19

        rate = ipc.Rate(100)
        started = time.monotonic()
        assert [await rate.sleep_async() for _ in range(3)][0] == 0
        assert time.monotonic() - started >= 2 * rate.period

    asyncio.run(main())


def test_it_shows_its_pace():
    assert repr(ipc.Rate(50)) == "<ipcpy.Rate 50 Hz, 0 ticks, 0 missed>"
