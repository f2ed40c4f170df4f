"""One publisher at one subscriber: where its data comes from, how it is decoded, what is delivered, and its books.

Joins protocol/data/receiver.py with a codec and the intake of the subscriber, whose lock is held by whoever calls. The
common case, a small message that is due, is laid out in inbound.py.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import repeat
from typing import Any

from ..addresses import LOOPBACK, Address
from ..alarms import raise_alarm
from ..codec import Codec, codec_for, variant
from ..errors import CodecError, SchemaError
from ..graph import EndpointInfo
from ..message import Message
from ..protocol.data import matching
from ..protocol.data.batch import split, unpack_alike, unpack_batch
from ..protocol.data.fragments import Assembly
from ..protocol.data.heads import Run
from ..protocol.data.reach import Reach
from ..protocol.data.receiver import Receiver
from ..protocol.data.reports import POLL_BODY, pack_missing
from ..protocol.wire import FLAG_MULTICAST, UNCHECKED, Frame, Kind, codec_number, pack_frame
from ..stats import FlowStats
from ..timeouts import NEVER
from .intake import Intake

log = logging.getLogger(__name__)

BEHIND = 500_000  # ns later than the fastest message of a publisher, from which on the socket is emptied at once
LINGER = 1.0  # seconds that a publisher that went is remembered: its last messages travel another way than its goodbye
OfNode = Callable[[str], bool]  # whether an IP address is one of a node's
Decode = Callable[[Any], Any]
DecodeMany = Callable[[bytes, int], list[Any]]
_new = tuple.__new__


class Flow:
    """One publisher at one subscriber.

    Args:
        number: the publisher's.
        is_its_address: tells whether an IP address is one of its node's.
        codec: the subscriber's own; None takes what the publisher's schema says.

    Attributes:
        address: where its data comes from; None before it is challenged.
        multicast: where its multicast comes from.
        matched: whether its data arrives.
        reach: which numbers it can have come to.
        left_at: when the publisher went.
        mismatch: how its types differ from the subscriber's; nothing of it is taken then.
        undecodable: how many bodies could not be decoded.
        fastest_ns: receive time less send time of its fastest message.
        unchecked: the codec's number as it stands in DATA without a check; -1 where that is not taken.
    """

    __slots__ = tuple(
        "address bytes codec_number decode decode_many fastest_ns id info is_its_address left_at matched mismatch"
        " multicast number reach receiver topic unchecked undecodable _drops_before _intake _poll".split()
    )

    def __init__(
        self, number: int, info: EndpointInfo, is_its_address: OfNode, codec: Codec | None, intake: Intake
    ) -> None:
        self.number = number
        self.info = info
        self.id = info.id
        self.topic = info.topic
        self.is_its_address = is_its_address
        self.address: Address | None = None
        self.multicast: Address | None = None
        self.matched = False
        self.left_at = NEVER
        self.mismatch: tuple[str, ...] = ()
        self.receiver: Receiver[Any] = Receiver(
            reliable=info.reliable or info.keep > 0, assembly=Assembly(spares=intake.spares), seed=intake.seed
        )
        self.reach = Reach()
        self.bytes = 0
        self.undecodable = 0
        self.fastest_ns = 1 << 62
        self.codec_number = 0
        self.unchecked = -1
        self.decode: Decode = bytes
        self.decode_many: DecodeMany = self._decode_each
        self._intake = intake
        self._drops_before = intake.losses.drops()
        self._poll: tuple[int, int] = (0, 0)  # last position and lowest number it polled with
        self._adapt(codec)

    def _adapt(self, own: Codec | None) -> None:
        try:
            codec = _codec_for(own, self.info)
        except SchemaError as error:
            self.mismatch = error.differences or (str(error),)
            reasons = "; ".join(self.mismatch)
            log.warning("%s: the types of publisher %s differ: %s", self.topic, self.info.node.name, reasons)
            return
        self.decode = variant(codec, "decode_intact", "decode") or codec.decode
        self.decode_many = variant(codec, "decode_many", "decode") or self._decode_each
        self.codec_number = codec_number(self.info.codec)

    def _decode_each(self, data: bytes, size: int) -> list[Any]:
        return list(map(self.decode, split(data, size)))

    # -- who it is ---------------------------------------------------------------------------------------------------

    def renew(self, info: EndpointInfo, is_its_address: OfNode) -> None:
        """Learn that the publisher is there, again or still, and what is known of it now."""
        self.info, self.is_its_address, self.left_at = info, is_its_address, NEVER

    def comes_from(self, address: Address) -> bool:
        """Tell whether data is taken from an address."""
        return address in (self.address, self.multicast)

    def leave(self, now: float) -> None:
        """Learn that the publisher went. What it sent before may still be on its way."""
        self.left_at = now
        self.matched = False
        self._intake.by(now + LINGER)

    def finish(self, now: float) -> None:
        """Deliver what waits, close the books, and take nothing more until the next START."""
        self._intake.begin(self.receiver)
        self._deliver(self.receiver.finish(now))
        self.address = self.multicast = None

    def stats(self, dropped: int) -> FlowStats:
        """Return the counts; ``dropped`` is how many of its messages the inbox had no room for."""
        causes = {**self.receiver.lost, "inbox": dropped, "codec": self.undecodable}
        lost = {cause: count for cause, count in causes.items() if count}
        received = self.receiver.received - dropped - self.undecodable
        counts = (received, self.bytes, self.receiver.duplicates, self.receiver.reordered, lost)
        return FlowStats(*counts, self.topic, self.info.node.name, self.info.node.host)

    # -- frames ------------------------------------------------------------------------------------------------------

    def take_probe(self, frame: Frame, address: Address) -> None:
        """Answer a challenge, if it comes from an address of the publisher's node."""
        intake = self._intake
        if frame.seq not in (intake.number, 0) or len(frame.body) != matching.ANSWER_BODY.size:
            intake.dropped["malformed"] += 1
            return
        if not self.is_its_address(address[0]):
            intake.dropped["source"] += 1
            return
        verdict = matching.TYPES_DIFFER if self.mismatch else matching.TAKES_IT
        token = matching.token_for(address, self.number, intake.secret)
        intake.answer(matching.answer(frame, intake.number, verdict, intake.window, token), address, self.info.node.id)

    def take_start(self, frame: Frame, address: Address, now: float) -> None:
        """The publisher has read the answer at its address: from now on its messages are taken from there."""
        intake = self._intake
        reply = matching.started(frame, matching.token_for(address, self.number, intake.secret))
        if reply is None or frame.sent_ns != intake.number or self.mismatch:
            intake.dropped["malformed" if reply is None else "schema"] += 1
            return
        intake.answer(reply, address, self.info.node.id)
        if frame.flags & FLAG_MULTICAST:
            self.multicast = address
            return
        self.address = address
        self.unchecked = self.codec_number | UNCHECKED if address[0] == LOOPBACK else -1
        self.reach.start(frame.seq, now)
        self._intake.begin(self.receiver)
        self._deliver(self.receiver.start(frame.seq, now))
        self._match()

    def _match(self) -> None:
        if not self.matched and self.left_at == NEVER:
            self.matched = True
            self._intake.on_matched()

    # -- messages ----------------------------------------------------------------------------------------------------

    def take_messages(self, frame: Frame, now: float) -> None:
        """Take a DATA or BATCH frame."""
        intake, receiver = self._intake, self.receiver
        self._intake.begin(self.receiver)
        if frame.codec != self.codec_number:
            intake.dropped["malformed"] += 1
            return
        received_ns = intake.time_ns()
        self._match()
        late = received_ns - frame.sent_ns - self.fastest_ns
        if late > BEHIND:
            intake.behind = True
        elif late < 0:
            self.fastest_ns += late
        batch = frame.kind == Kind.BATCH
        if batch and frame.seq == receiver.next and not receiver.waiting and self._put_all(frame, received_ns):
            return
        bodies = unpack_batch(frame.body) if batch else [bytes(frame.body)]
        for seq, body in enumerate(bodies, frame.seq):
            if seq == receiver.next and not receiver.waiting:
                self._put(seq, frame.sent_ns, received_ns, body, following=True)
                continue
            cause = self._cause(seq - receiver.next, now, together=len(bodies))
            item = (seq, frame.sent_ns, received_ns, body)
            self._deliver(receiver.accept(seq, item, now, cause, size=len(body)))
        intake.by(receiver.next_timer())

    def take_run(self, run: Run, now: float) -> None:
        """Take fragments of a large message."""
        intake, receiver, place = self._intake, self.receiver, run.place
        if place.codec != self.codec_number:
            intake.dropped["malformed"] += 1
            return
        self._match()
        self._intake.begin(self.receiver)
        partial = receiver.accept_run(run, now)
        intake.filling = receiver if partial is None else None
        if partial is not None:
            item = (place.seq, place.sent_ns, intake.time_ns(), partial.buffer)
            cause = self._cause(place.seq - receiver.next, now)
            self._deliver(receiver.accept(place.seq, item, now, cause, size=place.total))
        intake.by(receiver.next_timer())

    def _cause(self, gap: int, now: float, *, together: int = 1) -> str:
        """Tell what a gap of messages, ``together`` in a datagram, is to be laid to; nothing if there is none."""
        if gap <= 0:
            return ""
        local = self.address is not None and self.address[0] == LOOPBACK
        return self._intake.losses.cause(gap // together, now, local_since=self._drops_before if local else None)

    def _deliver(self, items: list[tuple[int, int, int, Any]]) -> None:
        for item in items:
            self._put(*item)

    def _put(self, seq: int, sent_ns: int, received_ns: int, body: Any, *, following: bool = False) -> None:
        """Hand a message to the inbox; the receiver has counted it already, or it is the following one."""
        inbox = self._intake.inbox
        try:
            message = _new(Message, (self.decode(body), self.topic, seq, sent_ns, received_ns, self.id))
        except Exception as error:
            message = None
            self.cannot_decode(error)
        else:
            inbox.make_room(len(body))
        if following:  # no call comes between here and the end: an exception from outside could
            self.receiver.next = seq + 1
        self._intake.handed += 1
        if message is not None:
            self.bytes += len(body)
            inbox.messages.append(message)

    def _put_all(self, frame: Frame, received_ns: int) -> bool:
        """Take a batch that is due in one go; False, and nothing done, if a message cannot be decoded."""
        if (decoded := _decode_batch(frame, self.decode, self.decode_many)) is None:
            return False
        values, sizes = decoded
        stamps = repeat(frame.sent_ns), repeat(received_ns)
        seqs = range(frame.seq, frame.seq + len(values))
        each = zip(values, repeat(self.topic), seqs, *stamps, repeat(self.id))
        messages = list(map(_new, repeat(Message), each))
        self.receiver.next += len(values)
        self._intake.inbox.put_all(messages, sizes)
        self.bytes += sum(sizes)
        self._intake.handed += len(values)
        return True

    def cannot_decode(self, error: Exception) -> None:
        """Count a body that the codec does not take, and say so once."""
        raise_alarm(error)
        self.undecodable += 1
        _log_undecodable(self.info, error, self._intake.logged)

    # -- what the publisher asks -------------------------------------------------------------------------------------

    def take_poll(self, frame: Frame, now: float) -> None:
        """Take what the publisher asks; where it sends by multicast, not before that was read: a poll overtakes it."""
        if len(frame.body) != POLL_BODY.size:
            self._intake.dropped["malformed"] += 1
        elif self.multicast is None:
            self.answer_poll(frame, now)
        else:
            self._intake.polls[self.number] = frame
            self._intake.behind = True

    def answer_poll(self, frame: Frame, now: float) -> None:
        """Learn how far the publisher is, and answer with what is missing."""
        self._poll = POLL_BODY.unpack(frame.body)
        cause = self._cause(frame.seq + 1 - self.receiver.next, now)
        self._intake.begin(self.receiver)
        self._deliver(self.receiver.polled(frame.seq, self._poll[1], now, cause))
        self._report()
        self._intake.by(self.receiver.next_timer())

    def _report(self) -> None:
        """Tell the publisher what is here and what is missing."""
        if self.address is None:
            return
        intake = self._intake
        position, lowest = self._poll
        body = self.receiver.report(intake.window, lowest)
        node = self.info.node.id
        intake.answer(pack_frame(Kind.REPORT, self.number, intake.number, position, body), self.address, node)
        for seq, first, bitmap in self.receiver.incomplete():
            missing = pack_missing(first, bitmap)
            intake.answer(pack_frame(Kind.MISSING, self.number, seq, intake.number, missing), self.address, node)

    # -- time --------------------------------------------------------------------------------------------------------

    def next_timer(self) -> float:
        """Return when ``handle_timer`` wants to be called; ``inf`` for never."""
        return min(self.receiver.next_timer(), self.left_at + LINGER)

    def handle_timer(self, now: float) -> bool:
        """Do what is due; False once the publisher has been gone for long enough to be forgotten."""
        if now >= self.receiver.next_timer():
            self._intake.begin(self.receiver)
            ask, items = self.receiver.handle_timer(now)
            self._deliver(items)
            if ask:
                self._report()
        return now < self.left_at + LINGER


def _log_undecodable(info: EndpointInfo, error: Exception, logged: set[str]) -> None:
    if info.id in logged:
        return
    logged.add(info.id)
    if isinstance(error, CodecError):
        log.warning("%s: a message of %s cannot be decoded: %s", info.topic, info.node.name, error)
    else:
        log.error("%s: the codec failed", info.topic, exc_info=error)


def _decode_batch(frame: Frame, decode: Decode, decode_many: DecodeMany) -> tuple[list[Any], list[int]] | None:
    """Return the messages of a batch, and the bytes of each body; None if they have to be decoded one by one.

    Raises:
        Malformed: the frame is no batch.
    """
    alike = unpack_alike(frame.body)
    bodies = unpack_batch(frame.body) if alike is None else []
    try:
        if alike is None:
            sizes = list(map(len, bodies))
            return list(map(decode, bodies)), sizes
        values, (data, size) = decode_many(*alike), alike
        count = len(data) // size
        return (values, [size] * count) if len(values) == count else None
    except Exception as error:
        raise_alarm(error)
        return None


def _codec_for(own: Codec | None, info: EndpointInfo) -> Codec:
    if own is None:
        return codec_for(info.codec, info.schema)
    if own.name != info.codec:
        raise SchemaError(f"the publisher's codec is {info.codec}, the subscriber's is {own.name}")
    adapt = getattr(type(own), "adapt", None)  # one that only hands on another's would give that away
    return own if adapt is None else adapt(own, info.schema)
