"""Publisher: data in, datagrams out to every subscriber matched."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any
from zlib import crc32

from .codec import MsgPack
from .errors import ArgumentError, ClosedError, RecvTimeout
from .fanout import LOCAL_FROM, Fanout, Group, random_group
from .graph import EndpointInfo
from .loop import NEVER, Alarm
from .node import Node, shared_node
from .protocol.entries import PublisherEntry
from .protocol.history import History, Kept
from .protocol.matching import Match
from .protocol.reports import unpack_missing
from .protocol.topics import check_topic
from .protocol.wire import (
    DATA_WORD,
    FAST_HEADER,
    MAX_BODY,
    OVERHEAD,
    Frame,
    Kind,
    Malformed,
    codec_number,
    frames,
    pack_batch,
)
from .route import Route
from .stats import PublisherStats
from .transport.udp import Address, FanoutSocket

__all__ = ["Publisher"]

MAX_SIZE = (1 << 32) - 1  # bytes of a message: the total of a fragment is a u32
HISTORY = 10_000  # messages that a reliable publisher keeps to fill gaps
HISTORY_BYTES = 64 << 20
WAIT = 0.05  # seconds that publish waits at most for a subscriber that is still taking large messages
HEARTBEATS = {True: (0.01, 0.03, 0.09, 1.0), False: (0.1, 0.5, 2.0)}  # seconds after the last message, by reliable
BATCH_COST = 2  # bytes that an item of a batch may cost beside its own

DATA_OVERHEAD = DATA_WORD + OVERHEAD  # the first word of a DATA frame is this and the length of its body
_pack_header = FAST_HEADER.pack
_time_ns = time.time_ns


class Publisher:
    """Publishes messages on a topic to every subscriber, on this host and on the LAN.

    It can be used from several threads. Publishing to nobody costs next to nothing: nothing is encoded.

    Args:
        topic: a name such as ``robot/imu``.
        codec: a MsgLibrary, Raw, MsgPack (the default) or anything with ``name``, ``encode``, ``decode``, ``schema``.
        reliable: fill gaps: what a subscriber misses is sent again while it is kept.
        keep: how many messages a late subscriber gets first ("latched").
        multicast: None chooses; True uses multicast wherever it reaches, False never.
        node: the node it belongs to; by default the one the process shares.

    Raises:
        ArgumentError: (a ValueError) which argument is wrong, and what was expected.

    >>> import ipcpy as ipc
    >>> with ipc.Publisher("doc/example") as pub:
    ...     pub.publish({"speed": 1.5})  # the number of subscribers it was handed to
    0
    """

    def __init__(
        self,
        topic: str,
        codec: Any = None,
        *,
        reliable: bool = False,
        keep: int = 0,
        multicast: bool | None = None,
        node: Node | None = None,
    ) -> None:
        self._closed = True
        self._topic = check_topic(topic)
        self._codec = _check_codec(MsgPack() if codec is None else codec)
        self._encode = self._codec.encode
        self._codec_number = codec_number(self._codec.name)
        self._reliable = bool(reliable)
        self._keep = _check_keep(keep)
        self._multicast = multicast
        self._node = node or shared_node()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._seq = 0
        self._bytes = 0
        self._open()
        self._closed = False

    def _open(self) -> None:
        self._node.ensure_open()
        self.number = int.from_bytes(os.urandom(8), "little") or 1
        self._routes: dict[int, Route] = {}
        self._sends: tuple[tuple[Any, Route | Fanout], ...] = ()
        self._open_routes: tuple[Route, ...] = ()
        self._fanouts: dict[int, Fanout] = {}
        self._group: Group | None = None
        self._whole = MAX_BODY
        kept = max(self._keep, HISTORY if self._reliable else 0)
        self._history = History(kept, HISTORY_BYTES) if kept else None
        self._abandoned = False
        self._quiet_since = 0.0
        self._polled_seq = 0
        self._beat = 0
        self._beat_at = NEVER
        self._beating = False
        self._alarm = Alarm(self._node.loop, self._on_alarm)
        self._node.add_publisher(self, self._entry())

    def _entry(self) -> PublisherEntry:
        group, port = self._group or ("", 0)
        schema = dict(self._codec.schema)
        return PublisherEntry(self._topic, self._codec.name, schema, self._reliable, self._keep, group, port)

    # -- for users ---------------------------------------------------------------------------------------------------

    @property
    def topic(self) -> str:
        """The topic."""
        return self._topic

    @property
    def id(self) -> str:
        """16 hexadecimal digits, new with every publisher."""
        return f"{self.number:016x}"

    @property
    def subscribers(self) -> tuple[EndpointInfo, ...]:
        """The subscribers that are matched: what is published now is sent to them."""
        with self._lock:
            return tuple(route.info for route in self._open_routes if route.match.confirmed)

    @property
    def stats(self) -> PublisherStats:
        """What was published, and what became of it for each subscriber."""
        with self._lock:
            routes = {route.info.id: route.stats(self._seq) for route in self._routes.values() if route.match.first}
        sums = (
            sum(stats.handed for stats in routes.values()),
            sum(stats.retransmitted for stats in routes.values()),
            sum(stats.refused for stats in routes.values()),
            sum(stats.given_up for stats in routes.values()),
        )
        return PublisherStats(*sums, published=self._seq, bytes=self._bytes, subscribers=routes)

    def publish(self, data: Any, id: int | None = None) -> int:
        """Publish one message.

        It never blocks for long: small messages are handed to the system at once; large ones are paced to what each
        subscriber can take, and with more than a few owed to one, ``publish`` waits for it up to 50 ms unless it does
        not answer at all, and then gives up the oldest for it.

        Args:
            data: what the codec takes.
            id: the message ID, for a MsgLibrary in which two IDs share a type.

        Returns:
            The number of subscribers it was handed to.

        Raises:
            CodecError: (a ValueError) if the codec does not take the data; nothing was sent.
            ClosedError: (an OSError) after ``close``.
        """
        if not self._sends and self._history is None:
            return self._publish_to_nobody()
        body = self._encode(data) if id is None else self._encode(data, id)
        if type(body) is list or len(body) > self._whole:
            return self._publish_large(body)
        with self._lock:
            seq = self._seq = self._seq + 1
            sent_ns = _time_ns()
            frame = _pack_header(len(body) + DATA_OVERHEAD, self._codec_number, self.number, seq, sent_ns) + body
            frame += crc32(frame).to_bytes(4, "little")
            self._bytes += len(body)
            if self._history is not None:
                self._history.add(Kept(seq, sent_ns, frame, (), len(frame)))
            if not self._beating:
                self._start_beating()
            return self._hand_over(frame)

    def _hand_over(self, frame: bytes) -> int:
        handed = len(self._open_routes)
        for send, target in self._sends:
            try:
                send(frame)
            except OSError:
                handed -= target.send_again(frame)
        if not handed and self._closed:
            raise ClosedError(f"the publisher of {self._topic!r} is closed")
        return handed

    def _publish_to_nobody(self) -> int:
        with self._lock:
            self._seq += 1
        if self._closed:
            raise ClosedError(f"the publisher of {self._topic!r} is closed")
        if self._abandoned:
            self._open()
        return 0

    def publish_many(self, messages: Iterable[Any]) -> int:
        """Publish messages, as many in a datagram as fit: several times faster than one by one.

        They share one send time for each datagram.

        Returns:
            The number of subscribers they were handed to.

        Raises:
            CodecError: as ``publish``, before anything was sent.
        """
        if not self._sends and self._history is None:
            for _ in messages:
                self._publish_to_nobody()
            return 0
        encode = self._encode
        bodies = [encode(message) for message in messages]
        handed = len(self._sends)
        with self._lock:
            limit = self._whole
        at = 0
        while at < len(bodies):
            stop = _batch_end(bodies, at, limit)
            handed = self._publish_batch(bodies[at:stop]) if stop > at + 1 else self._publish_body(bodies[at])
            at = max(stop, at + 1)
        return handed

    def _publish_batch(self, bodies: Sequence[bytes]) -> int:
        with self._lock:
            first = self._seq + 1
            self._seq += len(bodies)
            sent_ns = time.time_ns()
            frame = pack_batch(self.number, first, sent_ns, self._codec_number, bodies)
            self._bytes += len(frame)
            if self._history is not None:
                self._keep_each(first, sent_ns, bodies)
            if not self._beating:
                self._start_beating()
            return self._hand_over(frame)

    def _keep_each(self, first: int, sent_ns: int, bodies: Sequence[bytes]) -> None:
        assert self._history is not None
        for seq, body in enumerate(bodies, first):
            self._history.add(Kept(seq, sent_ns, self._frame(seq, sent_ns, body), (), len(body) + OVERHEAD))

    def _frame(self, seq: int, sent_ns: int, body: Any) -> bytes:
        frame: bytes = _pack_header(len(body) + DATA_OVERHEAD, self._codec_number, self.number, seq, sent_ns) + body
        return frame + crc32(frame).to_bytes(4, "little")

    def _publish_body(self, body: Any) -> int:
        if type(body) is list or len(body) > self._whole:
            return self._publish_large(body)
        return self._publish_batch([body])

    def _publish_large(self, body: Any) -> int:
        views = [memoryview(part).cast("B") for part in (body if type(body) is list else [body]) if len(part)]
        total = sum(map(len, views))
        if total > MAX_SIZE:
            raise ArgumentError(f"a message has at most {MAX_SIZE} bytes, got {total}")
        if total <= self._whole:
            return self._publish_body(b"".join(views))
        with self._lock:
            self._seq += 1
            self._bytes += total
            if self._history is not None:
                views = [view if view.readonly else memoryview(bytes(view)) for view in views]
            message = Kept(self._seq, time.time_ns(), b"", views, total)
            if self._history is not None:
                self._history.add(message)
            self._make_room()
            now = time.monotonic()
            for route in self._open_routes:
                route.owe(message, self.number, self._codec_number, now)
                self._pump(route, now)
                route.sender.keep_copies()
            if not self._beating:
                self._start_beating()
            self._alarm.by(self._next_timer())
            return len(self._open_routes)

    def _make_room(self) -> None:
        """Wait, for a bounded time, while a subscriber that answers is owed more than it has credit for."""
        deadline = time.monotonic() + WAIT
        while (now := time.monotonic()) < deadline:
            if not any(route.sender.busy and not route.sender.stalled(now) for route in self._open_routes):
                return
            self._changed.wait(deadline - now)

    def wait_for_subscribers(self, count: int = 1, timeout: float | None = None) -> int:
        """Wait until subscribers are matched: what is published then arrives.

        Args:
            count: how many.
            timeout: seconds; None waits for ever, 0 only looks.

        Returns:
            The number of subscribers matched.

        Raises:
            TimeoutError: if there are fewer when the time is up.
            ClosedError: if it is closed.
        """
        if self._abandoned:
            self._open()
        with self._lock:
            met = self._changed.wait_for(lambda: self._closed or self._confirmed() >= count, timeout)
            if self._closed:
                raise ClosedError(f"the publisher of {self._topic!r} is closed")
            if not met:
                raise RecvTimeout(f"{self._confirmed()} of {count} subscribers of {self._topic!r} within {timeout} s")
            return self._confirmed()

    def _confirmed(self) -> int:
        return sum(route.match.confirmed for route in self._open_routes)

    def close(self) -> None:
        """Withdraw the topic; idempotent. What was handed over before goes out; nothing is waited for."""
        if self._closed:
            return
        self._closed = True
        with self._lock:
            self._poll_all()
            routes = list(self._routes.values())
            self._routes.clear()
            self._rebuild()
            fanouts, self._fanouts = list(self._fanouts.values()), {}
        self._node.withdraw(self.number)
        for fanout in fanouts:
            self._node.loop.unwatch(fanout.socket)
            fanout.socket.close()
        for route in routes:
            self._node.loop.call(self._node.release_route, route.address, self.number)

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{self._confirmed()} subscribers"
        return f"<ipcpy.Publisher {self._topic!r} {self._codec.name} {state}>"

    # -- what the node tells, in the I/O thread ----------------------------------------------------------------------

    def subscriber_found(self, number: int, info: EndpointInfo, address: Address) -> None:
        """A subscriber of the topic is there, or is reached at another address now."""
        now = time.monotonic()
        with self._lock:
            route = self._routes.get(number)
            if self._closed or (route is not None and route.address == address):
                return
            if route is not None:
                self._drop(number)
            nonce = int.from_bytes(os.urandom(8), "little")
            try:
                socket = self._node.route(address, self.number)
            except OSError:
                return  # no way there now; the node finds another when the network changes
            match = Match(self.number, number, nonce, now)
            self._routes[number] = Route(info, address, socket, match, self._seq if route is None else route.since)
        self._on_alarm()

    def subscriber_lost(self, number: int) -> None:
        """A subscriber is gone."""
        with self._lock:
            if number in self._routes:
                self._drop(number)

    def _drop(self, number: int) -> None:
        route = self._routes.pop(number)
        self._rebuild()
        self._choose_fanouts(time.monotonic())
        if not any(other.address == route.address for other in self._routes.values()):
            self._node.release_route(route.address, self.number)

    def verify(self, address: Address) -> None:
        """A host said that nobody listens at an address: challenge those who did."""
        now = time.monotonic()
        with self._lock:
            for route in self._routes.values():
                if route.address == address and route.match.open:
                    route.match.verify(now)
        self._alarm.by(now)

    def receive_datagram(self, data: bytes, address: Address) -> None:
        """Take what a subscriber answered."""
        now = time.monotonic()
        with self._lock, contextlib.suppress(Malformed):
            for frame in frames(data):
                if frame.source == self.number:
                    self._receive(frame, address, now)
        self._alarm.by(self._next_timer())

    def _receive(self, frame: Frame, address: Address, now: float) -> None:
        number = int(frame.sent_ns) if frame.kind == Kind.MISSING else frame.seq
        route = self._routes.get(number)
        if route is None or route.address != address:
            return
        if frame.kind == Kind.ANSWER:
            if route.match.answered(frame, now):
                self._begin(route)
        elif frame.kind == Kind.STARTED:
            route.match.started(frame)
            self._choose_fanouts(now)
            self._changed.notify_all()
        elif frame.kind == Kind.REPORT:
            self._report(route, frame, now)
        elif frame.kind == Kind.MISSING:
            route.sender.missing(frame.seq, *unpack_missing(frame.body))
            self._pump(route, now)

    def _begin(self, route: Route) -> None:
        """The subscriber answered: say from which number on, send what it is to get first, then the live ones."""
        now = time.monotonic()
        first = self._seq + 1 - self._keep
        if self._reliable:
            first = min(first, route.since + 1)
        low = self._history.low(self._seq + 1) if self._history is not None else self._seq + 1
        first = max(first, low, 1)
        if not route.match.first:
            route.match.first = first
        route.open()
        route.send(route.match.start_frame())
        if self._history is not None:
            for message in self._history.between(first, self._seq + 1):
                if message.frame:
                    route.send(message.frame)
                else:
                    route.owe(message, self.number, self._codec_number, now)
            self._pump(route, now)
        self._rebuild()

    def _report(self, route: Route, frame: Frame, now: float) -> None:
        for start, stop in route.reported(frame, now):
            if self._history is not None:
                kept = list(self._history.between(max(start, route.match.first), stop))
                route.resend(kept, self.number, self._codec_number, now)
        self._pump(route, now)
        self._changed.notify_all()

    def _rebuild(self) -> None:
        routes = [route for route in self._routes.values() if route.match.open]
        self._whole = min((route.whole for route in routes), default=MAX_BODY)
        self._open_routes = tuple(routes)
        fanouts = [fanout for fanout in self._fanouts.values() if fanout.members]
        by_multicast = {number for fanout in fanouts for number in fanout.members}
        unicast = [route for route in routes if route.match.subscriber not in by_multicast]
        self._sends = (
            *((route.socket.send, route) for route in unicast),
            *((fanout.send, fanout) for fanout in fanouts),
        )
        self._changed.notify_all()

    # -- multicast, in the I/O thread --------------------------------------------------------------------------------

    def _choose_fanouts(self, now: float) -> None:
        """Choose whom to reach by multicast, interface by interface."""
        if self._multicast is False:
            return
        by_interface: dict[int, list[Route]] = {}
        for route in self._open_routes:
            index = self._node.interface_of(route.address[0])
            if index is not None and route.match.confirmed:
                by_interface.setdefault(index, []).append(route)
        changed = False
        for index in {*by_interface, *self._fanouts}:
            routes = by_interface.get(index, [])
            enough = 1 if self._multicast else LOCAL_FROM
            if len(routes) < enough or (routes[0].lossy and not self._multicast):
                routes = []
            if routes and index not in self._fanouts:
                self._add_fanout(index, routes[0].address[0], now)
            if index in self._fanouts:
                changed |= self._fanouts[index].want(routes, now)
        if changed:
            self._rebuild()

    def _add_fanout(self, index: int, address: str, now: float) -> None:
        if self._group is None:
            self._group = random_group()
            self._node.add_publisher(self, self._entry())
        socket = self._node.fanout_socket(self._group, address, self._on_fanout)
        if socket is not None:
            self._fanouts[index] = Fanout(self.number, socket, now)

    def _on_fanout(self, socket: FanoutSocket) -> None:
        while (received := socket.poll()) is not None:
            data, address = received
            with self._lock, contextlib.suppress(Malformed):
                for frame in frames(data):
                    for fanout in self._fanouts.values():
                        if frame.source == self.number and fanout.socket is socket:
                            if fanout.receive(frame, address, time.monotonic()):
                                self._rebuild()
        self._alarm.by(self._next_timer())

    def network_changed(self) -> None:
        """The interfaces are others now: begin anew with multicast."""
        with self._lock:
            fanouts, self._fanouts = list(self._fanouts.values()), {}
            for fanout in fanouts:
                self._node.loop.unwatch(fanout.socket)
                fanout.socket.close()
            self._rebuild()
            self._choose_fanouts(time.monotonic())
        self._alarm.by(self._next_timer())

    # -- time, in the I/O thread -------------------------------------------------------------------------------------

    def _pump(self, route: Route, now: float) -> None:
        route.pump(self.number, self._seq, self._low(), now)
        if not route.lossy and not self._reliable:
            route.sender.forget_sent()

    def _low(self) -> int:
        return self._history.low(self._seq + 1) if self._reliable and self._history is not None else self._seq + 1

    def _next_timer(self) -> float:
        timers = [min(route.match.next_timer(), route.sender.next_timer()) for route in self._routes.values()]
        timers += [fanout.next_timer() for fanout in self._fanouts.values()]
        return min([*timers, self._beat_at])

    def _on_alarm(self) -> None:
        with self._lock:
            now = time.monotonic()
            for route in list(self._routes.values()):
                self._tick(route, now)
            for fanout in self._fanouts.values():
                fanout.handle_timer(now)
            if now >= self._beat_at:
                self._heartbeat(now)
            next_timer = self._next_timer()
        self._alarm.by(next_timer)

    def _tick(self, route: Route, now: float) -> None:
        was_open = route.match.open
        datagram = route.match.handle_timer(now)
        if datagram is not None:
            with contextlib.suppress(OSError):
                route.socket.send(datagram)
        if was_open and not route.match.open:
            self._rebuild()
        position = route.sender.handle_timer(now)
        if position is not None:
            route.poll(self.number, position, self._seq, self._low())

    def _start_beating(self) -> None:
        self._beating = True
        self._beat = 0
        self._polled_seq = self._seq
        self._beat_at = time.monotonic() + HEARTBEATS[self._reliable][0]
        self._alarm.by(self._beat_at)

    def _heartbeat(self, now: float) -> None:
        """Say what the last number is, so that the end of a burst is not lost unnoticed.

        A heartbeat only ever causes questions. It is sporadic: soon after the last message, then seldom, and it ends
        once all have acknowledged.
        """
        pauses = HEARTBEATS[self._reliable]
        if self._seq != self._polled_seq:
            self._polled_seq, self._beat = self._seq, 0
        else:
            waiting = [route for route in self._open_routes if route.acknowledged < self._seq]
            self._poll_all(waiting)
            self._beat += 1
            if not waiting or (self._beat >= len(pauses) and not self._reliable):
                self._beating, self._beat_at = False, NEVER
                return
        self._beat_at = now + pauses[min(self._beat, len(pauses) - 1)]

    def _poll_all(self, routes: Iterable[Route] | None = None) -> None:
        for route in self._open_routes if routes is None else routes:
            route.poll(self.number, route.sender.position, self._seq, self._low())

    # -- fork --------------------------------------------------------------------------------------------------------

    def abandon(self) -> None:
        """Let go of what belongs to the parent, in a forked child; it begins anew when it is next used."""
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        for fanout in self._fanouts.values():
            fanout.socket.close()
        self._routes, self._sends, self._open_routes, self._fanouts, self._history = {}, (), (), {}, None
        self._abandoned = True


def _batch_end(bodies: Sequence[Any], at: int, limit: int) -> int:
    size = 4
    for stop in range(at, min(len(bodies), at + 65_535)):
        body = bodies[stop]
        if type(body) is list:
            return stop
        size += len(body) + BATCH_COST
        if size > limit:
            return stop
    return min(len(bodies), at + 65_535)


def _check_codec(codec: Any) -> Any:
    for attribute in ("name", "encode", "decode", "schema"):
        if not hasattr(codec, attribute):
            raise ArgumentError(
                f"a codec has name, encode, decode and schema, such as MsgLibrary, MsgPack or Raw; "
                f"got {codec!r} without {attribute}"
            )
    return codec


def _check_keep(keep: object) -> int:
    if not isinstance(keep, int) or isinstance(keep, bool) or not 0 <= keep <= 1_000_000:
        raise ArgumentError(f"keep is a number of messages from 0 to 1000000, got {keep!r}")
    return keep
