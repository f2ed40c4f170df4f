"""The node that the process shares. Knows one variable and its lock, and takes the Core out of a Node."""

from __future__ import annotations

import os
import threading
import time

from ..errors import ArgumentError
from ..graph import Flow, NodeInfo, TopicInfo
from ..timeouts import seconds
from .core import Core
from .node import Node

__all__ = ["flows", "flows_async", "nodes", "nodes_async", "topics", "topics_async"]

_shared: Node | None = None
_lock = threading.RLock()


def shared_node() -> Node:
    """Return the node that all publishers and subscribers of the process share, made on first use."""
    global _shared
    with _lock:
        if _shared is None or _shared.closed:
            _shared = Node()
        return _shared


def share(node: Node | None) -> Node | None:
    """Make a node the one that the process shares; None has one made on first use. Return the one before."""
    global _shared
    with _lock:
        before, _shared = _shared, node
        return before


def node_for(node: Node | None) -> Core:
    """Return the core of the node that a user chose, or of the shared one.

    Raises:
        ArgumentError: if it is no node.
    """
    if node is not None and not isinstance(node, Node):
        raise ArgumentError(f"node is a Node, or None for the one that the process shares, got {node!r}")
    return (shared_node() if node is None else node)._core  # noqa: SLF001 (here only: all others hold handles)


def topics(timeout: float | None = 0.5) -> tuple[TopicInfo, ...]:
    """Return the topics on the network, by name.

    Args:
        timeout: seconds that a first picture may take.
    """
    node = shared_node()
    node.wait_complete(timeout)
    return node.topics()


async def topics_async(timeout: float | None = 0.5) -> tuple[TopicInfo, ...]:
    """Return the topics as ``topics``, in a coroutine; other coroutines run meanwhile."""
    node = shared_node()
    await node.wait_complete_async(timeout)
    return node.topics()


def flows(timeout: float | None = 0.5, *, over: float = 0.0, hidden: bool = False) -> tuple[Flow, ...]:
    """Return who sends what to whom on the network, how fast, and what gets lost; see ``Node.flows``.

    Args:
        timeout: seconds that a first picture may take, and the answers.
        over: seconds between two readings, so that rates and latencies are there; 0 reads once.
        hidden: ipcpy's own topics too.
    """
    node = shared_node()
    node.wait_complete(timeout)
    found = node.flows(hidden=hidden, timeout=timeout)
    if pause := seconds(over):
        time.sleep(pause)
        found = node.flows(hidden=hidden, timeout=timeout)
    return found


async def flows_async(timeout: float | None = 0.5, *, over: float = 0.0, hidden: bool = False) -> tuple[Flow, ...]:
    """Return the flows as ``flows``, in a coroutine; other coroutines run meanwhile."""
    from asyncio import sleep

    node = shared_node()
    await node.wait_complete_async(timeout)
    found = await node.flows_async(hidden=hidden, timeout=timeout)
    if pause := seconds(over):
        await sleep(pause)
        found = await node.flows_async(hidden=hidden, timeout=timeout)
    return found


def nodes(timeout: float | None = 0.5) -> tuple[NodeInfo, ...]:
    """Return the nodes on the network.

    Args:
        timeout: seconds that a first picture may take.
    """
    node = shared_node()
    node.wait_complete(timeout)
    return node.nodes()


async def nodes_async(timeout: float | None = 0.5) -> tuple[NodeInfo, ...]:
    """Return the nodes as ``nodes``, in a coroutine; other coroutines run meanwhile."""
    node = shared_node()
    await node.wait_complete_async(timeout)
    return node.nodes()


def _renew_lock() -> None:
    """Forget, in a forked child, who of the parent's threads held the lock: none of them is here."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)
