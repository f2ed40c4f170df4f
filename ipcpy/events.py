"""What becomes of nodes, publishers and subscribers: events, as ``Node.watch`` tells them.

Knows the values of graph.py. Who needs them imports them late: most programs watch nothing, and eight dataclasses are
4 ms to make.
"""

from __future__ import annotations

from dataclasses import dataclass

from .graph import EndpointInfo, NodeInfo

__all__ = [
    "Event",
    "NodeFound",
    "NodeLost",
    "NodeResumed",
    "NodeStalled",
    "PublisherFound",
    "PublisherLost",
    "SubscriberFound",
    "SubscriberLost",
]


@dataclass(frozen=True, slots=True)
class NodeFound:
    """A node came."""

    node: NodeInfo


@dataclass(frozen=True, slots=True)
class NodeLost:
    """A node went; reason is ``closed``, ``process died``, ``host unreachable`` or ``timed out``."""

    node: NodeInfo
    reason: str


@dataclass(frozen=True, slots=True)
class NodeStalled:
    """A node stopped answering, but its process is not known to be dead (SIGSTOP, a debugger, swap).

    A node that starts after that cannot know of it: it is found once it goes on.
    """

    node: NodeInfo


@dataclass(frozen=True, slots=True)
class NodeResumed:
    """A node that had stopped answering answers again."""

    node: NodeInfo


@dataclass(frozen=True, slots=True)
class PublisherFound:
    """A publisher came."""

    publisher: EndpointInfo


@dataclass(frozen=True, slots=True)
class PublisherLost:
    """A publisher went; for the reasons see NodeLost."""

    publisher: EndpointInfo
    reason: str


@dataclass(frozen=True, slots=True)
class SubscriberFound:
    """A subscriber came."""

    subscriber: EndpointInfo


@dataclass(frozen=True, slots=True)
class SubscriberLost:
    """A subscriber went; for the reasons see NodeLost."""

    subscriber: EndpointInfo
    reason: str


Event = (
    NodeFound | NodeLost | NodeStalled | NodeResumed | PublisherFound | PublisherLost | SubscriberFound | SubscriberLost
)
