"""A network of links in memory: hosts with interfaces on segments, faults, a seed and a clock of its own.

A segment is a multicast domain; every host also has a loopback of its own. Nothing here sleeps: ``run`` goes from event
to event. After every step of a node what must always hold is checked.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from random import Random

from ipcpy.addresses import Address
from ipcpy.protocol.link import roster
from ipcpy.protocol.link.entries import NodeEntry, PublisherEntry, pack_entry
from ipcpy.protocol.link.link import (
    EntryChanged,
    Link,
    LinkEvent,
    NodeRefused,
    PeerFound,
    PeerLost,
    PeerMoved,
    Timing,
)

QUEUE = 500  # datagrams that the kernel holds for a stopped process


@dataclass(eq=False)
class Segment:
    """A piece of network and what is wrong with it; probabilities, and seconds."""

    name: str
    loss: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0002
    jitter: float = 0.0
    multicast: bool = True
    icmp: bool = True
    blocked: Callable[[Host, Host], bool] = lambda sender, receiver: False


@dataclass(eq=False)
class Host:
    """A computer: its address on each segment."""

    name: str
    addresses: dict[Segment, str]
    nodes: dict[int, Node] = field(default_factory=dict)
    dead: bool = False  # its power is off, or every cable pulled


@dataclass(eq=False)
class Node:
    """A process with one link."""

    net: Network
    host: Host
    port: int
    link: Link
    entry: NodeEntry
    loopback_only: bool = False
    on_event: Callable[[LinkEvent], None] | None = None
    stopped: bool = False
    alive: bool = True
    closing: bool = False
    queue: list[tuple[bytes, Address]] = field(default_factory=list)
    events: list[tuple[float, LinkEvent]] = field(default_factory=list)
    tables: dict[int, dict[int, bytes]] = field(default_factory=dict)
    sent: Counter[int] = field(default_factory=Counter)
    sent_at: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))  # kind -> when
    received: int = 0
    timer: float = float("inf")

    def flush(self) -> None:
        """Do what node/peering.py does after everything that it told its link."""
        for event in self.link.events():
            self.take(event)
        for data, address in self.link.datagrams_to_send():
            for frame in split(data):
                self.sent[frame[3]] += 1
                self.sent_at[frame[3]].append(self.net.now)
            self.net.send(self, data, address)
        self.net.check(self)
        self.net.schedule(self)

    def take(self, event: LinkEvent) -> None:
        self.events.append((self.net.now, event))
        if isinstance(event, PeerFound):
            assert event.id not in self.tables, "found twice"
            self.tables[event.id] = {}
            other = self.net.nodes.get(event.id)
            if self.net.watching and other is not None and other.host is self.host:
                self.link.watch(event.id, True)
        elif isinstance(event, PeerLost):
            del self.tables[event.id]
        elif isinstance(event, EntryChanged):
            if event.data is None:
                del self.tables[event.id][event.entry_id]
            else:
                self.tables[event.id][event.entry_id] = event.data
        elif isinstance(event, NodeRefused):
            assert event.reason
        else:
            assert event.id in self.tables
        if self.on_event is not None:
            self.on_event(event)

    def put(self, **entries: str | None) -> None:
        """Announce publishers by number: ``put(n7="imu")``; None withdraws one."""
        for key, topic in entries.items():
            number = int(key[1:])
            if topic is None:
                self.link.table.remove(number)
            else:
                self.link.table.put(number, pack_entry(PublisherEntry(topic, "raw")))
            self.link.changed(self.net.now)
        self.flush()

    def hint(self, other: Node | Address, *, static: bool = False) -> None:
        address = other.address() if isinstance(other, Node) else other
        self.link.hint(address, self.net.now, until=float("inf") if static else None)
        self.flush()

    def address(self, segment: Segment | None = None) -> Address:
        segment = segment or next(iter(self.host.addresses))
        return self.host.addresses[segment], self.port

    def close(self) -> None:
        self.closing = True
        self.link.close()
        self.flush()
        self.kill()

    def kill(self) -> None:
        """End without a word; whoever watches the process is told."""
        self.alive = False
        del self.net.nodes[self.link.id], self.host.nodes[self.port]
        if self.net.watching:
            for other in list(self.host.nodes.values()):
                if not other.stopped and other.link.id != self.link.id:
                    other.link.process_died(self.link.id, self.net.now)
                    other.flush()

    def stop(self) -> None:
        self.stopped = True

    def resume(self) -> None:
        self.stopped = False
        queue, self.queue = self.queue, []
        for data, address in queue:
            self.link.receive_datagram(data, address, self.net.now)
        self.flush()

    def known(self) -> dict[int, dict[int, bytes]]:
        return {id: dict(sorted(table.items())) for id, table in sorted(self.tables.items())}

    def what(self, kind: type) -> list[LinkEvent]:
        return [event for _, event in self.events if isinstance(event, kind)]

    def own(self) -> dict[int, bytes]:
        return {id: data for id, data in sorted(self.link.table.entries.items()) if id}

    def wakes(self, kind: int, since: float) -> int:
        """Count the moments after one at which frames of a kind were sent."""
        return len({when for when in self.sent_at[kind] if when > since})


class Network:
    """Hosts, segments, nodes, and the order of what happens."""

    def __init__(self, seed: int = 1, *, watching: bool = False, **faults: object) -> None:
        self.random = Random(seed)
        self.now = 1000.0
        self.watching = watching
        self.lan = Segment("lan", **faults)  # type: ignore[arg-type]
        self.nodes: dict[int, Node] = {}
        self.hosts: list[Host] = []
        self.datagrams = 0
        self.bytes = 0
        self._ids = count(1)
        self._order = count()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._unmet: Node | None = None

    # -- building ----------------------------------------------------------------------------------------------------

    def host(self, segments: Iterable[Segment] | None = None) -> Host:
        number = len(self.hosts) + 1
        addresses = {
            segment: f"10.{at}.{number >> 8}.{number & 255}"
            for at, segment in enumerate((self.lan,) if segments is None else segments)
        }
        self.hosts.append(Host(f"h{number}", addresses))
        return self.hosts[-1]

    def node(
        self, host: Host | None = None, *, domain: str = "d", port: int | None = None, greet: bool = True,
        loopback_only: bool = False, timing: Timing | None = None, topics: int = 0,
    ) -> Node:  # fmt: skip
        host = host or self.host()
        id = next(self._ids)
        port = port or next(port for port in count(17770) if port not in host.nodes)
        entry = NodeEntry(f"n{id}", host.name, id, "1", domain)
        secret = self.random.randbytes(32)
        link = Link(id, pack_entry(entry), domain, secret, timing, seed=self.random.randrange(1 << 30))
        node = Node(self, host, port, link, entry, loopback_only)
        host.nodes[port] = self.nodes[id] = node
        for at in range(topics):
            link.table.put(id << 20 | at + 1, pack_entry(PublisherEntry(f"t{id}/{at}", "raw")))
        if greet:
            link.greet(self.now)
        node.flush()
        return node

    # -- carrying ----------------------------------------------------------------------------------------------------

    def send(self, node: Node, data: bytes, address: Address | None) -> None:
        self.datagrams += 1
        self.bytes += len(data)
        if address is not None:
            self._unicast(node, data, address)
            return
        for other in node.host.nodes.values():
            self.carry(None, data, ("127.0.0.1", node.port), other)
        if node.loopback_only:
            return
        for segment, ip in node.host.addresses.items():
            if segment.multicast:
                for host in self.hosts:
                    if segment in host.addresses and self._passes(segment, node.host, host):
                        for other in host.nodes.values():
                            if not other.loopback_only:
                                self.carry(segment, data, (ip, node.port), other)

    def _unicast(self, node: Node, data: bytes, address: Address) -> None:
        ip, port = address
        if ip.startswith("127."):
            self._deliver(node, None, node.host, data, ("127.0.0.1", node.port), address)
            return
        for segment, own in () if node.loopback_only else node.host.addresses.items():
            for host in self.hosts:
                if host.addresses.get(segment) == ip and self._passes(segment, node.host, host):
                    self._deliver(node, segment, host, data, (own, node.port), address)

    def _deliver(
        self, node: Node, segment: Segment | None, host: Host, data: bytes, source: Address, to: Address
    ) -> None:
        other = host.nodes.get(to[1])
        if other is not None and (segment is None or not other.loopback_only):
            self.carry(segment, data, source, other)
        elif segment is None or segment.icmp:
            self._later(segment, lambda: self._refuse(node, to))

    def _passes(self, segment: Segment, sender: Host, receiver: Host) -> bool:
        if sender is receiver:
            return not sender.dead
        return not (sender.dead or receiver.dead or segment.blocked(sender, receiver))

    def _refuse(self, node: Node, address: Address) -> None:
        if node.alive and not node.stopped:
            node.link.receive_refusal(address, self.now)
            node.flush()

    def carry(self, segment: Segment | None, data: bytes, source: Address, to: Node) -> None:
        for _ in range(2 if segment and segment.duplicate and self.random.random() < segment.duplicate else 1):
            self._later(segment, lambda: self._arrive(to, data, source))

    def _later(self, segment: Segment | None, call: Callable[[], None]) -> None:
        if segment is None:
            self.at(self.now + 0.00005, call)
        elif not segment.loss or self.random.random() >= segment.loss:
            self.at(self.now + segment.delay + segment.jitter * self.random.random(), call)

    def _arrive(self, node: Node, data: bytes, source: Address) -> None:
        if not node.alive:
            return
        if node.stopped:
            if len(node.queue) < QUEUE:
                node.queue.append((data, source))
            return
        node.received += 1
        node.link.receive_datagram(data, source, self.now)
        node.flush()

    # -- time --------------------------------------------------------------------------------------------------------

    def at(self, when: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (when, next(self._order), call))

    def schedule(self, node: Node) -> None:
        due = node.link.next_timer()
        if due != node.timer:
            node.timer = due
            if due < float("inf"):
                self.at(due, lambda: self._timer(node, due))

    def _timer(self, node: Node, due: float) -> None:
        if node.alive and node.timer == due:
            if node.stopped:
                node.timer = float("inf")
                return
            node.link.handle_timer(self.now)
            assert node.link.next_timer() > self.now, "a timer that is due after handle_timer"
            node.flush()

    def run(self, seconds: float, until: Callable[[], bool] | None = None) -> float:
        """Let time pass, up to a limit or until a condition; return how much did."""
        begin, end = self.now, self.now + seconds
        while self._heap and self._heap[0][0] <= end:
            when, _, call = heapq.heappop(self._heap)
            self.now = max(self.now, when)
            call()
            if until is not None and until():
                return self.now - begin
        assert until is None, f"not within {seconds} s"
        self.now = end
        return seconds

    # -- what must hold ----------------------------------------------------------------------------------------------

    def check(self, node: Node) -> None:
        link = node.link
        assert len(link.peers) <= roster.MAX_PEERS
        if self.datagrams % 64 == 0 and not node.closing:
            self.check_books(node)

    @staticmethod
    def check_books(node: Node) -> None:
        link = node.link
        assert sum(len(peer.paths) for peer in link.peers.values()) == len(link.addresses)
        for id, peer in link.peers.items():
            assert peer.id == id
            assert peer.address in peer.paths
            assert 0 < len(peer.paths) <= roster.MAX_PATHS
            assert all(link.addresses[address] is peer for address in peer.paths)
        assert {id for id, peer in link.peers.items() if peer.entry is not None} == set(node.tables)

    def whole(self, nodes: Iterable[Node] | None = None) -> bool:
        """Tell whether all nodes know all that the others have, and nothing else."""
        nodes = list(self.nodes.values() if nodes is None else nodes)
        size = len(nodes)
        if any(len(node.tables) != size - 1 for node in nodes):
            return False
        truth = {node.link.id: node.own() for node in nodes}
        return all(
            node.known() == {id: own for id, own in sorted(truth.items()) if id != node.link.id} for node in nodes
        )

    def met(self) -> bool:
        """Tell whether all nodes know of all others, and each says of each that it is complete: a cheaper ``whole``."""
        if self._unmet is not None and self._unmet.alive and not self._knows_all(self._unmet):
            return False  # as before: the same node lacks somebody
        self._unmet = next((node for node in self.nodes.values() if not self._knows_all(node)), None)
        return self._unmet is None

    def _knows_all(self, node: Node) -> bool:
        peers = node.link.peers
        return len(peers) == len(self.nodes) - 1 and all(peer.complete for peer in peers.values())


def split(datagram: bytes) -> Iterator[bytes]:
    """Yield the frames of a datagram."""
    while datagram:
        length = int.from_bytes(datagram[:2], "little")
        yield datagram[:length]
        datagram = datagram[length:]


def moves(node: Node) -> list[Address]:
    return [event.address for event in node.what(PeerMoved)]  # type: ignore[attr-defined]


def reasons(node: Node) -> list[str]:
    return [event.reason for event in node.what(PeerLost)]  # type: ignore[attr-defined]
