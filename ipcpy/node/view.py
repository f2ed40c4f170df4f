"""The graph as one node sees it. Knows values, and who is to be told of changes; not how it is learned.

The I/O thread changes it, any thread reads it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from weakref import WeakSet

from ..graph import EndpointInfo, NodeInfo, TopicInfo
from ..importing import import_once
from ..locks import Bell, Monitor, Work
from ..protocol.topics import is_own, is_pattern, matches
from ..records import replace
from ..timeouts import NEVER
from ..typed import TYPE_CHECKING, Any, Protocol
from .departures import Departures
from .watch import EventQueue, Watch

if TYPE_CHECKING:
    from ..events import Event

CALM = 0.1  # seconds without news after which a first picture counts as settled
LOOK = 0.05  # seconds between two looks whether it is


class Listener(Protocol):
    """Who is told of changes, in the I/O thread and with the graph locked: it must be quick, and ask the graph nothing.

    ``own`` is whether it is told of ipcpy's own topics. ``end`` says that nothing more will come, ``abandon`` the same
    in a forked child, where a thread that is not there may hold any lock.
    """

    own: bool

    def put(self, event: Event) -> None: ...
    def end(self) -> None: ...
    def abandon(self) -> None: ...


class View:
    """Nodes and endpoints, by their ids.

    Attributes:
        departures: who left.
    """

    def __init__(self) -> None:
        self._monitor = Monitor(Bell())
        self._lock = self._monitor.lock
        self._nodes: dict[int, NodeInfo] = {}
        self._endpoints: dict[int, dict[int, EndpointInfo]] = {}
        self._watches: WeakSet[Listener] = WeakSet()  # who forgets a watch need not close it
        self.departures = Departures()
        self._changed_at = time.monotonic()
        self._closed = False

    # -- changes -----------------------------------------------------------------------------------------------------

    def add_node(self, id: int, node: NodeInfo) -> None:
        """Add a node that came."""
        with self._lock:
            self._nodes[id] = node
            self._endpoints.setdefault(id, {})
            self._tell(_came, node)

    def change_node(self, id: int, **changes: Any) -> None:
        """Change what is known of a node; one that is not known is ignored."""
        with self._lock:
            node = self._nodes.get(id)
            if node is None:
                return
            changed = self._nodes[id] = replace(node, **changes)
            for endpoint_id, endpoint in self._endpoints[id].items():
                self._endpoints[id][endpoint_id] = replace(endpoint, node=changed)
            if changed.state != node.state:
                self._tell(_stalled_or_resumed, changed)

    def remove_node(self, id: int, reason: str) -> None:
        """Remove a node that went, and all it had."""
        with self._lock:
            for endpoint in self._endpoints.pop(id, {}).values():
                self.departures.add(endpoint, reason, with_node=True)
                self._tell(_went, endpoint, reason)
            node = self._nodes.pop(id, None)
            if node is not None:
                self._tell(_went, node, reason)

    def put(self, node_id: int, endpoint_id: int, endpoint: EndpointInfo) -> None:
        """Add an endpoint that came, or change one."""
        with self._lock:
            known = self._endpoints.setdefault(node_id, {})
            new = endpoint_id not in known
            known[endpoint_id] = endpoint
            if new:
                self.departures.returned(endpoint)
                self._tell(_came, endpoint)

    def remove(self, node_id: int, endpoint_id: int) -> None:
        """Remove an endpoint that went."""
        with self._lock:
            endpoint = self._endpoints.get(node_id, {}).pop(endpoint_id, None)
            if endpoint is not None:
                self.departures.add(endpoint, "closed", with_node=False)
                self._tell(_went, endpoint, "closed")

    def _tell(self, event: Callable[..., Event], *what: Any) -> None:
        self._changed_at = time.monotonic()
        if self._watches:
            told, own = event(*what), _is_own(what[0])
            for watch in list(self._watches):
                if watch.own or not own:
                    watch.put(told)
        self._monitor.bell.ring()

    # -- questions ---------------------------------------------------------------------------------------------------

    def node(self, id: int) -> NodeInfo | None:
        """Return a node; None if it is not known."""
        return self._nodes.get(id)

    def endpoint(self, node_id: int, endpoint_id: int) -> EndpointInfo | None:
        """Return a publisher or subscriber of a node; None if it is not known."""
        return self._endpoints.get(node_id, {}).get(endpoint_id)

    def nodes(self) -> tuple[NodeInfo, ...]:
        """Return all nodes, by name."""
        with self._lock:
            return tuple(sorted(self._nodes.values(), key=lambda node: (node.name, node.host, node.pid, node.id)))

    def endpoints(self) -> list[EndpointInfo]:
        """Return all endpoints."""
        with self._lock:
            return [endpoint for endpoints in self._endpoints.values() for endpoint in endpoints.values()]

    def topics(
        self, shown: Callable[[EndpointInfo], EndpointInfo] | None = None, *, hidden: bool = False
    ) -> tuple[TopicInfo, ...]:
        """Return all topics, by name; subscribers by pattern belong to every topic they match.

        Args:
            shown: returns what is shown of an endpoint; None shows it as it is.
            hidden: ipcpy's own topics too.
        """
        endpoints = sorted(self.endpoints(), key=lambda endpoint: (endpoint.node.name, endpoint.id))
        if not hidden:
            endpoints = [endpoint for endpoint in endpoints if not is_own(endpoint.topic)]
        if shown is not None:
            endpoints = list(map(shown, endpoints))
        publishers: dict[str, list[EndpointInfo]] = {}
        subscribers: dict[str, list[EndpointInfo]] = {}
        patterns = []
        for endpoint in endpoints:
            if endpoint.kind == "publisher":
                publishers.setdefault(endpoint.topic, []).append(endpoint)
            elif is_pattern(endpoint.topic):
                patterns.append(endpoint)
            else:
                subscribers.setdefault(endpoint.topic, []).append(endpoint)
        for pattern in patterns:
            names = [name for name in {*publishers, *subscribers} if matches(pattern.topic, name)]
            for name in names or [pattern.topic]:
                subscribers.setdefault(name, []).append(pattern)
        names = sorted({*publishers, *subscribers})
        return tuple(_topic(name, publishers.get(name, []), subscribers.get(name, [])) for name in names)

    # -- waiting and watching ----------------------------------------------------------------------------------------

    def wait_settled(self, complete: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until the graph is complete and nothing has changed for a moment, counted from this call on.

        Args:
            complete: tells whether all that is known to be there has come.
            timeout: seconds; None waits for ever.

        Returns:
            Whether it was settled in time.
        """
        return not self._monitor.owned() and self._monitor.do(self._settling(complete, timeout))

    async def wait_settled_async(self, complete: Callable[[], bool], timeout: float | None) -> bool:
        """Wait as ``wait_settled``, in a coroutine."""
        from asyncio import sleep

        settling = self._settling(complete, timeout)
        while True:
            try:
                pause = next(settling)
            except StopIteration as end:
                return bool(end.value)
            await sleep(pause or 0.0)

    def _settling(self, complete: Callable[[], bool], timeout: float | None) -> Work[bool]:
        """Look whether the graph is settled, and yield how long to wait before the next look."""
        started = time.monotonic()
        deadline = NEVER if timeout is None else started + timeout
        while (now := time.monotonic()) < deadline and not self._closed:
            calm_at = max(self._changed_at, started) + CALM
            if now >= calm_at and complete():
                return True
            yield min(calm_at - now if now < calm_at else LOOK, deadline - now)
        return False

    def watch(self, keeps: object = None, *, hidden: bool = False) -> Watch[Event]:
        """Return a watch: what is there comes first.

        Args:
            keeps: what the watch keeps alive.
            hidden: whether it is told of ipcpy's own topics too.
        """
        queue: EventQueue[Event] = EventQueue(own=hidden)
        self.listen(queue)
        return Watch(queue, self._forget, keeps)

    def listen(self, listener: Listener) -> None:
        """Have somebody told of what is there, and of all changes from now on; it is not kept alive."""
        with self._lock:
            for node_id, node in self._nodes.items():
                listener.put(_came(node))
                for endpoint in self._endpoints.get(node_id, {}).values():
                    if listener.own or not _is_own(endpoint):
                        listener.put(_came(endpoint))
            self._watches.add(listener)
            if self._closed:
                listener.end()

    def _forget(self, queue: EventQueue[Event]) -> None:
        with self._lock:
            self._watches.discard(queue)

    def close(self) -> None:
        """End every watch, those to come too."""
        with self._lock:
            self._closed = True
            for watch in list(self._watches):
                watch.end()
            self._watches.clear()
            self._monitor.bell.ring()

    def abandon(self) -> None:
        """End every watch in a forked child, where nobody tells it anything, and threads are gone that held locks."""
        self._monitor = Monitor(Bell())
        self._lock = self._monitor.lock
        for watch in list(self._watches):
            watch.abandon()


