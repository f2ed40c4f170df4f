"""transport.kernel: refusals become one error, a full table of descriptors is enlarged once, values have bytes."""

from __future__ import annotations

import errno
import os
import resource
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from ipcpy.addresses import NOWHERE, Way
from ipcpy.errors import IpcError, TransportError
from ipcpy.transport import kernel

linux = pytest.mark.skipif(sys.platform != "linux", reason="options of Linux")

real_socket = socket.socket


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with real_socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        yield one


# -- refusals --------------------------------------------------------------------------------------------------------


def test_a_refusal_becomes_a_transport_error_with_errno_and_words(sock: socket.socket) -> None:
    with pytest.raises(TransportError) as caught, kernel.refusals_as("cannot bind", sock):
        sock.bind(("192.0.2.1", 0))
    assert caught.value.errno == errno.EADDRNOTAVAIL
    assert caught.value.strerror == f"cannot bind: {os.strerror(errno.EADDRNOTAVAIL)}"
    assert isinstance(caught.value, IpcError) and isinstance(caught.value.__cause__, OSError)
    assert sock.fileno() == -1


def test_a_refusal_without_errno_keeps_its_words(sock: socket.socket) -> None:
    with pytest.raises(TransportError, match="no multicast: illegal IP address"), kernel.refusals_as("no multicast"):
        socket.inet_aton("nonsense")


def test_another_error_passes_as_it_is_and_the_socket_is_closed(sock: socket.socket) -> None:
    with pytest.raises(OverflowError), kernel.refusals_as("cannot bind", sock):
        sock.bind(("127.0.0.1", 70_000))
    assert sock.fileno() == -1


def test_a_socket_that_was_set_up_stays_open(sock: socket.socket) -> None:
    with kernel.refusals_as("cannot bind", sock):
        sock.bind(("127.0.0.1", 0))
    assert sock.fileno() != -1


# -- opening ---------------------------------------------------------------------------------------------------------


def test_a_socket_waits_unless_it_is_told_not_to() -> None:
    with kernel.udp_socket() as waits, kernel.udp_socket(blocking=False) as does_not:
        assert waits.getblocking() == kernel.CAN_WAIT
        assert not does_not.getblocking()
        assert waits.family == does_not.family == socket.AF_INET
        assert waits.type == does_not.type == socket.SOCK_DGRAM


@pytest.mark.parametrize("timeout", [0.01, 0.0])
def test_the_program_s_default_timeout_changes_nothing(timeout: float) -> None:
    socket.setdefaulttimeout(timeout)
    try:
        with kernel.udp_socket() as waits, kernel.udp_socket(blocking=False) as does_not:
            assert (waits.gettimeout(), does_not.gettimeout()) == (None if kernel.CAN_WAIT else 0.0, 0.0)
    finally:
        socket.setdefaulttimeout(None)


@pytest.mark.parametrize("module", ["gevent._socket3", "gevent.thread", "eventlet.greenio.base"])
def test_sockets_or_threads_of_greenlets_are_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """They wait where they were told not to, and the I/O thread would be no thread."""
    patched = type("patched", (), {"__module__": module})
    place = (threading, "Lock") if module == "gevent.thread" else (socket, "socket")
    monkeypatch.setattr(*place, patched)
    with pytest.raises(TransportError, match=rf"{module.partition('.')[0]} has replaced .*patch_all\(socket=False"):
        kernel.udp_socket()


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Have the system refuse a socket for some reasons, one after the other; return those that are left."""

    def refuse(*reasons: int) -> list[int]:
        left = list(reasons)

        def open_or_refuse(*kind: int) -> socket.socket:
            if left:
                code = left.pop(0)
                raise OSError(code, os.strerror(code))
            return real_socket(*kind)

        monkeypatch.setattr(socket, "socket", open_or_refuse)
        return left

    return refuse


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Collect the limits that are set, and set none."""
    found: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 4_096))
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: found.append(both))
    return found


def test_without_a_descriptor_the_limit_is_raised_and_the_system_asked_again(
    refusing: Callable[..., list[int]], limits: list[tuple[int, int]]
) -> None:
    refusing(errno.EMFILE)
    kernel.udp_socket().close()
    assert limits == [(4_096, 4_096)]


def test_the_system_is_asked_twice_and_no_more(
    refusing: Callable[..., list[int]], limits: list[tuple[int, int]]
) -> None:
    left = refusing(*[errno.EMFILE] * 10)
    with pytest.raises(TransportError, match="no UDP socket to be had") as caught:
        kernel.udp_socket()
    assert caught.value.errno == errno.EMFILE
    assert (len(left), limits) == (8, [(4_096, 4_096)])


