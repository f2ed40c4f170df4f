"""Serving: calls from beyond, done at one server of this LAN. Knows nothing of offers or engines.

A call is done at most once: bridges number their calls, and a number that was there before is a repetition. All of it
runs in one event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from ..asking.asker import Asker
from ..asking.envelope import (
    ASK,
    CALL,
    CANCEL,
    CANCELLED,
    ERROR,
    LOST,
    NOTHING,
    RESULT,
    STEP,
    STEPS,
    TRACE,
    WAITS,
    Failure,
    Malformed,
    pack_failure,
    pack_lost,
    seal,
    unseal,
)
from ..asking.names import ServiceName, place_of
from ..asking.stream import Stream
from ..asking.types import Envelopes, Kind
from ..codec import ANY, Body
from ..errors import NoService, ServiceError
from ..graph import EndpointInfo
from ..node.node import Node
from ..node.shared import node_for
from .standin import ASK_EVERY, kind_and_body

__all__ = ["Serving"]

MAX_CALLS = 1_000  # open at a time, of all bridges beyond
MAX_CALLERS = 256  # bridges whose numbers are remembered
MAX_NUMBERS = 1_000  # numbers of each that are remembered: letters come once and in order, so few are enough
MAX_KINDS = 16  # types of requests that are sent to one server
FORGOTTEN = 6 * ASK_EVERY  # seconds after which a call is cancelled that nobody asks for any more

Address = tuple[str, int]  # the bridge that asks, and the number of its call


class _Numbers:
    """The numbers of the calls of one bridge that came last. A false one, however high, hinders no other."""

    def __init__(self) -> None:
        self._known: dict[int, None] = {}

    def take(self, number: int) -> bool:
        """Take note of a number; return whether it was there before."""
        if number in self._known:
            return True
        self._known[number] = None
        if len(self._known) > MAX_NUMBERS:
            del self._known[next(iter(self._known))]
        return False


class _Body(Envelopes):
    """Bodies as a codec made them; those that are decoded are copied, for they go on."""

    def decode(self, body: Any) -> Any:
        return bytes(body)


class Serving:
    """What bridges beyond ask of one server.

    Args:
        server: the subscriber of its requests.
        post: sends a letter to a bridge.

    Attributes:
        calls: how many calls it has taken.
    """

    def __init__(self, server: EndpointInfo, node: Node, post: Callable[[str, bytes], object]) -> None:
        self.calls = 0
        self._server = server
        self._node = node
        self._post = post
        self._askers: dict[str, Asker] = {}
        self._known: dict[str, _Numbers] = {}
        self._open: dict[Address, tuple[asyncio.Task[None], Stream]] = {}
        self._heard: dict[Address, float] = {}

    @property
    def open(self) -> int:
        """How many calls are not answered yet."""
        return len(self._open)

    def take(self, caller: str, data: bytes) -> None:
        """Take a letter of a bridge.

        Raises:
            ValueError: it is none.
        """
        letter = unseal(data)
        at = caller, letter.number
        if at in self._heard:
            self._heard[at] = time.monotonic()
        if letter.kind == CALL:
            self._call(at, letter.flags, *kind_and_body(letter.body))
        elif letter.kind == CANCEL and at in self._open:
            task, stream = self._open[at]
            if letter.flags & WAITS:
                stream.cancel()
            else:
                task.cancel()
        elif letter.kind == ASK and at not in self._open:
            self._known_before(at)  # should it come yet, it is not done
            self._send(caller, seal(LOST, letter.number, pack_lost(letter.number)))
        elif letter.kind not in (CANCEL, ASK):
            raise Malformed("no request")

    def _known_before(self, at: Address) -> bool:
        """Take note of a call; tell whether it was there before."""
        caller, number = at
        numbers = self._known.pop(caller, None) or _Numbers()
        self._known[caller] = numbers
        while len(self._known) > MAX_CALLERS:
            del self._known[next(iter(self._known))]
        return numbers.take(number)

    def _call(self, at: Address, flags: int, kind: Kind, body: bytes) -> None:
        if self._known_before(at):
            return
        self.calls += 1
        if len(self._open) >= MAX_CALLS:
            failure = Failure("Refused", f"the bridge has {MAX_CALLS:,} open calls of this service, and takes no more")
            self._send(at[0], seal(ERROR, at[1], pack_failure(failure)))
            return
        stream = Stream(self._asker(kind), body, None, STEPS | (flags & TRACE))
        task = asyncio.get_running_loop().create_task(self._work(at, stream))
        self._open[at], self._heard[at] = (task, stream), time.monotonic()

    def _asker(self, kind: Kind) -> Asker:
        name = repr(kind)
        if name not in self._askers:
            while len(self._askers) >= MAX_KINDS:
                self._askers.pop(next(iter(self._askers))).close()
            place = place_of(self._server.topic)
            assert place is not None
            service = ServiceName(place.service)
            service.told = repr(place.service)
            codecs = _Body(kind), _Body(Kind(ANY, {}))
            self._askers[name] = Asker(service, *codecs, self._node, node_for(self._node), self._server.topic)
        return self._askers[name]

    async def _work(self, at: Address, stream: Stream) -> None:
        caller, number = at
        answer: Body | None = None
        try:
            step = 0
            async for each in stream:
                step += 1
                self._send(caller, seal(STEP, number, each, step=step + stream.missed))
            body = await stream.result_async()
            flags = (NOTHING if body is None else 0) | (CANCELLED if stream.cancelled else 0)
            answer = seal(RESULT, number, b"" if body is None else body, flags=flags)
        except ServiceError as error:
            answer = seal(ERROR, number, pack_failure(Failure(error.type, error.text, error.trace)))
        except NoService:  # the server is gone: to the caller beyond as if it had called it itself
            answer = seal(LOST, number, pack_lost(number))
        except Exception as error:
            answer = seal(ERROR, number, pack_failure(Failure(type(error).__name__, str(error))))
        finally:
            stream.close()
            self._open.pop(at, None)
            self._heard.pop(at, None)
        self._send(caller, answer)

    def _send(self, caller: str, body: Body) -> None:
        self._post(caller, b"".join(body) if isinstance(body, list) else bytes(body))

    def look(self, now: float) -> None:
        """Cancel what nobody asks for any more: the bridge that did is gone."""
        for at, heard in list(self._heard.items()):
            if now - heard > FORGOTTEN:
                self._open[at][0].cancel()

    def cancel(self) -> None:
        """Cancel all: the link is away."""
        for task, _ in list(self._open.values()):
            task.cancel()

    def close(self) -> None:
        """Ask nothing any more."""
        self.cancel()
        for asker in self._askers.values():
            asker.close()
