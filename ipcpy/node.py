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
from typing import Any, Protocol

from .errors import ArgumentError, ClosedError
from .graph import EndpointInfo, NodeInfo, TopicInfo
from .log import configure
from .loop import Loop
from .peering import Peering
from .protocol import topics as names
from .protocol.entries import Entry, NodeEntry, PublisherEntry, SubscriberEntry, pack_entry, unpack_entry
from .protocol.link import EntryChanged, LinkEvent, PeerFound, PeerLost, PeerMoved, PeerResumed, PeerStalled
from .protocol.wire import sources
from .routes import Routes
from .settings import from_environment
from .transport import process, udp
from .transport.sockets import Sockets
from .version import __version__
from .view import View, Watch


class _Publisher(Protocol):
    """What a node asks of a publisher; all but ``close`` is called in the I/O thread."""

    number: int

    def subscriber_found(self, number: int, info: EndpointInfo, address: udp.Address) -> None: ...
    def subscriber_lost(self, number: int) -> None: ...
    def receive_datagram(self, data: bytes, address: udp.Address) -> None: ...
    def verify(self, address: udp.Address) -> None: ...
    def network_changed(self) -> None: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...


class _Subscriber(Protocol):
    """What a node asks of a subscriber; all but ``close`` is called in the I/O thread."""

    number: int

    def publisher_found(
        self, number: int, info: EndpointInfo, is_its_address: Callable[[str], bool], group: udp.Address | None
    ) -> None: ...
    def publisher_lost(self, number: int) -> None: ...
    def network_changed(self, interfaces: Iterable[int]) -> None: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...


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
        self._publishers: weakref.WeakValueDictionary[int, _Publisher] = weakref.WeakValueDictionary()
        self._subscribers: weakref.WeakValueDictionary[int, _Subscriber] = weakref.WeakValueDictionary()
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
        self._entries: dict[int, dict[int, Entry]] = {self._id: {}}
        self.loop = Loop(f"ipcpy {self._name}")
        self._peering = Peering(
            self.loop, self._settings, self._id, self._entry, self._on_link_event, self._on_network, self.sockets
        )
        self._routes = Routes(self.loop, self._peering.mtu_to, self._on_answer, self._on_refusal, self.sockets.route)
        try:
            self._peering.open()
        except BaseException:
            self.loop.abandon()
            raise
        self._view.add_node(self._id, self._info(self._entry, self._id, None))
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
        """Give the topics known now, by name; a new node needs a moment, see ``wait_complete``."""
        self.ensure_open()
        return self._view.topics()

    def nodes(self) -> tuple[NodeInfo, ...]:
        """Give the nodes known now, this one included."""
        self.ensure_open()
        now = time.monotonic()
        heard = {f"{id:016x}": peer.heard for id, peer in list(self._peering.link.peers.items())}
        return tuple(
            replace(node, age=max(0.0, now - heard[node.id])) if node.id in heard else node
            for node in self._view.nodes()
        )

    def watch(self) -> Watch:
        """Watch nodes, publishers and subscribers come and go; what is there comes first."""
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

    def _endpoints(self) -> list[_Publisher | _Subscriber]:
        return [*self._publishers.values(), *self._subscribers.values()]

    def _shut_down(self) -> None:
        self._peering.close()
        self._routes.close()
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
    def bind_host(self) -> str:
        """The address that data sockets are bound to."""
        return udp.LOOPBACK if self._peering.only_loopback else ""

    def add_publisher(self, publisher: _Publisher, entry: PublisherEntry) -> None:
        """Announce a publisher, and introduce it to the subscribers known."""
        self._publishers[publisher.number] = publisher
        packed = pack_entry(entry)
        self.loop.call(self._announce, publisher.number, entry, packed)

    def add_subscriber(self, subscriber: _Subscriber, entry: SubscriberEntry) -> None:
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
        self._entry_changed(self._id, number, entry)
        self._tell_changed()

    def _withdraw(self, number: int) -> None:
        self._peering.link.table.remove(number)
        self._entry_changed(self._id, number, None)
        self._tell_changed()

    def _tell_changed(self) -> None:
        own = self._entries[self._id].values()
        self._peering.changed(tuple(sorted({e.topic for e in own if isinstance(e, PublisherEntry)})))

    def route(self, address: udp.Address, publisher: int) -> udp.RouteSocket:
        """Give the socket that is connected to a subscriber's address; all publishers of the node share it."""
        return self._routes.take(address, publisher)

    def release_route(self, address: udp.Address, publisher: int) -> None:
        """A publisher needs the socket no more."""
        self._routes.release(address, publisher)

    def _on_answer(self, data: bytes, address: udp.Address) -> None:
        for publisher in map(self._publishers.get, sources(data)):
            if publisher is not None:
                publisher.receive_datagram(data, address)

    def _on_refusal(self, address: udp.Address) -> None:
        for publisher in map(self._publishers.get, self._routes.users(address)):
            if publisher is not None:
                publisher.verify(address)
        for node_id, entries in self._entries.items():
            ports = (entry.port for entry in entries.values() if isinstance(entry, SubscriberEntry))
            if node_id != self._id and self._address_of(node_id) == address[0] and address[1] in ports:
                self._peering.doubt(node_id)
                return

    def interface_indexes(self) -> list[int]:
        """Give the interfaces to listen for multicast on."""
        return [interface.index for interface in self._peering.interfaces if interface.up]

    def fanout_socket(
        self, group: udp.Address, address: str, ready: Callable[[udp.FanoutSocket], object]
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
        stale = self._routes.refresh()
        for node_id, entries in list(self._entries.items()) if stale else ():
            ip = self._address_of(node_id)
            for number, entry in list(entries.items()):
                if isinstance(entry, SubscriberEntry) and (ip, entry.port) in stale:
                    info = self._endpoint(node_id, number, entry)
                    if info is not None:
                        self._introduce(node_id, number, entry, info)

    # -- the link ----------------------------------------------------------------------------------------------------

    def _on_link_event(self, event: LinkEvent) -> None:
        if isinstance(event, EntryChanged):
            self._on_entry(event)
        elif isinstance(event, PeerFound):
            self._entries[event.id] = {}
            self._view.add_node(event.id, self._info(event.entry, event.id, event.address))
        elif isinstance(event, PeerLost):
            for number in list(self._entries.pop(event.id, {})):
                self._part(event.id, number)
            self._view.remove_node(event.id, event.reason)
        elif isinstance(event, PeerMoved):
            self._on_moved(event)
        elif isinstance(event, PeerStalled):
            self._view.change_node(event.id, state="unresponsive")
        elif isinstance(event, PeerResumed):
            self._view.change_node(event.id, state="alive")

    def _on_entry(self, event: EntryChanged) -> None:
        entry = None
        if event.data is not None:
            try:
                entry = unpack_entry(event.data)
            except ValueError as error:
                self._peering.link.dropped["entry"] += 1
                log.warning("node %016x announces what is no publisher or subscriber: %s", event.id, error)
        self._entry_changed(event.id, event.entry_id, entry)

    def _entry_changed(self, node_id: int, number: int, entry: Entry | None) -> None:
        known = self._entries.get(node_id)
        if known is None:
            return
        if not isinstance(entry, PublisherEntry | SubscriberEntry):
            known.pop(number, None)
            self._part(node_id, number)
            self._view.remove(node_id, number)
            return
        before = known.get(number)
        known[number] = entry
        info = self._endpoint(node_id, number, entry)
        if info is None:
            return
        self._view.put(node_id, number, info)
        if before is None or _without_mismatch(before) != _without_mismatch(entry):
            self._introduce(node_id, number, entry, info)

    def _introduce(self, node_id: int, number: int, entry: Entry, info: EndpointInfo) -> None:
        """Bring a new endpoint, of this node or another, together with those of this node that it matches.

        For one of this node that goes both ways: it is also brought together with those of other nodes.
        """
        for other_node, entries in list(self._entries.items()):
            if node_id != self._id and other_node != self._id:
                continue
            for other_number, other in list(entries.items()):
                self._pair(node_id, number, entry, other_node, other_number, other)

    def _pair(self, node_id: int, number: int, entry: Entry, other_node: int, other_number: int, other: Entry) -> None:
        if isinstance(entry, SubscriberEntry) and isinstance(other, PublisherEntry):
            self._match(other_node, other_number, other, node_id, number, entry)
        elif isinstance(entry, PublisherEntry) and isinstance(other, SubscriberEntry):
            self._match(node_id, number, entry, other_node, other_number, other)

    def _match(
        self,
        publisher_node: int,
        publisher_number: int,
        publisher_entry: PublisherEntry,
        subscriber_node: int,
        subscriber_number: int,
        subscriber_entry: SubscriberEntry,
    ) -> None:
        if not names.matches(subscriber_entry.topic, publisher_entry.topic):
            return
        subscriber = self._subscribers.get(subscriber_number) if subscriber_node == self._id else None
        publisher = self._publishers.get(publisher_number) if publisher_node == self._id else None
        if subscriber is not None:
            info = self._endpoint(publisher_node, publisher_number, publisher_entry)
            if info is not None:
                group = (publisher_entry.group, publisher_entry.group_port) if publisher_entry.group else None
                subscriber.publisher_found(publisher_number, info, self._addresses_of(publisher_node), group)
        if publisher is not None:
            info = self._endpoint(subscriber_node, subscriber_number, subscriber_entry)
            if info is not None:
                ip = self._address_of(subscriber_node)
                publisher.subscriber_found(subscriber_number, info, (ip, subscriber_entry.port))

    def _part(self, node_id: int, number: int) -> None:
        for publisher in list(self._publishers.values()):
            publisher.subscriber_lost(number)
        for subscriber in list(self._subscribers.values()):
            subscriber.publisher_lost(number)

    def _on_moved(self, event: PeerMoved) -> None:
        self._view.change_node(event.id, address=f"{event.address[0]}:{event.address[1]}")
        for number, entry in list(self._entries.get(event.id, {}).items()):
            info = self._endpoint(event.id, number, entry)
            if info is not None:
                self._introduce(event.id, number, entry, info)

    def _address_of(self, node_id: int) -> str:
        peer = self._peering.link.peers.get(node_id)
        return peer.address[0] if peer is not None else udp.LOOPBACK

    def _addresses_of(self, node_id: int) -> Callable[[str], bool]:
        """Give a test whether an ip is one of a node's: where a challenge was answered, or loopback for our own."""
        if node_id == self._id:
            return lambda ip: ip == udp.LOOPBACK
        peer = self._peering.link.peers.get(node_id)
        return lambda ip: peer is not None and any(ip == address[0] for address in peer.paths)

    # -- values ------------------------------------------------------------------------------------------------------

    def _info(self, entry: NodeEntry, id: int, address: udp.Address | None) -> NodeInfo:
        where = f"{address[0]}:{address[1]}" if address else None
        return NodeInfo(
            f"{id:016x}", entry.name, entry.host, entry.pid, entry.domain, where, entry.version, "alive", 0.0
        )

    def _endpoint(self, node_id: int, number: int, entry: Entry) -> EndpointInfo | None:
        node = self._view.node(node_id)
        if node is None:
            return None
        id = f"{number:016x}"
        if isinstance(entry, PublisherEntry):
            return EndpointInfo(
                id, "publisher", entry.topic, entry.codec, entry.schema, entry.reliable, entry.keep, node
            )
        if isinstance(entry, SubscriberEntry):
            reasons = tuple(str(reason) for reasons in entry.mismatch.values() for reason in _texts(reasons))
            return EndpointInfo(id, "subscriber", entry.topic, entry.codec, entry.schema, False, 0, node, reasons)
        return None

    # -- fork --------------------------------------------------------------------------------------------------------

    def abandon(self) -> None:
        """Let go of what belongs to the parent, in a forked child; the node begins anew when it is next used."""
        _open_nodes.discard(self)
        self._lock = threading.Lock()
        self._forked = True
        self.loop.abandon()
        self._peering.abandon()
        self._routes.abandon()
        for endpoint in self._endpoints():
            endpoint.abandon()


def _without_mismatch(entry: Entry) -> Entry:
    """Give an entry without what it says of others, for comparing."""
    return replace(entry, mismatch={}) if isinstance(entry, SubscriberEntry) else entry


def _texts(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


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
