"""Watching the graph, or a topic, change, in threads and in coroutines. Knows events and waiting; not what the events
come from.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from types import TracebackType

from ..errors import ClosedError, RecvTimeout
from ..locks import Bell, Monitor
from ..timeouts import NEVER, after, seconds
from ..typed import Any, Generic, TypeVar
from ..wakeups import within

__all__ = ["Watch"]

MAX_EVENTS = 10_000  # that one watch keeps unread; the oldest give way


E = TypeVar("E")


class Watch(Generic[E]):
    """The changes of the graph, or of a subscriber's topic, from now on, what is there already first; for threads and
    for coroutines.

    Iterating ends when it, or its node or subscriber, is closed. At most 10,000 unread events are kept, the newest. It
    keeps its node or subscriber open; one that is forgotten is told nothing more.

        with node.watch() as watch:
            for event in watch:
                ...
    """

    def __init__(self, queue: EventQueue[E], on_close: Callable[[EventQueue[E]], None], keeps: object = None) -> None:
        self._queue = queue
        self._on_close = on_close
        self._keeps = keeps  # a node that nobody holds is closed

    def get(self, timeout: float | None = None) -> E:
        """Return the next event.

        Args:
            timeout: seconds; None waits for ever, 0 only looks.

        Raises:
            TimeoutError: if none came in time.
            ClosedError: (an OSError) if it, or its node or subscriber, was closed and no event is left.
            ArgumentError: (a ValueError) if timeout is no number.
        """
        return self._queue.get(seconds(timeout))

    async def get_async(self, timeout: float | None = None) -> E:
        """Return the next event as ``get``, in a coroutine; other coroutines run meanwhile."""
        return await self._queue.get_async(seconds(timeout))

    def close(self) -> None:
        """Watch no more; idempotent. Whoever waits gets what is left, then ClosedError."""
        self._on_close(self._queue)
        self._queue.end()

    def __iter__(self) -> Iterator[E]:
        return self

    def __next__(self) -> E:
        try:
            return self._queue.get(None)
        except ClosedError:
            raise StopIteration from None

    def __aiter__(self) -> AsyncIterator[E]:
        return self

    async def __anext__(self) -> E:
        try:
            return await self._queue.get_async()
        except ClosedError:
            raise StopAsyncIteration from None

    def __enter__(self) -> Watch[E]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class EventQueue(Generic[E]):
    """The unread events of one watch: the I/O thread puts them in, threads and coroutines take them out.

    Args:
        own: whether it is told of ipcpy's own topics.
        see: makes of what is put in the events to tell; by default it is told as it is.
    """

    def __init__(self, *, own: bool = False, see: Callable[[Any], Iterable[E]] = lambda event: (event,)) -> None:
        self.own = own
        self._see = see
        self._events: deque[E] = deque(maxlen=MAX_EVENTS)
        self._monitor = Monitor(Bell())
        self._lock = self._monitor.lock
        self._ended = False

    def put(self, event: Any) -> None:
        """Add an event; one that has ended takes no more."""
        with self._lock:
            if not self._ended:
                self._events.extend(self._see(event))
                self._monitor.bell.ring()

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._ended

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

    def get(self, timeout: float | None) -> E:
        """Take the oldest event; for the errors see ``Watch.get``."""
        deadline = NEVER if timeout is None else time.monotonic() + timeout
        while self._monitor.wait_for(self._is_due, None if timeout is None else deadline - time.monotonic()):
            with self._lock:
                if self._is_due():  # else another one was faster
                    return self._take()
        raise RecvTimeout(f"no event {after(timeout)}")

    async def get_async(self, timeout: float | None = None) -> E:
        """Take the oldest event, in a coroutine; for the errors see ``Watch.get``."""
        deadline = NEVER if timeout is None else time.monotonic() + timeout
        while await self._wait_async(deadline):
            with self._lock:
                if self._is_due():  # else another one was faster
                    return self._take()
        raise RecvTimeout(f"no event {after(timeout)}")

    async def _wait_async(self, deadline: float) -> bool:
        waiting = self._monitor.bell.wait_async(self._is_due)
        if deadline == NEVER:
            await waiting
            return True
        return await within(deadline - time.monotonic(), waiting)

    def _take(self) -> E:
        if not self._events:
            raise ClosedError("the watch is closed")
        return self._events.popleft()
