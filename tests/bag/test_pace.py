"""Pace: what is due when, at any rate, over pauses and steps. Its clock is the test's."""

from __future__ import annotations

import math

import pytest

from ipcpy.bag.pace import Pace
from ipcpy.errors import ArgumentError

S = 1_000_000_000


def started(rate=1.0, at=100):
    pace = Pace(rate)
    pace.jump(at * S)
    return pace


def test_the_distances_are_those_of_the_recording():
    pace = started()
    assert pace.left(100 * S, 5.0) == 0
    pace.passed(100 * S)
    assert pace.left(102 * S, 5.0) == 2
    assert pace.left(102 * S, 6.5) == 0.5
    assert pace.left(102 * S, 7.25) == -0.25


def test_a_late_message_makes_no_other_late():
    pace = started()
    pace.left(100 * S, 0.0)
    pace.passed(101 * S)  # at 1.8 instead of 1
    assert pace.left(102 * S, 1.8) == pytest.approx(0.2)


@pytest.mark.parametrize(("rate", "left"), [(2.0, 5.0), (0.5, 20.0), (math.inf, 0.0)])
def test_a_rate_shortens_or_lengthens_them(rate, left):
    pace = started(rate)
    pace.left(100 * S, 0.0)
    assert pace.left(110 * S, 0.0) == left


def test_another_rate_counts_from_what_was_played_last():
    pace = started()
    pace.left(100 * S, 0.0)
    pace.passed(104 * S)
    pace.rate = 4
    assert pace.left(108 * S, 50.0) == 1
    assert pace.rate == 4


def test_what_is_paused_is_never_due_and_goes_on_where_it_was():
    pace = started()
    pace.left(100 * S, 0.0)
    pace.passed(100 * S)
    pace.pause()
    assert pace.left(100 * S, 1000.0) == math.inf
    pace.resume()
    assert pace.left(103 * S, 2000.0) == 3


def test_a_step_is_due_at_once_and_only_one():
    pace = started()
    pace.step(2)
    for at in (200, 300):
        assert pace.left(at * S, 0.0) == 0
        pace.passed(at * S)
    assert pace.left(400 * S, 0.0) == math.inf
    assert pace.paused


def test_to_resume_what_is_not_paused_changes_nothing():
    pace = started()
    pace.left(100 * S, 0.0)
    pace.resume()
    assert pace.left(101 * S, 0.25) == 0.75


@pytest.mark.parametrize("rate", [0, -1, "2", True, float("nan"), None])
def test_what_is_no_rate_is_refused(rate):
    with pytest.raises(ArgumentError, match="a rate is a number above 0"):
        Pace(rate)
