"""Frame layout. Knows bytes and struct; nothing of sockets, peers or time. See docs/protocol.md.

A datagram holds one or more frames, laid end to end. Every frame begins with the same 32 bytes, little-endian:

    offset  size  field
    0       2     length   of the whole frame, this field and the check included
    2       1     version  1
    3       1     kind     see Kind
    4       1     codec    0 raw, 1 struct, 2 msgpack, 255 another (named in discovery)
    5       1     flags    bit 0: sealed (reserved: a 16-byte tag stands in place of the check); bit 2: unchecked
    6       2     extra    depends on the kind
    8       8     source   data path: the publisher's id; link: the sending node's id
    16      8     seq      data path: sequence number; link: the token the receiver gave us
    24      8     sent_ns  the sender's wall clock, ns since 1970

and ends with a CRC-32 of all before it, except FRAGMENT, whose check follows its own header (see pack_fragment), and
DATA that does not leave the computer, which may be unchecked.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from functools import lru_cache
from itertools import repeat
from operator import xor
from struct import Struct, unpack
from sys import byteorder
from typing import NamedTuple
from zlib import crc32

VERSION = 1
HEADER = Struct("<HBBBBHQQQ")
HEADER_SIZE = 32
CHECK_SIZE = 4
OVERHEAD = HEADER_SIZE + CHECK_SIZE
MAX_DATAGRAM = 65_507  # 65,535 - 20 (IPv4) - 8 (UDP)
MAX_BODY = MAX_DATAGRAM - OVERHEAD
MAX_SEQ = (1 << 64) - 2  # sequence numbers begin at 1; one above the last is a u64 still
CRC_RESIDUE = 0x2144DF1C  # crc32(frame + its crc, little-endian), whatever the frame

# The same header with length, version and kind as one number, and codec, flags, extra as another: what the fast
# paths of publisher and subscriber read and write.
FAST_HEADER = Struct("<IIQQQ")

FLAG_SEALED = 1
FLAG_MULTICAST = 2
FLAG_UNCHECKED = 4
UNCHECKED = FLAG_UNCHECKED << 8  # | codec: the second number of FAST_HEADER


Buffer = bytes | bytearray | memoryview


class Kind(IntEnum):
    """What a frame is. Data path: 1 to 15; link: 16 and above."""

    DATA = 1
    FRAGMENT = 2
    BATCH = 3
    PROBE = 4
    ANSWER = 5
    START = 6
    STARTED = 7
    POLL = 8
    REPORT = 9
    MISSING = 10
    HELLO = 16
    WELCOME = 17
    CONFIRM = 18
    TABLE = 19
    ALIVE = 20
    BYE = 21
    PEERS = 22
    ECHO = 23
    ECHOED = 24
    DIED = 25


CODECS = {"raw": 0, "struct": 1, "msgpack": 2}
OTHER_CODEC = 255

DATA_WORD = VERSION << 16 | Kind.DATA << 24  # | length: the first word of a DATA frame
FRAGMENT_WORD = VERSION << 16 | Kind.FRAGMENT << 24

KIND_MASK = 0xFFFF0000  # of the first word: all but the length

FRAGMENT_HEADER = Struct("<IIQQQII")  # the header, total, offset; the check follows
FRAGMENT_OVERHEAD = FRAGMENT_HEADER.size + CHECK_SIZE  # 44
_FRAGMENT_COMMON = Struct("<IIQQQI")  # the same without the offset
BLOCK = 64  # fragments whose offsets are computed at a time
CHECKED_FRAGMENT = 9_000  # longer ones cross no wire but loopback's memory: their check covers the header only

_pack_u32 = Struct("<I").pack


class Frame(NamedTuple):
    """A frame as it was read, its check verified.

    Attributes:
        body: what lies between header and check; for a FRAGMENT what follows its check.
    """

    kind: int
    codec: int
    flags: int
    extra: int
    source: int
    seq: int
    sent_ns: int
    body: memoryview


class Place(NamedTuple):
    """What all fragments of one message have in common; size is that of each but the last."""

    source: int
    seq: int
    sent_ns: int
    codec: int
    total: int
    size: int


class Run(NamedTuple):
    """FRAGMENT frames that follow one another, from a number on; the offset of a fragment is its number times its size.

    Attributes:
        parts: the data of each.
        placed: how many there are, if instead their data is where it belongs already,
        buffer: which is here.
    """

    place: Place
    number: int
    parts: Sequence[memoryview]
    placed: int = 0
    buffer: bytearray | None = None


class Malformed(Exception):
    """Bytes that are no frame; ``cause`` is what they are counted under."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


def codec_number(name: str) -> int:
    """Give the number a codec's name has on the wire."""
    return CODECS.get(name, OTHER_CODEC)


def pack_frame(
    kind: int, source: int, seq: int, sent_ns: int, body: bytes = b"", *, codec: int = 0, flags: int = 0, extra: int = 0
) -> bytes:
    """Build one frame of any kind but FRAGMENT."""
    length = OVERHEAD + len(body)
    frame = HEADER.pack(length, VERSION, kind, codec, flags, extra, source, seq, sent_ns) + body
    return frame + crc32(frame).to_bytes(4, "little")


