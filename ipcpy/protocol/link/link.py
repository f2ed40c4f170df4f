"""The link: how nodes greet, exchange their topic tables, and watch one another. Pure: datagrams, hints and ``now``
come in, datagrams and events go out. Knows nothing of sockets, nor of what the entries of a table are for.

Two nodes that have greeted (greeting.py) are peers: each has shown that it reads what is sent to its address. From then
on every frame carries the token that its receiver gave for the sender's address:

    TABLE   changes of the sender's table (table.py); answered by an ALIVE
    ALIVE   the version of our table, the version of yours that we have, and perhaps the wish for an answer
    PEERS   where other nodes may be
    BYE     the node ends
    DIED    another node of the sender's host ended without a word

A node has as many paths to a peer as the peer has addresses; the link uses the best, and all of them when the peer is
silent. Here the frames are taken apart; who lives is judged in vigil.py, what goes out is built in outbox.py. See
docs/protocol.md and docs/discovery.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from ...addresses import Address
from ...chance import Chance
from ...timeouts import NEVER
from ..wire import CHECK_SIZE, OVERHEAD, Frame, Kind, Malformed, frames
from .entries import unpack_addresses
from .greeting import BOOKS, CLOCKS, GREETING_SIZE, GREETINGS, PARTS, STATIC, Greeter
from .outbox import ALIVE_BODY, Outbox
from .peers import (
    EntryChanged,
    LinkEvent,
    NodeRefused,
    Path,
    Peer,
    PeerChanged,
    PeerFound,
    PeerLost,
    PeerMoved,
    PeerResumed,
    PeerReturned,
    PeerStalled,
    Timing,
)
from .roster import Roster
from .search import Search
from .table import Table
from .vigil import Vigil

__all__ = ["EntryChanged", "Link", "LinkEvent", "NodeRefused", "Peer", "PeerChanged", "PeerFound", "PeerLost"]
__all__ += ["PeerMoved", "PeerResumed", "PeerReturned", "PeerStalled", "Timing"]


class Link:
    """The link of one node.

    Args:
        id: the node's id, 64 bits, new with every start.
        entry: what the node says of itself.
        secret: 16 to 64 random bytes, from which the tokens are made.
        seed: makes the jitter repeatable in tests.

    Attributes:
        peers: the nodes that were greeted, by id.
        addresses: the same by address; a peer may have several.
        leads: the addresses that are knocked at, as a node may be there.
        table: what this node announces; ``changed`` sends what was put or removed.
        dropped: datagrams, and what else found no room, by cause.
        hosts: what is known of the peers' computers; its ``port`` is to be set.
        speaker: the id of the peer that hears mDNS for us: it tells of other nodes, and need not be told; 0 for none.
        on_sealed: called with a sealed datagram; tells whether it is of somebody new, who then hears of us.
    """

    def __init__(
        self, id: int, entry: bytes, domain: str, secret: bytes, timing: Timing | None = None, seed: int | None = None
    ) -> None:
        self.id, self.table = id, Table()
        self.table.put(0, entry)
        self.dropped, self.on_sealed = Counter[str](), _unread
        self.timing = timing or Timing()
        self._greeter = Greeter(id, domain, secret)
        self._search = Search(self.timing, random := Chance(seed), self.dropped)
        self._roster = Roster(self.timing)
        self._outbox = Outbox(id, self.table, self._roster, self.timing, random)
        self._vigil = Vigil(self._roster, self._outbox, self._search, self._greeter, self.timing)
        self.peers: Mapping[int, Peer] = self._roster.peers
        self.addresses: Mapping[Address, Peer] = self._roster.at
        self.leads: Collection[Address] = self._search.leads.keys()
        self._closed, self.hosts, self.speaker = False, self._vigil.hosts, 0

    # -- what comes in -----------------------------------------------------------------------------------------------

    def greet(self, now: float) -> None:
        """Greet by multicast now and in the seconds that follow, and knock at every lead: there is a new network."""
        self._search.greet(now)

    def hint(self, address: Address, now: float, *, until: float | None = None) -> None:
        """Learn that a node may be at an address. A hint is where to knock, nothing more.

        Args:
            until: when to stop knocking; ``inf`` for a static peer, by default after a few seconds.
        """
        self._search.add(address, now, now + self.timing.hint if until is None else until)

    def forget(self, address: Address) -> None:
        """Knock no more at an address that was hinted."""
        self._search.forget(address)

    def receive_datagram(self, data: bytes, address: Address, now: float, asked: str = "") -> bool:
        """Take a datagram that came from an address, unicast or multicast; return whether it may have said news.

        Args:
            asked: our own address that it was sent to; "" by multicast, or if it is not known.
        """
        if self._closed:
            return False
        self._wake(now)
        if self._is_old_news(data, address, now):
            return False
        try:
            for frame in frames(data):
                if frame.source == self.id:
                    continue  # our own multicast
                if frame.kind not in GREETINGS:
                    self._receive(frame, address, now)
                elif len(data) == GREETING_SIZE:
                    self._receive_greeting(frame, address, now, asked)
                else:  # an unknown address never gets more datagrams than came from there
                    raise Malformed("malformed")
            self._remember(data, address)
        except Malformed as error:
            self.dropped[error.cause] += 1
            if error.cause == "unauthenticated" and self.on_sealed(data):
                self._outbox.put(self._greeter.hello(address), address)
        return True

    def _is_old_news(self, data: bytes, address: Address, now: float) -> bool:
        """Take a heartbeat or greeting that is the same as the last one, as nearly all are while nothing happens."""
        peer = self._roster.at.get(address)
        if peer is None or peer.stalled:
            return False
        path = peer.paths[address]
        if data == path.beat and address == peer.address:
            path.heard = peer.heard = now
            peer.refused_at = NEVER
            return True
        return data == path.hello

    def _remember(self, data: bytes, address: Address) -> None:
        """Note a heartbeat, or a greeting to all, that was taken: the same again will say nothing new."""
        peer = self._roster.at.get(address)
        if peer is None or len(data) < OVERHEAD or int.from_bytes(data[8:16], "little") != peer.id:
            return
        if data[3] == Kind.ALIVE and len(data) == OVERHEAD + ALIVE_BODY.size and data[-CHECK_SIZE - 1] == 0:
            peer.paths[address].beat = data
        elif data[3] == Kind.HELLO and not int.from_bytes(data[6:8], "little"):
            peer.paths[address].hello = data

    def receive_refusal(self, address: Address, now: float) -> None:
        """Learn that a host said that nobody listens at an address: a hint that can be forged, so ask once more."""
        self._vigil.refused(address, now)

    def doubt(self, id: int, now: float) -> None:
        """Learn that a host said that nobody listens at another port of a peer's: it may have ended, so ask it."""
        if id in self.peers:
            self._vigil.doubt(self.peers[id], now)

    def receive_unreachable(self, address: Address, now: float) -> None:
        """Learn that the network said that there is no way to a host: a hint that can be forged."""
        self._vigil.unreachable(address, now)

    def process_died(self, id: int, now: float) -> None:
        """Learn from the operating system of this host that a peer's process ended, and tell other hosts."""
        if (peer := self.peers.get(id)) is not None:
            self._vigil.lose(peer, "process died", now)
            self._outbox.send_died(peer)

    def watch(self, id: int, watched: bool) -> None:
        """Learn whether the process of a peer is watched: then silence alone does not mean that it is lost."""
        if id in self.peers:
            self.peers[id].watched = watched

    def changed(self, now: float) -> None:
        """Send what was put into the table, or removed from it, since the last call."""
        for peer in self.peers.values():
            if not peer.stalled:
                self._outbox.send_table(peer, now)
        self._outbox.forget_removals()

    def tell(self, id: int, addresses: Sequence[Address]) -> None:
        """Tell a peer where other nodes may be; one that is silent is not told."""
        if (peer := self.peers.get(id)) is not None and not peer.stalled:
            self._outbox.tell(peer, addresses)

    def close(self) -> None:
        """Say goodbye to every peer; whatever comes in after that is ignored."""
        for address, peer in self._roster.at.items():
            self._outbox.send_bye(peer, address)
        self._closed = True
        self._roster.clear()
        self.hosts.clear()
        self._search.stop()
        self._outbox.reschedule()

    # -- peers and paths ---------------------------------------------------------------------------------------------

    def _receive_greeting(self, frame: Frame, address: Address, now: float, asked: str) -> None:
        peer = self._roster.at.get(address)
        known = peer is not None and peer.id == frame.source and not peer.stalled
        reply, token = self._greeter.answer(frame, address, known=known)
        if reply is not None:
            self._outbox.put(reply, address)
        if token is None:
            return
        path = Path(self._greeter.token(address), token, now, asked)
        if self._meet(frame, address, path, now) and frame.extra & STATIC:
            self._outbox.be_static(self.peers[frame.source], now)

    def _meet(self, frame: Frame, address: Address, path: Path, now: float) -> bool:
        """Take note that a node has shown that it reads what is sent to an address; False if there is no room."""
        id = frame.source
        holder = self._roster.at.get(address)
        if holder is not None and holder.id != id:
            self._vigil.displaced(holder, address, now)
        elif holder is not None and holder.crossed(address, path.token, now - self.timing.alive):
            return True
        peer = self._roster.place(id, address, path)
        if peer is None:
            self.dropped["peers"] += 1
            return False
        peer.delivery.split = bool(frame.extra & PARTS)
        peer.clocks, peer.books = bool(frame.extra & CLOCKS), bool(frame.extra & BOOKS)
        self._vigil.heard(peer, address, now)
        self._outbox.send_table(peer, now)
        self._outbox.owe_alive(peer, address, now)
        return True

    # -- frames of peers ---------------------------------------------------------------------------------------------

    def _receive(self, frame: Frame, address: Address, now: float) -> None:
        peer = self._roster.at.get(address)
        if peer is None or peer.id != frame.source or peer.paths[address].given != frame.seq:
            if frame.kind not in (Kind.TABLE, Kind.ALIVE) or frame.seq != self._greeter.token(address):
                raise Malformed("unknown")
            self.hint(address, now)  # it knows us, we do not, or no longer, know it
            self._search.hasten(address, now)
            raise Malformed("forgotten")
        self._vigil.heard(peer, address, now)
        if frame.kind == Kind.TABLE:
            self._receive_table(peer, frame, address, now)
        elif frame.kind == Kind.ALIVE:
            self._receive_alive(peer, frame, address, now)
        elif frame.kind == Kind.BYE:
            self._vigil.lose(peer, "closed", now)
        elif frame.kind == Kind.PEERS:
            self._receive_peers(peer, frame, address, now)
        elif frame.kind == Kind.DIED:
            self._receive_died(peer, frame, now)
        else:
            raise Malformed("malformed")

    def _receive_table(self, peer: Peer, frame: Frame, address: Address, now: float) -> None:
        known, fault = peer.entry is not None, peer.fault
        self._vigil.events += peer.learn(frame.body)
        if peer.fault and peer.fault != fault:
            self._vigil.events.append(NodeRefused(peer.id, address, peer.fault))
        if peer.entry is None:
            self.dropped["entry"] += 1
        elif not known:
            self._outbox.tell_soon(peer, now)
            self._vigil.knock_at_host(peer, now, new=True)
        self._outbox.owe_alive(peer, address, now)

    def _receive_alive(self, peer: Peer, frame: Frame, address: Address, now: float) -> None:
        if len(frame.body) != ALIVE_BODY.size:
            raise Malformed("malformed")
        announced, acked, ask = ALIVE_BODY.unpack(frame.body)
        if acked > self.table.version:
            raise Malformed("malformed")
        peer.announced = max(peer.announced, announced)
        self._vigil.acknowledged(peer, acked, now)
        if ask:
            self._outbox.owe_alive(peer, address, now)

    def _receive_peers(self, peer: Peer, frame: Frame, address: Address, now: float) -> None:
        for told in _addresses(frame.body, address[0]):
            if told not in self._roster.at:
                self.hint(told, now)
        if peer.id != self.speaker:
            self._outbox.be_static(peer, now)

    def _receive_died(self, witness: Peer, frame: Frame, now: float) -> None:
        if len(frame.body) != 8:
            raise Malformed("malformed")
        peer = self.peers.get(int.from_bytes(frame.body, "little"))
        if peer is not None:
            self._vigil.told(peer, witness, now)

    # -- what goes out -----------------------------------------------------------------------------------------------

    def datagrams_to_send(self) -> list[tuple[bytes, Address | None]]:
        """Take what is to be sent; an address of None means: by multicast, on every interface."""
        return self._outbox.take()

    def events(self) -> list[LinkEvent]:
        """Take what happened."""
        events, self._vigil.events = self._vigil.events, []
        return events

    # -- time --------------------------------------------------------------------------------------------------------

    def next_timer(self) -> float:
        """Return when handle_timer wants to be called next; ``inf`` for never."""
        return min(self._outbox.due, self._search.next)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if now < self.next_timer():
            return
        self._wake(now)
        if now >= self._outbox.due:
            self._vigil.handle_timer(now)
        for address, extra in self._search.due(now, len(self.peers), self._roster.answers):
            self._outbox.put(self._greeter.hello(address, extra), address)

    def _wake(self, now: float) -> None:
        """Forgive the others a silence in which we slept: stopped, or on a computer that has too much to do."""
        late = now - min(self._outbox.due, self._search.next)
        if late >= self.timing.asleep:
            self._vigil.sleep_over(late)
            self._outbox.sleep_over(now)
            self._search.sleep_over(now)


def _addresses(body: bytes | memoryview, sender: str) -> list[Address]:
    try:
        return unpack_addresses(body, sender)
    except ValueError:
        raise Malformed("malformed") from None


def _unread(data: bytes) -> bool:
    """Make nothing of a sealed datagram."""
    return False
