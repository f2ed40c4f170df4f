"""Fragments of large messages as frames: what precedes the data of each, made and read for many of them at a time.
Knows bytes and CRC-32; nothing of which fragments are sent, missing or wanted (fragments.py), sockets or time.

A fragment's datagram is its head and its data. The head is 44 bytes: the header, whose extra is the size of every
fragment of the message but its last, u32 total (bytes of the message), u32 offset, u32 check. The check covers the 40
bytes before it and, up to CHECKED_FRAGMENT bytes, the data, unless the fragment is *unchecked*.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import repeat
from operator import xor
from struct import Struct, unpack
from sys import byteorder

from ...checksum import crc32
from ...fast import compiled
from ...records import NamedTuple
from ..wire import (
    CHECKED_FRAGMENT,
    FLAG_UNCHECKED,
    FRAGMENT_HEADER,
    FRAGMENT_OVERHEAD,
    FRAGMENT_WORD,
    UNCHECKED,
    Frame,
    Malformed,
)

BLOCK = 64  # fragments whose offsets are computed at a time

_COMMON = Struct("<IIQQQI")  # FRAGMENT_HEADER without the offset

_pack_u32 = Struct("<I").pack


class Place(NamedTuple):
    """What all fragments of one message have in common.

    Attributes:
        codec: its number on the wire, ``| UNCHECKED`` where the fragments' checks leave out their data.
        total: bytes of the message.
        size: bytes of each fragment but the last.
    """

    source: int
    seq: int
    sent_ns: int
    codec: int
    total: int
    size: int


class Run(NamedTuple):
    """FRAGMENT frames that follow one another, from a number on; the offset of a fragment is its number times its size.

    Attributes:
        place: what they have in common.
        number: the number of the first fragment.
        parts: the data of each; empty where the data were received right where they belong, in ``buffer``.
        placed: how many fragments were received so; 0 where ``parts`` has the data.
        buffer: the buffer of the whole message.
    """

    place: Place
    number: int
    parts: Sequence[memoryview]
    placed: int = 0
    buffer: bytearray | None = None


def pack_fragment(place: Place, offset: int, parts: Sequence[memoryview]) -> bytes:
    """Build the head of one fragment.

    Args:
        offset: where in the message the fragment's data begin.
        parts: the data, laid end to end.
    """
    length = sum(map(len, parts))
    head = _pack_common(place, length) + _pack_u32(offset)
    check = crc32(head)
    if length <= CHECKED_FRAGMENT and not place.codec & UNCHECKED:
        for part in parts:
            check = crc32(part, check)
    return head + _pack_u32(check)


def _pack_common(place: Place, length: int) -> bytes:
    """Build what the headers of all fragments of one message and one length have in common."""
    source, seq, sent_ns, codec, total, size = place
    return _COMMON.pack(FRAGMENT_WORD | FRAGMENT_OVERHEAD + length, codec | size << 16, source, seq, sent_ns, total)


class Heads:
    """The heads of the fragments of one message, made for many fragments at a time, in fewer steps than pack_fragment.

    CRC-32 is linear, so what an offset adds to the check is the same in all messages: with as many zeros
    ``crc32(offset, begun) == crc32(offset) ^ crc32(zeros, begun) ^ crc32(zeros)``. The part ``crc32(offset)`` is kept
    for all messages (``_block``); a message adds the rest once (``begun`` in ``_pack``).

    Attributes:
        common: what all whole-sized fragments begin with, up to their offset; of this C makes the same heads.
    """

    __slots__ = ("_begun", "_covers_data", "_many", "_place", "common")

    def __init__(self, place: Place) -> None:
        self._place = place
        self.common = _pack_common(place, place.size)
        self._begun = crc32(self.common)
        self._covers_data = not place.codec & UNCHECKED
        self._many = place.size <= CHECKED_FRAGMENT

    def each(self, number: int, parts: Sequence[memoryview]) -> Sequence[bytes]:
        """Build the head of each of the fragments that follow one another from a number on.

        All have the size of a fragment, but the last may be shorter: that of the message.
        """
        size, stop = self._place.size, number + len(parts)
        if len(parts[-1]) < size:
            last = pack_fragment(self._place, (stop - 1) * size, parts[-1:])
            return [*self.each(number, parts[:-1]), last] if len(parts) > 1 else [last]
        if self._many:
            heads = self._pack(number, parts)
            return unpack("44s" * len(parts), heads)
        common, begun = self.common, self._begun
        offsets = map(_pack_u32, range(number * size, stop * size, size))
        return [common + offset + _pack_u32(crc32(offset, begun)) for offset in offsets]

    def pack(self, number: int, parts: Sequence[memoryview]) -> bytes:
        """Build the same heads, end to end."""
        if self._many and len(parts[-1]) == self._place.size:
            return self._pack(number, parts)
        return b"".join(self.each(number, parts))

    def lay(self, number: int, size: int) -> bytes:
        """Build the heads of fragments that have so many bytes of data together, end to end: unchecked ones only."""
        count, rest = divmod(size, self._place.size)
        heads = self._pack(number, range(count)) if count else b""
        if rest:
            heads += _checked(_pack_common(self._place, rest) + _pack_u32((number + count) * self._place.size))
        return heads

    def _pack(self, number: int, parts: Sequence[memoryview] | range) -> bytes:
        count = len(parts)
        offsets, checks = _offsets(self._place.size, number, count)
        begun = crc32(bytes(4), self._begun) ^ crc32(bytes(4))
        heads = array("I", (self.common + bytes(8)) * count)
        heads[9::11] = offsets
        checks_of_heads = map(xor, checks, repeat(begun))
        if self._covers_data and not isinstance(parts, range):
            checks_of_heads = map(crc32, parts, checks_of_heads)
        heads[10::11] = _u32s(checks_of_heads)
        return heads.tobytes()


def _checked(head: bytes) -> bytes:
    return head + _pack_u32(crc32(head))


def _u32s(values: Iterable[int]) -> array[int]:
    """Make integers of 4 bytes as they are on the wire."""
    found = array("I", values)
    if byteorder == "big":
        found.byteswap()
    return found


def _offsets(size: int, first: int, count: int) -> tuple[array[int], array[int]]:
    """Return the offsets of fragments as they are on the wire, and the CRC-32 of each."""
    block, begin = divmod(first, BLOCK)
    offsets, checks = (values[begin : begin + count] for values in _block(size, block))
    while len(offsets) < count:
        block += 1
        for values, more in zip((offsets, checks), _block(size, block), strict=True):
            values += more[: count - len(values)]
    return offsets, checks


@lru_cache(maxsize=1024)  # of 64 MiB in fragments for Ethernet, and no more than 0.6 MB
def _block(size: int, block: int) -> tuple[array[int], array[int]]:
    offsets = [number * size & 0xFFFF_FFFF for number in range(block * BLOCK, (block + 1) * BLOCK)]
    return _u32s(offsets), array("I", [crc32(_pack_u32(offset)) for offset in offsets])


def unpack_fragment(frame: Frame) -> Run:
    """Read a FRAGMENT frame. Its body is u32 total, u32 offset, u32 check, data.

    Raises:
        Malformed: the data are not exactly what belongs at their offset.
    """
    body, size = frame.body, frame.extra
    total = int.from_bytes(body[:4], "little")
    offset = int.from_bytes(body[4:8], "little")
    data = body[12:]
    if not size or offset % size or not data or len(data) != min(size, total - offset):
        raise Malformed("malformed")
    codec = frame.codec | (frame.flags & FLAG_UNCHECKED) << 8
    place = Place(frame.source, frame.seq, frame.sent_ns, codec, total, size)
    return Run(place, offset // size, (data,))


def read_place(head: bytes | bytearray) -> Place:
    """Read what fragments have in common from the head of one; the check of that head is not looked at."""
    _, codec, source, seq, sent_ns, total, _ = FRAGMENT_HEADER.unpack_from(head)
    return Place(source, seq, sent_ns, codec & 0xFFFF, total, codec >> 16)


def read_run(datagram: bytes, *, unchecked: bool = False) -> Run | None:
    """Read a datagram, or merged buffer, of consecutive fragments of one message, as frames and unpack_fragment would.

    All fragments but the last have the length of the first. Heads are not taken apart: they are compared with those
    that the fragments have to have.

    Args:
        unchecked: as of ``frames``.

    Returns:
        The fragments; None if the bytes are anything else, which may still be frames.
    """
    if compiled is not None and not compiled.check_run(datagram, unchecked):
        return None
    end = len(datagram)
    if end <= FRAGMENT_OVERHEAD:
        return None
    word, codec, source, seq, sent_ns, total, offset = FRAGMENT_HEADER.unpack_from(datagram)
    size, length, flags = codec >> 16, word & 0xFFFF, codec & 0xFF00
    if not size or offset % size or flags not in (0, unchecked and UNCHECKED) or length <= FRAGMENT_OVERHEAD:
        return None
    view, starts = memoryview(datagram), range(0, end, length)
    parts = [view[at + FRAGMENT_OVERHEAD : at + length] for at in starts]
    place, number = Place(source, seq, sent_ns, codec & 0xFFFF, total, size), offset // size
    run = Run(place, number, parts)
    return run if compiled is not None or _is_run(datagram, run, length) else None


def _is_run(datagram: bytes, run: Run, length: int) -> bool:
    """Tell whether the heads in a datagram, each so many bytes after the last, are those of a run. In C: check_run."""
    place, number, parts = run[:3]
    last = (number + len(parts) - 1) * place.size
    if len(parts) > 1 and length != place.size + FRAGMENT_OVERHEAD:
        return False
    if last >= place.total or len(parts[-1]) != min(place.size, place.total - last):
        return False
    heads = b"".join([datagram[at : at + FRAGMENT_OVERHEAD] for at in range(0, len(datagram), length)])
    if len(parts) == 1:
        return heads == pack_fragment(place, last, parts)
    return heads == Heads(place).pack(number, parts)
