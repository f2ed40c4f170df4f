"""Who publishes, subscribes and answers, as Foxglove draws it. Knows infos of ipcpy; nothing of Foxglove's library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import ipcpy as ipc

__all__ = ["Connections", "connections"]


class Connections(NamedTuple):
    """The graph: names of nodes by topic, and by service.

    Attributes:
        published: who publishes on a topic.
        subscribed: who subscribes to it.
        answered: who answers a service.
    """

    published: Mapping[str, list[str]]
    subscribed: Mapping[str, list[str]]
    answered: Mapping[str, list[str]]


def connections(topics: Iterable[ipc.TopicInfo], services: Iterable[ipc.ServiceInfo], without: str = "") -> Connections:
    """Return the graph.

    Args:
        topics: the topics; a pattern that nothing is published on is none.
        services: the services.
        without: the id of a node that is left out: the viewer's own, which comes and goes with every look.
    """
    named = [(topic.name, topic.publishers, topic.subscribers) for topic in topics if "*" not in topic.name]
    answered = [(service.name, service.servers) for service in services]
    ends = [info for _, publishers, subscribers in named for info in (*publishers, *subscribers)]
    ends += [info for _, servers in answered for info in servers]
    nodes = {info.node.id: info.node for info in ends}
    names = _names(node for id, node in nodes.items() if id != without)

    def those(infos: Iterable[ipc.EndpointInfo]) -> list[str]:
        return sorted({names[info.node.id] for info in infos if info.node.id in names})

    return Connections(
        {topic: found for topic, publishers, _ in named if (found := those(publishers))},
        {topic: found for topic, _, subscribers in named if (found := those(subscribers))},
        {service: found for service, servers in answered if (found := those(servers))},
    )


def _names(nodes: Iterable[ipc.NodeInfo]) -> dict[str, str]:
    """Return a name for each node; one that several have is told apart by host and process, and by id if need be."""
    listed = list(nodes)
    short = Counter(node.name for node in listed)
    longer = Counter((node.name, node.host, node.pid) for node in listed)
    names = {}
    for node in listed:
        names[node.id] = node.name
        if short[node.name] > 1:
            names[node.id] += f" ({node.host}:{node.pid})"
        if longer[(node.name, node.host, node.pid)] > 1:
            names[node.id] += f" {node.id[:4]}"
    return names
