"""transport.group: multicast on loopback, and what the system refuses of it."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from ipcpy.errors import TransportError
from ipcpy.transport import group as module
from ipcpy.transport import kernel
from ipcpy.transport.group import GROUP, GROUP_PORT, FanoutSocket, GroupSocket
from ipcpy.transport.interfaces import list_interfaces

HOST = "127.0.0.1"
ELSEWHERE = "239.255.77.71"
NO_INTERFACE = 2**31 - 1

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux's")


@pytest.fixture(scope="module")
def lo() -> int:
    return next(each.index for each in list_interfaces() if each.loopback)


@pytest.fixture
def port() -> int:
    """One that nobody has now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("", 0))
        return int(sock.getsockname()[1])


@pytest.fixture
def listener(port: int) -> Iterator[Callable[..., GroupSocket]]:
    with ExitStack() as stack:

        def listener(group: str = ELSEWHERE) -> GroupSocket:
            one = GroupSocket(group, port)
            stack.callback(one.close)
            return one

        yield listener


@pytest.fixture
def fanout(port: int, lo: int) -> Iterator[FanoutSocket]:
    one = FanoutSocket((ELSEWHERE, port), lo, HOST)
    yield one
    one.close()


def heard(one: GroupSocket | FanoutSocket, count: int = 1) -> list[bytes]:
    """Return what comes, once there is so much."""
    found: list[bytes] = []
    while len(found) < count and select.select([one], [], [], 10)[0]:
        found += [data for data, _ in one.poll_all(10)]
    return found


def option(one: GroupSocket | FanoutSocket, level: int, number: int, size: int = 0) -> object:
    """Return an option as the system has it for the socket."""
    with socket.socket(fileno=os.dup(one.fileno())) as same:
        return same.getsockopt(level, number, size) if size else same.getsockopt(level, number)


# -- the group -------------------------------------------------------------------------------------------------------


def test_the_group_of_nodes_stays_within_an_organisation() -> None:
    assert GROUP.startswith("239.255.")  # RFC 2365: the local scope
    assert 1_024 <= GROUP_PORT < 32_768  # below the ports that Linux gives by itself


def test_every_member_on_the_host_hears_what_is_sent(
    listener: Callable[..., GroupSocket], fanout: FanoutSocket, lo: int
) -> None:
    members = [listener(), listener()]
    assert [member.join([lo]) for member in members] == [{lo}, {lo}]
    fanout.send(b"hello")
    fanout.try_send(b"again")
    assert [heard(member, 2) for member in members] == [[b"hello", b"again"]] * 2


@linux
def test_who_is_no_member_hears_nothing_though_the_host_does(
    listener: Callable[..., GroupSocket], fanout: FanoutSocket, lo: int
) -> None:
    member, other = listener(), listener()
    member.join([lo])
    fanout.send(b"hello")
    assert heard(member) == [b"hello"]
    assert other.poll() is None


def test_a_member_is_one_on_exactly_the_interfaces_it_names(
    listener: Callable[..., GroupSocket], fanout: FanoutSocket, lo: int
) -> None:
    member, witness = listener(), listener()
    witness.join([lo])
    assert member.join([lo]) == member.join([lo]) == {lo}
    assert member.join([]) == set()
    fanout.send(b"nobody there")
    assert heard(witness) == [b"nobody there"]
    assert member.poll() is None
    assert member.join([lo]) == {lo}
    fanout.send(b"back again")
    assert heard(member) == [b"back again"]


def test_memberships_are_made_anew(listener: Callable[..., GroupSocket], fanout: FanoutSocket, lo: int) -> None:
    member = listener()
    assert member.rejoin([lo]) == {lo}
    assert member.rejoin([lo]) == {lo}
    fanout.send(b"hello")
    assert heard(member) == [b"hello"]


def test_an_interface_that_cannot_be_joined_is_left_out(listener: Callable[..., GroupSocket], lo: int) -> None:
    member = listener()
    assert member.join([NO_INTERFACE]) == set()
    assert member.join([NO_INTERFACE, lo]) == {lo}


def test_what_is_no_group_cannot_be_joined(lo: int) -> None:
    sock = GroupSocket(HOST, 0)
    assert sock.join([lo]) == set()
    sock.close()


