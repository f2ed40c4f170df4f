"""The graph of several domains as the page reads it. Knows nodes and topics; nothing of rates, and of no browser.

A topic's id is its domain, a blank, its name: names have no blanks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import ipcpy as ipc

from ..overview.values import fields_of_schema

__all__ = ["Picture", "split_id", "topic_id"]

KNOWN = 10_000  # topics whose fields are remembered


def topic_id(domain: str, topic: str) -> str:
    """Return the id of a topic.

    >>> topic_id("robot 7", "arm/imu"), split_id("robot 7 arm/imu")
    ('robot 7 arm/imu', ('robot 7', 'arm/imu'))
    """
    return f"{domain} {topic}"


def split_id(id: str) -> tuple[str, str]:
    """Return domain and name of a topic."""
    domain, _, topic = id.rpartition(" ")
    return domain, topic


class Picture:
    """What nodes and topics there are, and which numbers topics carry."""

    def __init__(self) -> None:
        self._learned: dict[str, list[str]] = {}  # by topic, of messages that came
        self._images: set[str] = set()
        self._told: dict[str, tuple[str, list[str]]] = {}  # by topic, of the schema of a publisher

    def learn(self, id: str, fields: list[str], *, image: bool) -> bool:
        """Take what a message of a topic showed; return whether that is news."""
        news = False
        if fields and self._learned.get(id) != fields and len(self._learned) < KNOWN:
            known = dict.fromkeys(self._learned.get(id, ()))
            merged = list(known | dict.fromkeys(fields))[:200]
            news = merged != self._learned.get(id)
            self._learned[id] = merged
        if image and id not in self._images and len(self._images) < KNOWN:
            self._images.add(id)
            news = True
        return news

    def graph(self, nodes: Iterable[ipc.Node], *, hidden: bool = False) -> dict[str, Any]:
        """Return the graph, without the nodes by which it is seen.

        Args:
            nodes: one of each domain.
            hidden: ipcpy's own topics too.
        """
        told: list[dict[str, Any]] = []
        topics: list[dict[str, Any]] = []
        for node in nodes:
            try:
                found, listed = node.nodes(), node.topics(hidden=hidden)
            except ipc.ClosedError:
                continue
            told += (_node(info) for info in found if info.id != node.id)
            topics += filter(None, (self._topic(node, topic) for topic in listed))
        return {"kind": "graph", "nodes": told, "topics": topics}

    def _topic(self, node: ipc.Node, topic: ipc.TopicInfo) -> dict[str, Any] | None:
        publishers = [_endpoint(each) for each in topic.publishers if each.node.id != node.id]
        subscribers = [_endpoint(each) for each in topic.subscribers if each.node.id != node.id]
        if not publishers and not subscribers:
            return None
        id = topic_id(node.domain, topic.name)
        names = _names(topic.schema)
        return {
            "id": id,
            "topic": topic.name,
            "domain": node.domain,
            "codec": topic.codec,
            "schema": names[0] if len(names) == 1 else "",
            "messages": names,
            "fields": self._fields(id, topic),
            "image": id in self._images,
            "publishers": publishers,
            "subscribers": subscribers,
        }

    def _fields(self, id: str, topic: ipc.TopicInfo) -> list[str]:
        if topic.codec != "struct" or not topic.publishers:
            return self._learned.get(id, [])
        first, known = topic.publishers[0].id, self._told.get(id)  # one publisher's schema never changes
        if known is None or known[0] != first:
            if len(self._told) >= KNOWN:
                self._told.clear()
            known = self._told[id] = first, fields_of_schema(topic.codec, topic.schema)
        return known[1]


def _node(info: ipc.NodeInfo) -> dict[str, Any]:
    return {
        "id": info.id,
        "name": info.name,
        "host": info.host,
        "pid": info.pid,
        "domain": info.domain,
        "address": info.address,
        "version": info.version,
        "state": info.state,
    }


def _endpoint(info: ipc.EndpointInfo) -> dict[str, Any]:
    return {
        "node": info.node.id,
        "id": info.id,
        "topic": info.topic,
        "codec": info.codec,
        "reliable": info.reliable,
        "keep": info.keep,
        "rate": info.rate,
        "mismatch": list(info.mismatch),
    }


def _names(schema: Mapping[str, Any]) -> list[str]:
    """Return the names of a library's messages; what a schema holds came from the network."""
    messages = schema.get("messages")
    if not isinstance(messages, list | tuple):
        return []
    names = (message.get("name") for message in messages[:200] if isinstance(message, Mapping))
    return [name for name in names if isinstance(name, str)]
