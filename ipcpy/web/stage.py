"""All that there is to see, once for all pages: the graph, rows, events, what is heard. Asks nodes; knows no page."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

import ipcpy as ipc

from ..overview import Overview
from ..overview.values import numeric_fields, tree
from .chronicle import Chronicle
from .gallery import Gallery
from .hearing import Hearing
from .picture import Picture, split_id
from .rows import Rows

__all__ = ["Stage"]

log = logging.getLogger(__name__)

READ = 0.5  # seconds between two readings of flows
PATIENCE = 0.4  # seconds that a node may take to tell of its own
HEAR = 0.04  # seconds between two looks at what was heard
DRAW = 0.1  # seconds between two graphs at least
SHARE = 0.1  # of the time that making graphs, or rows, may take
LOOK = 2.0  # seconds after which the graph is looked at though nothing happened
FRESH = 1.2  # seconds that a reading is new
REST = 10.0  # seconds after which flows are read no more if nobody asks


class Stage:
    """What there is to see.

    Args:
        nodes: returns the nodes by which it is seen, one of each domain.
        bgr: see ``Gallery``.
    """

    def __init__(self, nodes: Callable[[], Iterable[ipc.Node]], *, bgr: bool = False) -> None:
        self.nodes = nodes
        self.run_id = f"{time.time_ns():x}"
        self.chronicle = Chronicle()
        self.hearing = Hearing(self.node_of)
        self.gallery = Gallery(self.hearing.ears, bgr=bgr)
        self.overview = Overview()
        self.picture = Picture()
        self.can: dict[str, bool] = {}
        self.record: Callable[[], tuple[int, str]] = lambda: (0, "")
        self._rows = Rows()
        self._graphs: dict[bool, tuple[int, str]] = {}
        self._version = 0
        self._changed = asyncio.Event()
        self._asked = -REST
        self._hidden = -REST  # when somebody wanted to see ipcpy's own topics
        self._read_at = -REST
        self.flows: dict[str, tuple[ipc.Flow, ...]] = {}
        self._watched: dict[str, asyncio.Task[None]] = {}

    def node_of(self, domain: str) -> ipc.Node | None:
        """Return the node of a domain; None where that is not shown."""
        return next((node for node in self.nodes() if node.domain == domain), None)

    def domains(self) -> tuple[str, ...]:
        """Return the domains that are shown, by name."""
        return tuple(sorted(node.domain for node in self.nodes()))

    # -- what is told ------------------------------------------------------------------------------------------------

    def hello(self) -> dict[str, Any]:
        """Return what a page is told first."""
        return {
            "kind": "hello",
            "version": ipc.__version__,
            "run": self.run_id,
            "domains": list(self.domains()),
            "now": time.time(),
            "can": self.can,
        }

    def graph(self, *, hidden: bool = False) -> tuple[int, str]:
        """Return the graph, and a number that is higher with each change."""
        if hidden:
            self._hidden = time.monotonic()
        if hidden not in self._graphs:
            self._draw(hidden)
        return self._graphs[hidden]

    def rows(self, since: int) -> tuple[int, str]:
        """Return the number of the newest reading, and which rows have changed since another."""
        self._asked = time.monotonic()
        return self._rows.reading, self._rows.since(since)

    async def fresh(self) -> None:
        """Wait until there is a reading of flows that is no older than a second, if nodes answer."""
        until = time.monotonic() + FRESH
        self._asked = time.monotonic()
        while time.monotonic() - self._read_at > FRESH and time.monotonic() < until:
            await asyncio.sleep(HEAR)

    def shown_message(self, id: str) -> dict[str, Any] | None:
        """Return the newest message of a topic that is heard, as the page reads it; None before one came."""
        ear = self.hearing.ears.get(id)
        if ear is None or ear.newest is None:
            return None
        message, (domain, topic) = ear.newest, split_id(id)
        return {
            "kind": "tree",
            "id": id,
            "topic": topic,
            "domain": domain,
            "seq": message.seq,
            "sent": message.sent_ns / 1e9,
            "publisher": self._publisher(ear.sub, message.publisher),
            "message": type(message.data).__name__ if hasattr(message.data, "_fields") else "",
            "data": tree(message.data),
            "fields": numeric_fields(message.data),
        }

    @staticmethod
    def _publisher(sub: ipc.Subscriber, id: str) -> str:
        return next((each.node.name for each in sub.publishers if each.id == id), "")

    # -- what is done ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """See to it all until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for work in (self._watch_all, self._draw_all, self._read_all, self._hear_all):
                    tasks.create_task(self._kept_up(work))
        finally:
            for task in self._watched.values():
                task.cancel()
            self.hearing.close()
            self.gallery.close()

    @staticmethod
    async def _kept_up(work: Callable[[], Awaitable[None]]) -> None:
        """Go on after a defect, which is to cost a moment and not the page."""
        while True:
            try:
                await work()
            except Exception:
                log.exception("%s", getattr(work, "__name__", work))
            await asyncio.sleep(LOOK)

    async def _watch_all(self) -> None:
        """Watch the nodes that there are: domains may come later."""
        while True:
            for node in self.nodes():
                task = self._watched.get(node.id)
                if task is None or task.done():
                    self._watched[node.id] = asyncio.create_task(self._watch(node))
            await asyncio.sleep(READ)

    async def _watch(self, node: ipc.Node) -> None:
        try:
            with node.watch() as watch:
                self._changed.set()
                if not await node.wait_complete_async(0.5):
                    log.debug("the first picture of domain %r is not complete", node.domain)
                self._skip(watch)
                self._changed.set()
                self.chronicle.add("server", True, f"began to look at domain {node.domain}", node.domain)
                async for event in watch:
                    if not self._is_own(event, node.id):
                        self.chronicle.tell(event, node.domain)
                        self._changed.set()
        except ipc.ClosedError:
            pass

    @staticmethod
    def _skip(watch: ipc.Watch[ipc.Event]) -> None:
        """Leave out what was there before: nothing of it happened."""
        try:
            while True:
                watch.get(0)
        except TimeoutError:
            pass

    @staticmethod
    def _is_own(event: ipc.Event, id: str) -> bool:
        told = getattr(event, "publisher", None) or getattr(event, "subscriber", None)
        return (told.node if told is not None else event.node).id == id  # type: ignore[union-attr]

    async def _draw_all(self) -> None:
        while True:
            with suppress(TimeoutError):  # no wait_for: before Python 3.12 it may swallow that it is cancelled
                async with asyncio.timeout(LOOK):
                    await self._changed.wait()
            self._changed.clear()
            began = time.monotonic()
            self._draw(False)
            if began - self._hidden < REST:
                self._draw(True)
            else:
                self._graphs.pop(True, None)
            await asyncio.sleep(max(DRAW, (time.monotonic() - began) / SHARE))

    def _draw(self, hidden: bool) -> None:
        graph = json.dumps(self.picture.graph(self.nodes(), hidden=hidden), separators=(",", ":"))
        if hidden not in self._graphs or self._graphs[hidden][1] != graph:
            self._version += 1
            self._graphs[hidden] = self._version, graph

    async def _read_all(self) -> None:
        """Ask nodes what they sent and received, while somebody looks."""
        while True:
            began, cost = time.monotonic(), 0.0
            if began - self._asked < REST:
                await asyncio.gather(*(self._read(node) for node in self.nodes()))
                told = time.monotonic()
                shown = {node.domain for node in self.nodes()}
                for domain in set(self.overview.domains) - shown:
                    self.overview.forget(domain)
                    self.flows.pop(domain, None)
                self._rows.take(self.overview.topics(), self.overview.flows(), time.time())
                self._read_at = time.monotonic()
                cost = self._read_at - told
            await asyncio.sleep(max(READ - (time.monotonic() - began), READ / 5, cost / SHARE))

    async def _read(self, node: ipc.Node) -> None:
        try:
            flows = await node.flows_async(timeout=PATIENCE)
            self.flows[node.domain] = tuple(flow for flow in flows if node.id not in _ends(flow))
            own = frozenset((node.id,))
            self.overview.take(node.domain, node.nodes(), node.topics(), flows, time.monotonic(), own=own)
        except ipc.ClosedError:
            pass

    async def _hear_all(self) -> None:
        while True:
            began = time.monotonic()
            self.hearing.poll()
            for id, ear in list(self.hearing.ears.items()):
                found = ear.look(began)
                if found is not None and self.picture.learn(id, found[0], image=found[1]):
                    self._changed.set()
            await asyncio.sleep(max(HEAR, time.monotonic() - began))


def _ends(flow: ipc.Flow) -> tuple[str, ...]:
    """Return the ids of the nodes that a flow goes from and to."""
    ends = (flow.publisher,) if flow.subscriber is None else (flow.publisher, flow.subscriber)
    return tuple(end.node.id for end in ends)
