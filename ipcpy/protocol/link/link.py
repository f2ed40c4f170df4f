"""The link: how nodes greet, exchange their topic tables, and watch one another. Pure: datagrams, hints and ``now``
come in, datagrams and events go out.

Two nodes that have greeted (greeting.py) are peers: each has shown that it reads what is sent to its address. From then
on every frame carries the token that its receiver gave for the sender's address:

    TABLE   changes of the sender's table (table.py); answered by an ALIVE
    ALIVE   the version of our table, the version of yours that we have, and perhaps the wish for an answer
    PEERS   where other nodes may be
    BYE     the node ends
    DIED    another node of the sender's host ended without a word

A node has as many paths to a peer as it has addresses; the best is used, and all of them are tried when it is silent.
See docs/protocol.md and docs/discovery.md.
"""

from __future__ import annotations

from collections import Counter
from random import Random

from ...addresses import Address
from ...timeouts import NEVER
from ..wire import CHECK_SIZE, OVERHEAD, Frame, Kind, Malformed, frames
from .entries import unpack_addresses
from .greeting import GREETING_SIZE, GREETINGS, KNOCK, STATIC, Greeter
from .hosts import Hosts
from .outbox import ALIVE_BODY, Outbox
from .peers import EntryChanged, LinkEvent, Path, Peer, PeerFound, PeerLost, PeerMoved, PeerResumed, PeerStalled, Timing
from .roster import Roster
from .search import Search
from .table import Table

__all__ = ["Address", "EntryChanged", "Link", "LinkEvent", "Peer", "PeerFound", "PeerLost", "PeerMoved"]
__all__ += ["PeerResumed", "PeerStalled", "Timing"]

TOGETHER = 0.1  # of the pause between two heartbeats: those that are due this soon are sent with those that are due


