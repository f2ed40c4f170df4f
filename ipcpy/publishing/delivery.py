"""What becomes of one publisher's messages: matching, routes, multicast, what is kept and sent again, heartbeats.

Joins the pure machines of protocol/ for all subscribers of one publisher. What does not run in the publisher's own
thread runs in the I/O thread; both hold ``lock``.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable

from ..addresses import Address
from ..graph import EndpointInfo
from ..node.loop import Alarm
from ..node.node import Node
from ..protocol.data.heartbeat import Heartbeat
from ..protocol.data.history import History, Kept
from ..protocol.data.matching import Match
from ..protocol.data.reliable import Reliable
from ..protocol.data.reports import unpack_missing, unpack_report
from ..protocol.wire import MAX_BODY, Frame, Kind, Malformed, frames
from ..stats import PastRoutes, PublisherStats
from ..timeouts import NEVER
from ..transport.udp import FanoutSocket
from .fanout import Fanout, Group
from .fanouts import Fanouts
from .route import Route

HISTORY = 10_000  # messages that a reliable publisher keeps to fill gaps
HISTORY_BYTES = 64 << 20
WAIT = 0.05  # seconds that a best-effort publisher waits at most for a subscriber still taking large messages
BATCH_WAIT = 0.25  # the same for batches, which are what takes subscribers longest
SLACK = 0.1  # seconds that asking again may be late where nothing gets lost, and the answer wakes the I/O thread
HANDOVER = 0.002  # seconds that it waits, before it copies what it may have to send (again): the caller's buffer
HURRY = 0.01  # seconds since the large message before, within which it does not wait until all has arrived
MESSAGE_COST = 1000  # bytes of large messages that a subscriber takes in the time it needs for one message of a batch
LINGER = 0.05  # seconds that close waits at most until all have acknowledged the last message
LINGER_PAUSE = 0.005  # between polls meanwhile

Send = Callable[[bytes], object]


class Delivery:
    """All subscribers of one publisher.

    Args:
        number: the publisher's id.
        codec: the codec's number on the wire.
        block: seconds that a reliable publisher waits for those who cannot follow; then the oldest is given up.
        on_group: called in the I/O thread when a multicast group was chosen.

    Attributes:
        seq: the number of the last message published; changed by the publisher, under the lock.
        sends: how a small frame reaches all, and who stands behind each.
        routes: the subscribers that topic data is sent to.
        whole: bytes that a body may have to be sent as one frame to each.
        checked: whether a frame needs a check: some subscriber is on another host.
        beating: whether heartbeats follow the last message; the publisher starts them.
    """

    def __init__(
        self,
        node: Node,
        number: int,
        codec: int,
        *,
        reliable: bool,
        keep: int,
        multicast: bool | None,
        block: float,
        on_group: Callable[[Group], None],
    ) -> None:
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.seq = 0
        self.bytes = 0
        self.sends: tuple[tuple[Send, Route | Fanout], ...] = ()
        self.routes: tuple[Route, ...] = ()
        self.whole = MAX_BODY
        self.checked = True
        self.beating = False
        self.closed = False
        self._large_at = -HURRY  # when the last large message was published
        self._node = node
        self._number = number
        self._codec = codec
        self._keep = keep
        self._block = block if reliable else 0.0
        kept = max(keep, HISTORY if reliable else 0)
        self.reliable = Reliable(History(kept, HISTORY_BYTES)) if kept else None
        self._all: dict[int, Route] = {}
        self._fanouts = Fanouts(node, number, multicast, on_group, self._on_fanout)
        self._past = PastRoutes()
        self._heart = Heartbeat()
        self._alarm = Alarm(node.loop, self._on_alarm)

    # -- for the publisher's thread, which holds the lock ------------------------------------------------------------

    def confirmed(self) -> int:
        """Count the subscribers known to take what is sent now."""
        return sum(route.match.confirmed for route in self.routes)

    def stats(self) -> PublisherStats:
        """Give the counts."""
        if self.reliable is not None:
            self.reliable.settle()
        living = {route.info.id: route.stats(self.seq) for route in self._all.values() if route.matched}
        return self._past.sum(living, self.seq, self.bytes)

    def _keep_counts(self, route: Route) -> None:
        """A subscriber left: its counts stay."""
        if self.reliable is not None:
            self.reliable.settle()
        if route.matched:
            self._past.add(route.info.id, route.stats(self.seq))

    def send(self, frame: bytes, messages: int = 1) -> int:
        """Send a frame of one or more messages to all; give the number of subscribers it was handed to."""
        handed = len(self.routes)
        for send, target in self.sends:
            try:
                send(frame)
            except OSError:
                handed -= target.send_again(frame, messages)
        return handed

    def keep(self, messages: Iterable[Kept]) -> None:
        """Keep messages that were just sent whole, and count them against what each subscriber can take."""
        assert self.reliable is not None
        now = time.monotonic()
        for message in messages:
            self.reliable.add(message, now)
            self._charge(message.size, now)

    def send_batch(self, frame: bytes, messages: int) -> int:
        """Send a frame of many messages, which counts against what each subscriber can take; the rest as ``send``."""
        handed = self.send(frame, messages)
        self._charge(len(frame) + messages * MESSAGE_COST, time.monotonic())
        return handed

    def _charge(self, size: int, now: float) -> None:
        for route in self.routes:
            route.sender.charge(size)
            self._pump(route, now)
        self._alarm.by(self._next_timer())

    def send_large(self, message: Kept) -> int:
        """Send a message of several frames, as far as credit goes; the rest follows."""
        now = time.monotonic()
        hurried, self._large_at = now < self._large_at + HURRY, now
        if self.reliable is not None:
            self.reliable.add(message, now)
        for route in self.routes:
            route.owe(message, self._number, self._codec, now, drop=self.reliable is None)
            self._pump(route, now)
        if not self.beating:
            self.start_beating()
        handed = len(self.routes)
        try:
            if not all(part.readonly for part in message.parts):
                self._let_go_of(message, hurried=hurried)
        finally:
            lossy = any(route.lossy for route in self.routes)
            self._alarm.by(self._next_timer(), 0.0 if lossy else SLACK)
        return handed

    def _let_go_of(self, message: Kept, *, hurried: bool) -> None:
        """Give the caller's buffer back: wait a moment, then copy the message for those it may still have to be sent.

        Args:
            hurried: wait only until all is sent, not until it has arrived: messages follow one another closely.
        """
        owing = self._owing(message)
        deadline = time.monotonic() + HANDOVER
        while owing and (now := time.monotonic()) < deadline and not self.closed:
            if hurried and not any(route.sender.busy for route in owing):
                break
            self.changed.wait(deadline - now)
            owing = self._owing(message)
        if owing:
            parts = [part if part.readonly else memoryview(bytes(part)) for part in message.parts]
            for route in owing:
                route.sender.replace(message.seq, parts)

    def _owing(self, message: Kept) -> list[Route]:
        return [route for route in self.routes if route.sender.owes(message.seq)]

    def make_room(self, size: int) -> None:
        """Wait, for a bounded time, for subscribers that answer but cannot take a message of a size yet."""
        if self.reliable is not None and not self._block:
            return
        best_effort = WAIT if size > self.whole else BATCH_WAIT
        deadline = time.monotonic() + (best_effort if self.reliable is None else self._block)
        while (now := time.monotonic()) < deadline:
            behind = self._behind(size, now)
            if not behind or self.closed:
                return
            if self.reliable is not None:
                for number in self.reliable.to_poll([n for n in behind if n in self.reliable.followers], now):
                    self._poll(self._all[number])
            self.changed.wait(min(deadline - now, 0.005 if self.reliable is not None else deadline - now))

    def _behind(self, size: int, now: float) -> set[int]:
        if self.reliable is None:
            large = size > self.whole
            behind = [route for route in self.routes if (route.sender.busy if large else route.sender.full)]
            patience = WAIT if large else BATCH_WAIT
            return {route.match.subscriber for route in behind if not route.sender.stalled(now, patience)}
        full = {r.match.subscriber for r in self.routes if r.full(now, large=size > self.whole)}
        stalled = {n for n in full if self.reliable.followers[n].stalled(now)}
        return full - stalled | set(self.reliable.holding(size, now))

    def start_beating(self) -> None:
        """Poll some time after the last message of a best-effort publisher; a reliable one does so anyway."""
        self.beating = True
        if self.reliable is None:
            self._heart.start(self.seq, time.monotonic())
            self._alarm.by(self._heart.at)

    def close(self, *, linger: float = LINGER) -> None:
        """Say what the last number was, until all have heard it or for some seconds; then let go of everything."""
        self.closed = True
        self.changed.notify_all()
        now = time.monotonic()
        deadline = min(now + linger, self._node.close_by) if not self._node.loop.in_thread() else now
        while behind := [route for route in self.routes if route.acknowledged < self.seq]:
            for route in behind:
                self._poll(route)
            now = time.monotonic()
            if now >= deadline:
                break
            self.changed.wait(min(LINGER_PAUSE, deadline - now))
        self._let_go()

    def _let_go(self) -> None:
        for route in self._all.values():
            self._keep_counts(route)
            self._node.loop.call(self._node.release_route, route.address, self._number)
        self._all.clear()
        self._rebuild()
        self._fanouts.close()

    def abandon(self) -> None:
        """Let go without a word, in a forked child."""
        self._fanouts.abandon()

    # -- what the node tells, in the I/O thread ----------------------------------------------------------------------

    def subscriber_found(self, number: int, info: EndpointInfo, address: Address) -> None:
        """A subscriber of the topic is there, or is reached at another address now."""
        with self.lock:
            known = self._all.get(number)
            if self.closed or (known is not None and known.address == address and not known.socket.closed):
                return
            if known is not None:
                self._drop(number)
            try:
                socket = self._node.route(address, self._number)
            except OSError:
                return  # no way there now; the node finds another when the network changes
            match = Match(self._number, number, int.from_bytes(os.urandom(8), "little"), time.monotonic())
            route = self._all[number] = Route(info, address, socket, match, self.seq if known is None else known.since)
            if known is not None:
                route.succeed(known, self.seq)
        self._on_alarm()

    def subscriber_lost(self, number: int) -> None:
        """A subscriber is gone."""
        with self.lock:
            if number in self._all:
                self._keep_counts(self._all[number])
                self._drop(number)
                if self.reliable is not None:
                    self.reliable.leave(number)

    def _drop(self, number: int) -> None:
        route = self._all.pop(number)
        self._rebuild()
        self._choose_fanouts(time.monotonic())
        if not any(other.address == route.address for other in self._all.values()):
            self._node.release_route(route.address, self._number)

    def verify(self, address: Address) -> None:
        """A host said that nobody listens at an address: challenge those who did."""
        now = time.monotonic()
        with self.lock:
            for route in self._all.values():
                if route.address == address and route.match.open:
                    route.match.verify(now)
        self._alarm.by(now)

    def receive_datagram(self, data: bytes, address: Address) -> None:
        """Take what a subscriber answered."""
        now = time.monotonic()
        with self.lock:
            with contextlib.suppress(Malformed):
                for frame in frames(data):
                    if frame.source == self._number:
                        self._receive(frame, address, now)
            due = self._next_timer()
        self._alarm.by(due)

    def _receive(self, frame: Frame, address: Address, now: float) -> None:
        number = frame.sent_ns if frame.kind == Kind.MISSING else frame.seq
        route = self._all.get(number)
        if route is None or route.address != address:
            return
        if frame.kind == Kind.ANSWER:
            if route.match.answered(frame, now):
                self._begin(number, route, now)
        elif frame.kind == Kind.STARTED:
            route.match.started(frame)
            self._choose_fanouts(now)
        elif frame.kind == Kind.REPORT:
            self._reported(number, route, frame, now)
        elif frame.kind == Kind.MISSING:
            self._missing(number, route, frame, now)
        self.changed.notify_all()

    def _begin(self, number: int, route: Route, now: float) -> None:
        """The subscriber answered: say from which number on, send what it is to get first, then the live ones."""
        first, follower = self.seq + 1, None
        if self.reliable is not None:
            first -= self._keep
            if self._block:
                first = min(first, route.since + 1)  # what was published while it was being matched
            first = self.reliable.join(number, first, route.window, now)
            follower = self.reliable.followers[number]
        route.open(first, self.seq, follower)
        route.send(route.match.start_frame())
        for message in self.reliable.begin(number, now) if self.reliable is not None else ():
            self._send_again(route, message, now)
            route.lost_some()
        self._pump(route, now)
        self._rebuild()

    def _reported(self, number: int, route: Route, frame: Frame, now: float) -> None:
        report = unpack_report(frame.body)
        route.reported(report, frame.sent_ns, now)
        for message in self.reliable.reported(number, report, now) if self.reliable is not None else ():
            self._send_again(route, message, now)
            route.lost_some()
        self._pump(route, now)

    def _missing(self, number: int, route: Route, frame: Frame, now: float) -> None:
        if self.reliable is not None and not route.sender.owes(frame.seq):
            message = self.reliable.kept(number, frame.seq)
            if message is not None and message.parts:
                route.owe(message, self._number, self._codec, now, drop=False, sent=True)
        route.lost_some()
        route.sender.missing(frame.seq, *unpack_missing(frame.body))
        self._pump(route, now)

    def _send_again(self, route: Route, message: Kept, now: float) -> None:
        if message.frame:
            route.retransmitted += route.send(message.frame)
            route.sender.charge(message.size, again=True)
        elif not route.sender.owes(message.seq):
            route.owe(message, self._number, self._codec, now, drop=False)

    def _rebuild(self) -> None:
        routes = [route for route in self._all.values() if route.match.open]
        fanouts = [fanout for fanout in self._fanouts if fanout.members]
        by_multicast = {number for fanout in fanouts for number in fanout.members}
        unicast = [route for route in routes if route.match.subscriber not in by_multicast]
        self.checked = not all(route.local for route in routes)
        self.whole = min((route.whole for route in routes), default=MAX_BODY)
        self.routes = tuple(routes)
        self.sends = (
            *((route.socket.send, route) for route in unicast),
            *((fanout.send, fanout) for fanout in fanouts),
        )
        self.changed.notify_all()

    # -- multicast, in the I/O thread --------------------------------------------------------------------------------

    def _choose_fanouts(self, now: float) -> None:
        if self._fanouts.choose(self.routes, now):
            self._rebuild()

    def _on_fanout(self, socket: FanoutSocket) -> None:
        with self.lock:
            if self._fanouts.read(socket, time.monotonic()):
                self._rebuild()
            due = self._next_timer()
        self._alarm.by(due)

    def network_changed(self) -> None:
        """The interfaces are others now: begin anew with multicast."""
        with self.lock:
            self._fanouts.close()
            self._rebuild()
            self._choose_fanouts(time.monotonic())
            due = self._next_timer()
        self._alarm.by(due)

    # -- time, in the I/O thread -------------------------------------------------------------------------------------

    def _pump(self, route: Route, now: float) -> None:
        if route.pump(now):
            self._poll(route)
        if not route.lossy and self.reliable is None:
            route.sender.forget_sent()

    def _poll(self, route: Route) -> None:
        low = self.seq + 1 if self.reliable is None else self.reliable.low()
        route.poll(self._number, self.seq, low)

    def _next_timer(self) -> float:
        timers = [min(route.match.next_timer(), route.sender.next_timer()) for route in self._all.values()]
        reliable = NEVER if self.reliable is None else self.reliable.next_timer()
        return min([*timers, self._fanouts.next_timer(), self._heart.at, reliable])

    def _on_alarm(self) -> None:
        with self.lock:
            now = time.monotonic()
            for route in list(self._all.values()):
                self._tick(route, now)
            self._fanouts.handle_timer(now)
            for number in () if self.reliable is None else self.reliable.handle_timer(now):
                self._poll(self._all[number])
            if now >= self._heart.at:
                self._heartbeat(now)
            due = self._next_timer()
        self._alarm.by(due)

    def _tick(self, route: Route, now: float) -> None:
        was_open = route.match.open
        datagram = route.match.handle_timer(now)
        if datagram is not None:
            route.challenge(datagram)
        if was_open and not route.match.open:
            route.settle(self.seq)
            self._rebuild()
        if route.sender.handle_timer(now) is not None:
            self._poll(route)

    def _heartbeat(self, now: float) -> None:
        """Say what the last number is. A heartbeat only ever causes questions, and ends once all have acknowledged."""
        behind = [route for route in self.routes if route.acknowledged < self.seq]
        if self._heart.handle_timer(self.seq, behind=bool(behind), now=now):
            for route in behind:
                self._poll(route)
        self.beating = self._heart.beating
