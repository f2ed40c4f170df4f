"""Where to look for other nodes: mDNS, static peers and their names, this host's link ports.

Knows names and addresses, which are hints for the link; nothing of frames, and not who lives. Used in the I/O thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from ..addresses import LOOPBACK
from ..log import get_logger
from ..protocol.link.link import Link
from ..settings import LINK_PORTS, StaticPeer
from ..timeouts import NEVER
from .loop import Loop
from .names import Names
from .network import Network
from .proxy import Knocker
from .speaking import Speaking

log = get_logger(__name__)

LISTEN = 0.1  # seconds after a greeting to all in which it comes back by loopback, if multicast passes there at all


class Rendezvous:
    """The hints of one node, and its own advert.

    Args:
        link: is told where nodes may be.
        knocker: knocks there.
        network: the interfaces to look on.
        speaking: mDNS.
    """

    def __init__(self, loop: Loop, link: Link, knocker: Knocker, network: Network, speaking: Speaking) -> None:
        self._loop = loop
        self._link = link
        self._knocker = knocker
        self._network = network
        self._speaking = speaking
        self._names = Names(loop, self._on_addresses)
        self._knocks_here = False  # at the link ports of this host
        self._closed = False

    def start(self, static: Iterable[StaticPeer], *, mdns: bool) -> None:
        """Begin to look for others.

        Args:
            static: peers that the user named.
            mdns: whether to show the node by mDNS, and to look there.
        """
        if mdns:
            self._speaking.start()
        for peer in static:
            self._names.add(peer.host, peer.port)

    def domains(self) -> tuple[str, ...]:
        """Return our domain, and behind it the others that mDNS tells of; for any thread."""
        return self._speaking.domains()

    def network_changed(self) -> None:
        """Look anew: the interfaces are others now."""
        self._speaking.network_changed()
        self._names.again()
        self._loop.call_at(time.monotonic() + LISTEN, self._listen)

    def show(self) -> None:
        """Show the topics, and the key that seals, as they are now to those who browse mDNS."""
        self._speaking.show()

    def ignored(self) -> Mapping[str, int]:
        """Return what mDNS ignored, by cause."""
        return self._speaking.ignored()

    def close(self) -> None:
        """Look up no more names, say goodbye by mDNS."""
        self._closed = True
        self._names.close()
        self._speaking.close()

    def abandon(self) -> None:
        """Close the descriptors without a word; what a forked child does with those of its parent."""
        self._closed = True
        self._speaking.abandon()

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
