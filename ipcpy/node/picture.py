"""What users ask of the graph: who is there, as of now, and who is not any more. Knows the graph and when each node was
last heard; changes neither.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from ..errors import ArgumentError
from ..graph import EndpointInfo, NodeInfo, Stranger, TopicInfo
from ..protocol.topics import is_own, matches
from ..records import replace
from ..typed import Protocol
from .view import View

_ID_SIZE, _HEX = 16, frozenset("0123456789abcdef")  # characters of an id
MAX_NAMES = 10  # topics that are named where none fits


Strangers = Callable[[], tuple[Stranger, ...]]


class Heard(Protocol):
    """What is asked of a peer of the link."""

    heard: float


class Picture:
    """One truth for all who ask: nodes with their state and how long ago they were heard.

    Args:
        view: the graph.
        peers: those of the link, by id.
        strangers: returns who is here and shares no key with this node.

    Attributes:
        begun_at: when the node began: a moment later it knows who is there.
    """

    def __init__(self, view: View, peers: Mapping[int, Heard], strangers: Strangers = tuple) -> None:
        self.strangers = strangers
        self.begun_at = time.monotonic()
        self._view = view
        self._peers = peers

    def node(self, node: NodeInfo) -> NodeInfo:
        """Return what is known of a node now; what was known last if it is not there any more."""
        known = self._view.node(int(node.id, 16))
        return node if known is None else self._aged(known)

    def _aged(self, node: NodeInfo) -> NodeInfo:
        peer = self._peers.get(int(node.id, 16))
        return node if peer is None else replace(node, age=max(0.0, time.monotonic() - peer.heard))

    def nodes(self) -> tuple[NodeInfo, ...]:
        """Return the nodes, by name."""
        return tuple(map(self._aged, self._view.nodes()))

    def topics(self, *, hidden: bool = False) -> tuple[TopicInfo, ...]:
        """Return the topics, by name; with ``hidden`` ipcpy's own too."""
        nodes = {node.id: node for node in self.nodes()}
        shown = lambda endpoint: _at(endpoint, nodes.get(endpoint.node.id, endpoint.node))  # noqa: E731
        return self._view.topics(shown, hidden=hidden)

    def endpoint(self, endpoint: EndpointInfo) -> EndpointInfo:
        """Return what is known of a publisher or subscriber now; what was known last if it is not there any more."""
        known = self._view.endpoint(int(endpoint.node.id, 16), int(endpoint.id, 16))
        known = endpoint if known is None else known
        return _at(known, self.node(known.node))

    def has(self, endpoint: EndpointInfo) -> bool:
        """Tell whether a publisher or subscriber is still there."""
        return self._view.endpoint(int(endpoint.node.id, 16), int(endpoint.id, 16)) is not None

    def node_number(self, peer: object) -> int:
        """Return the id of a node as a number, whether it is there or not.

        Args:
            peer: a node, a publisher or subscriber of it, the id of one of them, or the name of one node.

        Raises:
            ArgumentError: it is none of that, or the name of no node or of several.
        """
        if isinstance(peer, NodeInfo | EndpointInfo):
            return int((peer if isinstance(peer, NodeInfo) else peer.node).id, 16)
        if not isinstance(peer, str):
            raise ArgumentError(f"a peer is a node, a publisher or subscriber, an id or a name, got {peer!r:.80}")
        named = [node for node in self._view.nodes() if peer in (node.id, node.name)]
        named += [endpoint.node for endpoint in self._view.endpoints() if endpoint.id == peer]
        if len(named) == 1:
            return int(named[0].id, 16)
        if not named and len(peer) == _ID_SIZE and _HEX.issuperset(peer):  # it went, or is not here yet
            return int(peer, 16)
        raise ArgumentError(f"{len(named) or 'no'} nodes are named {peer!r:.80}; a peer is one")

    def names(self, kind: str) -> list[str]:
        """Return the topics (and patterns) of all publishers, or of all subscribers, sorted."""
        there = {endpoint.topic for endpoint in self._view.endpoints() if endpoint.kind == kind}
        return sorted(topic for topic in there if not is_own(topic))

    def departed(self, kind: str, topic: str) -> list[str]:
        """Say who left that published or subscribed what matches a topic or pattern, each in a sentence."""

        def wanted(name: str) -> bool:
            return matches(topic, name) if kind == "publisher" else matches(name, topic)

        return self.left(kind, wanted)

    def left(self, kind: str, wanted: Callable[[str], bool]) -> list[str]:
        """Say who left, of those whose topic or pattern is wanted, each in a sentence without its full stop."""
        return self._view.departures.sentences(kind, wanted)


def _at(endpoint: EndpointInfo, node: NodeInfo) -> EndpointInfo:
    """Return an endpoint with another picture of its node; not by ``replace``, which takes longer."""
    if node is endpoint.node:
        return endpoint
    return EndpointInfo(
        endpoint.id,
        endpoint.kind,
        endpoint.topic,
        endpoint.codec,
        endpoint.schema,
        endpoint.reliable,
        endpoint.keep,
        node,
        endpoint.mismatch,
        endpoint.rate,
        endpoint.via,
    )


def place(kind: str, node: NodeInfo) -> str:
    """Say where a publisher or subscriber is; ``kind`` begins the sentence."""
    return f"{kind} {node.name!r} on {node.host} ({node.address or 'this process'})"


def silence(node: NodeInfo, *, matched: bool) -> str:
    """Say of a node that it does not answer."""
    known = "matched" if matched else "known"
    return f"{known}, but its process has not answered for {node.age:.1f} s (stopped, or cut off)."


class Place(Protocol):
    """What is asked of a node."""

    domain: str
    picture: Picture


def shut_out(picture: Picture) -> str:
    """Tell of nodes that are here and share no key with this one, each sentence after a space; empty without any."""
    return "".join(f" {stranger.text}." for stranger in picture.strangers())


def reasons(
    kind: str, topic: str, known: list[str], node: Place, told: str = "", *, locked_out: bool = True
) -> list[str]:
    """Return sentences on why a publisher or subscriber meets whom it meets.

    Args:
        kind: whom it wants to meet: ``publisher`` or ``subscriber``.
        topic: its own topic or pattern.
        known: what it says of each that is there.
        node: its own.
        told: how sentences name the topic, where it is not as it was asked for.
        locked_out: whether to tell, where nobody fits, of nodes that share no key with this one.
    """
    picture = node.picture
    left = picture.departed(kind, topic)
    if known:
        return known + [f"{each[0].upper()}{each[1:]}." for each in left]
    nobody = f"No {kind} of {told or repr(topic)} is known in domain {node.domain!r}"
    strangers = shut_out(picture) if locked_out else ""
    if left:
        return [f"{nobody}: {'; '.join(left)}.{strangers}"]
    others = picture.names(kind)
    if not others:
        return [f"{nobody}. No {kind} is known at all.{strangers}"]
    more = len(others) - MAX_NAMES
    listed = ", ".join(others[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
    return [f"{nobody}. Topics with {kind}s: {listed}.{strangers}"]
