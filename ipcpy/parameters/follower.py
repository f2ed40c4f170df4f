"""The interior of Parameters that another program has: what is heard of them, and how they are set there.

Knows the topic and the service; nothing of kinds, which their owner checks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..asking.client import Client
from ..errors import ArgumentError, ClosedError, IpcError, NoService, RecvTimeout, ServiceError
from ..locks import Bell, Monitor
from ..message import Message
from ..node.departures import whereabouts
from ..protocol.naming import Resolved
from ..subscribing.subscriber import Subscriber
from ..timeouts import Explanations, after
from .functions import Functions, differing
from .kinds import plain
from .owner import topic_of

if TYPE_CHECKING:
    from ..node.node import Node

__all__ = ["Follower"]

PATIENCE = 5.0  # seconds until an answer, or a first value, must be there
MOST = 16  # owners that are remembered, those that are gone included
ONE_LEFT = 1.5  # seconds until an owner that was killed on another host is not taken for a second one any more
LOOK = 0.05  # seconds between two looks whether it still is


class Follower:
    """Parameters as their owner tells them.

    Args:
        name: theirs.
        node: where they are listened to.

    Raises:
        TransportError, ClosedError: as Subscriber.

    Attributes:
        told: how errors name them.
        changed: the functions that are told of changes, in a thread of the subscriber's.
    """

    def __init__(self, name: Resolved, node: Node) -> None:
        self.told = name.told
        self.closed = False
        self.changed = Functions(name.told)
        self._topic = topic_of(name)
        self._node = node
        self._explanations = Explanations()
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._monitor = Monitor(Bell())
        self._values: Mapping[str, Any] | None = None
        self._heard: Mapping[str, Any] = {}  # what came on the topic last
        self._seqs: dict[str, int] = {}  # by publisher, what is known
        self._client = Client(self._topic, node=self._node)
        try:
            self._subscriber = Subscriber(self._topic, callback=self._take, node=self._node)
        except BaseException:
            self._client.close()
            raise

    def _take(self, message: Message) -> None:
        """Take what their owner tells, in the thread of the callback."""
        values = message.data
        if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
            return
        self._learn(message.publisher, message.seq, values)
        changed = differing(self._heard, values)
        first, self._heard = not self._heard, values
        if changed and not first:
            self.changed.tell(changed)

    def _learn(self, publisher: str, seq: int, values: Mapping[str, Any]) -> None:
        with self._monitor.lock:
            if seq <= self._seqs.get(publisher, 0):
                return
            self._seqs.pop(publisher, None)
            self._seqs[publisher] = seq
            while len(self._seqs) > MOST:
                del self._seqs[next(iter(self._seqs))]
            self._values = values
            self._monitor.bell.ring()

    # -- what is known -------------------------------------------------------------------------------------------------

    @property
    def values(self) -> Mapping[str, Any]:
        """What is known now; nothing before their owner was heard."""
        return self._values or {}

    def known(self) -> Mapping[str, Any]:
        """Return the values, once they are known; the last ones where their owner is gone.

        Raises:
            RecvTimeout: (a TimeoutError) nobody has them.
            ClosedError: nothing was heard before it was closed.
        """
        if self._values is None or self._pid != os.getpid():
            self.wait(PATIENCE)
        return self._values or {}

    def wait(self, timeout: float | None) -> None:
        """Wait until they are known.

        Raises:
            RecvTimeout, ClosedError: as ``known``.
        """
        self._check_open()
        self._met(self._monitor.wait_for(self._is_over, timeout), timeout)

    async def wait_async(self, timeout: float | None) -> None:
        """Wait as ``wait``, in a coroutine."""
        self._check_open()
        self._met(await self._monitor.wait_for_async(self._is_over, timeout), timeout)

    def _is_over(self) -> bool:
        return self._values is not None or self.closed

    def _met(self, over: bool, timeout: float | None) -> None:
        self._check_open()
        if not over:
            raise self._explanations.error(f"nobody tells the parameters {self.told} {after(timeout)}", self._why)

    def _why(self) -> str:
        return self._subscriber.why()

    # -- changing them -------------------------------------------------------------------------------------------------

    def change(self, changes: object) -> None:
        """Have their owner change some, all of them or none.

        Raises:
            ArgumentError: it refused; the text says why.
            NoService: it is not there, or not any more.
            RecvTimeout: it does not answer.
            ServiceError: it failed.
            IpcError: several programs have them.
            ClosedError: it is closed.
        """
        request = self._request(changes)
        until = time.monotonic() + ONE_LEFT
        while len(self._client.servers) > 1 and time.monotonic() < until:
            time.sleep(LOOK)
        self._check_one()
        try:
            reply = self._client.call(request, timeout=PATIENCE)
        except (ServiceError, NoService, RecvTimeout) as error:
            raise self._as_here(error) from None
        self._take_reply(reply)

    async def change_async(self, changes: object) -> None:
        """Change as ``change``, in a coroutine."""
        import asyncio

        request = self._request(changes)
        until = time.monotonic() + ONE_LEFT
        while len(self._client.servers) > 1 and time.monotonic() < until:
            await asyncio.sleep(LOOK)
        self._check_one()
        try:
            reply = await self._client.call_async(request, timeout=PATIENCE)
        except (ServiceError, NoService, RecvTimeout) as error:
            raise self._as_here(error) from None
        self._take_reply(reply)

    def _as_here(self, error: ServiceError | NoService | RecvTimeout) -> IpcError:
        """Return what an owner answered as its program would have raised it, and of what nobody answers which it is."""
        if not isinstance(error, ServiceError):
            return type(error)(f"the parameters {self.told} cannot be set: {error}")
        return ArgumentError(error.text) if error.type == "ArgumentError" else error

    def _request(self, changes: object) -> dict[str, Any]:
        self._check_open()
        if not isinstance(changes, Mapping) or not all(isinstance(key, str) for key in changes):
            raise ArgumentError(f"parameters are set by a dict such as {{'gain': 2.0}}, got {changes!r:.80}")
        taken = {}
        for key, value in changes.items():
            try:
                taken[key] = plain(value)
            except ValueError as error:
                raise ArgumentError(f"{key} of {self.told} can be of no such kind, {error}") from None
        return {"set": taken}

    def _check_one(self) -> None:
        servers = self._client.servers
        if len(servers) > 1:
            there = ", ".join(sorted(whereabouts(server.node) for server in servers))
            raise IpcError(f"{len(servers)} programs have parameters {self.told}, so none is asked: {there}")

    def _take_reply(self, reply: Any) -> None:
        """See at once what was changed, before the topic tells."""
        match reply:
            case {"values": dict(values), "publisher": str(publisher), "seq": int(seq)}:
                if all(isinstance(key, str) for key in values):
                    self._learn(publisher, seq, values)

    def _check_open(self) -> None:
        if self.closed:
            raise ClosedError(f"the parameters {self.told} are closed")
        if self._pid != os.getpid():
            self._begin()

    def close(self) -> None:
        """Listen no more; idempotent."""
        self.closed = True
        if self._pid == os.getpid():
            self._subscriber.close()
            self._client.close()
            with self._monitor.lock:
                self._monitor.bell.ring()
