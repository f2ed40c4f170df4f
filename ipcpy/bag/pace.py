"""When what was recorded is due again. Knows a rate, pauses and steps; is told the time, and never waits itself."""

from __future__ import annotations

import math

from ..errors import ArgumentError

__all__ = ["Pace"]


class Pace:
    """Turns moments of a recording into moments of now.

    Args:
        rate: how much faster it goes than it went; inf does not wait.

    Attributes:
        paused: whether nothing is due but what is asked for step by step.
        steps: how many messages are due although it is paused.
        position_ns: the moment of the recording that was due last; what comes after a pause is counted from there.
    """

    def __init__(self, rate: float = 1.0) -> None:
        self._rate = checked_rate(rate)
        self.paused = False
        self.steps = 0
        self.position_ns = 0
        self._from: tuple[int, float] | None = None  # a moment of the recording, and the time at which it was due

    @property
    def rate(self) -> float:
        """How much faster it goes than it went."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self._rate = checked_rate(rate)
        self._from = None

    def pause(self) -> None:
        """Let nothing be due any more."""
        self.paused = True

    def resume(self) -> None:
        """Go on where it was paused."""
        if self.paused:
            self.paused, self.steps, self._from = False, 0, None

    def step(self, count: int = 1) -> None:
        """Pause, and let some messages be due one after the other."""
        self.paused = True
        self.steps += count

    def jump(self, moment_ns: int) -> None:
        """Go to a moment of the recording, which is due at once."""
        self.position_ns, self._from = moment_ns, None

    def left(self, moment_ns: int, now: float) -> float:
        """Return the seconds until a moment of the recording is due, 0 and less if it is; inf while it is paused.

        Args:
            moment_ns: the moment, in ns since 1970.
            now: the time in seconds, of a clock that never goes back.
        """
        if self.paused:
            return 0.0 if self.steps else math.inf
        if self._from is None:
            self._from = self.position_ns, now
        since_ns, since = self._from
        return (moment_ns - since_ns) / 1e9 / self._rate - (now - since)

    def passed(self, moment_ns: int) -> None:
        """Take note that what was due at a moment of the recording is done."""
        self.position_ns = moment_ns
        if self.steps:
            self.steps -= 1


def checked_rate(rate: object) -> float:
    """Return a rate.

    Raises:
        ArgumentError: it is none.
    """
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not rate > 0:
        raise ArgumentError(f"a rate is a number above 0, such as 0.5, 2, or inf for no pauses; got {rate!r:.40}")
    return float(rate)
