"""Who is there: the peers of a link and the addresses they have. Keeps the books; sends nothing, and judges nobody.

An address belongs to one peer. What all peers may cost is bounded, whatever a hostile network does.
"""

from __future__ import annotations

from ...addresses import Address, is_loopback
from ...timeouts import NEVER
from .peers import Path, Peer, Timing
from .table import Mirror, Pool

MAX_PEERS = 4_096
MAX_PEERS_AT_HOST = 1_024  # with one IP address
MAX_PATHS = 16  # addresses of one peer


class Roster:
    """The peers, by id and by address."""

    def __init__(self, timing: Timing) -> None:
        self.peers: dict[int, Peer] = {}
        self.at: dict[Address, Peer] = {}
        self.pool = Pool()
        self._timing = timing
        self._count()

    def place(self, id: int, address: Address, path: Path) -> Peer | None:
        """Note that a node is at an address that nobody else has; None if there is no room for it."""
        peer = self.peers.get(id)
        if peer is None:
            if len(self.peers) >= MAX_PEERS or self._is_full(address[0]):
                return None
            peer = self.peers[id] = Peer(id, address, path.heard, Mirror(self.pool))
            self._count()
        if address not in peer.paths and len(peer.paths) >= MAX_PATHS:
            others = [other for other in peer.paths if other != peer.address]
            self.vacate(peer, min(others, key=lambda other: peer.paths[other].heard))
        self.at[address] = peer
        peer.paths[address] = path
        return peer

    def _is_full(self, ip: str) -> bool:
        if len(self.peers) < MAX_PEERS_AT_HOST:
            return False
        return sum(other.address[0] == ip for other in self.peers.values()) >= MAX_PEERS_AT_HOST

    def vacate(self, peer: Peer, address: Address) -> None:
        """Note that a peer is no longer at an address."""
        del peer.paths[address], self.at[address]

    def remove(self, peer: Peer) -> None:
        """Forget a peer."""
        del self.peers[peer.id]
        self._count()
        for address in peer.paths:
            del self.at[address]
        peer.mirror.clear()

    def clear(self) -> None:
        """Forget all peers."""
        for peer in list(self.peers.values()):
            self.remove(peer)

    def best(self, peer: Peer, now: float) -> Address:
        """Return the path to use: one of this host, else the one in use while it is heard, else the last heard."""
        fresh = peer.fresh(now - self._timing.suspect - self.grace(peer))
        if not fresh or (peer.address in fresh and is_loopback(fresh[0][0]) <= is_loopback(peer.address[0])):
            return peer.address
        return fresh[0]

    def answers(self, address: Address, now: float) -> bool:
        """Tell whether a peer was heard from an address not long ago."""
        peer = self.at.get(address)
        return peer is not None and now - peer.paths[address].heard < self._timing.stall + self.grace(peer)

    def acked(self, version: int) -> int:
        """Return the version of our table that all peers have; ``version`` if there are none."""
        return min((peer.delivery.acked for peer in self.peers.values()), default=version)

    def due(self) -> float:
        """Return when the first peer needs something."""
        return min((peer.due for peer in self.peers.values()), default=NEVER)

    def pause(self, peer: Peer) -> float:
        """Return the pause between two heartbeats to a peer."""
        return self._pause_watched if peer.watched else self._pause

    def _count(self) -> None:
        timing, peers = self._timing, len(self.peers)
        self._pause = max(timing.alive, min(peers / timing.beats, timing.alive_many))
        self._pause_watched = max(timing.alive_watched, min(peers / timing.beats_watched, timing.alive_watched_many))

    def grace(self, peer: Peer) -> float:
        """Return how much longer than ``timing`` says a peer may be silent, for its heartbeats are rarer."""
        return self.pause(peer) - self._timing.alive

    def forgive(self, seconds: float) -> None:
        """Let a time in which we heard nobody not count as anybody's silence."""
        for peer in self.peers.values():
            peer.heard += seconds
            peer.refused_at += seconds
            peer.told_at += seconds
            for path in peer.paths.values():
                path.heard += seconds
