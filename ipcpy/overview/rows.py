"""What is shown of topics, flows and nodes: values, and how they are sorted and filtered. Knows nothing of how they
come about, or of how they are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["KEYS", "FlowRow", "NodeRow", "TopicRow", "matching", "ordered"]


@dataclass(frozen=True, slots=True)
class FlowRow:
    """What goes from one publisher to one subscriber.

    Rates are None where they are not known: after one reading, or when readings stopped coming.

    Attributes:
        domain: of both.
        topic: the publisher's.
        publisher: its id; empty for a subscriber that nobody publishes for.
        subscriber: its id; empty for a publisher that nobody listens to.
        publisher_node: id of its node.
        subscriber_node: id of its node.
        from_name: name of the publisher's node; of a topic from beyond this LAN, its own node and the bridge.
        to_name: name of the subscriber's node.
        rate: messages a second that arrive; of a publisher without subscribers, that are published.
        sent_rate: messages a second that are sent to it.
        bandwidth: bytes a second of those of ``rate``.
        loss: share of messages lost in the last seconds, 0 to 1; None where none was to come.
        lost: messages lost since the two met.
        causes: the same by cause.
        latency: least, median and 99th percentile of the last second, in seconds; None where unknown.
        queued: messages that wait to be sent or taken; None where unknown.
        way: how they go: ``shared memory``, ``loopback``, ``unicast``, ``multicast``; empty where unknown.
        why: why nothing arrives, or not all; empty where all is well.
        age: seconds since its counts were taken; ``inf`` if they never were.
    """

    domain: str
    topic: str
    publisher: str
    subscriber: str
    publisher_node: str = ""
    subscriber_node: str = ""
    from_name: str = ""
    to_name: str = ""
    rate: float | None = None
    sent_rate: float | None = None
    bandwidth: float | None = None
    loss: float | None = None
    lost: int = 0
    causes: Mapping[str, int] = field(default_factory=dict)
    latency: tuple[float, float, float] | None = None
    queued: int | None = 0
    way: str = ""
    why: str = ""
    age: float = 0.0


@dataclass(frozen=True, slots=True)
class TopicRow:
    """A topic, as one line shows it.

    Attributes:
        domain: the domain that it is in.
        topic: its name.
        codec: of its publishers; empty without one.
        publishers: how many there are.
        subscribers: how many there are.
        rate: messages published a second, over all publishers; None where unknown.
        bandwidth: bytes published a second; None where unknown.
        loss: share of messages lost in the last seconds by the subscriber that loses most, 0 to 1; None where none
            was to come.
        lost: messages lost, over all its flows, since they met.
        causes: the same by cause.
        latency: the least of all flows, the median and the 99th percentile of the slowest one, in seconds.
        queued: the most messages that wait for one subscriber.
        ways: how its messages go.
        why: what is wrong with its flows, one sentence each.
        nodes: names and hosts of all nodes that it concerns.
        flows: its flows.
        history: rates of the past, one a second, the newest last; NaN where unknown.
        waiting: subscribers that nobody publishes for, as flows without a publisher.
    """

    domain: str
    topic: str
    codec: str = ""
    publishers: int = 0
    subscribers: int = 0
    rate: float | None = None
    bandwidth: float | None = None
    loss: float | None = None
    lost: int = 0
    causes: Mapping[str, int] = field(default_factory=dict)
    latency: tuple[float, float, float] | None = None
    queued: int = 0
    ways: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    flows: tuple[FlowRow, ...] = ()
    history: tuple[float, ...] = ()
    waiting: tuple[FlowRow, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from others: domain and topic."""
        return self.domain, self.topic


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node, as one line shows it.

    Attributes:
        domain: the domain that it is in.
        id: 16 hexadecimal digits.
        name: its name.
        host: its host's name.
        pid: of its process.
        address: where its link answers; None for a node of this process.
        version: of ipcpy, that it runs.
        state: ``alive`` or ``unresponsive``.
        age: seconds since it was last heard.
        publishes: topics that it publishes.
        subscribes: topics or patterns that it subscribes to.
        sends: messages a second to all its subscribers; None where unknown.
        receives: messages a second from all its publishers; None where unknown.
        sends_bytes: the same in bytes.
        receives_bytes: the same in bytes.
        lost: messages that its subscribers lost.
    """

    domain: str
    id: str
    name: str
    host: str
    pid: int
    address: str | None
    version: str
    state: str
    age: float
    publishes: tuple[str, ...] = ()
    subscribes: tuple[str, ...] = ()
    sends: float | None = None
    receives: float | None = None
    sends_bytes: float | None = None
    receives_bytes: float | None = None
    lost: int = 0


KEYS: Mapping[str, Callable[[Any], Any]] = {
    "topic": lambda row: (row.topic, row.domain),
    "domain": lambda row: (row.domain, row.topic),
    "publishers": lambda row: row.publishers,
    "subscribers": lambda row: row.subscribers,
    "rate": lambda row: row.rate,
    "bandwidth": lambda row: row.bandwidth,
    "loss": lambda row: (row.loss, row.lost) if row.loss is not None else (0.0, row.lost) if row.lost else None,
    "latency": lambda row: row.latency and row.latency[1],
    "queued": lambda row: row.queued,
}
"""What topics are sorted by. Names come in their order, numbers with the largest first."""


def ordered(rows: Iterable[TopicRow], key: str = "topic", *, reverse: bool = False) -> list[TopicRow]:
    """Sort topics; those of which the value is not known come last, either way.

    Args:
        rows: the topics.
        key: one of ``KEYS``.
        reverse: the other way round.

    >>> [row.topic for row in ordered([TopicRow("d", "a", rate=1.0), TopicRow("d", "b"), TopicRow("d", "c", rate=9.0)],
    ...                               "rate")]
    ['c', 'a', 'b']
    """
    value = KEYS[key]
    byname = sorted(rows, key=KEYS["topic"])
    known = [row for row in byname if value(row) is not None]
    down = (key not in ("topic", "domain")) != reverse
    known.sort(key=value, reverse=down)  # stable, also when reversed: equals stay in the order of their names
    return known + [row for row in byname if value(row) is None]


def matching(rows: Iterable[TopicRow], text: str) -> list[TopicRow]:
    """Return the topics that a text asks for: all its words are found in the names of topic, domain, codec and nodes.

    ``*`` in a word stands for anything, and then the word has to fit the whole name of the topic. ``!`` before a word
    asks for topics in which it is not found.

    >>> rows = [TopicRow("d", "arm/imu", nodes=("arm",)), TopicRow("d", "base/imu"), TopicRow("d", "base/odometry")]
    >>> [row.topic for row in matching(rows, "IMU !arm")], [row.topic for row in matching(rows, "base/*")]
    (['base/imu'], ['base/imu', 'base/odometry'])
    """
    words = text.casefold().split()
    return [row for row in rows if all(_found(word, row) for word in words)]


def _found(word: str, row: TopicRow) -> bool:
    from fnmatch import fnmatchcase

    if word.startswith("!") and len(word) > 1:
        return not _found(word[1:], row)
    if "*" in word:
        return fnmatchcase(row.topic.casefold(), word)
    return any(word in name.casefold() for name in (row.topic, row.domain, row.codec, *row.nodes))
