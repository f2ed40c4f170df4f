"""A publisher and its subscribers on a fake clock and a seeded bad network: the machines of ipcpy.protocol with as
little glue between them as publisher.py, route.py and inbound.py have. Every frame travels as bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

from ipcpy.protocol.data import matching
from ipcpy.protocol.data.fragments import Assembly, Outgoing
from ipcpy.protocol.data.heads import Place, unpack_fragment
from ipcpy.protocol.data.history import History, Kept
from ipcpy.protocol.data.matching import Match
from ipcpy.protocol.data.receiver import Receiver
from ipcpy.protocol.data.reliable import Reliable
from ipcpy.protocol.data.reports import POLL_BODY, Report, pack_missing, unpack_missing, unpack_report
from ipcpy.protocol.data.sender import Sender
from ipcpy.protocol.wire import FRAGMENT_OVERHEAD, OVERHEAD, Frame, Kind, Malformed, frames, pack_frame
from ipcpy.timeouts import NEVER

SOURCE = 0xA1A2A3A4A5A6A7A8
PAUSES = (0.1, 0.5, 2.0)  # heartbeats of a best-effort publisher after its last message
SECRET = b"secret of a test"
Deliver = Callable[[bytes, str], None]


@dataclass(frozen=True)
class Weather:
    """How bad the network is: shares of datagrams, and seconds."""

    loss: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    delay: float = 0.000_1
    jitter: float = 0.0
    partitions: tuple[tuple[float, float], ...] = ()


@dataclass
class Network:
    """Time, and what is on its way."""

    weather: Weather
    seed: int
    now: float = 0.0
    sent: int = 0
    queue: list[tuple[float, int, str, str, bytes]] = field(default_factory=list)
    nodes: dict[str, Publisher | Subscriber] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    def send(self, origin: str, target: str, data: bytes) -> None:
        weather, random = self.weather, self.random
        self.sent += 1
        if any(start <= self.now < stop for start, stop in weather.partitions):
            return
        for _ in range(2 if random.random() < weather.duplicate else 1):
            if random.random() < weather.loss:
                continue
            copy = data
            if random.random() < weather.corrupt:
                at = random.randrange(8 * len(data))
                copy = bytearray(data)
                copy[at >> 3] ^= 1 << (at & 7)
            at = self.now + weather.delay + weather.jitter * random.random()
            heappush(self.queue, (at, self.sent, origin, target, bytes(copy)))

    def run(self, until: float) -> None:
        """Let time pass; ends early once nothing is on its way and no timer is set."""
        while True:
            timers = ((node.next_timer(), name) for name, node in self.nodes.items())
            timer, name = min(timers)
            at = min(timer, self.queue[0][0] if self.queue else NEVER)
            if at > until or at == NEVER:
                self.now = max(self.now, until) if until != NEVER else self.now
                return
            self.now = max(self.now, at)
            if timer <= at:
                self.nodes[name].handle_timer(self.now)
            else:
                _, _, origin, target, data = heappop(self.queue)
                self.nodes[target].receive(data, origin, self.now)

    @property
    def quiet(self) -> bool:
        """Whether nothing will ever happen again by itself."""
        return not self.queue and all(node.next_timer() == NEVER for node in self.nodes.values())


class Route:
    """One subscriber, as its publisher sees it."""

    def __init__(self, match: Match, name: str, lossy: bool) -> None:
        self.match = match
        self.name = name
        self.lossy = lossy
        self.sender = Sender(0, lossy=lossy)
        self.acknowledged = 0


class Publisher:
    """The glue of publisher.py and route.py."""

    def __init__(
        self,
        net: Network,
        *,
        reliable: bool = False,
        keep: int = 0,
        kept: int = 10_000,
        mtu: int = 1472,
        first: int = 1,
    ) -> None:
        self.net = net
        self.mtu = mtu
        self.seq = first - 1
        self.keep = keep
        self.routes: dict[int, Route] = {}
        self.reliable = Reliable(History(kept, 64 << 20, first)) if reliable or keep else None
        self.beat, self.beat_at = 0, NEVER
        self.max_backlog = 4
        net.nodes["publisher"] = self

    def meet(self, number: int, name: str, *, lossy: bool = True) -> None:
        match = Match(SOURCE, number, self.net.random.getrandbits(64), self.net.now)
        self.routes[number] = Route(match, name, lossy)

    # -- publishing

    def holding(self, size: int) -> list[int]:
        now = self.net.now
        assert self.reliable is not None
        full = [n for n, r in self.routes.items() if r.match.open and r.sender.full and not r.sender.stalled(now)]
        return sorted({*full, *self.reliable.holding(size, now)})

    def publish(self, body: bytes, *, wait: float = 0.0) -> int:
        deadline = self.net.now + wait
        while self.reliable and self.net.now < deadline and (held := self.holding(len(body) + OVERHEAD)):
            for number in self.reliable.to_poll([n for n in held if n in self.reliable.followers], self.net.now):
                self._poll(number)
            self.net.run(min(deadline, self.net.now + 0.001))
        now = self.net.now
        self.seq += 1
        sent_ns = int(now * 1e9)
        large = len(body) + OVERHEAD > self.mtu
        frame = b"" if large else pack_frame(Kind.DATA, SOURCE, self.seq, sent_ns, body, codec=1)
        message = Kept(
            self.seq, sent_ns, frame, [memoryview(body)] if large else (), len(body) if large else len(frame)
        )
        if self.reliable:
            self.reliable.add(message, now)
        for number, route in self.routes.items():
            if route.match.open:
                self._send(route, message, now)
                self._pump(number, now)
        self.beat, self.beat_at = 0, now + PAUSES[0]
        return self.seq

    def _send(self, route: Route, message: Kept, now: float, *, again: bool = False) -> None:
        if message.frame:
            self.net.send("publisher", route.name, message.frame)
            if self.reliable:
                route.sender.charge(len(message.frame), again=again)
        elif not route.sender.owes(message.seq):
            self._owe(route, message, now)

    def _owe(self, route: Route, message: Kept, now: float, *, sent: bool = False) -> None:
        if route.sender.backlog >= self.max_backlog:
            if self.reliable:
                return  # it will be asked for
            route.sender.drop_oldest()
        place = Place(SOURCE, message.seq, message.sent_ns, 1, message.size, self.mtu - FRAGMENT_OVERHEAD)
        route.sender.add(Outgoing(place, message.parts, sent_before=sent), now)

    def _pump(self, number: int, now: float) -> None:
        route = self.routes[number]
        while taken := route.sender.take():
            message, indexes = taken
            for datagram in message.fragments(indexes):
                self.net.send("publisher", route.name, b"".join(datagram))
        if route.sender.poll(now) is not None:
            self._poll(number)
        if not route.lossy and not self.reliable:
            route.sender.forget_sent()

    def _poll(self, number: int) -> None:
        route = self.routes[number]
        low = route.sender.lowest(self.reliable.lowest_kept() if self.reliable else self.seq + 1)
        body = POLL_BODY.pack(route.sender.position, low)
        last = route.sender.reached(self.seq)
        self.net.send("publisher", route.name, pack_frame(Kind.POLL, SOURCE, last, route.sender.position, body))

    def final_poll(self) -> None:
        """What close() does; here until all have heard it."""
        for number, route in self.routes.items():
            if route.match.open:
                self._poll(number)

    # -- what comes in

    def receive(self, data: bytes, origin: str, now: float) -> None:
        try:
            for frame in frames(data):
                self._receive(frame, now)
        except Malformed:
            pass

    def _receive(self, frame: Frame, now: float) -> None:
        number = frame.sent_ns if frame.kind == Kind.MISSING else frame.seq
        route = self.routes.get(number)
        if route is None:
            return
        if frame.kind == Kind.ANSWER and route.match.answered(frame, now):
            self._begin(number, route, now)
        elif frame.kind == Kind.STARTED:
            route.match.started(frame)
        elif frame.kind == Kind.REPORT:
            self._reported(number, route, frame, unpack_report(frame.body), now)
        elif frame.kind == Kind.MISSING:
            if self.reliable and not route.sender.owes(frame.seq):
                message = self.reliable.kept(number, frame.seq)
                if message is not None and message.parts:
                    self._owe(route, message, now, sent=True)
            route.sender.missing(frame.seq, *unpack_missing(frame.body))
            self._pump(number, now)

    def _begin(self, number: int, route: Route, now: float) -> None:
        route.sender = Sender(int(route.match.window * 0.7), lossy=route.lossy)
        route.match.first = self.seq + 1
        if self.reliable:
            first = self.seq + 1 - self.keep
            route.match.first = self.reliable.join(number, first, route.sender.window, now)
        self.net.send("publisher", route.name, route.match.start_frame())
        route.match.handle_timer(now)
        for message in self.reliable.begin(number, now) if self.reliable else []:
            self._send(route, message, now, again=True)
        self._pump(number, now)

    def _reported(self, number: int, route: Route, frame: Frame, report: Report, now: float) -> None:
        route.acknowledged = max(route.acknowledged, report.next - 1)
        route.sender.reported(frame.sent_ns, report.next, int(report.window * 0.7), now, report.missing)
        for message in self.reliable.reported(number, report, now) if self.reliable else []:
            self._send(route, message, now, again=True)
        self._pump(number, now)

    # -- time

    def next_timer(self) -> float:
        timers = [min(r.match.next_timer(), r.sender.next_timer()) for r in self.routes.values()]
        beat = self.reliable.next_timer() if self.reliable else self.beat_at
        return min([*timers, beat])

    def handle_timer(self, now: float) -> None:
        for number, route in self.routes.items():
            if (datagram := route.match.handle_timer(now)) is not None:
                self.net.send("publisher", route.name, datagram)
            if route.sender.handle_timer(now) is not None:
                self._poll(number)
        if self.reliable:
            for number in self.reliable.handle_timer(now):
                self._poll(number)
        elif now >= self.beat_at:
            behind = [n for n, r in self.routes.items() if r.match.open and r.acknowledged < self.seq]
            for number in behind:
                self._poll(number)
            self.beat += 1
            self.beat_at = now + PAUSES[self.beat] if self.beat < len(PAUSES) and behind else NEVER


class Subscriber:
    """The glue of inbound.py; ``got`` is what was delivered: (seq, body)."""

    def __init__(
        self,
        net: Network,
        number: int,
        *,
        reliable: bool = False,
        window: int = 212_992,
        assembly: Assembly | None = None,
    ) -> None:
        self.net = net
        self.number = number
        self.name = f"subscriber {number}"
        self.window = window
        self.receiver: Receiver[tuple[int, bytes]] = Receiver(reliable=reliable, assembly=assembly, seed=number)
        self.got: list[tuple[int, bytes]] = []
        self.late: list[int] = []
        self.low = 0
        self.position = 0
        self.malformed = 0
        self.started = False
        self.stopped = False
        net.nodes[self.name] = self

    def receive(self, data: bytes, origin: str, now: float) -> None:
        if self.stopped:
            return
        try:
            for frame in frames(data):
                self._take(frame, now)
        except Malformed:
            self.malformed += 1
        self.check()

    def _take(self, frame: Frame, now: float) -> None:
        receiver = self.receiver
        token = matching.token_for(("publisher", 0), SOURCE, SECRET)
        if frame.kind == Kind.PROBE:
            self._answer(matching.answer(frame, self.number, matching.TAKES_IT, self.window, token))
        elif frame.kind == Kind.START:
            reply = matching.started(frame, token)
            if reply is not None:
                self.started = True
                self._put(receiver.start(frame.seq, now))
                self._answer(reply)
        elif not self.started:
            return
        elif frame.kind == Kind.DATA:
            self._put(receiver.accept(frame.seq, (frame.seq, bytes(frame.body)), now, size=len(frame.body)))
        elif frame.kind == Kind.FRAGMENT:
            partial = receiver.accept_run(unpack_fragment(frame), now)
            if partial is not None:
                item = (frame.seq, bytes(partial.buffer))
                self._put(receiver.accept(frame.seq, item, now, size=len(partial.buffer)))
        elif frame.kind == Kind.POLL:
            self.position, self.low = POLL_BODY.unpack(frame.body)
            self._put(receiver.polled(frame.seq, self.low, now))
            self._report()

    def _put(self, items: list[tuple[int, bytes]]) -> None:
        for item in items:
            if self.got and item[0] < self.got[-1][0]:
                self.late.append(item[0])
            self.got.append(item)

    def _answer(self, data: bytes) -> None:
        self.net.send(self.name, "publisher", data)

    def _report(self) -> None:
        body = self.receiver.report(self.window, self.low)
        self._answer(pack_frame(Kind.REPORT, SOURCE, self.number, self.position, body))
        for seq, first, bitmap in self.receiver.incomplete():
            self._answer(pack_frame(Kind.MISSING, SOURCE, seq, self.number, pack_missing(first, bitmap)))

    def next_timer(self) -> float:
        return self.receiver.next_timer()

    def handle_timer(self, now: float) -> None:
        ask, items = self.receiver.handle_timer(now)
        self._put(items)
        if ask:
            self._report()
        self.check()

    def check(self) -> None:
        """The books balance, always."""
        receiver = self.receiver
        assert receiver.received == len(self.got)
        assert receiver.received + sum(receiver.lost.values()) == receiver.next - receiver.first
        assert all(count >= 0 for count in receiver.lost.values())


def paced(net: Network, count: int, pause: float) -> Iterator[int]:
    """Let time pass between the rounds of a loop."""
    for index in range(count):
        yield index
        net.run(net.now + pause)
