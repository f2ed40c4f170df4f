"""Bridge: one LAN's end of a bridge. Joins the graph here with what an adapter hears from beyond.

One thread decides, for all that happens comes to it as a call in a queue; messages go by threads of their own, see
exports.py, or by the adapter's, see imports.py. Knows no engine.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any

from ..errors import ArgumentError, ClosedError
from ..node.identity import new_id
from ..node.node import Node
from ..node.shared import node_for
from ..publishing.publisher import Publisher
from .adapter import Adapter, Carrier, Identity
from .books import BridgeStatus, ServiceStats
from .choice import HOPS
from .hearing import Hearing
from .rules import OWN, Rules
from .services import Services
from .traffic import Traffic

__all__ = ["SIGN", "Bridge"]

log = logging.getLogger(__name__)

SIGN = f"{OWN}/bridge"  # bridges know one another by their publishers of this and their id
TICK = 0.1  # seconds between looks at what has become due
SETTLE = 0.5  # seconds to find out who is there
REPORT = 2.0  # seconds between the status messages of a bridge


class Bridge:
    """Carries topics between this LAN and others, over an engine.

    It runs in threads of its own from the beginning. While the engine is out of reach it goes on trying; what happens
    is logged, counted, and in ``status``.

    Args:
        adapter: the engine, such as ``ZenohAdapter`` or ``MqttAdapter``.
        rules: what crosses.
        name: what others see; by default the name of the node.
        hops: how many bridges something may have passed.
        node: where it takes part here; by default one of its own. What else is on its node does not cross. Topics are
            whole names to a bridge, whatever the namespace and the remapping of its node.

    Raises:
        ArgumentError: (a ValueError) which argument is wrong, and what was expected.
        ClosedError: (an OSError) if the node is closed.
    """

    def __init__(
        self,
        adapter: Adapter,
        rules: Rules | None = None,
        *,
        name: str | None = None,
        hops: int = HOPS,
        node: Node | None = None,
    ) -> None:
        if not isinstance(hops, int) or isinstance(hops, bool) or not 1 <= hops <= 16:
            raise ArgumentError(f"hops is how many bridges something may pass, from 1 to 16, got {hops!r:.40}")
        self._node, self._owns_node = _node_of(node, name), node is None
        self._name = _check_name(name if name is not None else self._node.name)
        self._id = f"{new_id():016x}"
        self._rules = rules or Rules()
        self._adapter = adapter
        self._calls: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._linked = ""
        self._why = "it has not been reached yet"
        self._since = time.monotonic()
        self._outages = 0
        self._turned = time.monotonic()  # when the thread that decides came round last
        self._closed = threading.Event()
        self._traffic = Traffic(self, adapter, self._node, hops)
        self._services: Services | None = None
        if isinstance(adapter, Carrier):
            self._services = Services(self, adapter, self._node, hops, self._traffic.near)
        self._hearing = Hearing(adapter.engine, self._traffic, self._calls.put, self._set_state, self._services)
        sign = {"bridge": self.name, "engine": adapter.engine}
        self._sign = Publisher(f"/{SIGN}/{self.id}", keep=1, node=self._node)
        self._sign.publish(sign)
        self._watch = self._node.watch()
        try:
            adapter.open(Identity(self.id, self.name, self.rules.wanted()), self._hearing)
        except BaseException:
            self._watch.close()
            self._depart()
            raise
        self._threads = [
            threading.Thread(target=self._decide, name="ipcpy bridge", daemon=True),
            threading.Thread(target=self._look, name="ipcpy bridge watch", daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        if self._services is not None:
            self._services.begin()
        else:
            log.info("%s carries no services: only topics cross", adapter.engine)

    # -- threads -----------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        traffic = self._traffic
        for event in self._watch:
            self._calls.put(lambda event=event: traffic.on_event(event))  # type: ignore[misc]

    def _decide(self) -> None:
        self._settle()
        report = 0.0
        due = 0.0
        while True:
            self._turned = time.monotonic()
            try:
                call = self._calls.get(timeout=max(0.0, due - time.monotonic()))
                if call is None:
                    return
                call()
            except queue.Empty:
                pass
            except ClosedError:
                if self._closed.is_set() or self._node.closed:
                    return
            except Exception:  # a defect, which is to cost one event and no more
                log.exception("the bridge could not take note of something")
            if (now := time.monotonic()) >= due:
                due = now + TICK
                self._guard(self._traffic.tick, now)
                if now >= report:
                    report = now + REPORT
                    self._guard(self._publish_status)

    def _guard(self, function: Callable[..., object], *arguments: Any) -> None:
        try:
            function(*arguments)
        except ClosedError:
            pass
        except Exception:
            log.exception("the bridge could not do what was due")

    def _settle(self) -> None:
        try:
            self._node.wait_complete(SETTLE)
        except ClosedError:
            pass

    def _publish_status(self) -> None:
        self._sign.publish(self.status().summary())

    def _set_state(self, to: str, why: str) -> None:
        if to == self._linked and (to or why == self._why):
            return
        engine = self._adapter.engine
        if to:
            gone = f" after {time.monotonic() - self._since:.1f} s" if self._outages or not self._linked else ""
            log.info("%s: linked to %s%s", engine, to, gone if not self._linked else "")
        elif self._linked:
            log.warning("%s: the link is away, and is tried again: %s", engine, why)
            self._outages += 1
        else:
            log.info("%s: not linked yet: %s", engine, why)
        if bool(to) != bool(self._linked):
            self._since = time.monotonic()
        self._linked, self._why = to, why
        if not to:
            self._traffic.unlinked()

    # -- what it is --------------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """16 hexadecimal digits, new with every start."""
        return self._id

    @property
    def name(self) -> str:
        """What others see."""
        return self._name

    @property
    def rules(self) -> Rules:
        """What crosses."""
        return self._rules

    @property
    def linked(self) -> bool:
        """Whether the engine is reached."""
        return bool(self._linked)

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called, or its node was closed."""
        return self._closed.is_set() or self._node.closed

    def status(self) -> BridgeStatus:
        """Return what it does, and what became of every message."""
        exports, imports, offers = self._traffic.stats()
        services: tuple[ServiceStats, ...] = ()
        dropped = Counter(self._hearing.counts)
        if self._services is not None:
            services = self._services.stats()
            dropped["malformed"] += self._services.dropped
        return BridgeStatus(
            self.name,
            self.id,
            self._adapter.engine,
            "linked" if self._linked else "away",
            self._linked or self._why,
            round(time.monotonic() - self._since, 3),
            self._outages,
            offers,
            exports,
            imports,
            dict(+dropped),
            self._adapter.status(),
            round(max(0.0, time.monotonic() - self._turned), 3),
            services,
        )

    def close(self) -> None:
        """Withdraw all of it, here and beyond; idempotent, within two seconds."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._calls.put(None)
        self._watch.close()
        self._traffic.stop()
        if self._services is not None:
            self._services.close()
        self._adapter.close()
        deadline = time.monotonic() + 1.0
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        self._traffic.close()
        self._depart()

    def _depart(self) -> None:
        self._sign.close()
        if self._owns_node:
            self._node.close()

    def __enter__(self) -> Bridge:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed.is_set() else f"linked to {self._linked}" if self._linked else "away"
        return f"<ipcpy.Bridge {self.name!r} {self._adapter.engine} {state}>"


def _node_of(node: Node | None, name: str | None) -> Node:
    """Return where a bridge takes part; without a node one that is made for it."""
    if name is not None:
        _check_name(name)
    if node is not None:
        node_for(node)  # is it one?
    return Node(name) if node is None else node


def _check_name(name: object) -> str:
    if not isinstance(name, str) or not name or len(name) > 64 or not name.isprintable():
        raise ArgumentError(f"the name of a bridge is a printable text of 1 to 64 characters, got {name!r:.80}")
    return name
