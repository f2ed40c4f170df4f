"""When the newest messages arrived, and how late. Knows two clocks; nothing of networks or of what is printed.

Messages carry the time of the wall clock, which may be set at any moment. When they arrived is counted here by the
monotonic clock: intervals are never negative, in whatever order messages were handed out.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from itertools import pairwise

__all__ = ["Arrivals"]

STEP = 50_000_000  # ns by which the wall clock leaves the monotonic one, when it was set and does not just drift
UNSURE = 1_000_000_000  # ns after such a step in which messages may still carry a time of before it


class Arrivals:
    """The newest messages' times.

    Args:
        size: how many messages are looked at.
        monotonic_ns: a clock that nobody sets.
        time_ns: the wall clock by which messages are stamped.
    """

    def __init__(
        self,
        size: int,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        time_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._monotonic_ns = monotonic_ns
        self._time_ns = time_ns
        self._came: deque[int] = deque(maxlen=size)  # ns of the monotonic clock
        self._late: deque[int] = deque(maxlen=size)  # ns
        self._start = monotonic_ns()
        self._offset = time_ns() - self._start  # of the wall clock to the monotonic one
        self._step = 0
        self._unsure_until = self._start
        self._untold = 0

    def add(self, sent_ns: int, received_ns: int) -> None:
        """Take the times of a message that came."""
        now, wall = self._monotonic_ns(), self._time_ns()
        self._note_step(now, wall - now)
        unsure = now < self._unsure_until
        waited = wall - received_ns  # for us, in the inbox
        longest = UNSURE if unsure else now - self._start
        self._came.append(now - waited if 0 <= waited <= longest else now)
        late = received_ns - sent_ns
        if not (unsure and abs(late - self._step) < abs(self._step) // 2):  # it was sent before the step
            self._late.append(late)

    def _note_step(self, now: int, offset: int) -> None:
        step, self._offset = offset - self._offset, offset
        if abs(step) > STEP:
            self._step = self._untold = step
            self._unsure_until = now + UNSURE

    def told_step(self) -> float:
        """Return the seconds by which the wall clock was set, once; else 0.0."""
        step, self._untold = self._untold, 0
        return step / 1e9

    def __len__(self) -> int:
        """Return the number of messages that are looked at."""
        return len(self._came)

    def intervals(self) -> list[float]:
        """Return the seconds between each two messages, none of them negative."""
        return [(later - earlier) / 1e9 for earlier, later in pairwise(sorted(self._came))]

    def delays(self) -> list[float]:
        """Return the seconds from sending to receiving, by the wall clocks of both hosts.

        Messages are left out that were on their way while this host's clock was set.
        """
        return [late / 1e9 for late in self._late]
