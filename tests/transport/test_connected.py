"""transport.connected: a publisher's socket tells who is gone, and how many datagrams a system call sends."""

from __future__ import annotations

import errno
import os
import resource
import select
import socket
import struct
import sys
from collections.abc import Iterator

import pytest

from ipcpy.addresses import NOWHERE, Way
from ipcpy.errors import TransportError
from ipcpy.fast import COMPILED, compiled
from ipcpy.protocol.data.fragments import Outgoing
from ipcpy.protocol.data.heads import Place
from ipcpy.transport import connected, kernel
from ipcpy.transport.connected import ConnectedSocket

HOST = "127.0.0.1"
ETHERNET = 1_472

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux's")


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        sock.settimeout(10)
        yield sock


@pytest.fixture
def sender(receiver: socket.socket) -> Iterator[ConnectedSocket]:
    one = ConnectedSocket(receiver.getsockname(), ETHERNET)
    yield one
    one.close()


# -- one to one ------------------------------------------------------------------------------------------------------


def test_it_sends_to_one_address_and_hears_its_answers(sender, receiver):
    assert (sender.address, sender.datagram, sender.source) == (receiver.getsockname(), ETHERNET, HOST)
    assert sender.poll() is None
    assert sender.send(b"hello") == 5
    data, address = receiver.recvfrom(100)
    assert data == b"hello"
    for answer in (b"one", b"", b"two"):
        receiver.sendto(answer, address)
    assert [sender.poll() for _ in range(4)] == [b"one", b"", b"two", None]


def test_what_others_send_there_is_not_heard(sender, receiver):
    sender.send(b"hello")
    _, address = receiver.recvfrom(100)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"forged", address)
    assert sender.poll() is None


def test_only_the_way_to_this_host_by_its_usual_address_loses_nothing():
    for host, lossy in ((HOST, False), ("127.0.0.2", True)):
        sock = ConnectedSocket((host, 9), ETHERNET)
        assert sock.lossy == lossy
        sock.close()


@linux
def test_a_subscriber_that_is_gone_is_told_once(sender, receiver):
    receiver.close()
    sender.send(b"anybody?")
    select.select([sender], [], [], 10)
    with pytest.raises(ConnectionRefusedError):
        sender.poll()
    assert sender.poll() is None


def test_an_address_without_a_way_is_refused_and_leaves_no_descriptor():
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    with pytest.raises(TransportError, match="no way to 255.255.255.255") as caught:
        ConnectedSocket(("255.255.255.255", 9), ETHERNET)  # broadcast is refused without SO_BROADCAST
    assert caught.value.errno in (errno.EACCES, errno.ENETUNREACH)
    if sys.platform == "linux":
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_closed_socket_says_so(sender):
    assert not sender.closed
    sender.close()
    sender.close()
    assert sender.closed
    assert sender.poll() is None
    with pytest.raises(OSError):
        sender.send(b"hello")


def test_send_is_the_system_s_own_call(sender):
    assert type(sender.send) is type(len)  # a Python function there would cost every message


@linux
def test_a_send_waits_50_ms_at_most_and_its_buffer_is_what_was_asked_for(receiver, monkeypatch):
    monkeypatch.setattr(kernel, "BUFFER", 50_000)
    sender = ConnectedSocket(receiver.getsockname(), ETHERNET)
    with socket.socket(fileno=os.dup(sender.fileno())) as same:
        timeval = same.getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, 16)
        assert same.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 100_000  # doubled, socket(7)
    seconds, microseconds = struct.unpack("ll", timeval)
    assert seconds == 0 and 50_000 <= microseconds < 60_000
    sender.close()


@linux
def test_the_size_of_segments_is_told_as_udp_7_says():
    size = (1_472).to_bytes(2, sys.byteorder)
    assert connected._segments(1_472) == [(17, 103, size)]


@linux
def test_many_datagrams_arrive_one_by_one_and_whole(sender, receiver):
    wanted = list(map(b"".join, datagrams(50)))  # 44 and 6 in a call; more than that might not fit the buffer
    sender.send_many(datagrams(50)[:-1] + [(b"short",)], ETHERNET)
    assert [receiver.recv(2_000) for _ in range(50)] == [*wanted[:-1], b"short"]


# -- how many in a call ----------------------------------------------------------------------------------------------


