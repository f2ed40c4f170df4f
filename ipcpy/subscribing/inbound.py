"""Datagrams in, to the flow that each concerns; which publishers are known, and which went. No thread, no waiting.

Whoever calls holds the lock of the subscriber. What becomes of a frame is flow.py's, but for the common case, a small
message that is due, which is laid out here.
"""

from __future__ import annotations

from collections.abc import Callable

from ..addresses import LOOPBACK, Address
from ..alarms import is_alarm, raise_alarm
from ..checksum import crc32
from ..fast import InboundFields, compiled
from ..graph import EndpointInfo
from ..message import Message
from ..protocol.data.fragments import Partial
from ..protocol.data.heads import Place, Run, read_run, unpack_fragment
from ..protocol.data.places import SPOT, unpack_spot
from ..protocol.wire import (
    CHECK_SIZE,
    CRC_RESIDUE,
    DATA_WORD,
    FAST_HEADER,
    FRAGMENT_WORD,
    HEADER_SIZE,
    KIND_MASK,
    PLACED_WORD,
    Frame,
    Kind,
    Malformed,
    frames,
)
from ..stats import FlowStats
from ..timeouts import NEVER
from ..typed import TYPE_CHECKING
from .flow import Flow
from .intake import Intake
from .latencies import BEHIND, faster, note

if TYPE_CHECKING:
    from ..codec.codec import Codec

MAX_EARLY = 64  # challenges of publishers not known yet
MAX_PAST = 64  # publishers that went whose counts are kept

PLACED = PLACED_WORD | HEADER_SIZE + SPOT.size + CHECK_SIZE

_new = tuple.__new__
_unpack_header = FAST_HEADER.unpack_from


if compiled is not None:
    compiled.receives(Message, faster, Malformed)
    compiled.batches(crc32, raise_alarm)


