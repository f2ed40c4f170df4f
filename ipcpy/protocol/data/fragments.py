"""Large messages in fragments: taken apart and put together again, in any order. Knows bytes, bounds and ``now``;
nothing of how a fragment looks on the wire (heads.py), nor of when it is sent or asked for (sender.py, receiver.py).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from ..wire import FRAGMENT_OVERHEAD, UNCHECKED
from .heads import Heads, Place, Run, pack_fragment
from .spares import Spares

MAX_MESSAGE = 64 << 20  # bytes; what a subscriber takes unless told otherwise
MAX_FRAGMENTS = 1 << 17  # of one message: 64 MiB in fragments of 512 bytes
MAX_PARTIALS = 64  # messages of one publisher that are being put together
RENEW = 0.2  # seconds of silence after which a message may come anew in larger fragments; in smaller ones at once
REPORT_BYTES = 1_024  # of a bitmap of missing fragments in one frame
_TO_BITS = bytes.maketrans(b"\0\1", b"10")  # a flag for "here" to the digit of a bit for "missing"


class Outgoing:
    """A large message that is sent in fragments.

    Args:
        place: what its fragments have in common.
        parts: its body, as parts laid end to end; they are sliced, never joined.
        sent_before: whether the whole message was sent before, so that only what is asked for is to be sent.

    Attributes:
        datagram: bytes of a fragment's datagram; the last may be shorter.
        heads: make their heads.
        next: the first fragment that was never sent.
        resend: the fragments that are asked for again.
        sent_at: for each fragment the sender's position when it was last sent, 0 for never.
        since: when it was owed first.
        first_time: whether nothing of it was asked for again.
        here: whether one of the largest fragments has come, as far as the last answer says.
    """

    __slots__ = (
        "_ends",
        "count",
        "datagram",
        "first_time",
        "heads",
        "here",
        "next",
        "parts",
        "place",
        "resend",
        "sent_at",
        "seq",
        "since",
    )

    def __init__(self, place: Place, parts: Sequence[memoryview], *, sent_before: bool = False) -> None:
        self.place = place
        self.parts = parts
        self.seq = place.seq
        self.count = -(-place.total // place.size)
        self.next = self.count if sent_before else 0
        self.resend: list[int] = []
        self.sent_at = array("Q", bytes(8 * self.count))
        self.since = 0.0
        self.here = False
        self.first_time = not sent_before
        self.datagram = FRAGMENT_OVERHEAD + place.size
        self._ends = list(accumulate(map(len, parts)))
        self.heads = Heads(place)

    @property
    def done(self) -> bool:
        """Whether nothing is to be sent at the moment."""
        return self.next >= self.count and not self.resend

    def has_left(self, position: int) -> bool:
        """Tell whether all of it was sent, and has left the subscriber's socket, which is empty up to a position."""
        return self.done and max(self.sent_at) <= position

    def fragments(self, indexes: Sequence[int]) -> list[Sequence[bytes | memoryview]]:
        """Return fragments, each as the buffers of one datagram."""
        found: list[Sequence[bytes | memoryview]] = []
        while len(found) < len(indexes):
            index = indexes[len(found)]
            parts = self._parts_from(index, indexes[-1] + 1) if isinstance(indexes, range) else []
            if parts:
                found += zip(self.heads.each(index, parts), parts, strict=True)
            else:
                found.append(self._fragment(index))
        return found

    def laid(self, indexes: Sequence[int]) -> tuple[bytes, memoryview] | None:
        """Return fragments that follow one another in one part of the body as their heads, end to end, and their data.

        None for any others, and where the checks of fragments cover their data.
        """
        if not isinstance(indexes, range) or not self.place.codec & UNCHECKED:
            return None
        data = self.stretch(indexes.start, indexes.stop)
        if len(data) < min(indexes.stop * self.place.size, self.place.total) - indexes.start * self.place.size:
            return None
        return self.heads.lay(indexes[0], len(data)), data

    def stretch(self, first: int, stop: int) -> memoryview:
        """Return the data of fragments that follow one another, as far as they lie in one part of the body."""
        size, at = self.place.size, bisect_right(self._ends, first * self.place.size)
        end = min(stop * size, self.place.total)
        if end > self._ends[at]:
            end = self._ends[at] // size * size
        begin = self._ends[at] - len(self.parts[at])
        return self.parts[at][first * size - begin : end - begin]

    def _parts_from(self, first: int, stop: int) -> list[memoryview]:
        """Return the data of whole-sized fragments, as far as they lie in one part of the body."""
        size, at = self.place.size, bisect_right(self._ends, first * self.place.size)
        begin = self._ends[at] - len(self.parts[at])
        part, stop = self.parts[at], min(stop * size, self._ends[at])
        return [part[start : start + size] for start in range(first * size - begin, stop - begin - size + 1, size)]

    def _fragment(self, index: int) -> list[bytes | memoryview]:
        size = self.place.size
        data = self._slices(index * size, min((index + 1) * size, self.place.total))
        return [pack_fragment(self.place, index * size, data), *data]

    def _slices(self, start: int, stop: int) -> list[memoryview]:
        at = bisect_right(self._ends, start)
        slices = []
        while start < stop:
            part, end = self.parts[at], self._ends[at]
            begin = end - len(part)
            if end > start:
                slices.append(part[start - begin : stop - begin])
                start = end
            at += 1
        return slices

    def ask(self, first: int, bitmap: bytes | memoryview, position: int | None = None) -> bool:
        """Note that fragments are asked for again: bit i of the bitmap is fragment ``first + i``.

        Fragments outside the message, and those that were never sent, are ignored.

        Args:
            position: fragments sent after this position are still on their way, and not sent again; None: send again
                whatever is asked for.

        Returns:
            Whether anything is to be sent again.
        """
        bitmap = bitmap[:REPORT_BYTES]
        missing = list(_set_bits(bitmap, first, self.next))
        full = min(self.full, self.next, first + 8 * len(bitmap))
        self.here = first > 0 or bisect_left(missing, full) < full
        self.resend = [index for index in missing if position is None or self.sent_at[index] <= position]
        return bool(self.resend)

    def ask_all(self) -> None:
        """Note that every fragment that was sent is asked for again."""
        self.here = False
        self.resend = list(range(self.next))

    @property
    def full(self) -> int:
        """How many fragments are as large as the first: the last may be shorter."""
        return max(1, self.place.total // self.place.size)

    @property
    def largest(self) -> int:
        """Bytes of the datagram of the first fragment: none is larger."""
        return FRAGMENT_OVERHEAD + min(self.place.size, self.place.total)

    def resized(self, size: int) -> Outgoing:
        """Return the message in fragments of another size, none of them sent."""
        message = Outgoing(self.place._replace(size=size), self.parts)
        message.since = self.since
        return message


def _set_bits(bitmap: bytes | memoryview, first: int, stop: int) -> Iterator[int]:
    for at in range(first, min(stop, first + 8 * len(bitmap))):
        if bitmap[at - first >> 3] >> (at - first & 7) & 1:
            yield at


class Partial:
    """A large message that is being put together.

    Its buffer grows with what arrives, to twice the end of the highest fragment; where fragments are missing its bytes
    have any value. For a length that a publisher only declared, nothing is allocated but a byte for each fragment,
    which MAX_FRAGMENTS bounds.

    Args:
        buffer: of exactly the message's size, if there is one to be filled.

    Attributes:
        touched: when a fragment last came, of this message or of one that all later ones wait for.
    """

    __slots__ = ("_have", "_missing", "_next", "buffer", "place", "touched")

    def __init__(self, place: Place, now: float, buffer: bytearray | None = None) -> None:
        self.place = place
        self.buffer = bytearray() if buffer is None else buffer
        self._missing = -(-place.total // place.size)  # fragments
        self._have = bytearray(self._missing)  # for each fragment 1 if it is here
        self._next = 0  # the fragment after those that came last
        self.touched = now

    @property
    def complete(self) -> bool:
        """Whether every fragment has come."""
        return self._missing == 0

    def add(self, run: Run, now: float) -> bool:
        """Put fragments in their places; False if all of them were there already."""
        place, first, parts, placed, buffer = run
        if placed and buffer is not self.buffer:
            return False
        count = placed or len(parts)
        stop = first + count
        new = self._have.count(0, first, stop)
        if not new:
            return False
        end = min(stop * place.size, place.total)
        self._grow(end)
        if placed:
            pass
        elif new == count:
            with memoryview(self.buffer) as view:  # assigning to a slice of a bytearray would copy the data twice
                view[first * place.size : end] = parts[0] if count == 1 else b"".join(parts)
        else:
            self._put_missing(first, parts)
        self._have[first:stop] = b"\1" * count
        self._missing -= new
        self._next = stop
        self.touched = now
        return True

    def _grow(self, end: int) -> None:
        if end > len(self.buffer):
            self.buffer += bytes(min(2 * end, self.place.total) - len(self.buffer))

    def _put_missing(self, first: int, parts: Sequence[memoryview]) -> None:
        with memoryview(self.buffer) as view:
            for index, part in enumerate(parts, first):
                if not self._have[index]:
                    at = index * self.place.size
                    view[at : at + len(part)] = part

    def span(self, limit: int) -> tuple[int, int]:
        """Return the number of the fragment that comes next if none is lost, and how many from there on have a place.

        A subscriber that receives fragments right into their places, and finds their heads before them, saves a copy.
        The places end with the buffer, which grows by what has come, and where a fragment is here already.
        """
        size, have = self.place.size, self._have
        first = self._next if have.find(0, self._next, self._next + 1) >= 0 else have.find(0)
        if first < 0:
            return 0, 0
        self._grow(min((first + 1) * size, self.place.total))
        stop = have.find(1, first, first + limit)
        stop = min(first + limit if stop < 0 else stop, len(have))
        if len(self.buffer) < self.place.total:
            stop = min(stop, len(self.buffer) // size)
        return first, stop - first

    def places(self, first: int, count: int) -> list[memoryview]:
        """Return the places of so many fragments from a number on; while one of them exists, the buffer cannot grow."""
        size = self.place.size
        with memoryview(self.buffer) as view:
            return [view[at : at + size] for at in range(first * size, (first + count) * size, size)]

    def missing(self) -> tuple[int, bytes]:
        """Return the first missing fragment and a bitmap from there on, as Outgoing.ask takes them."""
        first = max(self._have.find(0), 0)
        flags = self._have[first : first + 8 * REPORT_BYTES]
        bits = int(flags[::-1].translate(_TO_BITS), 2)
        return first, bits.to_bytes(-(-len(flags) // 8), "little")


class Assembly:
    """The large messages of one publisher that are being put together, within bounds.

    Args:
        max_message: bytes that a message may have.
        max_bytes: bytes that all of them together may have.
        spares: buffers to be filled.

    Attributes:
        evicted: the numbers of messages that had to give way since the receiver cleared this list.
        spares: as given, or its own.
        latest: the message that a fragment was added to last; None if that is complete or dropped.
    """

    def __init__(self, max_message: int = MAX_MESSAGE, max_bytes: int = 0, spares: Spares | None = None) -> None:
        self.spares = Spares() if spares is None else spares
        self.evicted: list[int] = []
        self._max_message = max_message
        self._max_bytes = max_bytes or 2 * max_message
        self.latest: Partial | None = None
        self._partials: dict[int, Partial] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._partials)

    def __contains__(self, seq: int) -> bool:
        return seq in self._partials

    def __iter__(self) -> Iterator[Partial]:
        return iter(self._partials.values())

    def lowest(self, start: int = 0) -> int | None:
        """Return the lowest sequence number among them that is not below ``start``; None if there is none."""
        return min((seq for seq in self._partials if seq >= start), default=None)

    def before(self, stop: int) -> list[int]:
        """Return the numbers among them that are below one."""
        return [seq for seq in self._partials if seq < stop]

    def too_large(self, place: Place) -> bool:
        """Tell whether a message is beyond what is taken at all."""
        return place.total > self._max_message or place.total > MAX_FRAGMENTS * place.size

    def add(self, run: Run, now: float, *, keep_lowest: bool = False) -> Partial | None:
        """Take fragments of a message that is not too large.

        Fragments of a message show that the messages after it only wait for their turn, so those stay fresh too.

        Args:
            keep_lowest: where there is no room, the message with the highest number gives way rather than the oldest:
                on a reliable topic the publisher sends it again, after the one that all wait for.

        Returns:
            The message that the fragments belong to; None if the fragments are copies, contradict earlier ones, or find
            no room.
        """
        seq = run.place.seq
        partial = self._partials.get(seq)
        if partial is not None and partial.place.size != run.place.size:
            if run.place.size < partial.place.size or partial.touched + RENEW < now:
                self.drop(seq)
                partial = None
        if partial is None:
            partial = self._begin(run, now, keep_lowest)
        if partial is None or partial.place != run.place or not partial.add(run, now):
            return None
        if len(self._partials) > 1:
            self._refresh(seq, now)
        self.latest = partial
        return partial

    def _begin(self, run: Run, now: float, keep_lowest: bool) -> Partial | None:
        place = run.place
        if not self._make_room(place.total, place.seq if keep_lowest else None):
            return None
        buffer = self.spares.take(place.total) if run.buffer is None else run.buffer
        partial = self._partials[place.seq] = Partial(place, now, buffer)
        self._bytes += place.total
        return partial

    def _refresh(self, seq: int, now: float) -> None:
        for other in self._partials.values():
            if other.place.seq > seq:
                other.touched = now

    def _make_room(self, size: int, below: int | None) -> bool:
        while self._partials and (len(self._partials) >= MAX_PARTIALS or self._bytes + size > self._max_bytes):
            victim = next(iter(self._partials)) if below is None else max(self._partials)
            if below is not None and victim < below:
                return False
            self.drop(victim)
            self.evicted.append(victim)
        return True

    def drop(self, seq: int) -> None:
        """Forget a message, complete or not."""
        partial = self._partials.pop(seq)
        self._bytes -= partial.place.total
        if partial.complete:
            self.spares.keep(partial.buffer)
        if self.latest is partial:
            self.latest = None

    def forget(self, numbers: Iterable[int]) -> None:
        """Forget several messages."""
        for seq in numbers:
            self.drop(seq)

    def mend(self) -> None:
        """Bring in order what an exception from outside has left half done."""
        self._bytes = sum(partial.place.total for partial in self._partials.values())
        for seq in [seq for seq, partial in self._partials.items() if partial.complete]:
            self.drop(seq)
        if self.latest is not None and self._partials.get(self.latest.place.seq) is not self.latest:
            self.latest = None
