"""Readings of the flows of whole domains, and the rows they make. Knows rates, losses and the past of each topic; not
how flows are asked for, nor how rows are drawn.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .pace import Pace
from .rows import FlowRow, NodeRow, TopicRow
from .text import from_beyond

if TYPE_CHECKING:
    import ipcpy as ipc

__all__ = ["Overview"]

HISTORY = 60  # points of a topic's past
STEP = 1.0  # seconds between two of them
STALE = 5.0  # seconds without a new reading after which rates are not known any more
LOSS_OVER = 5.0  # seconds that the share of losses is taken over


@dataclass(slots=True)
class _Domain:
    """What the newest reading of a domain says, and the readings before as far as they are needed.

    Attributes:
        paces: of what is published (messages), by publisher; sent (messages, bytes), and arrived (messages
            with those lost, bytes, lost), by publisher and subscriber.
        published: messages a second of each publisher.
        sizes: bytes of a message of each publisher, on average.
        past: rates of each topic.
        noted: when a point of the past was added last.
    """

    nodes: Sequence[ipc.NodeInfo] = ()
    topics: Sequence[ipc.TopicInfo] = ()
    flows: list[FlowRow] = field(default_factory=list)
    by_topic: dict[str, list[FlowRow]] = field(default_factory=dict)
    paces: dict[tuple[str, str, str], Pace] = field(default_factory=dict)
    published: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, float] = field(default_factory=dict)
    past: dict[str, deque[float]] = field(default_factory=dict)
    noted: float = -math.inf


class Overview:
    """All topics of some domains, from reading to reading.

    Not safe across threads: who reads in one and shows in another locks around it.

    Args:
        history: how many seconds of past each topic has.
    """

    def __init__(self, history: int = HISTORY) -> None:
        self._domains: dict[str, _Domain] = {}
        self._history = history

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains of which there is a reading."""
        return tuple(sorted(self._domains))

    def take(
        self,
        domain: str,
        nodes: Iterable[ipc.NodeInfo],
        topics: Iterable[ipc.TopicInfo],
        flows: Iterable[ipc.Flow],
        now: float,
        *,
        own: Collection[str] = (),
    ) -> None:
        """Take a reading of a domain; what it does not show any more is forgotten.

        Args:
            domain: which one.
            nodes: its nodes (``Node.nodes``).
            topics: its topics (``Node.topics``).
            flows: its flows (``Node.flows``).
            now: seconds, of one clock for all readings.
            own: ids of nodes that are left out: those of who looks, which would else show as subscribers.
        """
        known = self._domains.setdefault(domain, _Domain())
        known.nodes = [node for node in nodes if node.id not in own]
        known.topics = list(_without(topics, own))
        before, known.paces = known.paces, {}
        known.flows, known.published, known.sizes, known.by_topic = [], {}, {}, {}
        for flow in _flows_without(flows, own):
            row = _FlowReading(flow, before, known.paces, now).row(domain, known)
            known.flows.append(row)
            known.by_topic.setdefault(row.topic, []).append(row)
        self._remember(known, now)

    def forget(self, domain: str) -> None:
        """Forget a domain."""
        self._domains.pop(domain, None)

    def topics(self) -> tuple[TopicRow, ...]:
        """Return the topics of all domains, by domain and name."""
        return tuple(self._topic(domain, topic) for domain in self.domains for topic in self._domains[domain].topics)

    def topic(self, domain: str, name: str) -> TopicRow | None:
        """Return one topic; None where there is none of that name."""
        known = self._domains.get(domain)
        wanted = [topic for topic in known.topics if topic.name == name] if known else []
        return self._topic(domain, wanted[0]) if wanted else None

    def flows(self) -> tuple[FlowRow, ...]:
        """Return the flows of all domains."""
        return tuple(row for domain in self.domains for row in self._domains[domain].flows)

    def nodes(self) -> tuple[NodeRow, ...]:
        """Return the nodes of all domains, by domain and name."""
        return tuple(row for domain in self.domains for row in self._nodes(domain))

    # -- rows ----------------------------------------------------------------------------------------------------------

    def _topic(self, domain: str, topic: ipc.TopicInfo) -> TopicRow:
        known = self._domains[domain]
        flows = known.by_topic.get(topic.name, [])
        rate, bandwidth = _published(flows, known)
        latencies = [flow.latency for flow in flows if flow.latency is not None]
        nodes = {endpoint.node.id: endpoint.node for endpoint in (*topic.publishers, *topic.subscribers)}
        causes: Counter[str] = Counter()
        for flow in flows:
            causes.update(flow.causes)
        return TopicRow(
            domain,
            topic.name,
            topic.codec,
            len(topic.publishers),
            len(topic.subscribers),
            rate,
            bandwidth,
            max((flow.loss for flow in flows if flow.loss is not None), default=None),
            sum(flow.lost for flow in flows),
            dict(causes),
            _slowest(latencies),
            max((flow.queued or 0 for flow in flows), default=0),
            tuple(sorted({flow.way for flow in flows if flow.way})),
            tuple(dict.fromkeys(line for flow in flows for line in flow.why.split("\n") if line)),
            tuple(sorted({name for node in nodes.values() for name in (node.name, node.host)})),
            tuple(flows),
            tuple(known.past.get(topic.name, ())),
            tuple(_waiting(domain, topic)) if not topic.publishers else (),
        )

    def _nodes(self, domain: str) -> list[NodeRow]:
        known = self._domains[domain]
        publishes: dict[str, set[str]] = {}
        subscribes: dict[str, set[str]] = {}
        for topic in known.topics:
            for endpoint in topic.publishers:
                publishes.setdefault(endpoint.node.id, set()).add(endpoint.topic)
            for endpoint in topic.subscribers:
                subscribes.setdefault(endpoint.node.id, set()).add(endpoint.topic)
        out: dict[str, list[FlowRow]] = {}
        into: dict[str, list[FlowRow]] = {}
        for flow in known.flows:
            out.setdefault(flow.publisher_node, []).append(flow)
            into.setdefault(flow.subscriber_node, []).append(flow)
        return [
            _node_row(domain, node, publishes, subscribes, out.get(node.id, []), into.get(node.id, []))
            for node in known.nodes
        ]

    def _remember(self, known: _Domain, now: float) -> None:
        """Add a point to the past of each topic, one for each second that went by."""
        if now - known.noted < STEP - 0.05:  # readings are a little early now and then
            return
        missed = min(int((now - known.noted) / STEP - 0.5), self._history) if math.isfinite(known.noted) else 0
        known.noted = now
        before, known.past = known.past, {}
        for topic in known.topics:
            past = known.past[topic.name] = before.get(topic.name) or deque(maxlen=self._history)
            past.extend([math.nan] * (missed if past else 0))
            rate = _published(known.by_topic.get(topic.name, []), known)[0]
            past.append(math.nan if rate is None else rate)


