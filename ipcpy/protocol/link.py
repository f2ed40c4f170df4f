"""The link: how nodes greet, exchange their topic tables, and watch one another. Pure: datagrams, hints and ``now``
come in, datagrams and events go out.

Two nodes that have greeted (greeting.py) are peers: each has shown that it reads what is sent to its address. From then
on every frame carries the token that its receiver gave for the sender's address:

    TABLE   changes of the sender's table (table.py); answered by an ALIVE
    ALIVE   the version of our table, the version of yours that we have, and perhaps the wish for an answer
    PEERS   where other nodes may be
    BYE     the node ends

A node has as many paths to a peer as it has addresses; the best is used, and all of them are tried when it is silent.
See docs/protocol.md and docs/discovery.md.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from random import Random
from struct import Struct

import msgpack

from .entries import NodeEntry, is_ipv4, unpack_entry
from .exchange import NEVER
from .greeting import GREETING_SIZE, GREETINGS, STATIC, Address, Greeter
from .peers import (
    EntryChanged,
    LinkEvent,
    Path,
    Peer,
    PeerFound,
    PeerLost,
    PeerMoved,
    PeerResumed,
    PeerStalled,
    Timing,
    is_loopback,
)
from .search import Search
from .table import Mirror, Pool, Table
from .wire import Frame, Kind, Malformed, frames, pack_frame

__all__ = [
    "Address",
    "EntryChanged",
    "Link",
    "LinkEvent",
    "Peer",
    "PeerFound",
    "PeerLost",
    "PeerMoved",
    "PeerResumed",
    "PeerStalled",
    "Timing",
]

ALIVE_BODY = Struct("<QQB")  # version of our table, version of yours that we have, 1 = please answer
ASK = 1
MAX_PEERS = 4_096
MAX_PEERS_AT_HOST = 1_024  # with one IP address
MAX_PATHS = 16  # addresses of one peer
MAX_TOLD = 64  # addresses in one PEERS frame
TOGETHER = 0.03  # seconds: heartbeats that are due this soon are sent with those that are due


class Link:
    """The link of one node.

    Args:
        id: the node's id, 64 bits, new with every start.
        entry: what the node says of itself.
        secret: 16 to 64 random bytes, from which the tokens are made.
        seed: makes the jitter repeatable in tests.
    """

    def __init__(
        self, id: int, entry: bytes, domain: str, secret: bytes, timing: Timing | None = None, seed: int | None = None
    ) -> None:
        self.id = id
        self.table = Table()
        self.table.put(0, entry)
        self.peers: dict[int, Peer] = {}
        self.dropped: Counter[str] = Counter()
        self.timing = timing or Timing()
        self._random = Random(seed)
        self._greeter = Greeter(id, domain, secret)
        self._search = Search(self.timing, self._random)
        self._pool = Pool()
        self._at: dict[Address, Peer] = {}  # whose path an address is
        self._out: deque[tuple[bytes, Address | None]] = deque()
        self._events: deque[LinkEvent] = deque()
        self._peers_due = NEVER  # no peer needs anything before
        self._closed = False

    # -- what comes in -----------------------------------------------------------------------------------------------

    def greet(self, now: float) -> None:
        """Greet by multicast now and in the seconds that follow, and knock at every hinted address: a new network."""
        self._search.greet(now)

    def hint(self, address: Address, now: float, *, until: float | None = None) -> None:
        """Learn that a node may be at an address. A hint is where to knock, nothing more.

        Args:
            until: when to stop knocking; ``inf`` for a static peer, by default after a few seconds.
        """
        if not self._search.add(address, now, now + self.timing.hint if until is None else until):
            self.dropped["hints"] += 1

    def receive_datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take a datagram that came from an address, unicast or multicast."""
        if self._closed:
            return
        self._wake(now)
        try:
            for frame in frames(data):
                if frame.source == self.id:
                    continue  # our own multicast
                if frame.kind not in GREETINGS:
                    self._receive(frame, address, now)
                elif len(data) == GREETING_SIZE:
                    self._receive_greeting(frame, address, now)
                else:  # never more datagrams to who is unknown than came from there
                    raise Malformed("malformed")
        except Malformed as error:
            self.dropped[error.cause] += 1

    def receive_refusal(self, address: Address, now: float) -> None:
        """Learn that a host said that nobody listens at an address: a hint that can be forged, so ask once more."""
        self._search.refuse(address, now)
        peer = self._at.get(address)
        if peer is None or address != peer.address:
            return
        if not peer.refused:
            peer.refused = True
            self._beat(peer, now, peer.paths, ask=True)
            self._beat_in(peer, now, self.timing.verify)
        elif now >= peer.alive_at:
            self._lose(peer, "process died", now)

    def process_died(self, id: int, now: float) -> None:
        """Learn from the operating system of this host that a peer's process ended."""
        peer = self.peers.get(id)
        if peer is not None:
            self._lose(peer, "process died", now)

    def watch(self, id: int, watched: bool) -> None:
        """Learn whether the process of a peer is watched: then silence alone does not mean that it is lost."""
        if id in self.peers:
            self.peers[id].watched = watched

    def changed(self, now: float) -> None:
        """Send what was put into or removed from the table since."""
        for peer in self.peers.values():
            if not peer.stalled:
                self._send_table(peer, peer.delivery.send(self.table, now))
        self._forget_removals()

    def close(self) -> None:
        """Say goodbye to every peer; what comes in after that is ignored."""
        for address, peer in self._at.items():
            self._send(Kind.BYE, peer, address)
        self._closed = True
        self.peers.clear()
        self._at.clear()
        self._search.stop()
        self._peers_due = NEVER

    # -- peers and paths ---------------------------------------------------------------------------------------------

    def _receive_greeting(self, frame: Frame, address: Address, now: float) -> None:
        peer = self._at.get(address)
        known = peer is not None and peer.id == frame.source and not peer.stalled
        reply, token = self._greeter.answer(frame, address, known=known)
        if reply is not None:
            self._out.append((reply, address))
        if token is not None and self._meet(frame.source, address, token, now):
            peer = self.peers[frame.source]
            if frame.extra & STATIC and not peer.static:
                peer.static = True
                self._tell_soon(peer, now)

    def _meet(self, id: int, address: Address, token: int, now: float) -> bool:
        """Take note that a node has shown that it reads what is sent to an address; False if there is no room."""
        peer = self.peers.get(id)
        holder = self._at.get(address)
        if holder is not None and holder is not peer:
            self._displace(holder, address, now)
        if peer is None:
            at_host = sum(peer.address[0] == address[0] for peer in self.peers.values())
            if len(self.peers) >= MAX_PEERS or at_host >= MAX_PEERS_AT_HOST:
                self.dropped["peers"] += 1
                return False
            peer = self.peers[id] = Peer(id, address, now, Mirror(self._pool))
        if address not in peer.paths and len(peer.paths) >= MAX_PATHS:
            oldest = min((a for a in peer.paths if a != peer.address), key=lambda a: peer.paths[a].heard)
            del peer.paths[oldest], self._at[oldest]
        self._at[address] = peer
        peer.paths[address] = Path(self._greeter.token(address), token, now)
        self._hear(peer, address, now)
        self._send_table(peer, peer.delivery.send(self.table, now))
        self._beat(peer, now, (address,), ask=False)
        return True

    def _displace(self, peer: Peer, address: Address, now: float) -> None:
        """Another node is where a peer was: it has ended, or has other addresses now."""
        del peer.paths[address], self._at[address]
        if not peer.paths:
            self._lose(peer, "process died", now)
        elif peer.address == address:
            self._move(peer, peer.fresh(0.0)[0])
            self._beat(peer, now, peer.paths, ask=True)

    def _hear(self, peer: Peer, address: Address, now: float) -> None:
        peer.paths[address].heard = peer.heard = now
        peer.refused = False
        if peer.stalled:
            peer.stalled = False
            self._events.append(PeerResumed(peer.id))
            self._send_table(peer, peer.delivery.again(self.table, now))
        if address != peer.address:
            self._choose_path(peer, now)

    def _choose_path(self, peer: Peer, now: float) -> None:
        fresh = peer.fresh(now - self.timing.suspect - self._grace(peer))
        if peer.address not in fresh or (is_loopback(fresh[0]) and not is_loopback(peer.address)):
            self._move(peer, fresh[0])

    def _move(self, peer: Peer, address: Address) -> None:
        peer.address = address
        if peer.entry is not None:
            self._events.append(PeerMoved(peer.id, address))

    def _lose(self, peer: Peer, reason: str, now: float, *, knock: bool = False) -> None:
        del self.peers[peer.id]
        for address in peer.paths:
            del self._at[address]
            if knock:
                self.hint(address, now, until=now + self.timing.remember)
        peer.mirror.clear()
        if peer.entry is not None:
            self._events.append(PeerLost(peer.id, reason))
        self._forget_removals()

    def _forget_removals(self) -> None:
        acked = (peer.delivery.acked for peer in self.peers.values())
        self.table.forget(min(acked, default=self.table.version))

    # -- frames of peers ---------------------------------------------------------------------------------------------

    def _receive(self, frame: Frame, address: Address, now: float) -> None:
        peer = self._at.get(address)
        if peer is None or peer.id != frame.source or peer.paths[address].given != frame.seq:
            if frame.kind not in (Kind.TABLE, Kind.ALIVE) or frame.seq != self._greeter.token(address):
                raise Malformed("unknown")
            self.hint(address, now)  # it knows us, we do not, or no longer, know it
            raise Malformed("forgotten")
        self._hear(peer, address, now)
        if frame.kind == Kind.TABLE:
            self._receive_table(peer, frame, now)
            self._beat(peer, now, (address,), ask=False)
        elif frame.kind == Kind.ALIVE:
            self._receive_alive(peer, frame, address, now)
        elif frame.kind == Kind.BYE:
            self._lose(peer, "closed", now)
        elif frame.kind == Kind.PEERS:
            self._receive_peers(frame, address, now)
        else:
            raise Malformed("malformed")

    def _receive_table(self, peer: Peer, frame: Frame, now: float) -> None:
        known = peer.entry is not None
        changes = peer.mirror.apply(frame.body)
        peer.announced = max(peer.announced, peer.mirror.version)
        if 0 in peer.mirror.entries:
            self._read_node_entry(peer, peer.mirror.entries[0])
        if peer.entry is None:
            return
        if not known:
            self._events.append(PeerFound(peer.id, peer.entry, peer.address))
            self._tell_soon(peer, now)
        for id, data in changes if known else peer.mirror.entries.items():
            if id:
                self._events.append(EntryChanged(peer.id, id, data))

    def _read_node_entry(self, peer: Peer, data: bytes) -> None:
        try:
            entry = unpack_entry(data)
        except ValueError:
            entry = None
        if isinstance(entry, NodeEntry):
            peer.entry = entry
        else:
            self.dropped["entry"] += 1

    def _receive_alive(self, peer: Peer, frame: Frame, address: Address, now: float) -> None:
        if len(frame.body) != ALIVE_BODY.size:
            raise Malformed("malformed")
        announced, acked, ask = ALIVE_BODY.unpack(frame.body)
        if acked > self.table.version:
            raise Malformed("malformed")
        peer.announced = max(peer.announced, announced)
        if peer.delivery.acknowledge(acked):
            self._send_table(peer, peer.delivery.send(self.table, now))
            self._forget_removals()
        if ask:
            self._beat(peer, now, (address,), ask=False)

    def _receive_peers(self, frame: Frame, address: Address, now: float) -> None:
        try:
            flat = msgpack.unpackb(frame.body, max_array_len=2 * MAX_TOLD, max_str_len=15)
            pairs = [(ip or address[0], port) for ip, port in zip(flat[::2], flat[1::2], strict=True)]
        except Exception:  # whatever msgpack, or what is no such list, may raise
            raise Malformed("malformed") from None
        for ip, port in pairs:
            if not is_ipv4(ip) or type(port) is not int or not 0 < port < 65_536:
                raise Malformed("malformed")
            if (ip, port) not in self._at and (not is_loopback((ip, port)) or is_loopback(address)):
                self.hint((ip, port), now)

    # -- what goes out -----------------------------------------------------------------------------------------------

    def datagrams_to_send(self) -> list[tuple[bytes, Address | None]]:
        """Take what is to be sent; an address of None means: by multicast, on every interface."""
        out = list(self._out)
        self._out.clear()
        return out

    def events(self) -> list[LinkEvent]:
        """Take what happened."""
        events = list(self._events)
        self._events.clear()
        return events

    def _send(self, kind: Kind, peer: Peer, address: Address, body: bytes = b"") -> None:
        self._out.append((pack_frame(kind, self.id, peer.paths[address].token, 0, body), address))

    def _send_table(self, peer: Peer, bodies: Iterable[bytes]) -> None:
        for body in bodies:
            self._send(Kind.TABLE, peer, peer.address, body)
        self._peers_due = min(self._peers_due, peer.delivery.resend_at)

    def _beat(self, peer: Peer, now: float, addresses: Iterable[Address], *, ask: bool) -> None:
        body = ALIVE_BODY.pack(self.table.version, peer.mirror.version, ASK if ask else 0)
        for address in addresses:
            self._send(Kind.ALIVE, peer, address, body)
            if address == peer.address:
                pause = self.timing.ask if ask else self._pause(peer) * self._random.uniform(0.9, 1.0)
                self._beat_in(peer, now, pause)

    def _beat_in(self, peer: Peer, now: float, pause: float) -> None:
        peer.alive_at = now + pause
        self._peers_due = min(self._peers_due, peer.alive_at)

    def _tell_soon(self, peer: Peer, now: float) -> None:
        if peer.static and peer.entry is not None:
            peer.tell_at = self._peers_due = now
            peer.tell_pause = self.timing.tell

    def _tell(self, peer: Peer, now: float) -> None:
        """Tell a peer where the others are; again and again, ever more seldom: frames get lost, and others come."""
        peer.tell_at = now + peer.tell_pause
        peer.tell_pause = min(2 * peer.tell_pause, self.timing.tell_max)
        others = [part for other in self.peers.values() if other is not peer and other.entry for part in other.outer]
        for at in range(0, len(others), 2 * MAX_TOLD):
            self._send(Kind.PEERS, peer, peer.address, msgpack.packb(others[at : at + 2 * MAX_TOLD]))

    # -- time --------------------------------------------------------------------------------------------------------

    def next_timer(self) -> float:
        """Give when handle_timer wants to be called next; ``inf`` for never."""
        return min(self._peers_due, self._search.next)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if now < self.next_timer():
            return
        self._wake(now)
        for address, extra in self._search.due(now, len(self.peers), lambda address: self._answers(address, now)):
            self._out.append((self._greeter.hello(address, extra), address))
        if now < self._peers_due:
            return
        for peer in list(self.peers.values()):
            self._handle_peer(peer, now)
        peers = self.peers.values()
        self._peers_due = min((min(p.alive_at, p.delivery.resend_at, p.tell_at) for p in peers), default=NEVER)

    def _wake(self, now: float) -> None:
        """Forgive the others a silence in which we slept: stopped, or on a computer that has too much to do."""
        late = now - self.next_timer()
        if late < self.timing.asleep:
            return
        for peer in self.peers.values():
            peer.heard += late
            for path in peer.paths.values():
                path.heard += late
        self._peers_due = now

    def _answers(self, address: Address, now: float) -> bool:
        peer = self._at.get(address)
        return peer is not None and now - peer.paths[address].heard < self.timing.stall + self._grace(peer)

    def _pause(self, peer: Peer) -> float:
        if peer.watched:
            return self.timing.alive_watched
        return max(self.timing.alive, min(len(self.peers) / self.timing.beats, self.timing.alive_many))

    def _grace(self, peer: Peer) -> float:
        return self._pause(peer) - self.timing.alive

    def _handle_peer(self, peer: Peer, now: float) -> None:
        if now >= peer.delivery.resend_at:
            self._send_table(peer, peer.delivery.again(self.table, now))
        if now >= peer.tell_at:
            self._tell(peer, now)
        if now >= peer.alive_at - (0.0 if peer.refused else TOGETHER):
            self._check(peer, now)

    def _check(self, peer: Peer, now: float) -> None:
        timing, silence, grace = self.timing, now - peer.heard, self._grace(peer)
        if silence >= timing.lost and not peer.watched:
            self._lose(peer, "timed out", now, knock=True)
            return
        if silence >= timing.stall + grace and not peer.stalled:
            peer.stalled = True
            peer.delivery.rest()
            self._events.append(PeerStalled(peer.id))
        if silence < timing.suspect + grace and not peer.refused:
            self._beat(peer, now, (peer.address,), ask=False)
            return
        self._beat(peer, now, peer.paths, ask=True)
        if peer.stalled and peer.watched:
            self._beat_in(peer, now, timing.alive_watched)
