"""The pace of a loop: ticks that do not drift, for threads and coroutines. Knows clocks; nothing of topics."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator

from .timeouts import hertz
from .wakeups import running_loop

__all__ = ["Rate"]


class Rate:
    """Keeps a loop's pace: the ticks are as far apart as they should be, however long each turn of the loop takes.

    A turn that takes too long is followed by the next at once; ticks that passed meanwhile are left out and counted. So
    the pace is kept, and nothing is caught up on. One Rate is for one loop.

        rate = ipc.Rate(100)
        while True:
            move()
            rate.sleep()

        for missed in ipc.Rate(100):    # or: async for missed in ipc.Rate(100)
            move()

    Args:
        hz: ticks a second, from 0.000001 to 1,000,000.

    Attributes:
        missed: ticks that were left out, in all.
        ticks: ticks that came, in all.
        late: seconds that the latest tick came after its time.

    Raises:
        ArgumentError: (a ValueError) if hz is no such number.

    >>> rate = Rate(10)
    >>> [missed for missed, _ in zip(rate, range(3))], rate.period
    ([0, 0, 0], 0.1)
    """

    def __init__(self, hz: float) -> None:
        self._hz = hertz(hz)
        self._grid = Grid(1 / self._hz, time.monotonic())
        self.missed = 0
        self.ticks = 0
        self.late = 0.0

    @property
    def hz(self) -> float:
        """Ticks a second."""
        return self._hz

    @property
    def period(self) -> float:
        """Seconds between two ticks."""
        return self._grid.period

    def sleep(self) -> int:
        """Wait for the next tick; it does not wait where that has passed.

        Returns:
            How many ticks were left out since the last one: 0 for a loop that keeps up.
        """
        due, missed = self._grid.next(time.monotonic())
        while (left := due - time.monotonic()) > 0:
            time.sleep(left)
        return self._came(due, missed)

    async def sleep_async(self) -> int:
        """Wait as ``sleep``, in a coroutine; other coroutines run meanwhile, also where the tick has passed."""
        running_loop()  # says what to do where there is none
        from asyncio import sleep

        due, missed = self._grid.next(time.monotonic())
        await sleep(max(0.0, due - time.monotonic()))
        while (left := due - time.monotonic()) > 0:  # event loops may wake a little too early
            await sleep(left)
        return self._came(due, missed)

    def _came(self, due: float, missed: int) -> int:
        self.late = time.monotonic() - due
        self.missed += missed
        self.ticks += 1
        return missed

    def _begin(self) -> bool:
        """Let the first tick of an iteration be now."""
        if self.ticks:
            return False
        now = time.monotonic()
        self._grid.begin(now)
        self._came(now, 0)
        return True

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        return 0 if self._begin() else self.sleep()

    def __aiter__(self) -> AsyncIterator[int]:
        return self

    async def __anext__(self) -> int:
        return 0 if self._begin() else await self.sleep_async()

    def __repr__(self) -> str:
        return f"<ipcpy.Rate {self._hz:g} Hz, {self.ticks} ticks, {self.missed} missed>"


class Grid:
    """The times of ticks, a period apart; reads no clock.

    Args:
        period: seconds.
        start: the time of the tick before the first.
    """

    def __init__(self, period: float, start: float) -> None:
        self.period = period
        self._start = start
        self._number = 0
        self._fresh = True

    def begin(self, now: float) -> None:
        """Count from now on."""
        self._start, self._number, self._fresh = now, 0, False

    def next(self, now: float) -> tuple[float, int]:
        """Return when the next tick is due, and how many are left out before it; it may have been due already."""
        if self._fresh and now > self._start + self.period:  # what comes before a loop is no part of it
            self.begin(now - self.period)
        self._fresh = False
        self._number += 1
        behind = int((now - self._due()) / self.period) if now > self._due() else 0
        self._number += behind
        return self._due(), behind

    def _due(self) -> float:
        return self._start + self._number * self.period
