"""What viewers connect to: it looks whether they may, and hands on what they and the server behind it say. Knows the
head of HTTP requests and asyncio; nothing of what is said.

Any page that a browser shows can open a WebSocket to any address of the same computer, and the browser says in Origin
where the page came from. foxglove-sdk does not look at that. So it listens where no page finds it, and this in front.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import threading
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

import ipcpy as ipc

__all__ = ["Front", "Origins", "hidden_host"]

HEAD = 1 << 14  # bytes of a request's head
PIECE = 1 << 18  # bytes that are handed on at once
PATIENCE = 5.0  # seconds that a head may take
FLUSH = 1.0  # seconds in which what was written last may arrive
MOST = 128  # connections
_OWN = ("https://app.foxglove.dev", "https://studio.foxglove.dev")
_LOCAL = ("localhost", "127.0.0.1", "::1")


class Origins:
    """Whose pages may connect: Foxglove's, those of this computer, and what is no page at all.

    Args:
        more: others, such as ``https://viewer.example``.

    Raises:
        ArgumentError: one is none.
    """

    def __init__(self, more: str | Iterable[str] = ()) -> None:
        self._known = {*_OWN}
        for origin in (more,) if isinstance(more, str) else more:
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
                raise ipc.ArgumentError(f"an origin is such as https://viewer.example:8080, got {origin!r:.80}")
            self._known.add(origin.rstrip("/").lower())

    def may(self, origin: str | None) -> bool:
        """Tell whether who says this of itself may connect; None says nothing, as programs do that are no browsers."""
        if origin is None or origin.lower() in self._known:
            return True
        try:
            parts = urlsplit(origin)
            local = parts.hostname in _LOCAL
        except ValueError:
            return False
        if parts.scheme in ("http", "https"):
            return local
        return bool(parts.scheme)  # a program of this computer (file://, app://); a page without a place says "null"


class Front:
    """Takes connections in a thread of its own, from the time it is made until it is closed.

    Args:
        host, port: where; port 0 takes a free one.
        inner: where the server behind it listens.
        origins: who may connect.
        say: called with a sentence where somebody may not, as a logger's methods are: ``%`` is written twice.

    Raises:
        TransportError: the port is taken, or the address is none of this host's.
    """

    def __init__(
        self, host: str, port: int, inner: tuple[str, int], origins: Origins, say: Callable[[str], object]
    ) -> None:
        self._inner = inner
        self._origins = origins
        self._say = say
        self._said: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        try:
            self._server = self._loop.run_until_complete(
                asyncio.start_server(self._take, host, port, limit=PIECE, backlog=MOST)
            )
        except (OSError, UnicodeError) as error:
            self._loop.close()
            text = getattr(error, "strerror", None) or str(error)
            raise ipc.TransportError(f"cannot serve at {host}:{port}: {text}") from None
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="ipcpy foxglove front", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._server.close()
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            if tasks:
                self._loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))
            self._loop.run_until_complete(asyncio.sleep(0))
        finally:
            self._loop.close()

    def close(self) -> None:
        """Let all go; idempotent."""
        if self.port:
            self.port = 0
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._tasks) >= MOST:
            writer.transport.abort()
            return
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # it went, or sent what is no request, or we end: nobody is left to be told
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(PATIENCE):
            head = await reader.readuntil(b"\r\n\r\n")
        if len(head) > HEAD:
            return
        origin = _origin(head)
        if not self._origins.may(origin):
            self._refuse(origin, writer)
            await _close(writer)
            return
        inner_reader, inner_writer = await asyncio.open_connection(*self._inner, limit=PIECE)
        try:
            inner_writer.write(head)
            ways = ((reader, inner_writer), (inner_reader, writer))
            pumps = [asyncio.ensure_future(_pump(*way)) for way in ways]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
            await _end(inner_reader, inner_writer)
        finally:
            inner_writer.transport.abort()
        await _close(writer)

    def _refuse(self, origin: str | None, writer: asyncio.StreamWriter) -> None:
        text = f"a page of {origin!r:.80} may not look at these topics"
        if text not in self._said and len(self._said) < MOST:
            self._said.add(text)
            self._say(f"{text}; origins, or --origin, would let it".replace("%", "%%"))
        body = text.encode("utf-8", "replace") + b"\n"
        head = "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on what one side says until it goes."""
    while data := await reader.read(PIECE):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close a connection once the other side has what was written, but do not wait for long."""
    writer.close()
    async with asyncio.timeout(FLUSH):
        await writer.wait_closed()


async def _end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Part with the server behind: foxglove-sdk notices an end that it reads at once, while it writes late or never."""
    writer.write_eof()
    async with asyncio.timeout(PATIENCE):
        while await reader.read(PIECE):
            pass


def _origin(head: bytes) -> str | None:
    """Return what a request says of where it comes from; of several one that nobody has."""
    fields = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    found = [value for name, _, value in fields if name.strip().lower() == b"origin"]
    if not found:
        return None
    return found[0].strip().decode("latin-1") if len(found) == 1 else "null"


def hidden_host() -> str:
    """Return an address of this computer that a page cannot guess, where the system has more than one: on Linux."""
    if sys.platform != "linux":
        return "127.0.0.1"
    return "127." + ".".join(str(1 + secrets.randbelow(254)) for _ in range(3))