class Calls:
    """Stands in for the system's socket."""

    def __init__(self, refuses: int = 0) -> None:
        self.refuses = refuses
        self.sent: list[bytes] = []
        self.calls = 0
        self.setsockopt = self.connect = self.close = lambda *_: None
        self.fileno = self.send = lambda *_: -1

    def getsockname(self):
        return HOST, 1

    def sendmsg(self, buffers, options=()):
        self.calls += 1
        if options and self.refuses:
            raise OSError(self.refuses, "no")
        self.sent.append(b"".join(buffers))


@pytest.fixture
def sending_by(monkeypatch):
    def sending_by(calls):
        monkeypatch.setattr(connected, "udp_socket", lambda: calls)
        return ConnectedSocket((HOST, 9), ETHERNET)

    return sending_by


def datagrams(count):
    return [(b"%044d" % number, bytes(ETHERNET - 44)) for number in range(count)]


@linux
@pytest.mark.parametrize(("count", "calls"), [(1, [1]), (44, [44]), (45, [44, 1]), (100, [44, 44, 12])])
def test_44_datagrams_for_ethernet_go_in_a_call(sending_by, count, calls):
    system = Calls()
    sending_by(system).send_many(datagrams(count), ETHERNET)
    assert [len(data) // ETHERNET for data in system.sent] == calls
    assert b"".join(system.sent) == b"".join(map(b"".join, datagrams(count)))


@pytest.mark.parametrize("reason", [0, errno.EIO])
@pytest.mark.parametrize("segment", [ETHERNET, 10_000])
def test_what_lies_end_to_end_goes_as_the_same_datagrams(sending_by, segment, reason):
    data = bytes(range(256)) * 400
    joined, apart = Calls(reason), Calls(reason)
    sending_by(joined).send_joined(data, segment)
    sending_by(apart).send_many([(data[at : at + segment],) for at in range(0, len(data), segment)], segment)
    assert joined.sent == apart.sent and joined.calls == apart.calls


def test_a_refusal_of_what_lies_end_to_end_is_told(sending_by):
    if kernel.LINUX:
        with pytest.raises(ConnectionRefusedError):
            sending_by(Calls(errno.ECONNREFUSED)).send_joined(bytes(5_000), ETHERNET)


def test_a_plain_socket_lays_nothing(sending_by):
    sock = sending_by(Calls())
    assert not sock.lays and not sock.send_laid(b"head", memoryview(b"data"), 4)


@linux
@pytest.mark.skipif(not COMPILED, reason="the compiled part is not there")
@pytest.mark.parametrize("codec", [0, 0x400])
@pytest.mark.parametrize(("size", "count", "rest"), [(1_428, 60, 5), (1_428, 1, 0), (9_001, 7, 100), (60_000, 3, 1)])
def test_a_run_is_sent_as_the_datagrams_of_its_fragments(sender, receiver, size, count, rest, codec):
    body = memoryview(os.urandom(count * size + rest))
    message = Outgoing(Place(7, 1, 5, codec, len(body), size), [body])
    for first, stop in ((0, message.count), (message.count - 1, message.count), (0, count)):
        assert sender.runs and sender.send_run(message.heads.common, first, message.stretch(first, stop))
        for each in message.fragments(range(first, stop)):
            assert receiver.recv(65_536) == b"".join(each)


@linux
@pytest.mark.skipif(not COMPILED, reason="the compiled part is not there")
def test_what_a_run_is_refused_for_is_told_or_sent_otherwise(sender, receiver, monkeypatch):
    common = Outgoing(Place(7, 1, 5, 0, 5_000, 1_428), [memoryview(bytes(5_000))]).heads.common
    for number, size in ((0, 0), (0, 1_427), (0, 5_001), (3, 717), (4, 1), (1 << 40, 1_428), (1 << 63, 1_428)):
        with pytest.raises(ValueError, match="no fragments"):
            sender.send_run(common, number, memoryview(bytes(size)))
    with pytest.raises(ValueError, match="no fragments"):
        sender.send_run(common[:-1], 0, memoryview(bytes(5_000)))
    receiver.close()
    sender.send(b"anybody?")
    select.select([sender], [], [], 10)
    with pytest.raises(ConnectionRefusedError):
        sender.send_run(common, 0, memoryview(bytes(5_000)))
    assert sender.runs

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "no offload")

    monkeypatch.setattr(compiled, "send_run", refuse)
    assert not sender.send_run(common, 0, memoryview(bytes(5_000))) and not sender.runs