def _without(topics: Iterable[ipc.TopicInfo], own: Collection[str]) -> Iterator[ipc.TopicInfo]:
    """Yield topics as they are without some nodes."""
    for topic in topics:
        publishers = tuple(each for each in topic.publishers if each.node.id not in own)
        subscribers = tuple(each for each in topic.subscribers if each.node.id not in own)
        if publishers or subscribers:
            yield replace(topic, publishers=publishers, subscribers=subscribers)


def _flows_without(flows: Iterable[ipc.Flow], own: Collection[str]) -> Iterator[ipc.Flow]:
    """Yield flows without some nodes; a publisher that only these listen to has one without a subscriber."""
    publishers: set[str] = set()
    unheard: dict[str, ipc.Flow] = {}
    for flow in flows:
        if flow.publisher.node.id in own:
            continue
        if flow.subscriber is not None and flow.subscriber.node.id in own:
            unheard[flow.publisher.id] = flow
        else:
            publishers.add(flow.publisher.id)
            yield flow
    for flow in unheard.values():
        if flow.publisher.id not in publishers:
            unmeasured = replace(flow, latency_min=None, latency_p50=None, latency_p99=None)
            yield replace(unmeasured, subscriber=None, way="", lost={}, queued=None, why="")


class _FlowReading:
    """A reading of one flow, with those before it."""

    def __init__(
        self,
        flow: ipc.Flow,
        before: Mapping[tuple[str, str, str], Pace],
        paces: dict[tuple[str, str, str], Pace],
        now: float,
    ) -> None:
        self._flow, self._before, self._paces, self._now = flow, before, paces, now
        publisher = flow.publisher.id
        subscriber = flow.subscriber.id if flow.subscriber else ""
        self.published = self._pace(flow.sent_at, (flow.published,), (publisher, "", "published"))
        self.sent = self._pace(flow.sent_at, (flow.sent, flow.sent_bytes), (publisher, subscriber, "sent"))
        lost = sum(flow.lost.values())  # some were received before: their sum never shrinks
        counts = (None if flow.received is None else flow.received + lost, flow.received_bytes, lost)
        self.received = self._pace(flow.received_at, counts, (publisher, subscriber, "received"))

    def _pace(self, moment: float | None, counts: tuple[int | None, ...], key: tuple[str, str, str]) -> Pace | None:
        """Add what was counted to what was before; None where nothing was told, or not for long."""
        pace = self._paces[key] = self._paces.get(key) or self._before.get(key) or Pace()
        known = tuple(count for count in counts if count is not None)
        if moment is not None and len(known) == len(counts):
            pace.add(moment, known, self._now)
        return pace if self._now - pace.heard() <= STALE else None

    def row(self, domain: str, known: _Domain) -> FlowRow:
        """Return what is shown of it, and note what its publisher publishes."""
        flow, publisher, subscriber = self._flow, self._flow.publisher, self._flow.subscriber
        rates = self.published.rates() if self.published else None
        if rates is not None:
            known.published[publisher.id] = rates[0]
        sent = (self.sent.rates() if self.sent else None) or (None, None)
        came = self.received.rates() if self.received else None
        received = (max(0.0, came[0] - came[2]), came[1]) if came else (None, None)
        for messages, size in ((flow.sent, flow.sent_bytes), (flow.received, flow.received_bytes)):
            if messages and size is not None:
                known.sizes.setdefault(publisher.id, size / messages)
        return FlowRow(
            domain,
            flow.topic,
            publisher.id,
            subscriber.id if subscriber else "",
            publisher.node.id,
            subscriber.node.id if subscriber else "",
            from_beyond(publisher.via) or publisher.node.name,
            subscriber.node.name if subscriber else "",
            received[0] if subscriber else rates[0] if rates else None,
            sent[0],
            received[1] if subscriber else sent[1],
            _share(self.received.growth(LOSS_OVER)) if self.received and subscriber else None,
            sum(flow.lost.values()),
            dict(flow.lost),
            _latency(flow),
            flow.queued,
            flow.way,
            flow.why,
            flow.age,
        )