def _is_own(what: NodeInfo | EndpointInfo) -> bool:
    return isinstance(what, EndpointInfo) and is_own(what.topic)


def _came(what: NodeInfo | EndpointInfo) -> Event:
    import_once(".events")
    from .. import events

    if isinstance(what, NodeInfo):
        return events.NodeFound(what)
    return (events.PublisherFound if what.kind == "publisher" else events.SubscriberFound)(what)


def _went(what: NodeInfo | EndpointInfo, reason: str) -> Event:
    import_once(".events")
    from .. import events

    if isinstance(what, NodeInfo):
        return events.NodeLost(what, reason)
    return (events.PublisherLost if what.kind == "publisher" else events.SubscriberLost)(what, reason)


def _stalled_or_resumed(node: NodeInfo) -> Event:
    import_once(".events")
    from .. import events

    return (events.NodeResumed if node.state == "alive" else events.NodeStalled)(node)


def _topic(name: str, publishers: list[EndpointInfo], subscribers: list[EndpointInfo]) -> TopicInfo:
    codecs = sorted({publisher.codec for publisher in publishers})
    codec = "mixed" if len(codecs) > 1 else "".join(codecs)
    schema = publishers[0].schema if publishers else {}
    return TopicInfo(name, codec, schema, tuple(publishers), tuple(subscribers))
