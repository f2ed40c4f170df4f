"""Buffers of messages that are used again, once nobody holds them any more. Knows references and views; nothing of what
is in a buffer.
"""

from __future__ import annotations

import sys
from collections import deque

from ...typed import Any

MAX_SPARE = 8 << 20  # bytes of a buffer that is kept to be used again
MAX_SPARES = 16 << 20  # bytes of all of them: one that the user holds, one to be filled
MAX_KEPT = 64  # buffers

_count_references: Any = getattr(sys, "getrefcount", None)  # PyPy has none


def _count_unshared() -> int | None:
    """Count the references to what only one local name holds: the number differs between versions of Python.

    None where no count tells whether somebody holds a buffer: on PyPy, and where threads run without the GIL, for one
    of them may let go of a buffer, or hand it on, while another one counts.
    """
    has_gil = getattr(sys, "_is_gil_enabled", lambda: True)
    if _count_references is None or not has_gil():
        return None
    spares = deque([bytearray()])
    buffer = spares.popleft()
    count: int = _count_references(buffer)
    return count


_UNSHARED = _count_unshared()  # None: buffers are never used again


class Spares:
    """Buffers of earlier messages, to be used again, of all flows of a subscriber: new memory costs page faults."""

    def __init__(self) -> None:
        self._buffers: deque[bytearray] = deque()
        self._bytes = 0

    def take(self, size: int) -> bytearray | None:
        """Return a buffer of a size that nobody else holds any more, if there is one."""
        for _ in range(len(self._buffers)):
            buffer = self._buffers.popleft()
            if len(buffer) == size and _count_references(buffer) == _UNSHARED:
                self._bytes -= size
                return buffer
            self._buffers.append(buffer)
        return None

    def keep(self, buffer: bytearray) -> None:
        """Keep a buffer, unless it is large, or nobody could tell when it is free; the oldest give way."""
        if _UNSHARED is not None and 0 < len(buffer) <= MAX_SPARE:
            self._buffers.append(buffer)
            self._bytes += len(buffer)
            while self._bytes > MAX_SPARES or len(self._buffers) > MAX_KEPT:
                self._bytes -= len(self._buffers.popleft())


def let_go(views: list[memoryview]) -> None:
    """Empty a list of views of a buffer that is to grow: it cannot while one of them lives.

    Where references are counted, a view that nobody names any more is gone by itself.
    """
    if _UNSHARED is None:
        for view in views:
            view.release()
    views.clear()
