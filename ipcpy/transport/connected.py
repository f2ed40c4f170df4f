"""The socket by which publishers send to one subscriber. Knows system calls; nothing of messages or frames."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Sequence
from itertools import chain

from ..addresses import LOOPBACK, Address, Way
from .kernel import (
    DONTWAIT,
    LINUX,
    MAX_MERGED,
    MAX_PAYLOAD,
    RECEIVE_SIZE,
    SEND_TIMEOUT,
    SOL_UDP,
    UDP_SEGMENT,
    bind_to,
    enlarge,
    refusals_as,
    timeval,
    try_option,
    udp_socket,
)

_NO_OFFLOAD = (errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP)


def _segments(size: int) -> list[tuple[int, int, bytes]]:
    """Return the option to have a buffer sent as datagrams of a size (udp(7))."""
    return [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", size))]


class ConnectedSocket:
    """A publisher's socket, connected to one subscriber's: so the kernel tells when nobody listens there any more.

    Args:
        address: the subscriber's.
        datagram: the most bytes of a datagram that reach it in one packet.
        way: how to leave for it; None for the system's choice.

    Attributes:
        address, datagram: as given.
        lossy: whether datagrams may get lost on the way, as on any network; on loopback only a full buffer loses some.
        source: the address of this host that the subscriber sees.
        fileno: returns the descriptor to wait on; -1 after ``close``.
        send: the system's own call; no Python stands between. It raises OSError for what the system refuses.

    Raises:
        TransportError: the system has no socket for us, or no way to the address.
    """

    def __init__(self, address: Address, datagram: int, way: Way | None = None) -> None:
        sock = udp_socket()
        with refusals_as(f"no way to {address[0]}", sock):
            if LINUX:
                try_option(sock, socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval(socket.SO_SNDTIMEO, SEND_TIMEOUT))
            enlarge(sock, socket.SO_SNDBUF)
            if way is not None:
                bind_to(sock, way)
            sock.connect(address)
        self._sock = sock
        self.address = address
        self.datagram = datagram
        self.lossy = address[0] != LOOPBACK
        self.source: str = sock.getsockname()[0]
        self._sendmsg = getattr(sock, "sendmsg", None)  # Windows has none
        self._gso = LINUX and self._sendmsg is not None
        self.fileno = sock.fileno
        self.send = sock.send

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self.fileno() == -1

    def poll(self) -> bytes | None:
        """Receive an answer if one is there.

        Raises:
            ConnectionRefusedError: the other host said that nobody listens; a hint, for it can be forged.
        """
        try:
            return self._sock.recv(RECEIVE_SIZE, DONTWAIT)
        except ConnectionRefusedError:
            raise
        except ConnectionError as error:  # what Windows says instead: ConnectionResetError
            raise ConnectionRefusedError(*error.args) from error
        except OSError:
            return None

    def send_many(self, datagrams: Sequence[Sequence[bytes | memoryview]], segment: int) -> None:
        """Send datagrams of equal size (the last may be shorter), each given as buffers, in as few calls as possible.

        Args:
            datagrams: the buffers of each.
            segment: bytes of all but the last.

        Raises:
            OSError: the first refusal; what comes after it was not sent.
        """
        per_call = min(MAX_MERGED, MAX_PAYLOAD // segment) if self._gso and segment < 8_192 else 1
        at, sendmsg = 0, self._sendmsg
        while per_call > 1 and at < len(datagrams) and sendmsg is not None:
            try:
                sendmsg(list(chain.from_iterable(datagrams[at : at + per_call])), _segments(segment))
                at += per_call
            except OSError as error:
                if error.errno not in _NO_OFFLOAD:
                    raise
                self._gso = False  # a device without checksum offload, or an old kernel: one by one, then
                per_call = 1
        for datagram in datagrams[at:]:
            if sendmsg is not None:
                sendmsg(datagram)
            else:
                self.send(b"".join(datagram))

    def close(self) -> None:
        """Close the socket. Once more does nothing."""
        self._sock.close()
