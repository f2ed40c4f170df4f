"""Samples of a field over time, and what a screen shows of them: lowest and highest of each column of pixels. Pure.

Between two columns a line is as good as all the samples: what lies between a column's extremes is drawn over by the
line that joins them (Jugel et al., "M4: a visualization-oriented time series data aggregation", VLDB 2014). Columns
stand on a grid that begins at time 0, so those of several series are the same.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["KEPT", "Columns", "Series"]

KEPT = 100_000  # samples of each series: 16 bytes each
_SLACK = 4096  # samples that are dropped at once


class Columns(NamedTuple):
    """What is drawn.

    Attributes:
        t: a time for each column: of a lone sample its own, else the middle of the column.
        low: the lowest value; None where there is no number (NaN).
        high: the highest.
        samples: how many samples they stand for.
    """

    t: list[float]
    low: list[float | None]
    high: list[float | None]
    samples: int

    @property
    def thinned(self) -> bool:
        """Whether there are fewer columns than samples."""
        return self.samples > len(self.t)


class Series:
    """The newest samples of one field, in the order of their times.

    Args:
        kept: how many samples are kept at least, once there are so many.

    Attributes:
        added: how many samples there were in all.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._times = array("d")
        self._values = array("d")
        self.added = 0

    def __len__(self) -> int:
        return len(self._times)

    @property
    def first(self) -> float | None:
        """The time of the oldest sample that is kept; None if there is none."""
        return self._times[0] if self._times else None

    @property
    def last(self) -> float | None:
        """The time of the newest sample; None if there is none."""
        return self._times[-1] if self._times else None

    def add(self, time: float, value: float) -> None:
        """Add a sample; one that is older than the last one counts as if it were of the same time."""
        times = self._times
        if times and time < times[-1]:
            time = times[-1]
        times.append(time)
        self._values.append(value)
        self.added += 1
        if len(times) >= self._kept + _SLACK:
            del times[:_SLACK], self._values[:_SLACK]

    def rate(self, seconds: float = 1.0) -> float:
        """Return the samples a second in the last second of the series."""
        if len(self._times) < 2:
            return 0.0
        begin = bisect_left(self._times, self._times[-1] - seconds)
        span = self._times[-1] - self._times[begin]
        return (len(self._times) - 1 - begin) / span if span > 0 else 0.0

    def columns(self, begin: float, end: float, width: float) -> Columns:
        """Return the columns from the one that ``begin`` is in to the one that ``end`` is in.

        Args:
            begin: seconds.
            end: seconds.
            width: of a column, in seconds; more than 0.
        """
        times, values = self._times, self._values

        def number(time: float) -> int:  # always by the same division: products round otherwise
            return math.floor(time / width)

        at = bisect_left(times, number(begin), key=number)
        stop = bisect_left(times, number(end) + 1, at, key=number)
        made = Columns([], [], [], stop - at)
        while at < stop:
            column = number(times[at])
            upto = bisect_left(times, column + 1, at, min(stop, at + 8), key=number)  # few samples nearly always
            if upto == at + 8:
                upto = bisect_left(times, column + 1, upto, stop, key=number)
            _add(made, times[at] if upto - at == 1 else (column + 0.5) * width, values[at:upto])
            at = upto
        return made


def _add(made: Columns, time: float, values: Sequence[float]) -> None:
    if not math.isfinite(sum(values)):  # a NaN, with which nothing can be compared, or infinite, or more than a float
        values = [value for value in values if math.isfinite(value)]
    made.t.append(time)
    made.low.append(min(values, default=None))
    made.high.append(max(values, default=None))
