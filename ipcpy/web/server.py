"""The server of the page: a thread with a loop of its own, one port. Puts together what the other modules do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import platform
import secrets
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from aiohttp import web

import ipcpy as ipc

from ..overview.fleet import Fleet
from .access import Guard, is_loopback
from .api import BODY, Api
from .gate import Gate
from .metrics import Metrics
from .publishing import Press
from .recording import Recording, can_record
from .site import files, guarded
from .stage import Stage
from .websocket import Doorway

__all__ = ["WebServer"]

log = logging.getLogger(__name__)
_http = logging.getLogger(f"{__name__}.http")
_http.addHandler(logging.NullHandler())  # what strangers send is no reason to print anything

BACKLOG = 200  # connections that wait to be taken: as many are taken at once
CLOSE = 2.0  # seconds in which requests may end
SWEEP = 5.0  # seconds between two looks at publishers that nobody used
LOOK = 1.0  # seconds between two looks whether there are more domains


class WebServer:
    """Serves the page, from the time it is made until it is closed.

    Args:
        fleet: nodes in the domains that are shown; it stays the caller's.
        host: the address to listen on. Other than loopback wants a token.
        port: the port; 0 takes any that is free.
        token: what has to be told by who asks; by default one is made where host is not loopback.
        names: names that browsers may call this server by, besides its address and the host's own name.
        read_only: nothing is published or recorded.
        folder: where recordings are written.
        bgr: colours of images are blue, green, red, as OpenCV has them.

    Raises:
        ArgumentError: if the token is empty, and not only this computer can connect.
        IpcError: if the extra is missing, or the port is taken.
    """

    def __init__(
        self,
        fleet: Fleet,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        names: Iterable[str] = (),
        read_only: bool = False,
        folder: Path = Path(),
        bgr: bool = False,
    ) -> None:
        self._fleet, self._read_only, self._folder, self._bgr = fleet, read_only, folder, bgr
        if token is None:
            token = "" if is_loopback(host) else secrets.token_urlsafe(16)
        if not token and not is_loopback(host):  # as of --token "$TOKEN" where there is no TOKEN
            raise ipc.ArgumentError(f"whoever reaches {host or 'this host'} could look: the token must not be empty")
        self._token = token
        own = platform.node()
        self._guard = Guard.of(token, (*names, own, f"{own}.local", own.partition(".")[0]))
        self._host, self._port = host, port
        self._loop = asyncio.new_event_loop()
        self._begun = threading.Event()
        self._stop = asyncio.Event()
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="ipcpy web", daemon=True)
        self._thread.start()
        self._begun.wait()
        if self.failure is not None:
            self._thread.join()
            raise self.failure

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._port

    @property
    def url(self) -> str:
        """The address of the page, with the token if it wants one."""
        host = ipc.get_ip() if self._host in ("", "0.0.0.0", "::") else self._host
        named = f"[{host}]" if ":" in host else host
        return f"http://{named}:{self._port}/" + (f"?token={quote(self._token, safe='')}" if self._token else "")

    @property
    def closed(self) -> bool:
        """Whether it serves no more: it was closed, or failed."""
        return not self._thread.is_alive()

    def close(self) -> None:
        """End recordings, let pages go, and end; idempotent."""
        with contextlib.suppress(RuntimeError):  # it has ended
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def __enter__(self) -> WebServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- in the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:
            self.failure = error
            if self._begun.is_set():
                log.exception("the server failed")
        finally:
            with contextlib.suppress(Exception):
                self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()
            self._begun.set()

    async def _serve(self) -> None:
        stage = Stage(lambda: self._fleet.nodes, bgr=self._bgr)
        press = None if self._read_only else Press(self._node)
        recorded = None
        if not self._read_only and can_record():
            recorded = Recording(self._folder, self._node, stage.chronicle)
            stage.record = recorded.news
        stage.can = {"publish": press is not None, "record": recorded is not None, "images": True}
        doorway = Doorway(stage)
        async with self._listening(stage, Api(stage, press, recorded, self._metrics(stage, doorway)), doorway) as gate:
            work = [stage.run(), gate.run(), self._look_for_domains()]
            if press is not None:
                work.append(self._sweep(press))
            tasks = [asyncio.create_task(each) for each in (*work, self._stop.wait())]
            self._begun.set()
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await doorway.close()
                await asyncio.wait(tasks, timeout=CLOSE)
                if recorded is not None:
                    await recorded.close()
                if press is not None:
                    press.close()

    @contextlib.asynccontextmanager
    async def _listening(self, stage: Stage, api: Api, doorway: Doorway) -> Any:
        gates: list[Gate] = []
        app = web.Application(client_max_size=BODY, middlewares=[guarded(self._guard, lambda: gates[0])])
        app.add_routes([*files(), *api.routes(), web.get("/ws", doorway.handle)])
        runner = web.AppRunner(
            app, access_log=None, logger=_http, lingering_time=1.0, keepalive_timeout=30.0, shutdown_timeout=CLOSE
        )
        await runner.setup()
        try:
            assert runner.server is not None
            gates.append(Gate(runner.server))
            try:
                server = await self._loop.create_server(gates[0], self._host or None, self._port, backlog=BACKLOG)
            except OSError as error:
                raise ipc.IpcError(f"port {self._port} of {self._host} cannot be had: {error.strerror}") from None
            self._port = server.sockets[0].getsockname()[1]
            try:
                yield gates[0]
            finally:
                server.close()
        finally:
            await runner.cleanup()

    def _node(self, domain: str) -> ipc.Node | None:
        nodes = self._fleet.nodes
        return (nodes[0] if len(nodes) == 1 else None) if not domain else self._fleet.node(domain)

    def _metrics(self, stage: Stage, doorway: Doorway) -> Metrics:
        return Metrics(
            lambda: stage.flows,
            lambda: {
                node.domain: [each for each in node.nodes() if each.id != node.id]
                for node in stage.nodes()
                if not node.closed
            },
            lambda: {"pages": len(doorway.pages), "topics_heard": len(stage.hearing.ears)},
        )

    async def _sweep(self, press: Press) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            press.sweep()

    async def _look_for_domains(self) -> None:
        while True:
            if self._fleet.everywhere:
                await asyncio.to_thread(self._fleet.look)
            await asyncio.sleep(LOOK)
