"""Sockets: how many datagrams a system call sends, and what happens where it can send but one."""

from __future__ import annotations

import errno
import sys

import pytest

from ipcpy.transport.udp import ConnectedSocket

ETHERNET = 1_472

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="UDP GSO is Linux's")


class Calls:
    """Stands in for the system's socket."""

    def __init__(self, refuses: int = 0) -> None:
        self.refuses = refuses
        self.sent: list[bytes] = []

    def sendmsg(self, buffers, options=()):
        if options and self.refuses:
            raise OSError(self.refuses, "no")
        self.sent.append(b"".join(buffers))


def route(calls):
    socket = ConnectedSocket(("127.0.0.1", 9), ETHERNET)
    socket.close()
    socket._sock = calls
    return socket


def datagrams(count):
    return [(b"%044d" % number, bytes(ETHERNET - 44)) for number in range(count)]


@pytest.mark.parametrize(("count", "calls"), [(1, [1]), (44, [44]), (45, [44, 1]), (100, [44, 44, 12])])
def test_44_datagrams_for_ethernet_go_in_a_call(count, calls):
    system = Calls()
    route(system).send_many(datagrams(count), ETHERNET)
    assert [len(data) // ETHERNET for data in system.sent] == calls
    assert b"".join(system.sent) == b"".join(map(b"".join, datagrams(count)))


def test_large_datagrams_go_one_by_one():
    system = Calls()
    route(system).send_many([(b"a", bytes(60_000)), (b"b", bytes(100))], 60_001)
    assert list(map(len, system.sent)) == [60_001, 101]


def test_a_device_that_cannot_is_sent_one_by_one():
    system = Calls(errno.EIO)
    socket = route(system)
    for _ in range(2):
        system.sent.clear()
        socket.send_many(datagrams(50), ETHERNET)
        assert system.sent == list(map(b"".join, datagrams(50)))


def test_a_refusal_is_told():
    with pytest.raises(ConnectionRefusedError):
        route(Calls(errno.ECONNREFUSED)).send_many(datagrams(50), ETHERNET)
