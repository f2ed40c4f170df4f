"""How many connections there are, and for how long one may be silent. Knows aiohttp's server; nothing of requests.

Whoever connects and asks nothing is let go after some seconds, and sooner where others want in: the oldest of those
makes room. So ten thousand connections cost what a few hundred cost, and a browser still gets its answer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

__all__ = ["Gate"]

MOST = 200  # connections
SILENT = 10.0  # seconds that one may take for its first request
IDLE = 30.0  # seconds between two requests


@dataclass(slots=True)
class _Guest:
    """A connection.

    Attributes:
        since: when it came, or when its last request was answered.
        asked: whether it ever asked for something.
        busy: how many requests of it are being answered.
    """

    since: float
    asked: bool = False
    busy: int = 0


class Gate:
    """Makes what takes a connection, for ``loop.create_server``.

    Args:
        server: what serves those that are let in.
        most: how many those are.
        clock: steady seconds.

    Attributes:
        turned: how many were let go to make room, or not let in.
    """

    def __init__(self, server: web.Server, most: int = MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._most = most
        self._clock = clock
        self._guests: dict[Any, _Guest] = {}
        self.turned = 0

    def __call__(self) -> asyncio.BaseProtocol:
        """Take a connection."""
        if len(self._guests) >= self._most:
            self._forget()
            if len(self._guests) >= self._most and not self._make_room():
                self.turned += 1
                return _Closed()
        handler = self._server()
        self._guests[handler] = _Guest(self._clock())
        return handler

    def _forget(self) -> None:
        """Forget those that are gone; one that has just come has no transport yet either."""
        now = self._clock()
        self._guests = {
            each: guest for each, guest in self._guests.items() if each.transport is not None or now - guest.since < 1.0
        }

    def _make_room(self) -> bool:
        """Let go of whom it costs least: who never asked for anything, else who asks for nothing now."""
        idle = [(guest.asked, guest.since, each) for each, guest in self._guests.items() if not guest.busy]
        if not idle:
            return False
        self._let_go(min(idle, key=lambda each: each[:2])[2])
        self.turned += 1
        return True

    def _let_go(self, handler: Any) -> None:
        self._guests.pop(handler, None)
        if handler.transport is not None:
            handler.transport.abort()

    def begins(self, handler: Any) -> None:
        """Note that a request is being answered."""
        guest = self._guests.setdefault(handler, _Guest(self._clock()))
        guest.asked = True
        guest.busy += 1

    def ends(self, handler: Any) -> None:
        """Note that it is answered."""
        guest = self._guests.get(handler)
        if guest is not None:
            guest.busy -= 1
            guest.since = self._clock()

    def sweep(self) -> None:
        """Let go of those that were silent for too long."""
        self._forget()
        now = self._clock()
        for handler, guest in list(self._guests.items()):
            if not guest.busy and now - guest.since > (IDLE if guest.asked else SILENT):
                self._let_go(handler)

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await asyncio.sleep(1.0)
            self.sweep()


class _Closed(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it go."""
        if isinstance(transport, asyncio.Transport):
            transport.abort()
