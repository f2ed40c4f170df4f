"""transport.data: a subscriber's socket waits as long as it is told, and can be woken."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from ipcpy.addresses import NOWHERE, Way
from ipcpy.errors import TransportError
from ipcpy.transport import kernel, probes
from ipcpy.transport.data import DataSocket

HOST = "127.0.0.1"

waits = pytest.mark.skipif(not kernel.CAN_WAIT, reason="sockets never wait here")


@pytest.fixture
def receiver() -> Iterator[DataSocket]:
    one = DataSocket(HOST)
    yield one
    one.close()


@pytest.fixture
def sender(receiver: DataSocket) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        sock.connect((HOST, receiver.port))
        yield sock


def test_it_is_bound_to_a_port_of_its_own(receiver: DataSocket) -> None:
    other = DataSocket("")
    assert 0 < receiver.port != other.port > 0
    other.close()
    assert other.fileno() == -1


def test_an_address_that_is_not_ours_is_refused_and_leaves_no_descriptor() -> None:
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    with pytest.raises(TransportError, match="cannot bind a UDP socket to '192.0.2.1'") as caught:
        DataSocket("192.0.2.1")
    assert caught.value.errno == errno.EADDRNOTAVAIL
    if sys.platform == "linux":
        assert len(os.listdir("/proc/self/fd")) == before


def test_it_asks_for_the_buffer_that_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "BUFFER", 50_000)
    small = DataSocket(HOST)
    assert small.capacity in (50_000, 100_000)  # Linux doubles it for its own needs, socket(7)
    small.close()


@waits
def test_recvfrom_waits_for_the_timeout_and_no_longer(receiver: DataSocket, sender: socket.socket) -> None:
    receiver.set_timeout(0.05)
    start = time.monotonic()
    with pytest.raises(BlockingIOError):
        receiver.recvfrom(kernel.RECEIVE_SIZE)
    assert time.monotonic() - start >= 0.04
    sender.send(b"hello")
    assert receiver.recvfrom(kernel.RECEIVE_SIZE) == (b"hello", sender.getsockname())
    assert receiver.timeout == 0.05


@waits
@pytest.mark.parametrize(
    ("timeout", "value"),
    [(None, (0, 0)), (0.0, (0, 1)), (1e-9, (0, 1)), (0.25, (0, 250_000)), (2.5, (2, 500_000)), (3600.0, (3600, 0))],
)
def test_a_timeout_reaches_the_kernel_as_a_timeval(
    receiver: DataSocket, timeout: float | None, value: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And none of 0, which the kernel takes for ever."""
    found = []
    pack = kernel.struct.pack
    monkeypatch.setattr(kernel.struct, "pack", lambda form, *numbers: found.append(numbers) or pack(form, *numbers))
    receiver.set_timeout(timeout)
    assert found == [value]
    assert receiver.timeout == timeout


@waits
def test_wake_ends_a_wait_without_end(receiver: DataSocket) -> None:
    receiver.set_timeout(None)
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(receiver.recvfrom(kernel.RECEIVE_SIZE)))
    thread.start()
    receiver.wake()
    thread.join(30)
    assert found == [(b"", (HOST, receiver.port))]


def test_receive_into_fills_buffers_one_after_the_other(receiver: DataSocket, sender: socket.socket) -> None:
    sender.send(b"headbody!")
    head, body = bytearray(4), bytearray(8)
    assert receiver.receive_into([head, memoryview(body)]) == (9, sender.getsockname())
    assert (head, body) == (b"head", b"body!\0\0\0")


def test_answers_go_where_they_should_and_what_is_refused_is_lost(receiver: DataSocket, sender: socket.socket) -> None:
    receiver.sendto(b"answer", sender.getsockname())
    sender.settimeout(10)
    assert sender.recvfrom(10) == (b"answer", (HOST, receiver.port))
    receiver.sendto(bytes(70_000), sender.getsockname())
    receiver.sendto(b"broadcast", ("255.255.255.255", 9))  # refused without SO_BROADCAST
    receiver.close()
    receiver.sendto(b"closed", sender.getsockname())
    receiver.wake()
    sender.setblocking(False)
    with pytest.raises(BlockingIOError):
        sender.recv(10)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can be told")
def test_answers_leave_from_the_address_that_they_are_given() -> None:
    """Any address of 127.0.0.0/8 is ours."""
    with contextlib.closing(DataSocket("")) as open_to_all, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.bind((HOST, 0))
        asker.settimeout(10)
        open_to_all.sendto(b"by our own choice", asker.getsockname(), Way(0, "127.0.0.77"))
        open_to_all.sendto(b"stays", asker.getsockname(), NOWHERE)
        open_to_all.sendto(b"by the system's", asker.getsockname())
        assert asker.recvfrom(100) == (b"by our own choice", ("127.0.0.77", open_to_all.port))
        assert asker.recvfrom(100) == (b"by the system's", (HOST, open_to_all.port))


@pytest.mark.skipif(sys.platform != "linux", reason="UDP GRO is Linux's")
def test_datagrams_of_one_call_arrive_merged(receiver: DataSocket, sender: socket.socket) -> None:
    """GRO is on: the segments that one call sends cross loopback as one, and reach one call with their bytes."""
    if not (probes.has_gso() and probes.has_gro()):
        pytest.skip("this kernel neither cuts nor merges datagrams")
    segment = [(kernel.SOL_UDP, kernel.UDP_SEGMENT, (1_000).to_bytes(2, sys.byteorder))]
    sender.sendmsg([bytes(3_000)], segment)
    assert [len(one) for one, _ in receiver.poll_all(10)] == [3_000]
