"""Core: what a node is made of, and what its publishers and subscribers are given. Users hold a ``Node``.

Joins the link, rendezvous, announcements, introductions, the graph and the sockets that publishers share. Knows which
part is told of what; holds no protocol. It sees a publisher as an OwnPublisher only, and a subscriber as an
OwnSubscriber (introductions.py).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from functools import cache, partial

from ..addresses import Address
from ..errors import ClosedError
from ..graph import TopicInfo
from ..importing import importing
from ..log import configure
from ..protocol.link.entries import PublisherEntry, SubscriberEntry, pack_entry
from ..protocol.link.link import Link
from ..protocol.naming import Naming
from ..protocol.wire import sources
from ..settings import Settings
from ..stats import NodeStats
from ..timeouts import NEVER
from ..transport.connected import ConnectedSocket
from ..transport.group import GROUP_PORT, FanoutSocket
from ..transport.sockets import Sockets
from ..typed import TYPE_CHECKING
from . import lifetimes
from .announcements import Announcements
from .connections import Connections
from .handovers import Handovers
from .identity import check_name, describe, new_id
from .introductions import Introductions, OwnPublisher, OwnSubscriber, node_info
from .keywatch import KeyWatch
from .loop import Loop
from .network import Network
from .peering import Peering
from .picture import Picture
from .rendezvous import Rendezvous
from .speaking import Speaking
from .strangers import Strangers
from .view import View
from .watch import Watch
from .ways import Ways

if TYPE_CHECKING:
    from ..events import Event
    from .ledger import Ledger

CLOSE_ALL = 0.05  # seconds, all together, that publishers wait for answers and subscribers for callbacks at its end
STOP = 0.05  # seconds that close waits for the I/O thread


class Core:
    """One node at work.

    Args:
        name: what others see; None for the program's name.
        sockets: which kinds of sockets it is made of.

    Attributes:
        id: 64 bits, new with every start, and in a forked child.
        naming: what names that users ask for become.
        loop: the one I/O thread.
        way_to: returns how to leave for an address of a node, by its id; None where the system may choose.
        closed: whether it was closed.
        clocks: the clocks of other nodes.
        handovers: how memory is shared with subscribers of this host.
        keys: the keys that it has now, if any (keywatch.py).
        ledger: returns what all nodes counted (ledger.py), which is made for the first who asks.
        listen: has a Listener told of the graph (view.py).
        picture: the graph, for publishers and subscribers that say why nothing comes.
        close_by: when publishers and subscribers must have stopped waiting: their node is being closed.

    Raises:
        ArgumentError: if the name, the namespace, a rule of ``remap``, a setting of the log, or the key file is wrong.
    """

    def __init__(self, name: str | None, settings: Settings, sockets: Sockets) -> None:
        configure()
        self.name, self.keys = check_name(name), KeyWatch(settings.key)
        self.domain, self.naming = settings.domain, Naming(settings.namespace, settings.remap)
        self.closed, self.close_by = False, NEVER
        self._sockets, self._settings = sockets, settings
        self._publishers: dict[int, OwnPublisher] = {}
        self._subscribers: dict[int, OwnSubscriber] = {}
        self._lock = threading.RLock()
        self._begun = self._ended = False

    def _begin(self) -> None:
        """Begin a life: with a new id, nobody known, and a thread."""
        self.loop = Loop(f"ipcpy {self.name}")
        self._peering: Peering = None  # type: ignore[assignment]  # until it is made
        try:
            self._make()
            self.loop.start()
        except BaseException:  # from outside too
            if self.loop.started:
                self.loop.call(self._shut_down)
            else:
                self.loop.abandon()
                if self._peering is not None:
                    self._peering.abandon()
            raise
        self._begun = True
        lifetimes.opened(self)

    def _make(self) -> None:
        self.id, self.sockets, entry = new_id(), self.keys.seal_anew(self._sockets), describe(self.name, self.domain)
        self._link = link = Link(self.id, pack_entry(entry), self.domain, os.urandom(32))
        link.hosts.port = GROUP_PORT  # only the group is bound to it
        self._view = view = View()
        self.listen, self.picture = view.listen, Picture(view, link.peers, Strangers(link, self.keys.seal).found)
        self._introductions = known = Introductions(link, view, self._publishers, self._subscribers)
        self._network = Network(self.loop, self._settings, self._on_network)
        self._peering = Peering(self.loop, entry, link, self._network, self.sockets, known.on_link_event)
        self.ledger = cache(partial(_ledger, self, self._peering))
        speaking = Speaking(self.loop, entry, link, self._peering, self._network, self.keys.ids, known.published)
        self._peering.listen(speaking.on_link_event)
        self.rendezvous = Rendezvous(self.loop, link, self._peering, self._network, speaking)
        self._announcements = Announcements(self.loop, link, known, self._peering, self.rendezvous)
        ways = Ways(self._network, known, link.peers)
        self.way_to, self.clocks = ways.to_node, self._peering.clocks
        make, limit = self.sockets.connected, self.sockets.memory and self._settings.memory
        heard = self._on_answer, self._on_refusal
        self._connections = Connections(self.loop, self._network.mtu_to, *heard, make, ways.to_subscriber)
        self.handovers = Handovers(self.loop, self.id, self._subscribers, limit, self.keys.handover_names)
        view.add_node(self.id, node_info(entry, self.id, None))
        self.loop.call(self._start)

    def _start(self) -> None:
        self._network.start()
        self.keys.start(self.loop, self._link.hosts.rekey, self.rendezvous.show, self.handovers.keys_changed)
        self.rendezvous.start(self._settings.peers, mdns=self.sockets.mdns)

    # -- for the node that users hold --------------------------------------------------------------------------------

    def ensure_open(self) -> None:
        """Make sure that the node works: it begins with the first call; in a forked child anew, with a new id.

        Raises:
            ClosedError: if it was closed.
            TransportError: if there is no UDP socket to be had.
        """
        if self.closed:
            raise ClosedError(f"the node {self.name!r} is closed")
        if not self._begun:
            with self._lock:
                if not self._begun:
                    self._begin()

    def topics(self, *, hidden: bool = False) -> tuple[TopicInfo, ...]:
        """Return the topics known now, by name; with ``hidden`` ipcpy's own too."""
        self.ensure_open()
        return self.picture.topics(hidden=hidden)

    def watch(self, node: object = None, *, hidden: bool = False) -> Watch[Event]:
        """Return a watch on the graph, which keeps the handle of its node alive."""
        self.ensure_open()
        return self._view.watch(node, hidden=hidden)

    def wait_complete(self, timeout: float | None) -> bool:
        """Wait until all that is there is known, as far as can be told."""
        self.ensure_open()
        settled = self._view.wait_settled(self._is_complete, timeout)
        self.ensure_open()
        return settled

    async def wait_complete_async(self, timeout: float | None) -> bool:
        """Wait as ``wait_complete``, in a coroutine."""
        self.ensure_open()
        settled = await self._view.wait_settled_async(self._is_complete, timeout)
        self.ensure_open()
        return settled

    def _is_complete(self) -> bool:
        return all(peer.complete for peer in list(self._link.peers.values()))

    def stats(self) -> NodeStats:
        """Return the counts of the link and of mDNS."""
        peering, ignored = self._peering, self.rendezvous.ignored()
        causes = map(dict, (self._link.dropped + self.keys.refused, peering.refused, ignored, self.handovers.refused))
        return NodeStats(peering.received, peering.sent, *causes)

    # -- for publishers and subscribers ------------------------------------------------------------------------------

    @property
    def link_port(self) -> int:
        """The UDP port of the link."""
        return self._peering.port

    @property
    def bind_host(self) -> str:
        """The address that data sockets are bound to."""
        return self._network.bind_host

    def add_publisher(self, publisher: OwnPublisher, entry: PublisherEntry) -> None:
        """Announce a publisher, and introduce it to the subscribers known; again when its entry changed.

        Raises:
            ValueError: if the entry cannot be announced; the publisher is not kept then.
        """
        packed = pack_entry(entry)
        self._publishers[publisher.number] = publisher
        self._peering.books.keep(publisher)
        self._announcements.put(publisher.number, entry, packed)

    def add_subscriber(self, subscriber: OwnSubscriber, entry: SubscriberEntry) -> None:
        """Announce a subscriber, and introduce it to the publishers known; again when its entry changed.

        Raises:
            ValueError: if the entry cannot be announced; the subscriber is not kept then.
        """
        packed = pack_entry(entry)
        self._subscribers[subscriber.number] = subscriber
        self._peering.books.keep(subscriber)
        self.handovers.listen_soon()
        self._announcements.put(subscriber.number, entry, packed)

    def withdraw(self, number: int) -> None:
        """Announce that a publisher or subscriber is no more."""
        self._publishers.pop(number, None)
        self._subscribers.pop(number, None)
        self._peering.books.forget(number)
        self._announcements.remove(number)

    def connection(self, address: Address, publisher: int) -> ConnectedSocket:
        """Return the socket that is connected to a subscriber's address; all publishers of the node share it.

        Raises:
            TransportError: if there is no way there now.
        """
        return self._connections.take(address, publisher)

    def release_connection(self, address: Address, publisher: int) -> None:
        """Take note that a publisher needs the socket to an address no more."""
        self._connections.release(address, publisher)

    def interface_indexes(self) -> list[int]:
        """Return the interfaces to listen for multicast on."""
        return self._network.indexes()

    def interface_of(self, address: str) -> int | None:
        """Return the index of the interface that leads to an address, where multicast reaches it."""
        interface = self._network.interface_to(address)
        return interface.index if interface is not None and interface.multicast else None

    def fanout_socket(
        self, group: Address, address: str, ready: Callable[[FanoutSocket], object]
    ) -> FanoutSocket | None:
        """Return a socket that sends to a group towards an address, or None; ``ready`` is called to read answers."""
        if (sock := self._network.fanout_socket(self.sockets.fanout, group, address)) is not None:
            self.loop.watch(sock, lambda: ready(sock))
        return sock

    # -- in the I/O thread: who is told of what ----------------------------------------------------------------------

    def _on_answer(self, data: bytes, address: Address) -> None:
        for publisher in map(self._publishers.get, sources(data)):
            if publisher is not None:
                publisher.receive_datagram(data, address)

    def _on_refusal(self, address: Address) -> None:
        for publisher in map(self._publishers.get, self._connections.users(address)):
            if publisher is not None:
                publisher.verify(address)
        if (node_id := self._introductions.node_listening_at(address)) is not None:
            self._peering.doubt(node_id)

    def _on_network(self, others: bool) -> None:
        """Take note that the interfaces are others, or only that routes may be."""
        if others:
            self._peering.rejoin()
            self.rendezvous.network_changed()
            indexes = self._network.indexes()
            for subscriber in list(self._subscribers.values()):
                subscriber.network_changed(indexes)
        # Subscribers are challenged anew where this host's own address on the way to them is another.
        self._introductions.renew(self._connections.refresh())
        for publisher in list(self._publishers.values()) if others else ():
            publisher.network_changed()

    # -- the end, and fork -------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close its publishers and subscribers, say goodbye, stop the thread; within 100 ms, idempotent."""
        self.closed = True
        if self._ended:
            return
        try:
            self.close_by = time.monotonic() + CLOSE_ALL
            for endpoint in self._endpoints():
                endpoint.close()
        finally:  # also where an exception from outside comes meanwhile
            self.loop.call(self._shut_down)
            self._view.close()
            lifetimes.ended(self)
            self._ended = True  # last: what an exception from outside leaves undone, the next call does
        self.loop.join(STOP)

    def forget(self) -> None:
        """Close, for the garbage collector: soon, in the I/O thread. In a forked child there is nothing to close."""
        if not self._ended and self._begun:
            self.loop.call(self.close)

    def _endpoints(self) -> list[OwnPublisher | OwnSubscriber]:
        return [*self._publishers.values(), *self._subscribers.values()]

    def _shut_down(self) -> None:
        if self.loop.stopping:  # asked for twice
            return
        for endpoint in self._endpoints():  # those that an exception from outside has left to us
            endpoint.close()
        for part in (self._peering, self._network, self._connections, self.handovers, self.rendezvous):
            part.close()  # mDNS last: it takes up to 0.1 s for its goodbye
        self.loop.quit()

    def abandon(self) -> None:
        """Let go of what belongs to the parent, in a forked child; the node begins anew when it is next used."""
        lifetimes.ended(self)
        self._lock = threading.RLock()
        self._begun = False
        self.loop.abandon()
        self._view.abandon()
        self._peering.abandon()
        self._network.close()
        self.rendezvous.abandon()
        self._connections.abandon()
        self.handovers.abandon()
        for endpoint in self._endpoints():
            endpoint.abandon()
        self._publishers.clear()  # those that are used again announce themselves, under new numbers
        self._subscribers.clear()


def _ledger(core: Core, peering: Peering) -> Ledger:
    with importing.lock:
        from .ledger import Ledger

    return Ledger(core, peering.books, peering.inquiries, core.id)
