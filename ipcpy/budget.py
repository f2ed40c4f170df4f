"""A token bucket: how much may be done, on average and at once. Knows numbers; ``now`` is an argument."""

from __future__ import annotations


class Budget:
    """So much at once, and so much a second. Starts full.

    Args:
        size: what may be spent at once.
        rate: what comes back a second.
        now: seconds, of any clock that does not jump.
    """

    __slots__ = ("_at", "_left", "_rate", "_size")

    def __init__(self, size: float, rate: float, now: float) -> None:
        self._size = self._left = size
        self._rate = rate
        self._at = now

    def left(self, now: float) -> float:
        """Return what may be spent now; less than 0 after too much was."""
        self._left = min(self._size, self._left + (now - self._at) * self._rate)
        self._at = now
        return self._left

    def spend(self, cost: float) -> None:
        """Spend, whatever is left."""
        self._left -= cost

    def take(self, cost: float, now: float) -> bool:
        """Spend; False if there is not enough. A full budget pays for anything."""
        if cost > self.left(now) < self._size:
            return False
        self._left -= cost
        return True
