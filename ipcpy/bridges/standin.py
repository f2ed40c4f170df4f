"""StandIn: a server on this LAN for one beyond. Hands on calls and their answers; knows nothing of offers or engines.

All of it runs in the event loop in which it is made.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from struct import Struct
from typing import Any

import msgpack

from ..asking.answering import tell_all_async
from ..asking.calls import MAX_STEPS, MAX_UNREAD
from ..asking.chorus import Chorus
from ..asking.duties import MAX_JOBS, Job
from ..asking.envelope import (
    ASK,
    CALL,
    CANCEL,
    ERROR,
    LOST,
    NOTHING,
    RESULT,
    STEP,
    TRACE,
    WAITS,
    Envelope,
    Failure,
    Malformed,
    seal,
    unpack_failure,
    unseal,
)
from ..asking.names import ServiceName
from ..asking.server import Server, Terms
from ..asking.types import Envelopes, Kind, told_by
from ..codec import Body
from ..errors import CodecError
from ..node.node import Node
from ..node.shared import node_for
from .offers import Offer

__all__ = ["ASK_EVERY", "StandIn", "joined", "kind_and_body"]

ASK_EVERY = 1.0  # seconds after which is asked again whether a call is known beyond
_LENGTH = Struct("<I")
_ENDS = (RESULT, ERROR, LOST)


class _Waiting:
    """Letters of one call that wait for its client. Steps are bounded as a client's own are: the oldest give way."""

    def __init__(self) -> None:
        self._letters: deque[Envelope] = deque()
        self._bytes = 0
        self._came = asyncio.Event()
        self._over = False

    def put(self, letter: Envelope) -> None:
        """Have a letter wait; behind the end there is none."""
        if self._over:
            return
        self._over = letter.kind in _ENDS
        self._letters.append(letter)
        self._bytes += len(letter.body)
        steps = len(self._letters) - self._over
        while steps > 1 and (steps > MAX_STEPS or self._bytes > MAX_UNREAD):
            self._bytes -= len(self._letters.popleft().body)
            steps -= 1
        self._came.set()

    async def get(self) -> Envelope:
        """Return the letter that waits longest."""
        while not self._letters:
            self._came.clear()
            await self._came.wait()
        letter = self._letters.popleft()
        self._bytes -= len(letter.body)
        return letter


class StandIn:
    """Answers calls with what a server beyond answers.

    Args:
        offer: the service, as it is offered.
        name: what it is called here.
        via: what discovery says of it.
        numbers: of calls; never one that was there before, for the bridge beyond takes none twice.
        post: sends a letter to the bridge that offers it.

    Attributes:
        offer: as given.
        name: as given.
        calls: how many calls it has handed on.
    """

    def __init__(
        self,
        offer: Offer,
        name: str,
        via: Mapping[str, Any],
        node: Node,
        numbers: Iterator[int],
        post: Callable[[Offer, bytes], object],
    ) -> None:
        self.offer, self.name = offer, name
        self.calls = 0
        self._post = post
        self._calls: dict[int, _Waiting] = {}
        self._numbers = numbers
        told, whole = told_by(offer.schema), ServiceName(name)
        whole.told = repr(name)
        codecs = Envelopes(told.request), Envelopes(told.reply)
        terms = Terms(whole, lambda request: request, *codecs, told.steps, MAX_JOBS, 0.0)
        self._server = Server(terms, node, node_for(node), via)
        Chorus(self._server, self._work).begin()

    @property
    def open(self) -> int:
        """How many calls are not answered yet."""
        return len(self._calls)

    def take(self, data: bytes) -> None:
        """Take a letter from beyond.

        Raises:
            ValueError: it is none.
        """
        letter = unseal(data)
        if letter.kind not in (STEP, *_ENDS):
            raise Malformed("no answer")
        if letter.kind == ERROR:
            unpack_failure(letter.body)
        waiting = self._calls.get(letter.number)
        if waiting is not None:  # else it is cancelled, and over
            waiting.put(letter)

    async def _work(self, job: Job) -> None:
        number, letters = next(self._numbers), _Waiting()
        self._calls[number] = letters
        self.calls += 1
        try:
            request = self._server.request_of(job).data
            asks = self._server.asks(job)
            if asks is None:
                raise CodecError("the client is gone")
            body = joined(Kind(asks.codec, asks.schema), request)
            self._send(seal(CALL, number, body, flags=job.flags & TRACE))
            await self._answer(job, number, letters)
        except asyncio.CancelledError:
            self._send(seal(CANCEL, number))
            self._server.fail_as(job, Failure("CancelledError", "the call was cancelled"))
            raise
        except Exception as error:
            self._server.fail(job, error)
        finally:
            del self._calls[number]

    async def _answer(self, job: Job, number: int, letters: _Waiting) -> None:
        due = time.monotonic() + ASK_EVERY
        while True:
            if time.monotonic() >= due:  # also while steps come: the bridge beyond hears that somebody still waits
                self._send(seal(ASK, number))
                due = time.monotonic() + ASK_EVERY
            try:
                async with asyncio.timeout(ASK_EVERY):
                    letter = await letters.get()
            except TimeoutError:
                continue
            except asyncio.CancelledError:
                if not job.wanted or self._server.closed.is_set():
                    raise
                self._send(seal(CANCEL, number, flags=WAITS))
                continue
            if letter.kind == STEP:
                await tell_all_async(self._server, job, self._server.step(job, letter.step, letter.body))
                continue
            if letter.kind == RESULT:
                body = None if letter.flags & NOTHING else letter.body
                await tell_all_async(self._server, job, self._server.answer(job, body))
            elif letter.kind == ERROR:
                self._server.fail_as(job, unpack_failure(letter.body))
            else:
                self._server.lose(job)
            return

    def _send(self, body: Body) -> None:
        self._post(self.offer, b"".join(body) if isinstance(body, list) else bytes(body))

    def close(self) -> None:
        """Answer no more: who waits gets NoService."""
        self._server.close()


def joined(kind: Kind, body: Any) -> bytes:
    """Return the body of a CALL between bridges: what the request is, and the request."""
    head = msgpack.packb([kind.codec, dict(kind.schema)])
    return b"".join((_LENGTH.pack(len(head)), head, *(body if isinstance(body, list) else [body])))


def kind_and_body(data: Any) -> tuple[Kind, bytes]:
    """Take the body of a CALL between bridges apart.

    Raises:
        ValueError: it is none.
    """
    view = memoryview(data)
    if len(view) < _LENGTH.size:
        raise ValueError("a call that is too short")
    end = _LENGTH.size + _LENGTH.unpack_from(view)[0]
    try:
        codec, schema = msgpack.unpackb(view[_LENGTH.size : end])
    except Exception as error:  # msgpack raises a family of its own, and more
        raise ValueError(f"a call of no type: {error!r:.100}") from None
    if not isinstance(codec, str) or not isinstance(schema, dict):
        raise ValueError("a call of no type")
    return Kind(codec, schema), bytes(view[end:])
