"""What programs ask for by HTTP: JSON, images, metrics; and what they have done. Knows aiohttp and what there is to
ask for; docs/web.md tells all of it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

import ipcpy as ipc

from .metrics import Metrics
from .picture import topic_id
from .publishing import Press, read_order
from .recording import Recording
from .site import answer, refused
from .stage import Stage

__all__ = ["Api", "BODY"]

BODY = 1 << 20  # bytes of a request
READING = 5.0  # seconds that a request may take to be read
WAIT = 1.0  # seconds that a message may take to come
MOST = 10.0  # seconds that a request may ask for it
POLL = 0.02  # seconds
MAX_EARS = 8  # requests that wait for a message at a time

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """Answers requests.

    Args:
        stage: what there is to see.
        press: what publishes; None where nobody may.
        recording: what records; None where nobody may, or the extra is missing.
        metrics: what Prometheus reads.
    """

    def __init__(self, stage: Stage, press: Press | None, recording: Recording | None, metrics: Metrics) -> None:
        self._stage, self._press, self._recording, self._metrics = stage, press, recording, metrics
        self._waiting = 0

    def routes(self) -> list[web.RouteDef]:
        """Return all addresses."""
        get: dict[str, Handler] = {
            "hello": self._hello,
            "graph": self._graph,
            "rows": self._rows,
            "events": self._events,
            "message": self._message,
            "image": self._image,
            "record": self._recorded,
        }
        post: dict[str, Handler] = {
            "publish": self._publish,
            "record/start": self._start,
            "record/stop": self._stop,
        }
        made = [web.get(f"/api/{name}", _said(handler)) for name, handler in get.items()]
        made += [web.post(f"/api/{name}", _said(handler)) for name, handler in post.items()]
        return [*made, web.get("/metrics", self._measured)]

    # -- reading -----------------------------------------------------------------------------------------------------

    async def _hello(self, _: web.Request) -> web.StreamResponse:
        return answer(self._stage.hello())

    async def _graph(self, request: web.Request) -> web.StreamResponse:
        return answer(self._stage.graph(hidden=request.query.get("hidden", "") in ("1", "true"))[1])

    async def _rows(self, _: web.Request) -> web.StreamResponse:
        await self._stage.fresh()
        return answer(self._stage.rows(0)[1])

    async def _events(self, request: web.Request) -> web.StreamResponse:
        return answer({"events": self._stage.chronicle.after(int(_number(request, "after", 0.0, 1e15)))})

    async def _message(self, request: web.Request) -> web.StreamResponse:
        return await self._heard(request, self._tree)

    async def _tree(self, id: str, _: web.Request) -> web.StreamResponse | None:
        told = self._stage.shown_message(id)
        return None if told is None else answer(told)

    async def _image(self, request: web.Request) -> web.StreamResponse:
        return await self._heard(request, self._file)

    async def _file(self, id: str, request: web.Request) -> web.StreamResponse | None:
        frame = self._stage.gallery.frame(id, int(_number(request, "width", 1280.0, 4096.0)) or 1280)
        return None if frame is None else web.Response(body=frame.file, content_type=frame.head["type"])

    async def _heard(
        self, request: web.Request, make: Callable[[str, web.Request], Awaitable[web.StreamResponse | None]]
    ) -> web.StreamResponse:
        """Hear a topic until there is what was asked for."""
        topic, domain = request.query.get("topic", ""), request.query.get("domain", "")
        node = self._node(domain)
        if node is None or not topic:
            raise ipc.ArgumentError("name a topic, ?topic=imu, and of several domains which one, &domain=robot7")
        if self._waiting >= MAX_EARS:
            return refused(503, f"{MAX_EARS} requests wait for messages already")
        holder, id, until = (
            object(),
            topic_id(node.domain, topic),
            time.monotonic() + _number(request, "wait", WAIT, MOST),
        )
        self._waiting += 1
        try:
            refusals = self._stage.hearing.want(holder, {id: ()})
            if refusals:
                return refused(400, refusals[0])
            while True:
                made = await make(id, request)
                if made is not None:
                    return made
                if time.monotonic() >= until:
                    return refused(404, f"nothing came on {topic} in time")
                await asyncio.sleep(POLL)
        finally:
            self._waiting -= 1
            self._stage.hearing.leave(holder)

    def _node(self, domain: str) -> ipc.Node | None:
        """Return the node of a domain; of the only one where none is named."""
        nodes = list(self._stage.nodes())
        if not domain:
            return nodes[0] if len(nodes) == 1 else None
        return self._stage.node_of(domain)

    async def _measured(self, request: web.Request) -> web.StreamResponse:
        await self._stage.fresh()
        body, kind = self._metrics.text(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": kind})

    # -- doing -------------------------------------------------------------------------------------------------------

    async def _publish(self, request: web.Request) -> web.StreamResponse:
        if self._press is None:
            return refused(403, "this server only shows: it was started with --read-only")
        return answer(await self._press.publish(read_order(await _json(request))))

    async def _recorded(self, _: web.Request) -> web.StreamResponse:
        return answer(self._recording.state() if self._recording is not None else {"kind": "record", "state": "off"})

    async def _start(self, request: web.Request) -> web.StreamResponse:
        if self._recording is None:
            return refused(403, _NO_RECORDING)
        return answer(await self._recording.start(await _json(request)))

    async def _stop(self, request: web.Request) -> web.StreamResponse:
        if self._recording is None:
            return refused(403, _NO_RECORDING)
        await _json(request)
        return answer(await self._recording.stop())


_NO_RECORDING = (
    "this server records nothing: it was started with --read-only, or lacks an extra: pip install 'ipcpy[bag]'"
)


def _said(handler: Handler) -> Handler:
    """Return a handler that says in a sentence what was wrong with a request."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except (ipc.ArgumentError, ipc.CodecError, ipc.SchemaError) as error:
            return refused(400, str(error))
        except (ipc.IpcError, OSError) as error:
            return refused(409, str(error))

    return handle


async def _json(request: web.Request) -> Any:
    """Read the JSON of a request; ``{}`` where there is nothing."""
    if request.content_type != "application/json":
        raise ipc.ArgumentError("what is to be done is said in JSON: Content-Type: application/json")
    async with asyncio.timeout(READING):
        body = await request.read()
    try:
        return json.loads(body) if body.strip() else {}
    except (ValueError, RecursionError):
        raise ipc.ArgumentError("this is no JSON") from None


def _number(request: web.Request, name: str, default: float, most: float) -> float:
    try:
        number = float(request.query.get(name, default))
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise ipc.ArgumentError(f"{name} is a number up to {most:g}, got {request.query.get(name)!r:.80}")
    return number
