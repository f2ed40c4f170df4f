"""Where in shared memory a message lies, as bytes: the body of a PLACED frame, what stands in tables and ledgers, the
datagrams by which segments are handed over. Knows bytes and bounds; nothing of memory, descriptors, sockets or of who
holds what (pool.py). See docs/protocol.md.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct

from ...records import NamedTuple
from ..wire import Malformed
from .fragments import MAX_MESSAGE

ENTRIES = 1024  # of a table, and of a ledger
TABLE_SIZE = 8 * ENTRIES  # bytes of either
MAX_SEGMENTS = 16  # of one publisher
MAX_MAPPED = 1 << 30  # bytes of all segments of one publisher
PLACED_FROM = 32 << 10  # bytes of a body from which on it is worth it: below, a datagram costs less
MAX_GENERATION = (1 << 62) - 1  # so that what a ledger says of it is below 2^63

_new = tuple.__new__  # of a NamedTuple, in half the time that its own takes

SPOT = Struct("<IIQQQ")
MAGIC = b"ipcM"
VERSION = 1
OFFER = Struct("<4sBBHIQQQQ")


class Spot(NamedTuple):
    """What a PLACED frame says of a message.

    Attributes:
        segment: the number of the publisher's segment that it lies in.
        entry: where the publisher's table has its generation, and the subscriber's ledger whether it is held.
        generation: counts the slots that the publisher has filled, from 1 on; no two messages have the same.
        offset: the first byte in the segment.
        size: bytes of the body.
    """

    segment: int
    entry: int
    generation: int
    offset: int
    size: int


def pack_spot(spot: Spot) -> bytes:
    """Build the body of a PLACED frame."""
    return SPOT.pack(*spot)


def unpack_spot(body: bytes | memoryview) -> Spot:
    """Read the body of a PLACED frame. Whether the segment is as long as that is for the caller to check.

    Raises:
        Malformed: it has another length, or its numbers can belong to no slot.
    """
    if len(body) != SPOT.size:
        raise Malformed("malformed")
    segment, entry, generation, offset, size = SPOT.unpack(body)
    if not (
        segment < MAX_SEGMENTS
        and entry < ENTRIES
        and 0 < generation <= MAX_GENERATION
        and 0 < size <= MAX_MESSAGE
        and (0 if segment else TABLE_SIZE) <= offset <= MAX_MAPPED - size
    ):
        raise Malformed("malformed")
    return _new(Spot, (segment, entry, generation, offset, size))


def held(generation: int) -> int:
    """Return what a ledger says of an entry while its subscriber holds what lies there."""
    return 2 * generation + 1


def let_go(generation: int) -> int:
    """Return what a ledger says of an entry once its subscriber has let go of what lay there."""
    return 2 * generation


class OfferKind(IntEnum):
    """What a datagram of a hand-over is."""

    OFFER = 1
    TAKEN = 2
    REFUSED = 3
    RETIRED = 4


class Offer(NamedTuple):
    """A datagram of a hand-over. The answer to an OFFER differs from it in ``kind`` only, as does RETIRED.

    Attributes:
        kind: OFFER comes with the descriptor of the segment, TAKEN for segment 0 with that of the ledger; RETIRED says
            that the segment, the last one, is gone.
        publisher: the publisher's id.
        subscriber: the subscriber's id.
        token: what the subscriber gave the publisher in its ANSWER.
        segment: the number of the segment.
        size: bytes of the segment.
    """

    kind: OfferKind
    publisher: int
    subscriber: int
    token: int
    segment: int
    size: int


def pack_offer(offer: Offer) -> bytes:
    """Build a datagram of a hand-over."""
    kind, publisher, subscriber, token, segment, size = offer
    return OFFER.pack(MAGIC, VERSION, kind, segment, ENTRIES, publisher, subscriber, token, size)


def unpack_offer(datagram: bytes | memoryview) -> Offer:
    """Read a datagram of a hand-over.

    Raises:
        Malformed: it has another length, beginning or number of entries, or its numbers can belong to no segment; its
            cause is "version" if it is of another version.
    """
    if len(datagram) != OFFER.size:
        raise Malformed("malformed")
    magic, version, kind, segment, entries, publisher, subscriber, token, size = OFFER.unpack(datagram)
    if magic != MAGIC:
        raise Malformed("malformed")
    if version != VERSION:
        raise Malformed("version")
    least = 1 if segment else TABLE_SIZE
    if not (entries == ENTRIES and segment < MAX_SEGMENTS and least <= size <= MAX_MAPPED):
        raise Malformed("malformed")
    try:
        return Offer(OfferKind(kind), publisher, subscriber, token, segment, size)
    except ValueError:
        raise Malformed("malformed") from None
