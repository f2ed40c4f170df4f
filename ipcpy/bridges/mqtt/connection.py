"""The connection to a broker that comes back by itself, and what is under way on it. Knows asyncio and the engine;
nothing of offers and publishers.

Everything is called in the thread of the loop but ``publish`` and ``post``, which others call to publish.
"""

from __future__ import annotations

import asyncio
import logging
import math
import ssl
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future
from typing import Any

from ..adapter import Unsent
from .engine import Engine, Incoming, Publication, Will, load_engine, sentence
from .options import Options

__all__ = ["Connection", "next_pause"]

log = logging.getLogger(__name__)

FIRST, LONGEST = 0.25, 15.0  # seconds between attempts, which double
STEADY = 10.0  # seconds after which a connection was one, and the next is tried for soon again
OLD = 0.25  # seconds that a message may be on its way to the broker before others are sent after it
LOOK = 0.005
PATIENCE = 1.0  # seconds between two looks whether it was closed
FAREWELL = 0.3  # seconds for the broker to take note that we leave
WINDOW, WINDOW_BYTES = 100, 4 << 20  # publications with quality of service 1 that may be under way
PACKET = 268_435_455  # bytes of the largest packet of MQTT
ROUND = 512  # bytes of a packet besides name and payload: the head, properties


def next_pause(pause: float, linked: float) -> float:
    """Return the seconds until the next attempt, after a pause before it and a connection of so many seconds."""
    return min(2 * pause, LONGEST) if pause and linked < STEADY else FIRST


