"""The socket by which nodes find one another and talk. Knows system calls; nothing of what nodes say there."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Callable, Iterable

from ..addresses import Address, Way
from .group import GROUP, GROUP_PORT
from .kernel import (
    IP_PKTINFO,
    IP_RECVERR,
    LINUX,
    MSG_ERRQUEUE,
    RECEIVE_SIZE,
    enlarge,
    in_pktinfo,
    multicast_from,
    refusals_as,
    send_by,
    try_option,
    udp_socket,
)
from .receiving import MAX_REFUSALS, ReceivingSocket

_OPTION_SPACE = 64  # bytes: one in_pktinfo is 28 with its head
_MAX_FAILURES = 256  # taken from the error queue at a time
_DEAD_ENDS = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN)


class LinkSocket(ReceivingSocket):
    """The socket of a node's link: unicast both ways, and multicast out, by interface index.

    Args:
        host: the address to bind, ``127.0.0.1`` or ``""``.
        ports: the ports to try first; then any.

    Attributes:
        port: where it is bound.
        overhead: bytes that each datagram has on its way beside those that are given.
        asked: the address of this host that the datagram went to which ``poll`` returned last; "" where the system does
            not tell.
        way_to: returns how to leave for an address that asked at one of ours, for what a socket answers by itself, as
            one that is sealed does; None where the system may choose.

    Raises:
        TransportError: the system has no socket for us, or the address is not ours.
    """

    overhead = 0

    def __init__(self, host: str, ports: Iterable[int]) -> None:
        sock = udp_socket(blocking=False)
        with refusals_as(f"cannot bind a UDP socket to {host!r}", sock):
            enlarge(sock, socket.SO_RCVBUF, socket.SO_SNDBUF)
            try_option(sock, socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
            try_option(sock, socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
            if LINUX:
                try_option(sock, socket.IPPROTO_IP, IP_RECVERR, 1)
                try_option(sock, socket.IPPROTO_IP, IP_PKTINFO, 1)
            _bind(sock, host, ports)
        super().__init__(sock)
        self.port: int = sock.getsockname()[1]
        self.asked = ""
        self.way_to: Callable[[str, str], Way | None] = lambda *_: None

    def poll(self) -> tuple[bytes, Address] | None:
        """Receive a datagram if one is there."""
        for _ in range(MAX_REFUSALS):  # each refusal that is pending costs a call
            try:
                return self._receive()
            except BlockingIOError:
                return None
            except OSError:
                continue
        return None

    def _receive(self) -> tuple[bytes, Address]:
        if not LINUX:
            return self.recvfrom(RECEIVE_SIZE)
        data, options, _, address = self._sock.recvmsg(RECEIVE_SIZE, _OPTION_SPACE)
        self.asked = next((socket.inet_ntoa(value[8:12]) for _, kind, value in options if kind == IP_PKTINFO), "")
        return data, address

    def failures(self) -> list[tuple[Address, bool]]:
        """Return the addresses that cannot be reached, as other hosts said by ICMP since the last call. Linux only.

        Returns:
            Each address, with True where its host said that nobody listens, and False where the network has no way.
        """
        found: list[tuple[Address, bool]] = []
        while LINUX and len(found) < _MAX_FAILURES:
            try:
                _, options, _, address = self._sock.recvmsg(0, 512, MSG_ERRQUEUE)
            except OSError:
                break
            for level, kind, data in options:
                if (level, kind) != (socket.IPPROTO_IP, IP_RECVERR):
                    continue
                code = int.from_bytes(data[:4], sys.byteorder)  # ee_errno of sock_extended_err, ip(7)
                if code in _DEAD_ENDS:
                    found.append((address, code == errno.ECONNREFUSED))
        return found

    def sendto(self, data: bytes, address: Address, way: Way | None = None) -> bool:
        """Send by unicast; False if the system would not take it.

        Args:
            way: how to leave, on Linux; None for the system's choice.
        """
        return self.send_error(data, address, way) is None

    def send_error(self, data: bytes, address: Address, way: Way | None = None) -> OSError | None:
        """Send by unicast, and return what the system said if it would not take it."""
        found: OSError | None = None
        for _ in range(2):  # the first call may only report an earlier refusal
            try:
                send_by(self._sock, data, address, way)
                return None
            except OSError as error:
                found = error
                if not isinstance(error, ConnectionError):
                    break
        return found

    def multicast(self, data: bytes, interface: int, address: str) -> bool:
        """Send to GROUP on the interface of an index, from one of its addresses; False if that is not possible now."""
        for _ in range(MAX_REFUSALS):  # each refusal that is pending costs a call
            try:
                self._multicast(data, interface, address)
                return True
            except ConnectionError:
                continue
            except OSError:
                break
        return False

    def _multicast(self, data: bytes, interface: int, address: str) -> None:
        if LINUX:
            leave_by = (socket.IPPROTO_IP, IP_PKTINFO, in_pktinfo(interface, address))
            self._sock.sendmsg([data], [leave_by], 0, (GROUP, GROUP_PORT))
        else:
            self._sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, multicast_from(interface, address))
            self._sock.sendto(data, (GROUP, GROUP_PORT))


def _bind(sock: socket.socket, host: str, ports: Iterable[int]) -> None:
    """Bind to the first port that is free, to any other one if none is."""
    for port in ports:
        try:
            sock.bind((host, port))
            return
        except OSError:
            continue
    sock.bind((host, 0))
