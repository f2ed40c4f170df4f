"""The services on the network. Knows the graph's topics and which of them are services'; nothing of calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..graph import EndpointInfo, ServiceInfo
from ..node.node import Node
from ..node.shared import shared_node
from .names import place_of
from .types import told_by

__all__ = ["services", "services_async"]


def services(timeout: float | None = 0.5, node: Node | None = None) -> tuple[ServiceInfo, ...]:
    """Return the services on the network, by name.

    Args:
        timeout: seconds that a first picture may take; 0 returns what is known now.
        node: the node that is asked; by default the one the process shares.

    Raises:
        ClosedError: (an OSError) if the node is closed.
        ArgumentError: (a ValueError) if timeout is no number.
    """
    node = shared_node() if node is None else node
    if timeout != 0:
        node.wait_complete(timeout)
    return _known(node)


async def services_async(timeout: float | None = 0.5, node: Node | None = None) -> tuple[ServiceInfo, ...]:
    """Return the services as ``services``, in a coroutine; other coroutines run meanwhile."""
    node = shared_node() if node is None else node
    if timeout != 0:
        await node.wait_complete_async(timeout)
    return _known(node)


def _known(node: Node) -> tuple[ServiceInfo, ...]:
    servers: dict[str, list[EndpointInfo]] = {}
    clients: dict[str, list[EndpointInfo]] = {}
    for topic in node.topics(hidden=True):
        place = place_of(topic.name)
        if place is not None and topic.subscribers:
            servers.setdefault(place.service, []).extend(topic.subscribers)
            clients.setdefault(place.service, []).extend(topic.publishers)
    return tuple(_service(name, servers[name], clients[name]) for name in sorted(servers))


def _service(name: str, servers: list[EndpointInfo], clients: list[EndpointInfo]) -> ServiceInfo:
    told = told_by(servers[0].schema)
    return ServiceInfo(name, *told.request, *told.reply, told.steps, tuple(map(_with_via, servers)), tuple(clients))


def _with_via(server: EndpointInfo) -> EndpointInfo:
    via = server.schema.get("via")  # it came from the network
    return replace(server, via=via) if isinstance(via, Mapping) else server
