"""Messages that came before anybody wanted them: the newest, in bounded memory, for a few seconds. Pure; takes ``now``.

A publisher beyond is told of before its messages come, but it takes a moment until a subscriber here is matched with
it; and a retained message comes once, when the bridge subscribes, which may be long before.
"""

from __future__ import annotations

from collections import deque

from ..adapter import Key
from ..offers import Beginning, Parcel

__all__ = ["AGE", "Waiting"]

AGE = 5.0  # seconds
MESSAGES = 1000
BYTES = 16 << 20
KEPT = 64 << 20  # bytes of retained messages
EACH = 256  # bytes that a message counts for besides its body


class Waiting:
    """The messages that wait, and the last retained one of each publisher."""

    def __init__(self) -> None:
        self._queue: deque[tuple[float, Key, Parcel]] = deque()
        self._bytes = 0
        self._kept: dict[Key, Parcel] = {}
        self._kept_bytes = 0

    def put(self, key: Key, parcel: Parcel, now: float) -> None:
        """Have a message wait."""
        self._queue.append((now, key, parcel))
        self._bytes += _size(parcel)
        while self._queue and (len(self._queue) > MESSAGES or self._bytes > BYTES or self._queue[0][0] < now - AGE):
            self._bytes -= _size(self._queue.popleft()[2])

    def keep(self, key: Key, parcel: Parcel) -> None:
        """Keep a retained message instead of the one before."""
        self.forget(key)
        self._kept[key] = parcel
        self._kept_bytes += _size(parcel)
        while self._kept_bytes > KEPT:
            self.forget(next(iter(self._kept)))

    def drop(self, key: Key) -> None:
        """Have the messages of a publisher wait no more."""
        self._queue = deque(each for each in self._queue if each[1] != key)
        self._bytes = sum(_size(parcel) for _, _, parcel in self._queue)

    def forget(self, key: Key) -> None:
        """Forget the retained message of a publisher."""
        if (before := self._kept.pop(key, None)) is not None:
            self._kept_bytes -= _size(before)

    def take(self, key: Key, now: float, next: int = 0) -> tuple[Beginning, list[Parcel]]:
        """Return how a publisher begins for who wants it now, and the messages that waited; these wait no more.

        Args:
            key: the publisher.
            now: the time.
            next: the number of its next message, as far as it is known.
        """
        mine = [parcel for at, other, parcel in self._queue if other == key and at >= now - AGE]
        self.drop(key)
        kept = self._kept.get(key)
        if kept is None:
            return Beginning(mine[0].seq if mine else next), mine
        return Beginning(kept.seq + 1, (kept,)), [parcel for parcel in mine if parcel.seq > kept.seq]


def _size(parcel: Parcel) -> int:
    return EACH + len(parcel.body or b"")
