"""The interior of a client: which server it asks, and how what users give and get becomes bodies of calls.

Joins the graph with one Line at a time; waiting for answers is line.py's, arguments are client.py's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from ..codec import Body
from ..errors import ClosedError, NoService, RecvTimeout, ServiceError
from ..graph import EndpointInfo
from ..node.core import Core
from ..node.node import Node
from ..stats import ClientStats
from ..timeouts import Explanations, after
from . import reasons
from .calls import GONE, Call
from .envelope import LOST, NOTHING, RESULT, Malformed, unpack_failure
from .line import Line
from .servers import Servers, choose
from .types import Decode, encoder, kind_of, reader, told_by, writer

if TYPE_CHECKING:
    from ..codec.codec import Codec

SETTLED = 0.6  # seconds from the start of a node until it knows who is there


class Asker:
    """One client at work.

    Args:
        only: the topic of the server that it asks, where it asks only that.

    Attributes:
        name: the service.
        closed: whether it was closed.
        at_hand: the last line that ``line`` returned: good for as long as it is not lost, and ``known`` has not ended.
    """

    def __init__(
        self, name: str, request: Codec | None, reply: Codec | None, node: Node, core: Core, only: str = ""
    ) -> None:
        self.name = name
        self._only = only
        self.closed = False
        self._request, self._reply = request, reply
        self._node, self._core = node, core
        self._lock = threading.RLock()
        self._line: Line | None = None
        self.at_hand: Line | None = None
        self._past = ClientStats(0, 0, 0, {})
        self._writer: Codec
        self.encode: Callable[[Any], Body]
        self.decode: Decode
        self._explanations = Explanations()
        self._begin()

    def _begin(self) -> None:
        self._line = self.at_hand = None
        self.known = Servers(self.name, self._on_lost, self._only, self._on_fork)
        self._core.ensure_open()
        self._core.listen(self.known)

    def _on_fork(self) -> None:
        self._lock = threading.RLock()  # a thread that is not there may hold the old one

    def _on_lost(self, topic: str, reason: str) -> None:
        line = self._line
        if line is not None and line.server.topic == topic:
            line.lost = line.lost or reason  # now: it is asked no more; what is open ends soon
            self._core.loop.call(line.lose, reason)

    # -- the server ----------------------------------------------------------------------------------------------------

    def line(self, timeout: float | None, deadline: float) -> Line:
        """Return the line to a server, once there is one.

        Raises:
            NoService: no server is there in time.
            RecvTimeout: one is there, but it was not matched in time.
            SchemaError: its types are others.
            ClosedError: the client, or its node, is closed.
        """
        while True:
            line = self._current()
            if line is None:
                self._await_server(timeout, deadline)
            elif line.meet(deadline):
                if line.ready and not line.lost:
                    self.at_hand = line
                    return line
            else:
                self._raise_unmatched(line, timeout)

    async def line_async(self, timeout: float | None, deadline: float) -> Line:
        """Return as ``line``, to a coroutine."""
        line = self._line
        if line is not None and line.ready and not (line.lost or self.known.ended):
            return line
        while True:
            line = self._current()
            if line is None:
                await self._await_server_async(timeout, deadline)
            elif await line.meet_async(deadline):
                if line.ready and not line.lost:
                    return line
            else:
                self._raise_unmatched(line, timeout)

    def _current(self) -> Line | None:
        """Return the line that there is, or one to a server that is there; None if none is."""
        line = self._line
        if line is not None and not (line.lost or self.known.ended):
            return line
        with self._lock:
            self.check_open()
            if self.known.ended:  # a forked child; or the node is closed, which this says
                self._core.ensure_open()
                self._begin()
            line = self._line
            if line is not None and not line.lost:
                return line
            if line is not None:
                line.close()
                self._line, self._past = None, self._past + line.calls.counts()
            there = self.known.there()
            if there:
                self._line = self._open(choose(there, self._me(), self._core.picture.endpoint))
            return self._line

    def _me(self) -> Any:
        return next(node for node in self._core.picture.nodes() if node.id == self._node.id)

    def _open(self, server: EndpointInfo) -> Line:
        told = told_by(server.schema)
        self._writer = writer(self.name, self._request, told.request)
        self.encode = encoder(self._writer)
        self.decode = reader(self.name, "the reply", self._reply, told.reply)
        line = Line(self._node, server, kind_of(self._writer, ""))
        if server.topic not in [each.topic for each in self.known.there()]:  # it was lost before it was our line's
            line.lose("closed")
        return line

    def _await_server(self, timeout: float | None, deadline: float) -> None:
        left = self._patience(timeout, deadline)
        if not self.known.monitor.wait_for(self._is_decided, left):
            self._raise_nobody(timeout)

    async def _await_server_async(self, timeout: float | None, deadline: float) -> None:
        left = self._patience(timeout, deadline)
        if not await self.known.monitor.wait_for_async(self._is_decided, left):
            self._raise_nobody(timeout)

    def _patience(self, timeout: float | None, deadline: float) -> float | None:
        """Return how long to wait for a server; who does not wait is told once the node knows who is there."""
        if timeout is None:
            return None
        until = self._core.picture.begun_at + SETTLED if timeout == 0 else deadline
        return max(0.0, until - time.monotonic())

    def _is_decided(self) -> bool:
        return bool(self.known.there()) or self.known.ended or self.closed

    def _raise_nobody(self, timeout: float | None) -> NoReturn:
        self.check_open()
        raise NoService(f"no server of {self.name!r} {after(timeout)}. {self.why()}")

    def _raise_unmatched(self, line: Line, timeout: float | None) -> NoReturn:
        self.check_open()
        raise self._explanations.error(f"the server of {self.name!r} could not be asked {after(timeout)}", self.why)

    # -- asking --------------------------------------------------------------------------------------------------------

    def ask(self, line: Line, data: Any, flags: int) -> Call | None:
        """Send a request; None if the server is gone before it was sent.

        Raises:
            CodecError: the data cannot be sent.
        """
        return line.ask(self.encode(data), flags)

    def reply(self, line: Line, call: Call) -> Any:
        """Return what a call was answered.

        Raises:
            ServiceError: the function failed, or the call was refused.
            NoService: the server is gone, or does not know of the call.
            CodecError: the answer cannot be decoded.
            ClosedError: the client was closed.
        """
        outcome = call.outcome
        assert outcome is not None
        kind, flags, body = outcome
        if kind == RESULT:
            return None if flags & NOTHING else self.decode(body)
        if call.given_up:
            raise ClosedError(f"this call of {self.name!r} was closed before it was answered")
        if kind == GONE:
            self.check_open()
            raise NoService(reasons.gone(self.name, line.server, body))
        if kind == LOST:
            raise NoService(f"the server of {self.name!r} knows nothing of the call, or its answer was lost")
        try:  # ERROR or REFUSED
            failure = unpack_failure(body)
        except Malformed as error:
            raise NoService(f"the answer of {self.name!r} cannot be read: {error}") from None
        raise ServiceError(self.name, *failure)

    def step(self, body: Any) -> Any:
        """Return what a step says.

        Raises:
            CodecError: it cannot be decoded.
        """
        return self.decode(body)

    def late(self, timeout: float | None) -> RecvTimeout:
        """Return the error of a call that was not answered in time."""
        return self._explanations.error(f"no answer from {self.name!r} {after(timeout)}", self.why)

    def why(self) -> str:
        """Say in plain words who is there to answer."""
        if self.closed:
            return f"The client of {self.name!r} is closed."
        return reasons.why(self.name, self.known.there(), self._line, self._core)

    def servers(self) -> tuple[EndpointInfo, ...]:
        """Return the servers that are there now."""
        return tuple(map(self._core.picture.endpoint, self.known.there()))

    def stats(self) -> ClientStats:
        """Return what became of the calls, those of earlier servers included."""
        with self._lock:
            line = self._line
            return self._past if line is None else self._past + line.calls.counts()

    # -- the end -------------------------------------------------------------------------------------------------------

    def check_open(self) -> None:
        """Make sure that it is open.

        Raises:
            ClosedError: it, or its node, was closed.
        """
        if self.closed:
            raise ClosedError(f"the client of {self.name!r} is closed")
        if self._core.closed:
            raise ClosedError(f"the node {self._core.name!r} is closed")

    def close(self) -> None:
        """Ask no more; idempotent. Whoever waits gets ClosedError."""
        self.closed = True
        line = self._line
        if line is not None:
            line.close()
        self.known.end()
