"""transport.systemd against a socket that stands for systemd's."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipcpy.transport.systemd import Supervisor

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="systemd's socket is a Unix socket")


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(20)
        yield sock


def told(heard: socket.socket) -> str:
    return heard.recv(4096).decode()


def supervisor(heard: socket.socket, **more: str) -> Supervisor:
    return Supervisor({"NOTIFY_SOCKET": heard.getsockname(), **more})


def test_it_says_ready_alive_and_stopping_in_the_words_of_sd_notify(heard: socket.socket) -> None:
    one = supervisor(heard)
    assert one.listening
    one.ready("connected to\nrouter")
    assert told(heard) == "READY=1\nSTATUS=connected to router"
    one.ready()
    assert told(heard) == "READY=1"
    one.alive("7 topics")
    assert told(heard) == "WATCHDOG=1\nSTATUS=7 topics"
    one.stopping()
    assert told(heard) == "STOPPING=1"


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
def test_an_abstract_socket_is_reached() -> None:
    name = f"ipcpy-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(b"\0" + name.encode())
        sock.settimeout(20)
        Supervisor({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert told(sock) == "READY=1"


def test_it_is_to_be_said_twice_within_the_time_that_systemd_waits(heard: socket.socket) -> None:
    assert supervisor(heard, WATCHDOG_USEC="30000000").period == 15.0
    assert supervisor(heard, WATCHDOG_USEC="30000000", WATCHDOG_PID=str(os.getpid())).period == 15.0


@pytest.mark.parametrize(
    "environ", [{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "5", "WATCHDOG_PID": "1"}]
)
def test_without_a_watchdog_of_this_process_there_is_no_period(heard: socket.socket, environ: dict[str, str]) -> None:
    assert supervisor(heard, **environ).period is None


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative"])
def test_where_nobody_asks_nothing_is_sent(address: str, caplog: pytest.LogCaptureFixture) -> None:
    one = Supervisor({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000"})
    one.ready("done")
    one.alive()
    assert (one.listening, one.period) == (False, None)
    assert caplog.text == ""


def test_a_supervisor_that_is_gone_is_told_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = Supervisor({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    one.ready()
    one.alive()
    assert caplog.messages == ["systemd cannot be told READY=1: No such file or directory"]


def test_a_supervisor_that_does_not_read_holds_nobody_up(heard: socket.socket) -> None:
    one = supervisor(heard)
    for _ in range(2000):  # more than its socket's queue holds
        one.alive("x" * 200)
    assert told(heard).startswith("WATCHDOG=1")
