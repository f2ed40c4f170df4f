"""The frames that go to peers: builds and queues them, sets the timers of the next. Does not judge who is alive, nor
know what entries say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct

from ...addresses import Address
from ...chance import Chance
from ...timeouts import NEVER
from ..wire import Kind, pack_frame
from .entries import pack_addresses
from .exchange import TableDelivery
from .peers import Peer, Timing
from .roster import Roster
from .table import Table

ALIVE_BODY = Struct("<QQB")  # version of our table, version of yours that we have, 1 = please answer
ASK = 1
WITNESSES = 2  # nodes that tell each peer of another host of the end of a process
MAX_DATAGRAM = 1_200  # bytes: below any MTU in use. table.CHUNK is chosen likewise, and no single frame has more
TELL = 60  # addresses in a PEERS frame: 60 * 19 bytes, and 36 of the frame
LATE = 0.5  # seconds that an acknowledgement counts as having taken at most: more says that somebody was stopped


class Outbox:
    """What one node sends.

    Attributes:
        due: when the first peer needs something.
    """

    def __init__(self, id: int, table: Table, roster: Roster, timing: Timing, random: Chance) -> None:
        self.due = NEVER
        self._id = id
        self._table = table
        self._roster = roster
        self._timing = timing
        self._random = random
        self._queue: list[tuple[bytes, Address | None]] = []
        self._begun: dict[Address, int] = {}  # where in the queue a datagram is that has room for more frames
        self._owed: dict[Address, tuple[Peer, float]] = {}
        self._rounds = {False: 0.0, True: 0.0}  # whether peers are watched -> when heartbeats to them go out together
        self._usual = 0.0  # seconds until an acknowledgement, the average of late

    def reschedule(self) -> None:
        """Set ``due`` anew: every peer was looked after."""
        self.due = self._roster.due()

    def sleep_over(self, now: float) -> None:
        """Have what was due while we slept be due now, so that we are late once and not twice."""
        self.due = max(self.due, now)

    def put(self, datagram: bytes, address: Address | None) -> None:
        """Queue a datagram; an address of None means: by multicast, on every interface."""
        self._queue.append((datagram, address))

    def take(self) -> list[tuple[bytes, Address | None]]:
        """Take what was queued, and the answers that are owed."""
        owed, self._owed = self._owed, {}
        for address, (peer, now) in owed.items():
            if self._roster.at.get(address) is peer:  # the peer may have said goodbye meanwhile
                self.send_alive(peer, now, (address,))
        taken, self._queue = self._queue, []
        self._begun.clear()
        return taken

    def owe_alive(self, peer: Peer, address: Address, now: float) -> None:
        """Answer a peer with an ALIVE, once all that came in together has been read."""
        self._owed[address] = peer, now

    def send_bye(self, peer: Peer, address: Address) -> None:
        """Say goodbye."""
        self._send(Kind.BYE, peer, address)

    def send_died(self, dead: Peer) -> None:
        """Tell the peers of other hosts, each of which hears it of two of us, that a process of this host ended."""
        if not dead.watched:
            return  # its process did not exist. A node may lie about its pid; that must not make this one send to all
        alive = {peer.id for peer in self._roster.peers.values() if peer.watched and not peer.ends_with(dead)}
        witnesses = sorted(alive | {self._id})
        rank = witnesses.index(self._id)
        for peer in self._roster.peers.values():
            if not peer.watched and (peer.id - rank) % len(witnesses) < WITNESSES:
                self._send(Kind.DIED, peer, peer.address, dead.id.to_bytes(8, "little"))

    def send_table(self, peer: Peer, now: float, *, again: bool = False) -> None:
        """Send what a peer lacks of our table; again: what is on its way too."""
        delivery = self._informed(peer)
        for body in (delivery.again if again else delivery.send)(self._table, now):
            self._send(Kind.TABLE, peer, peer.address, body)
        self.due = min(self.due, delivery.resend_at)

    def repeat_table(self, peer: Peer, now: float) -> None:
        """Send what is on its way to a peer again, if the acknowledgement takes longer than it usually does."""
        if self._informed(peer).overdue(now):
            self.send_table(peer, now, again=True)

    def _informed(self, peer: Peer) -> TableDelivery:
        peer.delivery.peers, peer.delivery.usual = len(self._roster.peers), self._usual
        return peer.delivery

    def acknowledged(self, peer: Peer, now: float) -> None:
        """Learn how long a peer takes: on a busy computer all take long, and repeating too soon makes it busier."""
        self._usual += (min(peer.delivery.took(now), LATE) - self._usual) / 8

    def forget_removals(self) -> None:
        """Have the table forget the removals that all peers know of."""
        if self._table.removals:
            self._table.forget(self._roster.acked(self._table.version))

    def send_alive(self, peer: Peer, now: float, addresses: Iterable[Address], *, ask: bool = False) -> None:
        """Send a heartbeat to some addresses of a peer, and perhaps ask for one."""
        body = ALIVE_BODY.pack(self._table.version, peer.mirror.version, ASK if ask else 0)
        for address in addresses:
            self._send(Kind.ALIVE, peer, address, body)
            if address == peer.address:
                self.beat_in(peer, now, self._timing.ask if ask else self._round(peer, now) - now)

    def _round(self, peer: Peer, now: float) -> float:
        """Return when the next heartbeat to a peer is due: with those to others, so that we wake up once for all."""
        pause = self._roster.pause(peer)
        if not pause / 2 < self._rounds[peer.watched] - now <= pause:
            self._rounds[peer.watched] = now + pause * self._random.uniform(0.9, 1.0)
        return self._rounds[peer.watched]

    def beat_in(self, peer: Peer, now: float, pause: float) -> None:
        """Have a peer looked after again after a pause."""
        peer.alive_at = now + pause
        self.due = min(self.due, peer.alive_at)

    def send_peers(self, peer: Peer, now: float) -> None:
        """Tell a peer where the others are; again and again, ever more seldom: frames get lost, and nodes come."""
        others = [other.outer for other in self._roster.peers.values() if other is not peer and other.entry is not None]
        self.tell(peer, others)
        peer.tell_at = now + peer.tell_pause
        peer.tell_pause = min(2 * peer.tell_pause, self._timing.tell_max)

    def tell(self, peer: Peer, addresses: Sequence[Address]) -> None:
        """Tell a peer where others may be; a frame without addresses says: tell me."""
        for at in range(0, len(addresses) or 1, TELL):
            self._send(Kind.PEERS, peer, peer.address, pack_addresses(list(addresses[at : at + TELL])))

    def be_static(self, peer: Peer, now: float) -> None:
        """Take note that multicast may not tell a peer of the others."""
        if not peer.static:
            peer.static = True
            self.tell_soon(peer, now)

    def tell_soon(self, peer: Peer, now: float) -> None:
        """Begin to tell a peer where the others are, if the peer is static and has told who it is."""
        if peer.static and peer.entry is not None:
            peer.tell_at = self.due = now
            peer.tell_pause = self._timing.tell

    def _send(self, kind: Kind, peer: Peer, address: Address, body: bytes = b"") -> None:
        """Queue a frame, in one datagram with the frames that go to the same address now."""
        frame = pack_frame(kind, self._id, peer.paths[address].token, 0, body)
        at = self._begun.get(address)
        if at is not None and len(begun := self._queue[at][0]) + len(frame) <= MAX_DATAGRAM:
            self._queue[at] = begun + frame, address
        else:
            self._begun[address] = len(self._queue)
            self._queue.append((frame, address))
