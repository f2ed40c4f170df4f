"""Servers of the page, and clients that behave as pages do, or do not."""

from __future__ import annotations

import asyncio
import io
import json
import struct
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import aiohttp

from ipcpy.overview.fleet import Fleet
from ipcpy.testing import MemoryNetwork
from ipcpy.web.server import WebServer

PATIENCE = 30.0  # seconds: what comes in milliseconds takes seconds on a machine that does other things


@contextmanager
def serving(network: MemoryNetwork, **options: Any) -> Iterator[WebServer]:
    """Serve what there is on a network, by a port of its own."""
    with Fleet(lambda _: network.node("web")) as fleet, WebServer(fleet, port=0, **options) as server:
        yield server


class Page:
    """A page: answers rounds, unless told not to, and keeps what it was sent."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.answers = True
        self.got: list[dict[str, Any]] = []

    async def want(self, **wants: Any) -> None:
        """Say what it looks at."""
        await self.socket.send_json({"want": wants})

    async def next(self, timeout: float = PATIENCE) -> dict[str, Any]:
        """Return the next message; an image with its file under ``file``."""
        message = await self.socket.receive(timeout)
        if message.type is aiohttp.WSMsgType.BINARY:
            (length,) = struct.unpack_from("<I", message.data)
            told = json.loads(message.data[4 : 4 + length]) | {"file": message.data[4 + length :]}
        elif message.type is aiohttp.WSMsgType.TEXT:
            told = json.loads(message.data)
        else:
            raise ConnectionError(f"the server ended it: {message.type.name} {message.data} {message.extra}")
        self.got.append(told)
        if told["kind"] == "ping" and self.answers:
            await self.socket.send_json({"pong": told["n"]})
        return told

    async def until(
        self, kind: str, condition: Callable[[dict[str, Any]], Any] = lambda told: True, timeout: float = PATIENCE
    ) -> dict[str, Any]:
        """Return the next message of a kind for which something holds."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            told = await self.next(end - time.monotonic())
            if told["kind"] == kind and condition(told):
                return told
        raise TimeoutError(f"no {kind} came for which it holds; {len(self.got)} messages, the last {self.got[-3:]}")

    async def ever(self, kind: str, condition: Callable[[dict[str, Any]], Any] = lambda told: True) -> dict[str, Any]:
        """Return the first message of a kind for which something holds, of those that came already or the next ones."""
        for told in self.got:
            if told["kind"] == kind and condition(told):
                return told
        return await self.until(kind, condition)


@asynccontextmanager
async def page_of(server: WebServer, **options: Any) -> AsyncIterator[Page]:
    """Open a page."""
    address = server.url.replace("/?", "/ws?") if "?" in server.url else f"{server.url}ws"
    async with aiohttp.ClientSession() as client, client.ws_connect(address, max_msg_size=0, **options) as socket:
        yield Page(socket)


def asked(server: WebServer, path: str, *, body: Any = None, method: str = "", **headers: str) -> tuple[int, Any, Any]:
    """Ask once by HTTP, and return status, body (JSON where it is that) and headers."""

    async def ask() -> tuple[int, Any, Any]:
        data = None if body is None else io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
        told = ({"Content-Type": "application/json"} if body is not None else {}) | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        async with aiohttp.ClientSession() as client:
            request = client.request(
                method or ("GET" if body is None else "POST"),
                f"http://127.0.0.1:{server.port}{path}",
                data=data,
                headers=told,
            )
            async with request as response:
                raw = await response.read()
                is_json = response.content_type == "application/json"
                return response.status, json.loads(raw) if is_json else raw, response.headers

    return asyncio.run(ask())
