"""Fragments of large messages as frames: what precedes the data of each, made and read for many of them at a time.
Knows bytes and CRC-32; nothing of which fragments are sent, missing or wanted (fragments.py), sockets or time.

A fragment's datagram is its head and its data. The head is 44 bytes: the header, whose extra is the size of every
fragment of the message but its last, u32 total (bytes of the message), u32 offset, u32 check. The check covers the 40
bytes before it and, up to CHECKED_FRAGMENT bytes, the data.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import repeat
from operator import xor
from struct import Struct, unpack
from sys import byteorder
from typing import NamedTuple
from zlib import crc32

from ..wire import CHECKED_FRAGMENT, FRAGMENT_HEADER, FRAGMENT_OVERHEAD, FRAGMENT_WORD, Frame, Malformed

BLOCK = 64  # fragments whose offsets are computed at a time

_COMMON = Struct("<IIQQQI")  # FRAGMENT_HEADER without the offset

_pack_u32 = Struct("<I").pack


class Place(NamedTuple):
    """What all fragments of one message have in common.

    Attributes:
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
    if length <= CHECKED_FRAGMENT:
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
    """

    __slots__ = ("_begun", "_common", "_covers_data", "_place")

    def __init__(self, place: Place) -> None:
        self._place = place
        self._common = _pack_common(place, place.size)
        self._begun = crc32(self._common)
        self._covers_data = place.size <= CHECKED_FRAGMENT

    def each(self, number: int, parts: Sequence[memoryview]) -> Sequence[bytes]:
        """Build the head of each of the fragments that follow one another from a number on.

        All have the size of a fragment, but the last may be shorter: that of the message.
        """
        size, stop = self._place.size, number + len(parts)
        if len(parts[-1]) < size:
            last = pack_fragment(self._place, (stop - 1) * size, parts[-1:])
            return [*self.each(number, parts[:-1]), last] if len(parts) > 1 else [last]
        if self._covers_data:
            heads = self._pack(number, parts)
            return unpack("44s" * len(parts), heads)
        common, begun = self._common, self._begun
        offsets = map(_pack_u32, range(number * size, stop * size, size))
        return [common + offset + _pack_u32(crc32(offset, begun)) for offset in offsets]

    def pack(self, number: int, parts: Sequence[memoryview]) -> bytes:
        """Build the same heads, end to end."""
        if self._covers_data and len(parts[-1]) == self._place.size:
            return self._pack(number, parts)
        return b"".join(self.each(number, parts))

    def _pack(self, number: int, parts: Sequence[memoryview]) -> bytes:
        count = len(parts)
        offsets, checks = _offsets(self._place.size, number, count)
        begun = crc32(bytes(4), self._begun) ^ crc32(bytes(4))
        heads = array("I", (self._common + bytes(8)) * count)
        heads[9::11] = offsets
        heads[10::11] = _u32s(map(crc32, parts, map(xor, checks, repeat(begun))))
        return heads.tobytes()


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
    place = Place(frame.source, frame.seq, frame.sent_ns, frame.codec, total, size)
    return Run(place, offset // size, (data,))


def read_place(head: bytes | bytearray) -> Place:
    """Read what fragments have in common from the head of one; the check of that head is not looked at."""
    _, codec, source, seq, sent_ns, total, _ = FRAGMENT_HEADER.unpack_from(head)
    return Place(source, seq, sent_ns, codec & 0xFF, total, codec >> 16)


def read_run(datagram: bytes) -> Run | None:
    """Read a datagram, or merged buffer, of consecutive fragments of one message, as frames and unpack_fragment would.

    All fragments but the last have the length of the first. Heads are not taken apart: they are compared with those
    that the fragments have to have.

    Returns:
        The fragments; None if the bytes are anything else, which may still be frames.
    """
    end = len(datagram)
    if end <= FRAGMENT_OVERHEAD:
        return None
    word, codec, source, seq, sent_ns, total, offset = FRAGMENT_HEADER.unpack_from(datagram)
    size, length = codec >> 16, word & 0xFFFF
    if not size or offset % size or codec & 0xFF00 or length <= FRAGMENT_OVERHEAD:
        return None
    view, starts = memoryview(datagram), range(0, end, length)
    parts = [view[at + FRAGMENT_OVERHEAD : at + length] for at in starts]
    last = offset + (len(parts) - 1) * size
    if len(parts) > 1 and length != size + FRAGMENT_OVERHEAD:
        return None
    if last >= total or len(parts[-1]) != min(size, total - last):
        return None
    place, number = Place(source, seq, sent_ns, codec & 0xFF, total, size), offset // size
    heads = b"".join([datagram[at : at + FRAGMENT_OVERHEAD] for at in starts])
    expected = pack_fragment(place, offset, parts) if len(parts) == 1 else Heads(place).pack(number, parts)
    return Run(place, number, parts) if heads == expected else None
