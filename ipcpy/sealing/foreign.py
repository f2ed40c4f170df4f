"""Nodes that were heard and cannot be understood, by what they seal with: hints, since anybody can send what they say.

Knows times; nothing of keys or frames.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

MOST = 256  # that are kept
AGE = 10.0  # seconds after which one that is silent is forgotten: nodes greet every 2 s


class Foreign:
    """The nodes that were heard lately. Thread-safe.

    Args:
        clock: seconds, steady.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: dict[bytes, tuple[bytes | None, float]] = {}
        self._lock = threading.Lock()

    def note(self, who: bytes, key: bytes | None) -> bool:
        """Take note of one that was heard; tell whether it is new.

        Args:
            who: its session, or its id.
            key: the id of the key that it uses; None for none.
        """
        with self._lock:
            before = self._seen.pop(who, None)
            if len(self._seen) >= MOST:
                del self._seen[next(iter(self._seen))]
            self._seen[who] = key, self._clock()
            return before is None

    def by_key(self) -> Counter[bytes | None]:
        """Return how many there are now, by the id of their key; None for none."""
        with self._lock:
            now = self._clock()
            self._seen = {who: (key, since) for who, (key, since) in self._seen.items() if now - since <= AGE}
            return Counter(key for key, _ in self._seen.values())
