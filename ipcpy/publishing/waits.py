"""What a publisher's user waits for, in threads and in coroutines: subscribers, and room for a message.

Knows which publishing may wait; nothing of how it waits, which is pacing.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from ..locks import Monitor
from ..protocol.naming import Resolved
from ..timeouts import Explanations, after, number, seconds
from ..typed import Any
from ..wakeups import running_loop
from .dispatch import Dispatch
from .outlet import Outlet


class Waits:
    """The part of a Publisher that waits, each wait with an awaitable twin."""

    _name: Resolved
    _encode: Callable[..., Any]
    _outlet: Outlet
    _dispatch: Dispatch
    _monitor: Monitor
    _explanations: Explanations

    def publish(self, data: Any, id: int | None = None) -> int:
        """Publish one message; see Publisher."""
        raise NotImplementedError

    def publish_many(self, messages: Iterable[Any]) -> int:
        """Publish messages; see Publisher."""
        raise NotImplementedError

    def why(self) -> str:
        """Say why; see Publisher."""
        raise NotImplementedError

    def _reopen(self) -> None:
        raise NotImplementedError

    async def publish_async(self, data: Any, id: int | None = None) -> int:
        """Publish as ``publish``, in a coroutine; other coroutines run where ``publish`` waits for subscribers.

        What may wait does so in a thread of the event loop's: do not change the data before this returns. A message is
        published also where the coroutine is cancelled meanwhile.
        """
        outlet = self._outlet
        if outlet.reliable is None:
            if not outlet.ways or self._monitor.owned():
                return self.publish(data, id)  # it does not wait
            body = self._encode(data) if id is None else self._encode(data, id)
            if type(body) is not list and len(body) <= outlet.small:
                return self._dispatch.one(body)
            return await running_loop().run_in_executor(None, self._dispatch.one, body)
        return await running_loop().run_in_executor(None, self.publish, data, id)

    async def publish_many_async(self, messages: Iterable[Any]) -> int:
        """Publish as ``publish_many``, in a coroutine; for where it waits see ``publish_async``."""
        return await running_loop().run_in_executor(None, self.publish_many, list(messages))

    def wait_for_subscribers(self, count: int = 1, timeout: float | None = None) -> int:
        """Wait until subscribers are matched: what is published then arrives.

        Args:
            count: how many.
            timeout: seconds; None waits for ever, 0 only looks.

        Returns:
            The number of subscribers matched.

        Raises:
            TimeoutError: if there are fewer when the time is up; its text says why.
            ClosedError: if it is closed, also while waiting.
            ArgumentError: (a ValueError) if count or timeout is no number.
        """
        count, timeout = number(count), seconds(timeout)
        if not self._outlet.usable:
            self._reopen()
        return self._met(self._monitor.wait_for(partial(self._outlet.has, count), timeout), count, timeout)

    async def wait_for_subscribers_async(self, count: int = 1, timeout: float | None = None) -> int:
        """Wait as ``wait_for_subscribers``, in a coroutine; other coroutines run meanwhile."""
        count, timeout = number(count), seconds(timeout)
        if not self._outlet.usable:
            self._reopen()
        return self._met(await self._monitor.wait_for_async(partial(self._outlet.has, count), timeout), count, timeout)

    def _met(self, enough: bool, count: int, timeout: float | None) -> int:
        self._dispatch.check_open()
        matched = self._outlet.confirmed()
        if enough:
            return matched
        text = f"{matched} of {count} subscribers of {self._name.told} {after(timeout)}"
        raise self._explanations.error(text, self.why)
