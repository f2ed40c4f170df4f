"""What a node knows of the others: values. Knows nothing of how it was learned; events.py says how it changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["EndpointInfo", "NodeInfo", "ServiceInfo", "TopicInfo"]


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """A node: a process (or a part of one) that publishes or subscribes.

    Attributes:
        id: 16 hexadecimal digits, new with every start.
        name: the name its user gave it, or the name of its program.
        host: the host's own name; not unique.
        pid: its process id on its host.
        domain: the domain it belongs to.
        address: ``ip:port`` at which its link answers, as seen from here; None for a node of this process.
        version: the version of ipcpy it runs.
        state: ``alive``, or ``unresponsive`` while nothing is heard though its process is not known to be dead.
        age: seconds since it was last heard; 0.0 for this process.
    """

    id: str
    name: str
    host: str
    pid: int
    domain: str
    address: str | None
    version: str
    state: Literal["alive", "unresponsive"]
    age: float


@dataclass(frozen=True, slots=True)
class EndpointInfo:
    """A publisher or a subscriber somewhere on the network.

    Attributes:
        id: 16 hexadecimal digits, new with every ``Publisher`` or ``Subscriber``.
        kind: ``publisher`` or ``subscriber``.
        topic: the topic, or for a subscriber perhaps a pattern.
        codec: the codec's name (``struct``, ``msgpack``, ``raw``, ...); for a subscriber that takes any: ``any``.
        schema: the codec's description of its messages; empty where there is none.
        reliable: whether a publisher refills what was lost.
        keep: how many messages a late subscriber gets first.
        node: the node it belongs to.
        mismatch: why a subscriber and this endpoint do not fit, one sentence each; empty where nothing is known.
        rate: messages a second that a publisher promises; 0 where it promises none.
        via: of a publisher that a bridge hands on from beyond this LAN: ``bridge`` (the bridge's name), ``engine``,
            ``node`` and ``host`` (the publisher's own), ``path`` (the ids of the bridges passed); else empty.
    """

    id: str
    kind: Literal["publisher", "subscriber"]
    topic: str
    codec: str
    schema: Mapping[str, Any]
    reliable: bool
    keep: int
    node: NodeInfo
    mismatch: tuple[str, ...] = ()
    rate: float = 0.0
    via: Mapping[str, Any] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """The name of the host it is on."""
        return self.node.host

    @property
    def pid(self) -> int:
        """The id of its process there."""
        return self.node.pid

    @property
    def address(self) -> str | None:
        """``ip:port`` of its node's link, as seen from here; None in this process."""
        return self.node.address


@dataclass(frozen=True, slots=True)
class TopicInfo:
    """A topic, as this process sees it.

    Attributes:
        name: the topic (for a topic that only has subscribers perhaps a pattern).
        codec: the codec of its publishers; ``mixed`` where they differ, empty without a publisher.
        schema: the schema of its first publisher; empty where there is none.
        publishers: its publishers.
        subscribers: its subscribers, those by pattern included.
    """

    name: str
    codec: str
    schema: Mapping[str, Any]
    publishers: tuple[EndpointInfo, ...]
    subscribers: tuple[EndpointInfo, ...]


@dataclass(frozen=True, slots=True)
class ServiceInfo:
    """A service, as this process sees it.

    Attributes:
        name: the service.
        request: the codec of requests; ``any`` where the server takes what clients send.
        request_schema: its description of them; empty where there is none.
        reply: the codec of replies.
        reply_schema: its description of them; empty where there is none.
        steps: whether it answers in steps (``Client.stream``).
        servers: who answers: the subscribers of requests.
        clients: who asks: the publishers of requests; one that has not asked yet is not among them.
    """

    name: str
    request: str
    request_schema: Mapping[str, Any]
    reply: str
    reply_schema: Mapping[str, Any]
    steps: bool
    servers: tuple[EndpointInfo, ...]
    clients: tuple[EndpointInfo, ...]
