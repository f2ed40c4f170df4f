"""A thread that reads the network uses no more than its share of a core. Knows selectors and the CPU time of threads;
nothing of what is read.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from ..budget import Budget

if sys.platform == "win32":
    from selectors import SelectSelector as _Selector
else:
    from selectors import PollSelector as _Selector  # an epoll would be shared with forked children

__all__ = ["CalmSelector"]

SHARE = 0.1  # of a core
CREDIT = 0.5  # seconds that the thread may work at once: 100 nodes that start together take 0.1
PAUSE_MAX = 0.25  # seconds


class CalmSelector(_Selector):
    """Waits for sockets, and before that until the thread has not used more than its share of a core.

    Whoever floods port 5353 thereby fills a kernel buffer, not the interpreter.

    Args:
        stopping: ends a pause.
        on_pause: called before each pause, in the thread that selects.
    """

    def __init__(self, stopping: threading.Event, on_pause: Callable[[], None]) -> None:
        super().__init__()
        self._stopping, self._on_pause = stopping, on_pause
        self._budget, self._used = Budget(CREDIT, SHARE, time.monotonic()), time.thread_time()

    def select(self, timeout: float | None = None) -> Any:
        """Wait like any selector; after too much work pause for up to 0.25 s first."""
        used = time.thread_time()
        self._budget.spend(used - self._used)
        self._used = used
        left = self._budget.left(time.monotonic())
        if left < 0:
            self._on_pause()
            self._stopping.wait(min(-left / SHARE, PAUSE_MAX))
        return super().select(timeout)
