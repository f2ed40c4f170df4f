"""The bodies of POLL, REPORT and MISSING: what a publisher asks, what a subscriber answers. Knows bytes and numbers;
nothing of when they are sent."""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct

from ...records import NamedTuple
from ..wire import Malformed

POLL_BODY = Struct("<QQ")  # position, the lowest number that the publisher still has (``low`` in docs/protocol.md)
REPORT_BODY = Struct("<QI")  # next, what the socket can hold; then ranges of what is missing
RANGE = Struct("<QI")  # start, count
MISSING_HEAD = Struct("<I")  # the first fragment missing; then the bitmap
MAX_RANGES = 64  # in one report


class Report(NamedTuple):
    """A REPORT's body.

    Attributes:
        next: all before this number is there, or lost and done with.
        window: bytes that the subscriber's socket can hold.
        missing: (start, stop) of whole messages that are asked for; at most MAX_RANGES.
    """

    next: int
    window: int
    missing: tuple[tuple[int, int], ...] = ()


def pack_report(next_seq: int, window: int, missing: Iterable[tuple[int, int]]) -> bytes:
    """Build the body of a REPORT; a range of more than 2^32 - 1 numbers is cut short, the rest is asked for later."""
    ranges = (RANGE.pack(start, min(stop - start, 0xFFFF_FFFF)) for start, stop in missing)
    return REPORT_BODY.pack(next_seq, min(window, 0xFFFF_FFFF)) + b"".join(ranges)


def unpack_report(body: bytes | memoryview) -> Report:
    """Read the body of a REPORT.

    Raises:
        Malformed: its length is none that a report has.
    """
    ranges, rest = divmod(len(body) - REPORT_BODY.size, RANGE.size)
    if rest or not 0 <= ranges <= MAX_RANGES:
        raise Malformed("malformed")
    missing = tuple((start, start + count) for start, count in RANGE.iter_unpack(body[REPORT_BODY.size :]))
    next_seq, window = REPORT_BODY.unpack_from(body)
    return Report(next_seq, window, missing)


def pack_missing(first: int, bitmap: bytes) -> bytes:
    """Build the body of a MISSING."""
    return MISSING_HEAD.pack(first) + bitmap


def unpack_missing(body: bytes | memoryview) -> tuple[int, bytes | memoryview]:
    """Read the body of a MISSING: the first fragment and the bitmap.

    Raises:
        Malformed: there is no bitmap.
    """
    if len(body) <= MISSING_HEAD.size:
        raise Malformed("malformed")
    return MISSING_HEAD.unpack_from(body)[0], body[MISSING_HEAD.size :]


def missing_between(start: int, stop: int, here: Iterable[int], limit: int) -> list[tuple[int, int]]:
    """Return the ranges of [start, stop) that ``here`` leaves out, the lowest first, at most ``limit``."""
    ranges = []
    for seq in [*sorted(here), stop]:
        if min(seq, stop) > start:
            ranges.append((start, min(seq, stop)))
        start = max(start, seq + 1)
        if len(ranges) >= limit or start >= stop:
            break
    return ranges
