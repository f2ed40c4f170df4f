"""Which publishers of this LAN are offered beyond, and which of them somebody there wants.

Called by the one thread that decides. Knows the adapter, and the lanes that carry messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ..graph import EndpointInfo
from ..node.node import Node
from .adapter import Adapter, Key
from .books import ExportStats
from .choice import Choice
from .exports import Export, Lane
from .offers import MAX_PATH, Beginning, Offer, read_id
from .rules import Rules

__all__ = ["Exporting", "Owner", "path_of"]


class Owner(Protocol):
    """The bridge: who it is, and what it lets cross."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def rules(self) -> Rules: ...


class Exporting:
    """The exports of one bridge.

    Args:
        owner: the bridge.
        adapter: its engine.
        node: where it takes part here.
        choice: what is heard from beyond.

    Attributes:
        stopped: whether nothing is begun any more.
    """

    def __init__(self, owner: Owner, adapter: Adapter, node: Node, choice: Choice) -> None:
        self._owner = owner
        self._adapter = adapter
        self._node = node
        self._choice = choice
        self._exports: dict[str, Export] = {}  # by publisher
        self._lanes: dict[tuple[str, bool], Lane] = {}
        self.stopped = False

    def offer(self, info: EndpointInfo) -> None:
        """Offer a publisher of this LAN beyond, if it is to be, and no more if it is not."""
        beyond = self._owner.rules.beyond(info.topic)
        path = path_of(info)
        if beyond is None or path is None or not self._choice.may_export(info.id, path):
            self.stop(info.id)
            return
        offer = Offer(
            info.id,
            beyond,
            info.codec,
            dict(info.schema),
            info.reliable,
            info.keep,
            str(info.via.get("node", "")) or info.node.name,
            str(info.via.get("host", "")) or info.node.host,
            self._owner.name,
            (*path, self._owner.id),
        )
        known = self._exports.get(info.id)
        if known is not None:
            if known.offer == offer:
                return
            self.stop(info.id)
        self._exports[info.id] = Export(offer, info.topic)
        self._adapter.offer(offer)

    def stop(self, publisher: str) -> None:
        """Offer a publisher no more."""
        export = self._exports.pop(publisher, None)
        if export is not None:
            self._rest(export)
            self._adapter.withdraw(export.offer.key)

    def want(self, key: Key, wanted: bool) -> None:
        """Begin to send what somebody beyond subscribes to, or end."""
        export = self._exports.get(key[1])
        if export is None or export.offer.key != key or export.wanted == wanted or self.stopped:
            return
        if not wanted:
            self._rest(export)
            return
        export.wanted = True
        where = export.topic, export.offer.reliable
        if where in self._lanes:
            self._lanes[where].put(export)
            return
        limits = self._owner.rules.limits(export.topic)
        self._lanes[where] = Lane(export, limits=limits, adapter=self._adapter, node=self._node)

    def rest(self) -> None:
        """Take note that nobody beyond wants anything: the engine is out of reach."""
        for export in list(self._exports.values()):
            self._rest(export)

    def _rest(self, export: Export) -> None:
        if not export.wanted:
            return
        export.wanted = False
        where = export.topic, export.offer.reliable
        lane = self._lanes.get(where)
        if lane is not None:
            export.left_out.update(lane.lost(export.offer.publisher))
            if not lane.remove(export.offer.publisher):
                lane.close()
                del self._lanes[where]
        export.rest()

    def beginning_of(self, key: Key) -> Beginning:
        """Return how what we offer begins; in any thread."""
        export = self._exports.get(key[1])
        return Beginning() if export is None or export.offer.key != key else export.beginning()

    def stats(self) -> tuple[ExportStats, ...]:
        """Return what became of the messages; in any thread."""
        return tuple(export.stats(self._lost(export)) for export in list(self._exports.values()))

    def _lost(self, export: Export) -> Mapping[str, int]:
        lane = self._lanes.get((export.topic, export.offer.reliable)) if export.wanted else None
        return {} if lane is None else lane.lost(export.offer.publisher)

    def close(self) -> None:
        """Send nothing any more."""
        for lane in list(self._lanes.values()):
            lane.close()


def path_of(info: EndpointInfo) -> tuple[str, ...] | None:
    """Return the bridges that a publisher of this LAN has passed; None if what is told of it is wrong."""
    told: Any = info.via.get("path", []) if isinstance(info.via, Mapping) else []
    try:
        return tuple(read_id(bridge) for bridge in told) if len(told) <= MAX_PATH else None
    except (TypeError, ValueError):
        return None
