"""Moments: seconds from either end, dates and stamps are told apart."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ipcpy.bag.moments import moment_ns
from ipcpy.errors import ArgumentError

FIRST, LAST = 1_764_320_000_000_000_000, 1_764_320_100_000_000_000


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (None, 42),
        (0, FIRST),
        (1.5, FIRST + 1_500_000_000),
        (-10, LAST - 10_000_000_000),
        (-0.0, LAST),
        (FIRST + 7, FIRST + 7),
        (datetime.fromtimestamp(FIRST / 1e9, UTC), FIRST),
    ],
)
def test_a_moment_is_a_time(moment, expected):
    assert moment_ns(moment, FIRST, LAST, 42) == expected


@pytest.mark.parametrize("moment", ["5", True, float("inf"), float("nan"), [1]])
def test_anything_else_is_refused(moment):
    with pytest.raises(ArgumentError, match="a moment is seconds since the recording began"):
        moment_ns(moment, FIRST, LAST, 0)
