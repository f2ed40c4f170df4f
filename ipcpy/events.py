"""What becomes of nodes, publishers, subscribers and topics: events, told by ``Node.watch`` and ``Subscriber.watch``.

Knows the values of graph.py. Who needs them imports them late: most programs watch nothing, and a dozen dataclasses are
6 ms to make.
"""

from __future__ import annotations

from .graph import EndpointInfo, NodeInfo
from .records import dataclass

__all__ = [
    "Event",
    "NodeFound",
    "NodeLost",
    "NodeResumed",
    "NodeStalled",
    "PublisherFound",
    "PublisherLost",
    "PublisherResumed",
    "PublisherStalled",
    "SubscriberFound",
    "SubscriberLost",
    "TopicEvent",
    "TopicInTime",
    "TopicLate",
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
class PublisherStalled:
    """The node of a publisher stopped answering; see NodeStalled."""

    publisher: EndpointInfo


@dataclass(frozen=True, slots=True)
class PublisherResumed:
    """The node of a publisher answers again."""

    publisher: EndpointInfo


@dataclass(frozen=True, slots=True)
class TopicLate:
    """The next message of a topic is late.

    Attributes:
        topic: the topic, never a pattern.
        seconds: how long nothing has come.
        deadline: what had been expected: a message within so many seconds.
        publisher: whose message came last, or who was matched last before any came; it may have gone meanwhile.
    """

    topic: str
    seconds: float
    deadline: float
    publisher: EndpointInfo


@dataclass(frozen=True, slots=True)
class TopicInTime:
    """A topic that was late flows again; ``seconds`` is how long nothing had come, the rest is as of TopicLate."""

    topic: str
    seconds: float
    deadline: float
    publisher: EndpointInfo


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
"""What ``Node.watch`` tells."""

TopicEvent = PublisherFound | PublisherLost | PublisherStalled | PublisherResumed | TopicLate | TopicInTime
"""What ``Subscriber.watch`` tells."""
