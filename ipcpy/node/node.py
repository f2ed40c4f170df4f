"""The node: identity, settings, the I/O thread; introduces publishers to subscribers. Holds no protocol."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import TracebackType

from ..addresses import LOOPBACK, Address
from ..errors import ArgumentError, ClosedError
from ..graph import NodeInfo, TopicInfo
from ..log import configure
from ..protocol import topics as names
from ..protocol.link.entries import Entry, NodeEntry, PublisherEntry, SubscriberEntry, pack_entry
from ..protocol.link.link import LinkEvent
from ..protocol.wire import sources
from ..settings import from_environment
from ..transport import process, udp
from ..transport.sockets import Sockets
from ..version import __version__
from .connections import Connections
from .introductions import Introductions, OwnPublisher, OwnSubscriber, node_info
from .loop import Loop
from .peering import Peering
from .view import View, Watch

__all__ = ["Node", "nodes", "shared_node", "topics"]

log = logging.getLogger(__name__)

CLOSE_ALL = 0.05  # seconds until which publishers may wait for answers while it closes
STOP = 0.05  # seconds that close waits for the I/O thread
QUIET = 0.05  # seconds without news after which a first picture counts as complete


class Node:
    """A participant: one identity, one I/O thread, any number of publishers and subscribers.

    Most programs need none: ``Publisher`` and ``Subscriber`` share one that is made on first use.

    Args:
        name: what others see; by default the program's name.
        domain: nodes of different domains neither see nor hear each other; by default ``IPCPY_DOMAIN``, or "default".
        interfaces: names or addresses of the network interfaces to use, comma-separated or one each; by default
            ``IPCPY_INTERFACES``, or all. ``lo`` alone keeps everything on this host.
        peers: static addresses, ``host`` or ``host:port``, for networks without multicast; by default ``IPCPY_PEERS``.
        key: reserved; sealing of frames is not there yet, so any key is refused rather than ignored.

    Raises:
        ArgumentError: (a ValueError) which argument or environment variable is wrong.
        TransportError: (an OSError) if there is no UDP socket to be had.
    """

    sockets = Sockets()

    def __init__(
        self,
        name: str | None = None,
        *,
        domain: str | None = None,
        interfaces: str | Iterable[str] | None = None,
        peers: str | Iterable[str] | None = None,
        key: str | bytes | None = None,
    ) -> None:
        if key is not None or os.environ.get("IPCPY_KEY"):
            raise ArgumentError("this version cannot seal frames: key (IPCPY_KEY) must not be set")
        configure()
        self._name = _check_name(name)
        self._settings = from_environment(domain, interfaces, peers)
        self._publishers: weakref.WeakValueDictionary[int, OwnPublisher] = weakref.WeakValueDictionary()
        self._subscribers: weakref.WeakValueDictionary[int, OwnSubscriber] = weakref.WeakValueDictionary()
        self._lock = threading.Lock()
        self.close_by = float("inf")
        self._closed = False
        self._open()

    def _open(self) -> None:
        self._id = int.from_bytes(os.urandom(8), "little") or 1
        self._forked = False
        pid = os.getpid()
        self._entry = NodeEntry(
            name=self._name,
            host=udp.host_name()[:255] or "localhost",
            pid=pid,
            version=__version__,
            domain=self._settings.domain,
            machine=process.identity(),
            started=process.start_time(pid),
        )
        self._view = View(names.matches)
        self.loop = Loop(f"ipcpy {self._name}")
        self._peering = Peering(
            self.loop,
            self._settings,
            self._id,
            self._entry,
            lambda event: self._introductions.on_link_event(event),
            self._on_network,
            self.sockets,
        )
        self._introductions = Introductions(
            self._id, self._view, self._peering.link, self._publishers, self._subscribers
        )
        self._connections = Connections(
            self.loop, self._peering.mtu_to, self._on_answer, self._on_refusal, self.sockets.connected
        )
        try:
            self._peering.open()
        except BaseException:
            self.loop.abandon()
            raise
        self._view.add_node(self._id, node_info(self._entry, self._id, None))
        self.loop.call(self._peering.start)
        self.loop.start()
        _open_nodes.add(self)

    # -- for users ---------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """16 hexadecimal digits, new with every start."""
        return f"{self._id:016x}"

    @property
    def name(self) -> str:
        """What others see."""
        return self._name

    @property
    def domain(self) -> str:
        """The domain it belongs to."""
        return self._settings.domain

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed

    def topics(self) -> tuple[TopicInfo, ...]:
        """Give the topics known now, by name; a new node needs a moment, see ``wait_complete``.

        Raises:
            ClosedError: (an OSError) if it is closed.
        """
        self.ensure_open()
        return self._view.topics()

    def nodes(self) -> tuple[NodeInfo, ...]:
        """Give the nodes known now, this one included.

        Raises:
            ClosedError: (an OSError) if it is closed.
        """
        self.ensure_open()
        now = time.monotonic()
        heard = {f"{id:016x}": peer.heard for id, peer in list(self._peering.link.peers.items())}
        return tuple(
            replace(node, age=max(0.0, now - heard[node.id])) if node.id in heard else node
            for node in self._view.nodes()
        )

    def watch(self) -> Watch:
        """Watch nodes, publishers and subscribers come and go; what is there comes first.

        Raises:
            ClosedError: (an OSError) if it is closed.
        """
        self.ensure_open()
        return self._view.watch()

    def wait_complete(self, timeout: float = 0.5) -> bool:
        """Wait until the first picture of the graph is complete.

        It is when every node that answered has told all it has, and nothing new came for 50 ms.

        Args:
            timeout: seconds.

        Returns:
            Whether it was complete in time.
        """
        self.ensure_open()
        deadline = time.monotonic() + timeout
        started = time.monotonic()
        while (now := time.monotonic()) < deadline:
            complete = all(peer.complete for peer in list(self._peering.link.peers.values()))
            calm = min(self._view.quiet(), now - started)
            if complete and calm >= 2 * QUIET:
                return True
            self._view.wait(lambda: False, min(QUIET, deadline - now))
        return False

    def close(self) -> None:
        """Close its publishers and subscribers, say goodbye, stop the thread; within 100 ms, idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self.close_by = time.monotonic() + CLOSE_ALL
        for endpoint in self._endpoints():
            endpoint.close()
        self.loop.call(self._shut_down)
        self.loop.join(STOP)
        self._view.close()
        _open_nodes.discard(self)

    def _endpoints(self) -> list[OwnPublisher | OwnSubscriber]:
        return [*self._publishers.values(), *self._subscribers.values()]

    def _shut_down(self) -> None:
        self._peering.close()
        self._connections.close()
        self.loop.quit()

    def __enter__(self) -> Node:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ipcpy.Node {self._name!r} {self.id} domain {self.domain!r}{' closed' if self._closed else ''}>"

    # -- for publishers and subscribers ------------------------------------------------------------------------------

    def ensure_open(self) -> None:
        """Make sure that the node works: after a fork the child's begins anew, with a new id.

        Raises:
            ClosedError: if it was closed.
        """
        if self._closed:
            raise ClosedError(f"the node {self._name!r} is closed")
        if self._forked:
            with self._lock:
                if self._forked:
                    self._open()

    @property
    def link_port(self) -> int:
        """The UDP port of this node's link."""
        return self._peering.port

    @property
    def bind_host(self) -> str:
        """The address that data sockets are bound to."""
        return LOOPBACK if self._peering.only_loopback else ""

    def add_publisher(self, publisher: OwnPublisher, entry: PublisherEntry) -> None:
        """Announce a publisher, and introduce it to the subscribers known."""
        self._publishers[publisher.number] = publisher
        packed = pack_entry(entry)
        self.loop.call(self._announce, publisher.number, entry, packed)

    def add_subscriber(self, subscriber: OwnSubscriber, entry: SubscriberEntry) -> None:
        """Announce a subscriber, and introduce it to the publishers known."""
        self._subscribers[subscriber.number] = subscriber
        packed = pack_entry(entry)
        self.loop.call(self._announce, subscriber.number, entry, packed)

    def withdraw(self, number: int) -> None:
        """Announce that a publisher or subscriber is no more."""
        self._publishers.pop(number, None)
        self._subscribers.pop(number, None)
        self.loop.call(self._withdraw, number)

    def _announce(self, number: int, entry: Entry, packed: bytes) -> None:
        self._peering.link.table.put(number, packed)
        self._introductions.change_own(number, entry)
        self._peering.changed(self._introductions.published())

    def _withdraw(self, number: int) -> None:
        self._peering.link.table.remove(number)
        self._introductions.change_own(number, None)
        self._peering.changed(self._introductions.published())

    def route(self, address: Address, publisher: int) -> udp.ConnectedSocket:
        """Give the socket that is connected to a subscriber's address; all publishers of the node share it."""
        return self._connections.take(address, publisher)

    def release_route(self, address: Address, publisher: int) -> None:
        """A publisher needs the socket no more."""
        self._connections.release(address, publisher)

    def _on_answer(self, data: bytes, address: Address) -> None:
        for publisher in map(self._publishers.get, sources(data)):
            if publisher is not None:
                publisher.receive_datagram(data, address)

    def _on_refusal(self, address: Address) -> None:
        for publisher in map(self._publishers.get, self._connections.users(address)):
            if publisher is not None:
                publisher.verify(address)
        node_id = self._introductions.node_listening_at(address)
        if node_id is not None:
            self._peering.doubt(node_id)

    def interface_indexes(self) -> list[int]:
        """Give the interfaces to listen for multicast on."""
        return [interface.index for interface in self._peering.interfaces if interface.up]

    def fanout_socket(
        self, group: Address, address: str, ready: Callable[[udp.FanoutSocket], object]
    ) -> udp.FanoutSocket | None:
        """Give a socket that sends to a group on the interface that leads to an address; None if there is none.

        Args:
            ready: called in the I/O thread when answers can be read.
        """
        interface = self._peering.interface_to(address)
        if interface is None:
            return None
        try:
            sock = self.sockets.fanout(group, interface.index, interface.addresses[0])
        except OSError:
            return None
        self.loop.watch(sock, lambda: ready(sock))
        return sock

    def interface_of(self, address: str) -> int | None:
        """Give the index of the interface that leads to an address, where multicast reaches it."""
        interface = self._peering.interface_to(address)
        return interface.index if interface is not None and interface.multicast else None

    def _on_network(self, others: bool) -> None:
        if not others:  # only routes are
            self._renew_routes()
            return
        indexes = self.interface_indexes()
        for subscriber in list(self._subscribers.values()):
            subscriber.network_changed(indexes)
        self._renew_routes()
        for publisher in list(self._publishers.values()):
            publisher.network_changed()

    def _renew_routes(self) -> None:
        """Have subscribers challenged anew where this host's own address on the way to them is another."""
        self._introductions.renew(self._connections.refresh())

    def _on_link_event(self, event: LinkEvent) -> None:
        self._introductions.on_link_event(event)

    # -- fork --------------------------------------------------------------------------------------------------------

    def abandon(self) -> None:
        """Let go of what belongs to the parent, in a forked child; the node begins anew when it is next used."""
        _open_nodes.discard(self)
        self._lock = threading.Lock()
        self._forked = True
        self.loop.abandon()
        self._peering.abandon()
        self._connections.abandon()
        for endpoint in self._endpoints():
            endpoint.abandon()


