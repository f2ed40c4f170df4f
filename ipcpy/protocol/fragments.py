"""Large messages in fragments: taken apart and put together again, in any order. Knows bytes, bounds and ``now``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress, count

from .wire import FRAGMENT_OVERHEAD, Fragment, Place, pack_fragment

MAX_MESSAGE = 64 << 20  # bytes; what a subscriber takes unless told otherwise
MAX_FRAGMENTS = 1 << 17  # of one message: 64 MiB in fragments of 512 bytes
MAX_PARTIALS = 64  # messages of one publisher that are being put together
REPORT_BYTES = 1_024  # of a bitmap of missing fragments in one frame


class Outgoing:
    """A large message that is sent in fragments.

    Args:
        place: what its fragments have in common.
        parts: its body, as parts laid end to end; they are sliced, never joined.
    """

    __slots__ = ("count", "next", "parts", "place", "resend", "seq")

    def __init__(self, place: Place, parts: Sequence[memoryview]) -> None:
        self.place = place
        self.parts = parts
        self.seq = place.seq
        self.count = -(-place.total // place.size)
        self.next = 0  # the first fragment never sent
        self.resend: list[int] = []

    @property
    def done(self) -> bool:
        """Whether nothing is to be sent at the moment."""
        return self.next >= self.count and not self.resend

    def fragment(self, index: int) -> list[bytes | memoryview]:
        """Give a fragment as the buffers of one datagram."""
        offset = index * self.place.size
        data = list(_slices(self.parts, offset, min(offset + self.place.size, self.place.total)))
        return [pack_fragment(self.place, offset, data), *data]

    def length(self, index: int) -> int:
        """Give the length of a fragment's datagram in bytes."""
        return FRAGMENT_OVERHEAD + min(self.place.size, self.place.total - index * self.place.size)

    def ask(self, first: int, bitmap: bytes | memoryview) -> None:
        """Note that fragments are asked for again: bit i of the bitmap is fragment ``first + i``.

        What lies outside the message, or was never sent, is ignored.
        """
        wanted = []
        bits = int.from_bytes(bitmap, "little")
        stop = min(self.next, first + 8 * len(bitmap))
        for index in range(first, stop):
            if bits >> (index - first) & 1:
                wanted.append(index)
        self.resend = wanted

    def ask_all(self) -> None:
        """Note that the whole message is asked for again."""
        self.next, self.resend = 0, []


def _slices(parts: Sequence[memoryview], start: int, stop: int) -> Iterator[memoryview]:
    at = 0
    for part in parts:
        end = at + len(part)
        if end > start:
            yield part[max(start - at, 0) : stop - at]
        if end >= stop:
            return
        at = end


class Partial:
    """A large message that is being put together.

    The buffer is made at once, from a length that the publisher declared: only matched publishers come this far, and
    what all of them may declare together is bounded by the Assembly.
    """

    __slots__ = ("_have", "_left", "asked", "buffer", "place", "touched")

    def __init__(self, place: Place, now: float) -> None:
        self.place = place
        self.buffer = bytearray(place.total)
        self._left = -(-place.total // place.size)
        self._have = bytearray(self._left)
        self.touched = now
        self.asked = 0

    @property
    def complete(self) -> bool:
        """Whether every fragment has come."""
        return self._left == 0

    def add(self, fragment: Fragment, now: float) -> bool:
        """Put a fragment in its place; False if it was there already."""
        index = fragment.index
        if self._have[index]:
            return False
        self._have[index] = 1
        self._left -= 1
        offset = index * self.place.size
        self.buffer[offset : offset + len(fragment.data)] = fragment.data
        self.touched = now
        return True

    def missing(self) -> tuple[int, bytes]:
        """Give the first missing fragment and a bitmap from there on, as Outgoing.ask takes them."""
        first = self._have.find(0)
        flags = self._have[first : first + 8 * REPORT_BYTES]
        bits = sum(1 << at for at in compress(count(), (not flag for flag in flags)))
        return first, bits.to_bytes(-(-len(flags) // 8), "little")


class Assembly:
    """The large messages of one publisher that are being put together, within bounds.

    Args:
        max_message: bytes that a message may have.
        max_bytes: bytes that all of them together may have; the oldest gives way to the newest.
    """

    def __init__(self, max_message: int = MAX_MESSAGE, max_bytes: int = 0) -> None:
        self._max_message = max_message
        self._max_bytes = max_bytes or 2 * max_message
        self._partials: dict[int, Partial] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._partials)

    def __contains__(self, seq: int) -> bool:
        return seq in self._partials

    def __iter__(self) -> Iterator[Partial]:
        return iter(self._partials.values())

    def lowest(self) -> int:
        """Give the lowest sequence number among them; there must be one."""
        return min(self._partials)

    def too_large(self, place: Place) -> bool:
        """Tell whether a message is beyond what is taken at all."""
        return place.total > self._max_message or place.total > MAX_FRAGMENTS * place.size

    def add(self, fragment: Fragment, now: float) -> Partial | None:
        """Take a fragment of a message that is not too large.

        Returns:
            The message it belongs to; None if the fragment is a copy, or contradicts those before it.
        """
        partial = self._partials.get(fragment.place.seq)
        if partial is None:
            self._make_room(fragment.place.total)
            partial = self._partials[fragment.place.seq] = Partial(fragment.place, now)
            self._bytes += fragment.place.total
        if partial.place != fragment.place or not partial.add(fragment, now):
            return None
        return partial

    def _make_room(self, size: int) -> None:
        while self._partials and (len(self._partials) >= MAX_PARTIALS or self._bytes + size > self._max_bytes):
            self.drop(next(iter(self._partials)))

    def drop(self, seq: int) -> None:
        """Forget a message, complete or not."""
        self._bytes -= self._partials.pop(seq).place.total
