"""The graph as one node sees it, and those who watch it change. Knows values and threads; not how it is learned."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any

from .. import graph
from ..errors import RecvTimeout
from ..graph import EndpointInfo, Event, NodeInfo, TopicInfo

MAX_EVENTS = 10_000  # that one watch keeps unread; the oldest give way


class View:
    """Nodes and endpoints. Changed by the I/O thread, read by any."""

    def __init__(self, matches: Callable[[str, str], bool]) -> None:
        self._matches = matches
        self._changed = threading.Condition()
        self._nodes: dict[int, NodeInfo] = {}
        self._heard: Callable[[int], float] = lambda id: 0.0
        self._endpoints: dict[int, dict[int, EndpointInfo]] = {}
        self._watches: list[Watch] = []
        self._changed_at = time.monotonic()

    # -- changes -----------------------------------------------------------------------------------------------------

    def add_node(self, id: int, node: NodeInfo) -> None:
        """A node came."""
        with self._changed:
            self._nodes[id] = node
            self._endpoints.setdefault(id, {})
            self._tell(graph.NodeFound, node)

    def change_node(self, id: int, **changes: Any) -> None:
        """Something about a node changed."""
        with self._changed:
            node = self._nodes.get(id)
            if node is None:
                return
            changed = self._nodes[id] = replace(node, **changes)
            for endpoint_id, endpoint in self._endpoints[id].items():
                self._endpoints[id][endpoint_id] = replace(endpoint, node=changed)
            if changed.state != node.state:
                resumed = changed.state == "alive"
                self._tell(graph.NodeResumed if resumed else graph.NodeStalled, changed)

    def remove_node(self, id: int, reason: str) -> None:
        """A node went, and all it had."""
        with self._changed:
            for endpoint in self._endpoints.pop(id, {}).values():
                self._tell(_lost, endpoint, reason)
            node = self._nodes.pop(id, None)
            if node is not None:
                self._tell(graph.NodeLost, node, reason)

    def put(self, node_id: int, endpoint_id: int, endpoint: EndpointInfo) -> None:
        """An endpoint came or changed."""
        with self._changed:
            known = self._endpoints.setdefault(node_id, {})
            new = endpoint_id not in known
            known[endpoint_id] = endpoint
            if new:
                self._tell(_found, endpoint)

    def remove(self, node_id: int, endpoint_id: int) -> None:
        """An endpoint went."""
        with self._changed:
            endpoint = self._endpoints.get(node_id, {}).pop(endpoint_id, None)
            if endpoint is not None:
                self._tell(_lost, endpoint, "closed")

    def _tell(self, event: Callable[..., Event], *what: Any) -> None:
        self._changed_at = time.monotonic()
        if self._watches:
            told = event(*what)
            for watch in self._watches:
                watch.put(told)
        self._changed.notify_all()

    # -- questions ---------------------------------------------------------------------------------------------------

    def node(self, id: int) -> NodeInfo | None:
        """Give a node."""
        return self._nodes.get(id)

    def endpoint(self, node_id: int, endpoint_id: int) -> EndpointInfo | None:
        """Give an endpoint."""
        return self._endpoints.get(node_id, {}).get(endpoint_id)

    def nodes(self) -> tuple[NodeInfo, ...]:
        """Give all nodes, by name."""
        with self._changed:
            return tuple(sorted(self._nodes.values(), key=lambda node: (node.name, node.host, node.pid, node.id)))

    def endpoints(self) -> list[EndpointInfo]:
        """Give all endpoints."""
        with self._changed:
            return [endpoint for endpoints in self._endpoints.values() for endpoint in endpoints.values()]

    def topics(self) -> tuple[TopicInfo, ...]:
        """Give all topics, by name; subscribers by pattern belong to every topic they match."""
        endpoints = sorted(self.endpoints(), key=lambda endpoint: (endpoint.node.name, endpoint.id))
        publishers: dict[str, list[EndpointInfo]] = {}
        subscribers: dict[str, list[EndpointInfo]] = {}
        patterns = []
        for endpoint in endpoints:
            if endpoint.kind == "publisher":
                publishers.setdefault(endpoint.topic, []).append(endpoint)
            elif "*" in endpoint.topic:
                patterns.append(endpoint)
            else:
                subscribers.setdefault(endpoint.topic, []).append(endpoint)
        for pattern in patterns:
            names = [name for name in {*publishers, *subscribers} if self._matches(pattern.topic, name)]
            for name in names or [pattern.topic]:
                subscribers.setdefault(name, []).append(pattern)
        names = sorted({*publishers, *subscribers})
        return tuple(_topic(name, publishers.get(name, []), subscribers.get(name, [])) for name in names)

    def wait(self, condition: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until a condition holds, looked at after every change; False if it did not in time."""
        with self._changed:
            return self._changed.wait_for(condition, timeout)

    def quiet(self) -> float:
        """Give the seconds since the last change."""
        return time.monotonic() - self._changed_at

    def watch(self) -> Watch:
        """Begin to watch: what is there comes first."""
        with self._changed:
            watch = Watch(self._forget)
            for node_id, node in self._nodes.items():
                watch.put(graph.NodeFound(node))
                for endpoint in self._endpoints.get(node_id, {}).values():
                    watch.put(_found(endpoint))
            self._watches.append(watch)
            return watch

    def _forget(self, watch: Watch) -> None:
        with self._changed:
            if watch in self._watches:
                self._watches.remove(watch)

    def close(self) -> None:
        """End every watch."""
        with self._changed:
            for watch in self._watches:
                watch.end()
            self._watches.clear()
            self._changed.notify_all()


