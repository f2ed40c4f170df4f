"""Introduces publishers to subscribers: who announces what, and whom of this node's own that concerns.

Knows entries, addresses and the graph; nothing of sockets or frames. Used in the I/O thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from ..addresses import LOOPBACK, Address
from ..graph import EndpointInfo, NodeInfo
from ..protocol.data.places import Offer
from ..protocol.link.entries import Entry, NodeEntry, PublisherEntry, SubscriberEntry, unpack_entry
from ..protocol.link.link import (
    EntryChanged,
    Link,
    LinkEvent,
    NodeRefused,
    PeerFound,
    PeerLost,
    PeerMoved,
    PeerResumed,
    PeerReturned,
    PeerStalled,
)
from ..protocol.link.rows import Row
from ..protocol.topics import is_own, is_pattern, matches
from ..records import NamedTuple, replace
from ..transport.handover import HandoverSocket
from ..typed import Any, Generic, Protocol, TypeVar
from .books import Moment
from .refusals import Refusals
from .view import View

EndpointEntry = PublisherEntry | SubscriberEntry
Endpoint = TypeVar("Endpoint", PublisherEntry, SubscriberEntry)


class OwnPublisher(Protocol):
    """What is asked of a publisher of this node; all but ``close`` is called in the I/O thread."""

    number: int

    def subscriber_found(self, number: int, info: EndpointInfo, address: Address) -> None: ...
    def subscriber_lost(self, number: int) -> None: ...
    def receive_datagram(self, data: bytes, address: Address) -> None: ...
    def verify(self, address: Address, *, forgotten: bool = False) -> None: ...
    def network_changed(self) -> None: ...
    def account(self, rows: list[Row], moment: Moment) -> None: ...
    def explain(self) -> str: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...


class OwnSubscriber(Protocol):
    """What is asked of a subscriber of this node; all but ``close`` is called in the I/O thread."""

    number: int

    def publisher_found(
        self, number: int, info: EndpointInfo, is_its_address: Callable[[str], bool], group: Address | None
    ) -> None: ...
    def publisher_lost(self, number: int) -> None: ...
    def memory_offered(self, offer: Offer, descriptors: list[int], sock: HandoverSocket) -> str: ...
    def network_changed(self, interfaces: Iterable[int]) -> None: ...
    def account(self, rows: list[Row], moment: Moment) -> None: ...
    def explain(self) -> str: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...


class Announced(NamedTuple, Generic[Endpoint]):
    """A publisher or a subscriber, with the node that announces it."""

    node: int
    number: int
    entry: Endpoint


class Introductions:
    """All publishers and subscribers that are announced, and the introductions of this node's own to them.

    Args:
        link: has this node's id, and is asked where other nodes are.
        view: the graph, kept true here.
        publishers, subscribers: those of this node, by number.
    """

    def __init__(
        self, link: Link, view: View, publishers: Mapping[int, OwnPublisher], subscribers: Mapping[int, OwnSubscriber]
    ) -> None:
        self._link = link
        self._own = link.id
        self._view = view
        self._publishers = publishers
        self._subscribers = subscribers
        self._entries: dict[int, dict[int, EndpointEntry]] = {self._own: {}}
        self._own_publishers: _ByTopic[PublisherEntry] = _ByTopic()
        self._own_subscribers: _ByTopic[SubscriberEntry] = _ByTopic()
        self._refusals = Refusals()

    # -- what is asked -----------------------------------------------------------------------------------------------

    def published(self, node_id: int) -> tuple[str, ...]:
        """Return the topics that a node publishes, sorted, but those that are ipcpy's own."""
        entries = self._entries.get(node_id, {}).values()
        topics = {entry.topic for entry in entries if isinstance(entry, PublisherEntry)}
        return tuple(sorted(topic for topic in topics if not is_own(topic)))

    def node_listening_at(self, address: Address) -> int | None:
        """Return the id of the node that has a subscriber at an address, other than this one."""
        for node_id, entries in self._entries.items():
            ports = (entry.port for entry in entries.values() if isinstance(entry, SubscriberEntry))
            if node_id != self._own and self._ip_of(node_id) == address[0] and address[1] in ports:
                return node_id
        return None

    # -- what changes ------------------------------------------------------------------------------------------------

    def on_link_event(self, event: LinkEvent) -> None:
        """Take what the link says of another node."""
        if isinstance(event, EntryChanged):
            self._change(event.id, event.entry_id, self._unpack(event))
        elif isinstance(event, PeerFound):
            self._entries[event.id] = {}
            self._view.add_node(event.id, node_info(event.entry, event.id, event.address))
        elif isinstance(event, PeerLost):
            self._view.remove_node(event.id, event.reason)  # first: who is asked for the reason knows it
            for number in list(self._entries.pop(event.id, {})):
                self._part(number)
        elif isinstance(event, PeerMoved):
            self._view.change_node(event.id, address=f"{event.address[0]}:{event.address[1]}")
            for number, entry in list(self._entries.get(event.id, {}).items()):
                self._introduce(event.id, number, entry)
        elif isinstance(event, PeerStalled):
            self._view.change_node(event.id, state="unresponsive")
        elif isinstance(event, PeerResumed):
            self._view.change_node(event.id, state="alive")
        elif isinstance(event, PeerReturned):
            self._match_anew(event.id)
        elif isinstance(event, NodeRefused):
            who = f"the node {event.id:016x} at {event.address[0]}:{event.address[1]}"
            self._refusals.tell(event.id, who, f"nothing of it is believed: {event.reason}")

    def _unpack(self, event: EntryChanged) -> Entry | None:
        """Return what was announced; None if it is no more, or if it cannot be read."""
        if event.data is None:
            return None
        try:
            entry = unpack_entry(event.data)
            if isinstance(entry, NodeEntry):
                raise ValueError("an entry of a node under another id than 0")
            return entry
        except ValueError as error:
            self._link.dropped["entry"] += 1
            node = self._view.node(event.id)
            who = f"the node {event.id:016x}" + (f" ({node.name!r} on {node.host})" if node is not None else "")
            self._refusals.tell(event.id, who, f"it announces what is no publisher or subscriber: {error}")
            return None

    def change_own(self, number: int, entry: EndpointEntry | None) -> None:
        """Take that a publisher or subscriber of this node came, changed, or went (None)."""
        before = self._entries[self._own].get(number)
        if isinstance(before, PublisherEntry):
            self._own_publishers.remove(number, before)
        elif isinstance(before, SubscriberEntry):
            self._own_subscribers.remove(number, before)
        if isinstance(entry, PublisherEntry):
            self._own_publishers.put(number, entry)
        elif isinstance(entry, SubscriberEntry):
            self._own_subscribers.put(number, entry)
        self._change(self._own, number, entry)

    def _change(self, node_id: int, number: int, entry: Entry | None) -> None:
        known = self._entries.get(node_id)
        if known is None:
            return
        if not isinstance(entry, PublisherEntry | SubscriberEntry):
            known.pop(number, None)
            self._view.remove(node_id, number)
            self._part(number)
            return
        before = known.get(number)
        known[number] = entry
        info = self._info(node_id, number, entry)
        if info is None:
            return
        self._view.put(node_id, number, info)
        if before is None or _without_mismatch(before) != _without_mismatch(entry):
            self._introduce(node_id, number, entry)

    def _match_anew(self, node_id: int) -> None:
        """Have the subscribers of a node challenged anew: it had given this one up, and takes nothing from here."""
        for entry in list(self._entries.get(node_id, {}).values()):
            if isinstance(entry, SubscriberEntry):
                for publisher in list(self._publishers.values()):
                    publisher.verify((self._ip_of(node_id), entry.port), forgotten=True)

    def renew(self, stale: set[Address]) -> None:
        """Have subscribers at these addresses challenged anew."""
        for node_id, entries in list(self._entries.items()) if stale else ():
            ip = self._ip_of(node_id)
            for number, entry in list(entries.items()):
                if isinstance(entry, SubscriberEntry) and (ip, entry.port) in stale:
                    self._introduce(node_id, number, entry)

    # -- introductions -----------------------------------------------------------------------------------------------

    def _introduce(self, node_id: int, number: int, entry: EndpointEntry) -> None:
        """Bring a new endpoint together with those it matches. One of the two is always this node's own."""
        if isinstance(entry, PublisherEntry):
            publisher = Announced(node_id, number, entry)
            for subscriber in list(self._subscribers_for(publisher)):
                self._bring_together(publisher, subscriber)
        else:
            subscriber = Announced(node_id, number, entry)
            for publisher in list(self._publishers_for(subscriber)):
                self._bring_together(publisher, subscriber)

    def _subscribers_for(self, publisher: Announced[PublisherEntry]) -> Iterator[Announced[SubscriberEntry]]:
        topic = publisher.entry.topic
        if publisher.node != self._own:  # few: those of this node's own
            for number, entry in self._own_subscribers.candidates(topic):
                if matches(entry.topic, topic):
                    yield Announced(self._own, number, entry)
            return
        for node_id, entries in self._entries.items():
            for number, other in entries.items():
                if isinstance(other, SubscriberEntry) and matches(other.topic, topic):
                    yield Announced(node_id, number, other)

    def _publishers_for(self, subscriber: Announced[SubscriberEntry]) -> Iterator[Announced[PublisherEntry]]:
        pattern = subscriber.entry.topic
        if subscriber.node != self._own:
            for number, entry in self._own_publishers.candidates(pattern):
                if matches(pattern, entry.topic):
                    yield Announced(self._own, number, entry)
            return
        for node_id, entries in self._entries.items():
            for number, other in entries.items():
                if isinstance(other, PublisherEntry) and matches(pattern, other.topic):
                    yield Announced(node_id, number, other)

    def _bring_together(self, publisher: Announced[PublisherEntry], subscriber: Announced[SubscriberEntry]) -> None:
        """Tell each of the two that is this node's own of the other."""
        own_subscriber = self._subscribers.get(subscriber.number) if subscriber.node == self._own else None
        own_publisher = self._publishers.get(publisher.number) if publisher.node == self._own else None
        if own_subscriber is not None and (info := self._info(*publisher)) is not None:
            entry = publisher.entry
            group = (entry.group, entry.group_port) if entry.group else None
            own_subscriber.publisher_found(publisher.number, info, self._is_address_of(publisher.node), group)
        if own_publisher is not None and (info := self._info(*subscriber)) is not None:
            address = self._ip_of(subscriber.node), subscriber.entry.port
            own_publisher.subscriber_found(subscriber.number, info, address)

    def _part(self, number: int) -> None:
        for publisher in list(self._publishers.values()):
            publisher.subscriber_lost(number)
        for subscriber in list(self._subscribers.values()):
            subscriber.publisher_lost(number)
        for node_id, entries in list(self._entries.items()):
            if number in entries:  # another bridge has taken over a publisher that is beyond this LAN
                self._introduce(node_id, number, entries[number])

    # -- where nodes are, and what users see -------------------------------------------------------------------------

    def _ip_of(self, node_id: int) -> str:
        peer = self._link.peers.get(node_id)
        return peer.address[0] if peer is not None else LOOPBACK

    def _is_address_of(self, node_id: int) -> Callable[[str], bool]:
        """Return a test whether an ip is one of a node's: where a challenge was answered, or loopback for our own."""
        if node_id == self._own:
            return lambda ip: ip == LOOPBACK
        peer = self._link.peers.get(node_id)
        return lambda ip: peer is not None and any(ip == address[0] for address in peer.paths)

    def _info(self, node_id: int, number: int, entry: EndpointEntry) -> EndpointInfo | None:
        """Return what users see of an endpoint; None while its node is not known."""
        node = self._view.node(node_id)
        if node is None:
            return None
        id = f"{number:016x}"
        if isinstance(entry, PublisherEntry):
            said = (entry.topic, entry.codec, entry.schema, entry.reliable, entry.keep)
            return EndpointInfo(id, "publisher", *said, node, rate=entry.rate, via=entry.via)
        reasons = tuple(str(reason) for reasons in entry.mismatch.values() for reason in _texts(reasons))
        return EndpointInfo(id, "subscriber", entry.topic, entry.codec, entry.schema, False, 0, node, reasons)


