"""Where one publisher's frames go out: the subscribers it has, the ways to them, what is kept for them, heartbeats.

Knows routes and frames; nothing of how subscribers are found and matched, which is delivery.py's, and it never waits,
which is pacing.py's. The publisher's thread and the I/O thread share it: the lock of its ``monitor`` is held by whoever
calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..alarms import raise_alarm
from ..fast import OutletFields, compiled
from ..locks import Bell, Monitor, Rings
from ..protocol.data.heartbeat import Heartbeat
from ..protocol.data.history import Kept, Placed
from ..protocol.data.places import PLACED_FROM
from ..protocol.data.reliable import Reliable
from ..protocol.wire import MAX_BODY, OVERHEAD
from ..stats import PastRoutes, PublisherStats
from ..timeouts import NEVER
from ..typed import Protocol
from .framing import Framing
from .memory import Memory
from .multicast import Fanout
from .route import Route

SLACK = 0.02  # seconds that asking again may be late where nothing gets lost, and the answer wakes the I/O thread
MESSAGE_COST = 1000  # bytes of large messages that a subscriber takes in the time it needs for one message of a batch

Send = Callable[[bytes], object]
Ways = tuple[tuple[Send, Route | Fanout], ...]

_send: Callable[[Ways, bytes], Ways] | None = None if compiled is None else compiled.send


def send_by(ways: Ways, frame: bytes, messages: int = 1) -> int:
    """Send a frame of one or more messages by these ways; return the number of subscribers that do not get it."""
    missed = 0
    for send, target in ways:
        try:
            send(frame)
        except OSError as error:
            raise_alarm(error)
            missed += target.send_again(frame, messages)
    return missed


class Alarm(Protocol):
    """Calls a function in the I/O thread at a time, or up to ``slack`` seconds later if the thread would have to wake.

    A time later than the one that is set changes nothing, and a call that comes early does no harm.
    """

    def by(self, when: float, slack: float = 0.0) -> None: ...


class Outlet(OutletFields):
    """The subscribers of one publisher, and the ways to them.

    Args:
        framing: the numbers of what is published.
        reliable: what is kept; None if nothing is.
        fanouts: the multicasts that reach some of the subscribers.
        alarm: has what is due done in time.
        clock: seconds, never going back.
        bell: what ``publish`` and ``close`` wait on.
        share: makes the shared memory, which has the lock of a monitor.

    Attributes:
        monitor: the lock over it, and its bell, which rings whenever a subscriber has come, gone or answered, and when
            the publisher is closed.
        by_number: every subscriber that was heard of, matched or not.
        routes: the subscribers that topic data is sent to.
        sharers: the same, where all take best-effort messages from shared memory; else nobody.
        ways: how a small frame reaches all of these, and who stands behind each way.
        groups: the multicasts among those.
        max_body: bytes that a body may have to be sent as one frame to each.
        small: bytes that it may have so that this is the best way.
        memory: what is shared with subscribers of this host.
        needs_check: whether a frame needs a check: some subscriber is on another host, and what it is sent not sealed.
        beating: whether heartbeats follow the last message; if not, ``start_beating`` is to be called with the next.
        quick: how many small messages of a reliable topic may follow without a look (quick.py).
        usable: whether the publisher is neither closed nor left behind by a fork.
        withdrawn: whether closing has come to its end.
        abandoned: whether the publisher was left behind by a fork.
    """

    def __init__(
        self,
        framing: Framing,
        reliable: Reliable | None,
        fanouts: Iterable[Fanout],
        alarm: Alarm,
        clock: Callable[[], float],
        bell: Rings,
        share: Callable[[Monitor], Memory],
    ) -> None:
        self.monitor = Monitor(bell)
        self.memory = share(self.monitor)
        self.ways: Ways = ()
        self.groups: tuple[Fanout, ...] = ()
        self.routes: tuple[Route, ...] = ()
        self.sharers: tuple[Route, ...] = ()
        self.by_number: dict[int, Route] = {}
        self.reliable, self.quick = reliable, 0
        self.max_body = self.small = MAX_BODY
        self.needs_check = True
        self.beating = self.closed = False
        self.usable = True
        self.withdrawn = False
        self.abandoned = False
        self._framing = framing
        self._fanouts = fanouts
        self._alarm = alarm
        self._clock = clock
        self._heart = Heartbeat()
        self._past = PastRoutes()

    # -- sending -----------------------------------------------------------------------------------------------------

    def send(self, frame: bytes, messages: int = 1) -> int:
        """Send a frame of one or more messages to all; return the number of subscribers it was handed to."""
        handed = len(self.routes)
        left = self.ways if _send is None else _send(self.ways, frame)
        return handed - send_by(left, frame, messages) if left else handed

    def send_batch(self, frame: bytes, messages: int) -> int:
        """Send a frame of many messages, which counts against what each subscriber can take; the rest as ``send``."""
        if not self.beating:
            self.start_beating()
        handed = self.send(frame, messages)
        self._charge(len(frame) + messages * MESSAGE_COST, self._clock())
        return handed

    def send_kept(self, message: Kept) -> int:
        """Send a message of one frame and keep it; it counts against what each subscriber can take."""
        now = self._clock()
        try:
            self._keep(message, message.size - OVERHEAD, now)  # first: what is kept is asked for if it is not sent
            handed = self.send(message.frame)
        finally:
            self._charge(message.size, now)
        return handed

    def _keep(self, message: Kept, size: int, now: float) -> None:
        reliable = self.reliable
        assert reliable is not None
        try:
            reliable.add(message, now)
        finally:  # an exception from outside may come when it is kept and not counted yet
            self._framing.kept_all(reliable.history.next - 1, size)

    def _charge(self, size: int, now: float) -> None:
        for route in self.routes:
            route.charge(size, now)
        self._alarm.by(self.next_timer())

    def send_large(self, message: Kept) -> int:
        """Send a message of several frames as far as credit goes; ``send_rest`` has to follow."""
        now, self.quick = self._clock(), 0
        if self.reliable is not None:
            self._keep(message, message.size, now)
        try:
            told = self._send_placed(message, now)
            for route in self.routes:
                if route not in told:
                    route.owe(message, now)
        except BaseException:  # from outside
            for route in self.routes:
                route.sender.ask_soon(now)
            raise
        if not self.beating:
            self.start_beating()
        return len(self.routes)

    def place(self, parts: Sequence[memoryview], size: int) -> Placed | None:
        """Lay a body into shared memory, if somebody takes it there, or it was lent, and there is room."""
        placed = self.memory.place_lent(parts, size) if self.memory.lent and self.shares(size) else None
        return self.memory.place(parts, size) if placed is None and self.shares(size) and self._is_taken() else placed

    def shares(self, size: int) -> bool:
        """Tell whether a message of a size is better off in shared memory, and has a reason to be there."""
        memory = self.memory
        if not memory.suits(size):
            return False
        memory.want(size)
        return bool(memory.lent) or self._is_taken()

    def _is_taken(self) -> bool:
        return bool(self.sharers) or any(route.sharing.ready for route in self.routes)

    def _send_placed(self, message: Kept, now: float) -> Sequence[Route]:
        """Tell where a message lies, those who take it from there; return who they are."""
        placed = message.placed
        if placed is None:
            return ()
        late = () if self.reliable is not None else [route for route in self.routes if route.sender.backlog]
        told = [route for route in self.routes if route not in late and route.sharing.takes(placed)]
        if not told:
            return ()
        if self.reliable is None:
            self.memory.shelf.append(message)
        frame = self._framing.placed(message, placed)
        for route in told:  # first: the memory must not be used again, wherever an exception from outside ends this
            route.sharing.tell(placed, len(frame), route.sender, now)
        if len(told) == len(self.routes):
            self.send(frame, 0)
        else:
            for route in told:
                route.send(frame)
        for route in told:
            route.pump(now)
        return told

    def send_rest(self) -> None:
        """Have the rest of large messages sent in the I/O thread, as the subscribers answer."""
        lossy = any(route.sender.lossy for route in self.routes)
        self._alarm.by(self.next_timer(), 0.0 if lossy else SLACK)

    def poll(self, subscribers: Iterable[int]) -> None:
        """Ask subscribers what has arrived."""
        for number in subscribers:
            self.by_number[number].poll()

    # -- counts ------------------------------------------------------------------------------------------------------

    def confirmed(self) -> int:
        """Count the subscribers known to take what is sent now."""
        return sum(route.match.confirmed for route in self.routes)

    def has(self, count: int) -> bool:
        """Tell whether so many take what is sent, or nobody ever will again."""
        return self.closed or self.confirmed() >= count

    def stats(self) -> PublisherStats:
        """Return the counts."""
        if self.reliable is not None:
            self.reliable.count_given_up()
        living = {route.info.id: route.stats() for route in self.by_number.values() if route.matched}
        return self._past.sum(living, self._framing.seq, self._framing.bytes)

    def stats_now(self) -> PublisherStats:
        """Return the counts; the caller does not hold the lock."""
        try:
            with self.monitor.lock:  # a signal handler passes it, and sees the counts as they are in between
                return self.stats()
        finally:
            self.monitor.catch_up()

    def part_with(self, route: Route) -> None:
        """Let a subscriber go: its counts stay, and a reliable topic waits for it no more."""
        if self.reliable is not None:
            self.reliable.count_given_up()
            self.reliable.leave(route.match.subscriber)
        if route.matched:
            self._past.add(route.info.id, route.stats())
        route.close_books()  # what it was owed may lie in shared memory

    # -- whom to send to ---------------------------------------------------------------------------------------------

    def rebuild(self) -> None:
        """Look anew whom to send to, and by which ways."""
        self.quick = 0
        routes = [route for route in self.by_number.values() if route.match.open]
        fanouts = tuple(fanout for fanout in self._fanouts if fanout.members)
        by_multicast = {number for fanout in fanouts for number in fanout.members}
        unicast = [route for route in routes if route.match.subscriber not in by_multicast]
        self.needs_check = not all(route.socket.intact for route in routes)
        self.max_body = min((route.max_body for route in routes), default=MAX_BODY)
        self.small = (
            min(self.max_body, PLACED_FROM - 1) if any(route.sharing.possible for route in routes) else self.max_body
        )
        self.routes, self.groups = tuple(routes), fanouts
        shared = self.reliable is None and all(route.sharing.ready for route in routes)
        self.sharers = self.routes if shared else ()
        self.ways = (
            *((route.socket.send, route) for route in unicast),
            *((fanout.socket.send, fanout) for fanout in fanouts),
        )
        self.monitor.bell.ring()

    def clear(self) -> None:
        """Part with all subscribers, and with what is kept for them; their counts stay."""
        for route in self.by_number.values():
            self.part_with(route)
        self.by_number.clear()
        if self.reliable is not None:
            self.reliable.history.clear()
        self.reliable = None
        self.rebuild()
        self.memory.close()

    def abandon(self) -> None:
        """Forget everything in a forked child; a thread that is not there may have held the lock."""
        self.usable, self.abandoned = False, True
        self.monitor = Monitor(Bell())
        self.ways, self.groups, self.routes, self.sharers, self.reliable = (), (), (), (), None
        self.by_number, self._heart = {}, Heartbeat()
        self.memory.abandon()

    # -- time --------------------------------------------------------------------------------------------------------

    def start_beating(self) -> None:
        """Poll some time after the last message of a best-effort publisher; a reliable one does so anyway."""
        if self.reliable is None:
            self._heart.start(self._framing.seq, self._clock())
            self._alarm.by(self._heart.at)
        self.beating = True  # last: where an exception from outside ends this before, the next message does it again

    def next_timer(self) -> float:
        """Return when handle_timer wants to be called; ``inf`` for never."""
        timers = [route.next_timer() for route in self.by_number.values()]
        reliable = NEVER if self.reliable is None else self.reliable.next_timer()
        return min([*timers, self._heart.at, reliable])

    def handle_timer(self, now: float) -> None:
        """Send the challenges and polls that are due."""
        self.quick = 0
        for route in list(self.by_number.values()):
            if route.handle_timer(now):
                self.rebuild()
        if self.reliable is not None:
            self.poll(self.reliable.handle_timer(now))
        if now >= self._heart.at:
            self._heartbeat(now)

    def _heartbeat(self, now: float) -> None:
        """Say what the last number is. A heartbeat only ever causes questions, and ends once all have acknowledged."""
        behind = [route for route in self.routes if route.behind]
        if self._heart.handle_timer(self._framing.seq, behind=bool(behind), now=now):
            for route in behind:
                route.poll()
        self.beating = self._heart.beating
