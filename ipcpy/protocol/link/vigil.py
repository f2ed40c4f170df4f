"""Who of the peers lives: what silence, refusals and the word of other nodes say of a peer, when to ask it, and when to
give it up. Pure: hints and ``now`` come in, events go out. Knows nothing of how nodes greet, nor of what tables hold.
"""

from __future__ import annotations

from ...addresses import Address
from ...timeouts import NEVER
from .greeting import KNOCK, Greeter
from .hosts import Hosts
from .outbox import Outbox
from .peers import LinkEvent, Peer, PeerLost, PeerMoved, PeerResumed, PeerReturned, PeerStalled, Timing
from .roster import Roster
from .search import Search

TOGETHER = 0.1  # share of the pause: a heartbeat that is due within it is sent now, with those that are due


class Vigil:
    """The watch over the peers of one node.

    Attributes:
        events: what happened; the link adds what tables say.
        hosts: what is known of the peers' computers.
    """

    def __init__(self, roster: Roster, outbox: Outbox, search: Search, greeter: Greeter, timing: Timing) -> None:
        self.events: list[LinkEvent] = []
        self.hosts = Hosts(timing)
        self._roster = roster
        self._outbox = outbox
        self._search = search
        self._greeter = greeter
        self._timing = timing

    # -- what says that a peer lives, or not -------------------------------------------------------------------------

    def heard(self, peer: Peer, address: Address, now: float) -> None:
        """Learn that a peer spoke from an address."""
        peer.paths[address].heard = peer.heard = now
        peer.refused_at = NEVER
        if peer.stalled:
            peer.stalled = False
            self._say(peer, PeerResumed(peer.id))
            self._outbox.send_table(peer, now, again=True)
        if address != peer.address:
            self._move(peer, self._roster.best(peer, now))

    def acknowledged(self, peer: Peer, version: int, now: float) -> None:
        """Learn up to which version a peer has our table."""
        if peer.delivery.acknowledge(version):
            self._outbox.acknowledged(peer, now)
            self._outbox.send_table(peer, now)
            self._outbox.forget_removals()
            if peer.delivery.anew:
                self._say(peer, PeerReturned(peer.id))

    def displaced(self, peer: Peer, address: Address, now: float) -> None:
        """Learn that another node is where a peer was: the peer has ended, or has other addresses now."""
        self._roster.vacate(peer, address)
        if not peer.paths:
            self.lose(peer, "process died", now)
        elif peer.address == address:
            self._move(peer, peer.fresh(-NEVER)[0])
            self._outbox.send_alive(peer, now, peer.paths, ask=True)

    def refused(self, address: Address, now: float) -> None:
        """Learn that a host said that nobody listens at an address: a hint that can be forged, so ask once more."""
        self._search.refuse(address, now)
        self.hosts.answered(address[0], now)
        peer = self._roster.at.get(address)
        if peer is None or address != peer.address:
            return
        if now >= peer.refused_at + self._timing.verify or peer.heard <= peer.told_at:
            self.lose(peer, "process died", now)
        else:
            self.doubt(peer, now)

    def unreachable(self, address: Address, now: float) -> None:
        """Learn that the network said that there is no way to a host: a hint that can be forged."""
        self._search.refuse(address, now)
        self.hosts.unreachable(address[0], now)

    def told(self, peer: Peer, witness: Peer, now: float) -> None:
        """Learn that another node says that a peer's process ended."""
        witnesses = peer.told(witness, now, self._timing.doubt)
        if witnesses == 1:
            self._outbox.send_alive(peer, now, peer.paths, ask=True)
        elif witnesses:
            self.doubt(peer, now)

    def doubt(self, peer: Peer, now: float) -> None:
        """Learn of a sign that a peer may have ended: ask it, unless it was asked already."""
        if peer.refused_at == NEVER:
            peer.refused_at = now
            self._outbox.send_alive(peer, now, peer.paths, ask=True)
            self._outbox.beat_in(peer, now, self._timing.verify)

    def lose(self, peer: Peer, reason: str, now: float, *, knock: bool = False) -> None:
        """Give up a peer.

        Args:
            knock: whether to look for it where it was.
        """
        self._roster.remove(peer)
        for address in peer.paths if knock else ():
            self._search.add(address, now, now + self._timing.remember)
        self._say(peer, PeerLost(peer.id, reason))
        self._outbox.forget_removals()

    def _move(self, peer: Peer, address: Address) -> None:
        if address != peer.address:
            peer.address = address
            self._say(peer, PeerMoved(peer.id, address))

    def _say(self, peer: Peer, event: LinkEvent) -> None:
        if peer.entry is not None:  # else nobody has heard of it
            self.events.append(event)

    # -- time --------------------------------------------------------------------------------------------------------

    def sleep_over(self, seconds: float) -> None:
        """Forgive the others a silence in which we slept."""
        self._roster.forgive(seconds)
        self.hosts.forgive(seconds)

    def handle_timer(self, now: float) -> None:
        """Look after every peer that needs it."""
        for peer in list(self._roster.peers.values()):
            self._look_after(peer, now)
        self._outbox.reschedule()

    def _look_after(self, peer: Peer, now: float) -> None:
        if now >= peer.delivery.resend_at:
            self._outbox.repeat_table(peer, now)
        if now >= peer.tell_at:
            self._outbox.send_peers(peer, now)
        if now < peer.alive_at - TOGETHER * self._timing.alive_watched_many:
            return  # not even together with others
        pause = self._roster.pause(peer)
        heard = peer.refused_at == NEVER and now - peer.heard < self._timing.suspect + pause - self._timing.alive
        if now >= peer.alive_at - (TOGETHER * pause if heard else 0.0):
            self._judge(peer, now)

    def _judge(self, peer: Peer, now: float) -> None:
        """Decide by a peer's silence whether it lives, and send it a heartbeat, or a question on every path."""
        timing, silence, grace = self._timing, now - peer.heard, self._roster.grace(peer)
        lives = peer.watched or self.hosts.lives(peer, now)
        unread = peer.heard <= self.hosts.rekeyed_at and silence >= timing.lost + grace
        if unread or (silence >= timing.lost and not lives):
            self.lose(peer, self.hosts.reason(peer), now, knock=True)
            return
        if now >= peer.refused_at + timing.doubt and not peer.watched:
            self.lose(peer, "process died", now)
            return
        if silence >= timing.stall + grace and not peer.stalled:
            peer.stalled = True
            peer.delivery.rest()
            self._say(peer, PeerStalled(peer.id))
        if silence < timing.suspect + grace and peer.refused_at == NEVER:
            self._outbox.send_alive(peer, now, (peer.address,))
            self.knock_at_host(peer, now, new=True)
            return
        self._outbox.send_alive(peer, now, peer.paths, ask=True)
        if peer.stalled and (peer.watched or silence >= timing.lost):
            self._outbox.beat_in(peer, now, timing.alive_watched)
        if peer.stalled and not peer.watched:
            self.knock_at_host(peer, now)

    def knock_at_host(self, peer: Peer, now: float, *, new: bool = False) -> None:
        """Find out whether a peer's host lives.

        Args:
            new: to learn whether the host ever answers; else to learn whether it lives.
        """
        for ip in {address[0] for address in peer.paths} if self.hosts.port and not peer.watched else ():
            if self.hosts.knock(ip, now, new=new):
                address = (ip, self.hosts.port)
                self._outbox.put(self._greeter.hello(address, KNOCK), address)
