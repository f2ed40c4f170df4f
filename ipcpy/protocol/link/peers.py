"""What a link knows of each peer, what it tells of them, and how patient it is. Values, and what follows from them;
nothing here sends, or decides who lives."""

from __future__ import annotations

from ...addresses import Address, is_loopback
from ...records import dataclass, field
from ...timeouts import NEVER
from .entries import NodeEntry, unpack_entry
from .exchange import TableDelivery
from .table import Mirror


@dataclass(frozen=True, slots=True)
class Timing:
    """How patient a link is, all in seconds.

    Attributes:
        alive: pause between two heartbeats to a peer on another host.
        alive_many: the same where there are so many peers that ``beats`` would be exceeded; at most this.
        alive_watched: the same to a peer whose process is watched by other means.
        alive_watched_many: the same where ``beats_watched`` would be exceeded; at most this.
        beats: heartbeats per second, to all unwatched peers together, up to which the pause is ``alive``.
        beats_watched: heartbeats per second, to all watched peers together, up to which it is ``alive_watched``.
        suspect: silence after which a peer is asked to answer. ``suspect`` and ``stall`` are prolonged where heartbeats
            are rarer (``Roster.grace``).
        ask: pause between two such questions.
        verify: a second refusal (a host says that nobody listens) is believed only this long after the first one.
            Refusals can be forged; a peer that lives has answered by then, even one of many, which reads seldom.
        doubt: how long after a refusal a peer may still answer. A host sends about one refusal a second, so a second
            one may not come.
        stall: silence after which a peer counts as unresponsive.
        lost: silence after which a peer on another host is given up; a watched one is never, nor one whose host
            answers, until ``remember``.
        asleep: where a timer is handled so late, this process slept, and the silence is not laid to the peers.
        knock: pauses between HELLOs to an address; the last one repeats.
        knock_host: shortest pause between two knocks at a host whose node is silent (hosts.py).
        greet: pauses between multicast HELLOs; the last one repeats, stretched where there are many nodes.
        hint: for how long a hinted address is knocked at.
        remember: for how long the address of a lost peer is knocked at.
        tell, tell_max: first and longest pause between two tellings of where the other peers are.
    """

    alive: float = 0.3
    alive_many: float = 0.8
    alive_watched: float = 1.0
    alive_watched_many: float = 3.0
    beats: float = 100.0
    beats_watched: float = 60.0
    suspect: float = 0.7
    ask: float = 0.1
    verify: float = 0.1
    doubt: float = 0.5
    stall: float = 1.5
    lost: float = 2.2
    asleep: float = 0.5
    knock: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 1.0)
    knock_host: float = 0.2
    greet: tuple[float, ...] = (0.05, 0.2, 0.5, 1.0, 2.0)
    hint: float = 5.0
    remember: float = 600.0
    tell: float = 1.0
    tell_max: float = 30.0


@dataclass(frozen=True, slots=True)
class PeerFound:
    """A node was greeted and its own entry has come."""

    id: int
    entry: NodeEntry
    address: Address


@dataclass(frozen=True, slots=True)
class PeerChanged:
    """A peer says something else of itself than before."""

    id: int


@dataclass(frozen=True, slots=True)
class PeerMoved:
    """A peer is now best reached at another address."""

    id: int
    address: Address


@dataclass(frozen=True, slots=True)
class PeerStalled:
    """A peer has not been heard for a while."""

    id: int


@dataclass(frozen=True, slots=True)
class PeerReturned:
    """A peer that we had kept knows nothing of us any more: it had given us up, and greeted us anew."""

    id: int


@dataclass(frozen=True, slots=True)
class PeerResumed:
    """A stalled peer is heard again."""

    id: int


@dataclass(frozen=True, slots=True)
class PeerLost:
    """A peer is gone; see ipcpy.graph.NodeLost for the reasons."""

    id: int
    reason: str


@dataclass(frozen=True, slots=True)
class EntryChanged:
    """A peer's table changed; data is None if the entry was removed."""

    id: int
    entry_id: int
    data: bytes | None


@dataclass(frozen=True, slots=True)
class NodeRefused:
    """What a greeted node says of itself cannot be read, so nothing of it is believed."""

    id: int
    address: Address
    reason: str


LinkEvent = (
    PeerFound
    | PeerChanged
    | PeerMoved
    | PeerStalled
    | PeerResumed
    | PeerReturned
    | PeerLost
    | EntryChanged
    | NodeRefused
)


@dataclass(slots=True)
class Path:
    """One address of a peer that has shown that it is real.

    Attributes:
        given: the token that frames from there carry.
        token: the token that frames to there carry.
        heard: when the peer was last heard from there.
        source: our own address that the peer there speaks to, and that it expects us to speak from; "" if not known.
        beat, hello: the last heartbeat and greeting from there that said nothing new: said again they still do not.
    """

    given: int
    token: int
    heard: float
    source: str = ""
    beat: bytes = b""
    hello: bytes = b""


