"""Made-up systems: nodes, topics and readings of flows, for tests of what shows them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import blake2b

import ipcpy as ipc


def _id(*of: str) -> str:
    return blake2b("/".join(of).encode(), digest_size=8).hexdigest()


def node(name: str, *, domain: str = "lab", host: str = "robot", state: str = "alive") -> ipc.NodeInfo:
    """Return a node; its id is made of its name and domain."""
    return ipc.NodeInfo(_id(name, domain), name, host, 7, domain, "10.0.0.7:17770", "1", state, 0.0)


def endpoint(kind: str, topic: str, owner: ipc.NodeInfo, codec: str = "msgpack") -> ipc.EndpointInfo:
    """Return a publisher or subscriber."""
    return ipc.EndpointInfo(_id(kind, topic, owner.id), kind, topic, codec, {}, False, 0, owner)


@dataclass
class Pair:
    """A publisher and perhaps a subscriber, whose counters a test moves.

    Attributes:
        topic: of both.
        publisher: who sends.
        subscriber: who gets; None for a publisher that nobody listens to.
    """

    topic: str = "imu"
    publisher: ipc.NodeInfo = field(default_factory=lambda: node("arm"))
    subscriber: ipc.NodeInfo | None = field(default_factory=lambda: node("brain"))
    published: int = 0
    sent: int = 0
    sent_bytes: int = 0
    received: int = 0
    received_bytes: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    latency: tuple[float, float, float] | None = None
    why: str = ""
    at: float = 0.0
    age: float = 0.0
    pace: tuple[float, float] = (0.0, 0.0)  # messages a second, and the share of them that gets lost, by themselves

    def flow_on(self) -> None:
        """Let half a second pass."""
        self.pass_time(0.5, self.pace[0], lost=self.pace[1])

    def pass_time(self, seconds: float, rate: float, size: int = 100, lost: float = 0.0) -> None:
        """Let messages flow for a while.

        Args:
            seconds: how long.
            rate: messages a second.
            size: bytes of each.
            lost: share that gets lost on the way.
        """
        self.at += seconds
        messages = round(self.at * rate) - round((self.at - seconds) * rate)
        gone = round(messages * lost)
        self.published += messages
        if self.subscriber is not None:
            self.sent += messages
            self.sent_bytes += messages * size
            self.received += messages - gone
            self.received_bytes += (messages - gone) * size
            if gone:
                self.lost = {**self.lost, "network": self.lost.get("network", 0) + gone}

    @property
    def flow(self) -> ipc.Flow:
        """The flow as a reading shows it now."""
        least, median, most = self.latency or (None, None, None)
        listened = self.subscriber is not None
        return ipc.Flow(
            topic=self.topic,
            publisher=endpoint("publisher", self.topic, self.publisher),
            subscriber=endpoint("subscriber", self.topic, self.subscriber) if listened else None,
            way="loopback" if listened else "",
            published=self.published,
            sent=self.sent,
            sent_bytes=self.sent_bytes,
            received=self.received if listened else None,
            received_bytes=self.received_bytes if listened else None,
            lost=dict(self.lost),
            queued=0,
            latency_min=least,
            latency_p50=median,
            latency_p99=most,
            sent_at=1000.0 + self.at,
            received_at=5000.0 + self.at if listened else None,
            why=self.why,
            age=self.age,
        )


def topics_of(pairs: list[Pair]) -> tuple[ipc.TopicInfo, ...]:
    """Return the topics that pairs make, as ``Node.topics`` does."""
    found = {}
    for pair in pairs:
        flow = pair.flow
        topic = found.setdefault(pair.topic, ipc.TopicInfo(pair.topic, "msgpack", {}, (), ()))
        publishers = {each.id: each for each in (*topic.publishers, flow.publisher)}
        subscribers = {each.id: each for each in (*topic.subscribers, *([flow.subscriber] if flow.subscriber else []))}
        found[pair.topic] = replace(
            topic, publishers=tuple(publishers.values()), subscribers=tuple(subscribers.values())
        )
    return tuple(found[name] for name in sorted(found))


def nodes_of(pairs: list[Pair]) -> tuple[ipc.NodeInfo, ...]:
    """Return the nodes of pairs."""
    each = [owner for pair in pairs for owner in (pair.publisher, pair.subscriber) if owner is not None]
    return tuple({owner.id: owner for owner in each}.values())


class MadeUpNode:
    """Stands for a node that looks at a made-up system, as far as a fleet and its readers use it.

    Attributes:
        pairs: what there is; a test changes it.
    """

    closed = False

    def __init__(self, *pairs: Pair, domain: str = "lab", others: tuple[str, ...] = ()) -> None:
        self.pairs, self.domain, self.others = list(pairs), domain, others
        self.id = _id("viewer", domain)

    def domains(self) -> tuple[str, ...]:
        """Return the domains that it heard of."""
        return (self.domain, *self.others)

    def nodes(self) -> tuple[ipc.NodeInfo, ...]:
        """Return the nodes."""
        return nodes_of(self.pairs)

    def topics(self) -> tuple[ipc.TopicInfo, ...]:
        """Return the topics."""
        return topics_of(self.pairs)

    async def flows_async(self, *, timeout: float) -> tuple[ipc.Flow, ...]:
        """Return a reading, of half a second later than the last."""
        for pair in self.pairs:
            pair.flow_on()
        return tuple(pair.flow for pair in self.pairs)

    def close(self) -> None:
        """Close it."""
        self.closed = True
