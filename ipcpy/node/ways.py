"""How what leaves for another node leaves: by which interface, and from which address of ours.

Joins the network, the link's peers and who listens where; sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..addresses import Address, Way, is_loopback
from ..protocol.link.peers import Peer
from .introductions import Introductions
from .network import Network


class Ways:
    """The ways from one node to the others."""

    def __init__(self, network: Network, introductions: Introductions, peers: Mapping[int, Peer]) -> None:
        self._network = network
        self._introductions = introductions
        self._peers = peers

    def to_node(self, node: str, ip: str) -> Way | None:
        """Return how to leave for an address of a node, by its id; None where the system may choose."""
        return None if is_loopback(ip) else self._to(int(node, 16), ip)

    def to_subscriber(self, address: Address) -> Way | None:
        """Return how to leave for a subscriber's address; None where the system may choose."""
        if is_loopback(address[0]):
            return None
        return self._to(self._introductions.node_listening_at(address) or 0, address[0])

    def _to(self, node: int, ip: str) -> Way | None:
        peer = self._peers.get(node)
        return self._network.way_to(ip, peer.source_to(ip) if peer is not None else "")
