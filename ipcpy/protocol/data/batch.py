"""Several messages in one frame. Knows their bytes; nothing of when they are sent. See docs/protocol.md.

A BATCH frame's content is u16 count, u16 size, items. Those of one size are laid end to end; where the size varies it
is 0, and each item is preceded by its own, u16.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain
from struct import Struct, iter_unpack

from ...checksum import crc32
from ..wire import FAST_HEADER, OVERHEAD, VERSION, Buffer, Kind, Malformed

MAX_BATCH = 65_535  # items: the count is a u16

_HEADER = Struct("<HH")
_COST = 2  # bytes that an item may cost beside its own
_WORD = VERSION << 16 | Kind.BATCH << 24

_pack_u16 = Struct("<H").pack


def fitting(size: int, room: int) -> int:
    """Return how many items of one size fit a frame whose body may have so many bytes."""
    return min((room - _HEADER.size) // size, MAX_BATCH)


class Fitting:
    """Tells how many consecutive items fit one frame.

    Args:
        sizes: of the items.
    """

    def __init__(self, sizes: Iterable[int]) -> None:
        self._ends = [0, *accumulate(_COST + size for size in sizes)]

    def end(self, at: int, room: int) -> int:
        """Return the end of those that fit; ``at`` itself if not even the first does.

        Args:
            at: the first of them.
            room: bytes that the frame's body may have.
        """
        stop = bisect_right(self._ends, self._ends[at] + room - _HEADER.size) - 1
        return min(stop, at + MAX_BATCH)


def pack_batch(source: int, seq: int, sent_ns: int, codec: int, items: Sequence[bytes]) -> bytes:
    """Build one frame of several messages, numbered from ``seq``; they share one send time.

    Items of equal size are laid end to end; of unequal size each is preceded by its size, u16.
    """
    sizes = list(map(len, items))
    size = sizes[0]
    if size and sizes.count(size) == len(sizes):
        return pack_alike(source, seq, sent_ns, codec, b"".join(items), size)
    sized = chain.from_iterable(zip(map(_pack_u16, sizes), items, strict=True))
    body = _HEADER.pack(len(items), 0) + b"".join(sized)
    return _pack(source, seq, sent_ns, codec, body)


def pack_alike(source: int, seq: int, sent_ns: int, codec: int, data: Buffer, size: int) -> bytes:
    """Build the same frame of messages that are laid end to end already, each of ``size`` bytes."""
    return _pack(source, seq, sent_ns, codec, _HEADER.pack(len(data) // size, size) + data)


def _pack(source: int, seq: int, sent_ns: int, codec: int, body: bytes) -> bytes:
    head = FAST_HEADER.pack(_WORD | (OVERHEAD + len(body)), codec, source, seq, sent_ns)
    check = crc32(body, crc32(head))
    return b"".join((head, body, check.to_bytes(4, "little")))


def unpack_batch(body: bytes | memoryview) -> list[bytes]:
    """Take the items of a BATCH frame's body apart.

    Raises:
        Malformed: counts and sizes do not agree with the length.
    """
    alike = unpack_alike(body)
    if alike is None:
        return _sized_items(bytes(body[_HEADER.size :]), _HEADER.unpack_from(body)[0])
    data, size = alike
    return split(data, size)


def unpack_alike(body: bytes | memoryview) -> tuple[bytes, int] | None:
    """Return the items of a BATCH frame's body as they are, end to end, and their size; None if that varies.

    Raises:
        Malformed: count and size do not agree with the length.
    """
    if len(body) < _HEADER.size:
        raise Malformed("malformed")
    count, size = _HEADER.unpack_from(body)
    if not size:
        return None
    if not count or count * size != len(body) - _HEADER.size:
        raise Malformed("malformed")
    return bytes(body[_HEADER.size :]), size


def split(data: bytes, size: int) -> list[bytes]:
    """Return the items of one size that were laid end to end."""
    return [item for (item,) in iter_unpack(f"{size}s", data)]


def _sized_items(data: bytes, count: int) -> list[bytes]:
    items = []
    at, end = 0, len(data)
    while at + 2 <= end:
        stop = at + 2 + int.from_bytes(data[at : at + 2], "little")
        items.append(data[at + 2 : stop])
        at = stop
    if at != end or len(items) != count or not count:
        raise Malformed("malformed")
    return items
