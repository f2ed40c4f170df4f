"""Where to look for other nodes: mDNS and when it starts, static peers and their names, this host's link ports.

Knows names and addresses, which are hints for the link; nothing of frames, and not who lives. Used in the I/O thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from ..addresses import LOOPBACK
from ..chance import Chance
from ..importing import importing
from ..log import get_logger
from ..protocol.link.entries import NodeEntry
from ..protocol.link.link import Link
from ..settings import LINK_PORTS, StaticPeer
from ..timeouts import NEVER
from ..typed import TYPE_CHECKING, Protocol
from .loop import Loop
from .names import Names
from .network import Network

if TYPE_CHECKING:
    from ..discovery.advert import Advert
    from ..discovery.mdns import Mdns

log = get_logger(__name__)

LISTEN = 0.1  # seconds after a greeting to all in which it comes back by loopback, if multicast passes there at all
MDNS_AFTER = 0.3  # seconds until zeroconf is imported, 55 ms of computing: those who find each other at once are busy
MDNS_LATER = 0.4  # seconds that a node waits longer, at most, once it has found others
MDNS_LATER_EACH = 0.1  # seconds more for each that it found; waited again while their number grows
MDNS_AT_LAST = 20.0  # seconds after which mDNS starts even if others are still being found


class Knocker(Protocol):
    """What sends what the link wants to send: ``Peering``."""

    @property
    def port(self) -> int: ...
    def hears_itself(self) -> bool: ...
    def flush(self) -> None: ...


class Rendezvous:
    """The hints of one node, and its own advert.

    Args:
        entry: what the node says of itself.
        link: is told where nodes may be.
        knocker: knocks there.
        network: the interfaces to show the node on.
        keys: returns the ids of its keys, the one first that seals; none for a node without a key.
    """

    def __init__(
        self,
        loop: Loop,
        entry: NodeEntry,
        link: Link,
        knocker: Knocker,
        network: Network,
        keys: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        self._keys = keys
        self._loop = loop
        self._entry = entry
        self._link = link
        self._knocker = knocker
        self._network = network
        self._names = Names(loop, self._on_addresses)
        self._mdns: Mdns | None = None
        self._mdns_waits_for = 0  # peers known when it was put off
        self._started = NEVER
        self._topics: tuple[str, ...] = ()
        self._random = Chance()  # of its own: the one that all share may be seeded by the program
        self._uses_mdns = False
        self._everywhere = False  # whether somebody asked for other domains
        self._knocks_here = False  # at the link ports of this host
        self._closed = False

    def start(self, static: Iterable[StaticPeer], *, mdns: bool) -> None:
        """Begin to look for others.

        Args:
            static: peers that the user named.
            mdns: whether to show the node by mDNS, and to look there.
        """
        self._started, self._uses_mdns = time.monotonic(), mdns
        if mdns:
            self._loop.call_at(self._started + MDNS_AFTER, self._plan_mdns)
        for peer in static:
            self._names.add(peer.host, peer.port)

    def domains(self) -> tuple[str, ...]:
        """Return our domain, and behind it the others of which nodes were heard by mDNS, those with most nodes first.

        The first call has mDNS start at once and ask for nodes of all domains. For any thread.
        """
        if not self._everywhere:
            self._everywhere = True
            self._loop.call(self._start_mdns)
        heard = self._mdns.domains() if self._mdns is not None else {}
        return (self._entry.domain, *sorted(heard, key=lambda domain: (-heard[domain], domain)))

    def network_changed(self) -> None:
        """Look anew: the interfaces are others now."""
        if self._mdns is not None:
            self._mdns.set_interfaces(self._network.multicast_addresses())
        self._names.again()
        self._loop.call_at(time.monotonic() + LISTEN, self._listen)

    def show(self, topics: tuple[str, ...]) -> None:
        """Show these topics to those who browse mDNS."""
        self._topics = topics
        if self._mdns is not None and not self._closed:
            self._mdns.update(self._advert())

    def keys_changed(self) -> None:
        """Show the key that seals now."""
        self.show(self._topics)

    def ignored(self) -> Mapping[str, int]:
        """Return what mDNS ignored, by cause."""
        return self._mdns.counters if self._mdns is not None else {}

    def close(self) -> None:
        """Look up no more names, say goodbye by mDNS."""
        self._closed = True
        self._names.close()
        if self._mdns is not None:
            self._mdns.close()

    def abandon(self) -> None:
        """Close the descriptors without a word; what a forked child does with those of its parent."""
        self._closed = True
        if self._mdns is not None:
            self._mdns.abandon()

    # -- mDNS --------------------------------------------------------------------------------------------------------

    def _plan_mdns(self) -> None:
        """Start mDNS if no new peer was found since the last try; else put it off: peers are found without it."""
        now, found = time.monotonic(), len(self._link.peers)
        if found <= self._mdns_waits_for or now > self._started + MDNS_AT_LAST:
            self._start_mdns()
        else:
            self._mdns_waits_for = found
            later = self._random.uniform(0.5, 1.0) * (MDNS_LATER + MDNS_LATER_EACH * found)
            self._loop.call_at(now + later, self._plan_mdns)

    def _start_mdns(self) -> None:
        if self._uses_mdns and self._mdns is None and not self._closed:
            with importing.lock:
                from ..discovery.mdns import Mdns

            addresses = self._network.multicast_addresses()
            self._mdns = Mdns(self._advert(), addresses, self._on_mdns, known=self._known_instances, keys=self._keys)
            if self._everywhere:
                self._mdns.domains()
            self._mdns.start()

    def _advert(self) -> Advert:
        from ..discovery.advert import Advert

        id, entry, key = f"{self._link.id:016x}", self._entry, next(iter(self._keys()), "")
        about = entry.name, entry.host, entry.domain, self._knocker.port, entry.version, self._topics
        return Advert(id, *about, key=key)

    def _known_instances(self) -> list[str]:
        from ..discovery.advert import instance_name

        peers = list(self._link.peers.values())
        named = not self._keys()
        return [
            instance_name(peer.entry.name if named else None, f"{peer.id:016x}")
            for peer in peers
            if peer.entry is not None
        ]

    def _on_mdns(self, address: str, port: int, node_id: str) -> None:
        """Take an advert, in the thread of mDNS."""
        self._loop.call(self._knock, address, port, int(node_id, 16))

    def _knock(self, address: str, port: int, node_id: int) -> None:
        if node_id not in self._link.peers:
            self._link.hint((address, port), time.monotonic())
            self._knocker.flush()

    # -- this host without multicast ---------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Knock at the link ports of this host, from now on, if our greeting to all did not come back by loopback."""
        if self._closed or self._knocks_here or self._knocker.hears_itself():
            return
        self._knocks_here = True
        first, last = LINK_PORTS[0], LINK_PORTS[-1]
        log.info("multicast does not pass on loopback: nodes of this host are looked for at UDP %d to %d", first, last)
        for port in LINK_PORTS:
            if port != self._knocker.port:
                self._link.hint((LOOPBACK, port), time.monotonic(), until=NEVER)
        self._knocker.flush()

    # -- static peers ------------------------------------------------------------------------------------------------

    def _on_addresses(self, port: int | None, addresses: list[str], before: list[str]) -> None:
        """Knock at the addresses that a name has now, without end, and no more at those that it had."""
        now = time.monotonic()
        for each in (port,) if port else LINK_PORTS:
            for address in before:
                self._link.forget((address, each))
            for address in addresses:
                self._link.hint((address, each), now, until=NEVER)
        self._knocker.flush()
