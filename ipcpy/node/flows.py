"""Every flow of the system: what nodes tell of their halves, joined with the graph, and why something does not come.

Knows rows, the graph and ``now``; nothing of how rows come. Whoever calls holds its lock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from ..graph import EndpointInfo, Flow, TopicInfo
from ..protocol.link.rows import Dropped, Published, Received, Row, Sent, Step, Way
from ..protocol.topics import is_own
from ..records import NamedTuple
from ..timeouts import NEVER
from ..typed import TypeVar
from .picture import place, silence

STALE = 2.0  # seconds after which what a node told says nothing of how fast and how late it is now
VANISHED = 3  # messages sent and not come from which on that is said: the last ones may be on their way
SHORTEST = 0.15  # seconds between two readings that a rate is computed of
WAYS = {Way.UNICAST: "unicast", Way.LOOPBACK: "loopback", Way.MULTICAST: "multicast", Way.SHARED: "shared memory"}
CAUSES = {
    "network": "they did not reach its host",
    "kernel": "the buffer of its socket was full",
    "inbox": "its program does not take them in time",
    "fragments": "large ones stayed incomplete",
    "codec": "they could not be decoded",
    "too large": "they are larger than a subscriber takes",
    "too old": "they were older than its max_age",
    "given up": "the publisher had them no more",
    "interrupted": "a signal handler raised an exception",
}
Pair = tuple[int, int]  # publisher, subscriber
Key = TypeVar("Key")
Value = TypeVar("Value")

_AT_PUBLISHER = {
    Step.PROBING: "the publisher has challenged it, and no answer has come: is a firewall between?",
    Step.STARTING: "it has answered the publisher; that it is ready has not come yet.",
    Step.NO_WAY: "the publisher's system knows no way there.",
}
_AT_SUBSCRIBER = {
    Step.SILENT: "the subscriber knows it, but nothing has come from it: is a firewall between?",
    Step.ANSWERED: "the subscriber has answered it; its START has not come yet.",
}


class Counts(NamedTuple):
    """What counts of one half, at one moment: of the node's steady clock, in seconds."""

    at: float
    messages: int
    bytes: int
    lost: Mapping[str, int]

    @property
    def all(self) -> int:
        """Messages and those lost: some came before they got lost, so that only the sum never shrinks."""
        return self.messages + sum(self.lost.values())


class Half:
    """What one node told of a pair, or of a publisher as a whole.

    Attributes:
        row: the last.
        told: when it came.
        steady: seconds of the node's steady clock when it counted.
        rates: the counts of two readings, the earlier one first; None before there are two.
        before: how many messages there were between the two readings before; None before there were three.
    """

    __slots__ = ("_last", "before", "rates", "row", "steady", "told")

    def __init__(self) -> None:
        self.row: Sent | Received | Published | None = None
        self.told = -NEVER
        self.steady = 0.0
        self.rates: tuple[Counts, Counts] | None = None
        self.before: int | None = None
        self._last: Counts | None = None

    def take(self, row: Sent | Received | Published, steady: float, now: float) -> None:
        """Take what a node tells of it."""
        self.row, self.told, self.steady = row, now, steady
        lost = row.lost if isinstance(row, Received) else {}
        counts, last = Counts(steady, row.messages, row.bytes, lost), self._last
        if last is None or steady < last.at or counts.all < last.all:  # it began anew
            self._last, self.rates, self.before = counts, None, None
        elif steady >= last.at + SHORTEST:
            self.before = self.rates[1].messages - self.rates[0].messages if self.rates is not None else None
            self._last, self.rates = counts, (last, counts)


