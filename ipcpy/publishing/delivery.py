"""All subscribers of one publisher: who came, who went, what they answered, which of them to reach by multicast.

The node tells a Delivery of subscribers and hands it their answers. Messages are sent by outlet.py; a Delivery knows no
user's data, and reads no clock but the one it is given. What does not run in the publisher's own thread runs in the
I/O thread; both hold the lock of the outlet's monitor.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

from ..addresses import Address
from ..graph import EndpointInfo
from ..locks import Bell, Monitor, Rings, Work
from ..node.lifetimes import close_forgotten
from ..protocol.data.history import History
from ..protocol.data.matching import Match
from ..protocol.data.places import PLACED_FROM
from ..protocol.data.reliable import Reliable
from ..protocol.link.entries import PublisherEntry
from ..protocol.topics import is_own
from ..protocol.wire import Frame, Kind, Malformed, frames
from ..records import NamedTuple, replace
from ..transport.connected import ConnectedSocket
from ..transport.group import FanoutSocket
from ..transport.handover import HandoverSocket
from ..typed import Any, Protocol
from .accounts import Account
from .framing import Framing
from .keeping import Keeping
from .memory import Memory
from .multicast import Fanouts, Group, Interfaces, Watching
from .outlet import Alarm, Outlet
from .pacing import LINGER, Pacing
from .route import Route
from .segments import Segments, Tie

HISTORY = 10_000  # messages that a reliable publisher keeps to fill gaps
HISTORY_BYTES = 64 << 20


class Thread(Watching, Protocol):
    """The I/O thread: ``call`` has a function called in it soon, from any thread."""

    def call(self, function: Callable[..., object], *arguments: Any) -> None: ...
    def watch(self, file: Any, ready: Callable[[], object]) -> None: ...
    def call_at(self, when: float, function: Callable[[], object]) -> None: ...
    def in_thread(self) -> bool: ...


class Hands(Protocol):
    """What hands memory to subscribers of this host.

    ``limit`` is how many bytes a publisher may share. ``connect`` connects to the node of a subscriber, by its id, or
    returns None where that takes none. ``refused`` counts what was wrong with its answers, by cause.
    """

    limit: int
    refused: Counter[str]

    def connect(self, node: str) -> HandoverSocket | None: ...


class Surroundings(Interfaces, Protocol):
    """What a Delivery needs of the node, beside the interfaces for multicast.

    ``add_publisher`` announces the Delivery, or announces it anew with another entry, and has it told of subscribers;
    ``withdraw`` ends that. ``connection`` returns the socket connected to an address, or raises OSError if there is no
    way there now; whoever reads that socket calls ``receive_datagram``, and ``release_connection`` says that the
    publisher needs it no more. ``close_by`` is when a publisher must have stopped waiting for answers, by the
    Delivery's clock: its node is being closed.
    """

    close_by: float

    @property
    def loop(self) -> Thread: ...
    @property
    def handovers(self) -> Hands: ...

    def add_publisher(self, publisher: Delivery, entry: PublisherEntry) -> None: ...
    def withdraw(self, number: int) -> None: ...
    def connection(self, address: Address, publisher: int) -> ConnectedSocket: ...
    def release_connection(self, address: Address, publisher: int) -> None: ...


class Terms(NamedTuple):
    """What a publisher promises.

    Attributes:
        entry: as it is announced: topic, codec, ``reliable`` and ``keep``; without a group.
        multicast: whether to multicast wherever that reaches; None where it costs less.
        block: seconds that a reliable publisher waits for those who cannot follow; then the oldest is given up.
    """

    entry: PublisherEntry
    multicast: bool | None
    block: float
    history: int = HISTORY


class Delivery:
    """All subscribers of one publisher. It is what the node knows of a publisher, and never knows the user's handle.

    A Delivery needs of the world what Surroundings says, an alarm, a clock, and a bell to wait on. It calls nothing
    else but ``os.urandom``, and reads no other clock, so it runs in one thread on made-up ones. Whoever drives it hands
    it what arrives (``subscriber_found``, ``receive_datagram``), calls the alarm's function in time, and lets the clock
    go on, and datagrams arrive, while somebody waits on the bell.

    Args:
        node: its surroundings.
        framing: the numbers and frames of what is published.
        terms: what was promised.
        alarm: makes the Alarm that calls a function.
        clock: seconds, never going back.
        bell: what ``publish`` and ``close`` wait on.

    Attributes:
        number: the publisher's id.
        outlet: the way out for what is published.
        pacing: how long to wait for the subscribers.
        explain: says what ``why()`` of the user's handle says.
        account: adds what was sent to rows, for who asks for the node's books.
    """

    def __init__(
        self,
        node: Surroundings,
        framing: Framing,
        terms: Terms,
        *,
        alarm: Callable[[Callable[[], object]], Alarm],
        clock: Callable[[], float] = time.monotonic,
        bell: Rings | None = None,
    ) -> None:
        self.number = framing.number
        self._node = node
        self._framing = framing
        self._terms = terms
        self.clock = clock
        self._alarm = alarm(self._on_alarm)
        self._fanouts = Fanouts(node, self.number, terms.multicast, self._announce_group, self._on_fanout)
        kept = max(terms.entry.keep, terms.history if terms.entry.reliable else 0)
        reliable = Reliable(History(kept, HISTORY_BYTES, framing.seq + 1)) if kept else None
        self.outlet = Outlet(framing, reliable, self._fanouts, self._alarm, clock, bell or Bell(), self._share)
        self._keeping = Keeping(self.outlet, framing, terms.entry.keep)
        self.outlet.memory.make_room, self.outlet.memory.vacate = self._keeping.make_room, self._keeping.vacate
        self.pacing = Pacing(self.outlet, terms.block if terms.entry.reliable else 0.0, clock)
        self.explain: Callable[[], str] = str
        self.account = Account(framing, self.outlet, own=is_own(terms.entry.topic))

    # -- the beginning and the end, in any thread --------------------------------------------------------------------

    def announce(self) -> None:
        """Have the topic announced, and be told of its subscribers."""
        self._node.add_publisher(self, self._terms.entry)

    def _announce_group(self, group: Group) -> None:
        self._node.add_publisher(self, replace(self._terms.entry, group=group.ip, group_port=group.port))

    def close(self, linger: float = LINGER) -> None:
        """Withdraw the topic; idempotent.

        Args:
            linger: seconds that subscribers have to acknowledge the last message; none in the I/O thread, where their
                answers would not be heard.
        """
        outlet = self.outlet
        outlet.usable, outlet.closed = False, True
        if outlet.abandoned or outlet.withdrawn:
            return
        try:
            ending = self._end(0.0 if self._node.loop.in_thread() else linger)
            if outlet.monitor.owned():  # in a signal handler: as soon as what it interrupted is done
                outlet.monitor.later.append(ending)
            else:
                outlet.monitor.do(ending)
        except BaseException:  # from outside
            if not outlet.withdrawn:
                self._node.loop.call(self.close)
            raise

    def _end(self, linger: float) -> Work[None]:
        outlet = self.outlet
        outlet.monitor.bell.ring()
        try:
            now = self.clock()
            yield from self.pacing.linger(min(now + linger, self._node.close_by))
        finally:  # also where an exception from outside ends the waiting
            for route in outlet.by_number.values():
                self._node.loop.call(self._node.release_connection, route.address, self.number)
            self._fanouts.close()
            outlet.clear()
            self._node.withdraw(self.number)
            outlet.withdrawn = True

    def forget(self) -> None:
        """Close, for the garbage collector: soon, in the I/O thread, where its own thread may hold the lock."""
        if not (self.outlet.withdrawn or self.outlet.abandoned):
            self._node.withdraw(self.number)  # at once: nobody is brought together with it any more
            close_forgotten(self._node.loop, self.outlet.monitor, partial(self.close, 0.0))

    def abandon(self) -> None:
        """Let go without a word, in a forked child, where there is no I/O thread."""
        self.outlet.abandon()
        self._fanouts.abandon()

    # -- what the node tells, in the I/O thread ----------------------------------------------------------------------

    def subscriber_found(self, number: int, info: EndpointInfo, address: Address) -> None:
        """Challenge a subscriber of the topic: it is new, or is reached at another address now."""
        outlet = self.outlet
        with outlet.monitor.lock:
            known = outlet.by_number.get(number)
            if not outlet.usable or (known is not None and known.address == address and not known.socket.closed):
                return
            if known is not None:
                self._drop(number)
            try:
                socket = self._node.connection(address, self.number)
            except OSError:  # no way there now; the node finds another when the network changes
                if known is not None:
                    outlet.part_with(known)
                return
            match = Match(self.number, number, int.from_bytes(os.urandom(8), "little"), self.clock())
            route = outlet.by_number[number] = Route(
                info, address, socket, match, self._framing, outlet.reliable, outlet.memory
            )
            if known is not None:
                route.take_over(known)
        self._on_alarm()

    def subscriber_lost(self, number: int) -> None:
        """Forget a subscriber but for its counts."""
        outlet = self.outlet
        with outlet.monitor.lock:
            if number in outlet.by_number:
                outlet.part_with(outlet.by_number[number])
                self._drop(number)

    def _drop(self, number: int) -> None:
        route = self.outlet.by_number.pop(number)
        route.sharing.end()
        self.outlet.rebuild()
        self._choose_fanouts(self.clock())
        if not any(other.address == route.address for other in self.outlet.by_number.values()):
            self._node.release_connection(route.address, self.number)

    def verify(self, address: Address, *, forgotten: bool = False) -> None:
        """Challenge those at an address: nobody listens there, as somebody said, or they forgot us for sure."""
        now = self.clock()
        with self.outlet.monitor.lock:
            for route in self.outlet.by_number.values():
                if route.address == address and route.match.open:
                    route.match.verify(now, forgotten=forgotten)
        self._alarm.by(now)

    def receive_datagram(self, data: bytes, address: Address) -> None:
        """Take what a subscriber answered."""
        now = self.clock()
        with self.outlet.monitor.lock:
            with contextlib.suppress(Malformed):
                for frame in frames(data):
                    if frame.source == self.number:
                        self._receive(frame, address, now)
            due = self._next_timer()
        self._go_on(due)

    def _receive(self, frame: Frame, address: Address, now: float) -> None:
        route = self.outlet.by_number.get(frame.sent_ns if frame.kind == Kind.MISSING else frame.seq)
        if route is None or route.address != address:
            return
        max_body, self.outlet.quick = route.max_body, 0
        if frame.kind == Kind.ANSWER:
            if route.match.answered(frame, now):
                route.begin(self._first_for(route), now)
                self.outlet.rebuild()
        elif frame.kind == Kind.STARTED:
            route.match.started(frame)
            self._choose_fanouts(now)
            if self.outlet.memory.wanted:
                self._node.loop.call(self._tie, route)
        elif frame.kind == Kind.REPORT:
            route.reported(frame, now)
            if self.outlet.reliable is not None:
                self.outlet.reliable.resent(frame.seq, self.clock())
            self._keeping.forget_acknowledged()
        elif frame.kind == Kind.MISSING:
            route.missing(frame, now)
        if route.max_body != max_body:
            self.outlet.rebuild()
        self.outlet.monitor.bell.ring()

    def _first_for(self, route: Route) -> int:
        """Return the number of the first message that a subscriber is to get."""
        first = self._framing.seq + 1
        if self.outlet.reliable is not None:
            first -= self._terms.entry.keep
            if self._terms.entry.reliable and self._terms.block:
                first = min(first, route.heard_at + 1)  # what was published while it was being matched
        return first

    # -- shared memory, in the I/O thread ----------------------------------------------------------------------------

    def _share(self, monitor: Monitor) -> Memory:
        handovers, loop = self._node.handovers, self._node.loop
        segments = Segments(self.number, handovers.limit, loop, handovers.connect, monitor.lock, handovers.refused)
        return Memory(segments, loop, partial(loop.call, self._tie_all))

    def _tie_all(self, size: int = PLACED_FROM) -> None:
        """Offer memory to the subscribers of this host, now that a message of a size was published."""
        for route in self.outlet.routes:
            self._tie(route, size)

    def _tie(self, route: Route, size: int = PLACED_FROM) -> None:
        sharing, match = route.sharing, route.match
        if not (sharing.possible and sharing.tie is None and match.confirmed and self.outlet.usable):
            return
        on_change = partial(self._tied, route)
        try:
            tie = self.outlet.memory.segments.tie(route.info.node.id, match.subscriber, match.token, size, on_change)
        except BlockingIOError:  # many do this just now
            self._tie_later(route)
        else:
            self._tied(route, tie)

    def _tied(self, route: Route, tie: Tie | None) -> None:
        """Take note that a subscriber is offered memory, took it, or takes none (any more)."""
        with self.outlet.monitor.lock:
            if route.sharing.tie in (None, tie):
                if route.sharing.settle(tie) and route.match.open:
                    route.send_waiting(self.clock())
                if tie is not None and tie.reader.gone and not tie.reader.segments:  # it was crowded there
                    self._tie_later(route)
            self.outlet.rebuild()
        self._alarm.by(self.clock())

    def _tie_later(self, route: Route) -> None:
        pause = route.sharing.try_later()
        if pause is not None:
            self._node.loop.call_at(self.clock() + pause, partial(self._tie, route))

    # -- multicast and time, in the I/O thread -----------------------------------------------------------------------

    def _choose_fanouts(self, now: float) -> None:
        if self._fanouts.choose(self.outlet.routes, now):
            self.outlet.rebuild()

    def _on_fanout(self, socket: FanoutSocket) -> None:
        with self.outlet.monitor.lock:
            if self._fanouts.read(socket, self.clock()):
                self.outlet.rebuild()
            due = self._next_timer()
        self._go_on(due)

    def network_changed(self) -> None:
        """Begin anew with multicast: the interfaces are others now."""
        with self.outlet.monitor.lock:
            self._fanouts.close()
            self.outlet.rebuild()
            self._choose_fanouts(self.clock())
            due = self._next_timer()
        self._go_on(due)

    def _next_timer(self) -> float:
        return min(self.outlet.next_timer(), self._fanouts.next_timer())

    def _on_alarm(self) -> None:
        with self.outlet.monitor.lock:
            now = self.clock()
            self.outlet.handle_timer(now)
            self._fanouts.handle_timer(now)
            due = self._next_timer()
        self._go_on(due)

    def _go_on(self, due: float) -> None:
        """Without the lock: have the timers looked at, and do what was put off, as by a log handler that publishes."""
        self._alarm.by(due)
        if self.outlet.monitor.later:
            self.outlet.monitor.catch_up()