def _waiting(domain: str, topic: ipc.TopicInfo) -> Iterator[FlowRow]:
    for each in topic.subscribers:
        yield FlowRow(domain, topic.name, "", each.id, "", each.node.id, "", each.node.name, age=math.inf)


def _share(grown: tuple[int, ...] | None) -> float | None:
    """Return which share got lost of what came and was lost; None where that was nothing."""
    return grown[2] / grown[0] if grown is not None and grown[0] else None


def _latency(flow: ipc.Flow) -> tuple[float, float, float] | None:
    if flow.age > STALE:
        return None
    least, median, most = flow.latency_min, flow.latency_p50, flow.latency_p99
    return None if least is None or median is None or most is None else (least, median, most)


def _published(flows: Iterable[FlowRow], known: _Domain) -> tuple[float | None, float | None]:
    """Return messages and bytes a second that are published: of each publisher once, however many it is sent to.

    Args:
        flows: those of a topic. Where a publisher tells nothing, the best of its flows stands for it.
        known: what its domain tells.
    """
    rates: dict[str, float] = {}
    for flow in flows:
        rate = known.published.get(flow.publisher, flow.rate)
        if rate is not None:
            rates[flow.publisher] = max(rate, rates.get(flow.publisher, 0.0))
    if not rates:
        return None, None
    sizes = [(rate, known.sizes.get(publisher)) for publisher, rate in rates.items() if rate]
    known_all = all(size is not None for _, size in sizes)  # of what nobody was sent, no size is told
    return sum(rates.values()), sum(rate * (size or 0.0) for rate, size in sizes) if known_all else None


def _slowest(latencies: Sequence[tuple[float, float, float]]) -> tuple[float, float, float] | None:
    if not latencies:
        return None
    least, medians, most = zip(*latencies, strict=True)
    return min(least), max(medians), max(most)


def _total(rates: Iterable[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known else None


def _node_row(
    domain: str,
    node: ipc.NodeInfo,
    publishes: Mapping[str, set[str]],
    subscribes: Mapping[str, set[str]],
    out: Sequence[FlowRow],
    into: Sequence[FlowRow],
) -> NodeRow:
    return NodeRow(
        domain,
        node.id,
        node.name,
        node.host,
        node.pid,
        node.address,
        node.version,
        node.state,
        node.age,
        tuple(sorted(publishes.get(node.id, ()))),
        tuple(sorted(subscribes.get(node.id, ()))),
        _total(flow.sent_rate for flow in out if flow.subscriber),
        _total(flow.rate for flow in into),
        _total(flow.bandwidth for flow in out if flow.subscriber),
        _total(flow.bandwidth for flow in into),
        sum(flow.lost for flow in into),
    )
