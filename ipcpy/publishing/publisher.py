"""Publisher: data in, encoded, numbered and framed. What becomes of the frames is delivery.py's."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Sequence
from struct import Struct
from types import TracebackType
from typing import Any
from zlib import crc32

from ..addresses import Address
from ..codec import MsgPack, variant
from ..errors import ArgumentError, ClosedError, CodecError, RecvTimeout
from ..graph import EndpointInfo
from ..node.node import Node, node_for
from ..protocol.data.batch import Fitting, fitting, pack_alike, pack_batch
from ..protocol.data.fragments import MAX_MESSAGE
from ..protocol.data.history import Kept
from ..protocol.link.entries import PublisherEntry
from ..protocol.topics import check_topic
from ..protocol.wire import (
    DATA_WORD,
    FAST_HEADER,
    HEADER_SIZE,
    OVERHEAD,
    UNCHECKED,
    Buffer,
    Kind,
    codec_number,
    pack_frame,
)
from ..stats import PublisherStats
from ..timeouts import seconds
from .delivery import LINGER, Delivery
from .fanout import Group

__all__ = ["Publisher"]

BLOCK = 1.0  # seconds
DATA_OVERHEAD = DATA_WORD + OVERHEAD  # the first word of a DATA frame is this and the length of its body
UNCHECKED_DATA = DATA_WORD + HEADER_SIZE  # the same without a check
_pack_header = FAST_HEADER.pack
_pack_check = Struct("<I").pack
_time_ns = time.time_ns


class Publisher:
    """Publishes messages on a topic to every subscriber, on this host and on the LAN.

    It can be used from several threads. Publishing to nobody costs next to nothing: nothing is encoded.

    Args:
        topic: a name such as ``robot/imu``.
        codec: a MsgLibrary, Raw, MsgPack (the default) or anything with ``name``, ``encode``, ``decode``, ``schema``.
        reliable: fill gaps: what a subscriber misses is sent again while it is kept (10,000 messages, 64 MiB).
        keep: how many messages a late subscriber gets first ("latched"); gaps in those are filled too.
        multicast: None chooses: three subscribers on this host are reached by one send. True uses multicast wherever it
            reaches, False never.
        node: the node it belongs to; by default the one the process shares.
        block: seconds that ``publish`` on a reliable topic waits for subscribers that cannot follow, unless they do not
            answer at all; then the oldest message is given up, and they are told exactly which. 0 never waits.

    Raises:
        ArgumentError: (a ValueError) which argument is wrong, and what was expected.
        TransportError: (an OSError) if there is no UDP socket to be had.
        ClosedError: (an OSError) if the node is closed.

    >>> import ipcpy as ipc
    >>> with ipc.Publisher("doc/example") as pub:
    ...     pub.publish({"speed": 1.5})  # the number of subscribers it was handed to
    0
    """

    def __init__(
        self,
        topic: str,
        codec: Any = None,
        *,
        reliable: bool = False,
        keep: int = 0,
        multicast: bool | None = None,
        node: Node | None = None,
        block: float = BLOCK,
    ) -> None:
        self._closed = True  # until there is something to close
        self._usable = False  # open, and not abandoned in a forked child
        self._topic = check_topic(topic)
        self._codec = _check_codec(MsgPack() if codec is None else codec)
        self._encode = self._codec.encode
        self._encode_many = variant(self._codec, "encode_many", "encode")
        self._codec_number = codec_number(self._codec.name)
        self._unchecked = self._codec_number | UNCHECKED
        self._reliable = bool(reliable)
        self._keep = _check_keep(keep)
        self._block = _check_block(block)
        self._multicast = _check_multicast(multicast)
        self._node = node_for(node)
        self._open()
        self._closed = False

    def _open(self) -> None:
        self._node.ensure_open()
        self.number = int.from_bytes(os.urandom(8), "little") or 1
        self._delivery = Delivery(
            self._node,
            self.number,
            self._codec_number,
            reliable=self._reliable,
            keep=self._keep,
            multicast=self._multicast,
            block=self._block,
            on_group=self._announce,
        )
        self._lock = self._delivery.lock
        self._usable = True
        self._announce(None)

    def _announce(self, group: Group | None) -> None:
        ip, port = group or ("", 0)
        schema = dict(self._codec.schema)
        entry = PublisherEntry(self._topic, self._codec.name, schema, self._reliable, self._keep, ip, port)
        self._node.add_publisher(self, entry)

    # -- for users ---------------------------------------------------------------------------------------------------

    @property
    def topic(self) -> str:
        """The topic."""
        return self._topic

    @property
    def id(self) -> str:
        """16 hexadecimal digits, new with every publisher."""
        return f"{self.number:016x}"

    @property
    def subscribers(self) -> tuple[EndpointInfo, ...]:
        """The subscribers that are matched: what is published now is sent to them."""
        return tuple(route.info for route in self._delivery.routes if route.match.confirmed)

    @property
    def stats(self) -> PublisherStats:
        """What was published, and what became of it for each subscriber."""
        with self._lock:
            return self._delivery.stats()

    def publish(self, data: Any, id: int | None = None) -> int:
        """Publish one message.

        It never blocks for long. Small messages are handed to the system at once; large ones are paced to what each
        subscriber can take: while one that answers is still being sent an earlier one, ``publish`` waits up to 50 ms,
        and with too many owed to it the oldest is given up. For reliable topics see ``block``.

        Args:
            data: what the codec takes.
            id: the message ID, for a MsgLibrary in which two IDs share a type.

        Returns:
            The number of subscribers it was handed to.

        Raises:
            CodecError: (a ValueError) if the codec does not take the data; nothing was sent.
            ArgumentError: (a ValueError) if it has more than 64 MiB, which subscribers do not take.
            ClosedError: (an OSError) after ``close``.
        """
        delivery = self._delivery
        if not delivery.sends and delivery.reliable is None:
            if not self._usable:
                self._reopen()
                return self.publish(data, id)
            return self._publish_to_nobody()
        body = self._encode(data) if id is None else self._encode(data, id)
        if type(body) is list or delivery.reliable is not None or len(body) > delivery.whole:
            return self._publish_otherwise(body)
        lock = self._lock
        lock.acquire()  # and released by hand: a ``with`` takes twice as long
        try:
            seq = delivery.seq = delivery.seq + 1
            size = len(body)
            delivery.bytes += size
            if delivery.checked:
                frame = _pack_header(size + DATA_OVERHEAD, self._codec_number, self.number, seq, _time_ns()) + body
                frame += _pack_check(crc32(frame))
            else:
                frame = _pack_header(size + UNCHECKED_DATA, self._unchecked, self.number, seq, _time_ns()) + body
            if not delivery.beating:
                delivery.start_beating()
            return delivery.send(frame)
        finally:
            lock.release()

    def _publish_to_nobody(self) -> int:
        if not self._usable:
            self._check_open()
        lock = self._lock
        lock.acquire()
        self._delivery.seq += 1
        lock.release()
        return 0

    def _reopen(self) -> None:
        """Begin anew in a forked child; what is published then may be kept, so it is not published to nobody."""
        self._check_open()
        self._open()

    def _publish_otherwise(self, body: Any) -> int:
        """Publish a message that may be asked for again, or is too large for one datagram."""
        delivery = self._delivery
        if type(body) is list or len(body) > delivery.whole:
            return self._publish_large(body)
        with self._lock:
            return self._publish_kept([body])

    def publish_many(self, messages: Iterable[Any]) -> int:
        """Publish messages, as many in a datagram as fit: about ten times faster than one by one.

        Fastest are 64 and more of one type with numbers only, and bytes of one length. Those of one datagram share
        their send time. It is paced to what each subscriber can take, as large messages are: while one that answers
        still has others to take, it waits up to 0.25 s at a time.

        Returns:
            The number of subscribers they were handed to.

        Raises:
            CodecError: as ``publish``; nothing was sent.
            ClosedError: (an OSError) after ``close``.
        """
        delivery = self._delivery
        handed = 0
        if not delivery.sends and delivery.reliable is None:
            if not self._usable:
                self._reopen()
                return self.publish_many(messages)
            for _ in messages:
                self._publish_to_nobody()
            return 0
        if self._encode_many is not None and delivery.reliable is None:
            messages = list(messages)
            alike = None
            with contextlib.suppress(CodecError):  # one by one it will be said which of them is wrong
                alike = self._encode_many(messages) if len(messages) > 1 else None
            if alike is not None and alike[1] and fitting(alike[1], delivery.whole) > 1:
                return self._publish_alike(*alike)
        encode = self._encode
        bodies = [encode(message) for message in messages]
        fits = Fitting([MAX_MESSAGE if type(body) is list else len(body) for body in bodies])
        at = 0
        while at < len(bodies):
            stop = fits.end(at, delivery.whole)
            if stop > at:
                with self._lock:
                    small = bodies[at:stop]
                    if delivery.reliable is not None:
                        handed = self._publish_kept(small)
                    else:
                        delivery.make_room(sum(map(len, small)))
                        self._check_open()
                        handed = self._send_batch(small)
            else:
                handed = self._publish_large(bodies[at])
            at = max(stop, at + 1)
        return handed

    def _publish_alike(self, data: Buffer, size: int) -> int:
        """Publish bodies of one size that lie end to end."""
        delivery = self._delivery
        view = memoryview(data)
        handed = at = 0
        while at < len(data):
            with self._lock:
                delivery.make_room(size)
                self._check_open()
                part = view[at : at + fitting(size, delivery.whole) * size]
                count = len(part) // size
                if count:
                    first = delivery.seq + 1
                    frame = pack_alike(self.number, first, _time_ns(), self._codec_number, part, size)
                    handed = self._send_frame(frame, count, len(part))
            if not count:  # somebody has come to whom the way takes less
                part = view[at : at + size]
                handed = self._publish_large(part)
            at += len(part)
        return handed

    def _send_batch(self, bodies: Sequence[bytes]) -> int:
        first = self._delivery.seq + 1
        if len(bodies) > 1:
            frame = pack_batch(self.number, first, _time_ns(), self._codec_number, bodies)
        else:  # it may fill the datagram up to the last byte
            frame = pack_frame(Kind.DATA, self.number, first, _time_ns(), bodies[0], codec=self._codec_number)
        return self._send_frame(frame, len(bodies), sum(map(len, bodies)))

    def _send_frame(self, frame: bytes, messages: int, size: int) -> int:
        """Send a frame of the next messages, whose bodies have so many bytes together."""
        delivery = self._delivery
        delivery.seq += messages
        delivery.bytes += size
        if not delivery.beating:
            delivery.start_beating()
        return delivery.send_batch(frame, messages)

    def _publish_kept(self, bodies: Sequence[bytes]) -> int:
        """Publish messages that may be asked for again: one frame each."""
        delivery = self._delivery
        handed = 0
        for body in bodies:
            delivery.make_room(len(body) + OVERHEAD)
            self._check_open()
            seq = delivery.seq = delivery.seq + 1
            delivery.bytes += len(body)
            sent_ns = _time_ns()
            frame = _pack_header(len(body) + DATA_OVERHEAD, self._codec_number, self.number, seq, sent_ns) + body
            frame += crc32(frame).to_bytes(4, "little")
            handed = delivery.send(frame)
            delivery.keep([Kept(seq, sent_ns, frame, (), len(frame))])
        return handed

    def _publish_large(self, body: Any) -> int:
        views = [memoryview(part).cast("B") for part in (body if type(body) is list else [body]) if len(part)]
        total = sum(map(len, views))
        if total > MAX_MESSAGE:
            raise ArgumentError(f"a message has at most {MAX_MESSAGE} bytes, got {total}")
        delivery = self._delivery
        with self._lock:
            self._check_open()
            if total <= delivery.whole:
                small = [b"".join(views)]
                return self._publish_kept(small) if delivery.reliable is not None else self._send_batch(small)
            delivery.make_room(total)
            self._check_open()
            delivery.seq += 1
            delivery.bytes += total
            if delivery.reliable is not None:
                views = [view if view.readonly else memoryview(bytes(view)) for view in views]
            return delivery.send_large(Kept(delivery.seq, _time_ns(), b"", views, total))

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(f"the publisher of {self._topic!r} is closed")

    def wait_for_subscribers(self, count: int = 1, timeout: float | None = None) -> int:
        """Wait until subscribers are matched: what is published then arrives.

        Args:
            count: how many.
            timeout: seconds; None waits for ever, 0 only looks.

        Returns:
            The number of subscribers matched.

        Raises:
            TimeoutError: if there are fewer when the time is up.
            ClosedError: if it is closed.
        """
        if not self._usable:
            self._reopen()
        delivery = self._delivery
        timeout = seconds(timeout)
        with self._lock:
            met = delivery.changed.wait_for(lambda: self._closed or delivery.confirmed() >= count, timeout)
            self._check_open()
            matched = delivery.confirmed()
        if not met:
            raise RecvTimeout(f"{matched} of {count} subscribers of {self._topic!r} within {timeout:g} s")
        return matched

    def close(self) -> None:
        """Withdraw the topic; idempotent.

        What was handed over before goes out: it waits until all subscribers have confirmed the last message, for at
        most 50 ms.
        """
        self._close(LINGER)

    def _close(self, linger: float) -> None:
        if self._closed:
            return
        self._closed = True
        self._usable = False
        with self._lock:
            self._delivery.close(linger=linger)
        self._node.withdraw(self.number)

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self._close(0.0)  # answers no longer reach what is being collected

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{self._delivery.confirmed()} subscribers"
        return f"<ipcpy.Publisher {self._topic!r} {self._codec.name} {state}>"

    # -- what the node tells, in the I/O thread ----------------------------------------------------------------------

    def subscriber_found(self, number: int, info: EndpointInfo, address: Address) -> None:
        """A subscriber of the topic is there, or is reached at another address now."""
        self._delivery.subscriber_found(number, info, address)

    def subscriber_lost(self, number: int) -> None:
        """A subscriber is gone."""
        self._delivery.subscriber_lost(number)

    def receive_datagram(self, data: bytes, address: Address) -> None:
        """Take what a subscriber answered."""
        self._delivery.receive_datagram(data, address)

    def verify(self, address: Address) -> None:
        """A host said that nobody listens at an address."""
        self._delivery.verify(address)

    def network_changed(self) -> None:
        """The interfaces are others now."""
        self._delivery.network_changed()

    def abandon(self) -> None:
        """Let go of what belongs to the parent, in a forked child; it begins anew when it is next used."""
        self._delivery.abandon()
        self._usable = False
        self._delivery.sends, self._delivery.routes, self._delivery.reliable = (), (), None


def _check_codec(codec: Any) -> Any:
    for attribute in ("name", "encode", "decode", "schema"):
        if not hasattr(codec, attribute):
            raise ArgumentError(
                f"a codec has name, encode, decode and schema, such as MsgLibrary, MsgPack or Raw; "
                f"got {codec!r} without {attribute}"
            )
    return codec


def _check_keep(keep: object) -> int:
    if not isinstance(keep, int) or isinstance(keep, bool) or not 0 <= keep <= 1_000_000:
        raise ArgumentError(f"keep is a number of messages from 0 to 1000000, got {keep!r}")
    return keep


def _check_block(block: object) -> float:
    if not isinstance(block, int | float) or isinstance(block, bool) or not 0 <= block < float("inf"):
        raise ArgumentError(f"block is a time in seconds from 0, got {block!r}")
    return float(block)


def _check_multicast(multicast: object) -> bool | None:
    if multicast is not None and not isinstance(multicast, bool):
        raise ArgumentError(f"multicast is True, False or None, which chooses; got {multicast!r}")
    return multicast
