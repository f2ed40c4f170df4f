"""Publisher and subscribers as they ship, back to back on a fake clock and a seeded bad network, all in one thread.

``Delivery``, ``Dispatch`` and ``Inbound`` are the real ones; here are only the weather, the sockets, and what stands
for a node. Every frame travels as bytes. What is waited for happens while ``run`` lets time pass.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random
from typing import Any

import ipcpy as ipc
from ipcpy.addresses import LOOPBACK, Address
from ipcpy.protocol.data.sender import DATAGRAM_COST
from ipcpy.protocol.link.entries import PublisherEntry
from ipcpy.publishing.delivery import Delivery, Terms
from ipcpy.publishing.dispatch import Dispatch
from ipcpy.publishing.framing import Framing
from ipcpy.subscribing.flow import Flow
from ipcpy.subscribing.inbound import Inbound
from ipcpy.subscribing.inbox import Inbox
from ipcpy.subscribing.intake import Intake
from ipcpy.timeouts import NEVER
from receiving import publisher_info
from surroundings import MadeUpAlarm, MadeUpBell, NoHands, endpoint

SOURCE = 0xA1A2A3A4A5A6A7A8  # the publisher's number
RAW = 0  # its codec's number
LAN_DATAGRAM, LOCAL_DATAGRAM = 1_472, 60_000


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
    """Time, and what is on its way.

    Attributes:
        drops: tells which datagrams get lost, whatever the weather.
    """

    weather: Weather
    seed: int
    drops: Callable[[bytes], bool] = lambda data: False
    now: float = 0.0
    sent: int = 0
    queue: list[tuple[float, int, Address, Address, bytes]] = field(default_factory=list)
    hosts: dict[Address, Publisher | Subscriber] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    def clock(self) -> float:
        """Return the seconds since the beginning."""
        return self.now

    def time_ns(self) -> int:
        """Return what the wall clocks of all hosts say."""
        return int(self.now * 1e9)

    def send(self, origin: Address, target: Address, data: bytes) -> None:
        """Let a datagram go, to arrive, or not, when time passes."""
        weather, random = self.weather, self.random
        self.sent += 1
        if any(start <= self.now < stop for start, stop in weather.partitions) or self.drops(data):
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

    def run(self, until: float, condition: Callable[[], bool] = lambda: False) -> None:
        """Let time pass; ends early once a condition holds, or nothing is on its way and no timer is set."""
        while not condition():
            timer, host = min(((host.next_timer(), host) for host in self.hosts.values()), key=lambda each: each[0])
            at = min(timer, self.queue[0][0] if self.queue else NEVER)
            if at > until or at == NEVER:
                self.now = max(self.now, until) if until != NEVER else self.now
                return
            self.now = max(self.now, at)
            if timer <= at:
                host.handle_timer()
            else:
                _, _, origin, target, data = heappop(self.queue)
                self.hosts[target].receive(data, origin)

    def wait(self, timeout: float | None, until: Callable[[], bool]) -> None:
        """Let time pass for who waits."""
        self.run(NEVER if timeout is None else self.now + timeout, until)

    @property
    def quiet(self) -> bool:
        """Whether nothing will ever happen again by itself."""
        return not self.queue and all(host.next_timer() == NEVER for host in self.hosts.values())


class Way:
    """Stands for the socket connected to one subscriber."""

    def __init__(self, net: Network, origin: Address, target: Address, datagram: int) -> None:
        self.net, self.origin, self.address, self.datagram = net, origin, target, datagram
        self.lossy = origin[0] != LOOPBACK
        self.intact, self.overhead, self.lays, self.runs = not self.lossy, 0, False, False
        self.closed = False

    def send(self, data: bytes) -> None:
        """Send a datagram."""
        self.net.send(self.origin, self.address, bytes(data))

    def send_many(self, datagrams: Sequence[Sequence[bytes | memoryview]], segment: int) -> None:
        """Send datagrams."""
        for parts in datagrams:
            self.send(b"".join(parts))


class Publisher:
    """A publisher, and what it takes for its node. ``address`` is where it sends from.

    Args:
        kept: how many messages a reliable one keeps.
        first: the number of its first message.
        block: seconds that publish waits for those who cannot follow, on a reliable topic.
        ip: of its host; that of loopback makes all subscribers local.
        number: its id; with another than the first's it sends from another port.
        datagram: bytes that its own interface sends at once; None for what is usual there.
    """

    def __init__(
        self,
        net: Network,
        *,
        reliable: bool = False,
        keep: int = 0,
        kept: int = 10_000,
        first: int = 1,
        block: float = 1.0,
        ip: str = "10.0.0.1",
        number: int = SOURCE,
        datagram: int | None = None,
    ) -> None:
        self.net = net
        self.number = number
        self.address = ip, 7_000 + (number - SOURCE)
        self.close_by = NEVER
        self.datagram = datagram or (LOCAL_DATAGRAM if ip == LOOPBACK else LAN_DATAGRAM)
        self.framing = Framing(number, RAW, net.time_ns)
        self.framing.seq = first - 1
        self.handovers = NoHands()
        self._calls: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._alarms: list[MadeUpAlarm] = []
        entry = PublisherEntry("t", "raw", {}, reliable, keep)
        self.delivery = Delivery(
            self,
            self.framing,
            Terms(entry, False, block, kept),
            alarm=self._alarm,
            clock=net.clock,
            bell=MadeUpBell(net.wait),
        )
        self._dispatch = Dispatch(self.delivery, self.framing, "'t'")
        net.hosts[self.address] = self
        self.delivery.announce()

    # -- for tests ---------------------------------------------------------------------------------------------------

    @property
    def seq(self) -> int:
        """The number of the last message."""
        return self.framing.seq

    def meet(self, subscriber: Subscriber) -> None:
        """Learn of a subscriber."""
        subscriber.meet(self.number, reliable=self.delivery.outlet.reliable is not None)
        self.delivery.subscriber_found(subscriber.number, endpoint(subscriber.number), subscriber.address)

    def publish(self, body: bytes | bytearray) -> int:
        """Publish as ``ipcpy.Publisher`` does; return the number of the message."""
        outlet = self.delivery.outlet
        if outlet.reliable is not None or len(body) > outlet.max_body:
            self._dispatch.one(body)
        else:  # the one case that is laid out in Publisher.publish itself
            with outlet.monitor.lock:
                frame = self.framing.batch([bytes(body)])
                if outlet.ways and not outlet.beating:
                    outlet.start_beating()
                outlet.send(frame)
        return self.seq

    def publish_many(self, bodies: Sequence[bytes]) -> None:
        """Publish messages, as many in a datagram as fit."""
        self._dispatch.many(bodies)

    def handed(self, subscriber: Subscriber) -> int:
        """Return how many messages a subscriber was handed."""
        with self.delivery.outlet.monitor.lock:
            return self.delivery.outlet.stats().subscribers[f"{subscriber.number:016x}"].handed

    def backlog(self, subscriber: Subscriber) -> int:
        """Return how many large messages a subscriber is owed."""
        return self.delivery.outlet.by_number[subscriber.number].sender.backlog

    # -- for the network ---------------------------------------------------------------------------------------------

    def receive(self, data: bytes, origin: Address) -> None:
        """Take an answer."""
        self.delivery.receive_datagram(data, origin)

    def next_timer(self) -> float:
        """Return when something is due."""
        return -NEVER if self._calls else min(alarm.due for alarm in self._alarms)

    def handle_timer(self) -> None:
        """Do what is due."""
        while self._calls:
            function, arguments = self._calls.popleft()
            function(*arguments)
        for alarm in self._alarms:
            if alarm.due <= self.net.now:
                alarm.due = NEVER
                alarm.function()

    def _alarm(self, function: Callable[[], object]) -> MadeUpAlarm:
        self._alarms.append(MadeUpAlarm(function))
        return self._alarms[-1]

    # -- what a Delivery asks of a node, without multicast -----------------------------------------------------------

    @property
    def loop(self) -> Publisher:
        """The I/O thread."""
        return self

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call soon."""
        self._calls.append((function, arguments))

    def watch(self, file: Any, ready: Callable[[], object]) -> None:
        """Nothing is watched."""

    def in_thread(self) -> bool:
        """The caller is the publisher's thread."""
        return False

    def unwatch(self, file: Any) -> None:
        """Nothing is watched."""

    def add_publisher(self, publisher: Delivery, entry: PublisherEntry) -> None:
        """Nobody listens to announcements."""

    def withdraw(self, number: int) -> None:
        """Nobody listens to announcements."""

    def connection(self, address: Address, publisher: int) -> Any:
        """Return the way to an address."""
        return Way(self.net, self.address, address, self.datagram)

    def release_connection(self, address: Address, publisher: int) -> None:
        """Nothing is kept."""

    def interface_of(self, address: str) -> int | None:
        """No interface multicasts."""
        return None

    def fanout_socket(self, *_: Any) -> Any:
        """No interface multicasts."""
        return None


