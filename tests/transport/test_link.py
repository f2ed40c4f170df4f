"""transport.link: a node's socket sends on whatever earlier datagrams found, and tells what they found."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import sys
from collections.abc import Callable, Iterator

import pytest

from ipcpy.addresses import NOWHERE, Way
from ipcpy.errors import TransportError
from ipcpy.transport import kernel
from ipcpy.transport import link as module
from ipcpy.transport.group import GROUP, GROUP_PORT, GroupSocket
from ipcpy.transport.interfaces import list_interfaces
from ipcpy.transport.link import LinkSocket

HOST = "127.0.0.1"
NO_INTERFACE = 2**31 - 1

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux's")


@pytest.fixture(scope="module")
def lo() -> int:
    return next(each.index for each in list_interfaces() if each.loopback)


@pytest.fixture
def link() -> Iterator[LinkSocket]:
    one = LinkSocket(HOST, ())
    yield one
    one.close()


@pytest.fixture
def other() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        sock.settimeout(10)
        yield sock


@pytest.fixture
def nobody(other: socket.socket) -> tuple[str, int]:
    """An address at which nobody listens."""
    address = other.getsockname()
    other.close()
    return address


def knock(link: LinkSocket, address: tuple[str, int]) -> None:
    """Send to where nobody listens, and wait until the socket has an error to report."""
    assert link.sendto(b"anybody?", address)
    poll = select.poll()
    poll.register(link, 0)
    assert poll.poll(10_000)[0][1] & select.POLLERR


# -- binding ---------------------------------------------------------------------------------------------------------


def test_the_first_port_that_is_free_is_taken_and_then_any(other: socket.socket) -> None:
    taken = other.getsockname()[1]
    first = LinkSocket(HOST, ())
    free = first.port
    first.close()
    chosen = LinkSocket(HOST, (taken, free))
    assert chosen.port == free
    fallback = LinkSocket(HOST, (taken, free))
    assert fallback.port not in (taken, free, 0)
    chosen.close()
    fallback.close()


def test_an_address_that_is_not_ours_is_refused_and_leaves_no_descriptor() -> None:
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    with pytest.raises(TransportError, match="cannot bind a UDP socket to '192.0.2.1'") as caught:
        LinkSocket("192.0.2.1", (17_770, 17_771))
    assert caught.value.errno == errno.EADDRNOTAVAIL
    if sys.platform == "linux":
        assert len(os.listdir("/proc/self/fd")) == before


@linux
def test_it_is_set_up_for_one_hop_and_much_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "BUFFER", 50_000)
    link = LinkSocket(HOST, ())
    with socket.socket(fileno=os.dup(link.fileno())) as same:
        assert same.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 100_000  # doubled, socket(7)
        assert same.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 100_000
        assert same.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == 1
        assert same.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP) == 1
    link.close()


# -- unicast ---------------------------------------------------------------------------------------------------------


def test_unicast_goes_both_ways(link: LinkSocket, other: socket.socket) -> None:
    assert link.poll() is None
    assert link.sendto(b"hello", other.getsockname())
    assert other.recvfrom(10) == (b"hello", (HOST, link.port))
    other.sendto(b"answer", (HOST, link.port))
    assert link.poll() == (b"answer", other.getsockname())
    assert link.poll() is None


def test_what_the_system_refuses_is_told(link: LinkSocket, other: socket.socket) -> None:
    assert not link.sendto(bytes(70_000), other.getsockname())
    error = link.send_error(bytes(70_000), other.getsockname())
    assert error is not None and error.errno == errno.EMSGSIZE
    assert link.send_error(b"fits", other.getsockname()) is None
    link.close()
    link.close()
    assert not link.sendto(b"closed", other.getsockname())
    assert (link.poll(), link.failures(), link.fileno()) == (None, [], -1)


@linux
def test_a_refusal_from_elsewhere_does_not_keep_a_datagram_from_being_sent(
    link: LinkSocket, other: socket.socket
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        gone = sock.getsockname()
    knock(link, gone)
    assert link.sendto(b"hello", other.getsockname())
    assert other.recv(10) == b"hello"


@linux
def test_a_refusal_does_not_hide_a_datagram_that_came(link: LinkSocket, other: socket.socket) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        gone = sock.getsockname()
    other.sendto(b"answer", (HOST, link.port))
    knock(link, gone)
    assert link.poll() == (b"answer", other.getsockname())


@linux
def test_where_nobody_listens_is_told_once(link: LinkSocket, nobody: tuple[str, int]) -> None:
    assert link.failures() == []
    knock(link, nobody)
    assert link.failures() == [(nobody, True)]
    assert link.failures() == []


# -- multicast -------------------------------------------------------------------------------------------------------


def test_multicast_reaches_the_group_with_the_address_of_the_interface(link: LinkSocket, lo: int) -> None:
    group = GroupSocket()
    try:
        assert group.join([lo]) == {lo}
        assert link.multicast(b"hello", lo, HOST)
        assert select.select([group], [], [], 10)[0]
        assert group.poll() == (b"hello", (HOST, link.port))
    finally:
        group.close()


@pytest.mark.parametrize(("interface", "address"), [(NO_INTERFACE, HOST), (1, "192.0.2.1"), (1, "nonsense")])
def test_multicast_that_is_not_possible_now_is_told(link: LinkSocket, interface: int, address: str) -> None:
    assert not link.multicast(b"hello", interface, address)


# -- on a system that is made up -------------------------------------------------------------------------------------


class System:
    """Stands in for the system's socket: refuses so many sends, and has errors in its queue."""

    def __init__(self) -> None:
        self.refuses: list[int] = []
        self.queue: list[tuple[int, int, bytes]] = []
        self.sent: list[tuple[object, ...]] = []
        self.options: list[tuple[object, ...]] = []
        self.told: list[tuple[int, int, bytes]] = []
        self.calls = 0
        self.bind = self.setblocking = self.close = lambda *_: None
        self.fileno = lambda: -1
        self.recvfrom = lambda *_: self._call()

    def getsockname(self) -> tuple[str, int]:
        return HOST, 17_770

    def setsockopt(self, *option: object) -> None:
        self.options.append(option)

    def sendto(self, *sent: object) -> None:
        self._call()
        self.sent.append(sent)

    sendmsg = sendto

    def recvmsg(self, *kind: int) -> tuple[bytes, list[tuple[int, int, bytes]], int, tuple[str, int]]:
        if len(kind) < 3:  # a datagram, not what is in the queue of errors
            self._call()
            return b"came", self.told, 0, (HOST, 9)
        if not self.queue:
            raise BlockingIOError(errno.EAGAIN, "")
        return b"", [self.queue.pop(0)], 0, (HOST, 9)

    def _call(self) -> None:
        self.calls += 1
        if self.refuses:
            code = self.refuses.pop(0)
            raise OSError(code, os.strerror(code))


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    one = System()
    monkeypatch.setattr(module, "udp_socket", lambda *, blocking: one)
    return one


