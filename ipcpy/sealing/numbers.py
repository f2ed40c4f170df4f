"""Numbers that are used once: streams of one life, and the counts within each. Knows nothing of what is numbered.

A stream that nobody uses any more is handed out again, and its count goes on: so receivers keep as many windows as a
node has sockets at a time, not as many as it ever had.
"""

from __future__ import annotations

import errno
import sys
import threading
from collections import deque
from collections.abc import Iterator
from itertools import count

from ..fast import compiled
from .datagram import COUNT_BITS, LAST_COUNT, STREAMS


class Exhausted(OSError):
    """No number is left that was not used: a node would have to send for years."""


def has_gil() -> bool:
    """Tell whether one step of the interpreter is one step for all threads."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


class Locked:
    """An iterator that threads can share where nothing else keeps them apart.

    Args:
        numbers: the iterator.
    """

    __slots__ = ("_lock", "_numbers")

    def __init__(self, numbers: Iterator[int]) -> None:
        self._numbers = numbers
        self._lock = threading.RLock()

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        with self._lock:
            return next(self._numbers)


class _None:
    """The numbers of what is closed."""

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        raise OSError(errno.EBADF, "the socket is closed")


class Stream:
    """The numbers of one stream.

    Attributes:
        numbers: the next of it is the next number. With the GIL that is one step, so two threads never get the same.
        last: the last number that belongs to the stream.
    """

    __slots__ = ("last", "numbers")

    def __init__(self, stream: int) -> None:
        first = stream << COUNT_BITS | 1
        numbers = count(first) if compiled is None else compiled.Numbers(first)
        self.numbers: Iterator[int] = numbers if has_gil() else Locked(numbers)
        self.last = stream << COUNT_BITS | LAST_COUNT


CLOSED = Stream(0)
"""Has no numbers: stands where a stream was given back."""
CLOSED.numbers = _None()


class Streams:
    """The streams of one life of a node. Thread-safe."""

    def __init__(self) -> None:
        self._next = 0
        self._free: deque[Stream] = deque()
        self._lock = threading.RLock()

    def take(self) -> Stream:
        """Return a stream that nobody else has.

        Raises:
            Exhausted: all are used up.
        """
        with self._lock:
            if self._free:
                return self._free.popleft()
            if self._next >= STREAMS:
                raise Exhausted("all numbers of this node are used up: restart it")
            stream = Stream(self._next)
            self._next += 1
            return stream

    def give_back(self, stream: Stream) -> None:
        """Take a stream back, of which nobody will use a number any more unless it is handed out again."""
        with self._lock:
            self._free.append(stream)
