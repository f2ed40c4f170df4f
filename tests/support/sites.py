"""LANs in one process, each with nodes of its own, and bridges between them: sites of a test."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import ipcpy as ipc
import lan_process


class Site:
    """A LAN: a domain of its own on loopback."""

    def __init__(self, stack: ExitStack, name: str) -> None:
        self.name = name
        self._stack = stack
        self._domain = f"{name}-{uuid.uuid4().hex[:8]}"

    def node(self, name: str, **options: Any) -> ipc.Node:
        """Make a node of it."""
        return self._stack.enter_context(ipc.Node(name, domain=self._domain, interfaces="lo", **options))

    def bridge(self, adapter: Any, rules: ipc.Rules | None = None, *, name: str = "", **options: Any) -> ipc.Bridge:
        """Make a bridge of it, on a node of its own."""
        name = name or f"{self.name}-bridge"
        return self._stack.enter_context(ipc.Bridge(adapter, rules, name=name, node=self.node(name), **options))

    def publisher(self, topic: str, codec: Any = None, **options: Any) -> ipc.Publisher:
        """Make a publisher, on a node of its own."""
        return self._stack.enter_context(ipc.Publisher(topic, codec, node=self.node(f"{self.name}-pub"), **options))

    def subscriber(self, topic: str, codec: Any = None, **options: Any) -> ipc.Subscriber:
        """Make a subscriber, on a node of its own."""
        return self._stack.enter_context(ipc.Subscriber(topic, codec, node=self.node(f"{self.name}-sub"), **options))


@contextmanager
def sites() -> Iterator[Any]:
    """Return what makes sites; all that belongs to them ends with the block."""
    with ExitStack() as stack:
        yield lambda name: Site(stack, name)


def meet(pub: ipc.Publisher, sub: ipc.Subscriber, count: int = 1) -> None:
    """Wait until what is published now arrives, over however many bridges."""
    sub.wait_for_publishers(count, timeout=30)
    pub.wait_for_subscribers(1, timeout=30)


def drain(sub: ipc.Subscriber, count: int) -> list[Any]:
    """Return so many messages, however long they take, and what else comes within a moment."""
    found = [sub.recv(20) for _ in range(count)]
    try:
        while True:
            found.append(sub.recv(0.2))
    except TimeoutError:
        return found


def wait_until(condition: Callable[[], Any], timeout: float = 20.0) -> Any:
    """Return the first true value of a condition; a busy machine gets its time."""
    return lan_process.wait_until(condition, timeout)


__all__ = ["Site", "drain", "meet", "sites", "wait_until"]
