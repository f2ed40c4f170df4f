"""Multicast, both ends of it: who receives what is sent to a group, and who sends there for several receivers.

Knows system calls, and the group at which nodes meet; nothing of what they say there. See ip(7).
"""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Callable, Iterable

from ..addresses import Address, Way, is_loopback
from ..fast import compiled
from .kernel import (
    IP_MULTICAST_ALL,
    LINUX,
    SEND_TIMEOUT,
    bind_to,
    enlarge,
    membership,
    multicast_from,
    refusals_as,
    timeval,
    try_option,
    udp_socket,
)
from .receiving import ReceivingSocket

GROUP = "239.255.77.70"  # administratively scoped (RFC 2365): where nodes greet
GROUP_PORT = 17_769


class GroupSocket(ReceivingSocket):
    """Receives what is sent to a group, on a port that is shared with every other node of the host.

    Only this port is bound with SO_REUSEADDR: a unicast port bound so can be taken over by any user of the host.

    Raises:
        TransportError: the system has no socket for us, or somebody has the port for himself.
    """

    def __init__(self, group: str = GROUP, port: int = GROUP_PORT) -> None:
        shared = socket.SO_REUSEADDR if LINUX or sys.platform == "win32" else socket.SO_REUSEPORT
        sock = udp_socket(blocking=False)
        with refusals_as(f"cannot share UDP port {port}", sock):
            enlarge(sock, socket.SO_RCVBUF)
            sock.setsockopt(socket.SOL_SOCKET, shared, 1)
            if LINUX:
                try_option(sock, socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
            sock.bind((group if sys.platform != "win32" else "", port))
        super().__init__(sock)
        self._group = group
        self._joined: set[int] = set()

    def join(self, interfaces: Iterable[int]) -> set[int]:
        """Be a member on exactly these interface indexes; return those on which it is."""
        wanted = set(interfaces)
        for index in self._joined - wanted:
            self._membership(socket.IP_DROP_MEMBERSHIP, index)
        self._joined = {index for index in wanted if index in self._joined or self._joins(index)}
        return self._joined

    def rejoin(self, interfaces: Iterable[int]) -> set[int]:
        """Do as ``join`` does, and make anew the memberships that may have been lost with their addresses."""
        for index in self._joined:
            self._membership(socket.IP_DROP_MEMBERSHIP, index)
        self._joined = set()
        return self.join(interfaces)

    def _joins(self, index: int) -> bool:
        return self._membership(socket.IP_ADD_MEMBERSHIP, index)

    def _membership(self, option: int, index: int) -> bool:
        try:
            value = membership(self._group, index)
        except OSError:
            return False
        return try_option(self._sock, socket.IPPROTO_IP, option, value)


def sender_to(sendto: Callable[[bytes, Address], int], address: Address) -> Callable[[bytes], int]:
    """Return what sends to an address by ``sendto`` of a socket: where that is the system's own, C needs no Python."""
    if compiled is None:
        return lambda data: sendto(data, address)
    send: Callable[[bytes], int] = compiled.Addressed(sendto, address).send
    return send


class FanoutSocket(ReceivingSocket):
    """A publisher's socket for one multicast group on one interface; answers come back to it by unicast.

    Args:
        group: where to send.
        interface: the index of the interface that what is sent leaves by, by multicast and by unicast.
        address: one of that interface's, which receivers see and answer.

    Attributes:
        port: the port of it that answers come to.
        send: sends to the group. It raises OSError for what the system refuses.

    Raises:
        TransportError: the system has no socket for us, or does not send multicast from there.
    """

    def __init__(self, group: Address, interface: int, address: str) -> None:
        sock = udp_socket()
        with refusals_as(f"no multicast from {address}", sock):
            bind_to(sock, Way(0 if is_loopback(address) else interface, address))
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, multicast_from(interface, address))
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 0 if is_loopback(address) else 1)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
            if LINUX:
                try_option(sock, socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval(socket.SO_SNDTIMEO, SEND_TIMEOUT))
        super().__init__(sock)
        self.port: int = sock.getsockname()[1]
        self._group = group
        self.send = sender_to(sock.sendto, group)

    def try_send(self, data: bytes, address: Address | None = None) -> None:
        """Send to the group or to one address; what the system refuses is lost like any datagram."""
        with contextlib.suppress(OSError):
            self._sock.sendto(data, address or self._group)
