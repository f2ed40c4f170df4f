"""Who speaks mDNS for a node: the node itself, or another of its host that does already.

python-zeroconf, with asyncio, costs 55 ms of computing and 15 MB. So of the nodes of a host that are to be shown alike,
the oldest speaks for all (an advertising proxy, in the words of DNS-SD), and when it ends the oldest of those that are
left. Each keeps a service of its own. Who speaks for it, each node says in its own entry of the link's table.

Knows names and addresses, which are hints for the link, and what peers say of themselves; nothing of frames, and not
who lives. Used in the I/O thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from ..chance import Chance
from ..checksum import blake2b
from ..importing import importing
from ..log import get_logger
from ..protocol.link.entries import NodeEntry, pack_entry
from ..protocol.link.link import EntryChanged, Link, LinkEvent, Peer
from ..records import replace
from ..timeouts import NEVER
from ..typed import TYPE_CHECKING
from .loop import Alarm, Loop
from .network import Network
from .proxy import Knocker, Proxy, is_near

if TYPE_CHECKING:
    from ..discovery.advert import Advert
    from ..discovery.mdns import Mdns

log = get_logger(__name__)

AFTER = 0.3  # seconds until a node sees to it that mDNS is spoken: those who find each other at once are busy
LATER = 0.4  # seconds that a node waits longer, at most, once it has found others
LATER_EACH = 0.1  # seconds more for each that it found; waited again while their number grows
AT_LAST = 20.0  # seconds after which it speaks even if others are still being found
PATIENCE = 2  # times that it waits for an older node of its host to begin
SOON = 0.2  # seconds from news of others to a look at what follows: much comes together
ALIKE = 3.0  # seconds in which nodes of a host come to be shown alike, when the network or a key has changed


class Speaking:
    """mDNS as far as one node is concerned.

    Args:
        entry: what the node says of itself; here it says who speaks for it.
        link: is told where nodes may be, and tells those for whom this node speaks.
        knocker: knocks there.
        network: the interfaces to show the node on.
        keys: returns the ids of its keys, the one first that seals; none for a node without a key.
        published: returns the topics that a node publishes, by its id.
    """

    def __init__(
        self,
        loop: Loop,
        entry: NodeEntry,
        link: Link,
        knocker: Knocker,
        network: Network,
        keys: Callable[[], tuple[str, ...]],
        published: Callable[[int], tuple[str, ...]],
    ) -> None:
        self._loop = loop
        self._entry = entry
        self._link = link
        self._knocker = knocker
        self._network = network
        self._keys = keys
        self._published = published
        self._random = Chance()  # of its own: the one that all share may be seeded by the program
        self._mdns: Mdns | None = None
        self._uses = False  # whether the node is to be shown by mDNS
        self._everywhere = False  # whether somebody asked for other domains
        self._closed = False
        self._speaker = 0  # whom this node has speak for it, be it itself; 0 while it seeks
        self._sought = NEVER  # since when it does
        self._waits_for = 0  # peers known when it was put off
        self._patience = PATIENCE
        self._unlike_since = NEVER
        self._adverts: dict[int, Advert] = {}  # of those for whom this node speaks
        self._proxy = Proxy(loop, entry, link, knocker)
        self._review = Alarm(loop, self._on_review)

    # -- what the node does ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """See to it that the node is shown, and others are looked for, soon."""
        self._uses = True
        self._say()
        self._seek(AFTER)

    def domains(self) -> tuple[str, ...]:
        """Return our domain, and behind it the others of which nodes were heard by mDNS, those with most nodes first.

        The first call has this node speak at once, and ask for nodes of all domains. For any thread.
        """
        if not self._everywhere:
            self._everywhere = True
            self._loop.call(self._speak)
        heard = self._mdns.domains() if self._mdns is not None else {}
        return (self._entry.domain, *sorted(heard, key=lambda domain: (-heard[domain], domain)))

    def network_changed(self) -> None:
        """Show the nodes, and look for others, on the interfaces that there are now."""
        if self._mdns is not None:
            self._mdns.set_interfaces(self._network.multicast_addresses())
        self._say()
        self._look_soon()

    def show(self) -> None:
        """Show the topics and the key of this node as they are now."""
        if self._mdns is not None and not self._closed:
            self._mdns.update(self._advert(self._link.id, self._entry, self._knocker.port))
        self._say()

    def ignored(self) -> Mapping[str, int]:
        """Return what mDNS ignored, by cause."""
        return self._mdns.counters if self._mdns is not None else {}

    def close(self) -> None:
        """Say goodbye by mDNS."""
        self._closed = True
        if self._mdns is not None:
            self._mdns.close()

    def abandon(self) -> None:
        """Close the descriptors without a word; what a forked child does with those of its parent."""
        self._closed = True
        if self._mdns is not None:
            self._mdns.abandon()

    # -- who speaks --------------------------------------------------------------------------------------------------

    def _seek(self, delay: float) -> None:
        """Find who speaks for this node, or speak, from so many seconds on."""
        self._sought, self._patience = time.monotonic(), PATIENCE
        self._loop.call_at(self._sought + delay, self._decide)

    def _decide(self) -> None:
        """Have another node speak if one does already; else speak, or wait: for those still being found, or older."""
        if self._closed or self._speaker or self._finds_speaker() or self._mdns is not None:
            return
        now, found = time.monotonic(), len(self._link.peers)
        growing = found > self._waits_for
        if now <= self._sought + AT_LAST and (growing or (self._patience and self._is_younger())):
            self._patience -= not growing
            self._waits_for = found
            later = self._random.uniform(0.5, 1.0) * (LATER + LATER_EACH * found)
            self._loop.call_at(now + later, self._decide)
        else:
            self._speak()

    def _neighbours(self) -> list[tuple[Peer, NodeEntry]]:
        """Return the peers of this host that are shown as this node is, by age, the oldest first."""
        shown, machine = self._entry.shown, self._entry.machine
        found = [
            (peer, peer.entry)
            for peer in self._link.peers.values()
            if peer.entry is not None and peer.entry.shown == shown and not peer.stalled and is_near(peer, machine)
        ]
        return sorted(found, key=lambda each: (each[1].started, each[0].id))

    def _finds_speaker(self) -> bool:
        """Have the oldest neighbour speak that does; tell whether there is one."""
        speaker = next((peer.id for peer, entry in self._neighbours() if entry.speaker == peer.id), 0)
        if speaker:
            log.info("mDNS: the node %016x of this host speaks for this one too", speaker)
            self._say(speaker)
        return speaker != 0

    def _is_younger(self) -> bool:
        """Tell whether an older neighbour has nobody speak for it either, so that it will speak for us."""
        neighbours = self._neighbours()
        speakers = {peer.id for peer, entry in neighbours if entry.speaker == peer.id}
        age = self._entry.started, self._link.id
        return any(entry.speaker not in speakers and (entry.started, peer.id) < age for peer, entry in neighbours)

    def _speak(self) -> None:
        if not self._uses or self._mdns is not None or self._closed:
            return
        with importing.lock:
            from ..discovery.mdns import Mdns

        advert = self._advert(self._link.id, self._entry, self._knocker.port)
        self._mdns = Mdns(
            advert,
            self._network.multicast_addresses(),
            self._on_found,
            known=self._known_instances,
            keys=self._keys,
            on_state=lambda: self._loop.call(self._on_state),
        )
        if self._everywhere:
            self._mdns.domains()
        self._mdns.start()
        self._say(self._link.id)

    def _on_state(self) -> None:
        """Speak only as long as that works; else have another speak, once there is one."""
        if self._mdns is not None and not self._mdns.error:
            self._say(self._link.id)
        elif self._speaker == self._link.id:
            self._say(0)
            self._seek(0.0)

    def _say(self, speaker: int | None = None) -> None:
        """Tell the peers who speaks for this node, and how it is shown, if that changed.

        Args:
            speaker: who does from now on; 0 for nobody. None leaves it.
        """
        if not self._uses or self._closed:
            return
        if speaker is not None:
            self._speaker = speaker
            self._link.speaker = 0 if speaker == self._link.id else speaker
        how = ",".join(self._keys()), ",".join(self._network.wanted), *sorted(self._network.multicast_addresses())
        shown = blake2b(" ".join(how).encode(), digest_size=8).hexdigest()
        entry = replace(self._entry, shown=shown, speaker=self._entry.speaker if speaker is None else speaker)
        if entry != self._entry:
            self._entry = entry
            self._link.table.put(0, pack_entry(entry))
            self._knocker.tell()
            self._look_soon()

    # -- what peers say ----------------------------------------------------------------------------------------------

    def on_link_event(self, event: LinkEvent) -> None:
        """Take what the link says of another node."""
        if self._uses and (not isinstance(event, EntryChanged) or event.id in self._proxy):
            self._look_soon()

    def _look_soon(self) -> None:
        self._review.by(time.monotonic() + SOON)

    def _on_review(self) -> None:
        if self._closed:
            return
        if self._speaker == self._link.id:
            self._speak_for_others()
        elif not self._speaker:
            self._finds_speaker()
        elif not self._is_spoken_for():  # what we said of it stays until we know better: it may come back
            self._speaker = self._link.speaker = 0
            self._waits_for, self._unlike_since = len(self._link.peers), NEVER
            self._seek(0.0)

    def _is_spoken_for(self) -> bool:
        """Tell whether who is to speak for this node still does."""
        peer, now = self._link.peers.get(self._speaker), time.monotonic()
        if peer is None or peer.entry is None or peer.entry.speaker != peer.id:
            return False
        if peer.stalled or not is_near(peer, self._entry.machine):
            return False
        if peer.entry.shown == self._entry.shown:
            self._unlike_since = NEVER
            return True
        self._unlike_since = min(self._unlike_since, now)
        self._review.by(self._unlike_since + ALIKE)
        return now < self._unlike_since + ALIKE

    def _speak_for_others(self) -> None:
        """Announce those who have this node speak for them, as they are now."""
        if self._mdns is None:
            return
        found = self._proxy.find(self._entry.shown)
        adverts = {peer.id: self._advert(peer.id, entry, port) for peer, entry, port in found}
        if adverts != self._adverts:
            self._adverts = adverts
            self._mdns.represent(adverts.values())
            self._proxy.speak_for(adverts)

    def _advert(self, id: int, entry: NodeEntry, port: int) -> Advert:
        from ..discovery.advert import Advert

        about = entry.name, entry.host, entry.domain, port, entry.version, self._published(id)
        return Advert(f"{id:016x}", *about, key=next(iter(self._keys()), ""))

    # -- what mDNS says ----------------------------------------------------------------------------------------------

    def _known_instances(self) -> list[str]:
        from ..discovery.advert import instance_name

        peers = list(self._link.peers.values())
        named = not self._keys()
        return [
            instance_name(peer.entry.name if named else None, f"{peer.id:016x}")
            for peer in peers
            if peer.entry is not None
        ]

    def _on_found(self, address: str, port: int, node_id: str) -> None:
        """Take an advert, in the thread of mDNS."""
        self._loop.call(self._proxy.hear, (address, port), int(node_id, 16))
