"""The messages a publisher keeps: for late subscribers, and to fill gaps. Knows counts and bytes only."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Kept(NamedTuple):
    """A message as it was published: either a whole frame, or the parts of a body too large for one."""

    seq: int
    sent_ns: int
    frame: bytes
    parts: Sequence[memoryview] = ()
    size: int = 0


class History:
    """The newest messages of a publisher, consecutive numbers.

    Args:
        count: how many messages.
        max_bytes: how many bytes they may have in all; the newest is kept whatever its size.
    """

    def __init__(self, count: int, max_bytes: int) -> None:
        self._count = count
        self._max_bytes = max_bytes
        self._kept: deque[Kept] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, message: Kept) -> None:
        """Keep a message; the oldest give way."""
        kept = self._kept
        kept.append(message)
        self._bytes += message.size
        while len(kept) > self._count or (self._bytes > self._max_bytes and len(kept) > 1):
            self._bytes -= kept.popleft().size

    def low(self, otherwise: int) -> int:
        """Give the lowest number kept."""
        return self._kept[0].seq if self._kept else otherwise

    def between(self, start: int, stop: int) -> Iterator[Kept]:
        """Give the kept messages numbered from start to stop - 1, however far those lie outside."""
        if not self._kept:
            return
        low = self._kept[0].seq
        for at in range(max(start - low, 0), min(stop - low, len(self._kept))):
            yield self._kept[at]
