"""How far the clocks of other hosts were ahead while a recording was made, so that it can tell how late messages were.

A *trace* is a line of points, one where it bends: when by the recorder's wall clock, how far the node's was ahead, how
wrong that can be, and how wrong what was left out before it, all in ns. Knows numbers and JSON; opens no file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..clock import Clock, Delay

__all__ = ["Point", "Trace", "Traces", "clock_at_end", "delay_by", "read_traces"]

MAX_POINTS = 256  # of a trace; the oldest give way
RATE = 500e-6  # by which two wall clocks drift apart, where nobody looked
STEP = 1e-3  # by which they drift apart only if one was set


class Point(NamedTuple):
    """One point of a trace, in ns.

    Attributes:
        at: when, by the recorder's wall clock.
        offset: how far the node's was ahead.
        bound: how wrong that can be.
        worst: the greatest bound of what was left out since the point before.
    """

    at: int
    offset: int
    bound: int
    worst: int


class Trace:
    """Takes estimates and keeps those at which the line bends: what is left out is as good on the line.

    Attributes:
        points: what is kept; the last one may be replaced by the next.
    """

    def __init__(self) -> None:
        self.points: list[Point] = []
        self._low, self._high, self._worst = -math.inf, math.inf, 0

    def add(self, at: int, offset: int, bound: int) -> None:
        """Take an estimate, later than all before; else one of the clocks was set, and the line is broken."""
        points = self.points
        if len(points) > 1 and self._replaces(at, offset):
            self._worst = max(self._worst, points[-1].bound)
            points[-1] = Point(at, offset, bound, self._worst)
            return
        self._low, self._high, self._worst = -math.inf, math.inf, 0
        points.append(Point(at, offset, bound, 0))
        del points[:-MAX_POINTS]

    def _replaces(self, at: int, offset: int) -> bool:
        """Tell whether the line from the last bend to a new point passes all that was left out, and what will be."""
        bend, last = self.points[-2:]
        if not bend.at < last.at < at:
            return False
        passed = last.at - bend.at
        self._low = max(self._low, (last.offset - last.bound - bend.offset) / passed)
        self._high = min(self._high, (last.offset + last.bound - bend.offset) / passed)
        return self._low <= (offset - bend.offset) / (at - bend.at) <= self._high


class Traces:
    """The traces of the nodes that are recorded, by the nodes' ids."""

    def __init__(self) -> None:
        self._traces: dict[str, Trace] = {}

    def add(self, node: str, at: int, clock: Clock) -> None:
        """Take what is known of a node's clock, if something is."""
        if clock.bound < math.inf:
            self._traces.setdefault(node, Trace()).add(at, round(clock.offset * 1e9), math.ceil(clock.bound * 1e9))

    def told(self) -> dict[str, str]:
        """Return them as they stand in a file: for each node a list of traces, in JSON."""
        return {node: json.dumps([trace.points], separators=(",", ":")) for node, trace in list(self._traces.items())}


def read_traces(files: Iterable[Mapping[str, str]]) -> dict[str, list[list[Point]]]:
    """Read the traces of files; of one that goes on in a later file the longest counts. What is none is passed over."""
    found: dict[str, dict[tuple[int, int], list[Point]]] = {}
    for told in files:
        for node, text in told.items():
            for points in _points(text):
                traces = found.setdefault(node, {})
                begun = points[0][:2]
                if begun not in traces or traces[begun][-1].at < points[-1].at:
                    traces[begun] = points
    return {node: list(traces.values()) for node, traces in found.items()}


def _points(text: str) -> list[list[Point]]:
    try:
        return [[_point(each) for each in points] for points in json.loads(text) if points]
    except (ValueError, TypeError, RecursionError):
        return []


def _point(told: Any) -> Point:
    point = Point(*told)
    if not all(type(number) is int for number in point) or min(point.bound, point.worst) < 0:
        raise ValueError("a point that is none")
    return point


def delay_by(traces: Iterable[list[Point]], sent_ns: int, received_ns: int) -> Delay:
    """Return how long a message was on its way; the bound is ``inf`` without a trace."""
    late = received_ns - sent_ns
    spans = [_offset(points, received_ns, late) for points in traces]
    within = [each for each, inside in spans if inside]
    told = within or sorted((each for each, _ in spans), key=lambda each: each[1] - each[0])[:1]
    if not told:
        return Delay(late / 1e9, math.inf)
    low, high = max(0.0, late + min(low for low, _ in told)), late + max(high for _, high in told)
    if low > high:
        return Delay(late / 1e9, math.inf)
    return Delay((low + high) / 2e9, (high - low) / 2e9)


def _offset(points: list[Point], at: int, late: int) -> tuple[tuple[float, float], bool]:
    """Return the least and the greatest offset at a time, for a message, and whether the trace covers it."""
    spans = [
        _between(begin, end, at, late)
        for begin, end in zip(points, points[1:], strict=False)
        if begin.at <= at <= end.at
    ]
    if spans:  # several where the recorder's own clock was set back
        return (min(low for low, _ in spans), max(high for _, high in spans)), True
    nearest = min(points, key=lambda point: abs(point.at - at))
    same = not nearest.bound and not nearest.offset  # the recorder's own host
    slack = nearest.bound + (0.0 if same else RATE * abs(at - nearest.at))
    return (nearest.offset - slack, nearest.offset + slack), False


def _between(begin: Point, end: Point, at: int, late: int) -> tuple[float, float]:
    passed = max(1, end.at - begin.at)
    worst = max(begin.bound, end.bound)
    if abs(end.offset - begin.offset) > STEP * passed:  # a clock was set, and it is not known when
        low, high = sorted((begin.offset, end.offset))
        if high - low > passed:  # then one of the two is hours off: the message came before it was sent, or much later
            low, high = (low, low) if late + low + worst >= 0 else (high, high)
        return low - worst, high + worst
    worst = max(worst, 2 * end.worst)
    offset = begin.offset + (end.offset - begin.offset) * (at - begin.at) / passed
    return offset - worst, offset + worst


def clock_at_end(traces: Iterable[list[Point]]) -> Clock:
    """Return what was known last."""
    last = max((points[-1] for points in traces), default=None)
    if last is None:
        return Clock(0.0, math.inf, math.inf)
    return Clock(last.offset / 1e9, last.bound / 1e9, 0.0)
