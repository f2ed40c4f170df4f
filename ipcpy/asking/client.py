"""Client: what users hold who ask; arguments in, replies out. Its interior is asker.py."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..graph import EndpointInfo
from ..node.node import Node
from ..node.shared import node_for, shared_node
from ..stats import ClientStats
from ..timeouts import FOR_EVER, NEVER, seconds
from .asker import Asker
from .envelope import RESULT, STEPS, TRACE
from .names import check_service, service_name
from .stream import Stream
from .types import check_type

if TYPE_CHECKING:
    from .calls import Call
    from .line import Line

__all__ = ["Client"]


class Client:
    """Asks a service, wherever on the LAN it is answered.

    It can be used from several threads and coroutines at once; what one waits for holds up none of the others. Of
    several servers it asks one that answers, rather one on its own host, and stays with that until it is gone.

    A call is done at most once. One that is not waited for any more (its time is up, its coroutine is cancelled,
    Ctrl-C) is cancelled at the server.

    Args:
        name: of the service, such as ``arm/move``.
        request: what requests are, a codec or a class of named fields; by default what the server says.
        reply: what replies are; by default what the server says.
        trace: whether a ServiceError brings the server's traceback along.
        node: the node it belongs to; by default the one the process shares.

    Raises:
        ArgumentError: (a ValueError) which argument is wrong, and what was expected.
        ClosedError: (an OSError) if the node is closed.

    >>> import ipcpy as ipc
    >>> with ipc.Service("doc/double", lambda request: 2 * request.data), ipc.Client("doc/double") as client:
    ...     client.call(21, timeout=5)
    42
    """

    def __init__(
        self,
        name: str,
        request: Any = None,
        reply: Any = None,
        *,
        trace: bool = False,
        node: Node | None = None,
    ) -> None:
        name = check_service(name)
        codecs = check_type("request", request), check_type("reply", reply)
        core = node_for(node)
        self._flags = TRACE if trace else 0
        name = service_name(name, core.naming)
        self._asker = Asker(name, *codecs, shared_node() if node is None else node, core)

    @property
    def name(self) -> str:
        """The whole name of the service: under the namespace of its node, and remapped."""
        return str(self._asker.name)

    @property
    def servers(self) -> tuple[EndpointInfo, ...]:
        """The servers that are known now."""
        return self._asker.servers()

    @property
    def stats(self) -> ClientStats:
        """What became of the calls."""
        return self._asker.stats()

    def call(self, data: Any = None, timeout: float | None = None) -> Any:
        """Ask, and wait for the answer.

        Args:
            data: the request.
            timeout: seconds, the time until a server is found included; None waits for ever. 0 asks nothing: it raises
                NoService if the network is known to have no server, else TimeoutError.

        Returns:
            The reply.

        Raises:
            ServiceError: the function that was to answer raised, or the call was refused.
            NoService: (a ConnectionError) no server is there in time, its text says what is known; or the server that
                was asked is gone: then the call was done once or not at all.
            TimeoutError: a server is there, but did not answer in time; the call is cancelled.
            SchemaError: (a CodecError) the server's types are others.
            CodecError: (a ValueError) the data cannot be sent, or the answer cannot be decoded.
            ClosedError: (an OSError) if it is closed, also while waiting.
            ArgumentError: (a ValueError) if timeout is no number, or the request has more than 64 MiB.
        """
        if type(timeout) is not float or not 0.0 < timeout <= FOR_EVER:
            timeout = seconds(timeout)
        deadline = NEVER if timeout is None else time.monotonic() + timeout
        asker = self._asker
        while True:
            line = asker.at_hand
            if line is None or line.lost or asker.known.ended or timeout == 0:
                line = asker.line(timeout, deadline)
            if timeout == 0:
                raise asker.late(timeout)
            call = line.call(asker.encode(data), self._flags, timeout, deadline)
            if call is not None:
                break
        assert call.outcome is not None
        kind, flags, body = call.outcome
        if kind == RESULT and not flags:
            return asker.decode(body)
        if call.given_up:
            raise asker.late(timeout)
        return asker.reply(line, call)

    async def call_async(self, data: Any = None, timeout: float | None = None) -> Any:
        """Ask as ``call``, in a coroutine; other coroutines run meanwhile. Cancelled, it cancels the call."""
        timeout = seconds(timeout)
        deadline = NEVER if timeout is None else time.monotonic() + timeout
        asker = self._asker
        line, call = await self._begin_async(data, timeout, deadline, self._flags)
        try:
            await line.wait_async(call, deadline)
        finally:
            if call.outcome is None:
                line.give_up(call)
        if call.given_up:
            raise asker.late(timeout)
        return asker.reply(line, call)

    async def _begin_async(self, data: Any, timeout: float | None, deadline: float, flags: int) -> tuple[Line, Call]:
        asker = self._asker
        while True:
            line = await asker.line_async(timeout, deadline)
            if timeout == 0:
                raise asker.late(timeout)
            call = asker.ask(line, data, flags)
            if call is not None:
                return line, call

    def stream(self, goal: Any = None, timeout: float | None = None) -> Stream:
        """Ask for what takes long, and is answered in steps; see Stream.

        Nothing is sent before somebody iterates, or asks for the result.

        Args:
            goal: the request.
            timeout: seconds that each step, and the result, may take to come; None waits for ever.

        Raises:
            ArgumentError: (a ValueError) if timeout is no number.
        """
        return Stream(self._asker, goal, seconds(timeout), self._flags | STEPS)

    def wait_for_service(self, timeout: float | None = None) -> EndpointInfo:
        """Wait until a server is there and can be asked.

        Args:
            timeout: seconds; None waits for ever.

        Returns:
            The server that calls go to.

        Raises:
            NoService: (a ConnectionError) none is there in time.
            TimeoutError: one is there, but cannot be reached in time.
            SchemaError, ClosedError, ArgumentError: as ``call``.
        """
        timeout = seconds(timeout)
        return self._asker.line(timeout, NEVER if timeout is None else time.monotonic() + timeout).server

    async def wait_for_service_async(self, timeout: float | None = None) -> EndpointInfo:
        """Wait as ``wait_for_service``, in a coroutine."""
        timeout = seconds(timeout)
        line = await self._asker.line_async(timeout, NEVER if timeout is None else time.monotonic() + timeout)
        return line.server

    def why(self) -> str:
        """Say in plain words who is there to answer, or who was, and how they left."""
        return self._asker.why()

    def close(self) -> None:
        """Ask no more; idempotent, within 100 ms. Calls that wait get ClosedError, and are cancelled at the server."""
        self._asker.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._asker.closed else f"{len(self.servers)} servers"
        return f"<ipcpy.Client {self._asker.name!r} {state}>"
