"""One publisher at one subscriber: where its data comes from, how it is decoded, what is delivered, and its books.

Joins protocol/data/receiver.py with a codec and the intake of the subscriber, whose lock is held by whoever calls. The
common case, a small message that is due, is laid out in inbound.py.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, repeat

from ..addresses import LOOPBACK, Address
from ..alarms import raise_alarm
from ..fast import FlowFields, slots
from ..graph import EndpointInfo
from ..log import get_logger
from ..message import Message
from ..protocol.data import matching
from ..protocol.data.batch import unpack_batch
from ..protocol.data.fragments import Assembly
from ..protocol.data.heads import Place, Run
from ..protocol.data.places import unpack_spot
from ..protocol.data.reach import Reach
from ..protocol.data.receiver import Receiver
from ..protocol.data.reports import POLL_BODY, pack_missing
from ..protocol.link.rows import Latency
from ..protocol.wire import FLAG_MULTICAST, UNCHECKED, Frame, Kind, Malformed, codec_number, pack_frame
from ..stats import FlowStats
from ..timeouts import NEVER
from ..typed import TYPE_CHECKING, Any
from .decoding import decode_batch, decoders, log_undecodable
from .intake import Intake
from .latencies import BEHIND, NOT_YET, NOTHING, faster, note
from .memory import Shares

if TYPE_CHECKING:
    from ..codec.codec import Codec

log = get_logger(__name__)

LINGER = 1.0  # seconds that a publisher that went is remembered: its last messages travel another way than its goodbye
OfNode = Callable[[str], bool]  # whether an IP address is one of a node's
_new = tuple.__new__


class Flow(FlowFields):
    """One publisher at one subscriber.

    Args:
        number: the publisher's.
        is_its_address: tells whether an IP address is one of its node's.
        codec: the subscriber's own; None takes what the publisher's schema says.

    Attributes:
        address, multicast: where its data comes from, and its multicast; None before it is challenged.
        matched, local, timed: whether its data arrives, from this host, and is noted when it does (punctuality.py).
        memory: what it shares with this subscriber.
        reach: which numbers it can have come to.
        left_at: when the publisher went.
        mismatch: how its types differ from the subscriber's; nothing of it is taken then.
        shared: how many of its messages came through shared memory.
        undecodable: how many bodies could not be decoded.
        fastest_ns, least_ns, noted, enough, asked_ns: receive time less send time; see latencies.py.
        told: what was told of these last; None where nothing was, or is to be made anew.
        unchecked: the codec's number as it stands in DATA without a check; -1 where that is not taken.
    """

    __slots__ = slots(
        "address asked_ns bytes codec_number decode decode_many enough fastest_ns id info is_its_address"
        " least_ns left_at local matched memory mismatch multicast noted number reach receiver shared timed told topic"
        " unchecked undecodable _drops_before _intake _poll",
        FlowFields,
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
        self.matched = self.local = self.timed = False
        self.left_at = NEVER
        self.receiver: Receiver[Any] = Receiver(
            reliable=info.reliable or info.keep > 0, assembly=Assembly(spares=intake.spares), seed=intake.seed
        )
        self.reach, self.memory = Reach(), Shares()
        self.bytes = self.shared = self.undecodable = self.asked_ns = 0
        self.fastest_ns = self.least_ns = NOT_YET
        self.noted, self.enough = NOTHING, 0
        self.told: Latency | None = None
        self.codec_number, self.unchecked = codec_number(info.codec), -1
        self._intake = intake
        self._drops_before = intake.losses.drops()
        self._poll: tuple[int, int] = (0, 0)  # last position and lowest number it polled with
        self.decode, self.decode_many, self.mismatch = decoders(codec, info)

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
        self.memory.close()

    def stats(self, dropped: int, discarded: int, late: int) -> FlowStats:
        """Return the counts; of its messages the inbox had no room for some, and others grew too old there."""
        lost = losses(self, dropped, discarded)
        received = self.receiver.received - dropped - discarded - self.undecodable
        counts = (received, self.bytes, self.receiver.duplicates, self.receiver.reordered, lost)
        return FlowStats(*counts, self.topic, self.info.node.name, self.info.node.host, self.shared, late)

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
        token = intake.token_for(address, self.number)
        intake.answer(matching.answer(frame, intake.number, verdict, intake.window, token), address, self.info.node.id)

    def take_start(self, frame: Frame, address: Address, now: float) -> None:
        """The publisher has read the answer at its address: from now on its messages are taken from there."""
        intake = self._intake
        reply = matching.started(frame, intake.token_for(address, self.number))
        if reply is None or frame.sent_ns != intake.number or self.mismatch:
            intake.dropped["malformed" if reply is None else "schema"] += 1
            return
        intake.answer(reply, address, self.info.node.id)
        if frame.flags & FLAG_MULTICAST:
            self.multicast = address
            return
        self.address, self.local = address, address[0] == LOOPBACK
        self.unchecked = self.codec_number | UNCHECKED if self.local or intake.intact else -1
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
        if late > BEHIND or (late < 0 and faster(self, late)):
            intake.behind = True
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
        if place.codec & 0xFF != self.codec_number:
            intake.dropped["malformed"] += 1
            return
        self._match()
        self._intake.begin(self.receiver)
        partial = receiver.accept_run(run, now)
        intake.filling = receiver if partial is None else None
        if partial is not None:
            self._take_whole(place, partial.buffer, place.total, now)
        intake.by(receiver.next_timer())

    def _take_whole(self, head: Place | Frame, body: Any, size: int, now: float) -> None:
        received_ns = self._intake.time_ns()
        note(self, received_ns - head.sent_ns)
        item = (head.seq, head.sent_ns, received_ns, body)
        cause = self._cause(head.seq - self.receiver.next, now)
        self._deliver(self.receiver.accept(head.seq, item, now, cause, size=size))

    def take_placed(self, frame: Frame, now: float) -> None:
        """Take a message that lies in shared memory; Malformed is raised where none can lie there."""
        spot = unpack_spot(frame.body)
        if frame.codec != self.codec_number:
            raise Malformed("malformed")
        self._match()
        self._intake.begin(self.receiver)
        body = self.memory.take(spot)
        if body is not None:
            self._take_whole(frame, body, spot.size, now)
        self._intake.by(self.receiver.next_timer())

    def _cause(self, gap: int, now: float, *, together: int = 1) -> str:
        """Tell what a gap of messages, ``together`` in a datagram, is to be laid to; nothing if there is none."""
        if gap <= 0:
            return ""
        return self._intake.losses.cause(gap // together, now, local_since=self._drops_before if self.local else None)

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
            self.shared += type(body) is memoryview
            inbox.messages.append(message)

    def _put_all(self, frame: Frame, received_ns: int) -> bool:
        """Take a batch that is due in one go; False, and nothing done, if a message cannot be decoded."""
        if (decoded := decode_batch(frame, self.decode, self.decode_many)) is None:
            return False
        values, sizes = decoded
        same = (repeat(frame.sent_ns), repeat(received_ns), repeat(self.id))
        messages = list(map(_new, repeat(Message), zip(values, repeat(self.topic), count(frame.seq), *same)))
        self.receiver.next += len(values)
        self._intake.inbox.put_all(messages, sizes)
        self.bytes += sum(sizes)
        self._intake.handed += len(values)
        return True

    def cannot_decode(self, error: Exception) -> None:
        """Count a body that the codec does not take, and say so once."""
        raise_alarm(error)
        self.undecodable += 1
        log_undecodable(self.info, error, self._intake.logged)

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
        self.memory.sweep()
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


def losses(flow: Flow, dropped: int, discarded: int) -> dict[str, int]:
    """Return what was lost, by cause."""
    causes = {**flow.receiver.lost, "inbox": dropped, "too old": discarded, "codec": flow.undecodable}
    return {cause: count for cause, count in causes.items() if count}
