"""Watching the graph change, in threads and in coroutines. Knows events and waiting; not what the events come from."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING

from ..errors import ClosedError, RecvTimeout
from ..locks import Bell, Monitor
from ..timeouts import NEVER, after, seconds

if TYPE_CHECKING:
    from ..events import Event

__all__ = ["Watch"]

MAX_EVENTS = 10_000  # that one watch keeps unread; the oldest give way


class Watch:
    """The changes of the graph from now on, what is there already first; for threads and for coroutines.

    Iterating ends when it, or its node, is closed. At most 10,000 unread events are kept, the newest. It keeps its node
    open; one that is forgotten is told nothing more.

        with node.watch() as watch:
            for event in watch:
                ...
    """

    def __init__(self, queue: EventQueue, on_close: Callable[[EventQueue], None], keeps: object = None) -> None:
        self._queue = queue
        self._on_close = on_close
        self._keeps = keeps  # a node that nobody holds is closed

    def get(self, timeout: float | None = None) -> Event:
        """Return the next event.

        Args:
            timeout: seconds; None waits for ever, 0 only looks.

        Raises:
            TimeoutError: if none came in time.
            ClosedError: (an OSError) if it, or its node, was closed and no event is left.
            ArgumentError: (a ValueError) if timeout is no number.
        """
        return self._queue.get(seconds(timeout))

    def close(self) -> None:
        """Watch no more; idempotent. Whoever waits gets what is left, then ClosedError."""
        self._on_close(self._queue)
        self._queue.end()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        try:
            return self._queue.get(None)
        except ClosedError:
            raise StopIteration from None

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        try:
            return await self._queue.get_async()
        except ClosedError:
            raise StopAsyncIteration from None

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class EventQueue:
    """The unread events of one watch: the I/O thread puts them in, threads and coroutines take them out.

    Args:
        own: whether it is told of ipcpy's own topics.
    """

    def __init__(self, *, own: bool = False) -> None:
        self.own = own
        self._events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self._monitor = Monitor(Bell())
        self._lock = self._monitor.lock
        self._ended = False

    def put(self, event: Event) -> None:
        """Add an event."""
        with self._lock:
            self._events.append(event)
            self._monitor.bell.ring()

    def end(self) -> None:
        """Let those who wait know that nothing more will come."""
        with self._lock:
            self._ended = True
            self._monitor.bell.ring()

    def abandon(self) -> None:
        """Let nothing more come, in a forked child: a thread that is not there may hold the lock."""
        self._monitor = Monitor(Bell())
        self._lock = self._monitor.lock
        self._ended = True

    def _is_due(self) -> bool:
        return bool(self._events) or self._ended

    def get(self, timeout: float | None) -> Event:
        """Take the oldest event; for the errors see ``Watch.get``."""
        deadline = NEVER if timeout is None else time.monotonic() + timeout
        while self._monitor.wait_for(self._is_due, None if timeout is None else deadline - time.monotonic()):
            with self._lock:
                if self._is_due():  # else another one was faster
                    return self._take()
        raise RecvTimeout(f"no event {after(timeout)}")

    async def get_async(self) -> Event:
        """Take the oldest event, in a coroutine.

        Raises:
            ClosedError: if nothing more will come.
        """
        while True:
            await self._monitor.bell.wait_async(self._is_due)
            with self._lock:
                if self._is_due():  # else another one was faster
                    return self._take()

    def _take(self) -> Event:
        if not self._events:
            raise ClosedError("the watch is closed")
        return self._events.popleft()
