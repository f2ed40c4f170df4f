"""Made-up surroundings of a Delivery: a node, an I/O thread, sockets and a clock in one, and robots that listen.

All in one thread: what is sent arrives when ``run`` lets time pass, or while somebody waits on the bell.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from handing import Taker, ends, readable
from ipcpy.addresses import LOOPBACK, Address
from ipcpy.graph import EndpointInfo, NodeInfo
from ipcpy.protocol.data.matching import TAKES_IT, answer, started
from ipcpy.protocol.data.places import Offer, unpack_spot
from ipcpy.protocol.data.reports import pack_report
from ipcpy.protocol.link.entries import PublisherEntry
from ipcpy.protocol.wire import Frame, Kind, frames, pack_frame
from ipcpy.publishing.delivery import Delivery, Terms
from ipcpy.publishing.dispatch import Dispatch
from ipcpy.publishing.framing import Framing
from ipcpy.timeouts import NEVER
from ipcpy.transport.handover import HandoverSocket

NUMBER = 0xA1A2A3A4A5A6A7A8  # of the publisher
RAW = 0  # a codec's number on the wire
SENT_NS = 1_700_000_000_000_000_000  # what the wall clock says
TOKEN = 7
WINDOW = 212_992  # bytes that a listener's socket holds
LOCAL_DATAGRAM = 65_000
LAN_DATAGRAM = 1_472


class Refusing(OSError):
    """What a made-up socket raises."""


class Socket:
    """Stands for a ConnectedSocket: what is sent waits to be delivered.

    Attributes:
        sent: all of it, as bytes.
        refusals: how many of the next sends the system refuses.
        losing: whether what is sent is lost.
        raises: what the next send raises, from outside, before the datagram leaves.
    """

    def __init__(self, address: Address, queue: deque[tuple[Address, bytes]]) -> None:
        self.address = address
        self.lossy = address[0] != LOOPBACK
        self.intact, self.overhead, self.lays, self.runs = not self.lossy, 0, False, False
        self.datagram = LAN_DATAGRAM if self.lossy else LOCAL_DATAGRAM
        self.closed = False
        self.sent: list[bytes] = []
        self.refusals = 0
        self.losing = False
        self.raises: BaseException | None = None
        self._queue = queue

    def send(self, data: bytes) -> None:
        if self.raises is not None:
            raised, self.raises = self.raises, None
            raise raised
        if self.refusals:
            self.refusals -= 1
            raise Refusing("refused")
        self.sent.append(bytes(data))
        if not self.losing:
            self._queue.append((self.address, bytes(data)))

    def send_many(self, datagrams: Sequence[Sequence[bytes | memoryview]], segment: int) -> None:
        for datagram in datagrams:
            self.send(b"".join(datagram))


class NoHands:
    """Stands for Handovers where no memory is shared."""

    limit = 0
    refused: Counter[str] = Counter()

    def connect(self, node: str) -> None:
        return None


class MadeUpHands:
    """Stands for Handovers, and for those of the subscribers' nodes: they take what they are offered.

    Attributes:
        limit: bytes that the publisher may share.
        refuses: whether the subscribers' nodes take no memory.
        crowded: how many of the next connections find no room.
        refused: how many answers were refused, by cause.
        connections: the subscribers' ends.
    """

    def __init__(self, world: Surroundings, limit: int) -> None:
        self.limit = limit
        self.refused: Counter[str] = Counter()
        self.refuses = False
        self.crowded = 0
        self.connections: list[HandoverSocket] = []
        self._world = world

    def connect(self, node: str) -> HandoverSocket | None:
        if self.crowded:
            self.crowded -= 1
            raise BlockingIOError
        if self.refuses:
            return None
        ours, theirs = ends()
        self.connections.append(theirs)
        taker = Taker(theirs, self._world, lambda offer: self._world.give(offer, taker))
        return ours


class GroupSocket:
    """Stands for a FanoutSocket; answers are put into ``answers``."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Address | None]] = []
        self.answers: deque[tuple[bytes, Address]] = deque()
        self.closed = False
        self.refuses = False

    def send(self, data: bytes) -> None:
        if self.refuses:
            raise Refusing("refused")
        self.sent.append((data, None))

    def try_send(self, data: bytes, address: Address | None = None) -> None:
        self.sent.append((data, address))

    def poll(self) -> tuple[bytes, Address] | None:
        return self.answers.popleft() if self.answers else None

    def close(self) -> None:
        self.closed = True