@pytest.mark.parametrize("error", [OSError(errno.EPERM, ""), ValueError("exceeds the maximum")])
def test_a_limit_that_cannot_be_raised_is_no_other_error(
    refusing: Callable[..., list[int]], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(resource, "setrlimit", refuse)
    refusing(errno.EMFILE, errno.EMFILE)
    with pytest.raises(TransportError) as caught:
        kernel.udp_socket()
    assert caught.value.errno == errno.EMFILE
    refusing(errno.EMFILE)
    kernel.udp_socket().close()  # a descriptor came free meanwhile, or another thread raised the limit


def test_any_other_reason_raises_no_limit(refusing: Callable[..., list[int]], limits: list[tuple[int, int]]) -> None:
    left = refusing(errno.ENFILE, errno.ENFILE)
    with pytest.raises(TransportError) as caught:
        kernel.udp_socket()
    assert (caught.value.errno, len(left), limits) == (errno.ENFILE, 1, [])


def test_a_program_that_used_up_its_descriptors_still_gets_a_socket() -> None:
    """With a table that is really full, so that nothing more can be imported either."""
    program = """if True:
        import os, resource
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        import sys
        del resource, sys.modules["resource"]
        from ipcpy.transport.kernel import udp_socket
        try:
            while True:
                last = os.open(os.devnull, os.O_RDONLY)
        except OSError:
            pass
        print(last, udp_socket().fileno())
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard <= 64:
        pytest.skip("the hard limit of open files is as low")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "63 64\n", done.stderr


# -- options ---------------------------------------------------------------------------------------------------------


def test_an_option_is_set_or_refused(sock: socket.socket) -> None:
    assert kernel.try_option(sock, socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 7)
    assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == 7
    assert not kernel.try_option(sock, socket.IPPROTO_IP, 9_999, 1)


def test_buffers_are_enlarged_one_by_one(sock: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    monkeypatch.setattr(kernel, "BUFFER", 10_000)
    kernel.enlarge(sock, socket.SO_RCVBUF)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) in (10_000, 20_000)  # Linux doubles it, socket(7)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == before


@linux
def test_drops_count_what_did_not_fit(sock: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "BUFFER", 0)
    kernel.enlarge(sock, socket.SO_RCVBUF)
    sock.bind(("127.0.0.1", 0))
    assert kernel.drops(sock) == 0
    with real_socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(100):
            sender.sendto(bytes(1_000), sock.getsockname())
    sock.setblocking(False)
    received = 0
    with pytest.raises(BlockingIOError):
        while sock.recv(2_000):
            received += 1
    assert 0 < received < 100
    assert kernel.drops(sock) == 100 - received


def test_drops_are_0_where_the_system_does_not_tell(sock: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    sock.close()
    assert kernel.drops(sock) == 0
    monkeypatch.setattr(kernel, "LINUX", False)
    assert kernel.drops(sock) == 0


@linux
@pytest.mark.parametrize("answer", [b"", bytes(32), bytes(35)])
def test_drops_are_0_where_an_old_kernel_tells_less(answer: bytes) -> None:
    class Old:
        def getsockopt(self, *_: int) -> bytes:
            return answer

    assert kernel.drops(Old()) == 0  # type: ignore[arg-type]


# -- by which way ----------------------------------------------------------------------------------------------------


class System:
    """Stands in for the system's socket, and keeps what it is told."""

    def __init__(self) -> None:
        self.bound: list[object] = []
        self.options: list[tuple[object, ...]] = []
        self.sent: list[tuple[object, ...]] = []
        self.bind = self.bound.append

    def setsockopt(self, *option: object) -> None:
        self.options.append(option)

    def sendto(self, *sent: object) -> None:
        self.sent.append(sent)

    sendmsg = sendto


@linux
def test_a_socket_is_bound_to_its_way() -> None:
    system = System()
    kernel.bind_to(system, Way(258, "10.0.0.201"))  # type: ignore[arg-type]
    assert system.bound == [("10.0.0.201", 0)]
    assert system.options == [(socket.IPPROTO_IP, 50, bytes((0, 0, 1, 2)))]
    system = System()
    kernel.bind_to(system, Way(0, "10.0.0.201"))  # type: ignore[arg-type]
    assert (system.bound, system.options) == ([("10.0.0.201", 0)], [])


@linux
def test_a_datagram_leaves_by_its_way_and_stays_where_there_is_none() -> None:
    system, there = System(), ("10.0.0.7", 9)
    kernel.send_by(system, b"a", there, None)  # type: ignore[arg-type]
    kernel.send_by(system, b"b", there, Way(258, "10.0.0.201"), 64)  # type: ignore[arg-type]
    way = struct.pack("=i", 258) + bytes((10, 0, 0, 201, 0, 0, 0, 0))
    assert system.sent == [(b"a", 0, there), ([b"b"], [(socket.IPPROTO_IP, 8, way)], 64, there)]
    for refused in (
        lambda: kernel.send_by(system, b"c", there, NOWHERE),  # type: ignore[arg-type]
        lambda: kernel.bind_to(system, NOWHERE),  # type: ignore[arg-type]
    ):
        with pytest.raises(OSError, match="none of the interfaces that the settings name is up") as caught:
            refused()
        assert caught.value.errno == errno.ENETUNREACH
    assert (len(system.sent), system.bound) == (2, [])


# -- values ----------------------------------------------------------------------------------------------------------


def test_values_of_multicast_have_the_bytes_that_ip_7_says() -> None:
    index = struct.pack("=i", 258)
    assert kernel.membership("239.1.2.3", 258, "linux") == bytes((239, 1, 2, 3, 0, 0, 0, 0)) + index
    assert kernel.multicast_from(258, "10.0.0.7", "linux") == bytes((0, 0, 0, 0, 10, 0, 0, 7)) + index
    assert kernel.in_pktinfo(258, "10.0.0.7") == index + bytes((10, 0, 0, 7, 0, 0, 0, 0))
    with pytest.raises(OSError):
        kernel.in_pktinfo(1, "nonsense")


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_macos_and_windows_are_told_an_interface_as_an_address_that_begins_with_0(platform: str) -> None:
    """An ip_mreq and an address, both in network byte order; an ip_mreqn would mean the default interface."""
    assert kernel.membership("239.1.2.3", 258, platform) == bytes((239, 1, 2, 3, 0, 0, 1, 2))
    assert kernel.multicast_from(258, "10.0.0.7", platform) == bytes((0, 0, 1, 2))


@pytest.mark.parametrize("platform", ["darwin", "win32"])
@pytest.mark.parametrize("index", [0, 1 << 24])
def test_an_interface_without_an_index_is_refused_for_the_system_would_take_another(platform: str, index: int) -> None:
    with pytest.raises(OSError, match="no index"):
        kernel.multicast_from(index, "127.0.0.1", platform)
    with pytest.raises(OSError, match="no index"):
        kernel.membership("239.1.2.3", index, platform)


def test_a_timeval_has_two_longs_and_where_time_has_64_bits_and_long_32_two_numbers_of_64() -> None:
    assert kernel.timeval(20, 2.5) == struct.pack("@ll", 2, 500_000)
    for option in (66, 67):  # SO_RCVTIMEO_NEW, SO_SNDTIMEO_NEW: socket.SO_RCVTIMEO on armv7 with 64-bit time
        assert kernel.timeval(option, 2.5) == struct.pack("=qq", 2, 500_000)
    assert kernel.timeval(20, 0.0) == struct.pack("@ll", 0, 0)
    assert kernel.timeval(20, 1e-9) == struct.pack("@ll", 0, 1), "0 would be for ever"


@linux
def test_the_options_of_64_bit_time_are_taken_as_they_are_packed(sock: socket.socket) -> None:
    """The kernel knows them on every machine; on 32-bit ones they are what Python's names stand for."""
    for option in kernel.TIME64:
        sock.setsockopt(socket.SOL_SOCKET, option, kernel.timeval(option, 0.5))
        seconds, microseconds = struct.unpack("=qq", sock.getsockopt(socket.SOL_SOCKET, option, 16))
        assert (seconds, microseconds) == (0, 500_000)


@linux
def test_the_kernel_reads_the_send_timeout_as_50_ms(sock: socket.socket) -> None:
    value = kernel.timeval(socket.SO_SNDTIMEO, kernel.SEND_TIMEOUT)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)
    seconds, microseconds = struct.unpack("ll", sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, 16))
    assert seconds == 0
    assert 50_000 <= microseconds < 60_000  # rounded up to the kernel's ticks


