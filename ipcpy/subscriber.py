"""Subscriber: messages of every publisher that matches, for scripts, callbacks and coroutines.

Who waits, reads: a thread inside ``recv`` reads the socket itself, an event loop that awaits reads it when it is
readable; while nobody waits the I/O thread empties it into the inbox, so that the newest messages are kept.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .errors import ArgumentError, ClosedError, RecvTimeout
from .graph import EndpointInfo
from .inbound import Inbound
from .inbox import Inbox
from .loop import Alarm
from .message import Message
from .node import Node, shared_node
from .protocol.entries import SubscriberEntry
from .protocol.topics import check_pattern
from .stats import SubscriberStats
from .transport.udp import MAX_DATAGRAM, DataSocket

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future

__all__ = ["Subscriber"]

log = logging.getLogger(__name__)

DEPTH = 1_000
LEASE = 0.01  # seconds that the socket is left to a reader who is away; then the I/O thread empties it
DRAIN = 256  # datagrams that are read at once
CLOSE = 0.09  # seconds that close waits for those who still read


class Subscriber:
    """Receives what is published on a topic, or on all topics that a pattern matches.

    It can be used from several threads, each message goes to one of them. Waiting in ``recv`` has the lowest latency.

    Args:
        topic: a name, or a pattern: ``robot/*/imu`` (any one segment), ``robot/**`` (any number of them).
        codec: what its own types are; by default the publisher's schema decides, which comes with discovery.
        callback: called with each Message in a thread of its own; what it raises is logged and stops nothing.
        depth: how many unread messages are kept; the oldest give way, and are counted.
        node: the node it belongs to; by default the one the process shares.

    Raises:
        ArgumentError: (a ValueError) which argument is wrong, and what was expected.
        TransportError: (an OSError) if there is no UDP socket to be had.
    """

    def __init__(
        self,
        topic: str,
        codec: Any = None,
        *,
        callback: Callable[[Message], object] | None = None,
        depth: int = DEPTH,
        node: Node | None = None,
    ) -> None:
        self._closed = True
        self._topic = check_pattern(topic)
        self._codec = codec
        self._depth = _check_depth(depth)
        if callback is not None and not callable(callback):
            raise ArgumentError(f"callback is a function that takes a Message, got {callback!r}")
        self._node = node or shared_node()
        self._open()
        self._closed = False
        self._thread: threading.Thread | None = None
        if callback is not None:
            name = f"ipcpy callback {topic}"
            self._thread = threading.Thread(target=self._call_back, args=(callback,), name=name, daemon=True)
            self._thread.start()

    def _open(self) -> None:
        self._node.ensure_open()
        self.number = int.from_bytes(os.urandom(8), "little") or 1
        self._lock = threading.Lock()  # over what arrived
        self._reading = threading.Lock()  # over who reads
        self._matched = threading.Condition(self._lock)
        self._inbox = Inbox(self._depth)
        self._messages = self._inbox.messages
        self._socket = DataSocket(self._node.bind_host)
        self._recvfrom = self._socket.recvfrom
        self._inbound = Inbound(self.number, self._socket, self._inbox, self._codec, self._matched.notify_all)
        self._leased = False  # whether readers have the socket, not the I/O thread
        self._read_at = 0.0
        self._abandoned = False
        self._waiters: deque[Future[None]] = deque()
        self._event_loop: AbstractEventLoop | None = None
        self._mismatch: dict[str, list[str]] = {}
        loop = self._node.loop
        self._timer_alarm = Alarm(loop, _weakly(self._on_timer))
        self._lease_alarm = Alarm(loop, _weakly(self._on_lease))
        self._ready = _weakly(self._on_readable)
        self._node.add_subscriber(self, self._entry())
        loop.watch(self._socket, self._ready)

    def _entry(self) -> SubscriberEntry:
        name = "any" if self._codec is None else self._codec.name
        schema = {} if self._codec is None else dict(self._codec.schema)
        return SubscriberEntry(self._topic, name, self._socket.port, schema, self._mismatch)

    # -- for users ---------------------------------------------------------------------------------------------------

    @property
    def topic(self) -> str:
        """The topic or pattern."""
        return self._topic

    @property
    def id(self) -> str:
        """16 hexadecimal digits, new with every subscriber."""
        return f"{self.number:016x}"

    @property
    def publishers(self) -> tuple[EndpointInfo, ...]:
        """The publishers that are matched: what they publish now arrives."""
        with self._lock:
            return tuple(flow.info for flow in self._inbound.flows.values() if flow.matched)

    @property
    def stats(self) -> SubscriberStats:
        """What arrived, and what did not and why; by publisher."""
        with self._lock:
            flows = dict(self._inbound.past)
            for flow in self._inbound.flows.values():
                flows[flow.info.id] = flow.stats(self._inbox.dropped[flow.info.id])
            dropped = dict(self._inbound.dropped)
        lost: dict[str, int] = {}
        for flow_stats in flows.values():
            for cause, count in flow_stats.lost.items():
                lost[cause] = lost.get(cause, 0) + count
        each = list(flows.values())
        return SubscriberStats(
            sum(stats.received for stats in each),
            sum(stats.bytes for stats in each),
            sum(stats.duplicates for stats in each),
            sum(stats.reordered for stats in each),
            lost,
            dropped=dropped,
            publishers=flows,
        )

    def recv(self, timeout: float | None = None) -> Message:
        """Give the next message.

        Args:
            timeout: seconds; None waits for ever, 0 only looks.

        Raises:
            TimeoutError: if none came in time.
            ClosedError: (an OSError) if it is closed, also while waiting.
        """
        try:
            return self._messages.popleft()
        except IndexError:
            pass
        if timeout is None:
            while True:
                self._wait_for_ever()
                with contextlib.suppress(IndexError):
                    return self._messages.popleft()
        return self._recv_by(time.monotonic() + timeout, timeout)

    def _recv_by(self, deadline: float, timeout: float) -> Message:
        while True:
            left = deadline - time.monotonic()
            self._wait(max(0.0, left))
            with contextlib.suppress(IndexError):
                return self._messages.popleft()
            if left <= 0:
                raise RecvTimeout(f"no message on {self._topic!r} within {timeout} s")

    def latest(self) -> Message | None:
        """Give the newest message and discard the older ones; None if there is none. Never waits."""
        self._check_open()
        if self._reading.acquire(blocking=False):
            try:
                self._drain()
            finally:
                self._reading.release()
        message = None
        with contextlib.suppress(IndexError):
            while True:
                message = self._messages.popleft()
        return message

    async def recv_async(self, timeout: float | None = None) -> Message:
        """Give the next message, to a coroutine.

        Args:
            timeout: as for ``recv``.

        Raises:
            TimeoutError, ClosedError: as ``recv``.
        """
        try:
            return self._messages.popleft()
        except IndexError:
            pass
        import asyncio

        loop = asyncio.get_running_loop()
        if self._event_loop is not loop:
            self._attach(loop)
        if timeout is not None:
            try:
                async with asyncio.timeout(timeout):
                    return await self._recv_when_ready(loop)
            except TimeoutError:
                raise RecvTimeout(f"no message on {self._topic!r} within {timeout} s") from None
        return await self._recv_when_ready(loop)

    async def _recv_when_ready(self, loop: AbstractEventLoop) -> Message:
        while True:
            self._check_open()
            waiter = loop.create_future()
            self._waiters.append(waiter)
            self._read_now()
            try:
                return self._messages.popleft()
            except IndexError:
                await waiter
            finally:
                with contextlib.suppress(ValueError):
                    self._waiters.remove(waiter)
            with contextlib.suppress(IndexError):
                return self._messages.popleft()

    def __iter__(self) -> Iterator[Message]:
        return self

    def __next__(self) -> Message:
        try:
            return self.recv()
        except ClosedError:
            raise StopIteration from None

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        try:
            return await self.recv_async()
        except ClosedError:
            raise StopAsyncIteration from None

    def wait_for_publishers(self, count: int = 1, timeout: float | None = None) -> int:
        """Wait until publishers are matched: what they publish then arrives.

        Args:
            count: how many.
            timeout: seconds; None waits for ever, 0 only looks.

        Returns:
            The number of publishers matched.

        Raises:
            TimeoutError: if there are fewer when the time is up.
            ClosedError: if it is closed.
        """
        self._check_open()
        with self._lock:
            met = self._matched.wait_for(lambda: self._closed or self._count() >= count, timeout)
            if met and not self._closed:
                return self._count()
        self._check_open()
        raise RecvTimeout(f"{self._count()} of {count} publishers of {self._topic!r} within {timeout} s. {self.why()}")

    def _count(self) -> int:
        return sum(flow.matched for flow in self._inbound.flows.values())

    def why(self) -> str:
        """Say in plain words what is known of why messages arrive, or do not."""
        with self._lock:
            flows = list(self._inbound.flows.values())
        lines = [_why(flow.info, flow.matched, flow.address is not None, flow.mismatch) for flow in flows]
        if not flows:
            others = sorted({topic.name for topic in self._node.topics() if topic.publishers})
            known = f"Topics with publishers: {', '.join(others[:10])}." if others else "No publisher is known at all."
            lines.append(f"No publisher of {self._topic!r} is known in domain {self._node.domain!r}. {known}")
        stats = self.stats
        lines += [f"{count} lost: {cause}." for cause, count in sorted(stats.lost.items())]
        lines += [f"{count} datagrams dropped: {cause}." for cause, count in sorted(stats.dropped.items())]
        return "\n".join(lines)

    def close(self) -> None:
        """Stop receiving; idempotent, within 100 ms. Whoever waits gets ClosedError, iterations end."""
        if self._closed:
            return
        self._closed = True
        self._node.withdraw(self.number)
        self._node.loop.unwatch(self._socket)
        self._socket.wake()
        with self._lock:
            self._matched.notify_all()
        self._detach()
        if self._reading.acquire(timeout=CLOSE):
            self._reading.release()
        self._socket.close()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(CLOSE)

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{self._count()} publishers, {len(self._messages)} unread"
        return f"<ipcpy.Subscriber {self._topic!r} {state}>"

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(f"the subscriber of {self._topic!r} is closed")
        if self._abandoned:
            self._open()

    # -- reading: threads --------------------------------------------------------------------------------------------

    def _wait_for_ever(self) -> None:
        with self._reading:
            self._check_open()
            if self._messages:
                return
            if not self._leased:
                self._take_lease()
            data, address = self._recvfrom(MAX_DATAGRAM)
            self._take(data, address)

    def _wait(self, timeout: float) -> None:
        if not self._reading.acquire(timeout=timeout):
            return
        try:
            self._check_open()
            if self._messages:
                return
            if not self._leased:
                self._take_lease()
            if timeout and not self._readable(timeout):
                return
            received = self._socket.poll()
            if received is not None:
                self._take(*received)
        finally:
            self._reading.release()

    def _readable(self, timeout: float) -> bool:
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            return bool(poll.poll(timeout * 1000))
        return bool(select.select([self._socket], [], [], timeout)[0])

    def _take(self, data: bytes, address: tuple[str, int]) -> None:
        inbound = self._inbound
        with self._lock:
            if data:
                inbound.take(data, address)
        self._read_at = time.monotonic()
        if inbound.behind:
            inbound.behind = False
            self._drain()
        if inbound.timer != NEVER:
            self._timer_alarm.by(inbound.timer)

    def _drain(self) -> None:
        """Read what is there; whoever calls has the right to read."""
        for _ in range(DRAIN):
            received = self._socket.poll()
            if received is None:
                break
            with self._lock:
                if received[0]:
                    self._inbound.take(*received)
        self._inbound.behind = False
        self._read_at = time.monotonic()
        self._timer_alarm.by(self._inbound.timer)

    def _take_lease(self) -> None:
        self._leased = True
        self._node.loop.unwatch(self._socket)
        self._lease_alarm.by(time.monotonic() + LEASE)

    # -- reading: the I/O thread -------------------------------------------------------------------------------------

    def _on_lease(self) -> None:
        """While a reader has the socket: see whether he is there."""
        if self._closed or not self._leased:
            return
        if self._reading.acquire(blocking=False):
            try:
                if time.monotonic() - self._read_at > LEASE / 2:
                    self._leased = False
                    self._node.loop.watch(self._socket, self._ready)
                    return
            finally:
                self._reading.release()
        self._lease_alarm.by(time.monotonic() + LEASE)

    def _on_readable(self) -> None:
        if self._closed or not self._reading.acquire(blocking=False):
            return
        try:
            if not self._leased:
                self._drain()
        finally:
            self._reading.release()
        if self._waiters:
            self._wake_waiters()

    def _on_timer(self) -> None:
        if self._closed:
            return
        before = len(self._messages)
        with self._lock:
            self._inbound.handle_timer(time.monotonic())
        self._timer_alarm.by(self._inbound.timer)
        if len(self._messages) > before:
            self._socket.wake()
            self._wake_waiters()

    # -- reading: an event loop --------------------------------------------------------------------------------------

    def _attach(self, loop: AbstractEventLoop) -> None:
        self._check_open()
        self._detach()
        try:
            loop.add_reader(self._socket.fileno(), self._on_loop_readable)
        except NotImplementedError:  # a proactor: the I/O thread reads
            return
        self._event_loop = loop

    def _detach(self) -> None:
        loop, self._event_loop = self._event_loop, None
        if loop is not None and not loop.is_closed():
            descriptor = self._socket.fileno()
            with contextlib.suppress(RuntimeError):
                if _running() is loop:
                    loop.remove_reader(descriptor)
                else:
                    loop.call_soon_threadsafe(loop.remove_reader, descriptor)
        self._wake_waiters()

    def _read_now(self) -> None:
        if self._event_loop is not None and not self._leased and self._reading.acquire(blocking=False):
            try:
                self._take_lease()
                self._drain()
            finally:
                self._reading.release()

    def _on_loop_readable(self) -> None:
        if self._closed or not self._reading.acquire(blocking=False):
            return
        try:
            received = self._socket.poll()
            if received is not None:
                self._take(*received)
        finally:
            self._reading.release()
        if self._messages:
            self._wake_waiters()

    def _wake_waiters(self) -> None:
        while self._waiters:
            with contextlib.suppress(IndexError):
                waiter = self._waiters.popleft()
                loop = waiter.get_loop()
                if _running() is loop:
                    _resolve(waiter)
                else:
                    with contextlib.suppress(RuntimeError):  # its loop is closed
                        loop.call_soon_threadsafe(_resolve, waiter)

    # -- reading: a callback -----------------------------------------------------------------------------------------

    def _call_back(self, callback: Callable[[Message], object]) -> None:
        for message in self:
            try:
                callback(message)
            except Exception:
                log.exception("the callback of the subscriber of %r failed", self._topic)

    # -- what the node tells, in the I/O thread ----------------------------------------------------------------------

    def publisher_found(self, number: int, info: EndpointInfo, is_its_address: Callable[[str], bool]) -> None:
        """A publisher of the topic is there."""
        with self._lock:
            flow = self._inbound.add(number, info, is_its_address)
        if flow.mismatch and info.id not in self._mismatch:
            self._mismatch[info.id] = list(flow.mismatch)
            self._node.add_subscriber(self, self._entry())

    def publisher_lost(self, number: int) -> None:
        """A publisher is gone."""
        with self._lock:
            self._inbound.leave(number, time.monotonic())
            self._matched.notify_all()
        self._timer_alarm.by(self._inbound.timer)

    # -- fork --------------------------------------------------------------------------------------------------------

    def abandon(self) -> None:
        """Let go of what belongs to the parent, in a forked child; it begins anew when it is next used."""
        self._socket.close()
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._matched = threading.Condition(self._lock)
        self._event_loop = None
        self._waiters.clear()
        self._abandoned = True


NEVER = float("inf")


def _weakly(method: Callable[[], None]) -> Callable[[], None]:
    """Give a function that calls a method while its object lives: the I/O thread keeps nobody alive."""
    reference = weakref.WeakMethod(method)

    def call() -> None:
        living = reference()
        if living is not None:
            living()

    return call


def _running() -> AbstractEventLoop | None:
    from asyncio import _get_running_loop

    return _get_running_loop()


def _resolve(future: Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _check_depth(depth: object) -> int:
    if not isinstance(depth, int) or isinstance(depth, bool) or depth < 1:
        raise ArgumentError(f"depth is a number of messages from 1, got {depth!r}")
    return depth


def _why(info: EndpointInfo, matched: bool, challenged: bool, mismatch: tuple[str, ...]) -> str:
    where = f"Publisher {info.node.name!r} on {info.node.host} ({info.node.address or 'this process'})"
    if mismatch:
        return f"{where}: the types differ. {' '.join(mismatch)}"
    if matched:
        return f"{where}: matched."
    if challenged:
        return f"{where}: it is known and was answered; its START has not come yet."
    return f"{where}: it is known, but nothing has come from it to UDP here: is a firewall between?"