def test_multicast_is_sent_after_the_refusals_that_are_pending(system: System) -> None:
    link = LinkSocket(HOST, ())
    system.refuses = [errno.ECONNREFUSED] * 3
    assert link.multicast(b"hello", 1, HOST)
    assert (system.calls, len(system.sent)) == (4, 1)


@pytest.mark.parametrize("send", [lambda link: link.multicast(b"", 1, HOST), lambda link: link.poll() is not None])
def test_refusals_without_end_end_a_call(system: System, send: Callable[[LinkSocket], bool]) -> None:
    """Whoever answers each datagram with a forged refusal costs a few calls, and no recursion."""
    link = LinkSocket(HOST, ())
    system.refuses = [errno.ECONNREFUSED] * 10_000
    assert not send(link)
    assert system.calls == 16


def test_an_empty_socket_costs_one_call(system: System) -> None:
    link = LinkSocket(HOST, ())
    system.refuses = [errno.EAGAIN] * 16
    assert link.poll() is None
    assert system.calls == 1


@pytest.mark.parametrize(
    ("refuses", "sent", "calls"),
    [
        ([], True, 1),
        ([errno.ECONNREFUSED], True, 2),
        ([errno.ECONNREFUSED] * 2, False, 2),
        ([errno.EPERM], False, 1),
    ],
)
def test_unicast_is_tried_again_after_one_refusal(system: System, refuses: list[int], sent: bool, calls: int) -> None:
    link = LinkSocket(HOST, ())
    system.refuses = refuses
    assert link.sendto(b"hello", (HOST, 9)) == sent
    assert system.calls == calls


