"""One client and one server, from when they meet until one of them is gone: requests there, answers back.

Joins the pure calls with the two topics. Who waits for an answer reads the topic, for all who wait; one at a time does.
Knows bodies only: what is in them, and which server to ask, is asker.py's.
"""

from __future__ import annotations

import threading
import time
from threading import get_ident
from typing import TYPE_CHECKING, Any

from ..errors import ClosedError, RecvTimeout
from ..graph import EndpointInfo
from ..message import Message
from ..publishing.aside import Aside
from ..publishing.publisher import Publisher
from ..subscribing.asides import take_asides
from ..subscribing.posting import post
from ..subscribing.subscriber import Subscriber
from .awaited import Answer
from .calls import AGAIN_AFTER, ASK_AFTER, MAX_ASIDE, Call, Calls
from .envelope import SMALL
from .names import answers_topic, place_of, requests_topic
from .sending import Sending
from .turns import TURN, Turns
from .types import AnyEnvelopes, Envelopes, Kind, told_by

if TYPE_CHECKING:
    from ..node.node import Node

DEPTH = 10_000  # answers that nobody has taken yet
DEPTH_BYTES = 256 << 20
LOOK = 0.05  # seconds between two looks whether the server is still there, while it is being matched
_OVER = object()  # what is posted to who waits when the server is gone


