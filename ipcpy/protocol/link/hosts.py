"""What is known of the computers that peers run on: whether one lives although a process on it is silent. Pure; knocks
at nothing itself.

A host that lives says so when a port is knocked at where nobody listens (ICMP port unreachable, RFC 792). If it does,
and does not say the same of the silent node's own port, then the process is there and does not run: it is stopped,
swapped out or in a debugger. A host that once answered such a knock and now does not is unreachable; of one that never
did, as a firewall may wish, nothing can be told. All of it can be forged, so it only ever decides how patient we are,
within bounds, and which reason is given.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...records import dataclass
from ...timeouts import NEVER
from .peers import Peer, Timing

MAX_HOSTS = 4_096
TRIES = 3  # to learn whether a host is one that answers


@dataclass(slots=True)
class Host:
    """One IP address: when it was knocked at, when it answered, when the network said that there is no way to it."""

    knocked: float = -NEVER
    tries: int = 0
    answered: float = -NEVER
    unreachable: float = -NEVER


class Hosts:
    """The hosts of the peers.

    Attributes:
        known: the hosts that were knocked at, by IP address.
        port: a UDP port at which no host listens by unicast, to knock at; 0 for none, and then nobody is knocked at.
        rekeyed_at: when we last gave up a key: who is silent since then may live, and be one that we cannot read.
    """

    def __init__(self, timing: Timing) -> None:
        self.port = 0
        self.rekeyed_at = -NEVER
        self._timing = timing
        self.known: dict[str, Host] = {}

    def _of(self, peer: Peer) -> Iterable[Host]:
        return [self.known[ip] for ip in {address[0] for address in peer.paths} if ip in self.known]

    def knock(self, ip: str, now: float, *, new: bool = False) -> bool:
        """Tell whether a host is to be knocked at now, and note that it is.

        Args:
            new: to learn whether the host ever answers, a few times; else to learn whether it lives.
        """
        host = self.known.get(ip)
        if host is None:
            if len(self.known) >= MAX_HOSTS:
                del self.known[next(iter(self.known))]
            host = self.known[ip] = Host()
        elif new and (host.answered > -NEVER or host.tries >= TRIES or now < host.knocked + self._timing.alive_watched):
            return False
        elif now < host.knocked + self._timing.knock_host:
            return False
        host.knocked = now
        host.tries += 1
        return True

    def answered(self, ip: str, now: float) -> None:
        """Learn that a host said that nobody listens at one of its ports."""
        if ip in self.known:
            self.known[ip].answered = now

    def unreachable(self, ip: str, now: float) -> None:
        """Learn that the network said that there is no way to a host."""
        if ip in self.known:
            self.known[ip].unreachable = now

    def lives(self, peer: Peer, now: float) -> bool:
        """Tell whether a silent peer's host has answered not long ago, and well after the peer fell silent."""
        last = max((host.answered for host in self._of(peer)), default=-NEVER)
        fresh = last > peer.heard + self._timing.suspect and now < last + self._timing.lost
        return fresh and now < peer.heard + self._timing.remember

    def reason(self, peer: Peer) -> str:
        """Say why a peer that is silent for too long is given up."""
        hosts = self._of(peer)
        told = any(host.unreachable > peer.heard for host in hosts)
        used_to = any(host.answered > -NEVER for host in hosts)
        return "host unreachable" if told or (used_to and self._silent(peer)) else "timed out"

    def _silent(self, peer: Peer) -> bool:
        return all(host.knocked > max(peer.heard, host.answered) for host in self._of(peer))

    def rekey(self, now: float) -> None:
        """Learn that we gave up a key: who is silent from now on is lost, also one whose process lives."""
        self.rekeyed_at = now

    def forgive(self, seconds: float) -> None:
        """Let a time in which we heard nobody not count as anybody's silence."""
        self.rekeyed_at += seconds
        for host in self.known.values():
            host.answered += seconds

    def clear(self) -> None:
        """Forget all hosts."""
        self.known.clear()
