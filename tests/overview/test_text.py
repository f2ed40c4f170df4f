"""Numbers and the past in little room."""

from __future__ import annotations

import math

import pytest

from ipcpy.overview.text import ASCII_BARS, percent, sparkline


@pytest.mark.parametrize("bars", ["▁▂▃▄▅▆▇█", ASCII_BARS])
def test_the_past_is_as_high_as_its_largest_value(bars):
    assert sparkline([0.0, 1.0, 2.0], 3, bars)[-1] == bars[-1]
    assert sparkline([5.0] * 4, 4, bars) == bars[-1] * 4


def test_the_newest_stands_on_the_right():
    assert sparkline([1.0, 2.0], 5) == "   ▅█"
    assert sparkline([9.0, 1.0, 2.0], 2) == "▅█"


def test_what_is_not_known_is_blank_and_nothing_is_the_lowest_bar():
    assert sparkline([math.nan, 0.0, math.inf], 3) == " ▁ "
    assert sparkline([0.0, 0.0], 2) == "▁▁"
    assert sparkline([], 3) == "   "
    assert sparkline([1.0], 0) == ""


def test_a_share_is_never_nothing_when_it_is_something():
    assert percent(1e-9) == "<0.1 %"
    assert percent(1 - 1e-9) == ">99 %"
    assert percent(0.0995) == "10 %"
