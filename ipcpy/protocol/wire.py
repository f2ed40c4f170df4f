"""Frame layout: what all frames have in common. Knows bytes and struct; nothing of bodies, sockets, peers or time.
See docs/protocol.md.

A datagram holds one or more frames, laid end to end. Every frame begins with the same 32 bytes, little-endian:

    offset  size  field
    0       2     length   of the whole frame, this field and the check included
    2       1     version  1
    3       1     kind     see Kind
    4       1     codec    0 raw, 1 struct, 2 msgpack, 255 another (named in discovery)
    5       1     flags    bit 0: sealed, in SEALED only (sealing/datagram.py); bit 2: unchecked
    6       2     extra    depends on the kind
    8       8     source   data path: the publisher's id; link: the sending node's id
    16      8     seq      data path: sequence number; link: the token the receiver gave us
    24      8     sent_ns  the sender's wall clock, ns since 1970

and ends with a CRC-32 of all before it, except FRAGMENT, whose check follows its own header (see data/heads.py), and
DATA and ASIDE that do not leave the computer, or travel sealed, which may be unchecked.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct

from ..checksum import crc32
from ..records import NamedTuple

VERSION = 1
HEADER = Struct("<HBBBBHQQQ")
HEADER_SIZE = 32
CHECK_SIZE = 4
OVERHEAD = HEADER_SIZE + CHECK_SIZE
MAX_UDP_PAYLOAD = 65_507  # bytes that one datagram carries: 65,535 - 20 (IPv4) - 8 (UDP)
MAX_BODY = MAX_UDP_PAYLOAD - OVERHEAD
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
    """What a frame is. Data path: 1 to 15; link: 16 to 28; SEALED stands around others (sealing/datagram.py)."""

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
    PLACED = 11
    ASIDE = 12
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
    CLOCK = 26
    INQUIRY = 27
    BOOKS = 28
    SEALED = 32


CODECS = {"raw": 0, "struct": 1, "msgpack": 2}
OTHER_CODEC = 255

DATA_WORD = VERSION << 16 | Kind.DATA << 24  # | length: the first word of a DATA frame
FRAGMENT_WORD = VERSION << 16 | Kind.FRAGMENT << 24
PLACED_WORD = VERSION << 16 | Kind.PLACED << 24
ASIDE_WORD = VERSION << 16 | Kind.ASIDE << 24

KIND_MASK = 0xFFFF0000  # of the first word: all but the length

FRAGMENT_HEADER = Struct("<IIQQQII")  # the header, total, offset; the check follows
FRAGMENT_OVERHEAD = FRAGMENT_HEADER.size + CHECK_SIZE  # 44
CHECKED_FRAGMENT = 9_000  # longer ones cross no wire but loopback's memory: their check covers the header only


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


class Malformed(Exception):
    """Bytes that are no frame; ``cause`` is what they are counted under."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


def codec_number(name: str) -> int:
    """Return the number that a codec's name has on the wire."""
    return CODECS.get(name, OTHER_CODEC)


def pack_frame(
    kind: int, source: int, seq: int, sent_ns: int, body: bytes = b"", *, codec: int = 0, flags: int = 0, extra: int = 0
) -> bytes:
    """Build one frame of any kind but FRAGMENT.

    It has as many parameters as a header has fields: a value of them would be made for each frame, to be taken apart.
    """
    length = OVERHEAD + len(body)
    frame = HEADER.pack(length, VERSION, kind, codec, flags, extra, source, seq, sent_ns) + body
    return frame + crc32(frame).to_bytes(4, "little")


def frames(datagram: bytes | memoryview, *, unchecked: bool = False) -> Iterator[Frame]:
    """Read the frames of a datagram, or of the merged buffer that UDP GRO hands over.

    Args:
        unchecked: whether DATA without a check is taken, and a FRAGMENT whose check leaves out its data: the datagram
            came over loopback, which changes no byte, or sealed.

    Raises:
        Malformed: at the first bytes that are no frame; the frames before them were yielded.
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
    unchecked = unchecked and flags == FLAG_UNCHECKED
    no_check = unchecked and kind == Kind.DATA
    if length < (HEADER_SIZE if no_check else OVERHEAD) or stop > end:
        raise Malformed("malformed")
    if flags & FLAG_SEALED:
        raise Malformed("unauthenticated")
    if no_check:
        body = view[at + HEADER_SIZE : stop]
    elif kind == Kind.FRAGMENT:
        body = _checked_fragment(view[at:stop], CHECKED_FRAGMENT if not unchecked else 0)
    else:
        if crc32(view[at:stop]) != CRC_RESIDUE:
            raise Malformed("malformed")
        body = view[at + HEADER_SIZE : stop - CHECK_SIZE]
    return Frame(kind, codec, flags, extra, source, seq, sent_ns, body), stop


def _checked_fragment(frame: memoryview, covered: int) -> memoryview:
    size = len(frame) - FRAGMENT_OVERHEAD
    if size < 0:
        raise Malformed("malformed")
    check = crc32(frame[: FRAGMENT_HEADER.size])
    if size <= covered:
        check = crc32(frame[FRAGMENT_OVERHEAD:], check)
    if check != int.from_bytes(frame[FRAGMENT_HEADER.size : FRAGMENT_OVERHEAD], "little"):
        raise Malformed("malformed")
    return frame[HEADER_SIZE:]


def sources(datagram: bytes) -> set[int]:
    """Return the sources of a datagram's frames, up to the first that cannot be read."""
    found = set()
    try:
        for frame in frames(datagram):
            found.add(frame.source)
    except Malformed:
        pass
    return found
