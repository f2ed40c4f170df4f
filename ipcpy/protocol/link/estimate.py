"""How far one steady clock is ahead of another, of what messages between them said. Pure; knows numbers only.

No message arrives before it was sent. So each one that says when it was sent bounds the offset of the two clocks from
one side, and one back bounds it from the other: what lies between is half the round trip off at most, however unequal
the two ways are. The best of many are kept, of each way by itself (RFC 5905 keeps the best round trip). Clocks drift:
the offset is a line whose slope nobody knows but for its bounds, and all lines are possible that run below the upper
bounds and above the lower ones (Zhang, Liu and Xia, "Clock synchronization algorithms for network measurements",
INFOCOM 2002). Whatever the true line is, it lies between the lowest and the highest of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from ...records import NamedTuple

__all__ = ["Bound", "Estimate", "Line"]

RATE = 500e-6  # by which two steady clocks may differ: crystals are 100 ppm off, those of virtual machines more
WANDER = 1e-6  # by which a rate may change meanwhile: a crystal that warms up
SPAN = 1_000_000_000  # ns of which the best bound is kept
SPANS = 32  # how many of them


class Bound(NamedTuple):
    """What the offset is at least, or at most, at a moment; all in ns."""

    at: int
    offset: int


class Line:
    """The lines that are possible, of some bounds.

    Args:
        lowers: what the offset was at least.
        uppers: what it was at most; of both there is one.
    """

    def __init__(self, lowers: Sequence[Bound], uppers: Sequence[Bound]) -> None:
        self._lowers: Sequence[Bound] = _hull(lowers, 1)
        self._uppers: Sequence[Bound] = _hull(uppers, -1)

    @cached_property
    def rates(self) -> tuple[float, float]:
        """The least and the greatest slope. Where no line fits, older bounds are left out: the rate has changed."""
        while True:
            low, high = self._slopes()
            if low <= high:
                return low, high
            newest = max(self._lowers[-1].at, self._uppers[-1].at)
            oldest = min(self._lowers[0].at, self._uppers[0].at)
            if len(self._lowers) == len(self._uppers) == 1:
                return -RATE, RATE
            half = (newest + oldest) // 2
            self._lowers = [each for each in self._lowers if each.at > half] or self._lowers[-1:]
            self._uppers = [each for each in self._uppers if each.at > half] or self._uppers[-1:]

    def _slopes(self) -> tuple[float, float]:
        low, high = -RATE, RATE
        for begin, least in self._lowers:
            for end, most in self._uppers:
                room, passed = most - least, end - begin
                room += int(WANDER * abs(passed))
                if passed > 0:
                    high = min(high, room / passed)
                elif passed < 0:
                    low = max(low, room / passed)
                elif room < 0:
                    return RATE, -RATE
        return low, high

    def span(self, at: float) -> tuple[float, float]:
        """Return the least and the greatest offset at a moment, in ns."""
        slow, fast = self.rates
        low = max(offset + _least(at - begin, slow, fast) for begin, offset in self._lowers)
        high = min(offset + _most(at - begin, slow, fast) for begin, offset in self._uppers)
        return (low, high) if low <= high else (high, low)


def _hull(bounds: Sequence[Bound], sign: int) -> list[Bound]:
    """Return the bounds that can touch a line: those that no line through two others keeps it away from.

    Args:
        bounds: upper or lower ones.
        sign: 1 for lower bounds, -1 for upper ones.
    """
    kept: list[Bound] = []
    for bound in sorted(bounds):
        while len(kept) > 1 and sign * _turn(kept[-2], kept[-1], bound) >= 0:
            kept.pop()
        kept.append(bound)
    return kept


def _turn(first: Bound, second: Bound, third: Bound) -> int:
    """Return more than 0 where the way over three points turns upwards (Andrew's monotone chain)."""
    return (second.at - first.at) * (third.offset - first.offset) - (second.offset - first.offset) * (
        third.at - first.at
    )


def _least(passed: float, slow: float, fast: float) -> float:
    return min(slow * passed, fast * passed) - WANDER * abs(passed)


def _most(passed: float, slow: float, fast: float) -> float:
    return max(slow * passed, fast * passed) + WANDER * abs(passed)


class Estimate:
    """The bounds that are kept: the best of each second, of the last half minute."""

    def __init__(self) -> None:
        self._lowers: dict[int, Bound] = {}
        self._uppers: dict[int, Bound] = {}

    def add(self, lower: Bound | None, upper: Bound) -> bool:
        """Take what a message said; return whether it fits what was known: else only this message is believed.

        Args:
            lower: None where the other side did not say when it got a message of ours.
            upper: what the offset was at most when its message came.
        """
        if lower is not None and lower.offset > upper.offset + RATE * abs(upper.at - lower.at):
            lower = None  # a clock jumped while the other side had our message: only what it said last is of now
        fits = self._fits(lower, upper)
        if not fits:
            self._lowers.clear()
            self._uppers.clear()
        if lower is not None:
            _keep(self._lowers, lower, 1)
        _keep(self._uppers, upper, -1)
        return fits

    def _fits(self, lower: Bound | None, upper: Bound) -> bool:
        for at, offset in self._lowers.values():
            if upper.at < at - SPAN or offset - RATE * abs(upper.at - at) > upper.offset:
                return False
        if lower is None:
            return True
        return all(lower.offset <= offset + RATE * abs(lower.at - at) for at, offset in self._uppers.values())

    def line(self) -> Line | None:
        """Return what is possible now; None while there are no bounds of both sides."""
        lowers, uppers = tuple(self._lowers.values()), tuple(self._uppers.values())
        return Line(lowers, uppers) if lowers and uppers else None


def _keep(bounds: dict[int, Bound], bound: Bound, sign: int) -> None:
    number = bound.at // SPAN
    before = bounds.get(number)
    if before is None or sign * (bound.offset - before.offset) > 0:
        bounds[number] = bound
    while len(bounds) > SPANS:
        del bounds[next(iter(bounds))]