class Connection:
    """Connects, and connects again.

    Args:
        options: where, and as whom.
        client_id: what the broker calls us.
        will: see ``Engine``.
        tls: see ``Engine``.
        incoming: called with each message.
        up: a coroutine function, called with the engine whenever it is connected, before anybody else may publish.
        linked: called when ``up`` is done, and others may publish.
        down: called with a sentence when the connection is lost, and after each attempt in vain.
    """

    def __init__(
        self,
        options: Options,
        client_id: str,
        will: Will,
        tls: ssl.SSLContext | None,
        *,
        incoming: Incoming,
        up: Callable[[Engine], Coroutine[Any, Any, None]],
        linked: Callable[[], None],
        down: Callable[[str], None],
    ) -> None:
        self._errors = (load_engine().MqttError, OSError, ValueError)
        self._arguments = options, client_id, will, tls, incoming
        self._options = options
        self._up, self._linked, self._down = up, linked, down
        self.loop: asyncio.AbstractEventLoop | None = None
        self.engine: Engine | None = None
        self._tried: Engine | None = None  # the one of the last attempt
        self._changed = threading.Condition()
        self._closing = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._unacked: dict[int, Publication] = {}
        self._unacked_bytes = 0
        self._number = 0
        self._written = 0  # bytes, with quality of service 0
        self._way: deque[tuple[int, float]] = deque(maxlen=1000)  # how many were written when a message was, and when
        self._under_way: dict[int, float] = {}  # since when messages with quality of service 0 wait to be written
        self._refused = 0
        self.attempts = 0
        self.saying = 0  # bytes that were posted, and are on their way

    @property
    def linked(self) -> bool:
        """Whether it is connected."""
        return self.engine is not None

    async def run(self) -> None:
        """Connect until cancelled."""
        self.loop = asyncio.get_running_loop()
        pause, again = 0.0, False
        while True:
            began = time.monotonic()
            self.attempts += 1
            try:
                again = await self._once(again) or again
                why = f"the broker at {self._options.address} ended the connection"
            except Exception as error:
                if not isinstance(error, self._errors):  # a defect, which is to cost one connection and no more
                    log.exception("the connection to %s was given up", self._options.address)
                why = sentence(error, self._options, self._tried.complaint if self._tried is not None else "")
            linked = self.engine is not None
            again = again or linked
            self._lose(why)
            pause = next_pause(pause, time.monotonic() - began if linked else 0.0)
            await asyncio.sleep(pause)

    async def _once(self, again: bool) -> bool:
        self._tried = engine = Engine(*self._arguments, again=again)
        try:
            async with engine.client as client:
                try:
                    await self._stay(engine)
                except asyncio.CancelledError:
                    await client.leave(FAREWELL)
                    raise
        finally:
            engine.client.abandon()
        return True

    async def _stay(self, engine: Engine) -> None:
        await engine.unless_lost(self._up(engine))
        for number in list(self._unacked):
            self._start(self._deliver(number, engine))
        with self._changed:
            self.engine = engine
            self._changed.notify_all()
        self._linked()
        async for _ in engine.client.messages:
            pass

    def _lose(self, why: str) -> None:
        with self._changed:
            if self.engine is not None:
                self._refused += self.engine.refused
            self.engine = None
            self._way.clear()
            self._changed.notify_all()
        for task in list(self._tasks):
            task.cancel()
        self._down(why)

    @property
    def refused(self) -> int:
        """How many publications brokers did not take."""
        return self._refused + (self.engine.refused if self.engine is not None else 0)

    @property
    def unacknowledged(self) -> int:
        """How many publications the broker has not confirmed."""
        return len(self._unacked)

    # -- in other threads --------------------------------------------------------------------------------------------

    def room(self, timeout: float) -> bool:
        """Wait until nothing grows old here or on its way, at most some seconds; True while it is not connected."""
        deadline = time.monotonic() + timeout
        while True:
            with self._changed:
                ready = self._changed.wait_for(
                    lambda: not self.linked or self._closing or not self._full(), max(0.0, deadline - time.monotonic())
                )
            if not ready or not self._late():
                return ready
            if time.monotonic() >= deadline:
                return False
            time.sleep(LOOK)

    def _late(self) -> bool:
        """Tell whether something that was written has been on its way for too long: what follows would be older."""
        engine = self.engine
        if engine is None or self._closing:
            return False
        with self._changed:
            confirmed = self._written - engine.client.unconfirmed() + ROUND
            while self._way and self._way[0][0] <= confirmed:
                self._way.popleft()
            first = min(self._way[0][1] if self._way else math.inf, *self._under_way.values(), math.inf)
            return first < time.monotonic() - OLD

    def publish(self, publication: Publication) -> None:
        """Publish from another thread: with quality of service 0 until it is written, with 1 until there is room.

        Raises:
            Unsent: it did not go out.
        """
        if publication[2]:
            self._hand_over(publication)
            return
        with self._changed:
            self._check_link()
            self._number += 1
            number, self._under_way[self._number] = self._number, time.monotonic()
            self._written += len(publication[0]) + len(publication[1])
            self._way.append((self._written, time.monotonic()))
        try:
            assert self.loop is not None
            self._await(asyncio.run_coroutine_threadsafe(self._write(publication), self.loop))
        except (CancelledError, RuntimeError):  # the loop has ended
            raise Unsent("closed") from None
        finally:
            with self._changed:
                del self._under_way[number]

    def _await(self, written: Future[None]) -> None:
        while True:
            try:
                written.result(PATIENCE)
                return
            except TimeoutError:
                if self._closing:  # the loop may have ended before it began
                    raise Unsent("closed") from None

    def _check_link(self) -> None:
        if self._closing or not self.linked:
            raise Unsent("closed" if self._closing else "link")

    def check_size(self, publication: Publication) -> None:
        """Look whether the broker takes so much.

        Raises:
            Unsent: it does not.
        """
        engine = self.engine
        most = min(PACKET, (engine.limit if engine is not None else None) or PACKET)
        if len(publication[0]) + len(publication[1]) + ROUND > most:
            raise Unsent("too large")

    def _full(self) -> bool:
        return len(self._unacked) >= WINDOW or self._unacked_bytes >= WINDOW_BYTES

    def _hand_over(self, publication: Publication) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._full() or self._closing or not self.linked)
            self._check_link()
            self._number += 1
            number = self._number
            self._unacked[number] = publication
            self._unacked_bytes += len(publication[1])
        assert self.loop is not None
        try:
            self.loop.call_soon_threadsafe(self._begin, number)
        except RuntimeError:
            raise Unsent("closed") from None

    # -- in the loop -------------------------------------------------------------------------------------------------

    def post(self, publication: Publication) -> None:
        """Publish from the loop what the bridge itself has to say; nothing happens while it is not connected."""
        if self.engine is not None:
            self.saying += len(publication[1])
            task = self._start(self._try(self.engine.publish, publication))
            task.add_done_callback(lambda _: self._said(publication))

    def _said(self, publication: Publication) -> None:
        self.saying -= len(publication[1])

    def listen(self, names: list[str]) -> None:
        """Subscribe to more, while it is connected."""
        if self.engine is not None:
            self._start(self._try(self.engine.subscribe, names))

    async def _try(self, doing: Callable[[Any], Awaitable[Any]], argument: Any) -> None:
        try:
            await doing(argument)
        except self._errors as error:
            log.debug("%s could not be said, or heard: %s", argument[0], error)

    def _begin(self, number: int) -> None:
        if self.engine is not None and number in self._unacked:
            self._start(self._deliver(number, self.engine))

    def _start(self, what: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _write(self, publication: Publication) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            if self.engine is None:
                raise Unsent("link")
            await self.engine.publish(publication)
        except self._errors:
            raise Unsent("link") from None
        except asyncio.CancelledError:
            raise Unsent("closed" if self._closing else "link") from None
        finally:
            self._tasks.discard(task)

    async def _deliver(self, number: int, engine: Engine) -> None:
        publication = self._unacked.get(number)
        if publication is None:
            return
        try:
            await engine.publish(publication)
        except self._errors:
            return  # once more when it is connected again
        with self._changed:
            if self._unacked.pop(number, None) is not None:
                self._unacked_bytes -= len(publication[1])
            self._changed.notify_all()

    async def settle(self, timeout: float) -> None:
        """Let what is under way arrive, for at most some seconds."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=timeout)

    def stop(self) -> None:
        """Let all who wait to publish give up."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
