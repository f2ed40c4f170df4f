"""How a publisher beyond begins: the bridge that offers it is asked, and answers with what its publisher keeps.

Pure but for the time that an answer may take, which the caller keeps. Knows heads and payloads; nothing of names.
"""

from __future__ import annotations

from ..adapter import Key
from ..offers import MAX_NUMBER, Beginning, Parcel

__all__ = ["Asking", "pack_end", "unpack_end"]

PATIENCE = 2.0  # seconds
KEPT_BYTES = 64 << 20


def pack_end(next: int) -> bytes:
    """Return what ends an answer: the number of the next message, 0 while it is not known."""
    return str(next).encode()


def unpack_end(payload: bytes) -> int:
    """Return the number that ends an answer.

    Raises:
        ValueError: it is none.
    """
    if not payload.isdigit() or len(payload) > 19 or int(payload) > MAX_NUMBER:
        raise ValueError(f"an answer ends with a number, got {payload!r:.40}")
    return int(payload)


class Asking:
    """The questions that have not been answered, and as much of the answers as has come."""

    def __init__(self) -> None:
        self._asked: dict[Key, tuple[int, list[Parcel]]] = {}
        self._number = 0
        self._bytes = 0

    def ask(self, key: Key) -> int:
        """Take note of a question, and return its number; an earlier one about the same counts no more."""
        self.drop(key)
        self._number += 1
        self._asked[key] = self._number, []
        return self._number

    def drop(self, key: Key) -> bool:
        """Forget a question; return whether there was one."""
        found = self._asked.pop(key, None)
        if found is not None:
            self._bytes -= sum(len(parcel.body) for parcel in found[1])
        return found is not None

    def waits(self, key: Key, number: int) -> bool:
        """Tell whether a question still waits for its answer."""
        return key in self._asked and self._asked[key][0] == number

    def kept(self, key: Key, parcel: Parcel) -> None:
        """Take a message that a publisher keeps."""
        if key in self._asked and self._bytes + len(parcel.body) <= KEPT_BYTES:
            self._asked[key][1].append(parcel)
            self._bytes += len(parcel.body)

    def ended(self, key: Key, next: int) -> Beginning | None:
        """Return how a publisher begins, now that the answer is whole; None if nobody asked."""
        if key not in self._asked:
            return None
        kept = tuple(self._asked[key][1])
        self.drop(key)
        return Beginning(next, kept)

    def clear(self) -> None:
        """Forget all."""
        self._asked.clear()
        self._bytes = 0