class Flows:
    """What was told, of all that is there."""

    def __init__(self) -> None:
        self._sent: dict[Pair, Half] = {}
        self._received: dict[Pair, Half] = {}
        self._published: dict[int, Half] = {}
        self._dropped: dict[int, Dropped] = {}

    def take(self, rows: Iterable[Row], own: set[int], steady: float, now: float) -> None:
        """Take what a node tells.

        Args:
            own: the ids of its publishers and subscribers: of others it can tell nothing.
            steady: seconds that its steady clock showed.
            now: when it came.
        """
        for row in rows:
            if isinstance(row, Sent) and row.publisher in own:
                self._sent.setdefault(row[1:3], Half()).take(row, steady, now)
            elif isinstance(row, Received) and row.subscriber in own:
                self._received.setdefault(row[1:3], Half()).take(row, steady, now)
            elif isinstance(row, Published) and row.publisher in own:
                self._published.setdefault(row.publisher, Half()).take(row, steady, now)
            elif isinstance(row, Dropped) and row.subscriber in own:
                self._dropped[row.subscriber] = row

    def join(self, topics: Iterable[TopicInfo], now: float, *, hidden: bool = True) -> tuple[Flow, ...]:
        """Return all flows there are, by topic; what was told of others is forgotten.

        Args:
            topics: all there are, ipcpy's own too.
            hidden: whether flows of those are returned.
        """
        pairs = list(_pairs(topics))
        there = {(int(one.id, 16), int(other.id, 16) if other else 0) for one, other in pairs}
        self._sent = _kept(self._sent, there)
        self._received = _kept(self._received, there)
        self._published = _kept(self._published, {publisher for publisher, _ in there})
        self._dropped = _kept(self._dropped, {subscriber for _, subscriber in there})
        return tuple(self._flow(one, other, now) for one, other in pairs if hidden or not is_own(one.topic))

    def _flow(self, publisher: EndpointInfo, subscriber: EndpointInfo | None, now: float) -> Flow:
        number = int(publisher.id, 16)
        whole = self._published.get(number)
        published = whole.row.messages if whole is not None and isinstance(whole.row, Published) else None
        if subscriber is None:
            return self._to_nobody(publisher, whole, published, now)
        pair = number, int(subscriber.id, 16)
        sent, received = self._sent.get(pair), self._received.get(pair)
        out = sent.row if sent is not None and isinstance(sent.row, Sent) else None
        came = received.row if received is not None and isinstance(received.row, Received) else None
        dropped = self._dropped.get(pair[1])
        latency = came.latency if came is not None and received is not None and received.told >= now - STALE else None
        rate, bandwidth, loss = _rates(received if came is not None else sent, now)
        queued = [row.queued for row in (out, came) if row is not None]
        return Flow(
            publisher.topic,
            publisher,
            subscriber,
            way=WAYS.get(Way(out.way), "") if out is not None and out.way in WAYS else "",
            published=published,
            sent=out.messages if out is not None else None,
            sent_bytes=out.bytes if out is not None else None,
            retransmitted=out.retransmitted if out is not None else None,
            received=came.messages if came is not None else None,
            received_bytes=came.bytes if came is not None else None,
            lost=came.lost if came is not None else {},
            dropped=dropped.dropped if dropped is not None else {},
            queued=sum(queued) if queued else None,
            late=came.late if came is not None else 0,
            latency_min=latency.least if latency is not None else None,
            latency_p50=latency.p50 if latency is not None else None,
            latency_p99=latency.p99 if latency is not None else None,
            latency_bound=latency.bound if latency is not None else None,
            sent_at=sent.steady if sent is not None else None,
            received_at=received.steady if received is not None else None,
            rate=rate,
            bandwidth=bandwidth,
            loss=loss,
            why="\n".join([*_reasons(publisher, subscriber, out, came), *_losses(sent, received, now)]),
            age=now - min((half.told for half in (sent, received) if half is not None), default=-NEVER),
        )

    def _to_nobody(self, publisher: EndpointInfo, whole: Half | None, published: int | None, now: float) -> Flow:
        return Flow(
            publisher.topic,
            publisher,
            None,
            published=published,
            sent=0 if whole is not None else None,
            sent_bytes=0 if whole is not None else None,
            sent_at=whole.steady if whole is not None else None,
            rate=_rates(whole, now)[0],  # what nobody gets has no bytes: it was not encoded
            why=f"Nobody subscribes to {publisher.topic!r}.",
            age=now - whole.told if whole is not None else NEVER,
        )


def _kept(told: dict[Key, Value], there: Collection[Key]) -> dict[Key, Value]:
    """Return what was told of those that are there; a signal handler may add to it meanwhile."""
    return {key: value for key, value in list(told.items()) if key in there}


def _pairs(topics: Iterable[TopicInfo]) -> Iterator[tuple[EndpointInfo, EndpointInfo | None]]:
    for topic in topics:
        for publisher in topic.publishers:
            yield from ((publisher, subscriber) for subscriber in topic.subscribers or (None,))


def _rates(half: Half | None, now: float) -> tuple[float | None, float | None, float | None]:
    """Return messages a second, bytes a second, and what part of the messages was lost, between two readings."""
    if half is None or half.rates is None or half.told < now - STALE:
        return None, None, None
    before, after = half.rates
    seconds = after.at - before.at
    came, lost = max(0, after.messages - before.messages), sum(_lost_between(half).values())
    loss = lost / (came + lost) if came + lost else 0.0
    return came / seconds, (after.bytes - before.bytes) / seconds, loss


def _lost_between(half: Half | None) -> dict[str, int]:
    """Return what was lost between two readings, by cause; what came late is not lost after all."""
    if half is None or half.rates is None:
        return {}
    before, after = half.rates
    grown = {cause: count - before.lost.get(cause, 0) for cause, count in after.lost.items()}
    return {cause: count for cause, count in grown.items() if count > 0}


def _reasons(
    publisher: EndpointInfo, subscriber: EndpointInfo, sent: Sent | None, received: Received | None
) -> Iterator[str]:
    """Say why nothing comes; nothing where the two are matched and both answer."""
    for endpoint, row in ((publisher, sent), (subscriber, received)):
        node = endpoint.node
        if node.state != "alive":
            matched = row is not None and not row.step
            yield f"{place(endpoint.kind.capitalize(), node)}: {silence(node, matched=matched)}"
    if Step.DIFFER in (sent and sent.step, 0) or Step.MISFIT in (received and received.step, 0):
        yield f"The types differ: {'; '.join(subscriber.mismatch) or 'the subscriber does not say how'}."
        return
    if sent is not None and (said := _AT_PUBLISHER.get(Step(sent.step)) if sent.step in _AT_PUBLISHER else None):
        yield f"{place('Subscriber', subscriber.node)}: {said}"
    if received is not None and received.step in _AT_SUBSCRIBER:
        yield f"{place('Publisher', publisher.node)}: {_AT_SUBSCRIBER[Step(received.step)]}"


def _losses(sent: Half | None, received: Half | None, now: float) -> Iterator[str]:
    """Say what was lost since the reading before, and what that means; and what went and never came."""
    if received is None or received.rates is None or received.told < now - STALE:
        return
    lost = _lost_between(received)
    for cause, count in sorted(lost.items()):
        meant = f", {CAUSES[cause]}" if cause in CAUSES else ""
        yield f"{count:,} lost since the reading before: {cause}{meant}."
    if sent is None or sent.rates is None or sent.told < now - STALE:
        return
    gone, came = (half.rates[1].messages - half.rates[0].messages for half in (sent, received) if half.rates)
    burst = sent.before == 0 or received.before  # it may be on its way while the two count, and come by the next time
    if gone >= VANISHED and not came and not lost and not burst:
        yield f"{gone:,} sent since the reading before, and nothing has come: is a firewall between, or a cable out?"
