"""Publisher: what a user holds. Checks arguments, encodes, and publishes small messages without a detour.

Knows the codec, and nothing of what becomes of other messages: dispatch.py takes those.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import chain
from struct import Struct

from ..checksum import crc32
from ..codec import MsgPack, check_codec, encoders, variant
from ..errors import ArgumentError, CodecError
from ..fast import PublisherFields, compiled
from ..graph import EndpointInfo
from ..node.identity import new_id
from ..node.loop import Alarm
from ..node.node import Node
from ..node.shared import node_for
from ..protocol.data.batch import fitting
from ..protocol.link.entries import PublisherEntry
from ..protocol.topics import check_asked
from ..protocol.wire import DATA_WORD, FAST_HEADER, HEADER_SIZE, UNCHECKED, Buffer, codec_number
from ..stats import PublisherStats
from ..timeouts import Explanations, hertz
from ..typed import TYPE_CHECKING, Any
from .delivery import Delivery, Terms
from .dispatch import Dispatch
from .framing import DATA_OVERHEAD, Framing
from .loans import lend
from .outlet import send_by
from .pacing import BLOCK
from .reasons import why
from .trial import Trial
from .waits import Waits

if TYPE_CHECKING:
    from ..codec.codec import Codec

__all__ = ["Publisher"]

UNCHECKED_DATA = DATA_WORD + HEADER_SIZE  # the first word of a DATA frame without a check, as DATA_OVERHEAD with one
_pack_header = FAST_HEADER.pack
_pack_check = Struct("<I").pack
_time_ns = time.time_ns


def _made_anew(self: Publisher) -> tuple[Framing, Delivery]:
    """Make the interior of a publisher, with an id of its own."""
    framing = Framing(new_id(), self._codec_number)
    return framing, Delivery(self._core, framing, self._terms, alarm=partial(Alarm, self._core.loop))


class Publisher(Waits, PublisherFields):
    """Publishes messages on a topic to every subscriber, on this host and on the LAN.

    It can be used from several threads, and from signal handlers: what a handler publishes in the midst of a
    ``publish`` goes out as soon as that is done. Publishing to nobody costs next to nothing: only the first message of
    each type is encoded, to see whether it can be.

    Args:
        topic: a name such as ``robot/imu``. It is put under the namespace of its node, ``/robot/imu`` is not.
        codec: a MsgLibrary, Raw, MsgPack (the default) or anything with ``name``, ``encode``, ``decode``, ``schema``.
        reliable: fill gaps: what a subscriber misses is sent again while it is kept (10,000 messages, 64 MiB).
        keep: how many messages a late subscriber gets first ("latched"); gaps in those are filled too.
        multicast: None chooses: three subscribers on this host are reached by one send. True uses multicast wherever it
            reaches, False never.
        node: the node it belongs to; by default the one the process shares.
        block: seconds that ``publish`` on a reliable topic waits for subscribers that cannot follow, unless they do not
            answer at all; then the oldest message is given up, and they are told exactly which. 0 never waits.
        rate: how many messages a second to expect of it, 0.000001 to 1,000,000. It is a promise, slows nothing down:
            subscribers hold it against what comes (``late``), and ``ipcpy hz`` and ``info`` show it.

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
        codec: Codec | None = None,
        *,
        reliable: bool = False,
        keep: int = 0,
        multicast: bool | None = None,
        node: Node | None = None,
        block: float = BLOCK,
        rate: float | None = None,
    ) -> None:
        check_asked(topic)  # before a node is made
        self._codec: Codec = MsgPack() if codec is None else check_codec(codec)
        self._encode: Callable[..., Any] = self._codec.encode
        self._encode_many = variant(self._codec, "encode_many", "encode")
        self._codec_number = codec_number(self._codec.name)
        self._unchecked = self._codec_number | UNCHECKED
        self._trial = Trial(self._encode)
        self._core = node_for(node)
        self._name = self._core.naming.topic(topic)
        told = self._name.topic, self._codec.name, dict(self._codec.schema), bool(reliable), _check_keep(keep)
        entry = PublisherEntry(*told, rate=0.0 if rate is None else hertz(rate))
        self._terms = Terms(entry, block=_check_block(block), multicast=_check_multicast(multicast))
        self._node, self._explanations = node, Explanations()  # a node that nobody holds is closed
        self._open()

    def _open(self) -> None:
        self._core.ensure_open()
        self._framing, self._delivery = self._interior()
        self._outlet = self._delivery.outlet
        self._delivery.explain = partial(why, self._name, self._outlet, self._core)
        self._dispatch = Dispatch(self._delivery, self._framing, self._name.told)
        self._monitor = self._outlet.monitor
        self._lock, self._owned, self._later = self._monitor.lock, self._monitor.owned, self._monitor.later
        if compiled is not None:
            told = self._outlet, self._framing, self._monitor, self._dispatch.one
            self._direct = compiled.Direct(*told, encoders(self._codec), self._encode)
        try:
            self._delivery.announce()
            self._core.ensure_open()  # again: a node closes those that it knows of when it begins to
        except BaseException:
            self._delivery.close()
            raise

    _interior = _made_anew

    @property
    def topic(self) -> str:
        """The topic, by the whole name that others see: under the namespace of its node, and remapped."""
        return self._name.topic

    @property
    def id(self) -> str:
        """16 hexadecimal digits, new with every publisher."""
        return f"{self._framing.number:016x}"

    @property
    def subscribers(self) -> tuple[EndpointInfo, ...]:
        """The subscribers that are matched: what is published now is sent to them."""
        routes = self._outlet.routes
        return tuple(self._core.picture.endpoint(route.info) for route in routes if route.match.confirmed)

    @property
    def stats(self) -> PublisherStats:
        """What was published, and what became of it for each subscriber."""
        return self._outlet.stats_now()

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
        outlet = self._outlet
        if not outlet.ways and outlet.reliable is None:
            return 0 if self._count_for_nobody(data, id) else self._publish_anew(data, id)
        body = self._encode(data) if id is None else self._encode(data, id)
        if type(body) is list or outlet.reliable is not None or self._owned():
            return self._dispatch.one(body)
        framing = self._framing
        size = len(body)
        lock = self._lock
        try:  # as locks.py says: a ``with`` takes twice as long
            lock.acquire()
            if size > outlet.small:
                lock.release()
                return self._dispatch.one(body)
            seq = framing.seq = framing.seq + 1
            framing.bytes += size
            if outlet.needs_check:
                frame = _pack_header(size + DATA_OVERHEAD, self._codec_number, framing.number, seq, _time_ns()) + body
                frame += _pack_check(crc32(frame))
            else:
                frame = _pack_header(size + UNCHECKED_DATA, self._unchecked, framing.number, seq, _time_ns()) + body
            if not outlet.beating:
                outlet.start_beating()
            return outlet.send(frame)
        finally:
            try:
                lock.release()
            except RuntimeError:  # it was not acquired yet
                pass
            if self._later:
                self._monitor.catch_up()

    def _count_for_nobody(self, data: Any, id: int | None) -> bool:
        """Number a message that nobody is there for; False if somebody has come, or the publisher is not usable."""
        outlet, trial, lock = self._outlet, self._trial, self._lock
        if not outlet.usable:  # in a forked child the lock may be held for ever
            return False
        if type(data) is not trial.type or id is not trial.id:
            trial.look_at(data, id)
        try:
            lock.acquire()
            if outlet.ways or not outlet.usable:
                return False
            self._framing.seq += 1
            return True
        finally:
            try:
                lock.release()
            except RuntimeError:  # it was not acquired yet
                pass

    def _publish_anew(self, data: Any, id: int | None) -> int:
        if not self._outlet.usable:
            self._reopen()
        return self.publish(data, id)

    def _reopen(self) -> None:
        """Begin anew in a forked child; what is published then may be kept, so it is not published to nobody."""
        self._dispatch.check_open()
        self._open()

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
        outlet = self._outlet
        if not outlet.ways and outlet.reliable is None:
            if not outlet.usable:
                self._reopen()
                return self.publish_many(messages)
            for message in (messages := iter(messages)):
                if not self._count_for_nobody(message, None):
                    return self.publish_many(chain((message,), messages))
            return 0
        if self._encode_many is not None and outlet.reliable is None:
            messages = list(messages)
            alike = _encode_alike(self._encode_many, messages, outlet.max_body)
            if alike is not None:
                return self._dispatch.alike(*alike)
        encode = self._encode
        return self._dispatch.many([encode(message) for message in messages])

    def loan(self, shape: int | Sequence[int], dtype: Any = None) -> Any:
        """Lend memory to fill with a message; subscribers on this host get it without a copy once it is published.

        It may not be written to after that. Where no memory is shared it works too, with a copy.

        Args:
            shape: of an array, such as ``(1080, 1920, 3)``; or how many bytes.
            dtype: of the array; ``"uint8"`` by default.

        Returns:
            A numpy array with any content; without a dtype, for a number of bytes, a memoryview.

        Raises:
            ArgumentError: (a ValueError) if shape or dtype is wrong, or more than a message can have.
            ClosedError: (an OSError) after ``close``.
        """
        if not self._outlet.usable:
            self._reopen()
        return lend(self._outlet.memory, shape, dtype)

    def why(self) -> str:
        """Say in plain words why messages are sent to somebody, or not: who is there, and who left, when and how."""
        return why(self._name, self._outlet, self._core)

    def close(self) -> None:
        """Withdraw the topic; idempotent. It waits until all have confirmed the last message, for at most 50 ms."""
        self._delivery.close()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        try:  # where arguments were refused there is no delivery, and where the interpreter exits there are no globals
            self._delivery.forget()
        except Exception:
            pass

    def __repr__(self) -> str:
        state = "closed" if self._outlet.closed else f"{self._outlet.confirmed()} subscribers"
        return f"<ipcpy.Publisher {self._name.told} {self._codec.name} {state}>"


def _encode_alike(encode_many: Callable[..., Any], messages: list[Any], room: int) -> tuple[Buffer, int] | None:
    """Encode messages in one go, where that is possible and more than one fits a frame; else None."""
    alike = None
    with contextlib.suppress(CodecError):  # one by one it will be said which of them is wrong
        alike = encode_many(messages) if len(messages) > 1 else None
    return alike if alike is not None and alike[1] and fitting(alike[1], room) > 1 else None


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


if compiled is not None:  # one of a small message is done there, and by Python's where anything is unusual
    compiled.take_over(Publisher, send_by, f"publish($self, data, id=None)\n--\n\n{Publisher.publish.__doc__}")