def _found(endpoint: EndpointInfo) -> Event:
    return (graph.PublisherFound if endpoint.kind == "publisher" else graph.SubscriberFound)(endpoint)


def _lost(endpoint: EndpointInfo, reason: str) -> Event:
    return (graph.PublisherLost if endpoint.kind == "publisher" else graph.SubscriberLost)(endpoint, reason)


def _topic(name: str, publishers: list[EndpointInfo], subscribers: list[EndpointInfo]) -> TopicInfo:
    codecs = sorted({publisher.codec for publisher in publishers})
    codec = "mixed" if len(codecs) > 1 else "".join(codecs)
    schema = publishers[0].schema if publishers else {}
    return TopicInfo(name, codec, schema, tuple(publishers), tuple(subscribers))


class Watch:
    """The changes of the graph from now on, what is there already first; for threads and for coroutines.

    Iterating ends when it, or its node, is closed. At most 10,000 unread events are kept, the newest.

        with node.watch() as watch:
            for event in watch:
                ...
    """

    def __init__(self, forget: Callable[[Watch], None]) -> None:
        self._forget = forget
        self._events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self._changed = threading.Condition()
        self._wakers: list[Callable[[], object]] = []
        self._ended = False

    def put(self, event: Event) -> None:
        """Add an event."""
        with self._changed:
            self._events.append(event)
            self._notify()

    def end(self) -> None:
        """Let those who wait know that nothing more will come."""
        with self._changed:
            self._ended = True
            self._notify()

    def _notify(self) -> None:
        self._changed.notify_all()
        wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    def get(self, timeout: float | None = None) -> Event:
        """Give the next event.

        Args:
            timeout: seconds; None waits for ever, 0 only looks.

        Raises:
            TimeoutError: if none came in time.
            StopIteration: if it was closed and nothing is left.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._events or self._ended, timeout):
                raise RecvTimeout(f"no event within {timeout:g} s")
            if not self._events:
                raise StopIteration
            return self._events.popleft()

    def close(self) -> None:
        """Watch no more; idempotent."""
        self._forget(self)
        self.end()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        return self.get()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        from asyncio import get_running_loop

        loop = get_running_loop()
        while True:
            with self._changed:
                if self._events:
                    return self._events.popleft()
                if self._ended:
                    raise StopAsyncIteration
                future = loop.create_future()
                self._wakers.append(partial(loop.call_soon_threadsafe, _resolve, future))
            await future

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _resolve(future: Any) -> None:
    if not future.done():
        future.set_result(None)
