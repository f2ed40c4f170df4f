"""Which messages of a topic go on, and when: all, or the newest where a limit or the way allows fewer. Pure.

Messages and ``now`` come in, messages come out. Knows nothing of what they are.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from .rules import Limits

__all__ = ["Thinner"]

T = TypeVar("T")

ALL = Limits()
TICK = 1e-6  # seconds that are no time
BURST = 0.1  # seconds of a bandwidth that may be used at once


class Thinner(Generic[T]):
    """The messages of one topic that wait to go on.

    Without limits they go on in order. A rate holds for each publisher, a bandwidth for all of them together; where
    one is set, of each publisher only the newest message waits, and it is not lost when nothing follows it.

    Args:
        limits: how much goes on.

    Attributes:
        left_out: how many messages of each publisher were left out, by publisher and cause.
    """

    def __init__(self, limits: Limits = ALL) -> None:
        self._period = 1.0 / limits.rate if limits.rate else 0.0
        self._bandwidth = limits.bandwidth or 0.0
        self._limited = bool(self._period or self._bandwidth)
        self._cause = "rate" if self._period else "bandwidth"
        self._waiting: deque[tuple[Hashable, T, int]] = deque()
        self._due: dict[Hashable, float] = {}
        self._credit = 0.0
        self._credit_at = -math.inf
        self.left_out: Counter[tuple[Hashable, str]] = Counter()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, publisher: Hashable, message: T, size: int) -> None:
        """Have a message wait."""
        if self._limited:
            self._drop_all(publisher, self._cause)
        self._waiting.append((publisher, message, size))

    def squeeze(self, cause: str) -> None:
        """Have only the newest message of each publisher wait: the way is too slow for all of them."""
        newest = {publisher: message for publisher, message, _ in self._waiting}
        if len(newest) == len(self._waiting):
            return
        for each in list(self._waiting):
            if newest[each[0]] is not each[1]:
                self._waiting.remove(each)
                self._leave_out(each[0], cause)

    def take(self, now: float) -> tuple[Hashable, T] | None:
        """Return the next message that may go on now, with its publisher; None if none may."""
        for at, (publisher, message, size) in enumerate(self._waiting):
            if self._left(publisher, now) < TICK:
                del self._waiting[at]
                self._charge(publisher, size, now)
                return publisher, message
        return None

    def head(self) -> Hashable:
        """Return whose message waits longest; None if none waits."""
        return self._waiting[0][0] if self._waiting else None

    def left(self, now: float) -> float:
        """Return the seconds until one may go on; ``inf`` if none waits."""
        return min((self._left(publisher, now) for publisher, _, _ in self._waiting), default=math.inf)

    def forget(self, publisher: Hashable) -> None:
        """Forget a publisher that went."""
        self._waiting = deque(each for each in self._waiting if each[0] != publisher)
        self._due.pop(publisher, None)

    def _left(self, publisher: Hashable, now: float) -> float:
        left = self._due.get(publisher, now) - now if self._period else 0.0
        if self._bandwidth:
            self._refill(now)
            left = max(left, -self._credit / self._bandwidth)
        return max(0.0, left)

    def _charge(self, publisher: Hashable, size: int, now: float) -> None:
        if self._period:
            due = self._due.get(publisher, now)
            self._due[publisher] = max(due, now - self._period / 2) + self._period
        if self._bandwidth:
            self._credit -= size

    def _refill(self, now: float) -> None:
        if self._credit_at > -math.inf:
            self._credit += (now - self._credit_at) * self._bandwidth
            self._credit = min(self._credit, BURST * self._bandwidth)
        self._credit_at = now

    def _drop_all(self, publisher: Hashable, cause: str) -> None:
        for each in [each for each in self._waiting if each[0] == publisher]:
            self._waiting.remove(each)
            self._leave_out(publisher, cause)

    def _leave_out(self, publisher: Hashable, cause: str) -> None:
        self.left_out[publisher, cause] += 1
