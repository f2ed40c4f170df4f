"""One topic, listened to: its newest message, the past of a number in it. Knows a subscriber; nothing of screens."""

from __future__ import annotations

import time
from collections import deque

import ipcpy as ipc

from ..overview.values import Path, number_at, numeric_fields, path_of

__all__ = ["Listening"]

DEPTH = 2000  # messages that wait at most: at 5 looks a second all of 10,000 Hz
BYTES = 64 << 20  # bytes of them: a few images
SPAN = 0.02  # seconds of which the least and the largest value are kept: the smallest step that a plot shows
POINTS = 40_000  # values that are kept: 400 s, two for each span
BUDGET = 0.05  # seconds that one look may take; what is then left over is left out of the plot


class Listening:
    """A subscription to one topic, that lasts until ``close``.

    Args:
        node: in the domain of the topic.
        topic: its whole name.

    Attributes:
        newest: the newest message; None before the first.
        field: the path of what is plotted; None for nothing yet.
        points: when each value came, in seconds since 1970, and the value; of many in 20 ms the extremes.
        skipped: messages that were not looked at, because there were too many.
        shape: paths of the numbers of the newest message.
    """

    def __init__(self, node: ipc.Node, topic: str) -> None:
        self._subscriber = ipc.Subscriber(f"/{topic}", depth=DEPTH, depth_bytes=BYTES, node=node)
        self.newest: ipc.Message | None = None
        self.field: Path | None = None
        self.points: deque[tuple[float, float]] = deque(maxlen=POINTS)
        self.skipped = 0
        self._span = 0  # the number of the newest one, and how many of its values are kept
        self._kept = 0

    def look(self) -> bool:
        """Take what came, in bounded time.

        Returns:
            Whether anything came.
        """
        until = time.monotonic() + BUDGET
        before, left = self.newest, None
        for _ in range(DEPTH):
            try:
                message = self._subscriber.recv(timeout=0)
            except (TimeoutError, ipc.ClosedError):
                break
            if time.monotonic() < until:
                self._take(message)
            else:  # too many: of those that are left the newest alone is looked at
                self.skipped += left is not None
                left = message
        if left is not None:
            self._take(left)
        return self.newest is not before

    def plot(self, field: Path) -> None:
        """Plot another field, from now on."""
        if field != self.field:
            self.field = field
            self.points.clear()
            self._kept = 0
            if self.newest is not None:
                self._note(self.newest)

    def why(self) -> str:
        """Return why nothing comes, in sentences."""
        return self._subscriber.why()

    def close(self) -> None:
        """Listen no more; idempotent."""
        self._subscriber.close()

    def _take(self, message: ipc.Message) -> None:
        self.newest = message
        if self.field is None:
            numbers = numeric_fields(message.data, 1)
            self.field = path_of(numbers[0]) if numbers else None
        self._note(message)

    def _note(self, message: ipc.Message) -> None:
        if self.field is not None:
            value = number_at(message.data, self.field)
            if value is not None:
                self._add(message.received_ns / 1e9, value)

    def _add(self, moment: float, value: float) -> None:
        span = int(moment / SPAN)
        if span != self._span:
            self._span, self._kept = span, 0
        if self._kept < 2:
            self._kept += 1
            self.points.append((moment, value))
            return
        low, high = (-2, -1) if self.points[-2][1] <= self.points[-1][1] else (-1, -2)
        if value < self.points[low][1]:
            self.points[low] = moment, value
        elif value > self.points[high][1]:
            self.points[high] = moment, value
