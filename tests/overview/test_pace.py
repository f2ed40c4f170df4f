"""Rates of counters: quick ones, slow ones, those that stop, and those that begin anew."""

from __future__ import annotations

from random import Random

import pytest

from ipcpy.overview.pace import Pace


def read(pace, moments, count):
    """Take readings of a counter that is a function of time."""
    for moment in moments:
        pace.add(moment, (count(moment),), moment)


def steps(start, end, step=0.5):
    return [start + step * number for number in range(round((end - start) / step) + 1)]


def test_one_reading_makes_no_rate():
    pace = Pace()
    pace.add(0.0, (100, 5), 0.0)
    assert pace.rates() is None
    assert pace.growth(5.0) is None


def test_two_readings_make_the_rate_of_each_count():
    pace = Pace()
    pace.add(10.0, (100, 5000), 0.0)
    pace.add(11.0, (150, 7500), 1.0)
    assert pace.rates() == (50.0, 2500.0)


def test_a_quick_topic_shows_a_change_within_two_readings():
    pace = Pace()
    read(pace, steps(0, 10), lambda moment: round(100 * moment))
    read(pace, steps(10.5, 11), lambda moment: 1000 + round(20 * (moment - 10)))
    assert pace.rates() == pytest.approx((20.0,), rel=0.1)


def test_a_slow_topic_has_a_steady_rate():
    pace = Pace()
    read(pace, steps(0, 12), lambda moment: int(moment * 0.5))
    seen = []
    for moment in steps(12.5, 20):
        read(pace, [moment], lambda moment: int(moment * 0.5))
        seen += pace.rates()
    assert all(0.39 < rate < 0.61 for rate in seen)


@pytest.mark.parametrize("rate", [0.5, 3.0, 30.0, 1000.0])
def test_a_topic_that_stops_has_no_rate_soon_however_quick_it_was(rate):
    pace = Pace()
    read(pace, steps(0, 12), lambda moment: int(moment * rate))
    silent = 12.0
    while pace.rates() != (0.0,):
        silent += 0.5
        pace.add(silent, (int(12 * rate),), silent)
        assert silent - 12 <= max(1.5, 4.5 / rate + 2.0)


def test_what_never_came_has_the_rate_zero():
    pace = Pace()
    read(pace, steps(0, 1), lambda _: 7)
    assert pace.rates() == (0.0,)


def test_a_reading_that_comes_twice_says_nothing_new():
    pace = Pace()
    pace.add(1.0, (10,), 100.0)
    pace.add(2.0, (20,), 101.0)
    pace.add(2.001, (20,), 107.0)
    assert pace.rates() == (10.0,)
    assert pace.heard() == 101.0


@pytest.mark.parametrize(("moment", "count"), [(3.0, 5), (0.5, 30)], ids=["fewer", "earlier"])
def test_another_life_of_a_counter_begins_anew(moment, count):
    pace = Pace()
    pace.add(1.0, (10,), 1.0)
    pace.add(2.0, (20,), 2.0)
    pace.add(moment, (count,), 3.0)
    assert pace.rates() is None
    pace.add(moment + 1, (count + 100,), 4.0)
    assert pace.rates() == (100.0,)


def test_growth_is_that_of_the_last_seconds():
    pace = Pace()
    for moment in range(9):
        pace.add(float(moment), (10 * moment, 1 if moment == 1 else 2 if moment > 1 else 0), float(moment))
    assert pace.growth(5.0) == (50, 0)
    assert pace.growth(8.0) == (80, 2)
    assert pace.growth(0.1) == (10, 0)


def test_rates_of_any_readings_are_within_what_was_counted():
    """No rate is negative or above the quickest stretch between two readings."""
    dice = Random(15)
    for _ in range(200):
        pace, moment, count, quickest = Pace(), 0.0, 0, 0.0
        for _ in range(dice.randrange(2, 60)):
            step, more = dice.uniform(0.05, 3.0), dice.choice([0, 0, 1, 5, 500])
            moment, count = moment + step, count + more
            quickest = max(quickest, more / step)
            pace.add(moment, (count,), moment)
            rates = pace.rates()
            assert rates is None or 0.0 <= rates[0] <= quickest + 1e-9
