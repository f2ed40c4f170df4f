"""What arrives at one subscriber: datagrams in, messages into the inbox, answers out. Holds no thread and no waiting.

Joins protocol/receiver.py (one for each publisher) with codecs and the books. Whoever calls holds the lock of the
subscriber.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from collections.abc import Callable
from itertools import repeat
from typing import Any
from zlib import crc32

from ..addresses import LOOPBACK, Address
from ..errors import CodecError
from ..graph import EndpointInfo
from ..message import Message
from ..protocol.data import matching
from ..protocol.data.batch import unpack_alike, unpack_batch
from ..protocol.data.fragments import Partial
from ..protocol.data.receiver import Receiver
from ..protocol.data.reports import POLL_BODY, pack_missing
from ..protocol.wire import (
    CHECK_SIZE,
    CRC_RESIDUE,
    DATA_WORD,
    FAST_HEADER,
    FLAG_MULTICAST,
    FRAGMENT_WORD,
    HEADER_SIZE,
    KIND_MASK,
    Frame,
    Kind,
    Malformed,
    Place,
    Run,
    frames,
    pack_frame,
    read_run,
    unpack_fragment,
)
from ..stats import FlowStats
from ..timeouts import NEVER
from ..transport.udp import DataSocket, GroupSocket
from .flow import Flow
from .inbox import LARGE, Inbox

log = logging.getLogger(__name__)

BEHIND = 500_000  # ns later than the fastest message of a publisher, from which on the socket is emptied at once
LINGER = 1.0  # seconds that a publisher that went is remembered: its last messages travel another way than its goodbye
EXPLAINS = 3.0  # seconds: longer than it takes until the end of a burst is asked for
MAX_EARLY = 64  # challenges of publishers not known yet
MAX_PAST = 64  # publishers that went whose counts are kept

_new = tuple.__new__
_time_ns = time.time_ns
_unpack_header = FAST_HEADER.unpack_from


class Inbound:
    """The publishers matched by one subscriber, and what comes from them.

    Args:
        on_matched: called when a publisher was matched.
    """

    def __init__(
        self, number: int, socket: DataSocket, inbox: Inbox, codec: Any, on_matched: Callable[[], None]
    ) -> None:
        self.flows: dict[int, Flow] = {}
        self.sockets: list[DataSocket | GroupSocket] = [socket]
        self.dropped: Counter[str] = Counter()
        self.behind = False
        self.gathering: Flow | None = None  # of which a large message is being put together
        self.timer = NEVER
        self._number = number
        self._socket = socket
        self._inbox = inbox
        self._codec = codec
        self._on_matched = on_matched
        self._window = socket.capacity
        self._kernel_drops = 0  # when a gap showed last
        self._unexplained = 0  # of these, such as no missing message was laid to yet
        self._explains_until = 0.0
        self._gone: dict[int, Flow] = {}  # publishers that went, for their counts, and in case they return
        self._others = FlowStats()  # the sums of those that are not even listed there
        self._logged: set[str] = set()
        self._secret = os.urandom(16)
        self._early: dict[int, tuple[Frame, Address]] = {}

    # -- publishers --------------------------------------------------------------------------------------------------

    def add(self, number: int, info: EndpointInfo, is_its_address: Callable[[str], bool]) -> Flow:
        """Get to know a publisher."""
        flow = self.flows.get(number)
        if flow is None and number in self._gone:
            flow = self.flows[number] = self._gone.pop(number)
        if flow is None:
            flow = self.flows[number] = Flow(number, info, is_its_address, self._codec)
            flow.kernel_drops = self._drops()
            if flow.mismatch:
                reasons = "; ".join(flow.mismatch)
                log.warning("%s: the types of publisher %s differ: %s", info.topic, info.node.name, reasons)
        else:
            flow.info, flow.is_its_address, flow.left = info, is_its_address, NEVER
        early = self._early.pop(number, None)
        if early is not None:
            self._probed(flow, *early)
        return flow

    def leave(self, number: int, now: float) -> bool:
        """A publisher went. What it sent before may still be on its way, so it is forgotten a little later."""
        flow = self.flows.get(number)
        if flow is None:
            return False
        flow.left = now
        flow.matched = False
        self.timer = min(self.timer, now + LINGER)
        return True

    def _forget(self, flow: Flow, now: float) -> None:
        """Forget a publisher, but not its counts, nor which number was its last: it may only have been out of reach."""
        for item in flow.receiver.finish(now):
            self._put(*item)
        del self.flows[flow.number]
        flow.address = flow.multicast = None
        if flow.receiver.first:
            self._gone[flow.number] = flow
        while len(self._gone) > MAX_PAST:
            oldest = self._gone.pop(next(iter(self._gone)))
            self._others += oldest.stats(self._inbox.dropped.pop(oldest.id, 0))

    def stats(self) -> tuple[FlowStats, dict[str, FlowStats]]:
        """Give the sums, and the counts of each publisher."""
        flows = [*self._gone.values(), *self.flows.values()]
        each = {flow.id: flow.stats(self._inbox.dropped[flow.id]) for flow in flows}
        return sum(each.values(), self._others), each

    # -- datagrams ---------------------------------------------------------------------------------------------------

    def take(self, data: bytes, address: Address) -> None:
        """Take one datagram, or the merged buffer of several from one sender.

        The common case, one whole message that is the next of its publisher, is laid out here without calls: each
        would cost as much as reading the clock.
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
                        and size < LARGE
                        and (unchecked or (codec == flow.codec_number and crc32(data) == CRC_RESIDUE))
                    ):
                        receiver.next = seq + 1
                        received_ns = _time_ns()
                        late = received_ns - sent_ns - flow.base
                        if late > BEHIND:
                            self.behind = True
                        elif late < 0:
                            flow.base += late
                        body = data[HEADER_SIZE:] if unchecked else data[HEADER_SIZE:-CHECK_SIZE]
                        try:
                            value = flow.decode(body)
                        except Exception as error:
                            self._cannot_decode(flow, error)
                            return
                        flow.bytes += len(body)
                        inbox = self._inbox
                        if len(inbox.messages) >= inbox.depth:
                            inbox.drop_oldest()
                        inbox.messages.append(_new(Message, (value, flow.topic, seq, sent_ns, received_ns, flow.id)))
                        return
                elif word & KIND_MASK == FRAGMENT_WORD:
                    run = read_run(data)
                    if run is not None:
                        self._accept_run(flow, run, time.monotonic())
                        return
        if size:  # none is a call to wake up
            self._take_frames(data, address)

    def is_due(self, data: bytes) -> bool:
        """Tell whether a datagram begins with the next message of its publisher."""
        if len(data) <= HEADER_SIZE:
            return False
        _, _, source, seq, _ = _unpack_header(data)
        flow = self.flows.get(source)
        return flow is not None and seq == flow.receiver.next

    def _cannot_decode(self, flow: Flow, error: Exception) -> None:
        flow.bad += 1
        if flow.info.id not in self._logged:
            self._logged.add(flow.info.id)
            if isinstance(error, CodecError):
                log.warning("%s: a message of %s cannot be decoded: %s", flow.info.topic, flow.info.node.name, error)
            else:
                log.error("%s: the codec failed", flow.info.topic, exc_info=error)

    def _take_frames(self, data: bytes, address: Address) -> None:
        now = time.monotonic()
        try:
            for frame in frames(data, unchecked=address[0] == LOOPBACK):
                self._take_frame(frame, address, now)
        except Malformed as error:
            self.dropped[error.cause] += 1

    def _take_frame(self, frame: Frame, address: Address, now: float) -> None:
        flow = self.flows.get(frame.source)
        if flow is None:
            self._unknown(frame, address)
        elif frame.kind == Kind.PROBE:
            self._probed(flow, frame, address)
        elif frame.kind == Kind.START:
            self._started(flow, frame, address)
        elif address not in (flow.address, flow.multicast):
            self.dropped["source"] += 1
        elif frame.kind in (Kind.DATA, Kind.BATCH):
            self._accept(flow, frame, now)
        elif frame.kind == Kind.FRAGMENT:
            self._accept_run(flow, unpack_fragment(frame), now)
        elif frame.kind == Kind.POLL:
            self._polled(flow, frame, now)
        else:
            self.dropped["malformed"] += 1

    def _unknown(self, frame: Frame, address: Address) -> None:
        """A challenge may overtake the news of who it comes from; the newest few are answered when that has come."""
        if frame.kind == Kind.PROBE:
            self._early[frame.source] = (frame._replace(body=memoryview(bytes(frame.body))), address)
            while len(self._early) > MAX_EARLY:
                self._early.pop(next(iter(self._early)))
        else:
            self.dropped["unknown"] += 1

    # -- messages ----------------------------------------------------------------------------------------------------

    def _accept(self, flow: Flow, frame: Frame, now: float) -> None:
        if frame.codec != flow.codec_number:
            self.dropped["malformed"] += 1
            return
        received_ns = time.time_ns()
        receiver = flow.receiver
        self._match(flow)
        late = received_ns - frame.sent_ns - flow.base
        if late > BEHIND:
            self.behind = True
        elif late < 0:
            flow.base += late
        batch = frame.kind == Kind.BATCH
        if batch and frame.seq == receiver.next and not receiver.waiting and self._put_all(flow, frame, received_ns):
            return
        bodies = unpack_batch(frame.body) if batch else [bytes(frame.body)]
        for seq, body in enumerate(bodies, frame.seq):
            if seq == receiver.next and not receiver.waiting:
                receiver.next = seq + 1
                self._put(flow, seq, frame.sent_ns, received_ns, body)
                continue
            cause = self._cause(flow, (seq - receiver.next) // len(bodies), now) if seq > receiver.next else ""
            for item in receiver.accept(seq, (flow, seq, frame.sent_ns, received_ns, body), now, cause, size=len(body)):
                self._put(*item)
        self._arm(receiver)

    def _put_all(self, flow: Flow, frame: Frame, received_ns: int) -> bool:
        """Take a batch that is due in one go; False, and nothing done, if a message cannot be decoded."""
        alike = unpack_alike(frame.body)
        bodies = unpack_batch(frame.body) if alike is None else []
        try:
            values = list(map(flow.decode, bodies)) if alike is None else flow.decode_many(*alike)
            seq, count = frame.seq, len(bodies) if alike is None else len(alike[0]) // alike[1]
            if len(values) != count:
                return False
        except Exception:
            return False
        each = zip(
            values,
            repeat(flow.topic),
            range(seq, seq + count),
            repeat(frame.sent_ns),
            repeat(received_ns),
            repeat(flow.id),
        )
        flow.receiver.next += count
        flow.bytes += sum(map(len, bodies)) if alike is None else len(alike[0])
        self._inbox.put_all(list(map(_new, repeat(Message), each)))
        return True

    def _put(self, flow: Flow, seq: int, sent_ns: int, received_ns: int, body: Any) -> None:
        try:
            data = flow.decode(body)
        except Exception as error:
            self._cannot_decode(flow, error)
            return
        flow.bytes += len(body)
        message = _new(Message, (data, flow.topic, seq, sent_ns, received_ns, flow.id))
        if len(body) < LARGE:
            self._inbox.put(message)
        else:
            self._inbox.put_large(message, len(body))

    def gathers(self, partial: Partial, address: Address) -> bool:
        """Tell whether fragments from an address are still wanted in the buffer of a message."""
        flow = self.flows.get(partial.place.source)
        return flow is not None and address in (flow.address, flow.multicast) and flow.receiver.gathering is partial

    def begins(self, place: Place, address: Address) -> bool:
        """Tell whether a message of which the first fragments come from an address is the next of its publisher."""
        flow = self.flows.get(place.source)
        return flow is not None and address in (flow.address, flow.multicast) and flow.receiver.begins(place.seq)

    def take_in_place(self, place: Place, number: int, count: int, buffer: bytearray) -> None:
        """Take fragments, from a number on, that were received right where they belong in a buffer."""
        self._accept_run(self.flows[place.source], Run(place, number, (), count, buffer), time.monotonic())

    def _accept_run(self, flow: Flow, run: Run, now: float) -> None:
        place = run.place
        if place.codec != flow.codec_number:
            self.dropped["malformed"] += 1
            return
        self._match(flow)
        partial = flow.receiver.accept_run(run, now)
        self.gathering = flow if partial is None else None
        if partial is not None:
            item = (flow, place.seq, place.sent_ns, _time_ns(), partial.buffer)
            gap = place.seq - flow.receiver.next
            cause = self._cause(flow, gap, now) if gap > 0 else ""
            for each in flow.receiver.accept(place.seq, item, now, cause, size=place.total):
                self._put(*each)
        self._arm(flow.receiver)

    def _drops(self) -> int:
        return sum(socket.drops() for socket in self.sockets)

    def _cause(self, flow: Flow, gap: int, now: float) -> str:
        """Tell what a gap that shows now is to be laid to: the buffers of our own sockets, or what is before them.

        The kernel only counts what it dropped, so on a network each drop explains one missing datagram, for a while.

        Args:
            gap: how many datagrams are missing.
        """
        drops = self._drops()
        if flow.address is not None and flow.address[0] == LOOPBACK:
            return "kernel" if drops > flow.kernel_drops else "network"
        if drops > self._kernel_drops:
            self._unexplained += drops - self._kernel_drops
            self._kernel_drops, self._explains_until = drops, now + EXPLAINS
        if now > self._explains_until or self._unexplained <= 0:
            self._unexplained = 0
            return "network"
        self._unexplained -= gap
        return "kernel"

    # -- what publishers ask -----------------------------------------------------------------------------------------

    def _probed(self, flow: Flow, frame: Frame, address: Address) -> None:
        if frame.seq not in (self._number, 0) or len(frame.body) != matching.ANSWER_BODY.size:
            self.dropped["malformed"] += 1
            return
        if not flow.is_its_address(address[0]):
            self.dropped["source"] += 1
            return
        verdict = matching.TYPES_DIFFER if flow.mismatch else matching.TAKES_IT
        token = matching.token_for(address, flow.number, self._secret)
        self._socket.sendto(matching.answer(frame, self._number, verdict, self._window, token), address)

    def _started(self, flow: Flow, frame: Frame, address: Address) -> None:
        """The publisher has read our answer at its address: from now on its messages are taken from there."""
        reply = matching.started(frame, matching.token_for(address, flow.number, self._secret))
        if reply is None or frame.sent_ns != self._number or flow.mismatch:
            self.dropped["malformed" if reply is None else "schema"] += 1
            return
        self._socket.sendto(reply, address)
        if frame.flags & FLAG_MULTICAST:
            flow.multicast = address
            return
        flow.comes_from(address)
        for item in flow.receiver.start(frame.seq, time.monotonic()):
            self._put(*item)
        self._match(flow)

    def _match(self, flow: Flow) -> None:
        if not flow.matched and flow.left == NEVER:
            flow.matched = True
            self._on_matched()

    def _polled(self, flow: Flow, frame: Frame, now: float) -> None:
        if len(frame.body) != POLL_BODY.size:
            self.dropped["malformed"] += 1
            return
        flow.poll = POLL_BODY.unpack(frame.body)
        gap = frame.seq + 1 - flow.receiver.next
        cause = self._cause(flow, gap, now) if gap > 0 else ""
        for item in flow.receiver.polled(frame.seq, flow.poll[1], now, cause):
            self._put(*item)
        self._report(flow)
        self._arm(flow.receiver)

    def _report(self, flow: Flow) -> None:
        """Tell a publisher what is here and what is missing."""
        if flow.address is None:
            return
        position, low = flow.poll
        body = flow.receiver.report(self._window, low)
        self._socket.sendto(pack_frame(Kind.REPORT, flow.number, self._number, position, body), flow.address)
        for seq, first, bitmap in flow.receiver.incomplete():
            missing = pack_missing(first, bitmap)
            self._socket.sendto(pack_frame(Kind.MISSING, flow.number, seq, self._number, missing), flow.address)

    # -- time --------------------------------------------------------------------------------------------------------

    def _arm(self, receiver: Receiver[Any]) -> None:
        self.timer = min(self.timer, receiver.next_timer())

    def handle_timer(self, now: float) -> None:
        """Do what is due; then ``timer`` says when to call again."""
        for flow in list(self.flows.values()):
            if now >= flow.receiver.next_timer():
                ask, items = flow.receiver.handle_timer(now)
                for item in items:
                    self._put(*item)
                if ask:
                    self._report(flow)
            if now >= flow.left + LINGER:
                self._forget(flow, now)
        timers = (min(flow.receiver.next_timer(), flow.left + LINGER) for flow in self.flows.values())
        self.timer = min(timers, default=NEVER)
