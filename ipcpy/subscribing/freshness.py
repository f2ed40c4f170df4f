"""Unread messages, without those that are too old to be of use. Knows ages; not how a message came.

How old a message is at the moment it is taken counts, not when it came: one that waited for its turn for too long is
as useless as one that was on its way for too long.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable

from ..message import Message
from ..typed import Protocol


class Unread(Protocol):
    """Messages that wait to be taken; any thread may take from their left."""

    def popleft(self) -> Message:
        """Take the oldest; IndexError if there is none."""
        ...

    def extendleft(self, messages: Iterable[Message], /) -> None:
        """Put back what was taken, the newest first."""
        ...

    def __len__(self) -> int: ...


class Fresh:
    """The unread messages that are young enough; the others are counted when somebody comes upon them.

    Args:
        messages: all of them.
        max_age: seconds since a message was sent.
        lag: tells how many seconds after it was sent a message was received.
        lock: over ``discarded``.
        discarded: how many were too old, by publisher.
        time_ns: the clock of ``Message.received_ns``.
    """

    def __init__(
        self,
        messages: deque[Message],
        max_age: float,
        lag: Callable[[Message], float],
        lock: threading.RLock,
        discarded: Counter[str],
        time_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._messages = messages
        self._max_age = max_age
        self._lag = lag
        self._lock = lock
        self._discarded = discarded
        self._time_ns = time_ns

    def popleft(self) -> Message:
        """Take the oldest that is young enough; IndexError if there is none."""
        while True:
            message = self._messages.popleft()
            if self._age(message) <= self._max_age:
                return message
            with self._lock:
                self._discarded[message.publisher] += 1

    def extendleft(self, messages: Iterable[Message]) -> None:
        """Put back what was taken, the newest first."""
        self._messages.extendleft(messages)

    def _age(self, message: Message) -> float:
        waited = (self._time_ns() - message.received_ns) / 1e9  # negative where the clock was set back meanwhile
        return self._lag(message) + max(0.0, waited)

    def __len__(self) -> int:
        """Return how many wait, those included that are too old."""
        return len(self._messages)