def test_a_membership_has_the_bytes_that_ip_7_says(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[tuple[int, object]] = []
    monkeypatch.setattr(module, "try_option", lambda _, __, option, value: found.append((option, value)) or True)
    sock = GroupSocket(ELSEWHERE, 0)
    sock.join([7])
    sock.join([])
    sock.close()
    mreqn = bytes((239, 255, 77, 71, 0, 0, 0, 0)) + struct.pack("=i", 7)
    assert found[-2:] == [(socket.IP_ADD_MEMBERSHIP, mreqn), (socket.IP_DROP_MEMBERSHIP, mreqn)]


def test_a_port_that_somebody_has_alone_is_refused_and_leaves_no_descriptor(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as alone:
        alone.bind(("", port))
        before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
        with pytest.raises(TransportError, match=f"cannot share UDP port {port}") as caught:
            GroupSocket(ELSEWHERE, port)
        assert caught.value.errno == errno.EADDRINUSE
        if sys.platform == "linux":
            assert len(os.listdir("/proc/self/fd")) == before


# -- sending to it ---------------------------------------------------------------------------------------------------


def test_answers_come_back_by_unicast(listener: Callable[..., GroupSocket], fanout: FanoutSocket, lo: int) -> None:
    member = listener()
    member.join([lo])
    assert fanout.poll() is None
    fanout.send(b"who is there?")
    select.select([member], [], [], 10)
    received = member.poll()
    assert received
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        sock.sendto(b"me", received[1])
        assert heard(fanout) == [b"me"]
        fanout.try_send(b"only you", sock.getsockname())
        sock.settimeout(10)
        assert sock.recv(100) == b"only you"
    assert member.poll() is None


def test_what_the_system_refuses_is_told_or_lost(fanout: FanoutSocket) -> None:
    with pytest.raises(OSError) as caught:
        fanout.send(bytes(70_000))
    assert caught.value.errno == errno.EMSGSIZE
    fanout.try_send(bytes(70_000))
    fanout.close()
    fanout.close()
    fanout.try_send(b"closed")
    with pytest.raises(OSError):
        fanout.send(b"closed")


@pytest.mark.parametrize(
    ("interface", "address", "reason"),
    [(1, "192.0.2.1", "192.0.2.1: "), (NO_INTERFACE, HOST, "127.0.0.1: "), (1, "nonsense", "nonsense: ")],
)
def test_an_interface_or_address_that_is_not_ours_is_refused(interface: int, address: str, reason: str) -> None:
    before = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    with pytest.raises(TransportError, match=f"no multicast from {reason}"):
        FanoutSocket((ELSEWHERE, 9), interface, address)
    if sys.platform == "linux":
        assert len(os.listdir("/proc/self/fd")) == before


@linux
def test_sockets_are_set_up_as_they_should(monkeypatch: pytest.MonkeyPatch, fanout: FanoutSocket) -> None:
    monkeypatch.setattr(kernel, "BUFFER", 50_000)
    member = GroupSocket(ELSEWHERE, 0)
    assert option(member, socket.SOL_SOCKET, socket.SO_RCVBUF) == 100_000  # doubled, socket(7)
    assert option(member, socket.IPPROTO_IP, 49) == 0  # IP_MULTICAST_ALL: else it hears what other members joined
    member.close()
    timeval = option(fanout, socket.SOL_SOCKET, socket.SO_SNDTIMEO, 16)
    assert isinstance(timeval, bytes)
    seconds, microseconds = struct.unpack("ll", timeval)
    assert seconds == 0 and 50_000 <= microseconds < 60_000  # a device that is stuck does not hold a publisher


@linux
def test_multicast_leaves_loopback_never_and_an_interface_for_one_hop(monkeypatch: pytest.MonkeyPatch, lo: int) -> None:
    for only_here, hops in ((True, 0), (False, 1)):
        monkeypatch.setattr(module, "is_loopback", lambda _, only_here=only_here: only_here)
        one = FanoutSocket((ELSEWHERE, 9), lo, HOST)
        assert option(one, socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == hops
        assert option(one, socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP) == 1
        one.close()