@linux
@pytest.mark.skipif(not COMPILED, reason="the compiled part is not there")
def test_no_run_is_sent_by_a_number_that_may_be_another_files_one_day(sender, receiver):
    common = Outgoing(Place(7, 1, 5, 0, 5_000, 1_428), [memoryview(bytes(5_000))]).heads.common
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, limits[1]))  # no further number for the socket
    try:
        sent = sender.send_run(common, 0, memoryview(bytes(5_000)))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert not sent and sender.runs
    assert not select.select([receiver], [], [], 0)[0]


@linux
@pytest.mark.skipif(not COMPILED, reason="the compiled part is not there")
def test_a_socket_that_sends_in_a_way_of_its_own_sends_no_runs(sending_by, receiver):
    class Own(ConnectedSocket):
        def send_many(self, datagrams: object, segment: int) -> None:
            raise NotImplementedError

    own = Own(receiver.getsockname(), ETHERNET)
    assert not own.runs and not sending_by(Calls()).runs
    own.close()


def test_large_datagrams_go_one_by_one(sending_by):
    system = Calls()
    sending_by(system).send_many([(b"a", bytes(60_000)), (b"b", bytes(100))], 60_001)
    assert list(map(len, system.sent)) == [60_001, 101]


@pytest.mark.parametrize("reason", [errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP])
def test_a_device_that_cannot_is_sent_one_by_one(sending_by, reason):
    system = Calls(reason)
    sock = sending_by(system)
    for _ in range(2):
        system.sent.clear()
        sock.send_many(datagrams(50), ETHERNET)
        assert system.sent == list(map(b"".join, datagrams(50)))
    if kernel.LINUX:
        assert system.calls == 1 + 2 * 50  # asked once, and then never again


@linux
def test_a_refusal_is_told(sending_by):
    with pytest.raises(ConnectionRefusedError):
        sending_by(Calls(errno.ECONNREFUSED)).send_many(datagrams(50), ETHERNET)


def test_without_gso_each_datagram_is_a_call(sending_by, monkeypatch):
    monkeypatch.setattr(connected, "LINUX", False)
    system = Calls()
    sending_by(system).send_many(datagrams(3), ETHERNET)
    assert system.sent == list(map(b"".join, datagrams(3)))


@linux
def test_no_call_sends_more_than_the_kernel_takes(sending_by):
    system = Calls()
    sending_by(system).send_many([(bytes(100),)] * 200, 100)
    assert [len(data) // 100 for data in system.sent] == [64, 64, 64, 8]
    assert max(map(len, system.sent)) <= kernel.MAX_PAYLOAD


# -- on Windows


class Windows(Calls):
    """Stands in for a socket without ``sendmsg``, which tells of a closed port by another error."""

    sendmsg = property()  # hasattr says no

    def __init__(self):
        super().__init__()
        self.send = lambda data: self.sent.append(bytes(data))

    def recv(self, *_):
        raise ConnectionResetError(errno.ECONNRESET, "forcibly closed by the remote host")


def test_without_sendmsg_the_parts_of_a_datagram_are_joined(sending_by):
    system = Windows()
    sending_by(system).send_many(datagrams(3), ETHERNET)
    assert system.sent == list(map(b"".join, datagrams(3)))


def test_a_port_that_windows_calls_reset_is_one_where_nobody_listens(sending_by):
    with pytest.raises(ConnectionRefusedError):
        sending_by(Windows()).poll()


# -- by which way


@linux
def test_it_is_bound_to_the_way_before_the_route_is_chosen(receiver):
    sender = ConnectedSocket(receiver.getsockname(), ETHERNET, Way(0, "127.0.0.77"))
    assert sender.source == "127.0.0.77"
    sender.send(b"hello")
    assert receiver.recvfrom(10)[1][0] == "127.0.0.77"
    sender.close()


def test_without_a_way_there_is_no_socket(receiver):
    with pytest.raises(TransportError, match="no way to 127.0.0.1: none of the interfaces that the settings name"):
        ConnectedSocket(receiver.getsockname(), ETHERNET, NOWHERE)
