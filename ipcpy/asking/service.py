"""Service: what users hold who answer. Checks arguments and documents; its interior is server.py."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any

from ..errors import ArgumentError
from ..graph import EndpointInfo
from ..node.node import Node
from ..node.shared import node_for, shared_node
from ..stats import ServiceStats
from ..timeouts import in_pieces, seconds
from .answering import PATIENCE, kind_of_function, work, work_async
from .crew import Crew
from .names import check_service, service_name
from .request import Request
from .server import Server, Terms
from .types import check_type

__all__ = ["Service"]

MAX_THREADS = 256


class Service:
    """Answers calls, from any process on this host and on the LAN, until it is closed.

    The function is called with a Request for each call; what it returns is the reply, and what it raises reaches the
    caller as ServiceError. It may be

    - a function, called in a thread of the service's: one call at a time, or several with ``threads``;
    - a coroutine function: its calls run side by side, in the event loop that runs where the service is made, else in
      one of the service's own;
    - a generator function, also an asynchronous one: what it yields are steps of a long task, see ``Client.stream``;
      what it returns is the result.

    A call is done at most once. One whose client does not want it any more is cancelled: ``request.cancelled`` is true
    then, a coroutine gets CancelledError, and a generator that yields on is closed.

    Args:
        name: such as ``arm/move``: what a topic may be called, up to 200 bytes. Topics of that name are another thing.
        function: answers.
        request: what requests are, a codec or a class of named fields; by default whatever clients send.
        reply: what replies, and steps, are; by default msgpack.
        threads: how many calls of a function are answered at once, from 1 to 256.
        goals: how many calls of a generator may be open; one more is refused. By default as many as ``threads``.
        node: the node it belongs to; by default the one the process shares.

    Raises:
        ArgumentError: (a ValueError) which argument is wrong, and what was expected.
        TransportError: (an OSError) if there is no UDP socket to be had.
        ClosedError: (an OSError) if the node is closed.
    """

    def __init__(
        self,
        name: str,
        function: Callable[[Request], Any],
        request: Any = None,
        reply: Any = None,
        *,
        threads: int = 1,
        goals: int | None = None,
        node: Node | None = None,
    ) -> None:
        name = check_service(name)
        asynchronous, steps = kind_of_function(function)
        codecs = check_type("request", request), check_type("reply", reply)
        threads = _check_count("threads", threads, MAX_THREADS)
        goals = threads if goals is None else _check_count("goals", goals, 1_000)
        core = node_for(node)
        terms = Terms(
            service_name(name, core.naming), function, *codecs, steps, goals, 0.0 if asynchronous else PATIENCE
        )
        self._server = Server(terms, shared_node() if node is None else node, core)
        try:
            if asynchronous:
                from .chorus import Chorus  # late: asyncio

                Chorus(self._server, partial(work_async, self._server)).begin()
            else:
                workers = max(threads, goals) if steps else threads
                Crew(self._server, partial(work, self._server), workers, core.loop).begin()
        except BaseException:
            self._server.close()
            raise

    @property
    def name(self) -> str:
        """The whole name: under the namespace of its node, and remapped."""
        return str(self._server.terms.name)

    @property
    def clients(self) -> tuple[EndpointInfo, ...]:
        """The clients that can ask now."""
        return self._server.clients()

    @property
    def stats(self) -> ServiceStats:
        """What became of the calls."""
        counts, open, refused, dropped = self._server.books()
        return ServiceStats(counts["answered"], counts["failed"], counts["cancelled"], refused, open, dropped)

    @property
    def closed(self) -> bool:
        """Whether it, or its node, was closed. In a forked child it is: the parent's answers on."""
        return self._server.closed.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is closed, for some seconds at most, None for ever; return whether it is.

        Raises:
            ArgumentError: (a ValueError) if timeout is no number.
        """
        return in_pieces(self._server.closed.wait, seconds(timeout))

    def close(self) -> None:
        """Answer no more; idempotent, within 100 ms. Open calls are cancelled, and their callers get NoService."""
        self._server.close()

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{len(self.clients)} clients"
        return f"<ipcpy.Service {self._server.terms.name!r} {state}>"


def _check_count(what: str, count: object, most: int) -> int:
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= most:
        raise ArgumentError(f"{what} is a number from 1 to {most}, got {count!r}")
    return count
