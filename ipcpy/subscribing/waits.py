"""Waiting for publishers, in threads and in coroutines. Knows arguments and errors; not how one waits."""

from __future__ import annotations

from ..timeouts import Explanations, after, number, seconds
from .subscription import Subscription


class Waits:
    """The part of a Subscriber that waits for publishers."""

    _subscription: Subscription
    _told: str
    _explanations: Explanations

    @property
    def topic(self) -> str:
        """The topic or pattern."""
        raise NotImplementedError

    def why(self) -> str:
        """Say why; see Subscriber."""
        raise NotImplementedError

    def _check_open(self) -> None:
        raise NotImplementedError

    def wait_for_publishers(self, count: int = 1, timeout: float | None = None) -> int:
        """Wait until publishers are matched: what they publish then arrives.

        Args:
            count: how many.
            timeout: seconds; None waits for ever, 0 only looks.

        Returns:
            The number of publishers matched.

        Raises:
            TimeoutError: if there are fewer when the time is up; its text says why.
            ClosedError: if it is closed, also while waiting.
            ArgumentError: (a ValueError) if count or timeout is no number.
        """
        count, timeout = number(count), seconds(timeout)
        self._check_open()
        return self._met(self._subscription.wait_for_publishers(count, timeout), count, timeout)

    async def wait_for_publishers_async(self, count: int = 1, timeout: float | None = None) -> int:
        """Wait as ``wait_for_publishers``, in a coroutine; other coroutines run meanwhile."""
        count, timeout = number(count), seconds(timeout)
        self._check_open()
        return self._met(await self._subscription.wait_for_publishers_async(count, timeout), count, timeout)

    def _met(self, enough: bool, count: int, timeout: float | None) -> int:
        self._subscription.check_open()
        matched = self._subscription.count()
        if enough:
            return matched
        message = f"{matched} of {count} publishers of {self._told} {after(timeout)}"
        raise self._explanations.error(message, self.why)
