"""The coroutines that wait for messages of one subscriber, and the event loop that reads its sockets for them."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable

from ..typed import TYPE_CHECKING, Any
from ..wakeups import call_in, resolve

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future


class Waiters:
    """Who waits in an event loop, the oldest first.

    Args:
        on_readable: called in the event loop with a socket that can be read.

    Attributes:
        futures: what they wait for.
        loop: the event loop that reads the sockets, if one does.
    """

    def __init__(self, on_readable: Callable[[Any], None]) -> None:
        self.futures: deque[Future[None]] = deque()
        self.loop: AbstractEventLoop | None = None
        self._on_readable = on_readable

    def attach(self, loop: AbstractEventLoop, sockets: Iterable[Any]) -> None:
        """Have an event loop read the sockets; where it cannot, the I/O thread goes on to."""
        try:
            for each in sockets:
                loop.add_reader(each.fileno(), self._on_readable, each)
        except NotImplementedError:  # a proactor
            return
        self.loop = loop

    def detach(self, sockets: Iterable[Any]) -> None:
        """Have no event loop read the sockets, and wake the coroutines that wait."""
        loop, self.loop = self.loop, None
        if loop is not None:
            for each in sockets:
                call_in(loop, loop.remove_reader, each.fileno())
        self.wake()

    def add(self, socket: Any) -> None:
        """Have the event loop read one more socket."""
        if self.loop is not None:
            call_in(self.loop, self.loop.add_reader, socket.fileno(), self._on_readable, socket)

    def remove(self, socket: Any) -> None:
        """Have the event loop read a socket no more."""
        if self.loop is not None:
            call_in(self.loop, self.loop.remove_reader, socket.fileno())

    async def wait(self, loop: AbstractEventLoop, over: Callable[[], object]) -> None:
        """Wait until somebody calls ``wake``, unless it is over already."""
        future: Future[None] = loop.create_future()
        self.futures.append(future)
        try:
            if not over():
                await future
        finally:
            if not future.done() or future.cancelled():  # else whoever woke it took it out
                with contextlib.suppress(ValueError):
                    self.futures.remove(future)

    def wake(self, here: AbstractEventLoop | None = None) -> None:
        """Wake the coroutines that wait.

        Args:
            here: the event loop whose thread calls, if it is one.
        """
        while self.futures:
            try:
                future = self.futures.popleft()
            except IndexError:  # another thread was faster
                return
            if future.get_loop() is here:
                resolve(future)
            else:
                call_in(future.get_loop(), resolve, future)