@linux
def test_the_numbers_of_linux_are_those_of_its_options(sock: socket.socket) -> None:
    """Each is set and read back, or does what it is there for."""
    for level, option, value in (
        (socket.IPPROTO_IP, kernel.IP_PKTINFO, 1),
        (socket.IPPROTO_IP, kernel.IP_RECVERR, 1),
        (socket.IPPROTO_IP, kernel.IP_MULTICAST_ALL, 0),
        (kernel.SOL_UDP, kernel.UDP_SEGMENT, 1_400),
    ):
        sock.setsockopt(level, option, value)
        assert sock.getsockopt(level, option) == value
    sock.setsockopt(kernel.SOL_UDP, kernel.UDP_GRO, 1)
    known = {"IP_PKTINFO": kernel.IP_PKTINFO, "IP_RECVERR": kernel.IP_RECVERR, "MSG_ERRQUEUE": kernel.MSG_ERRQUEUE}
    for name, number in known.items():  # where Python has a name by now
        assert getattr(socket, name, number) == number


def test_sizes_follow_from_the_headers() -> None:
    assert kernel.MAX_PAYLOAD == 0xFFFF - kernel.IP_UDP_HEADERS
    assert kernel.RECEIVE_SIZE > kernel.MAX_PAYLOAD
    assert kernel.LOOPBACK_DATAGRAM + kernel.IP_UDP_HEADERS <= 65_536
