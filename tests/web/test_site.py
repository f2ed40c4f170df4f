"""The site: files of the page and nothing else, with headers that let a browser run nothing of others."""

from __future__ import annotations

import socket

import pytest

pytest.importorskip("aiohttp", reason="needs ipcpy[web]")

from aiohttp import web  # noqa: E402

from ipcpy.testing import MemoryNetwork  # noqa: E402
from ipcpy.web.site import STATIC, files  # noqa: E402
from pages import asked, serving  # noqa: E402

EVIL = "http://evil.example"


@pytest.fixture(scope="module")
def server():
    with MemoryNetwork() as network, serving(network) as server:
        yield server


@pytest.fixture(scope="module")
def closed():
    with MemoryNetwork() as network, serving(network, token="geheim") as server:
        yield server


def test_the_page_is_there_and_runs_nothing_that_is_not_of_this_server(server):
    if not (STATIC / "index.html").exists():
        pytest.skip("the page is not in this tree")
    status, page, headers = asked(server, "/")
    assert status == 200 and b"<html" in page and headers["Content-Type"] == "text/html; charset=utf-8"
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "no-referrer")
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static/..%2fserver.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/.",
        "/static/x%00.js",
        "/api/none",
        "/server.py",
        "/api/publish",
    ],
)
def test_nothing_but_the_files_of_the_page_is_there(server, path):
    status, told, _ = asked(server, path)
    assert status in (404, 405) and told["error"].startswith(("there is no", "this address is for POST"))


def test_files_are_those_of_a_folder(tmp_path):
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "plot.js").write_text("1")
    assert [route.path for route in files(tmp_path)] == ["/", "/static/{path:.+}"]
    assert all(isinstance(route, web.RouteDef) for route in files(tmp_path))


@pytest.mark.parametrize("path", ["/", "/api/hello", "/api/graph", "/metrics", "/ws", "/api/message?topic=x"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": EVIL},
        {"Origin": "null"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
    ],
    ids=str,
)
def test_pages_and_names_of_others_get_nothing(server, path, headers):
    status, told, _ = asked(server, path, **headers)
    assert status == 403
    assert "may not ask" in str(told) or "this server is not" in str(told)


@pytest.mark.parametrize("path", ["/api/publish", "/api/record/start", "/api/record/stop"])
def test_a_form_of_another_page_does_nothing(server, path):
    assert asked(server, path, body={}, Origin=EVIL)[0] == 403
    assert asked(server, path, body={}, Sec_Fetch_Site="cross-site")[0] == 403
    status, told, _ = asked(server, path, body=b'{"topic":"x","data":1}', Content_Type="text/plain")
    assert (status, told["error"].partition(":")[0]) == (400, "what is to be done is said in JSON")


@pytest.mark.parametrize("path", ["/", "/api/hello", "/api/rows", "/metrics", "/ws", "/api/record"])
def test_without_the_token_nothing_is_told(closed, path):
    for asking in (path, f"{path}?token=wrong", f"{path}?token="):
        assert asked(closed, asking)[0] == 403
    assert asked(closed, path, Authorization="Bearer wrong")[0] == 403


def test_with_the_token_it_is(closed):
    assert asked(closed, "/api/hello?token=geheim")[0] == 200
    assert asked(closed, "/api/hello", Authorization="Bearer geheim")[0] == 200
    assert closed.url.endswith("/?token=geheim")
    assert asked(closed, "/static/none.js")[0] == 404


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"\x00\xff\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"CONNECT evil.example:80 HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    ],
    ids=lambda raw: repr(raw[:40]),
)
def test_requests_that_no_browser_sends_get_no_data(server, raw):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        told = b""
        try:
            connection.sendall(raw)
            while b"\r\n\r\n" not in told and (part := connection.recv(4096)):
                told += part
        except ConnectionError:
            pass
    assert b" 200 " not in told.partition(b"\r\n")[0]
    assert asked(server, "/api/hello")[0] == 200
