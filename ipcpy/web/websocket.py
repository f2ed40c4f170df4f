"""The WebSocket of a page: what it says goes to its session, what that has to say comes back. Knows aiohttp; nothing of
what is said.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from aiohttp import WSCloseCode, WSMsgType, web

from .session import Session
from .site import refused
from .stage import Stage
from .wants import MAX_TEXT

__all__ = ["Doorway"]

MOST = 32  # pages
EVERY = 0.1  # seconds between two rounds
PAUSE = 0.005  # seconds between two things that a page says: one that never stops talking leaves time for others
HEARTBEAT = 20.0  # seconds; who does not answer half as long is gone
STUCK = 30.0  # seconds that a page may take to read one message


class Doorway:
    """Takes WebSockets.

    Args:
        stage: what there is to see.

    Attributes:
        pages: those that are open.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.pages: set[web.WebSocketResponse] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve a page until it goes."""
        if len(self.pages) >= MOST:
            return refused(503, f"{MOST} pages are open already")
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT, max_msg_size=MAX_TEXT, compress=False, timeout=1.0)
        if not socket.can_prepare(request).ok:
            return refused(426, "this is the address of a WebSocket")
        self.pages.add(socket)
        session = Session(self._stage)
        try:
            await socket.prepare(request)
            telling = asyncio.create_task(self._tell(request, socket, session))
            try:
                async for said in socket:
                    if said.type is WSMsgType.TEXT:
                        session.take(said.data)
                        await asyncio.sleep(PAUSE)
                    elif said.type is WSMsgType.BINARY:
                        await socket.close(code=WSCloseCode.UNSUPPORTED_DATA, message=b"pages say text")
            finally:
                telling.cancel()
                with suppress(asyncio.CancelledError):
                    await telling
        finally:
            self.pages.discard(socket)
            session.close()
        return socket

    async def _tell(self, request: web.Request, socket: web.WebSocketResponse, session: Session) -> None:
        """Send what there is to say, a round at a time; who does not read is let go."""
        try:
            while not socket.closed:
                began = time.monotonic()
                for message in session.round(began):
                    async with asyncio.timeout(STUCK):
                        if isinstance(message, str):
                            await socket.send_str(message)
                        else:
                            await socket.send_bytes(message)
                await asyncio.sleep(max(EVERY / 5, EVERY - (time.monotonic() - began)))
        except (ConnectionError, TimeoutError, RuntimeError):
            if request.transport is not None:
                request.transport.abort()

    async def close(self) -> None:
        """Let all pages go."""
        await asyncio.gather(
            *(page.close(code=WSCloseCode.GOING_AWAY, message=b"the server ends") for page in list(self.pages)),
            return_exceptions=True,
        )