class Link:
    """The link of one node.

    Args:
        id: the node's id, 64 bits, new with every start.
        entry: what the node says of itself.
        secret: 16 to 64 random bytes, from which the tokens are made.
        seed: makes the jitter repeatable in tests.

    Attributes:
        host_port: a UDP port at which no host listens by unicast, to knock at; 0 for none.
    """

    def __init__(
        self, id: int, entry: bytes, domain: str, secret: bytes, timing: Timing | None = None, seed: int | None = None
    ) -> None:
        self.id = id
        self.table = Table()
        self.table.put(0, entry)
        self.dropped: Counter[str] = Counter()
        self.timing = timing or Timing()
        self._greeter = Greeter(id, domain, secret)
        self._search = Search(self.timing, random := Random(seed))
        self._roster = Roster(self.timing)
        self.peers = self._roster.peers
        self.host_port = 0
        self._hosts = Hosts(self.timing)
        self._outbox = Outbox(id, self.table, self._roster, self.timing, random)
        self._events: list[LinkEvent] = []
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

    def forget(self, address: Address) -> None:
        """Knock no more at an address that was hinted."""
        self._search.leads.pop(address, None)

    def receive_datagram(self, data: bytes, address: Address, now: float) -> bool:
        """Take a datagram that came from an address, unicast or multicast; False if it said nothing new."""
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
                    self._receive_greeting(frame, address, now)
                else:  # never more datagrams to who is unknown than came from there
                    raise Malformed("malformed")
            self._remember(data, address)
        except Malformed as error:
            self.dropped[error.cause] += 1
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
        self._search.refuse(address, now)
        self._hosts.answered(address[0], now)
        peer = self._roster.at.get(address)
        if peer is None or address != peer.address:
            return
        if now >= peer.refused_at + self.timing.verify or peer.heard <= peer.told_at:
            self._lose(peer, "process died", now)
        else:
            self._doubt(peer, now)

    def doubt(self, id: int, now: float) -> None:
        """Learn that a host said that nobody listens at another port of a peer's: it may have ended, so ask it."""
        if id in self.peers:
            self._doubt(self.peers[id], now)

    def _doubt(self, peer: Peer, now: float) -> None:
        if peer.refused_at == NEVER:
            peer.refused_at = now
            self._outbox.send_alive(peer, now, peer.paths, ask=True)
            self._outbox.beat_in(peer, now, self.timing.verify)

    def receive_unreachable(self, address: Address, now: float) -> None:
        """Learn that the network said that there is no way to a host: a hint that can be forged."""
        self._search.refuse(address, now)
        self._hosts.unreachable(address[0], now)

    def process_died(self, id: int, now: float) -> None:
        """Learn from the operating system of this host that a peer's process ended, and tell other hosts."""
        if (peer := self.peers.get(id)) is not None:
            self._lose(peer, "process died", now)
            self._outbox.send_died(peer)

    def watch(self, id: int, watched: bool) -> None:
        """Learn whether the process of a peer is watched: then silence alone does not mean that it is lost."""
        if id in self.peers:
            self.peers[id].watched = watched

    def changed(self, now: float) -> None:
        """Send what was put into or removed from the table since."""
        for peer in self.peers.values():
            if not peer.stalled:
                self._outbox.send_table(peer, now)
        self._forget_removals()

    def close(self) -> None:
        """Say goodbye to every peer; what comes in after that is ignored."""
        for address, peer in self._roster.at.items():
            self._outbox.send_bye(peer, address)
        self._closed = True
        self._roster.clear()
        self._hosts.clear()
        self._search.stop()
        self._outbox.due = NEVER

    # -- peers and paths ---------------------------------------------------------------------------------------------

    def _receive_greeting(self, frame: Frame, address: Address, now: float) -> None:
        peer = self._roster.at.get(address)
        known = peer is not None and peer.id == frame.source and not peer.stalled
        reply, token = self._greeter.answer(frame, address, known=known)
        if reply is not None:
            self._outbox.put(reply, address)
        if token is not None and self._meet(frame.source, address, token, now) and frame.extra & STATIC:
            self._outbox.be_static(self.peers[frame.source], now)

    def _meet(self, id: int, address: Address, token: int, now: float) -> bool:
        """Take note that a node has shown that it reads what is sent to an address; False if there is no room."""
        holder = self._roster.at.get(address)
        if holder is not None and holder.id != id:
            self._displace(holder, address, now)
        elif holder is not None and holder.crossed(address, token, now - self.timing.alive):
            return True
        peer = self._roster.place(id, address, Path(self._greeter.token(address), token, now))
        if peer is None:
            self.dropped["peers"] += 1
            return False
        self._hear(peer, address, now)
        self._outbox.send_table(peer, now)
        self._outbox.owe_alive(peer, address, now)
        return True

    def _displace(self, peer: Peer, address: Address, now: float) -> None:
        """Another node is where a peer was: it has ended, or has other addresses now."""
        self._roster.vacate(peer, address)
        if not peer.paths:
            self._lose(peer, "process died", now)
        elif peer.address == address:
            self._move(peer, peer.fresh(-NEVER)[0])
            self._outbox.send_alive(peer, now, peer.paths, ask=True)

    def _hear(self, peer: Peer, address: Address, now: float) -> None:
        peer.paths[address].heard = peer.heard = now
        peer.refused_at = NEVER
        if peer.stalled:
            peer.stalled = False
            self._say(peer, PeerResumed(peer.id))
            self._outbox.send_table(peer, now, again=True)
        if address != peer.address:
            self._move(peer, self._roster.best(peer, now))

    def _move(self, peer: Peer, address: Address) -> None:
        if address != peer.address:
            peer.address = address
            self._say(peer, PeerMoved(peer.id, address))

    def _lose(self, peer: Peer, reason: str, now: float, *, knock: bool = False) -> None:
        self._roster.remove(peer)
        for address in peer.paths if knock else ():
            self.hint(address, now, until=now + self.timing.remember)
        self._say(peer, PeerLost(peer.id, reason))
        self._forget_removals()

    def _forget_removals(self) -> None:
        if self.table.remembers:
            self.table.forget(self._roster.acked(self.table.version))

    # -- frames of peers ---------------------------------------------------------------------------------------------

    def _receive(self, frame: Frame, address: Address, now: float) -> None:
        peer = self._roster.at.get(address)
        if peer is None or peer.id != frame.source or peer.paths[address].given != frame.seq:
            if frame.kind not in (Kind.TABLE, Kind.ALIVE) or frame.seq != self._greeter.token(address):
                raise Malformed("unknown")
            self.hint(address, now)  # it knows us, we do not, or no longer, know it
            self._search.hasten(address, now)
            raise Malformed("forgotten")
        self._hear(peer, address, now)
        if frame.kind == Kind.TABLE:
            self._receive_table(peer, frame, address, now)
        elif frame.kind == Kind.ALIVE:
            self._receive_alive(peer, frame, address, now)
        elif frame.kind == Kind.BYE:
            self._lose(peer, "closed", now)
        elif frame.kind == Kind.PEERS:
            self._receive_peers(peer, frame, address, now)
        elif frame.kind == Kind.DIED:
            self._receive_died(peer, frame, now)
        else:
            raise Malformed("malformed")

    def _receive_table(self, peer: Peer, frame: Frame, address: Address, now: float) -> None:
        known = peer.entry is not None
        self._events += peer.learn(frame.body)
        if peer.entry is None:
            self.dropped["entry"] += 1
        elif not known:
            self._outbox.tell_soon(peer, now)
            self._knock_at_host(peer, now, new=True)
        self._outbox.owe_alive(peer, address, now)

    def _receive_alive(self, peer: Peer, frame: Frame, address: Address, now: float) -> None:
        if len(frame.body) != ALIVE_BODY.size:
            raise Malformed("malformed")
        announced, acked, ask = ALIVE_BODY.unpack(frame.body)
        if acked > self.table.version:
            raise Malformed("malformed")
        peer.announced = max(peer.announced, announced)
        if peer.delivery.acknowledge(acked):
            self._outbox.acknowledged(peer, now)
            self._outbox.send_table(peer, now)
            self._forget_removals()
        if ask:
            self._outbox.owe_alive(peer, address, now)

    def _receive_peers(self, peer: Peer, frame: Frame, address: Address, now: float) -> None:
        try:
            addresses = unpack_addresses(frame.body, address[0])
        except ValueError:
            raise Malformed("malformed") from None
        for told in addresses:
            if told not in self._roster.at:
                self.hint(told, now)
        self._outbox.be_static(peer, now)

    def _receive_died(self, witness: Peer, frame: Frame, now: float) -> None:
        if len(frame.body) != 8:
            raise Malformed("malformed")
        peer = self.peers.get(int.from_bytes(frame.body, "little"))
        if peer is None:
            return
        witnesses = peer.told(witness, now, self.timing.doubt)
        if witnesses == 1:
            self._outbox.send_alive(peer, now, peer.paths, ask=True)
        elif witnesses:
            self._doubt(peer, now)

    def datagrams_to_send(self) -> list[tuple[bytes, Address | None]]:
        """Take what is to be sent; an address of None means: by multicast, on every interface."""
        return self._outbox.take()

    def events(self) -> list[LinkEvent]:
        """Take what happened."""
        events, self._events = self._events, []
        return events

    def _say(self, peer: Peer, event: LinkEvent) -> None:
        if peer.entry is not None:  # else nobody has heard of it
            self._events.append(event)

    # -- time --------------------------------------------------------------------------------------------------------

    def next_timer(self) -> float:
        """Give when handle_timer wants to be called next; ``inf`` for never."""
        return min(self._outbox.due, self._search.next)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if now < self.next_timer():
            return
        self._wake(now)
        if now >= self._outbox.due:
            for peer in list(self.peers.values()):
                self._handle_peer(peer, now)
            self._outbox.due = self._roster.due()
        for address, extra in self._search.due(now, len(self.peers), self._roster.answers):
            self._outbox.put(self._greeter.hello(address, extra), address)

    def _wake(self, now: float) -> None:
        """Forgive the others a silence in which we slept: stopped, or on a computer that has too much to do."""
        late = now - min(self._outbox.due, self._search.next)
        if late < self.timing.asleep:
            return
        self._roster.forgive(late)
        self._hosts.forgive(late)
        self._outbox.due = max(self._outbox.due, now)  # so that it counts once
        self._search.next = max(self._search.next, now)

    def _handle_peer(self, peer: Peer, now: float) -> None:
        if now >= peer.delivery.resend_at:
            self._outbox.repeat_table(peer, now)
        if now >= peer.tell_at:
            self._outbox.send_peers(peer, now)
        if now < peer.alive_at - TOGETHER * self.timing.alive_watched_many:
            return  # not even together with others
        pause = self._roster.pause(peer)
        heard = peer.refused_at == NEVER and now - peer.heard < self.timing.suspect + pause - self.timing.alive
        if now >= peer.alive_at - (TOGETHER * pause if heard else 0.0):
            self._check(peer, now)

    def _check(self, peer: Peer, now: float) -> None:
        timing, silence, grace = self.timing, now - peer.heard, self._roster.grace(peer)
        if silence >= timing.lost and not peer.watched and not self._hosts.lives(peer, now):
            self._lose(peer, self._hosts.reason(peer), now, knock=True)
            return
        if now >= peer.refused_at + timing.doubt and not peer.watched:
            self._lose(peer, "process died", now)
            return
        if silence >= timing.stall + grace and not peer.stalled:
            peer.stalled = True
            peer.delivery.rest()
            self._say(peer, PeerStalled(peer.id))
        if silence < timing.suspect + grace and peer.refused_at == NEVER:
            self._outbox.send_alive(peer, now, (peer.address,))
            self._knock_at_host(peer, now, new=True)
            return
        self._outbox.send_alive(peer, now, peer.paths, ask=True)
        if peer.stalled and (peer.watched or silence >= timing.lost):
            self._outbox.beat_in(peer, now, timing.alive_watched)
        if peer.stalled and not peer.watched:
            self._knock_at_host(peer, now)

    def _knock_at_host(self, peer: Peer, now: float, *, new: bool = False) -> None:
        """Find out whether a peer's host lives; new: whether it is one that says so."""
        for ip in {address[0] for address in peer.paths} if self.host_port and not peer.watched else ():
            if self._hosts.knock(ip, now, new=new):
                address = (ip, self.host_port)
                self._outbox.put(self._greeter.hello(address, KNOCK), address)
