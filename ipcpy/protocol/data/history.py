"""The messages that a publisher keeps, for late subscribers and to fill gaps. Knows counts and bytes; nothing of who
lacks what."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from ...records import NamedTuple
from ..wire import OVERHEAD
from .places import Spot
from .pool import Slot


class Placed(NamedTuple):
    """A message in shared memory.

    Attributes:
        slot: what it takes.
        spot: where its body lies in that.
        body: a view of the body; whoever has it, or a part of it, keeps the slot.
    """

    slot: Slot
    spot: Spot
    body: memoryview


class Kept(NamedTuple):
    """A message as it was published: either a whole frame, or the parts of a body too large for one.

    Where these lie in shared memory, ``placed`` says so.
    """

    seq: int
    sent_ns: int
    frame: bytes
    parts: Sequence[memoryview] = ()
    size: int = 0
    placed: Placed | None = None


class History:
    """The newest messages of a publisher, consecutive numbers.

    Args:
        count: how many messages.
        max_bytes: how many bytes they may have in all; the newest is kept whatever its size.
        first: the number of the first message that will be added.

    Attributes:
        next: the number of the message that will be added next.
    """

    def __init__(self, count: int, max_bytes: int, first: int = 1) -> None:
        self.next = first
        self._count = count
        self._max_bytes = max_bytes
        self._kept: deque[Kept] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def count(self) -> int:
        """How many messages are kept at most."""
        return self._count

    def spare(self, size: int, most: int) -> int:
        """Return how many messages of a size, at most so many, may be added without one giving way for its bytes."""
        return min(most, (self._max_bytes - self._bytes) // size)

    def add(self, message: Kept) -> None:
        """Keep a message; the oldest give way."""
        kept = self._kept
        self._bytes += message.size
        self.next = message.seq + 1
        kept.append(message)  # no call comes between these, nor below: an exception from outside could
        while len(kept) > self._count or (self._bytes > self._max_bytes and len(kept) > 1):
            self._bytes -= kept[0].size
            kept.popleft()

    def skip(self, seq: int) -> None:
        """Keep nothing, and go on with a number: those between are not there, and numbers kept have no gaps."""
        self._kept.clear()
        self._bytes, self.next = 0, seq

    def clear(self) -> None:
        """Keep nothing any more: the publisher is closed."""
        self._kept.clear()

    def let_go_of_placed(self, stop: int) -> None:
        """Forget the oldest messages in shared memory whose numbers are below one: nobody needs them any more."""
        kept = self._kept
        while kept and kept[0].seq < stop and kept[0].placed is not None and len(kept) > 1:
            self._bytes -= kept[0].size
            kept.popleft()

    def move_placed(self, count: int) -> bool:
        """Copy the oldest messages in shared memory to memory of our own; False if there are none."""
        placed = [at for at, message in enumerate(self._kept) if message.placed is not None][:count]
        for at in placed:
            message = self._kept[at]
            parts = [memoryview(bytes(part)) for part in message.parts]
            self._kept[at] = message._replace(parts=parts, placed=None)
        return bool(placed)

    def lowest_kept_after(self, size: int) -> int:
        """Return what ``lowest_kept`` would be if a message of a size were added."""
        kept, total, gone = self._kept, self._bytes + size, 0
        while gone < len(kept) and (len(kept) + 1 - gone > self._count or total > self._max_bytes):
            total -= kept[gone].size
            gone += 1
        return kept[gone].seq if gone < len(kept) else self.next

    def lowest_kept(self, otherwise: int) -> int:
        """Return the lowest number kept, ``otherwise`` if none is."""
        return self._kept[0].seq if self._kept else otherwise

    def bytes_from(self, start: int) -> int:
        """Return the bytes of the bodies that are kept of the messages from a number on."""
        return sum(message.size - OVERHEAD * bool(message.frame) for message in self.between(start, self.next))

    def between(self, start: int, stop: int) -> Iterator[Kept]:
        """Yield the kept messages among those numbered from start to stop - 1, however large that range is."""
        if not self._kept:
            return
        lowest = self._kept[0].seq
        for at in range(max(start - lowest, 0), min(stop - lowest, len(self._kept))):
            yield self._kept[at]
