"""Subscriber: what users hold; arguments in, messages out, for scripts, callbacks and coroutines.

Its interior is subscription.py, how it waits reader.py.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from functools import partial

from ..clock import Delay
from ..codec import check_codec
from ..errors import ArgumentError
from ..fast import SubscriberFields, compiled
from ..graph import EndpointInfo
from ..locks import start
from ..message import Message
from ..node.node import Node
from ..node.shared import node_for
from ..node.watch import EventQueue, Watch
from ..protocol.topics import check_asked
from ..stats import SubscriberStats
from ..timeouts import NEVER, Explanations, patience, seconds
from ..typed import TYPE_CHECKING, Any
from ..wakeups import running_loop
from .callbacks import call_with_events, call_with_messages
from .inbox import DEPTH_BYTES
from .reasons import why
from .several import Several
from .subscription import Subscription, Wanted
from .waits import Waits

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from ..codec.codec import Codec
    from ..events import TopicEvent, TopicInTime, TopicLate

__all__ = ["Subscriber"]

DEPTH = 1_000
MAX_SPIN = 10.0  # seconds


class Subscriber(Several, Waits, SubscriberFields):
    """Receives what is published on a topic, or on all topics that a pattern matches.

    It can be used from several threads, each message goes to one of them. Waiting in ``recv`` has the lowest latency.

    Args:
        topic: a name, or a pattern: ``robot/*/imu`` (any one segment), ``robot/**`` (any number of them). It is put
            under the namespace of its node, ``/robot/imu`` is not.
        codec: what its own types are; by default the publisher's schema decides, which comes with discovery.
        callback: called with each Message in a thread of its own; what it raises is logged and stops nothing.
        depth: how many unread messages are kept, from 1 (1,000); the oldest give way, and are counted.
        depth_bytes: how many bytes unread messages may have in all, from 1 (32 MiB); the newest is kept whatever its
            size. What is being put together comes on top.
        spin: seconds that ``recv``, an iteration or the callback's thread polls before it sleeps. What comes meanwhile
            is there without anybody having to be woken, a fifth of the latency; it takes a core of its own.
        node: the node it belongs to; by default the one the process shares.
        deadline: seconds within which the next message of a topic is expected, once a publisher was matched; by default
            three periods of the publisher's ``rate``, at least 0.2, where it has one. See docs/timing.md.
        on_late: called with TopicLate when a message is late, and with TopicInTime when the topic flows again, in a
            thread of its own.
        max_age: seconds since it was sent from which on a message is discarded when its turn comes, and counted.

    Raises:
        ArgumentError: (a ValueError) which argument is wrong, and what was expected.
        TransportError: (an OSError) if there is no UDP socket to be had.
        ClosedError: (an OSError) if the node is closed.
    """

    def __init__(
        self,
        topic: str,
        codec: Codec | None = None,
        *,
        callback: Callable[[Message], object] | None = None,
        depth: int = DEPTH,
        depth_bytes: int = DEPTH_BYTES,
        spin: float = 0.0,
        node: Node | None = None,
        deadline: float | None = None,
        on_late: Callable[[TopicLate | TopicInTime], object] | None = None,
        max_age: float | None = None,
    ) -> None:
        codec = None if codec is None else check_codec(codec, callbacks=True)
        check_asked(topic)  # before a node is made
        bounds = _check_depth(depth), _check_depth_bytes(depth_bytes), _check_spin(spin)
        late = None if deadline is None else patience("deadline", deadline)
        old = None if max_age is None else patience("max_age", max_age)
        if callback is not None:
            _check_callback(callback)
        if on_late is not None:
            _check_on_late(on_late)
        self._core = node_for(node)
        whole, _, self._told = self._core.naming.pattern(topic)
        self._wanted = Wanted(whole, codec, *bounds, late, old, self._told)
        self._node = node  # a node that nobody holds is closed
        self._explanations = Explanations()
        self._open()
        if on_late is not None:
            queue: EventQueue[Any] = EventQueue()
            self._subscription.timekeeper.add(queue)
            self._call("late", partial(self._tell_late, on_late, queue))
        if callback is not None:
            self._call("callback", partial(self._call_back, callback))

    def _open(self) -> None:
        self._subscription = Subscription(self._core, self._wanted)
        try:
            self._subscription.announce()
            self._core.ensure_open()  # again: a node closes those that it knows of when it begins to
        except BaseException:  # what cannot be announced is not kept
            self._subscription.close()
            raise
        self._messages = self._subscription.messages
        self._wait = self._subscription.reader.wait

    @property
    def topic(self) -> str:
        """The topic or pattern, by the whole name that others see: under the namespace of its node, and remapped."""
        return self._wanted.topic

    @property
    def id(self) -> str:
        """16 hexadecimal digits, new with every subscriber."""
        return f"{self._subscription.number:016x}"

    @property
    def publishers(self) -> tuple[EndpointInfo, ...]:
        """The publishers that are matched: what they publish now arrives."""
        return self._subscription.publishers()

    @property
    def stats(self) -> SubscriberStats:
        """What arrived, and what did not and why; by publisher."""
        return self._subscription.stats()

    def recv(self, timeout: float | None = None) -> Message:
        """Return the next message.

        Args:
            timeout: seconds; None waits for ever, 0 only looks.

        Raises:
            TimeoutError: if none came in time; its text says why, as ``why`` does.
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
            self._wait(None if timeout is None else left, deadline)
            with contextlib.suppress(IndexError):
                return self._messages.popleft()
            if not left:
                raise self._explanations.error(f"no message on {self._told} within {timeout:g} s", self.why)

    def latest(self) -> Message | None:
        """Return the newest message and discard the older ones; None if there is none. Never waits.

        Raises:
            ClosedError: (an OSError) if it is closed.
        """
        self._check_open()
        self._subscription.reader.drain_now()
        message = None
        with contextlib.suppress(IndexError):
            while True:
                message = self._messages.popleft()
        return message

    async def recv_async(self, timeout: float | None = None) -> Message:
        """Return the next message, to a coroutine.

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

        loop = running_loop()
        timeout = seconds(timeout)
        if timeout is None:
            return await self._next(loop)
        try:
            async with asyncio.timeout(timeout):
                return await self._next(loop)
        except TimeoutError:
            raise self._explanations.error(f"no message on {self._told} within {timeout:g} s", self.why) from None

    async def _next(self, loop: AbstractEventLoop) -> Message:
        while True:
            await self._subscription.reader.wait_async(loop)
            try:
                return self._messages.popleft()
            except IndexError:
                self._check_open()

    def delay(self, message: Message) -> Delay:
        """Return how many seconds a message of this subscriber's took, from ``publish`` to the socket, and the bound.

        On one host the bound is 0.0, without any knowledge ``inf``. Ask in order, when they come: see docs/clocks.md.
        """
        return self._subscription.delay(message)

    def why(self) -> str:
        """Say in plain words why messages arrive, or do not: who is there, who left, when and how, and what is late."""
        return why(self.topic, self._told, self._subscription, self._core)

    def watch(self) -> Watch[TopicEvent]:
        """Watch what becomes of the topic: publishers are found, stall, resume, are lost; it is late, or in time again.

        What is so already comes first. For lateness it takes a ``deadline``, or publishers with a ``rate``.

        Raises:
            ClosedError: (an OSError) if it is closed.
        """
        self._check_open()
        return self._subscription.watch(self)

    def close(self) -> None:
        """Stop receiving; idempotent, within 100 ms. Whoever waits gets ClosedError, iterations end."""
        self._subscription.close()

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        try:
            self._subscription.forget()
        except (
            Exception
        ):  # arguments were refused: there is nothing yet; or the interpreter exits, and has no globals any more
            pass

    def __repr__(self) -> str:
        subscription = self._subscription
        state = f"{subscription.count()} publishers, {len(self._messages)} unread"
        return f"<ipcpy.Subscriber {self._told} {'closed' if subscription.closed else state}>"

    def _check_open(self) -> None:
        self._subscription.check_open()
        if self._subscription.abandoned:
            self._open()

    def _call(self, name: str, function: Callable[[], object]) -> None:
        """Have a function run in a thread of its own, which keeps this alive."""
        thread = threading.Thread(target=function, name=f"ipcpy {name} {self.topic}", daemon=True)
        self._subscription.threads.append(thread)
        try:
            start(thread)
        except BaseException:  # from outside: nobody can close what was not made
            self._subscription.close()
            raise

    def _call_back(self, callback: Callable[[Message], object]) -> None:
        if not call_with_messages(callback, self, self._messages, self._subscription, self.topic):
            self.close()

    def _tell_late(self, on_late: Callable[[Any], object], queue: EventQueue[Any]) -> None:
        if not call_with_events(on_late, queue, self.topic):
            self.close()


if compiled is not None:  # the common case of recv is done there
    compiled.take_over_recv(Subscriber)


def _check_on_late(on_late: object) -> None:
    if not callable(on_late):
        raise ArgumentError(f"on_late is a function that takes a TopicLate or a TopicInTime, got {on_late!r}")
    from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction

    functions = (on_late, getattr(on_late, "__call__", None))  # noqa: B004 (its type's method)
    if any(test(each) for each in functions for test in (isasyncgenfunction, iscoroutinefunction, isgeneratorfunction)):
        raise ArgumentError(
            f"on_late is called in a thread of its own, where nobody awaits what {on_late!r} returns, or iterates over "
            "it; in a coroutine write: async for event in subscriber.watch()"
        )


def _check_callback(callback: object) -> None:
    if not callable(callback):
        raise ArgumentError(f"callback is a function that takes a Message, got {callback!r}")
    from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction  # late: few have a callback

    functions = (callback, getattr(callback, "__call__", None))  # noqa: B004 (its type's method)
    if any(map(isgeneratorfunction, functions)):
        raise ArgumentError(
            f"callback is a function that takes a Message, got the generator function {callback!r}, which has a yield: "
            "a call runs no line of it"
        )
    if any(map(iscoroutinefunction, functions)) or any(map(isasyncgenfunction, functions)):
        raise ArgumentError(
            f"callback is called in a thread of its own, where nobody awaits what the coroutine function {callback!r} "
            "returns; in a coroutine write: async for message in subscriber"
        )


def _check_depth(depth: object) -> int:
    if not isinstance(depth, int) or isinstance(depth, bool) or depth < 1:
        raise ArgumentError(f"depth is a number of messages from 1, got {depth!r}")
    return depth


def _check_depth_bytes(depth_bytes: object) -> int:
    if not isinstance(depth_bytes, int) or isinstance(depth_bytes, bool) or depth_bytes < 1:
        raise ArgumentError(f"depth_bytes is a number of bytes from 1, got {depth_bytes!r}")
    return depth_bytes


def _check_spin(spin: object) -> float:
    if not isinstance(spin, int | float) or isinstance(spin, bool) or not 0 <= spin <= MAX_SPIN:
        raise ArgumentError(f"spin is a time in seconds from 0 to {MAX_SPIN:g}, got {spin!r}")
    return float(spin)
