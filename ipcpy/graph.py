"""What a node knows of the others: values. Knows nothing of how it was learned; events.py says how it changes."""

from __future__ import annotations

from collections.abc import Mapping

from .records import dataclass, field
from .typed import Any, Literal

__all__ = ["EndpointInfo", "Flow", "NodeInfo", "ServiceInfo", "Stranger", "TopicInfo"]


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
class Stranger:
    """Nodes that are here and share no key with this one: neither side can read or write anything of the other.

    A hint, as anybody on the network can send what looks like them.

    Attributes:
        nodes: how many were heard within ten seconds.
        fingerprint: of the key that they use, as four words; empty for nodes that use none.
    """

    nodes: int
    fingerprint: str

    @property
    def text(self) -> str:
        """The same in words.

        >>> print(Stranger(2, "acid coral raft zone").text)
        2 nodes here use a key you do not have (fingerprint: acid coral raft zone)
        >>> print(Stranger(1, "").text)
        1 node here uses none, and this program has a key
        """
        several = "nodes here use" if self.nodes != 1 else "node here uses"
        if self.fingerprint:
            return f"{self.nodes} {several} a key you do not have (fingerprint: {self.fingerprint})"
        return f"{self.nodes} {several} none, and this program has a key"


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


@dataclass(frozen=True, slots=True)
class Flow:
    """What goes from one publisher to one subscriber, by the books of both: two nodes tell one half each.

    Of a publisher that nobody subscribes to there is one without a subscriber. Counts begin when the two were matched.
    They are None while the node that counts them has told nothing: its ipcpy is too old, or it does not answer.

    Attributes:
        topic: the publisher's.
        publisher: who publishes.
        subscriber: who subscribes, perhaps by pattern; None for nobody.
        way: ``shared memory``, ``loopback``, ``multicast`` or ``unicast``; empty while nothing is sent. Small messages
            go as datagrams where large ones go through shared memory.
        published: messages that the publisher published, whoever got them.
        sent: messages that it gave to the system for this subscriber.
        sent_bytes: bytes of their bodies.
        retransmitted: messages or fragments that it sent again.
        received: messages that reached the subscriber.
        received_bytes: bytes of their bodies.
        lost: messages that did not, by cause; see FlowStats.
        dropped: datagrams at the subscriber that were no messages, of whichever publisher, by cause.
        queued: messages that wait: at the publisher for their turn, at the subscriber to be taken.
        late: how often the next message was late.
        latency_min: the fastest of the messages of the last second, in seconds, corrected by the difference of the
            two clocks. The four are None while nobody asked a moment before, nothing came, or a clock is not known.
        latency_p50: the middle one.
        latency_p99: the slowest but for 1 %.
        latency_bound: how wrong they may be for the clocks, either way; 0.0 on one host.
        sent_at: when the publisher's node counted, in seconds of its steady clock: only differences mean something.
        received_at: when the subscriber's node counted, by its own.
        rate: messages a second that arrived, or were sent where the subscriber tells nothing, or published where there
            is none, since the reading before; None in a first one, and where nothing was told for 2 s.
        bandwidth: bytes a second, likewise; None for nobody: what nobody gets is not encoded.
        loss: what part of the messages was lost since the reading before, 0.0 to 1.0.
        why: why nothing comes, or not all, in sentences; empty where all is well.
        age: seconds since the older of the halves that were told was told; ``inf`` while none was.
    """

    topic: str
    publisher: EndpointInfo
    subscriber: EndpointInfo | None
    way: str = ""
    published: int | None = None
    sent: int | None = None
    sent_bytes: int | None = None
    retransmitted: int | None = None
    received: int | None = None
    received_bytes: int | None = None
    lost: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    queued: int | None = None
    late: int = 0
    latency_min: float | None = None
    latency_p50: float | None = None
    latency_p99: float | None = None
    latency_bound: float | None = None
    sent_at: float | None = None
    received_at: float | None = None
    rate: float | None = None
    bandwidth: float | None = None
    loss: float | None = None
    why: str = ""
    age: float = float("inf")
