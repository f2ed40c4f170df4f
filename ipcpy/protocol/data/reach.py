"""Which numbers a publisher can have come to. Pure: numbers and ``now``; nothing of what becomes of messages.

A number that nobody can have come to is not believed: who jumps to 2^40 would have 10^12 messages booked as lost.
"""

from __future__ import annotations

RATE = 1 << 24  # messages a second, ten times what a computer sends in batches; and as many at once


class Reach:
    """How far one publisher can have come since it was matched."""

    __slots__ = ("_at", "_first")

    def __init__(self) -> None:
        self._first = 0
        self._at = 0.0

    def start(self, first: int, now: float) -> None:
        """Learn the first number; what it is is the publisher's affair. Later ones change nothing."""
        if not self._first:
            self._first, self._at = first, now

    def holds(self, seq: int, now: float) -> bool:
        """Tell whether the publisher can have come to a number; before the first is known it can to any."""
        return not self._first or seq - self._first <= RATE * (1.0 + now - self._at)
