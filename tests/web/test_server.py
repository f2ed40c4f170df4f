"""The server as a whole: it begins and ends when it is told to, and holds out against who means it harm."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time

import pytest

pytest.importorskip("aiohttp", reason="needs ipcpy[web]")

import ipcpy as ipc  # noqa: E402
from ipcpy.overview.fleet import Fleet  # noqa: E402
from ipcpy.testing import MemoryNetwork  # noqa: E402
from ipcpy.web import session, websocket  # noqa: E402
from ipcpy.web.server import WebServer  # noqa: E402
from pages import PATIENCE, asked, page_of, serving  # noqa: E402

LONG = bool(os.environ.get("LONG_TESTS"))


@pytest.fixture
def network():
    with MemoryNetwork() as network:
        yield network


def test_it_serves_until_it_is_closed_and_closing_twice_is_closing_once(network):
    with serving(network) as server:
        assert server.url == f"http://127.0.0.1:{server.port}/" and not server.closed
        assert asked(server, "/api/hello")[0] == 200
        server.close()
        server.close()
        assert server.closed and server.failure is None
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", server.port), timeout=1)


def test_it_ends_at_once_whatever_goes_on(network):
    robot = network.node("robot")
    with serving(network) as server:

        async def stay():
            async with page_of(server) as page:
                page.answers = False
                await page.want(trees=[f"{network.domain} imu"])
                await page.next()
                began = time.monotonic()
                robot.close()
                await asyncio.to_thread(server.close)
                return time.monotonic() - began

        assert asyncio.run(stay()) < PATIENCE  # some ms where nothing else runs; it hung for ever once


def test_a_port_that_is_taken_is_said_to_be(network):
    with serving(network) as server, Fleet(lambda _: network.node("other")) as fleet:
        with pytest.raises(ipc.IpcError, match=f"port {server.port} of 127.0.0.1 cannot be had"):
            WebServer(fleet, port=server.port)


def test_who_listens_for_others_wants_a_token(network):
    with serving(network, host="0.0.0.0") as server:
        token = server.url.partition("?token=")[2]
        assert len(token) >= 20
        assert asked(server, "/api/hello")[0] == 403
        assert asked(server, f"/api/hello?token={token}")[0] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "", "192.0.2.1"])
def test_nobody_listens_for_others_without_a_token(network, host):
    with Fleet(lambda _: network.node("web")) as fleet, pytest.raises(ipc.ArgumentError, match="must not be empty"):
        WebServer(fleet, host=host, token="")


def test_the_address_has_the_token_as_addresses_have_it(network):
    token = "a b&c#d/é"
    with serving(network, token=token) as server:
        query = server.url.partition("?")[2]
        assert query == "token=a%20b%26c%23d%2F%C3%A9"
        assert asked(server, f"/api/hello?{query}")[0] == 200


def test_a_name_that_was_allowed_is_its_own(network):
    with serving(network, names=["Robot7.lab"]) as server:
        assert asked(server, "/api/hello", Host="robot7.lab:80")[0] == 200
        assert asked(server, "/api/hello", Host="robot8.lab")[0] == 403


def test_a_recording_is_ended_with_the_server(network, tmp_path):
    pytest.importorskip("mcap", reason="needs ipcpy[bag]")
    import bags

    with serving(network, folder=tmp_path) as server:
        assert asked(server, "/api/record/start", body={"file": "run"})[0] == 200
    assert list(bags.read(tmp_path / "run.mcap")) == []


def test_several_domains_are_shown_at_once():
    with MemoryNetwork() as one, MemoryNetwork() as two:
        makers = {"one": one, "two": two}
        with Fleet(lambda name: makers[name].node("web"), ["one", "two"]) as fleet, WebServer(fleet, port=0) as server:
            pubs = [ipc.Publisher("imu", node=network.node("robot")) for network in (one, two)]
            until = time.monotonic() + PATIENCE
            ids = {f"{one.domain} imu", f"{two.domain} imu"}
            while {topic["id"] for topic in asked(server, "/api/graph")[1]["topics"]} != ids:
                assert time.monotonic() < until
            assert asked(server, "/api/publish", body={"topic": "x", "data": 1})[0] == 400
            told = asked(server, "/api/publish", body={"topic": "x", "data": 1, "domain": two.domain, "wait": 0})
            assert (told[0], told[1]["domain"]) == (200, two.domain) and pubs


def test_thousands_of_connections_do_not_keep_a_browser_out(network):
    count = 10_000 if LONG else 1500
    with serving(network) as server:
        held: list[socket.socket] = []
        for number in range(count):
            held.append(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE))
            if number % 2:
                held[-1].send(b"GET /api/hello HTTP/1.1\r\nHost: 127")
            if len(held) >= 400:  # this process has so many files only
                held.pop(0).close()
            if number % 500 == 499:
                assert asked(server, "/api/hello")[0] == 200
        for each in held:
            each.close()
        assert asked(server, "/api/hello")[0] == 200


@pytest.mark.parametrize(
    ("head", "more"),
    [
        (b"GET / HTTP/1.1\r\nX: ", b"a" * 65536),
        (b"GET / HTTP/1.1\r\n", b"X: bbbbbbbb\r\n" * 4096),
        (b"GET /", b"a" * 65536),
        (
            b"POST /api/publish HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n",
            b" " * 65536,
        ),
        (
            b"POST /api/publish HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"10000\r\n" + b" " * 65536 + b"\r\n",
        ),
        (b"GET /api/hello HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b" " * 65536),
        (b"", os.urandom(4096)),
    ],
    ids=["line", "headers", "address", "body", "chunks", "body of a GET", "noise"],
)
def test_a_request_that_never_ends_is_ended(network, head, more):
    with serving(network) as server:
        head = head.replace(b" HTTP/1.1\r\n", b" HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % server.port, 1)
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection,
            pytest.raises(OSError),
        ):
            connection.sendall(head)
            while True:
                connection.sendall(more)
        assert asked(server, "/api/hello")[0] == 200


def test_who_asks_without_end_and_reads_no_answer_has_to_wait(network):
    with serving(network) as server:
        request = b"GET /api/hello HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % server.port
        with socket.create_connection(("127.0.0.1", server.port), timeout=1.0) as connection:
            sent = 0
            with pytest.raises(OSError):  # TimeoutError: nothing more is read
                while sent < 100 << 20:
                    connection.sendall(request * 100)
                    sent += len(request) * 100
        assert asked(server, "/api/hello")[0] == 200


def test_a_page_that_reads_nothing_is_let_go(network, monkeypatch, wait_until):
    """Even one that is taken to have answered: the system's buffers are full soon, and nothing more is made for it."""
    np = pytest.importorskip("numpy", reason="needs ipcpy[numpy]")
    monkeypatch.setattr(websocket, "STUCK", 0.3)
    monkeypatch.setattr(session, "UNANSWERED", 1_000_000)
    image = np.random.default_rng(1).integers(0, 255, (480, 640, 3), "u1")
    pub, over = ipc.Publisher("cam", node=network.node("robot")), threading.Event()

    def run():
        while not over.wait(0.01):
            pub.publish(image)

    thread = threading.Thread(target=run, daemon=True)
    with serving(network) as server, socket.socket() as page:
        thread.start()
        page.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        page.connect(("127.0.0.1", server.port))
        page.sendall(
            b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" % server.port
        )
        want = b'{"want": {"images": ["%s cam"]}}' % network.domain.encode()
        page.sendall(bytes([0x81, 0x80 | len(want), 0, 0, 0, 0]) + want)  # a text, under the mask 0

        def is_let_go():
            try:
                page.send(bytes([0x8A, 0x80, 0, 0, 0, 0]))  # a pong
            except OSError:
                return True

        try:
            wait_until(is_let_go, timeout=PATIENCE)
        finally:
            over.set()
            thread.join()
        assert asked(server, "/api/hello")[0] == 200
