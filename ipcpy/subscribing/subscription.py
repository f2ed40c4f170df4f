"""The interior of a subscriber: what the node tells it, what it announces, and what becomes of it at close and fork.

Joins the reader with the inbound side; nothing of arguments, messages or coroutines, which are subscriber.py's.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable

from ..addresses import Address
from ..clock import Delay
from ..errors import ArgumentError, ClosedError
from ..graph import EndpointInfo
from ..importing import import_once
from ..locks import Bell, Monitor
from ..message import Message
from ..node.core import Core
from ..node.identity import new_id
from ..node.lifetimes import close_forgotten
from ..node.watch import EventQueue, Watch
from ..protocol.data.places import Offer
from ..protocol.link.entries import SubscriberEntry
from ..protocol.topics import is_own, is_pattern
from ..records import NamedTuple
from ..stats import SubscriberStats
from ..timeouts import NEVER
from ..transport.handover import HandoverSocket
from ..typed import TYPE_CHECKING
from .accounts import Account
from .freshness import Fresh, Unread
from .inbound import Inbound
from .inbox import Inbox
from .inlets import Inlets
from .intake import Intake
from .lease import weakly
from .reader import Reader
from .reasons import how_far, why
from .timekeeping import OwnTopic, Timekeeper

if TYPE_CHECKING:
    from ..codec.codec import Codec
    from ..events import TopicEvent
    from .delays import Delays

CLOSE = 0.09  # seconds that close waits for those who still read and for a callback, both together


class Wanted(NamedTuple):
    """What a user asked for.

    Attributes:
        topic: a name or pattern.
        codec: the subscriber's own; None takes what the publisher's schema says.
        depth: unread messages that are kept.
        depth_bytes: bytes of unread messages that are kept.
        spin: seconds to poll before sleeping.
        deadline: seconds within which a message is expected; None goes by what the publishers promise.
        max_age: seconds since it was sent after which a message is not handed out any more; None for any.
        told: how errors name the topic, where it is not as it was asked for.
    """

    topic: str
    codec: Codec | None
    depth: int
    depth_bytes: int
    spin: float
    deadline: float | None = None
    max_age: float | None = None
    told: str = ""


class Subscription:
    """One subscriber, as its node and the reader have it.

    Args:
        node: where ``announce`` announces it.

    Raises:
        TransportError: if there is no UDP socket to be had.
        ClosedError: if the node is closed.

    Attributes:
        number: its identity, new with every subscription.
        account: adds what was received to rows, for who asks for the node's books.
        messages: what was received and is not yet taken; any thread may take from its left.
        reader: waits for more.
        timekeeper: tells what is late.
        slow: that the callback is slower than its topic, in a sentence, once that was said.
        closed: whether it takes nothing any more, for good.
        abandoned: whether it belongs to the parent of this forked process.
        threads: those that call functions of the user's; ``close`` waits for them.
    """

    def __init__(self, node: Core, wanted: Wanted) -> None:
        node.ensure_open()
        self.number = new_id()
        self.closed = False
        self.abandoned = False
        self._ended = False
        self.threads: list[threading.Thread] = []
        self.slow = ""
        self._core = node
        self._wanted = wanted
        self._monitor = Monitor(Bell())  # its lock is over what arrived; it rings when a publisher came or went
        self._lock = self._monitor.lock
        inbox = Inbox(wanted.depth, wanted.depth_bytes)
        socket = node.sockets.data(node.bind_host)
        self._port = socket.port
        self._inbox = inbox
        self._intake = Intake(self.number, socket, inbox, weakly(self._on_matched), intact=socket.intact)
        self._intake.way_to = node.way_to
        self._inbound = Inbound(self._intake, wanted.codec)
        self.account = Account(self._inbound, inbox, self._lock, own=is_own(wanted.topic))
        self.messages = self._unread()
        self.reader = Reader(node.loop, Inlets(socket, node.sockets.group), self._inbound, self._lock, wanted.spin)
        self._delays: Delays | None = None
        self.timekeeper = Timekeeper(wanted.deadline, node, self.reader, self._intake, self._lock)
        self._intake.follow = self.timekeeper.times.follow
        self._groups: dict[int, Address] = {}  # of publishers that send by multicast
        self._mismatch: dict[str, list[str]] = {}  # publisher's id -> how its types differ

    def _unread(self) -> Unread:
        inbox, max_age = self._inbox, self._wanted.max_age
        if max_age is None:
            return inbox.messages
        return Fresh(inbox.messages, max_age, self.lag, self._lock, inbox.discarded)

    def announce(self) -> None:
        """Say what this subscriber is, and whose types differ; not any more once it is closed."""
        codec = self._wanted.codec
        name, schema = ("any", {}) if codec is None else (codec.name, dict(codec.schema))
        entry = SubscriberEntry(self._wanted.topic, name, self._port, schema, dict(self._mismatch))
        with self._lock:  # close withdraws under it: nothing is announced after that
            if not self.closed:
                self._core.add_subscriber(self, entry)

    # -- questions ---------------------------------------------------------------------------------------------------

    def publishers(self) -> tuple[EndpointInfo, ...]:
        """Return the publishers that are matched, each with its node as it is now."""
        with self._lock:
            infos = [flow.info for flow in self._inbound.flows.values() if flow.matched and not self.closed]
        return tuple(map(self._core.picture.endpoint, infos))

    def count(self) -> int:
        """Return how many publishers are matched."""
        if self.closed:
            return 0
        return sum(flow.matched for flow in list(self._inbound.flows.values()))

    def wait_for_publishers(self, count: int, timeout: float | None) -> bool:
        """Wait until so many publishers are matched, or it is closed; False if the time was up before."""
        return self._monitor.wait_for(lambda: self.closed or self.count() >= count, timeout)

    async def wait_for_publishers_async(self, count: int, timeout: float | None) -> bool:
        """Wait as ``wait_for_publishers``, in a coroutine."""
        return await self._monitor.wait_for_async(lambda: self.closed or self.count() >= count, timeout)

    def firsts(self) -> dict[str, int]:
        """Return the number of the first message that comes of each publisher that is matched, by its id."""
        with self._lock:
            return {flow.id: flow.receiver.first for flow in self._inbound.flows.values() if flow.matched}

    def stats(self) -> SubscriberStats:
        """Return what arrived, and what did not and why."""
        with self._lock:
            total, flows = self._inbound.stats()
            dropped = dict(self._intake.dropped)
            unread = self._inbox.unread(time.time_ns())
        counts = (total.received, total.bytes, total.duplicates, total.reordered, total.lost)
        said = (self._wanted.topic, "", "", total.shared, total.late)
        return SubscriberStats(*counts, *said, dropped, flows, *unread)

    def delay(self, message: Message) -> Delay:
        """Return how long a message was on its way.

        Raises:
            ArgumentError: it is none.
        """
        if not isinstance(message, Message):
            raise ArgumentError(f"a delay is that of a Message, got {message!r:.80}")
        if self._delays is None:
            import_once(".subscribing.delays")
            from .delays import Delays

            self._delays = Delays(self._node_of)
        return self._delays.of(message, self._core.clocks)

    def _node_of(self, publisher: str) -> int | None:
        with self._lock:
            return self._inbound.node_of(publisher)

    def why(self) -> list[str]:
        """Return a sentence for each publisher that is there, on how far the match is."""
        picture = self._core.picture
        with self._lock:
            there = [flow for flow in self._inbound.flows.values() if picture.has(flow.info)]
            several = is_pattern(self._wanted.topic)
            return [how_far(flow, picture.node(flow.info.node), named=several) for flow in there]

    def explain(self) -> str:
        """Return what ``why()`` of the user's handle says."""
        return why(self._wanted.topic, self._wanted.told or repr(self._wanted.topic), self, self._core)

    def lag(self, message: Message) -> float:
        """Return how many seconds after it was sent a message was received; 0.0 where nothing is known of its clock.

        Between hosts it is the estimate. Where that may be wrong by more than ``max_age`` it is the least that it can
        be: while a clock is being set nothing is discarded for it.
        """
        with self._lock:
            flow = self._inbound.flow_of(message.publisher)
        if flow is not None and flow.local:
            return max(0, message.received_ns - message.sent_ns) / 1e9
        seconds, bound = self.delay(message)
        if bound == NEVER:
            return 0.0
        return max(0.0, seconds if bound <= (self._wanted.max_age or 0.0) else seconds - bound)

    def watch(self, keeps: object) -> Watch[TopicEvent]:
        """Return a watch on the topic, which keeps the subscriber's handle alive."""
        topic = self._wanted.topic
        queue: EventQueue[TopicEvent] = EventQueue(own=is_own(topic), see=OwnTopic(topic))
        self._core.ensure_open()
        self._core.listen(queue)
        self.timekeeper.add(queue)
        return Watch(queue, lambda queue: None, keeps)  # one that has ended takes nothing more

    # -- what the node tells, in the I/O thread ----------------------------------------------------------------------

    def publisher_found(
        self, number: int, info: EndpointInfo, is_its_address: Callable[[str], bool], group: Address | None
    ) -> None:
        """A publisher of the topic is there, or something about it changed."""
        with self._lock:
            flow = self._inbound.add(number, info, is_its_address)
            self.timekeeper.found(info)
        if flow.mismatch and info.id not in self._mismatch:
            self._mismatch[info.id] = list(flow.mismatch)
            self.announce()
        if group is not None and not flow.mismatch:
            self._groups[number] = group
            self.reader.join(group, self._core.interface_indexes())

    def publisher_lost(self, number: int) -> None:
        """A publisher is gone."""
        with self._lock:
            if number in self._inbound.flows:
                self.timekeeper.left(number, self._inbound.flows[number].topic)
            self._inbound.leave(number, time.monotonic())
            self._monitor.bell.ring()
        self.reader.timer_changed()
        group = self._groups.pop(number, None)
        if group is not None and group not in self._groups.values():
            self.reader.leave(group)
        if self._mismatch.pop(f"{number:016x}", None) is not None:
            self.announce()

    def network_changed(self, interfaces: Iterable[int]) -> None:
        """The interfaces are others now."""
        self.reader.rejoin(interfaces)

    def memory_offered(self, offer: Offer, descriptors: list[int], sock: HandoverSocket) -> str:
        """A publisher of this host offers to share memory; return why it is not taken, or nothing."""
        with self._lock:
            flow = self._inbound.flows.get(offer.publisher)
            if flow is None or self.closed:
                return "unknown"
            if (
                flow.address is None
                or not flow.local
                or offer.token != self._intake.token_for(flow.address, flow.number)
            ):
                return "token"
            taken = flow.memory.take_offer(offer, descriptors, sock, self._core.loop, self._on_lie)
            return "" if taken else "memory"

    def _on_matched(self) -> None:
        self.timekeeper.matched(self._inbound.flows)
        self._monitor.bell.ring()

    def _on_lie(self) -> None:
        self._intake.dropped["memory"] += 1

    def post(self, message: Message) -> None:
        """Put a message that nobody published behind those received, and wake whoever waits."""
        with self._lock:
            if self.closed or self.abandoned:
                return
            self._inbox.put(message, 0)
        self.reader.wake()

    # -- the end -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop receiving; idempotent, within 100 ms. Whoever waits is woken."""
        self.closed = True
        if self.abandoned or self._ended:
            return
        try:
            until = min(time.monotonic() + CLOSE, self._core.close_by)
            with self._lock:  # ``announce`` looks under it
                self._core.withdraw(self.number)
                self._monitor.bell.ring()
            self.timekeeper.close()
            self.reader.close(max(0.0, until - time.monotonic()))
            self._inbox.messages.clear()
            with self._lock:
                self._inbound.let_go()
            self._ended = True
        except BaseException:  # from outside: the I/O thread does what is left
            self._core.loop.call(self.close)
            raise
        for thread in self.threads:
            if thread is not threading.current_thread():
                with contextlib.suppress(RuntimeError):  # an exception from outside ended the start of it
                    thread.join(max(0.0, until - time.monotonic()))

    def forget(self) -> None:
        """Close, for the garbage collector: soon, in the I/O thread, where its own thread may hold the lock."""
        if not (self._ended or self.abandoned):
            self._core.withdraw(self.number)  # at once: nobody is brought together with it any more
            close_forgotten(self._core.loop, self._monitor, self.close)

    def check_open(self) -> None:
        """Make sure that it can be used.

        Raises:
            ClosedError: it was closed.
        """
        if self.closed:
            raise ClosedError(f"the subscriber of {self._wanted.told or repr(self._wanted.topic)} is closed")

    def abandon(self) -> None:
        """Let go of what belongs to the parent, in a forked child; the child's subscriber begins a new one."""
        self.reader.abandon()
        self._inbound.abandon()
        self._monitor = Monitor(Bell())  # the old one may be held by a thread that is not there
        self._lock = self._monitor.lock
        self.timekeeper.abandon(self._lock)
        self._inbox.messages.clear()
        self.abandoned = True
