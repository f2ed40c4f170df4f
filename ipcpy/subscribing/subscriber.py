"""Subscriber: messages of every publisher that matches, for scripts, callbacks and coroutines."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..addresses import Address
from ..errors import ArgumentError, ClosedError, RecvTimeout
from ..graph import EndpointInfo
from ..message import Message
from ..node.node import Node, node_for
from ..protocol.link.entries import SubscriberEntry
from ..protocol.topics import check_pattern
from ..stats import SubscriberStats
from ..timeouts import NEVER, seconds
from .inbound import Inbound
from .inbox import Inbox
from .reader import Reader

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

__all__ = ["Subscriber"]

log = logging.getLogger(__name__)

DEPTH = 1_000
MAX_SPIN = 10.0  # seconds
CLOSE = 0.09  # seconds that close waits for those who still read


class Subscriber:
    """Receives what is published on a topic, or on all topics that a pattern matches.

    It can be used from several threads, each message goes to one of them. Waiting in ``recv`` has the lowest latency.

    Args:
        topic: a name, or a pattern: ``robot/*/imu`` (any one segment), ``robot/**`` (any number of them).
        codec: what its own types are; by default the publisher's schema decides, which comes with discovery.
        callback: called with each Message in a thread of its own; what it raises is logged and stops nothing.
        depth: how many unread messages are kept, from 1 (1,000); the oldest give way, and are counted.
        spin: seconds that ``recv``, an iteration or the callback's thread polls before it sleeps. What comes meanwhile
            is there without anybody having to be woken, a fifth of the latency; it takes a core of its own.
        node: the node it belongs to; by default the one the process shares.

    Raises:
        ArgumentError: (a ValueError) which argument is wrong, and what was expected.
        TransportError: (an OSError) if there is no UDP socket to be had.
        ClosedError: (an OSError) if the node is closed.
    """

    def __init__(
        self,
        topic: str,
        codec: Any = None,
        *,
        callback: Callable[[Message], object] | None = None,
        depth: int = DEPTH,
        spin: float = 0.0,
        node: Node | None = None,
    ) -> None:
        self._closed = True
        self._topic = check_pattern(topic)
        self._codec = codec
        self._depth = _check_depth(depth)
        self._spin = _check_spin(spin)
        if callback is not None and not callable(callback):
            raise ArgumentError(f"callback is a function that takes a Message, got {callback!r}")
        self._node = node_for(node)
        self._thread: threading.Thread | None = None
        self._open()
        self._closed = False
        if callback is not None:
            name = f"ipcpy callback {topic}"
            self._thread = threading.Thread(target=self._call_back, args=(callback,), name=name, daemon=True)
            self._thread.start()

    def _open(self) -> None:
        self._node.ensure_open()
        self.number = int.from_bytes(os.urandom(8), "little") or 1
        self._lock = threading.Lock()  # over what arrived
        self._matched = threading.Condition(self._lock)
        self._inbox = Inbox(self._depth)
        self._messages = self._inbox.messages
        socket = self._node.sockets.data(self._node.bind_host)
        self._port = socket.port
        self._inbound = Inbound(self.number, socket, self._inbox, self._codec, self._matched.notify_all)
        self._reader = Reader(self._node.loop, socket, self._inbound, self._lock, self._messages, self._spin)
        self._wait = self._reader.wait
        self._groups: dict[int, Address] = {}
        self._abandoned = False
        self._mismatch: dict[str, list[str]] = {}
        self._node.add_subscriber(self, self._entry())

    def _entry(self) -> SubscriberEntry:
        name = "any" if self._codec is None else self._codec.name
        schema = {} if self._codec is None else dict(self._codec.schema)
        return SubscriberEntry(self._topic, name, self._port, schema, self._mismatch)

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
            total, flows = self._inbound.stats()
            dropped = dict(self._inbound.dropped)
        counts = (total.received, total.bytes, total.duplicates, total.reordered, total.lost)
        return SubscriberStats(*counts, dropped=dropped, publishers=flows)

    def recv(self, timeout: float | None = None) -> Message:
        """Give the next message.

        Args:
            timeout: seconds; None waits for ever, 0 only looks.

        Raises:
            TimeoutError: if none came in time.
            ClosedError: (an OSError) if it is closed, also while waiting.
        """
        messages = self._messages
        deadline = NEVER
        if not messages:
            if timeout is not None:
                timeout = seconds(timeout)
                deadline = NEVER if timeout is None else time.monotonic() + timeout
            self._wait(timeout, deadline)
        try:
            return messages.popleft()
        except IndexError:  # the time is up, only control frames came, another thread was faster, or it is closed
            return self._recv_by(deadline, timeout)

    def _recv_by(self, deadline: float, timeout: float | None) -> Message:
        if timeout is not None and deadline == NEVER:  # one was there, but another thread was faster
            deadline = time.monotonic() + timeout
        while True:
            self._check_open()
            left = max(0.0, deadline - time.monotonic())
            self._reader.wait(None if timeout is None else left, deadline)
            with contextlib.suppress(IndexError):
                return self._messages.popleft()
            if not left:
                raise RecvTimeout(f"no message on {self._topic!r} within {timeout:g} s")

    def latest(self) -> Message | None:
        """Give the newest message and discard the older ones; None if there is none. Never waits.

        Raises:
            ClosedError: (an OSError) if it is closed.
        """
        self._check_open()
        self._reader.drain_now()
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
            self._check_open()
        import asyncio

        loop = asyncio.get_running_loop()
        timeout = seconds(timeout)
        if timeout is None:
            return await self._next(loop)
        try:
            async with asyncio.timeout(timeout):
                return await self._next(loop)
        except TimeoutError:
            raise RecvTimeout(f"no message on {self._topic!r} within {timeout:g} s") from None

    async def _next(self, loop: AbstractEventLoop) -> Message:
        while True:
            await self._reader.wait_async(loop)
            try:
                return self._messages.popleft()
            except IndexError:
                self._check_open()

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
        timeout = seconds(timeout)
        with self._lock:
            met = self._matched.wait_for(lambda: self._closed or self._count() >= count, timeout)
            if met and not self._closed:
                return self._count()
        self._check_open()
        raise RecvTimeout(
            f"{self._count()} of {count} publishers of {self._topic!r} within {timeout:g} s. {self.why()}"
        )

    def _count(self) -> int:
        return sum(flow.matched for flow in self._inbound.flows.values())

    def why(self) -> str:
        """Say in plain words what is known of why messages arrive, or do not.

        Raises:
            ClosedError: (an OSError) if its node is closed.
        """
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
        with self._lock:
            self._matched.notify_all()
        self._reader.close(CLOSE)
        self._messages.clear()
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

    # -- a callback -----------------------------------------------------------------------------------------

    def _call_back(self, callback: Callable[[Message], object]) -> None:
        for message in self:
            try:
                callback(message)
            except Exception:
                log.exception("the callback of the subscriber of %r failed", self._topic)

    # -- what the node tells, in the I/O thread ----------------------------------------------------------------------

    def publisher_found(
        self, number: int, info: EndpointInfo, is_its_address: Callable[[str], bool], group: Address | None
    ) -> None:
        """A publisher of the topic is there, or something about it changed."""
        with self._lock:
            flow = self._inbound.add(number, info, is_its_address)
        if flow.mismatch and info.id not in self._mismatch:
            self._mismatch[info.id] = list(flow.mismatch)
            self._node.add_subscriber(self, self._entry())
        if group is not None and not flow.mismatch:
            self._groups[number] = group
            self._reader.join(group, self._node.interface_indexes())

    def publisher_lost(self, number: int) -> None:
        """A publisher is gone."""
        with self._lock:
            self._inbound.leave(number, time.monotonic())
            self._matched.notify_all()
        self._reader.timer_changed()
        group = self._groups.pop(number, None)
        if group is not None and group not in self._groups.values():
            self._reader.leave(group)

    def network_changed(self, interfaces: Iterable[int]) -> None:
        """The interfaces are others now."""
        self._reader.rejoin(interfaces)

    # -- fork --------------------------------------------------------------------------------------------------------

    def abandon(self) -> None:
        """Let go of what belongs to the parent, in a forked child; it begins anew when it is next used."""
        self._reader.abandon()
        self._lock = threading.Lock()
        self._matched = threading.Condition(self._lock)
        self._messages.clear()
        self._abandoned = True


def _check_depth(depth: object) -> int:
    if not isinstance(depth, int) or isinstance(depth, bool) or depth < 1:
        raise ArgumentError(f"depth is a number of messages from 1, got {depth!r}")
    return depth


def _check_spin(spin: object) -> float:
    if not isinstance(spin, int | float) or isinstance(spin, bool) or not 0 <= spin <= MAX_SPIN:
        raise ArgumentError(f"spin is a time in seconds from 0 to {MAX_SPIN:g}, got {spin!r}")
    return float(spin)


def _why(info: EndpointInfo, matched: bool, challenged: bool, mismatch: tuple[str, ...]) -> str:
    where = f"Publisher {info.node.name!r} on {info.node.host} ({info.node.address or 'this process'})"
    if mismatch:
        return f"{where}: the types differ: {'; '.join(mismatch)}."
    if matched:
        return f"{where}: matched."
    if challenged:
        return f"{where}: it is known and was answered; its START has not come yet."
    return f"{where}: it is known, but nothing has come from it to UDP here: is a firewall between?"
