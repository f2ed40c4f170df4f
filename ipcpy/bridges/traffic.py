"""Who is on this LAN, and which publishers beyond are imported now. Called by the one thread that decides.

Knows the graph's events and the offers from beyond, and brings imports and the adapter in line with them; exports are
exporting.py's. Messages pass it by: only what they are handed to is looked up here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from ..errors import IpcError
from ..events import Event, PublisherFound, PublisherLost, SubscriberFound, SubscriberLost
from ..graph import EndpointInfo
from ..node.node import Node
from ..protocol.topics import matches
from .adapter import Adapter, Key
from .books import ExportStats, ImportStats
from .choice import STAND_BY, Choice, Kin
from .exporting import Exporting, Owner, path_of
from .imports import Import
from .offers import Beginning, Offer, Parcel
from .rules import OWN

__all__ = ["Traffic"]

log = logging.getLogger(__name__)

MAX_PAST = 1_000  # publishers beyond whose books are kept when they are gone
_SIGN = f"{OWN}/bridge/"


class Traffic:
    """Exports and imports of one bridge.

    Args:
        owner: the bridge.
        adapter: its engine.
        node: where it takes part here.
        hops: how many bridges something may have passed.
    """

    def __init__(self, owner: Owner, adapter: Adapter, node: Node, hops: int) -> None:
        self._owner = owner
        self._adapter = adapter
        self._node = node
        self._choice = Choice(owner.id, owner.rules, hops)
        self._exporting = Exporting(owner, adapter, node, self._choice)
        self.want_export = self._exporting.want
        self.beginning_of = self._exporting.beginning_of
        self._publishers: dict[str, EndpointInfo] = {}  # of this LAN, those of other bridges included
        self._subscribers: dict[str, EndpointInfo] = {}
        self._imports: dict[str, Import] = {}
        self._since: dict[str, float] = {}  # when a publisher beyond was first seen to be missing here
        self._near: frozenset[str] = frozenset()  # the other bridges on this LAN
        self._past: dict[str, Import] = {}  # publishers beyond that are out of reach or gone
        self._kin = Kin()  # of publishers of this LAN
        self._kin_taken = Kin()  # of imports
        self._refused: set[str] = set()  # publishers beyond whose offers cannot be announced here
        self._stopped = False

    def near(self) -> frozenset[str]:
        """Return the other bridges on this LAN; in any thread."""
        return self._near

    # -- this LAN ----------------------------------------------------------------------------------------------------

    def on_event(self, event: Event) -> None:
        """Take what becomes of publishers and subscribers on this LAN."""
        match event:
            case PublisherFound(info) if info.node.id != self._node.id:
                self._publishers[info.id] = info
                self._publisher_changed(info)
            case PublisherLost(info) if info.node.id != self._node.id:
                known = self._publishers.get(info.id)
                if known is not None and known.node.id == info.node.id:
                    del self._publishers[info.id]
                    self._kin.remove(info.id)
                    self._exporting.stop(info.id)
                    if info.topic.startswith(_SIGN):
                        self._bridges_changed()
                    if info.id in self._imports:  # another bridge announced it too, and does no more
                        self._imports[info.id].reopen()
            case SubscriberFound(info) if info.node.id != self._node.id:
                self._subscribers[info.id] = info
                self._want_imports(info.topic)
            case SubscriberLost(info):
                if self._subscribers.pop(info.id, None) is not None:
                    self._want_imports(info.topic)

    def _publisher_changed(self, info: EndpointInfo) -> None:
        if info.topic.startswith(_SIGN):
            self._bridges_changed()
        path = path_of(info) or ()
        self._kin.put(info.id, path, info.topic)
        for publisher in (info.id, *self._kin_taken.of(info.id, path, info.topic)):
            if publisher in self._imports and self._yields(info):
                log.info("%s: %s brings it to this LAN too, and goes on alone", info.topic, info.node.name)
                self._stop_import(publisher)
        self._exporting.offer(info)

    def _yields(self, info: EndpointInfo) -> bool:
        """Tell whether we leave to another on this LAN what both announce."""
        other = _bridge_of(info)
        return not other or other < self._node.id

    def _bridges_changed(self) -> None:
        """Look at all offers again: those from bridges of this LAN are not taken."""
        signs = (info.topic.removeprefix(_SIGN) for info in self._publishers.values() if info.topic.startswith(_SIGN))
        self._near = frozenset(signs)
        for publisher in self._choice.publishers():
            self._import(publisher)

    # -- imports -----------------------------------------------------------------------------------------------------

    def offered(self, offer: Offer) -> None:
        """Take note of an offer from beyond."""
        self._choice.put(offer)
        self._refused.discard(offer.publisher)
        self._import(offer.publisher)

    def gone(self, key: Key) -> None:
        """Take note that an offer from beyond is no more."""
        self._choice.remove(key)
        self._import(key[1])

    def unlinked(self) -> None:
        """Take note that the engine is out of reach: nothing from beyond is there, and nobody wants anything."""
        self._choice.clear()
        self._exporting.rest()
        for publisher in list(self._imports):
            self._import(publisher)
        self._since.clear()

    def _import(self, publisher: str) -> None:
        """Bring the relay of a publisher in line with the offers of it."""
        held = self._imports.get(publisher)
        best = self._choice.best(publisher, self._near, held.offer.bridge if held else "")
        if info := self._publishers.get(publisher):
            self._exporting.offer(info)  # whether it goes on to others depends on what these hear of it
        if best is None:
            self._stop_import(publisher)
        elif held is None:
            now = time.monotonic()
            self._since.setdefault(publisher, now)
            self._consider(publisher, now)
        elif held.offer != best:
            self._change(held, best)

    def _change(self, held: Import, offer: Offer) -> None:
        """Take the messages of a publisher by another way."""
        before, held.offer = held.offer, offer
        if held.wanted:
            self._adapter.unwant(before.key)
        same = before.topic, before.codec, before.schema, before.reliable, before.keep
        if same != (offer.topic, offer.codec, offer.schema, offer.reliable, offer.keep):
            self._stop_import(offer.publisher)
            self._import(offer.publisher)
        elif held.wanted:
            held.ask()
            self._adapter.want(offer)

    def tick(self, now: float) -> None:
        """Announce what is due: a bridge leaves the first chance to those of this LAN whose ids are lower."""
        for publisher in list(self._since):
            self._consider(publisher, now)

    def _consider(self, publisher: str, now: float) -> None:
        wait = STAND_BY * sum(id < self._owner.id for id in self._near)
        best = self._choice.best(publisher, self._near)
        topic = None if best is None else self._owner.rules.here(best.topic)
        if publisher in self._publishers or publisher in self._refused or self._stopped:
            self._since[publisher] = now
        elif best is None or topic is None:
            del self._since[publisher]
        elif self._kin.of(publisher, best.path, topic):
            self._since[publisher] = now
        elif now - self._since[publisher] >= wait:
            self._start_import(best, topic)

    def _start_import(self, offer: Offer, topic: str) -> None:
        held = self._past.pop(offer.publisher, None)
        try:
            if held is None:
                held = Import(offer, topic, self._adapter.engine, self._node)
            else:
                held.resume(offer, topic)
        except (IpcError, ValueError) as error:
            self._refused.add(offer.publisher)
            log.warning("%s from %s cannot be announced here: %s", offer.topic, offer.name, error)
            return
        del self._since[offer.publisher]
        self._imports[offer.publisher] = held
        self._kin_taken.put(offer.publisher, offer.path, topic)
        self._want(held)
        if not held.wanted:
            held.rest()

    def _stop_import(self, publisher: str) -> None:
        self._since.pop(publisher, None)
        self._kin_taken.remove(publisher)
        held = self._imports.pop(publisher, None)
        if held is not None:
            if held.wanted:
                self._adapter.unwant(held.offer.key)
            held.suspend()
            self._past[publisher] = held
            while len(self._past) > MAX_PAST:
                del self._past[next(iter(self._past))]
            if self._choice.best(publisher, self._near) is not None:
                self._since[publisher] = time.monotonic()

    def _want_imports(self, pattern: str) -> None:
        for held in self._imports.values():
            if matches(pattern, held.topic):
                self._want(held)

    def _want(self, held: Import) -> None:
        wanted = any(matches(info.topic, held.topic) for info in self._subscribers.values())
        if wanted == held.wanted:
            return
        held.wanted = wanted
        if wanted:
            held.ask()
            self._adapter.want(held.offer)
        else:
            self._adapter.unwant(held.offer.key)
            held.rest()

    def begun(self, key: Key, beginning: Beginning) -> None:
        """Hand on how something begins; in any thread."""
        held = self._imports.get(key[1])
        if held is not None and held.offer.key == key:
            held.begin(beginning)

    def arrived(self, key: Key, parcel: Parcel) -> bool:
        """Hand on a parcel, in any thread; return whether its number is believed."""
        held = self._imports.get(key[1])
        return held is None or held.offer.key != key or held.arrive(parcel)

    def types(self, topic: str) -> list[Mapping[str, Any]]:
        """Return the schemas of struct messages that are known here on a topic beyond, of subscribers first."""
        name = self._owner.rules.here(topic)
        known = [*list(self._subscribers.values()), *list(self._publishers.values())]
        return [] if name is None else [i.schema for i in known if i.codec == "struct" and matches(i.topic, name)]

    # -- the books, and the end --------------------------------------------------------------------------------------

    def stats(self) -> tuple[tuple[ExportStats, ...], tuple[ImportStats, ...], int]:
        """Return what is exported and imported, and how many offers there are; in any thread."""
        imports = tuple(held.stats() for held in [*self._imports.values(), *self._past.values()])
        return self._exporting.stats(), imports, len(self._choice)

    def stop(self) -> None:
        """Begin nothing any more."""
        self._stopped = True
        self._exporting.stopped = True

    def close(self) -> None:
        """Withdraw all on this LAN."""
        self._exporting.close()
        for held in list(self._imports.values()):
            held.close()


def _bridge_of(info: EndpointInfo) -> str:
    """Return what to compare two bridges of this LAN by that announce the same: the node, for a relay."""
    return info.node.id if info.via else ""