class Listener:
    """A robot in a subscriber's place.

    Attributes:
        heard: the frames that came, as datagrams.
        silent: whether it answers nothing.
        reports: whether it answers polls.
        missing: ranges of numbers that its next report asks for.
        expects: numbers that each report asks for until something of them has come.
        taker: by which it takes shared memory; None where it was offered none.
        placed: the numbers of the messages that it was told of there.
        taken: what it found there, by number.
        holds: whether it holds what it finds there.
    """

    def __init__(self, number: int, address: Address, verdict: int = TAKES_IT) -> None:
        self.number = number
        self.address = address
        self.verdict = verdict
        self.heard: list[Frame] = []
        self.silent = False
        self.reports = True
        self.missing: list[tuple[int, int]] = []
        self.expects: Sequence[int] = ()
        self.taker: Taker | None = None
        self.placed: list[int] = []
        self.taken: dict[int, bytes] = {}
        self.holds = False
        self.held: list[memoryview] = []

    def hear(self, datagram: bytes) -> list[bytes]:
        """Take a datagram; return the answers."""
        answers = []
        for frame in frames(datagram, unchecked=True):
            self.heard.append(frame)
            if not self.silent:
                answers += self._answers(frame)
        return answers

    def _answers(self, frame: Frame) -> list[bytes]:
        if frame.kind == Kind.PROBE:
            return [answer(frame, self.number, self.verdict, WINDOW, TOKEN)]
        if frame.kind == Kind.START:
            reply = started(frame, TOKEN)
            return [] if reply is None else [reply]
        if frame.kind == Kind.PLACED:
            self._take(frame)
        if frame.kind == Kind.POLL and self.reports:
            missing, self.missing = self.missing, []
            known = {heard.seq for heard in self.heard if heard.kind in (Kind.DATA, Kind.FRAGMENT)} | set(self.taken)
            missing += [(seq, seq + 1) for seq in self.expects if seq not in known and seq <= frame.seq]
            body = pack_report(missing[0][0] if missing else frame.seq + 1, WINDOW, missing)
            return [pack_frame(Kind.REPORT, frame.source, self.number, frame.sent_ns, body)]
        return []

    def _take(self, frame: Frame) -> None:
        self.placed.append(frame.seq)
        assert self.taker is not None
        view = self.taker.take(unpack_spot(frame.body))
        if view is not None:
            self.taken[frame.seq] = bytes(view)
            if self.holds:
                self.held.append(view)

    def of_kind(self, kind: int) -> list[Frame]:
        """Return the frames of a kind that came."""
        return [frame for frame in self.heard if frame.kind == kind]

    @property
    def bodies(self) -> list[bytes]:
        """The bodies of the messages that came in frames of their own."""
        return [bytes(frame.body) for frame in self.of_kind(Kind.DATA)]


class MadeUpAlarm:
    """Stands for an Alarm."""

    def __init__(self, function: Callable[[], object]) -> None:
        self.function = function
        self.due = NEVER
        self.slack = 0.0

    def by(self, when: float, slack: float = 0.0) -> None:
        if when < self.due:
            self.due, self.slack = when, slack


class MadeUpBell:
    """Stands for a Bell: it lets time pass while somebody waits, until it rings."""

    def __init__(self, pass_time: Callable[[float | None, Callable[[], bool]], None]) -> None:
        self._pass_time = pass_time  # for so many seconds, None without end, or until a condition holds
        self._rung = False

    def waiter(self) -> Callable[[float | None], None]:
        self._rung = False
        return lambda timeout: self._pass_time(timeout, lambda: self._rung)

    def ring(self) -> None:
        self._rung = True

    async def wait_async(self, over: Callable[[], object]) -> None:
        raise NotImplementedError("on made-up clocks there are no coroutines")