def test_what_windows_says_of_an_earlier_datagram_is_no_refusal(system: System) -> None:
    """ConnectionResetError, in every call."""
    link = LinkSocket(HOST, ())
    system.refuses = [errno.ECONNRESET] * 3
    assert link.poll() is not None
    system.refuses = [errno.ECONNRESET]
    assert link.sendto(b"hello", (HOST, 9))
    system.refuses = [errno.ECONNRESET] * 3
    assert link.multicast(b"hello", 1, HOST)


@linux
def test_it_tells_at_which_address_it_was_asked(system: System) -> None:
    one = LinkSocket(HOST, ())
    system.told = [(socket.IPPROTO_IP, 8, struct.pack("=i", 3) + bytes((10, 0, 0, 201, 10, 0, 0, 202)))]
    assert one.poll() == (b"came", (HOST, 9)) and one.asked == "10.0.0.202"
    system.told = []
    assert one.poll() is not None and one.asked == ""


@linux
def test_an_answer_leaves_from_where_it_was_asked(other: socket.socket) -> None:
    """Any address of 127.0.0.0/8 is ours; the system would answer from 127.0.0.1."""
    link = LinkSocket("", ())
    other.sendto(b"who is there?", ("127.0.0.77", link.port))
    assert select.select([link], [], [], 10)[0]
    assert link.poll() == (b"who is there?", other.getsockname()) and link.asked == "127.0.0.77"
    assert link.sendto(b"me", other.getsockname(), Way(0, link.asked))
    assert other.recvfrom(10) == (b"me", ("127.0.0.77", link.port))
    assert not link.sendto(b"me", other.getsockname(), NOWHERE)
    link.close()


@linux
def test_the_way_of_a_multicast_has_the_bytes_that_ip_7_says(system: System) -> None:
    assert LinkSocket(HOST, ()).multicast(b"hello", 258, "10.0.0.7")
    pktinfo = struct.pack("=i", 258) + bytes((10, 0, 0, 7, 0, 0, 0, 0))
    assert system.sent == [([b"hello"], [(socket.IPPROTO_IP, 8, pktinfo)], 0, (GROUP, GROUP_PORT))]


def test_elsewhere_an_option_of_the_socket_chooses_the_interface(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINUX", False)
    monkeypatch.setattr(module, "multicast_from", lambda *way: kernel.multicast_from(*way, "darwin"))
    link = LinkSocket(HOST, ())
    assert link.multicast(b"hello", 258, "10.0.0.7")
    assert system.options[-1] == (socket.IPPROTO_IP, socket.IP_MULTICAST_IF, bytes((0, 0, 1, 2)))
    assert system.sent == [(b"hello", (GROUP, GROUP_PORT))]
    assert link.failures() == []


@linux
@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (errno.ECONNREFUSED, [((HOST, 9), True)]),
        (errno.EHOSTUNREACH, [((HOST, 9), False)]),
        (errno.ENETUNREACH, [((HOST, 9), False)]),
        (errno.EHOSTDOWN, [((HOST, 9), False)]),
        (errno.EMSGSIZE, []),
    ],
)
def test_only_dead_ends_are_failures(system: System, code: int, failure: list[object]) -> None:
    system.queue = [
        (socket.IPPROTO_IP, 11, struct.pack("=I", code) + bytes(28)),  # IP_RECVERR: sock_extended_err, sockaddr_in
        (socket.IPPROTO_IP, socket.IP_TTL, struct.pack("=I", errno.ECONNREFUSED)),
    ]
    assert LinkSocket(HOST, ()).failures() == failure


@linux
def test_a_flood_of_failures_is_taken_in_parts(system: System) -> None:
    system.queue = [(socket.IPPROTO_IP, 11, struct.pack("=I", errno.ECONNREFUSED) + bytes(28))] * 300
    link = LinkSocket(HOST, ())
    assert [len(link.failures()) for _ in range(3)] == [256, 44, 0]
