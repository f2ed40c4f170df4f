"""Several messages at once, for threads and coroutines. Knows how to ask for one, and what else is there then."""

from __future__ import annotations

import sys
from contextlib import suppress
from itertools import repeat, starmap

from ..errors import ArgumentError
from ..message import Message
from .freshness import Unread
from .iteration import Iteration
from .subscription import Subscription


class Several(Iteration):
    """The part of a Subscriber that hands out all that is there."""

    _messages: Unread
    _subscription: Subscription

    def recv_many(self, limit: int | None = None, timeout: float | None = None) -> list[Message]:
        """Return the messages that are there, the oldest first; where there is none, wait for the next as ``recv``.

        It is for many small messages: the loop over them costs less than a ``recv`` of each. Those of ``publish_many``
        come many at a time, up to all of one datagram for one wait.

        Args:
            limit: how many it returns at most, from 1; None for all. The others are for the next call.
            timeout: seconds to wait for the first; None waits for ever, 0 only looks.

        Returns:
            At least one message.

        Raises:
            TimeoutError: if none came in time; its text says why, as ``why`` does.
            ClosedError: (an OSError) if it is closed, also while waiting.
            ArgumentError: (a ValueError) if limit or timeout is no such number.
        """
        most = _check_limit(limit)
        taken: list[Message] = []
        try:
            taken.append(self.recv(timeout))
            return self._with_others(taken, most)
        except BaseException:
            self._put_back(taken)
            raise

    async def recv_many_async(self, limit: int | None = None, timeout: float | None = None) -> list[Message]:
        """Return the messages that are there as ``recv_many``, to a coroutine; others run while it waits.

        Args:
            limit, timeout: as for ``recv_many``.

        Raises:
            TimeoutError, ClosedError, ArgumentError: as ``recv_many``.
        """
        most = _check_limit(limit)
        taken: list[Message] = []
        try:
            taken.append(await self.recv_async(timeout))
            return self._with_others(taken, most)
        except BaseException:
            self._put_back(taken)
            raise

    def _with_others(self, taken: list[Message], most: int) -> list[Message]:
        """Add to the first message what else is there; also what the system has, unless there is enough."""
        messages, reader = self._messages, self._subscription.reader
        drains = len(messages) < most - len(taken)
        if drains:
            reader.drain_now()
        with suppress(IndexError):  # others take too, or the rest is too old; what was taken before is in the list
            taken.extend(starmap(messages.popleft, repeat((), min(most - len(taken), len(messages)))))
        if drains and messages:  # there is nothing in the socket any more to wake a coroutine for
            reader.wake()
        return taken

    def _put_back(self, taken: list[Message]) -> None:
        """An exception from outside ended the taking: who receives next gets them."""
        self._messages.extendleft(reversed(taken))


def _check_limit(limit: object) -> int:
    if limit is None:
        return sys.maxsize
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise ArgumentError(f"limit is a number of messages from 1, or None for all, got {limit!r}")
    return limit
