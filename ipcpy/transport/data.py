"""The socket at which a subscriber receives. Knows system calls; nothing of messages, frames or publishers."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence

from ..addresses import LOOPBACK, Address, Way
from ..alarms import Refusals
from ..fast import compiled
from .kernel import DONTWAIT, LINUX, SOL_UDP, UDP_GRO, enlarge, refusals_as, send_by, timeval, try_option, udp_socket
from .receiving import ReceivingSocket


class DataSocket(ReceivingSocket):
    """A subscriber's socket.

    Its ``recvfrom`` raises BlockingIOError if no datagram came within the timeout.

    Args:
        host: the address to bind, ``127.0.0.1`` to be reached from this host only, or ``""``.

    Attributes:
        port: where it is bound.
        timeout: seconds that ``recvfrom`` waits, None for ever.
        intact: whether what comes is what was sent, from wherever: where datagrams are sealed. What comes over loopback
            is in any case.
        in_place: whether ``receive_into`` saves a copy: where what comes is sealed, only with the compiled part.
        runs: whether the compiled part may read it by its descriptor: what comes is what it is.
        fill: receives fragments into their places, many in a step (fast/gathering.c); None where that is not done.

    Raises:
        TransportError: the system has no socket for us, or the address is not ours.
    """

    intact = False
    in_place = True
    runs = compiled is not None
    fill: Callable[..., None] | None = compiled.fill if compiled is not None else None

    def __init__(self, host: str) -> None:
        sock = udp_socket()
        with refusals_as(f"cannot bind a UDP socket to {host!r}", sock):
            enlarge(sock, socket.SO_RCVBUF)
            if LINUX:
                try_option(sock, SOL_UDP, UDP_GRO, 1)
            sock.bind((host, 0))
        super().__init__(sock)
        self.port: int = sock.getsockname()[1]
        self.timeout: float | None = None

    def set_timeout(self, timeout: float | None) -> None:
        """Set the seconds that recvfrom waits, None for ever: the kernel keeps the time (SO_RCVTIMEO, socket(7)).

        Only where CAN_WAIT. So a wait is one system call; ``settimeout`` would poll first.
        """
        value = timeval(socket.SO_RCVTIMEO, 0.0 if timeout is None else max(timeout, 1e-6))
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        self.timeout = timeout

    def receive_into(self, buffers: Sequence[bytearray | memoryview]) -> tuple[int, Address]:
        """Receive a datagram into buffers, one after the other; return its size and where it came from.

        Raises:
            BlockingIOError: no datagram came within the timeout.
        """
        size, _, _, address = self._sock.recvmsg_into(buffers)
        return size, address

    @property
    def capacity(self) -> int:
        """Bytes of kernel memory its buffer may take."""
        return self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    def sendto(self, data: bytes, address: Address, way: Way | None = None) -> None:
        """Send an answer; what the system refuses is lost like any datagram.

        Args:
            way: how to leave; None for the system's choice.
        """
        with Refusals():
            send_by(self._sock, data, address, way, DONTWAIT)

    def wake(self) -> None:
        """Wake a thread that waits in recvfrom with an empty datagram from this host."""
        with Refusals():
            self._sock.sendto(b"", DONTWAIT, (LOOPBACK, self.port))
