"""The socket by which publishers send to one subscriber. Knows system calls; nothing of messages or frames."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Sequence
from itertools import chain

from ..addresses import LOOPBACK, Address, Way
from ..fast import compiled
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

NO_OFFLOAD = (errno.EIO, errno.EINVAL, errno.EMSGSIZE, errno.EOPNOTSUPP)


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
        intact: whether what arrives is what was sent, with no check of it: on loopback, and where datagrams are sealed.
        overhead: bytes that each datagram has on its way beside those that are given: 48 where it is sealed.
        lays: whether ``send_laid`` may do what ``send_many`` does, in less time.
        runs: whether ``send_run`` may: in C, where nobody has put sockets or methods of his own in their place.
        source: the address of this host that the subscriber sees.
        port: the port of it that answers come to.
        fileno: returns the descriptor to wait on; -1 after ``close``.
        send: the system's own call; no Python stands between. It raises OSError for what the system refuses.

    Raises:
        TransportError: the system has no socket for us, or no way to the address.
    """

    overhead = 0
    lays = False
    runs = False

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
        self.intact = not self.lossy
        self.source: str
        self.port: int
        self.source, self.port = sock.getsockname()
        self._sendmsg = getattr(sock, "sendmsg", None)  # Windows has none
        self._gso = LINUX and self._sendmsg is not None
        usual = type(sock) is socket.socket and type(self).send_many is ConnectedSocket.send_many
        self.runs = self._gso and usual and compiled is not None
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
                if error.errno not in NO_OFFLOAD:
                    raise
                self._gso = False  # a device without checksum offload, or an old kernel: one by one, then
                per_call = 1
        for datagram in datagrams[at:]:
            if sendmsg is not None:
                sendmsg(datagram)
            else:
                self.send(b"".join(datagram))

    def send_laid(self, heads: bytes, data: memoryview, size: int) -> bool:
        """Send datagrams of which each is one of the heads, which lie end to end, and so many bytes of data.

        The last has what is left. False, and nothing is sent, where ``send_many`` is to be used instead: so here.

        Raises:
            OSError: as ``send_many``.
        """
        return False

    def send_run(self, common: bytes, number: int, data: memoryview) -> bool:
        """Send fragments of one message, with their heads, in as few calls as possible (fast/fragments.c).

        Args:
            common: what their heads have in common.
            number: that of the first.
            data: of all of them, end to end.

        Returns:
            False where ``send_many`` is to be used instead: now and later where the device cannot (``runs``).

        Raises:
            OSError: as ``send_many``.
        """
        if compiled is None:
            return False
        try:
            return bool(compiled.send_run(self.fileno(), common, number, data))
        except OSError as error:
            if error.errno not in NO_OFFLOAD:
                raise
            self.runs = False
            return False

    def send_joined(self, data: bytes, segment: int) -> None:
        """Send datagrams of equal size (the last may be shorter) that lie end to end, in as few calls as possible.

        Args:
            data: all of them.
            segment: bytes of all but the last.

        Raises:
            OSError: as ``send_many``.
        """
        view, at, sendmsg = memoryview(data), 0, self._sendmsg
        step = min(MAX_MERGED, MAX_PAYLOAD // segment) * segment if self._gso and segment < 8_192 else 0
        while step and at < len(view) and sendmsg is not None:
            try:
                sendmsg([view[at : at + step]], _segments(segment))
                at += step
            except OSError as error:
                if error.errno not in NO_OFFLOAD:
                    raise
                self._gso, step = False, 0
        self.send_many([(view[start : start + segment],) for start in range(at, len(view), segment)], segment)

    def close(self) -> None:
        """Close the socket. Once more does nothing."""
        self._sock.close()
