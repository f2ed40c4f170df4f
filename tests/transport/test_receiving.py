"""transport.receiving: a look for datagrams never waits and never raises."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from ipcpy.transport import kernel
from ipcpy.transport.receiving import ReceivingSocket

HOST = "127.0.0.1"


@pytest.fixture(params=[True, False], ids=["blocking", "non-blocking"])
def receiver(request: pytest.FixtureRequest) -> Iterator[ReceivingSocket]:
    sock = kernel.udp_socket(blocking=request.param)
    sock.bind((HOST, 0))
    one = ReceivingSocket(sock)
    yield one
    one.close()


@pytest.fixture
def sender(receiver: ReceivingSocket) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        with socket.socket(fileno=socket.dup(receiver.fileno())) as same:
            sock.connect(same.getsockname())
        yield sock


def test_poll_takes_one_datagram_at_a_time_and_does_not_wait(receiver: ReceivingSocket, sender: socket.socket) -> None:
    assert receiver.poll() is None
    for data in (b"one", b"", bytes(65_507)):
        sender.send(data)
    taken = [receiver.poll() for _ in range(4)]
    source = sender.getsockname()
    assert taken == [(b"one", source), (b"", source), (bytes(65_507), source), None]


def test_poll_all_stops_at_a_count(receiver: ReceivingSocket, sender: socket.socket) -> None:
    for number in range(5):
        sender.send(b"%d" % number)
    assert receiver.poll_all(0) == []
    assert [data for data, _ in receiver.poll_all(3)] == [b"0", b"1", b"2"]
    assert [data for data, _ in receiver.poll_all(3)] == [b"3", b"4"]
    assert receiver.poll_all(3) == []


def test_poll_all_stops_once_it_has_so_many_bytes(receiver: ReceivingSocket, sender: socket.socket) -> None:
    for _ in range(5):
        sender.send(bytes(100))
    assert len(receiver.poll_all(10, 200)) == 2
    assert len(receiver.poll_all(10, 101)) == 2
    assert receiver.poll_all(10, 0) == []
    assert len(receiver.poll_all(10, 1)) == 1


def test_a_closed_socket_has_nothing(receiver: ReceivingSocket, sender: socket.socket) -> None:
    sender.send(b"too late")
    receiver.close()
    receiver.close()
    assert (receiver.poll(), receiver.poll_all(10), receiver.drops(), receiver.fileno()) == (None, [], 0, -1)


def test_drops_are_those_of_its_socket(receiver: ReceivingSocket) -> None:
    assert receiver.drops() == 0


def test_recvfrom_is_the_system_s_own_call(receiver: ReceivingSocket) -> None:
    assert type(receiver.recvfrom) is type(len)  # a Python function there would cost every message


class Windows:
    """Stands in for a socket that tells in each call that an earlier datagram found nobody."""

    def __init__(self, *comes: bytes | None) -> None:
        self.comes, self.calls = list(comes), 0
        self.fileno = lambda: -1

    def recvfrom(self, *_: int) -> tuple[bytes, tuple[str, int]]:
        self.calls += 1
        if not self.comes:
            raise BlockingIOError
        data = self.comes.pop(0)
        if data is None:
            raise ConnectionResetError
        return data, (HOST, 9)


def test_that_earlier_datagrams_found_nobody_hides_none_that_came() -> None:
    one = ReceivingSocket(Windows(None, None, b"a", None, b"b"))  # type: ignore[arg-type]
    assert one.poll() == (b"a", (HOST, 9))
    assert one.poll_all(10) == [(b"b", (HOST, 9))]
    assert one.poll() is None


def test_refusals_without_end_end_a_look() -> None:
    windows = Windows(*[None] * 10_000)
    one = ReceivingSocket(windows)  # type: ignore[arg-type]
    assert one.poll() is None and one.poll_all(10) == []
    assert windows.calls <= 40


@pytest.mark.parametrize("look", [lambda one: one.poll(), lambda one: one.poll_all(5)])
def test_a_timeout_error_that_a_signal_handler_raised_meanwhile_is_raised(receiver: ReceivingSocket, look) -> None:
    def interrupted(*_: int) -> tuple[bytes, tuple[str, int]]:
        raise TimeoutError("as the handler of a program's alarm does")

    receiver.recvfrom = interrupted
    with pytest.raises(TimeoutError, match="alarm"):
        look(receiver)