class _ByTopic(Generic[Endpoint]):
    """This node's own publishers, or its own subscribers, by topic or pattern."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[int, Endpoint]] = {}

    def put(self, number: int, entry: Endpoint) -> None:
        self._entries.setdefault(entry.topic, {})[number] = entry

    def remove(self, number: int, entry: Endpoint) -> None:
        same = self._entries[entry.topic]
        del same[number]
        if not same:
            del self._entries[entry.topic]

    def candidates(self, topic: str) -> Iterator[tuple[int, Endpoint]]:
        """Find those that may match a topic or pattern, and few others."""
        if not self._entries:
            return
        topics = list(self._entries) if is_pattern(topic) else [topic, *filter(is_pattern, self._entries)]
        for each in topics:
            yield from self._entries.get(each, {}).items()


def node_info(entry: NodeEntry, id: int, address: Address | None) -> NodeInfo:
    """Return what users see of a node."""
    where = f"{address[0]}:{address[1]}" if address else None
    return NodeInfo(f"{id:016x}", entry.name, entry.host, entry.pid, entry.domain, where, entry.version, "alive", 0.0)


def _without_mismatch(entry: EndpointEntry) -> EndpointEntry:
    """Return an entry without what it says of others, for comparing."""
    return replace(entry, mismatch={}) if isinstance(entry, SubscriberEntry) else entry


def _texts(reasons: Any) -> list[Any]:
    return reasons if isinstance(reasons, list) else [reasons]
