"""Messages that wait for an earlier one, and numbers that will be passed as lost when their turn comes. Knows numbers,
counts and bytes; items are opaque."""

from __future__ import annotations

from heapq import heappop, heappush

from ...typed import Generic, TypeVar
from .fragments import MAX_MESSAGE, MAX_PARTIALS

MAX_HELD = 4_096
MAX_MARKED = MAX_HELD + MAX_PARTIALS  # marks of messages that Assembly gave up for lack of room
MAX_HELD_BYTES = 2 * MAX_MESSAGE

Item = TypeVar("Item")


class Waiting(Generic[Item]):
    """What waits, by number; the lowest is found and taken at once.

    Attributes:
        lowest: the lowest number that waits; None if nothing does.
    """

    __slots__ = ("_bytes", "_held", "_queue", "lowest")

    def __init__(self) -> None:
        self.lowest: int | None = None
        self._held: dict[int, tuple[list[Item], int, str]] = {}  # one item and its size, or none and why it is lost
        self._queue: list[int] = []  # the numbers, as a heap
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, seq: int) -> bool:
        return seq in self._held

    def numbers(self) -> list[int]:
        """Return the numbers, in no order."""
        return list(self._held)

    def full(self, size: int = 0) -> bool:
        """Tell whether no more can wait, or no message of that size."""
        return len(self._held) >= MAX_HELD or self._bytes + size > MAX_HELD_BYTES

    def hold(self, seq: int, item: Item, size: int) -> None:
        """Let a message wait."""
        self._push(seq, [item], size, "")

    def mark(self, seq: int, cause: str) -> None:
        """Remember that a number is to be passed as lost, unless its message waits.

        If there is no room, forget the number: then it is just missing.
        """
        if seq not in self._held and len(self._held) < MAX_MARKED:
            self._push(seq, [], 0, cause)

    def _push(self, seq: int, items: list[Item], size: int, cause: str) -> None:
        self._held[seq] = (items, size, cause)
        self._bytes += size
        heappush(self._queue, seq)
        self.lowest = self._queue[0]

    def take(self) -> tuple[list[Item], str]:
        """Take the lowest: its item, or no item and the cause that it is lost under. Something must be waiting."""
        items, size, cause = self._held.pop(heappop(self._queue))
        self._bytes -= size
        self.lowest = self._queue[0] if self._queue else None
        return items, cause

    def forget_before(self, seq: int) -> None:
        """Forget what waits below a number."""
        while self.lowest is not None and self.lowest < seq:
            self.take()

    def mend(self) -> None:
        """Bring in order what an exception from outside has left half done: what waits is true, the rest follows."""
        self._queue = sorted(self._held)
        self._bytes = sum(size for _, size, _ in self._held.values())
        self.lowest = self._queue[0] if self._queue else None
