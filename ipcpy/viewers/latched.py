"""The last messages of latched topics, for who looks later than the first. Knows views; nothing of viewers."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

from .board import Channel

__all__ = ["Latched"]

MAX_BYTES = 64 << 20  # of all of them; what was kept first gives way


class Latched:
    """What latched publishers keep, as it was shown.

    Args:
        max_bytes: how much is kept in all.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._keeps: Mapping[str, int] = {}
        self._kept: dict[tuple[str, Channel], deque[tuple[bytes, int]]] = {}
        self._bytes = 0
        self._lock = threading.RLock()

    def follow(self, keeps: Mapping[str, int]) -> None:
        """Know who publishes, and how many messages each keeps; forget those of others."""
        with self._lock:
            self._keeps = {publisher: keep for publisher, keep in keeps.items() if keep}
            for key in [key for key in self._kept if key[0] not in self._keeps]:
                self._bytes -= sum(len(body) for body, _ in self._kept.pop(key))

    def keep(self, channel: Channel, publisher: str, data: Any, log_time: int) -> None:
        """Keep a message, if its publisher does."""
        keep = self._keeps.get(publisher)
        if not keep:
            return
        body = b"".join(data)
        with self._lock:
            own = self._kept.setdefault((publisher, channel), deque())
            own.append((body, log_time))
            self._bytes += len(body)
            if len(own) > keep:
                self._bytes -= len(own.popleft()[0])
            while self._bytes > self._max_bytes:
                first = next(iter(self._kept))
                self._bytes -= len(self._kept[first].popleft()[0])
                if not self._kept[first]:
                    del self._kept[first]

    def of(self, channel: Channel) -> list[tuple[tuple[bytes], int]]:
        """Return what a channel has to show at once: the parts of each message, and when it was received."""
        with self._lock:
            found = [each for (_, shown), own in self._kept.items() if shown is channel for each in own]
        return [((body,), log_time) for body, log_time in sorted(found, key=lambda each: each[1])]
