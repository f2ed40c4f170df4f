"""Messages one after the other, for threads and coroutines, until nothing more comes. Knows how to ask for one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from ..errors import ClosedError
from ..message import Message


class Iteration:
    """What hands out messages can be iterated over."""

    def recv(self, timeout: float | None = None) -> Message:
        """Return the next message; see Subscriber."""
        raise NotImplementedError

    async def recv_async(self, timeout: float | None = None) -> Message:
        """Return the next message, to a coroutine; see Subscriber."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Message]:
        return self

    def __next__(self) -> Message:
        try:
            return self.recv()
        except ClosedError:
            raise StopIteration from None

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        try:
            return await self.recv_async()
        except ClosedError:
            raise StopAsyncIteration from None
