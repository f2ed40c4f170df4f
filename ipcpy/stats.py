"""Counts of what happened to messages and datagrams. Knows numbers and causes; nothing of sockets or peers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from .records import dataclass, field, replace

__all__ = ["ClientStats", "FlowStats", "NodeStats", "PublisherStats", "RouteStats", "ServiceStats", "SubscriberStats"]

MAX_PAST = 64  # subscribers that left whose counts are listed


@dataclass(frozen=True, slots=True)
class FlowStats:
    """What one publisher's messages met on their way to one subscriber.

    ``received + sum(lost.values())`` is what was published for this subscriber since it was matched.

    Attributes:
        received: messages that reached the inbox (or the caller).
        bytes: bytes of their bodies.
        duplicates: copies of messages that were already there; dropped.
        reordered: messages that came after a later one.
        lost: messages that did not arrive, by cause: ``network``, ``kernel`` (this host's socket buffer was full),
            ``inbox`` (too many, or too many bytes, were unread: the oldest was dropped), ``fragments`` (a large
            message stayed incomplete), ``codec`` (its bytes could not be decoded), ``given up`` (a reliable publisher
            had it no more), ``interrupted`` (an exception from a signal handler came while they were handed on),
            ``too large`` (more than the 64 MiB that a subscriber takes), ``too old`` (older than its ``max_age`` when
            its turn came).
        topic: the publisher's topic; empty in a sum over several, as ``node`` and ``host`` are.
        node: the name of its node.
        host: the name of its host.
        shared: of those received, messages that came through shared memory.
        late: how often the next message was late: by the subscriber's ``deadline``, or, if it has none, by the
            publisher's ``rate``. It counts for the publisher whose message came last before.
    """

    received: int = 0
    bytes: int = 0
    duplicates: int = 0
    reordered: int = 0
    lost: Mapping[str, int] = field(default_factory=dict)
    topic: str = ""
    node: str = ""
    host: str = ""
    shared: int = 0
    late: int = 0

    def __add__(self, other: FlowStats) -> FlowStats:
        """Add the counts of two; the sum is of nobody."""
        causes = {**self.lost, **other.lost}
        return FlowStats(
            self.received + other.received,
            self.bytes + other.bytes,
            self.duplicates + other.duplicates,
            self.reordered + other.reordered,
            {cause: self.lost.get(cause, 0) + other.lost.get(cause, 0) for cause in causes},
            shared=self.shared + other.shared,
            late=self.late + other.late,
        )


@dataclass(frozen=True, slots=True)
class SubscriberStats(FlowStats):
    """The sums over all publishers of a subscriber, with what cannot be laid to one of them.

    Attributes:
        dropped: datagrams and frames that were not messages of a matched publisher, by cause: ``malformed``,
            ``unknown`` (a publisher that is not matched), ``source`` (right publisher, wrong address),
            ``version`` (another protocol version), ``schema`` (the types differ), ``unauthenticated``, ``memory``
            (shared memory that is not there, or not as it should be).
        publishers: the same per publisher id, each with its topic, node and host; of those that went the latest 64.
        unread: messages that wait to be taken.
        unread_bytes: bytes of their bodies.
        unread_age: seconds since the next of them came; 0 if none waits.
    """

    dropped: Mapping[str, int] = field(default_factory=dict)
    publishers: Mapping[str, FlowStats] = field(default_factory=dict)
    unread: int = 0
    unread_bytes: int = 0
    unread_age: float = 0.0


@dataclass(frozen=True, slots=True)
class RouteStats:
    """What one subscriber was sent.

    ``handed + refused`` is what was published for it since it was matched, ``keep`` included. What became of a message
    on its way the subscriber counts, not the publisher.

    Attributes:
        handed: messages given to the operating system for it; a large one as far as the subscriber can take it, the
            rest follows. A multicast counts for each subscriber that is reached by it.
        retransmitted: messages or fragments sent again.
        refused: messages the operating system would not take. On a reliable topic they are asked for again.
        given_up: of those handed, messages that the publisher keeps no longer though the subscriber had not confirmed
            them. The subscriber may have got them all the same: its own books say so.
        topic: the subscriber's topic or pattern; empty in a sum over several, as ``node`` and ``host`` are.
        node: the name of its node.
        host: the name of its host.
        shared: of those handed, messages that went through shared memory.
    """

    handed: int = 0
    retransmitted: int = 0
    refused: int = 0
    given_up: int = 0
    topic: str = ""
    node: str = ""
    host: str = ""
    shared: int = 0

    def __add__(self, other: RouteStats) -> RouteStats:
        """Add the counts of two; the sum is of nobody."""
        return RouteStats(
            self.handed + other.handed,
            self.retransmitted + other.retransmitted,
            self.refused + other.refused,
            self.given_up + other.given_up,
            shared=self.shared + other.shared,
        )


@dataclass(frozen=True, slots=True)
class PublisherStats(RouteStats):
    """The sums over all subscribers, those that left included, and what was published.

    Attributes:
        published: messages given to ``publish``.
        bytes: bytes of their bodies (0 for those published to nobody, which are not encoded).
        subscribers: the same per subscriber id, each with its topic, node and host; of those that left the latest 64.
    """

    published: int = 0
    bytes: int = 0
    subscribers: Mapping[str, RouteStats] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeStats:
    """What a node's link did: how nodes find each other and keep in touch. Messages are counted by their endpoints.

    Attributes:
        received: datagrams that came to the link's port and to the group of greetings.
        sent: datagrams that the link had to send; a greeting to all goes out on each interface and counts once.
        dropped: what came and was not taken, by cause. Datagrams: ``malformed`` (no frame of ours, or a damaged one),
            ``version`` (another protocol version), ``unauthenticated`` (sealed, and this node has no key), ``domain``
            (a node of another domain: usual where several share a network), ``unknown`` (a sender that has not shown
            that it reads what is sent to its address), ``forgotten`` (a node that still counts on us, though we gave it
            up or are new: it is greeted again), ``table full`` (it announces more topics than a node may),
            ``inquiries`` (a peer asks for the books more often than it is answered). Of a node with a key those to its
            publishers and subscribers too, by why they were not opened: ``unsealed`` (the sender has no key), ``key``
            (another key), ``forged`` (changed, or made up), ``replayed`` and ``stale`` (it came before, or was held
            back), ``unproven`` (of a sender that has not shown yet that it is there, such as a recording),
            ``reflected`` and ``misdirected`` (sent on to who it was not for), ``crowded`` (too many new senders at a
            time). Others: ``entry`` (an announcement that cannot be read), ``hints`` (more places to look at than are
            kept), ``peers`` (more nodes than are kept).
        refused: sends that this host's system refused, by cause: ``unicast``, ``multicast`` (an interface without a
            carrier or a route).
        mdns: what was heard by mDNS and not taken, by cause: ``own``, ``domain`` and ``key`` (nothing to worry about),
            ``malformed``, ``address`` (not that of a host), ``crowded`` and ``flood`` (more than is kept),
            ``throttled`` (pauses because too much came), ``internal`` and ``callback`` (defects; see the log).
        handovers: shared memory that was offered and not taken, by cause: ``user`` (by a process of another user),
            ``unknown`` (by a publisher that is not matched, or for a subscriber that is not here), ``token`` (by who
            does not read what is sent to that publisher), ``memory`` (it is not as it should be, or the system has
            none), ``malformed``, ``crowded`` (more offers at a time than are kept).
    """

    received: int = 0
    sent: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    mdns: Mapping[str, int] = field(default_factory=dict)
    handovers: Mapping[str, int] = field(default_factory=dict)


class PastRoutes:
    """The counts of subscribers that left: by id for the latest, in one sum for those before."""

    def __init__(self) -> None:
        self._listed: dict[str, RouteStats] = {}
        self._others = RouteStats()

    def add(self, id: str, stats: RouteStats) -> None:
        """Take note that a subscriber left."""
        self._listed[id] = _together(self._listed.pop(id, RouteStats()), stats)
        while len(self._listed) > MAX_PAST:
            self._others += self._listed.pop(next(iter(self._listed)))

    def sum(self, living: Mapping[str, RouteStats], published: int, size: int) -> PublisherStats:
        """Return the counts of a publisher, with those of the subscribers it has."""
        each = dict(self._listed)
        for id, stats in living.items():
            each[id] = _together(each.get(id, RouteStats()), stats)
        total = sum(each.values(), self._others)
        counts = (total.handed, total.retransmitted, total.refused, total.given_up)
        return PublisherStats(*counts, shared=total.shared, published=published, bytes=size, subscribers=each)


def _together(before: RouteStats, now: RouteStats) -> RouteStats:
    """Add the counts of one subscriber, which stays who it is."""
    return replace(before + now, topic=now.topic, node=now.node, host=now.host)


@dataclass(frozen=True, slots=True)
class ServiceStats:
    """What became of the calls of one server.

    Attributes:
        answered: calls that the function answered.
        failed: calls in which it raised, or whose data did not fit.
        cancelled: calls that were cancelled before they were answered.
        refused: calls that were too many.
        open: calls that are not answered yet.
        dropped: requests of which nothing came, by cause: ``repeated`` (a call is done at most once), ``client`` (of
            nobody who can be answered), ``malformed``, ``forged`` (one node in the name of another).
    """

    answered: int
    failed: int
    cancelled: int
    refused: int
    open: int
    dropped: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ClientStats:
    """What became of the calls of one client.

    Attributes:
        asked: calls that were sent.
        answered: calls of which an answer came, errors included.
        open: calls that are waited for now.
        dropped: answers that were dropped, by cause: ``late`` (nobody waits any more), ``unknown``, ``repeated``,
            ``malformed``, ``forged`` (of a node that is not the server's).
    """

    asked: int
    answered: int
    open: int
    dropped: Mapping[str, int]

    def __add__(self, other: ClientStats) -> ClientStats:
        """Add the counts of two."""
        dropped = Counter(self.dropped) + Counter(other.dropped)
        return ClientStats(
            self.asked + other.asked, self.answered + other.answered, self.open + other.open, dict(dropped)
        )
