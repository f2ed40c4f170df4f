"""What a node's books say of each pair of a publisher and a subscriber, as it travels. Pure: values and msgpack.

A row is a msgpack array that begins with what it is of; items after those that are known are ignored, and so are rows
of another kind: books grow without another version. What comes from the network is checked item by item. Knows nothing
of frames, nor of what the counts are counted by. See docs/protocol.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import IntEnum

import msgpack

from ...fast import compiled
from ...records import NamedTuple
from ...typed import Any
from ..wire import Malformed

__all__ = ["DROPPED", "PUBLISHED", "RECEIVED", "SENT", "Dropped", "Latency", "Published", "Received", "Row", "Sent"]
__all__ += ["Step", "Way", "pack_rows", "unpack_rows"]

MAX_CAUSES = 32  # of losses in a row
MAX_CAUSE = 32  # characters of one
MAX_PAGE_ROWS = 4_096
_MAX = (1 << 64) - 1
_LIMITS = {"max_array_len": MAX_PAGE_ROWS, "max_map_len": 64, "max_str_len": 255, "max_bin_len": 0, "max_ext_len": 0}


class Way(IntEnum):
    """Which way the messages of a pair go."""

    NONE = 0
    UNICAST = 1
    LOOPBACK = 2
    MULTICAST = 3
    SHARED = 4


class Step(IntEnum):
    """How far a match is: at the publisher 0 to 5, at the subscriber 0 and from 16 on."""

    MATCHED = 0
    PROBING = 1  # challenged; no answer yet
    STARTING = 2  # it answered; that it is ready has not come yet
    VERIFYING = 3  # matched, and being asked whether it is still there
    DIFFER = 4  # it answered that the types differ
    NO_WAY = 5  # the system knows no way there
    SILENT = 16  # known, and nothing came from it
    ANSWERED = 17  # its challenge was answered; its START has not come yet
    MISFIT = 18  # the types differ, says the subscriber
    LEFT = 19  # it went a moment ago


PUBLISHED, SENT, RECEIVED, DROPPED = range(1, 5)  # what a row is of


class Published(NamedTuple):
    """All that one publisher published: messages, and bytes of their bodies."""

    kind: int
    publisher: int
    messages: int
    bytes: int


class Sent(NamedTuple):
    """What a publisher sent to one subscriber.

    Attributes:
        queued: messages that wait for their turn.
    """

    kind: int
    publisher: int
    subscriber: int
    step: int
    way: int
    messages: int
    bytes: int
    retransmitted: int
    queued: int


class Latency(NamedTuple):
    """Of messages of the last second, in seconds: the fastest, the middle one, the slowest but for 1 %, how wrong."""

    least: float
    p50: float
    p99: float
    bound: float


class Received(NamedTuple):
    """What a subscriber received from one publisher.

    Attributes:
        queued: messages that wait to be taken.
        late: how often the next one was late.
        lost: by cause.
        latency: None where it is not known.
    """

    kind: int
    publisher: int
    subscriber: int
    step: int
    messages: int
    bytes: int
    queued: int
    late: int
    lost: Mapping[str, int]
    latency: Latency | None


class Dropped(NamedTuple):
    """What came to a subscriber and was no message of a matched publisher, by cause."""

    kind: int
    subscriber: int
    dropped: Mapping[str, int]


Row = Published | Sent | Received | Dropped
_pack_any: Callable[[object], bytes] = msgpack.Packer().pack
_pack_usual: Callable[[object], bytes | None] = _pack_any if compiled is None else compiled.pack_usual  # fast/packing.c


def _pack(value: object) -> bytes:
    packed = _pack_usual(value)
    return _pack_any(value) if packed is None else packed


def pack_rows(rows: Sequence[Row], room: int) -> list[bytes]:
    """Pack rows into pages: msgpack arrays of at most ``room`` bytes. There is one page at least.

    Args:
        rows: as they are; their numbers fit 64 bits.
        room: bytes; a row that is larger by itself is left out.
    """
    if len(rows) <= MAX_PAGE_ROWS and len(whole := _pack(rows)) <= room:
        return [whole]
    pages: list[bytes] = []
    begun: list[bytes] = []
    size = 3
    for packed in map(_pack, rows):
        if 3 + len(packed) > room:
            continue
        if size + len(packed) > room or len(begun) == MAX_PAGE_ROWS:
            pages.append(_page(begun))
            begun, size = [], 3
        begun.append(packed)
        size += len(packed)
    return [*pages, _page(begun)]


def _page(rows: list[bytes]) -> bytes:
    return b"\xdc" + len(rows).to_bytes(2, "big") + b"".join(rows)  # array 16


def unpack_rows(page: bytes | memoryview) -> list[Row]:
    """Read a page.

    Raises:
        Malformed: it is none.
    """
    try:
        rows = msgpack.unpackb(page, strict_map_key=False, **_LIMITS)
        if type(rows) is list:
            return [row for row in map(_row, rows) if row is not None]
    except Exception as error:  # msgpack raises a family of its own; what is not as it should be raises what it likes
        raise Malformed("malformed") from error
    raise Malformed("malformed")


def _row(row: list[Any]) -> Row | None:
    kind = row[0]
    if kind == PUBLISHED:
        return Published(kind, *_numbers(row, 3))
    if kind == SENT:
        return Sent(kind, *_numbers(row, 8))
    if kind == RECEIVED:
        publisher, subscriber, step, messages, size, queued, late = _numbers(row, 7)
        counts = messages, size, queued, late
        return Received(kind, publisher, subscriber, step, *counts, _causes(row[8]), _latency(row[9]))
    return Dropped(kind, _numbers(row, 1)[0], _causes(row[2])) if kind == DROPPED else None


def _numbers(row: list[Any], count: int) -> list[int]:
    found = row[1 : count + 1]
    if len(found) != count or not all(type(each) is int and 0 <= each <= _MAX for each in found):
        raise ValueError("no counts")
    return found


def _causes(told: Any) -> Mapping[str, int]:
    if len(told) > MAX_CAUSES:
        raise ValueError("too many causes")
    return dict(_checked_causes(told))


def _checked_causes(told: Mapping[Any, Any]) -> Iterator[tuple[str, int]]:
    for cause, count in told.items():
        if not (type(cause) is str and 0 < len(cause) <= MAX_CAUSE and cause.isprintable()):
            raise ValueError("no cause")
        if not (type(count) is int and 0 <= count <= _MAX):
            raise ValueError("no count")
        yield cause, count


def _latency(told: Any) -> Latency | None:
    if told is None:
        return None
    found = Latency(*told)
    if not all(type(each) is float and math.isfinite(each) for each in found):
        raise ValueError("no latency")
    return found
