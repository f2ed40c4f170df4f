"""Sets of sequence numbers as ranges. Knows integers only.

A jump of 2^60 in a sequence costs one range, never a loop (CVE-2025-64438: one packet, 64 GB).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

MAX_GAPS = 1_024


class Gaps:
    """Numbers that are missing, each under a cause; ranges that do not overlap, in ascending order.

    Args:
        limit: how many ranges are remembered; the oldest are forgotten.
    """

    __slots__ = ("_limit", "_ranges")

    def __init__(self, limit: int = MAX_GAPS) -> None:
        self._limit = limit
        self._ranges: list[tuple[int, int, str]] = []  # start, stop (not included), cause

    def __len__(self) -> int:
        return len(self._ranges)

    def __iter__(self) -> Iterator[tuple[int, int, str]]:
        return iter(self._ranges)

    def __contains__(self, number: int) -> bool:
        return self._find(number) >= 0

    def add(self, start: int, stop: int, cause: str) -> None:
        """Add the numbers from start to stop - 1, which lie above all that are there."""
        if start >= stop:
            return
        if self._ranges and self._ranges[-1][1] == start and self._ranges[-1][2] == cause:
            start = self._ranges.pop()[0]
        self._ranges.append((start, stop, cause))
        self.forget(self._limit)

    def take(self, number: int) -> str | None:
        """Remove one number; return its cause, None if it was not missing."""
        at = self._find(number)
        if at < 0:
            return None
        start, stop, cause = self._ranges[at]
        rest = [(start, number, cause)] if start < number else []
        rest += [(number + 1, stop, cause)] if number + 1 < stop else []
        self._ranges[at : at + 1] = rest
        self.forget(self._limit)
        return cause

    def _find(self, number: int) -> int:
        at = bisect_right(self._ranges, (number, 1 << 65, "")) - 1
        return at if at >= 0 and number < self._ranges[at][1] else -1

    def forget_from(self, number: int) -> None:
        """Forget the numbers from one on: it was never settled that they are missing."""
        self._ranges = [(start, min(stop, number), cause) for start, stop, cause in self._ranges if start < number]

    def forget(self, keep: int) -> None:
        """Forget the oldest ranges until no more than ``keep`` are left."""
        if len(self._ranges) > keep:
            del self._ranges[: len(self._ranges) - keep]
