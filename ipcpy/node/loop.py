"""The one I/O thread: readiness, timers, and calls from other threads. Knows files and functions, nothing of ipcpy."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import selectors
import threading
import time
from collections import deque
from collections.abc import Callable

from ..locks import start
from ..log import get_logger
from ..timeouts import NEVER
from ..transport.kernel import refusals_as
from ..transport.wake import Wake
from ..typed import Any

log = get_logger(__name__)

_IMMEDIATE = ("EpollSelector", "KqueueSelector")  # a change from another thread takes effect while select waits
SUSPEND = 0.2  # seconds


class Loop:
    """A thread that waits for files and times. Times are those of ``time.monotonic``: the wall clock may jump."""

    def __init__(self, name: str) -> None:
        with refusals_as("no way to wait for sockets to be had"):
            self._selector = selectors.DefaultSelector()
        self._wake = Wake()
        self._woken = False
        self._selector.register(self._wake, selectors.EVENT_READ, self._on_wake)
        self._must_wake = type(self._selector).__name__ not in _IMMEDIATE
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._timers: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._wakes_at = 0.0  # when it will at the latest; it looks for calls after it has set this
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        start(self._thread)

    @property
    def started(self) -> bool:
        """Whether the thread was started."""
        return self._thread.ident is not None

    @property
    def stopping(self) -> bool:
        """Whether the thread is to end, or has."""
        return self._stopping

    def in_thread(self) -> bool:
        """Tell whether the caller is the loop's own thread."""
        return threading.get_ident() == self._thread.ident

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Have a function called in the thread, soon; from any thread."""
        try:
            self._calls.append((function, arguments))
            if not self._woken:
                self._wake_up()
        except BaseException:  # from outside, and perhaps in between
            self._wake.set()
            raise

    def call_by(self, when: float, function: Callable[[], object]) -> None:
        """Have a function called in the thread when it wakes up anyway, if that is by a time; else soon."""
        try:
            self._calls.append((function, ()))
            if self._wakes_at > when and not self._woken:
                self._wake_up()
        except BaseException:
            self._wake.set()
            raise

    def _wake_up(self) -> None:
        if not self.in_thread():
            self._woken = True
            self._wake.set()

    def call_at(self, when: float, function: Callable[[], object]) -> None:
        """Have a function called at a time; only from the loop's own thread."""
        heapq.heappush(self._timers, (when, next(self._numbers), function))

    def watch(self, file: Any, ready: Callable[[], object]) -> None:
        """Call a function whenever a file (a descriptor, or what has ``fileno``) can be read; from any thread.

        One that is watched already is watched on as before. A loop that has ended watches nothing.
        """
        try:
            self._selector.register(file, selectors.EVENT_READ, ready)
        except KeyError:  # it is watched already
            pass
        except ValueError:
            if not self._stopping:
                raise
        if self._must_wake:
            self._wake.set()

    def unwatch(self, file: Any) -> None:
        """Watch a file no more; one that is not watched is ignored."""
        with contextlib.suppress(KeyError, ValueError, OSError):
            self._selector.unregister(file)

    def _on_wake(self) -> None:
        self._wake.clear()  # first: who finds ``_woken`` set has added his call already, and it is made in this round
        self._woken = False

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select(self._timeout()):
                if not self._do(key.data):
                    self._suspend(key.fileobj, key.data)
            for _ in range(len(self._calls)):
                function, arguments = self._calls.popleft()
                self._do(function, *arguments)
            now = time.monotonic()
            while self._timers and self._timers[0][0] <= now:
                self._do(heapq.heappop(self._timers)[2])
        self.abandon()  # here, not by who waits for the end: that may take longer than anybody waits

    @staticmethod
    def _do(function: Callable[..., object], *arguments: Any) -> bool:
        try:
            function(*arguments)
        except Exception:  # a defect in one place must not silence all the others
            log.exception("in the I/O thread")
            return False
        return True

    def _suspend(self, file: Any, ready: Callable[[], object]) -> None:
        """Watch a file no more for a while: what could not be read is still there, and would be found again at once."""
        self.unwatch(file)
        self.call_at(time.monotonic() + SUSPEND, lambda: self._resume(file, ready))

    def _resume(self, file: Any, ready: Callable[[], object]) -> None:
        with contextlib.suppress(ValueError, OSError):  # it was closed
            self.watch(file, ready)

    def _timeout(self) -> float | None:
        self._wakes_at = self._timers[0][0] if self._timers else NEVER  # first: see call_by
        if self._calls:
            return 0.0
        return max(0.0, self._wakes_at - time.monotonic()) if self._timers else None

    def quit(self) -> None:
        """End the thread once it has done what it is doing; from the thread itself."""
        self._stopping = True

    def join(self, timeout: float) -> None:
        """Wait for the end of the thread, for so many seconds at most; not at all in the thread itself."""
        if self.started and not self.in_thread():
            self._thread.join(timeout)

    def abandon(self) -> None:
        """Close the descriptors: where the thread has come to its end, or never was, as in a forked child."""
        self._stopping = True
        self._selector.close()
        self._wake.close()


class Alarm:
    """Calls a function in the loop's thread at a time that can be moved, from any thread.

    Moving it to an earlier time costs a call; to a later one nothing, for the function is called at the earlier time
    too and is expected to look what is due.
    """

    def __init__(self, loop: Loop, function: Callable[[], object]) -> None:
        self._loop = loop
        self._function = function
        self._set = NEVER

    def by(self, when: float, slack: float = 0.0) -> None:
        """Have the function called at this time or before.

        Args:
            slack: seconds that it may be late if the thread would have to be woken for it.
        """
        if when < self._set:
            try:
                self._set = when
                if self._loop.in_thread():
                    self._push()
                else:
                    self._loop.call_by(when + slack, self._push)
            except BaseException:  # from outside, and perhaps before the loop was told
                self._loop.call(self._push)
                raise

    def _push(self) -> None:
        if self._set != NEVER:
            self._loop.call_at(self._set, self._fire)

    def _fire(self) -> None:
        if time.monotonic() >= self._set:
            self._set = NEVER
            self._function()
