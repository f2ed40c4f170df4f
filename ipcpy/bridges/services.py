"""Which services cross a bridge: servers of this LAN that are offered beyond, and stand-ins here for those beyond.

All of it runs in one event loop of its own, which whatever happens is handed to. Knows the adapter's services, if it
carries any; calls are serving.py's and standin.py's.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ..asking.names import MAX_NAME, place_of
from ..errors import IpcError
from ..events import Event, SubscriberFound, SubscriberLost
from ..graph import EndpointInfo
from ..locks import start
from ..node.node import Node
from ..node.shared import node_for
from ..wakeups import call_in
from .adapter import Carrier, Key
from .books import ServiceStats
from .choice import STAND_BY, Choice
from .exporting import Owner
from .imports import via_of
from .offers import Offer, read_id
from .serving import Serving
from .standin import StandIn

__all__ = ["Services"]

log = logging.getLogger(__name__)

LOOK = 0.2  # seconds between looks at what has become due


class Services:
    """The services of one bridge; a Listener of the graph.

    Args:
        owner: the bridge.
        carrier: its adapter.
        node: where it takes part here.
        hops: how many bridges something may have passed.
        near: returns the other bridges on this LAN.

    Attributes:
        dropped: how many letters came that were none.
    """

    own = True

    def __init__(
        self, owner: Owner, carrier: Carrier, node: Node, hops: int, near: Callable[[], frozenset[str]]
    ) -> None:
        self._owner, self._carrier, self._node, self._near = owner, carrier, node, near
        self._choice = Choice(owner.id, owner.rules, hops)
        self._servers: dict[str, EndpointInfo] = {}  # of this LAN, by the topic of their requests
        self._offers: dict[str, tuple[Offer, Serving]] = {}  # the same that are offered
        self._stand_ins: dict[str, StandIn] = {}  # by the id of the server beyond
        self._numbers = itertools.count(1)
        self._since: dict[str, float] = {}
        self.dropped = 0
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="ipcpy bridge services", daemon=True)

    def begin(self) -> None:
        """Begin: from now on services cross."""
        start(self._thread)
        node_for(self._node).listen(self)

    def _run(self) -> None:
        self._loop.run_until_complete(self._keep())
        self._loop.close()

    async def _keep(self) -> None:
        while not self._stopped.is_set():
            try:
                self._look(time.monotonic())
            except Exception as error:  # the node may be closed; and a defect is to cost one look and no more
                if self._node.closed:
                    break
                log.error("services could not be looked at", exc_info=error)
            try:
                async with asyncio.timeout(LOOK):
                    await self._stopped.wait()
            except TimeoutError:
                pass
        self._clear()
        for topic in list(self._offers):
            self._withdraw(topic)
        await asyncio.sleep(0)
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest, timeout=0.5)

    # -- what is told, in any thread ---------------------------------------------------------------------------------

    def put(self, event: Event) -> None:
        """Take a change of the graph."""
        if isinstance(event, SubscriberFound | SubscriberLost) and place_of(event.subscriber.topic) is not None:
            if event.subscriber.node.id != self._node.id:
                call_in(self._loop, self._on_server, event.subscriber, isinstance(event, SubscriberFound))

    def end(self) -> None:
        """The node is closed."""
        call_in(self._loop, self._stopped.set)

    def abandon(self) -> None:
        """The process is a forked child: the parent's goes on."""

    def served(self, offer: Offer) -> None:
        """A service is there beyond."""
        call_in(self._loop, self._choice.put, offer)

    def retired(self, key: Key) -> None:
        """A service beyond is there no more."""
        call_in(self._loop, self._on_retired, key)

    def unlinked(self) -> None:
        """The engine is out of reach."""
        call_in(self._loop, self._clear)

    def letter(self, key: Key, caller: str, data: bytes) -> None:
        """A letter came: of who asks for what we offer, or of who answers us."""
        call_in(self._loop, self._on_letter, key, caller, data)

    def stats(self) -> tuple[ServiceStats, ...]:
        """Return which servers can be called on the other side, and how often they were; in any thread."""
        found = []
        for topic, (offer, serving) in list(self._offers.items()):
            place = place_of(topic)
            assert place is not None
            found.append(_stats(place.service, offer, "", serving))
        for held in list(self._stand_ins.values()):
            found.append(_stats(held.name, held.offer, held.offer.name, held))
        return tuple(found)

    def close(self) -> None:
        """Let nothing cross any more; idempotent."""
        self.end()
        if self._thread is not threading.current_thread():
            self._thread.join(1.0)

    # -- servers of this LAN -----------------------------------------------------------------------------------------

    def _on_server(self, server: EndpointInfo, came: bool) -> None:  # noqa: FBT001
        if came:
            self._servers[server.topic] = server
        else:
            self._servers.pop(server.topic, None)
            self._withdraw(server.topic)

    def _withdraw(self, topic: str) -> None:
        offer, serving = self._offers.pop(topic, (None, None))
        if offer is not None and serving is not None:
            self._carrier.retire(offer.key)
            serving.close()

    def _offer(self, server: EndpointInfo) -> None:
        place, via = place_of(server.topic), _via(server)
        assert place is not None
        beyond, id = self._owner.rules.beyond(place.service), str(via.get("id", place.server))
        try:
            path = tuple(map(read_id, via.get("path", ())))
            read_id(id)
        except (TypeError, ValueError):
            return
        fits = beyond is not None and len(beyond.encode()) <= MAX_NAME and self._choice.may_export(id, path)
        known = self._offers.get(server.topic)
        if not fits or beyond is None:
            self._withdraw(server.topic)
        elif known is None:
            whose = str(via.get("node", "")) or server.node.name, str(via.get("host", "")) or server.node.host
            told = {key: value for key, value in server.schema.items() if key != "via"}
            offer = Offer(id, beyond, "service", told, True, 0, *whose, self._owner.name, (*path, self._owner.id))
            serving = Serving(server, self._node, lambda to, data: self._carrier.post(offer, to, data))
            self._offers[server.topic] = offer, serving
            self._carrier.serve(offer)

    # -- servers beyond ----------------------------------------------------------------------------------------------

    def _look(self, now: float) -> None:
        for server in list(self._servers.values()):
            self._offer(server)
        for _, serving in self._offers.values():
            serving.look(now)
        near = self._near()
        for id in {*self._choice.publishers(), *self._stand_ins}:
            self._consider(id, near, now)

    def _consider(self, id: str, near: frozenset[str], now: float) -> None:
        held = self._stand_ins.get(id)
        best = self._choice.best(id, near, held.offer.bridge if held else "")
        others = [each.node.id for each in self._servers.values() if _via(each).get("id") == id]
        if held is not None and (held.offer != best or any(other < self._node.id for other in others)):
            self._drop(id)
        elif held is None and best is not None and not others:
            wait = STAND_BY * sum(other < self._owner.id for other in near)
            if now - self._since.setdefault(id, now) >= wait:
                self._stand_in(id, best)
        else:
            self._since.pop(id, None)

    def _stand_in(self, id: str, offer: Offer) -> None:
        name = self._owner.rules.here(offer.topic)
        via = {**via_of(offer, self._carrier.engine), "id": id}
        try:
            if name is not None:
                self._stand_ins[id] = StandIn(offer, name, via, self._node, self._numbers, self._post)
                self._carrier.hear(offer)
        except (IpcError, ValueError) as error:
            self._choice.remove(offer.key)
            log.warning("the service %s of %s cannot be announced here: %s", offer.topic, offer.name, error)

    def _post(self, offer: Offer, data: bytes) -> None:
        self._carrier.post(offer, "", data)

    def _on_retired(self, key: Key) -> None:
        self._choice.remove(key)
        held = self._stand_ins.get(key[1])
        if held is not None and held.offer.key == key:
            self._drop(key[1])

    def _drop(self, id: str) -> None:
        self._since.pop(id, None)
        held = self._stand_ins.pop(id, None)
        if held is not None:
            held.close()
            self._carrier.unhear(held.offer.key)

    def _clear(self) -> None:
        self._choice.clear()
        for id in list(self._stand_ins):
            self._drop(id)
        for _, serving in self._offers.values():
            serving.cancel()

    def _on_letter(self, key: Key, caller: str, data: bytes) -> None:
        try:
            if caller:
                found = next((serving for offer, serving in self._offers.values() if offer.key == key), None)
                if found is not None:
                    found.take(read_id(caller), data)
            elif (held := self._stand_ins.get(key[1])) is not None and held.offer.key == key:
                held.take(data)
        except ValueError as error:
            log.debug("a letter is not taken: %s", error)
            self.dropped += 1


def _stats(name: str, offer: Offer, bridge: str, calls: Serving | StandIn) -> ServiceStats:
    who = offer.publisher, offer.node, offer.host
    return ServiceStats(name, offer.topic, *who, bridge, calls.calls, calls.open)


def _via(server: EndpointInfo) -> dict[str, Any]:
    via = server.schema.get("via")  # it came from the network
    return dict(via) if isinstance(via, Mapping) else {}
