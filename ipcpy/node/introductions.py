"""Introduces publishers to subscribers: who announces what, and who of this node's own it concerns.

Knows entries, addresses and the graph; nothing of sockets or frames. Used in the I/O thread.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from ..addresses import LOOPBACK, Address
from ..graph import EndpointInfo, NodeInfo
from ..protocol import topics as names
from ..protocol.link.entries import Entry, NodeEntry, PublisherEntry, SubscriberEntry, unpack_entry
from ..protocol.link.link import EntryChanged, Link, LinkEvent, PeerFound, PeerLost, PeerMoved, PeerResumed, PeerStalled
from .view import View

log = logging.getLogger(__name__)


class OwnPublisher(Protocol):
    """What is asked of a publisher of this node; all but ``close`` is called in the I/O thread."""

    number: int

    def subscriber_found(self, number: int, info: EndpointInfo, address: Address) -> None: ...
    def subscriber_lost(self, number: int) -> None: ...
    def receive_datagram(self, data: bytes, address: Address) -> None: ...
    def verify(self, address: Address) -> None: ...
    def network_changed(self) -> None: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...


class OwnSubscriber(Protocol):
    """What is asked of a subscriber of this node; all but ``close`` is called in the I/O thread."""

    number: int

    def publisher_found(
        self, number: int, info: EndpointInfo, is_its_address: Callable[[str], bool], group: Address | None
    ) -> None: ...
    def publisher_lost(self, number: int) -> None: ...
    def network_changed(self, interfaces: Iterable[int]) -> None: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...


class Introductions:
    """All publishers and subscribers that are announced, and the introductions of this node's own to them.

    Args:
        own: this node's id.
        view: the graph, kept true here.
        link: asked where other nodes are.
        publishers, subscribers: those of this node, by number.
    """

    def __init__(
        self,
        own: int,
        view: View,
        link: Link,
        publishers: Mapping[int, OwnPublisher],
        subscribers: Mapping[int, OwnSubscriber],
    ) -> None:
        self._own = own
        self._view = view
        self._link = link
        self._publishers = publishers
        self._subscribers = subscribers
        self._entries: dict[int, dict[int, Entry]] = {own: {}}
        self._by_topic: dict[type[Entry], dict[str, dict[int, Entry]]] = {PublisherEntry: {}, SubscriberEntry: {}}

    # -- what is asked -----------------------------------------------------------------------------------------------

    def published(self) -> tuple[str, ...]:
        """Give the topics that this node publishes."""
        return tuple(sorted(self._by_topic[PublisherEntry]))

    def node_listening_at(self, address: Address) -> int | None:
        """Give the node that has a subscriber at an address, other than this one."""
        for node_id, entries in self._entries.items():
            ports = (entry.port for entry in entries.values() if isinstance(entry, SubscriberEntry))
            if node_id != self._own and self._address_of(node_id) == address[0] and address[1] in ports:
                return node_id
        return None

    # -- what changes ------------------------------------------------------------------------------------------------

    def on_link_event(self, event: LinkEvent) -> None:
        """Take what the link says of another node."""
        if isinstance(event, EntryChanged):
            self._on_entry(event)
        elif isinstance(event, PeerFound):
            self._entries[event.id] = {}
            self._view.add_node(event.id, node_info(event.entry, event.id, event.address))
        elif isinstance(event, PeerLost):
            for number in list(self._entries.pop(event.id, {})):
                self._part(number)
            self._view.remove_node(event.id, event.reason)
        elif isinstance(event, PeerMoved):
            self._view.change_node(event.id, address=f"{event.address[0]}:{event.address[1]}")
            for number, entry in list(self._entries.get(event.id, {}).items()):
                self._introduce(event.id, number, entry)
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
                self._link.dropped["entry"] += 1
                log.warning("node %016x announces what is no publisher or subscriber: %s", event.id, error)
        self._change(event.id, event.entry_id, entry)

    def change_own(self, number: int, entry: Entry | None) -> None:
        """A publisher or subscriber of this node came, changed, or went (None)."""
        before = self._entries[self._own].get(number)
        if before is not None:
            self._forget_topic(number, before)
        if isinstance(entry, PublisherEntry | SubscriberEntry):
            self._by_topic[type(entry)].setdefault(entry.topic, {})[number] = entry
        self._change(self._own, number, entry)

    def _forget_topic(self, number: int, entry: Entry) -> None:
        if isinstance(entry, PublisherEntry | SubscriberEntry):
            topics = self._by_topic[type(entry)]
            same = topics[entry.topic]
            del same[number]
            if not same:
                del topics[entry.topic]

    def _change(self, node_id: int, number: int, entry: Entry | None) -> None:
        known = self._entries.get(node_id)
        if known is None:
            return
        if not isinstance(entry, PublisherEntry | SubscriberEntry):
            known.pop(number, None)
            self._part(number)
            self._view.remove(node_id, number)
            return
        before = known.get(number)
        known[number] = entry
        info = self._endpoint(node_id, number, entry)
        if info is None:
            return
        self._view.put(node_id, number, info)
        if before is None or _without_mismatch(before) != _without_mismatch(entry):
            self._introduce(node_id, number, entry)

    def renew(self, stale: set[Address]) -> None:
        """Have subscribers at these addresses challenged anew."""
        for node_id, entries in list(self._entries.items()) if stale else ():
            ip = self._address_of(node_id)
            for number, entry in list(entries.items()):
                if isinstance(entry, SubscriberEntry) and (ip, entry.port) in stale:
                    self._introduce(node_id, number, entry)

    # -- introductions -----------------------------------------------------------------------------------------------

    def _introduce(self, node_id: int, number: int, entry: Entry) -> None:
        """Bring a new endpoint, of this node or another, together with those of this node that it matches.

        For one of this node that goes both ways: it is also brought together with those of other nodes.
        """
        if isinstance(entry, PublisherEntry):
            for other_node, other_number, subscriber in list(self._subscribers_of(node_id, entry.topic)):
                self._match(node_id, number, entry, other_node, other_number, subscriber)
        elif isinstance(entry, SubscriberEntry):
            for other_node, other_number, publisher in list(self._publishers_of(node_id, entry.topic)):
                self._match(other_node, other_number, publisher, node_id, number, entry)

    def _subscribers_of(self, node_id: int, topic: str) -> Iterator[tuple[int, int, SubscriberEntry]]:
        for other_node, other_number, other in self._others(node_id, SubscriberEntry, topic):
            if isinstance(other, SubscriberEntry) and names.matches(other.topic, topic):
                yield other_node, other_number, other

    def _publishers_of(self, node_id: int, pattern: str) -> Iterator[tuple[int, int, PublisherEntry]]:
        for other_node, other_number, other in self._others(node_id, PublisherEntry, pattern):
            if isinstance(other, PublisherEntry) and names.matches(pattern, other.topic):
                yield other_node, other_number, other

    def _others(self, node_id: int, kind: type[Entry], topic: str) -> Iterator[tuple[int, int, Entry]]:
        """Give candidates: for an endpoint of this node all there are, for others few of this node's own."""
        if node_id == self._own:
            for other_node, entries in self._entries.items():
                for number, entry in entries.items():
                    yield other_node, number, entry
            return
        own = self._by_topic[kind]
        if not own:
            return
        topics = list(own) if names.is_pattern(topic) else [topic, *filter(names.is_pattern, own)]
        for each in topics:
            for number, entry in own.get(each, {}).items():
                yield self._own, number, entry

    def _match(
        self,
        publisher_node: int,
        publisher_number: int,
        publisher_entry: PublisherEntry,
        subscriber_node: int,
        subscriber_number: int,
        subscriber_entry: SubscriberEntry,
    ) -> None:
        subscriber = self._subscribers.get(subscriber_number) if subscriber_node == self._own else None
        publisher = self._publishers.get(publisher_number) if publisher_node == self._own else None
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

    def _part(self, number: int) -> None:
        for publisher in list(self._publishers.values()):
            publisher.subscriber_lost(number)
        for subscriber in list(self._subscribers.values()):
            subscriber.publisher_lost(number)

    # -- values ------------------------------------------------------------------------------------------------------

    def _address_of(self, node_id: int) -> str:
        peer = self._link.peers.get(node_id)
        return peer.address[0] if peer is not None else LOOPBACK

    def _addresses_of(self, node_id: int) -> Callable[[str], bool]:
        """Give a test whether an ip is one of a node's: where a challenge was answered, or loopback for our own."""
        if node_id == self._own:
            return lambda ip: ip == LOOPBACK
        peer = self._link.peers.get(node_id)
        return lambda ip: peer is not None and any(ip == address[0] for address in peer.paths)

    def _endpoint(self, node_id: int, number: int, entry: PublisherEntry | SubscriberEntry) -> EndpointInfo | None:
        node = self._view.node(node_id)
        if node is None:
            return None
        id = f"{number:016x}"
        if isinstance(entry, PublisherEntry):
            return EndpointInfo(
                id, "publisher", entry.topic, entry.codec, entry.schema, entry.reliable, entry.keep, node
            )
        reasons = tuple(str(reason) for reasons in entry.mismatch.values() for reason in _texts(reasons))
        return EndpointInfo(id, "subscriber", entry.topic, entry.codec, entry.schema, False, 0, node, reasons)


def node_info(entry: NodeEntry, id: int, address: Address | None) -> NodeInfo:
    """Give what users see of a node."""
    where = f"{address[0]}:{address[1]}" if address else None
    return NodeInfo(f"{id:016x}", entry.name, entry.host, entry.pid, entry.domain, where, entry.version, "alive", 0.0)


def _without_mismatch(entry: Entry) -> Entry:
    """Give an entry without what it says of others, for comparing."""
    return replace(entry, mismatch={}) if isinstance(entry, SubscriberEntry) else entry


def _texts(reasons: Any) -> list[Any]:
    return reasons if isinstance(reasons, list) else [reasons]