class Inbound(InboundFields):
    """The publishers that one subscriber knows, and what comes from them.

    Args:
        intake: what all its flows share.
        codec: the subscriber's own; None takes what each publisher's schema says.
    """

    def __init__(self, intake: Intake, codec: Codec | None) -> None:
        self.intake = intake
        self.flows: dict[int, Flow] = {}
        self._inbox = intake.inbox
        self._time_ns = intake.time_ns
        self._codec = codec
        self._gone: dict[int, Flow] = {}  # publishers that went, for their counts, and in case they return
        self._others = FlowStats()  # the sums of those that are not even listed there
        self._polls: dict[int, Frame] = {}  # those that came before the groups' sockets are read next
        self._early: dict[int, tuple[Frame, Address]] = {}

    # -- publishers --------------------------------------------------------------------------------------------------

    def add(self, number: int, info: EndpointInfo, is_its_address: Callable[[str], bool]) -> Flow:
        """Get to know a publisher, or what is new about it."""
        flow = self.flows.get(number) or self._gone.pop(number, None)
        if flow is None:
            flow = Flow(number, info, is_its_address, self._codec, self.intake)
            self.intake.follow(flow)
        else:
            flow.renew(info, is_its_address)
        self.flows[number] = flow
        early = self._early.pop(number, None)
        if early is not None:
            flow.take_probe(*early)
        return flow

    def flow_of(self, id: str) -> Flow | None:
        """Return a publisher that is known, or was, by its id."""
        number = int(id, 16)
        return self.flows.get(number) or self._gone.get(number)

    def leave(self, number: int, now: float) -> None:
        """A publisher went. What it sent before may still be on its way, so it is forgotten a little later."""
        flow = self.flows.get(number)
        if flow is not None:
            flow.leave(now)

    def _forget(self, flow: Flow, now: float) -> None:
        """Forget a publisher, but not its counts, nor which number was its last: it may only have been out of reach."""
        flow.finish(now)
        del self.flows[flow.number]
        if flow.receiver.first:
            self._gone[flow.number] = flow
        else:
            self.intake.logged.discard(flow.id)
        while len(self._gone) > MAX_PAST:
            oldest = self._gone.pop(next(iter(self._gone)))
            self.intake.logged.discard(oldest.id)
            inbox = self._inbox
            counts = [books.pop(oldest.id, 0) for books in (inbox.dropped, inbox.discarded, self.intake.late)]
            self._others += oldest.stats(*counts)

    def stats(self) -> tuple[FlowStats, dict[str, FlowStats]]:
        """Return the sums, and the counts of each publisher."""
        flows = [*self._gone.values(), *self.flows.values()]
        dropped, discarded, late = self._inbox.dropped, self._inbox.discarded, self.intake.late
        each = {flow.id: flow.stats(dropped[flow.id], discarded[flow.id], late[flow.id]) for flow in flows}
        return sum(each.values(), self._others), each

    def node_of(self, publisher: str) -> int | None:
        """Return the id of a publisher's node, by the publisher's, also if it went not long ago."""
        flows = [*self.flows.values(), *self._gone.values()]
        return next((int(flow.info.node.id, 16) for flow in flows if flow.id == publisher), None)

    def let_go(self) -> None:
        """Share no memory with any publisher any more, but what users hold."""
        for flow in [*self.flows.values(), *self._gone.values()]:
            flow.memory.close()

    def abandon(self) -> None:
        """Close what memory was shared by, in a forked child."""
        for flow in [*self.flows.values(), *self._gone.values()]:
            flow.memory.abandon()

    # -- datagrams ---------------------------------------------------------------------------------------------------

    def take_any(self, data: bytes, address: Address) -> None:
        """Take one datagram, or the merged buffer of several from one sender.

        The common case, one whole message that is the next of its publisher, is laid out here without calls. It is the
        one that ``take`` does in C, where that is (fast/taking.c); all else ``take`` hands on.
        """
        size = len(data)
        if size > HEADER_SIZE:
            word, codec, source, seq, sent_ns = _unpack_header(data)
            flow = self.flows.get(source)
            if flow is not None and (flow.address == address or flow.multicast == address):
                if word == size | DATA_WORD:
                    receiver = flow.receiver
                    unchecked = codec == flow.unchecked
                    if (
                        seq == receiver.next
                        and not receiver.waiting
                        and (unchecked or (codec == flow.codec_number and crc32(data) == CRC_RESIDUE))
                    ):
                        received_ns = self._time_ns()
                        late = received_ns - sent_ns - flow.fastest_ns
                        if late > BEHIND:
                            self.intake.behind = True
                        elif late < 0 and faster(flow, late):
                            self.intake.behind = True
                        body = data[HEADER_SIZE:] if unchecked else data[HEADER_SIZE:-CHECK_SIZE]
                        try:
                            value = flow.decode(body)
                        except Exception as error:
                            self._refuse(flow, seq, error)
                            return
                        size = len(body)
                        message = _new(Message, (value, flow.topic, seq, sent_ns, received_ns, flow.id))
                        inbox, sizes = self._inbox, self._inbox.sizes
                        if size <= inbox.small and len(sizes) < inbox.depth:
                            sizes.append(size)
                        else:
                            inbox.make_room(size)
                        flow.bytes += size
                        receiver.next = seq + 1  # now: an exception from outside comes before all this, or after
                        inbox.messages.append(message)
                        return
                elif word == PLACED and codec == flow.codec_number and crc32(data) == CRC_RESIDUE and flow.local:
                    if seq == flow.receiver.next and not flow.receiver.waiting:
                        self._take_placed(flow, seq, sent_ns, data[HEADER_SIZE:-CHECK_SIZE])
                        return
                elif word & KIND_MASK == FRAGMENT_WORD and self._take_fragments(flow, seq, data):
                    return
        if size:  # none is a call to wake up
            self._take_frames(data, address)

    if TYPE_CHECKING or compiled is None:
        take = take_any

    def _refuse(self, flow: Flow, seq: int, error: Exception) -> None:
        """Pass the next message of a publisher, which cannot be decoded."""
        flow.receiver.next = seq + (not is_alarm(error))
        flow.cannot_decode(error)

    def _take_fragments(self, flow: Flow, seq: int, data: bytes) -> bool:
        run = read_run(data, unchecked=flow.unchecked >= 0)
        if run is None or not flow.reach.holds(seq, self.intake.clock()):
            return False
        flow.take_run(run, self.intake.clock())
        self.intake.delivering = None
        return True

    def _take_placed(self, flow: Flow, seq: int, sent_ns: int, where: bytes) -> None:
        """Take the next message of a publisher, which lies in shared memory; in C: fast/placed.c."""
        shared, received_ns = flow.memory.shared, self._time_ns()
        try:
            spot = unpack_spot(where)
            if shared is None:
                raise Malformed("memory")
            body = shared.take(spot)
        except Malformed as error:
            self.intake.dropped[error.cause] += 1
            return
        if body is None:
            return
        receiver = flow.receiver
        try:
            value = flow.decode(body)
        except Exception as error:
            self._refuse(flow, seq, error)
            return
        if len(flow.noted) < flow.enough:
            note(flow, received_ns - sent_ns)
        message = _new(Message, (value, flow.topic, seq, sent_ns, received_ns, flow.id))
        size = spot.size
        self._inbox.make_room(size)
        flow.bytes += size
        flow.shared += 1
        receiver.next = seq + 1  # now: an exception from outside comes before all this, or after
        self._inbox.messages.append(message)

    def _take_frames(self, data: bytes, address: Address) -> None:
        now = self.intake.clock()
        try:
            for frame in frames(data, unchecked=address[0] == LOOPBACK or self.intake.intact):
                self._take_frame(frame, address, now)
        except Malformed as error:
            self.intake.dropped[error.cause] += 1
        self.intake.delivering = None

    def _take_frame(self, frame: Frame, address: Address, now: float) -> None:
        flow = self.flows.get(frame.source)
        if flow is None:
            self._take_unknown(frame, address)
        elif frame.kind == Kind.PROBE:
            flow.take_probe(frame, address)
        elif frame.kind == Kind.START and flow.reach.holds(frame.seq, now):
            flow.take_start(frame, address, now)
        elif not flow.comes_from(address):
            self.intake.dropped["source"] += 1
        elif not flow.reach.holds(frame.seq, now):
            self.intake.dropped["malformed"] += 1
        elif frame.kind in (Kind.DATA, Kind.BATCH):
            flow.take_messages(frame, now)
        elif frame.kind == Kind.FRAGMENT:
            flow.take_run(unpack_fragment(frame), now)
        elif frame.kind == Kind.PLACED and address[0] == LOOPBACK:
            flow.take_placed(frame, now)
        elif frame.kind == Kind.POLL:
            flow.take_poll(frame, now)
        else:
            self.intake.dropped["malformed"] += 1

    def _take_unknown(self, frame: Frame, address: Address) -> None:
        """A challenge may overtake the news of who it comes from; the newest few are answered when that has come."""
        if frame.kind == Kind.PROBE:
            self._early[frame.source] = (frame._replace(body=memoryview(bytes(frame.body))), address)
            while len(self._early) > MAX_EARLY:
                self._early.pop(next(iter(self._early)))
        else:
            self.intake.dropped["unknown"] += 1

    # -- for who reads -----------------------------------------------------------------------------------------------

    def is_due(self, data: bytes) -> bool:
        """Tell whether a datagram begins with the next message of its publisher."""
        if len(data) <= HEADER_SIZE:
            return False
        _, _, source, seq, _ = _unpack_header(data)
        flow = self.flows.get(source)
        return flow is not None and seq == flow.receiver.next

    def answer_polls(self, *, emptied: bool) -> bool:
        """Answer the polls that came before the groups' sockets were read, if these were emptied.

        Returns:
            Whether others wait until they are read once more.
        """
        intake = self.intake
        if emptied:
            for number, frame in self._polls.items():
                if number in self.flows:
                    self.flows[number].answer_poll(frame, intake.clock())
            intake.delivering = None
            self._polls = {}
        self._polls |= intake.polls
        intake.polls = {}
        intake.behind = bool(self._polls)
        return intake.behind

    def fills(self, partial: Partial, address: Address) -> bool:
        """Tell whether fragments from an address are still wanted in the buffer of a message."""
        flow = self.flows.get(partial.place.source)
        return flow is not None and flow.comes_from(address) and flow.receiver.assembly.latest is partial

    def begins(self, place: Place, address: Address) -> bool:
        """Tell whether a message of which the first fragments come from an address is the next of its publisher."""
        flow = self.flows.get(place.source)
        return flow is not None and flow.comes_from(address) and flow.receiver.begins(place.seq)

    def take_in_place(self, place: Place, number: int, count: int, buffer: bytearray) -> None:
        """Take fragments, from a number on, that were received right where they belong in a buffer."""
        self.flows[place.source].take_run(Run(place, number, (), count, buffer), self.intake.clock())
        self.intake.delivering = None

    # -- time --------------------------------------------------------------------------------------------------------

    def mend(self) -> None:
        """Bring in order what an exception from outside has left half done."""
        self.intake.mend()
        for flow in list(self.flows.values()):
            flow.receiver.mend(self.intake.clock())

    def handle_timer(self, now: float) -> None:
        """Do what is due; then ``intake.timer`` says when to call again."""
        for flow in list(self.flows.values()):
            if not flow.handle_timer(now):
                self._forget(flow, now)
        self.intake.delivering = None
        self.intake.timer = min((flow.next_timer() for flow in self.flows.values()), default=NEVER)
