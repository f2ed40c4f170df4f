"""Looking for topics and nodes, and what JSON shows of them. Knows a node's graph; nothing of commands or tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

import ipcpy as ipc

from ..overview.text import from_beyond
from .jsonform import dumps, to_json

__all__ = [
    "PARAMETERS",
    "STOPPED",
    "Told",
    "endpoint_record",
    "look",
    "named",
    "node_record",
    "nobody",
    "parameters_of",
    "schema_record",
    "strangers",
    "topic_record",
]

PARAMETERS = "/parameters"  # behind their name in that of their topic
STOPPED = "A program that was stopped before (Ctrl-Z, a debugger) is seen once it goes on."
FIRST_PICTURE = 0.45  # seconds that the first picture may take to be complete; then what is there is shown


def look(node: ipc.Node, timeout: float, found: Callable[[], bool]) -> bool:
    """Wait for the first complete picture, and longer while it does not show what is wanted.

    Returns:
        Whether it was found within ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    node.wait_complete(min(timeout, FIRST_PICTURE))
    while not found():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        node.wait_complete(min(left, FIRST_PICTURE))
    return True


def nobody(what: str, timeout: float, domain: str, shut_out: str = "") -> str:
    """Say that nothing was found at all, and what may help; shut_out: what ``strangers`` says.

    >>> nobody("topic", 1.0, "lab")[:42]
    "no topic within 1 s in domain 'lab'. Does "
    """
    hint = f" {shut_out}" if shut_out else ""
    return (
        f"no {what} within {timeout:g} s in domain {domain!r}.{hint} Does the other program run, with the same "
        f"--domain (IPCPY_DOMAIN)? {STOPPED} On a network without multicast, name one of its hosts by --peers "
        "(IPCPY_PEERS). Try: ipcpy doctor."
    )


def strangers(nodes: Iterable[ipc.Node]) -> str:
    """Say how many nodes are here whom a key keeps apart from us; empty where there are none."""
    found = {stranger.text: None for node in nodes for stranger in node.strangers()}
    return " ".join(f"{text}." for text in found)


class Told(NamedTuple):
    """Parameters that somebody tells.

    Attributes:
        name: theirs, whole.
        kinds: of each parameter.
        owner: who tells them.
    """

    name: str
    kinds: Mapping[str, str]
    owner: ipc.EndpointInfo


def parameters_of(node: ipc.Node) -> Iterator[Told]:
    """Yield the parameters that are told now, by name."""
    for topic in node.topics():
        for publisher in topic.publishers:
            kinds = publisher.schema.get("parameters")  # it came from the network
            if isinstance(kinds, Mapping) and topic.name.endswith(PARAMETERS):
                told = {str(key): str(kind) for key, kind in kinds.items()}
                yield Told(topic.name.removesuffix(PARAMETERS), told, publisher)


def named(node: ipc.Node, asked: str) -> str:
    """Say what was asked for, and what it became where that is another name."""
    name = node.resolve(asked)
    return repr(name) if name == asked.removeprefix("/") else f"{name!r} (asked for as {asked!r})"


def via(endpoint: ipc.EndpointInfo) -> str:
    """Say from where a bridge has what a publisher publishes; empty for one of this LAN."""
    return from_beyond(endpoint.via)


def node_record(node: ipc.NodeInfo) -> dict[str, Any]:
    """Make what JSON shows of a node."""
    return asdict(node)


def endpoint_record(endpoint: ipc.EndpointInfo, known: Mapping[str, ipc.NodeInfo]) -> dict[str, Any]:
    """Make what JSON shows of a publisher or subscriber; its schema is shown once, with the topic.

    Args:
        endpoint: the publisher or subscriber.
        known: all nodes by id, as they are now; the endpoint's own picture of its node may be older.
    """
    return {
        "id": endpoint.id,
        "topic": endpoint.topic,
        "codec": endpoint.codec,
        "reliable": endpoint.reliable,
        "keep": endpoint.keep,
        "rate": endpoint.rate,
        "mismatch": list(endpoint.mismatch),
        "via": schema_record(endpoint.via),
        "node": node_record(known.get(endpoint.node.id, endpoint.node)),
    }


def topic_record(topic: ipc.TopicInfo, known: Mapping[str, ipc.NodeInfo]) -> dict[str, Any]:
    """Make what JSON shows of a topic, with its publishers and subscribers; known: as of ``endpoint_record``."""
    return {
        "topic": topic.name,
        "codec": topic.codec,
        "schema": schema_record(topic.schema),
        "publishers": [endpoint_record(endpoint, known) for endpoint in topic.publishers],
        "subscribers": [endpoint_record(endpoint, known) for endpoint in topic.subscribers],
    }


def schema_record(schema: Mapping[str, Any]) -> Any:
    """Make what JSON shows of a schema: a peer may have put into it whatever travels, as into a message."""
    try:
        made = to_json(dict(schema))
        dumps(made)
    except (TypeError, ValueError, RecursionError) as error:
        return {"unreadable": str(error)}
    return made