class Surroundings:
    """The world of one Delivery.

    Args:
        limit: bytes that the publisher may share with its subscribers; 0 for none.

    Attributes:
        handovers: hands shared memory to the subscribers.
        now: what the clock says.
        looks: how often the clock was read.
        waits: the seconds that it was waited each time.
        alarms: those that were made.
        entries: what was announced, one after the other.
        interfaces: index of the interface by the address it leads to, where multicast reaches.
        no_way: addresses to which there is no way.
        inside: whether the caller is taken for the I/O thread.
    """

    def __init__(self, limit: int = 0) -> None:
        self.now = 100.0
        self.handovers = MadeUpHands(self, limit)
        self.looks = 0
        self.close_by = NEVER
        self.waits: list[float | None] = []
        self.entries: list[PublisherEntry] = []
        self.withdrawn: list[int] = []
        self.released: list[Address] = []
        self.sockets: dict[Address, Socket] = {}
        self.groups: list[GroupSocket] = []
        self.interfaces: dict[str, int] = {}
        self.no_way: set[Address] = set()
        self.inside = False
        self.listeners: dict[Address, Listener] = {}
        self._publisher: Delivery | None = None
        self.alarms: list[MadeUpAlarm] = []
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._queue: deque[tuple[Address, bytes]] = deque()
        self._watched: dict[Any, Callable[[], object]] = {}

    @property
    def loop(self) -> Surroundings:
        """The I/O thread."""
        return self

    # -- what is made with it ----------------------------------------------------------------------------------------

    def deliver(self, *, reliable: bool = False, keep: int = 0, multicast: bool | None = None, block: float = 1.0):
        """Make a Delivery in these surroundings, and what publishes by it."""
        entry = PublisherEntry("topic", "raw", {}, reliable, keep)
        framing = Framing(NUMBER, RAW, lambda: SENT_NS)
        terms = Terms(entry, multicast, block)
        delivery = Delivery(self, framing, terms, alarm=self.alarm, clock=self.clock, bell=MadeUpBell(self._wait))
        delivery.announce()
        return delivery, Dispatch(delivery, framing, "'topic'")

    def listen(self, number: int, address: Address = (LOOPBACK, 0), **options: Any) -> Listener:
        """Let a subscriber come; port 0 is one of its own."""
        listener = Listener(number, address if address[1] else (address[0], 40_000 + number), **options)
        self.listeners[listener.address] = listener
        assert self._publisher is not None
        self._publisher.subscriber_found(number, endpoint(number), listener.address)
        return listener

    def give(self, offer: Offer, taker: Taker) -> None:
        """A subscriber has taken the memory that it was offered."""
        for listener in self.listeners.values():
            if listener.number == offer.subscriber:
                listener.taker = taker

    def close(self) -> None:
        """Close what is real of it: connections by which memory was handed over."""
        if self._publisher is not None:
            self._publisher.close()
        for each in self.handovers.connections:
            each.close()

    # -- what a Delivery asks for ------------------------------------------------------------------------------------

    def clock(self) -> float:
        self.looks += 1
        return self.now

    def alarm(self, function: Callable[[], object]) -> MadeUpAlarm:
        self.alarms.append(MadeUpAlarm(function))
        return self.alarms[-1]

    def add_publisher(self, publisher: Delivery, entry: PublisherEntry) -> None:
        self._publisher = publisher
        self.entries.append(entry)

    def withdraw(self, number: int) -> None:
        self.withdrawn.append(number)

    def connection(self, address: Address, publisher: int) -> Any:
        if address in self.no_way:
            raise Refusing("no way")
        return self.sockets.setdefault(address, Socket(address, self._queue))

    def watch(self, file: Any, ready: Callable[[], object]) -> None:
        self._watched[file] = ready

    def release_connection(self, address: Address, publisher: int) -> None:
        self.released.append(address)
        self.sockets.pop(address).closed = True

    def interface_of(self, address: str) -> int | None:
        return self.interfaces.get(address)

    def fanout_socket(self, group: Address, address: str, ready: Callable[[Any], object]) -> Any:
        self.groups.append(GroupSocket())
        self.ready = ready
        return self.groups[-1]

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        self._calls.append((function, arguments))

    def in_thread(self) -> bool:
        return self.inside

    def call_at(self, when: float, function: Callable[[], object]) -> None:
        self.alarm(function).by(when)

    def unwatch(self, file: Any) -> None:
        self._watched.pop(file, None)

    # -- time --------------------------------------------------------------------------------------------------------

    def _wait(self, timeout: float | None, until: Callable[[], bool]) -> None:
        self.waits.append(timeout)
        self.run(100.0 if timeout is None else timeout, until)

    def run(self, seconds: float = 0.0, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, and deliver everything; stop early once a condition holds."""
        end = self.now + seconds
        while not self._exchange(until):
            alarm = min(self.alarms, key=lambda alarm: alarm.due)
            if alarm.due > end:
                self.now = end
                return
            self.now = max(self.now, alarm.due)
            alarm.due = NEVER
            alarm.function()

    def _exchange(self, until: Callable[[], bool]) -> bool:
        while not until():
            if self._calls:
                function, arguments = self._calls.popleft()
                function(*arguments)
            elif self._queue:
                address, datagram = self._queue.popleft()
                listener = self.listeners.get(address)
                for reply in [] if listener is None else listener.hear(datagram):
                    assert self._publisher is not None
                    self._publisher.receive_datagram(reply, address)
            elif due := [ready for file, ready in self._watched.items() if readable(file)]:
                due[0]()
            else:
                return False
        return True


def endpoint(number: int) -> EndpointInfo:
    """Return what users see of a made-up subscriber."""
    node = NodeInfo("f" * 16, "node", "host", 1, "domain", None, "0", "alive", 0.0)
    return EndpointInfo(f"{number:016x}", "subscriber", "topic", "any", {}, False, 0, node)