class Subscriber:
    """A subscriber; ``got`` is what was delivered: (seq, body). The books are held true after every datagram.

    Args:
        window: bytes that its socket holds.
        speed: bytes of kernel memory that it reads in a second; what the socket cannot hold meanwhile is dropped.
    """

    def __init__(
        self, net: Network, number: int, *, window: int = 212_992, ip: str | None = None, speed: float = NEVER
    ) -> None:
        self.net = net
        self.number = number
        self.speed = speed
        self.held_until = 0.0  # when it reads again
        self.dropped = 0
        self._unread: deque[tuple[float, bytes, Address]] = deque()  # when it will have been read
        self.address = ip or f"10.0.1.{number}", 8_000 + number
        self.capacity = window
        self.got: list[tuple[int, bytes]] = []
        self.late: list[int] = []
        self.stopped = False
        self.flows: dict[int, Flow] = {}
        self._inbox = Inbox(1 << 40)
        self.intake = Intake(number, self, self._inbox, lambda: None, clock=net.clock, time_ns=net.time_ns, seed=number)
        self.inbound = Inbound(self.intake, ipc.Raw())
        net.hosts[self.address] = self

    def meet(self, number: int, *, reliable: bool) -> None:
        """Learn of a publisher."""
        flow = self.inbound.add(number, publisher_info(number, reliable=reliable), lambda ip: True)
        self.flows[number] = flow
        self.receiver = flow.receiver

    # -- what is asked of its socket ---------------------------------------------------------------------------------

    def sendto(self, data: bytes, address: Address) -> None:
        """Send an answer."""
        self.net.send(self.address, address, data)

    def drops(self) -> int:
        """Return how many datagrams the socket could not hold."""
        return self.dropped

    # -- for the network ---------------------------------------------------------------------------------------------

    def receive(self, data: bytes, origin: Address) -> None:
        """Take a datagram, at once or when its turn comes."""
        if self.stopped:
            return
        if self.speed == NEVER:
            self.inbound.take(data, origin)
            self._look()
        elif sum(len(each) + DATAGRAM_COST for _, each, _ in self._unread) + len(data) + DATAGRAM_COST > self.capacity:
            self.dropped += 1
        else:
            begun = self._unread[-1][0] if self._unread else max(self.net.now, self.held_until)
            self._unread.append((begun + (len(data) + DATAGRAM_COST) / self.speed, data, origin))

    def next_timer(self) -> float:
        """Return when something is due."""
        return min(self.intake.timer, self._unread[0][0] if self._unread else NEVER)

    def handle_timer(self) -> None:
        """Do what is due."""
        while self._unread and self._unread[0][0] <= self.net.now:
            _, data, origin = self._unread.popleft()
            self.inbound.take(data, origin)
        if self.intake.timer <= self.net.now:
            self.inbound.handle_timer(self.net.now)
        self._look()

    def _look(self) -> None:
        messages = self._inbox.messages
        while messages:
            message = messages.popleft()
            if self.got and message.seq < self.got[-1][0]:
                self.late.append(message.seq)
            self.got.append((message.seq, bytes(message.data)))
        receivers = [flow.receiver for flow in self.flows.values()]
        assert sum(receiver.received for receiver in receivers) == len(self.got)
        for receiver in receivers:
            assert receiver.received + sum(receiver.lost.values()) == receiver.next - receiver.first
            assert all(count >= 0 for count in receiver.lost.values())

    @property
    def malformed(self) -> int:
        """How many datagrams were dropped for what was wrong in them."""
        return self.intake.dropped["malformed"]


def paced(net: Network, count: int, pause: float) -> Iterator[int]:
    """Let time pass between the rounds of a loop."""
    for index in range(count):
        yield index
        net.run(net.now + pause)