class Line(Sending):
    """What one client has at one server.

    Args:
        server: the subscriber of its requests.
        sends: the codec of the requests, as the server is told.

    Attributes:
        server: as given.
        ready: whether what is asked arrives, and what is answered.
        lost: why the server is there no more; empty while it is.
        calls: what is open; changed with ``lock`` held.
    """

    def __init__(self, node: Node, server: EndpointInfo, sends: Kind) -> None:
        place = place_of(server.topic)
        if place is None:
            raise ValueError(f"{server.topic!r} carries no requests")
        self.server = server
        self.ready = False
        self.lost = ""
        self.calls = Calls()
        self._lock = threading.RLock()  # over the calls; short
        self._sending = threading.RLock()  # over the order of requests
        self._turns = Turns(self._lock, self.calls.open)
        self._answer = Answer(self.calls, self._lock)
        self._requests = Publisher(requests_topic(*place), Envelopes(sends), reliable=True, node=node)
        topic = answers_topic(place.server, self._requests.id)
        self._answers = Subscriber(topic, AnyEnvelopes({}), depth=DEPTH, depth_bytes=DEPTH_BYTES, node=node)
        self._await = take_asides(self._answers, self._answer.claim).wait
        self._aside = Aside(self._requests).send if told_by(server.schema).asides else None

    # -- the beginning and the end -----------------------------------------------------------------------------------

    def meet(self, deadline: float) -> bool:
        """Wait until what is asked arrives, and what is answered; return whether it does, or the server is gone."""
        while not (self.ready or self.lost):
            left = max(0.0, min(LOOK, deadline - time.monotonic()))
            try:
                self._requests.wait_for_subscribers(1, left)
                self._answers.wait_for_publishers(1, left)
                self._met()
            except RecvTimeout:
                if time.monotonic() >= deadline:
                    return False
        return True

    async def meet_async(self, deadline: float) -> bool:
        """Wait as ``meet``, in a coroutine."""
        while not (self.ready or self.lost):
            left = max(0.0, min(LOOK, deadline - time.monotonic()))
            try:
                await self._requests.wait_for_subscribers_async(1, left)
                await self._answers.wait_for_publishers_async(1, left)
                self._met()
            except RecvTimeout:
                if time.monotonic() >= deadline:
                    return False
        return True

    def _met(self) -> None:
        """Ask from now on; who answers is known already, for it may be gone before its first answer is looked at."""
        for publisher in self._answers.publishers:
            if not self._answer.answerer and publisher.node.id == self.server.node.id:
                self._answer.answerer = publisher.id
        self.ready = True

    def lose(self, reason: str) -> None:
        """Take note that the server is gone; what it has answered before is taken yet. In the I/O thread."""
        with self._lock:
            self.lost = self.lost or reason
        post(self._answers, _OVER)
        self._wake()

    def close(self) -> None:
        """End all calls, and leave; idempotent."""
        with self._lock:
            self.lost = self.lost or "closed here"
            self.calls.fail(self.lost)
        self._wake()
        self._answers.close()
        self._requests.close()

    def why(self) -> str:
        """Say how far it is with the server."""
        return self._answers.why() if not self._answers.publishers else self._requests.why()

    # -- waiting -------------------------------------------------------------------------------------------------------

    def call(self, body: Any, flags: int, timeout: float | None, deadline: float) -> Call | None:
        """Ask and wait, as the two do; give up a call that is not over then. None if the server is gone before.

        A small request of who waits alone takes a short cut, up to its first answer: it has few calls.
        """
        calls, aside, turns, answer = self.calls, self._aside, self._turns, self._answer
        call: Call | None = None
        sent = False
        if (
            aside is not None
            and not calls.wary
            and len(calls.open) < MAX_ASIDE
            and turns.reader is None
            and type(body) is bytes
            and len(body) <= SMALL
            and (timeout is None or timeout > AGAIN_AFTER)
        ):
            try:
                with self._lock:
                    if turns.reader is None and not self.lost:
                        now = time.monotonic()
                        call = turns.reader = answer.call = calls.begin_aside(body, flags, now)
                        turns.ends, answer.thread = now + TURN, get_ident()
                if call is not None and aside(call.aside):
                    sent = True
                    try:
                        self._await(AGAIN_AFTER, deadline)
                    except RecvTimeout:  # in a signal handler
                        pass
                    if call.outcome and not call.open_since:
                        return call  # else it is seen to the others: nobody may wait for them since Ctrl-C
            except BaseException:  # Ctrl-C: it may be on the way
                if call is not None:
                    self.give_up(call)
                raise
            finally:
                if call is not None and turns.reader is call:
                    turns.reader = answer.call = None
                    if turns.followers:
                        turns.leave(call)
        if not sent:
            if call is not None:
                self._forget(call)
            call = self.ask(body, flags)
        if call is not None:
            self._wait_or_give_up(call, timeout, deadline, again=sent)
        return call

    def _wait_or_give_up(self, call: Call, timeout: float | None, deadline: float, *, again: bool) -> None:
        try:
            if again:
                self._ask_again(time.monotonic())
            self.wait(call, timeout, deadline)
        finally:
            if call.outcome is None:
                self.give_up(call)

    def wait(self, call: Call, timeout: float | None, deadline: float, *, steps: bool = False) -> None:
        """Wait until a call is over, or with ``steps`` until there is one, or the time is up."""
        pause = AGAIN_AFTER if call.aside else ASK_AFTER
        if timeout is not None and timeout < pause:
            pause = timeout
        turns = self._turns
        while not (call.outcome or (steps and call.steps)):
            try:
                bell = turns.take(call)
                if bell is None:
                    self._take(self._answers.recv(pause))
                else:
                    wait = bell.waiter()
                    if turns.reader is not None and not (call.outcome or (steps and call.steps)):
                        wait(pause)
            except RecvTimeout:
                pass
            except ClosedError:
                self._end()
            finally:
                turns.leave(call)
            if call.outcome or (steps and call.steps):
                break
            now = time.monotonic()
            if now >= deadline:
                break
            self._ask_again(now)
            pause = min(deadline - now, AGAIN_AFTER if call.aside else ASK_AFTER)

    async def wait_async(self, call: Call, deadline: float, *, steps: bool = False) -> None:
        """Wait as ``wait``, in a coroutine."""
        from asyncio import get_running_loop, timeout_at

        def over() -> bool:
            return bool(call.outcome or (steps and call.steps))

        clock = get_running_loop().time
        while not over():
            now = time.monotonic()
            if now >= deadline:
                break
            self._ask_again(now)
            try:
                async with timeout_at(clock() + min(deadline - now, AGAIN_AFTER if call.aside else ASK_AFTER)):
                    bell = self._turns.take(call)
                    if bell is None:
                        self._take(await self._answers.recv_async())
                    else:
                        await bell.wait_async(lambda: over() or self._turns.reader is None)
            except TimeoutError:
                pass
            except ClosedError:
                self._end()
            finally:
                self._turns.leave(call)

    def _wake(self) -> None:
        """Wake those who wait for what has changed; all of them if the server is gone."""
        with self._lock:
            touched, self.calls.touched = self.calls.touched, []
        self._turns.wake(None if self.lost else [call.number for call in touched])

    def _take(self, message: Message) -> None:
        if message.data is _OVER:
            self._read_rest()
            return
        calls = self.calls
        forged = message.publisher != self._answer.answerer and not self._is_server(message.publisher)
        with self._lock:
            if forged:
                calls.dropped["forged"] += 1
                return
            asks = calls.arrived(message.data, message.seq, time.monotonic())
            if not self._turns.followers:
                calls.touched.clear()
        if asks:
            self._send(asks)
        if calls.touched:
            self._wake()

    def _is_server(self, publisher: str) -> bool:
        """Tell whether a publisher of answers is one of the server's node; it is the one from now on."""
        if not any(each.id == publisher and each.node.id == self.server.node.id for each in self._answers.publishers):
            return False
        with self._lock:  # over the calls alone: with it held nothing else is taken
            if self._answer.answerer:
                self.calls.restart()
            self._answer.answerer = publisher
        return True

    def _read_rest(self) -> None:
        """Take what the server answered before it was gone, then end what is open."""
        try:
            while True:
                message = self._answers.recv(0)
                if message.data is not _OVER:
                    self._take(message)
        except (RecvTimeout, ClosedError):
            self._end()

    def _end(self) -> None:
        with self._lock:
            self.lost = self.lost or "closed here"
            self.calls.fail(self.lost)
        self._wake()