def _check_name(name: str | None) -> str:
    if name is None:
        program = os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] else ""
        name = program.removesuffix(".py") if program not in ("", "-c", "-m") else "python"
        name = "".join(char for char in name if char.isprintable())[:64] or "python"
    if not isinstance(name, str) or not name or len(name) > 64 or not name.isprintable():
        raise ArgumentError(f"a node's name is a printable text of 1 to 64 characters, got {name!r}")
    return name


# -- the shared node, interpreter exit and fork ----------------------------------------------------------------------

_open_nodes: weakref.WeakSet[Node] = weakref.WeakSet()
_shared: Node | None = None
_shared_lock = threading.Lock()


def shared_node() -> Node:
    """Give the node that all publishers and subscribers of the process share, made on first use."""
    global _shared
    with _shared_lock:
        if _shared is None or _shared.closed:
            _shared = Node()
        return _shared


def node_for(node: Node | None) -> Node:
    """Give the node a user chose, or the shared one.

    Raises:
        ArgumentError: if it is no node.
    """
    if node is not None and not isinstance(node, Node):
        raise ArgumentError(f"node is a Node, or None for the one that the process shares, got {node!r}")
    return shared_node() if node is None else node


def share(node: Node | None) -> Node | None:
    """Make a node the one that the process shares; None lets it be made on first use. Gives the one before."""
    global _shared
    with _shared_lock:
        before, _shared = _shared, node
        return before


def topics(timeout: float = 0.5) -> tuple[TopicInfo, ...]:
    """Give the topics on the network, by name.

    Args:
        timeout: seconds that a first picture may take.
    """
    node = shared_node()
    node.wait_complete(timeout)
    return node.topics()


def nodes(timeout: float = 0.5) -> tuple[NodeInfo, ...]:
    """Give the nodes on the network.

    Args:
        timeout: seconds that a first picture may take.
    """
    node = shared_node()
    node.wait_complete(timeout)
    return node.nodes()


def _close_all() -> None:
    for node in list(_open_nodes):
        node.close()


def _abandon_all() -> None:
    global _shared_lock
    _shared_lock = threading.Lock()
    for node in list(_open_nodes):
        node.abandon()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
