"""The addresses of the server, who may ask for them, and the files of the page. Knows aiohttp; nothing of topics."""

from __future__ import annotations

import asyncio
import json
import logging
import mimetypes
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from .access import Asked, Guard
from .gate import Gate

__all__ = ["HEADERS", "STATIC", "answer", "files", "guarded", "refused"]

log = logging.getLogger(__name__)

STATIC = Path(__file__).with_name("static")
PATIENCE = 20.0  # seconds that a request may take
_TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def answer(value: object, status: int = 200) -> web.Response:
    """Return JSON, of a value or as it is."""
    text = value if isinstance(value, str) else json.dumps(value, allow_nan=False, separators=(",", ":"))
    return web.Response(text=text, status=status, content_type="application/json")


def refused(status: int, why: str) -> web.Response:
    """Return why a request is not answered, as JSON."""
    return answer({"error": why}, status)


def guarded(guard: Guard, gate: Callable[[], Gate]) -> Any:
    """Return the middleware that lets in who may ask, and answers the others why not."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        gate().begins(request.protocol)
        try:
            response = await _answered(request, handler, guard)
        finally:
            gate().ends(request.protocol)
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    return middleware


async def _answered(request: web.Request, handler: Handler, guard: Guard) -> web.StreamResponse:
    refusal = guard.refusal(_asked(request), free=request.path.startswith("/static/"))
    if refusal:
        if request.path == "/" and request.method == "GET":
            return web.Response(text=refusal + "\n", status=403, content_type="text/plain")
        return refused(403, refusal)
    if request.path == "/ws":
        return await handler(request)
    try:
        async with asyncio.timeout(PATIENCE):
            return await handler(request)
    except web.HTTPException as error:
        return refused(error.status, _sentence(error))
    except TimeoutError:
        return refused(408, "the request took too long")
    except (asyncio.CancelledError, ConnectionError):
        raise
    except Exception:
        log.exception("%s %s", request.method, request.path)
        return refused(500, "the server has a defect; its log says more")


def _sentence(error: web.HTTPException) -> str:
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"this address is for {' and '.join(sorted(error.allowed_methods))}"
    if isinstance(error, web.HTTPNotFound):
        return "there is nothing at this address; docs/web.md of ipcpy has all of them"
    return error.text or error.reason


def _asked(request: web.Request) -> Asked:
    transport = request.transport
    local = (transport.get_extra_info("sockname") or ("",))[0] if transport is not None else ""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return Asked(
        request.headers.get("Host", ""),
        request.headers.get("Origin"),
        request.headers.get("Sec-Fetch-Site"),
        token.strip() if scheme.lower() == "bearer" else request.query.get("token", ""),
        str(local),
        request.method in ("GET", "HEAD") and request.path != "/ws",
        request.path == "/",
    )


def files(folder: Path = STATIC) -> list[web.RouteDef]:
    """Return the routes of the page and its files, as they are now: what is asked for never becomes a path."""
    known = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}

    async def page(_: web.Request) -> web.StreamResponse:
        return _file(known.get("index.html"))

    async def file(request: web.Request) -> web.StreamResponse:
        return _file(known.get(request.match_info["path"]))

    return [web.get("/", page), web.get("/static/{path:.+}", file)]


def _file(path: Path | None) -> web.StreamResponse:
    if path is None or not path.exists():
        return refused(404, "there is no such file")
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    charset = "utf-8" if kind.startswith("text/") else None
    return web.Response(body=path.read_bytes(), content_type=kind, charset=charset)
