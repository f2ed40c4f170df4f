"""Leaving messages out where there are more than somebody wants to see. Knows publishers and stamps; pure."""

from __future__ import annotations

import math

import ipcpy as ipc

__all__ = ["Thinning"]

MAX_PUBLISHERS = 10_000  # that are remembered


class Thinning:
    """A number of messages a second, of each publisher.

    Args:
        max_rate: the number; None for all of them.

    Raises:
        ArgumentError: it is none.

    Attributes:
        thinned: messages that were left out.
    """

    def __init__(self, max_rate: float | None) -> None:
        if max_rate is not None:
            number = isinstance(max_rate, int | float) and not isinstance(max_rate, bool)
            if not number or not 0 < max_rate < 1e9 or not math.isfinite(max_rate):
                raise ipc.ArgumentError(f"max_rate is a number of messages a second, got {max_rate!r:.60}")
        self._period_ns = 0 if max_rate is None else round(1e9 / max_rate)
        self._due_ns: dict[str, int] = {}
        self.thinned = 0

    def leaves_out(self, publisher: str, now_ns: int) -> bool:
        """Tell whether a message is one too many."""
        period = self._period_ns
        if not period:
            return False
        due = self._due_ns.get(publisher, now_ns)
        if now_ns < due <= now_ns + period:  # further away: the clock was set back
            self.thinned += 1
            return True
        late = now_ns - due
        if publisher not in self._due_ns and len(self._due_ns) >= MAX_PUBLISHERS:
            self._due_ns.pop(next(iter(self._due_ns)), None)
        self._due_ns[publisher] = (due if 0 <= late < period else now_ns) + period
        return False
