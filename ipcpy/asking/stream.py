"""Stream: a call that is answered in steps, as its client has it. Knows one call; what travels is line.py's."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..timeouts import NEVER
from .asker import Asker
from .envelope import CANCELLED

if TYPE_CHECKING:
    from .calls import Call
    from .line import Line

__all__ = ["Stream"]


class Stream:
    """A long task: iterate over its steps, then ``result`` is what the function returned.

        stream = client.stream({"x": 1.0})
        for step in stream:
            print(step)
            if enough:
                stream.cancel()
        print(stream.result)

    In coroutines it is ``async for``, and ``await stream.result_async()``. At most 1,000 steps are kept unread, the
    newest; ``missed`` counts the others. One that nobody holds any more before its end is cancelled.
    """

    def __init__(self, asker: Asker, goal: Any, timeout: float | None, flags: int) -> None:
        self._asker = asker
        self._goal = goal
        self._timeout = timeout
        self._flags = flags
        self._line: Line | None = None
        self._call: Call | None = None
        self._cancelled = False

    @property
    def done(self) -> bool:
        """Whether the task is over, as far as the answers tell that were taken from the socket."""
        return self._call is not None and self._call.outcome is not None

    @property
    def cancelled(self) -> bool:
        """Whether it is over, and was cancelled before its own end."""
        outcome = None if self._call is None else self._call.outcome
        return outcome is not None and bool(outcome.flags & CANCELLED)

    @property
    def missed(self) -> int:
        """How many steps were dropped, because more than 1,000 were unread."""
        return 0 if self._call is None else self._call.missed

    @property
    def result(self) -> Any:
        """What the function returned at the end, which this waits for; steps that come meanwhile stay unread.

        It is None for a generator that was closed because the task was cancelled.

        Raises:
            ServiceError, NoService, TimeoutError, SchemaError, CodecError, ClosedError: as ``Client.call``.
        """
        self._await(steps=False)
        return self._value()

    async def result_async(self) -> Any:
        """Return ``result``, to a coroutine; other coroutines run meanwhile."""
        await self._await_async(steps=False)
        return self._value()

    def cancel(self) -> None:
        """Ask the server to stop; the stream then ends, with what the function makes of it. Idempotent."""
        self._cancelled = True
        if self._line is not None and self._call is not None:
            self._line.cancel(self._call)

    def close(self) -> None:
        """Cancel, and wait for nothing more; idempotent."""
        if self._line is not None and self._call is not None and self._call.outcome is None:
            self._line.give_up(self._call)

    def _value(self) -> Any:
        assert self._line is not None and self._call is not None
        return self._asker.reply(self._line, self._call)

    def _deadline(self) -> float:
        return NEVER if self._timeout is None else time.monotonic() + self._timeout

    def _await(self, *, steps: bool) -> None:
        deadline = self._deadline()
        while self._call is None:
            self._line = self._asker.line(self._timeout, deadline)
            self._call = self._asker.ask(self._line, self._goal, self._flags)
            if self._call is not None and self._cancelled:
                self.cancel()
        assert self._line is not None
        self._line.wait(self._call, self._timeout, deadline, steps=steps)
        self._check(steps=steps)

    async def _await_async(self, *, steps: bool) -> None:
        deadline = self._deadline()
        while self._call is None:
            self._line = await self._asker.line_async(self._timeout, deadline)
            self._call = self._asker.ask(self._line, self._goal, self._flags)
            if self._call is not None and self._cancelled:
                self.cancel()
        assert self._line is not None
        await self._line.wait_async(self._call, deadline, steps=steps)
        self._check(steps=steps)

    def _check(self, *, steps: bool) -> None:
        """Raise what is due if nothing came in time; the task goes on, and can be waited for again."""
        if self._call is not None and self._call.outcome is None and not (steps and self._call.steps):
            raise self._asker.late(self._timeout)

    def _step(self) -> Any:
        """Return the next step that is there.

        Raises:
            IndexError: there is none, and will be none.
            ServiceError, NoService, CodecError: as ``result``.
        """
        assert self._call is not None
        if not self._call.steps:
            self._value()  # raises what went wrong
        return self._asker.step(self._call.steps.popleft())

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        self._await(steps=True)
        try:
            return self._step()
        except IndexError:
            raise StopIteration from None

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        await self._await_async(steps=True)
        try:
            return self._step()
        except IndexError:
            raise StopAsyncIteration from None

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:  # the interpreter exits, and has no globals any more
            pass