@dataclass(slots=True)
class Peer:
    """One node.

    Attributes:
        address: the best of its paths.
        mirror: what it told of its table.
        entry: what it says of itself; None until that has come.
        fault: why what it says of itself cannot be read; empty while there is nothing to say.
        announced: the version of its table that it last told.
        delivery: how far our table has got there.
        clocks: whether it takes CLOCK frames; who does not say so may be older.
        books: whether it answers INQUIRY frames, likewise.
        watched: the operating system tells us when its process ends.
        refused_at: when its host said that nobody listens there, if it has not been heard since.
        told_at, told_by: when another node of its host said that its process had ended, and who.
        static: one of us was given the other's address: multicast may not pass, so we tell each other of others.
    """

    id: int
    address: Address
    heard: float
    mirror: Mirror
    paths: dict[Address, Path] = field(default_factory=dict)
    delivery: TableDelivery = field(default_factory=TableDelivery)
    entry: NodeEntry | None = None
    announced: int = 0
    alive_at: float = NEVER
    refused_at: float = NEVER
    told_at: float = -NEVER
    told_by: int = 0
    tell_at: float = NEVER
    tell_pause: float = 0.0
    stalled: bool = False
    watched: bool = False
    clocks: bool = False
    books: bool = False
    static: bool = False
    fault: str = ""

    def learn(self, body: bytes | memoryview) -> list[LinkEvent]:
        """Take the body of a TABLE frame; return what is new: nothing before the node's own entry has come.

        Raises:
            Malformed: the body is none of a TABLE frame, or has too much.
        """
        before, told = self.entry, self.announced
        changes = self.mirror.apply(body)
        self.announced = max(self.announced, self.mirror.version)
        if any(change.id == 0 for change in changes):
            self._learn_entry(self.mirror.entries.get(0, b""))
        if self.entry is None:
            whole = self.mirror.whole or 0 < told <= self.mirror.version
            if whole and self.mirror.entries and 0 not in self.mirror.entries:
                self.fault = "its table has no entry with the id 0"
            return []
        found: list[LinkEvent] = []
        if before is None:
            found.append(PeerFound(self.id, self.entry, self.address))
        elif before != self.entry:
            found.append(PeerChanged(self.id))
        news = changes if before is not None else self.mirror.entries.items()
        return found + [EntryChanged(self.id, id, data) for id, data in news if id]

    def _learn_entry(self, data: bytes) -> None:
        try:
            entry = unpack_entry(data)
        except ValueError as error:
            self.fault = str(error)
            return
        if isinstance(entry, NodeEntry):
            self.entry, self.fault = entry, ""
        else:
            self.fault = "its entry with the id 0 is not that of a node"

    @property
    def complete(self) -> bool:
        """Whether all that its node announced has come."""
        return self.entry is not None and 0 < self.announced <= self.mirror.version

    def crossed(self, address: Address, token: int, since: float) -> bool:
        """Tell whether a greeting crossed another one: it says what the other said just now."""
        return self.paths[address].token == token and self.paths[address].heard > since and not self.stalled

    def ends_with(self, other: Peer) -> bool:
        """Tell whether the peer is of the same process as another peer of its host."""
        one, two = self.entry, other.entry
        return one is not None and two is not None and (one.pid, one.started) == (two.pid, two.started)

    def told(self, witness: Peer, now: float, pause: float) -> int:
        """Learn that a witness says that this peer's process ended; return how many say so by now, 0 to do nothing.

        The word of one witness is worth a question, once per pause; that of two counts like a refusal, after which
        silence for some time is the end. Only a node of the same host is listened to: no other can know.
        """
        hosts = {ip for ip, _ in self.paths} & {ip for ip, _ in witness.paths}
        if self.watched or self.stalled or self is witness or not hosts:
            return 0
        if now >= self.told_at + pause:
            self.told_at, self.told_by = now, witness.id
            return 1
        return 2 if self.told_by != witness.id and self.heard <= self.told_at else 0

    def source_to(self, ip: str) -> str:
        """Return our own address that the peer speaks to from an IP address; "" if it is not known."""
        paths = [(path.heard, path.source) for (host, _), path in list(self.paths.items()) if host == ip]
        return max(paths)[1] if paths else ""

    @property
    def due(self) -> float:
        """When the peer needs something."""
        return min(self.alive_at, self.delivery.resend_at, self.tell_at)

    @property
    def outer(self) -> Address:
        """Where others may reach the peer: as ``("", port)`` if it is on our own host, for all we know."""
        for address in (self.address, *self.paths):
            if not is_loopback(address[0]):
                return address
        return "", self.address[1]

    def fresh(self, since: float) -> list[Address]:
        """Return the addresses it was heard from since, the last heard first, of this host's own before all others."""
        found = [(is_loopback(a[0]), path.heard, a) for a, path in self.paths.items() if path.heard > since]
        return [address for _, _, address in sorted(found, reverse=True)]