def pack_fragment(place: Place, offset: int, parts: Sequence[memoryview]) -> bytes:
    """Build the 44 bytes that precede a fragment's data: header, u32 total, u32 offset, u32 check.

    The header's extra is the size of every fragment of the message but its last. The check covers the 40 bytes before
    it and, up to CHECKED_FRAGMENT bytes, the data.
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
    return _FRAGMENT_COMMON.pack(
        FRAGMENT_WORD | FRAGMENT_OVERHEAD + length, codec | size << 16, source, seq, sent_ns, total
    )


class Heads:
    """What precedes the fragments of one message, made for many of them at a time, in fewer steps than pack_fragment.

    CRC-32 is linear, so what an offset adds to the check is the same in all messages: with as many zeros
    ``crc32(offset, begun) == crc32(offset) ^ crc32(zeros, begun) ^ crc32(zeros)``.
    """

    __slots__ = ("_begun", "_checked", "_common", "_place")

    def __init__(self, place: Place) -> None:
        self._place = place
        self._common = _pack_common(place, place.size)
        self._begun = crc32(self._common)
        self._checked = place.size <= CHECKED_FRAGMENT

    def each(self, number: int, parts: Sequence[memoryview]) -> Sequence[bytes]:
        """Build the head of each of the fragments that follow one another from a number on.

        All have the size of a fragment, but the last may be shorter: that of the message.
        """
        size, stop = self._place.size, number + len(parts)
        if len(parts[-1]) < size:
            last = pack_fragment(self._place, (stop - 1) * size, parts[-1:])
            return [*self.each(number, parts[:-1]), last] if len(parts) > 1 else [last]
        if self._checked:
            heads = self._pack(number, parts)
            return unpack("44s" * len(parts), heads)
        common, begun = self._common, self._begun
        offsets = map(_pack_u32, range(number * size, stop * size, size))
        return [common + offset + _pack_u32(crc32(offset, begun)) for offset in offsets]

    def pack(self, number: int, parts: Sequence[memoryview]) -> bytes:
        """Build the same heads, end to end."""
        if self._checked and len(parts[-1]) == self._place.size:
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
    """Give the offsets of fragments as they are on the wire, and the CRC-32 of each."""
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


def frames(datagram: bytes | memoryview, *, unchecked: bool = False) -> Iterator[Frame]:
    """Read the frames of a datagram, or of the merged buffer that UDP GRO hands over.

    Args:
        unchecked: whether DATA without a check is taken: it came over loopback, which changes no byte.

    Raises:
        Malformed: at the first frame that is none; those before it were yielded.
    """
    view = memoryview(datagram)
    at, end = 0, len(view)
    while at < end:
        frame, at = _frame_at(view, at, end, unchecked)
        yield frame


def _frame_at(view: memoryview, at: int, end: int, unchecked: bool) -> tuple[Frame, int]:
    if end - at < HEADER_SIZE:
        raise Malformed("malformed")
    length, version, kind, codec, flags, extra, source, seq, sent_ns = HEADER.unpack_from(view, at)
    if version != VERSION:
        raise Malformed("version")
    stop = at + length
    without = unchecked and flags == FLAG_UNCHECKED and kind == Kind.DATA
    if length < (HEADER_SIZE if without else OVERHEAD) or stop > end:
        raise Malformed("malformed")
    if flags & FLAG_SEALED:
        raise Malformed("unauthenticated")
    if without:
        body = view[at + HEADER_SIZE : stop]
    elif kind == Kind.FRAGMENT:
        body = _checked_fragment(view[at:stop])
    else:
        if crc32(view[at:stop]) != CRC_RESIDUE:
            raise Malformed("malformed")
        body = view[at + HEADER_SIZE : stop - CHECK_SIZE]
    return Frame(kind, codec, flags, extra, source, seq, sent_ns, body), stop


def _checked_fragment(frame: memoryview) -> memoryview:
    size = len(frame) - FRAGMENT_OVERHEAD
    if size < 0:
        raise Malformed("malformed")
    check = crc32(frame[: FRAGMENT_HEADER.size])
    if size <= CHECKED_FRAGMENT:
        check = crc32(frame[FRAGMENT_OVERHEAD:], check)
    if check != int.from_bytes(frame[FRAGMENT_HEADER.size : FRAGMENT_OVERHEAD], "little"):
        raise Malformed("malformed")
    return frame[HEADER_SIZE:]


def unpack_fragment(frame: Frame) -> Run:
    """Read a FRAGMENT frame. Its body is u32 total, u32 offset, u32 check, data.

    Raises:
        Malformed: where the data is not exactly what belongs at its offset.
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
    """Read what fragments have in common from the head of one, which is not checked."""
    _, codec, source, seq, sent_ns, total, _ = FRAGMENT_HEADER.unpack_from(head)
    return Place(source, seq, sent_ns, codec & 0xFF, total, codec >> 16)


def read_run(datagram: bytes) -> Run | None:
    """Read a datagram, or merged buffer, of consecutive fragments of one message: what frames and unpack_fragment do.

    All but the last have the length of the first. Headers are compared with those that are due rather than taken apart.

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


def sources(datagram: bytes) -> set[int]:
    """Give the sources of a datagram's frames, as far as they can be read."""
    found = set()
    try:
        for frame in frames(datagram):
            found.add(frame.source)
    except Malformed:
        pass
    return found
