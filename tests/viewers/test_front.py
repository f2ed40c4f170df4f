from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Iterator

import pytest

import ipcpy as ipc
from ipcpy.viewers import front as module
from ipcpy.viewers.front import Front, Origins, hidden_host


class Echo:
    """A server that answers a request's head with itself, and what follows with the same."""

    def __init__(self) -> None:
        self.socket = socket.create_server((hidden_host(), 0))
        self.address: tuple[str, int] = self.socket.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # who waits for a connection holds it open otherwise
        self.socket.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    @staticmethod
    def _serve(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(1 << 16):
                connection.sendall(data)


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.close()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def front(echo: Echo, said: list[str]) -> Iterator[Front]:
    front = Front("127.0.0.1", 0, echo.address, Origins("https://viewer.example:8080/"), said.append)
    yield front
    front.close()


def connect(front: Front) -> socket.socket:
    return socket.create_connection(("127.0.0.1", front.port), timeout=20)


def received(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := connection.recv(1 << 16)):
        data += piece
    return data


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "https://app.foxglove.dev",
        "HTTPS://APP.FOXGLOVE.DEV",
        "https://viewer.example:8080",
        "http://localhost:8080",
        "http://127.0.0.1",
        "http://[::1]:3000",
        "file://",
        "app://foxglove",
    ],
)
def test_foxglove_pages_of_this_computer_and_programs_may_look(origin: str | None) -> None:
    assert Origins("https://viewer.example:8080/").may(origin)


@pytest.mark.parametrize(
    "origin",
    [
        *("https://evil.example", "null", "", "https://app.foxglove.dev.evil.example", "http://127.0.0.1.evil.example"),
        *("http://app.foxglove.dev", "https://viewer.example", "http://[", "http://localhost@evil.example", "//", "\0"),
    ],
)
def test_pages_of_elsewhere_may_not(origin: str) -> None:
    assert not Origins("https://viewer.example:8080").may(origin)


@pytest.mark.parametrize("origin", ["viewer.example", "https://", "ftp://x", "https://x/path"])
def test_an_origin_that_is_none_is_refused(origin: str) -> None:
    with pytest.raises(ipc.ArgumentError, match="an origin is such as"):
        Origins(origin)


def test_what_both_sides_say_is_handed_on_whole(front: Front) -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\nOrigin: https://app.foxglove.dev\r\n\r\n"
    body = bytes(range(256)) * 8192
    with connect(front) as connection:
        sender = threading.Thread(target=connection.sendall, args=(head + body,))
        sender.start()
        assert received(connection, len(head) + len(body)) == head + body
        sender.join()


def test_a_page_of_elsewhere_is_refused_and_that_is_said_once(front: Front, said: list[str]) -> None:
    for _ in range(2):
        connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=20)
        connection.request("GET", "/", headers={"Origin": "https://evil%s.example"})
        response = connection.getresponse()
        assert (response.status, b"may not look at these topics" in response.read()) == (403, True)
        connection.close()
    assert len(said) == 1
    assert "'https://evil%%s.example'" in said[0]


def test_two_origins_are_none(front: Front) -> None:
    with connect(front) as connection:
        one = b"rigin: https://app.foxglove.dev\r\n"
        connection.sendall(b"GET / HTTP/1.1\r\no" + one + b"O" + one + b"\r\n")
        assert received(connection, 12).startswith(b"HTTP/1.1 403")


def test_who_says_nothing_or_too_much_is_let_go(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    with connect(front) as silent, connect(front) as loud:
        loud.sendall(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000 + b"\r\n")
        assert _is_gone(loud)
        assert _is_gone(silent)


def test_more_connections_than_it_takes_harm_nobody(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    with connect(front) as first:
        first.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert received(first, 18) == b"GET / HTTP/1.1\r\n\r\n"
        others = [connect(front) for _ in range(10)]
        assert all(map(_is_gone, others[2:]))
        first.sendall(b"still here")
        assert received(first, 10) == b"still here"
        for other in others:
            other.close()


def _is_gone(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_a_server_behind_it_that_is_gone_lets_viewers_go(echo: Echo, front: Front) -> None:
    echo.close()
    with connect(front) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert _is_gone(connection)


def test_closing_lets_all_go_and_frees_the_port(echo: Echo) -> None:
    front = Front("127.0.0.1", 0, echo.address, Origins(), print)
    port = front.port
    with connect(front) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert received(connection, 18)
        front.close()
        front.close()
        assert _is_gone(connection)
    assert front.port == 0
    again = Front("127.0.0.1", port, echo.address, Origins(), print)
    with pytest.raises(ipc.TransportError, match=f"cannot serve at 127.0.0.1:{port}: .*in use"):
        Front("127.0.0.1", port, echo.address, Origins(), print)
    again.close()


def test_the_server_behind_it_is_on_loopback() -> None:
    hosts = {hidden_host() for _ in range(20)}
    assert all(host.startswith("127.") for host in hosts)


def test_the_server_behind_it_reads_the_end_of_a_viewer_that_took_nothing(said: list[str]) -> None:
    ended = threading.Event()

    def read(connection: socket.socket) -> None:
        while connection.recv(1 << 16):
            pass
        ended.set()

    def serve() -> None:
        connection, _ = listening.accept()
        threading.Thread(target=read, args=(connection,), daemon=True).start()
        with contextlib.suppress(OSError):
            while not ended.is_set():
                connection.sendall(bytes(1 << 16))
        connection.close()

    with socket.create_server((hidden_host(), 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        front = Front("127.0.0.1", 0, listening.getsockname(), Origins(), said.append)
        with connect(front) as viewer:
            viewer.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert viewer.recv(1)
        assert ended.wait(20)
        front.close()
