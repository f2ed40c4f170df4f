"""Numbers, times and frames of what one publisher publishes. Knows bytes and the wall clock; nothing of subscribers.

``Publisher.publish`` lays out the frame of a single small message itself, where a call would be felt; every other frame
of messages is made here. The publisher's lock is held by whoever calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ..checksum import crc32
from ..codec import Body
from ..errors import ArgumentError
from ..fast import FramingFields, slots
from ..protocol.data.batch import pack_alike, pack_batch
from ..protocol.data.fragments import MAX_MESSAGE
from ..protocol.data.history import Kept, Placed
from ..protocol.data.places import pack_spot
from ..protocol.wire import DATA_WORD, FAST_HEADER, OVERHEAD, Buffer, Kind, pack_frame

_new = tuple.__new__
_pack_header = FAST_HEADER.pack

DATA_OVERHEAD = DATA_WORD + OVERHEAD  # the first word of a DATA frame is this and the length of its body


class Framing(FramingFields):
    """The numbering of one publisher, and the frames of its messages.

    Args:
        number: the publisher's id.
        codec: the codec's number on the wire.
        clock_ns: the wall clock that messages are stamped with.

    Attributes:
        clock_ns: as given.
        seq: the number of the last message published; 0 before the first.
        bytes: of the bodies published so far, without those published to nobody.
    """

    __slots__ = slots("bytes clock_ns codec number seq", FramingFields)

    def __init__(self, number: int, codec: int, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.number = number
        self.codec = codec
        self.seq = 0
        self.bytes = 0
        self.clock_ns = clock_ns

    def batch(self, bodies: Sequence[bytes]) -> bytes:
        """Make one frame of the next messages."""
        first = self._count(len(bodies), sum(map(len, bodies)))
        if len(bodies) > 1:
            return pack_batch(self.number, first, self.clock_ns(), self.codec, bodies)
        # a body alone may fill the datagram up to the last byte
        return pack_frame(Kind.DATA, self.number, first, self.clock_ns(), bodies[0], codec=self.codec)

    def alike(self, data: Buffer, size: int) -> bytes:
        """Make one frame of the next messages, whose bodies of one size are laid end to end already."""
        first = self._count(len(data) // size, len(data))
        return pack_alike(self.number, first, self.clock_ns(), self.codec, data, size)

    def kept(self, body: bytes, seq: int) -> Kept:
        """Make the frame of a message of a reliable topic, to be sent again to any host; ``kept_all`` counts it."""
        size = len(body)
        sent_ns = self.clock_ns()
        frame = _pack_header(size + DATA_OVERHEAD, self.codec, self.number, seq, sent_ns) + body
        frame += crc32(frame).to_bytes(4, "little")
        return _new(Kept, (seq, sent_ns, frame, (), len(frame), None))  # in half the time that Kept(...) takes

    def large(self, parts: Sequence[memoryview], size: int, seq: int = 0, placed: Placed | None = None) -> Kept:
        """Stamp a message that is sent in fragments, or lies in shared memory.

        Args:
            seq: the number of one of a reliable topic, which ``kept_all`` counts; 0 takes the next number.
            placed: where it lies, if it does.
        """
        return Kept(seq or self._count(1, size), self.clock_ns(), b"", parts, size, placed)

    def placed(self, message: Kept, placed: Placed) -> bytes:
        """Make the frame that says where in shared memory a message lies."""
        body = pack_spot(placed.spot)
        return pack_frame(Kind.PLACED, self.number, message.seq, message.sent_ns, body, codec=self.codec)

    def kept_all(self, seq: int, size: int) -> None:
        """Count a message of a reliable topic, if it was kept.

        Args:
            seq: the last number that is kept.
            size: bytes of its body.
        """
        if seq > self.seq:
            self.seq = seq
            self.bytes += size

    def _count(self, messages: int, size: int) -> int:
        """Take the next numbers; return the first. No call comes between taking them and having counted them."""
        first = self.seq + 1
        self.seq += messages
        self.bytes += size
        return first


def parts_of(body: Body) -> tuple[list[memoryview], int]:
    """Return views of the bytes of a body's parts, and how many bytes these have together.

    Raises:
        ArgumentError: if that is more than subscribers take.
    """
    if isinstance(body, list):
        views = [memoryview(part).cast("B") for part in body if len(part)]
        total = sum(map(len, views))
    else:
        view = memoryview(body)
        total = view.nbytes
        views = [view.cast("B")] if total else []
    if total > MAX_MESSAGE:
        raise ArgumentError(f"a message has at most {MAX_MESSAGE} bytes, got {total}")
    return views, total
