"""The plain UDP socket of ipcpy 0.1.1. Knows IPv4 datagrams and the small subscription of its successor; no codec.

A subscription takes three steps, so that nobody can aim the datagrams of a listener at somebody else::

    subscriber              listener
    "+" 00000000     ->                 9 bytes, so that the answer is no longer than the question
                     <-     "?" token   8 bytes that only who receives at this address can know
    "+" token        ->                 now it is in ``connections``
                     <-     "x"
    "-" token        ->
                     <-     "/"

The release 2026.8.4.1 sends a mere ``+`` and is answered ``x``. It takes our ``+`` as its own; a listener here takes
its ``+`` and ``-`` from 127.0.0.0/8, where no address is forged. From elsewhere they are not answered.
"""

from __future__ import annotations

import os
import select
import socket
from collections import deque
from hashlib import blake2b
from hmac import compare_digest
from time import monotonic
from types import TracebackType

from ..addresses import Address, is_loopback
from ..errors import ArgumentError, ClosedError, TransportError
from ..timeouts import PIECE, in_pieces, seconds

__all__ = ["SocketUDP", "get_ip"]

_TOKEN_SIZE = 8
_ASK = b"+" + bytes(_TOKEN_SIZE)
_MAX_CONNECTIONS = 1024
_MAX_KEPT = 256  # datagrams that came while the answer to a subscription was awaited
_PATIENCE = 1.0  # seconds for an answer, where the socket has no timeout


class SocketUDP:
    """A UDP socket (IPv4).

    ``open()`` to send, ``bind()`` to receive; ``close()`` or a ``with`` block at the end. Instances share nothing.

    Attributes:
        MAX_PACKET_SIZE: the most bytes that a datagram carries.
        sock: the socket, None while it is not open.
        bind_addr: the (host, port) it is bound to, None if it is not.
        connections: the addresses ``sendtoall`` sends to.
    """

    MAX_PACKET_SIZE = 65_507  # 65535 (IPv4) - 20 (IPv4 header) - 8 (UDP header)

    def __init__(self) -> None:
        self.sock: socket.socket | None = None
        self.bind_addr: Address | None = None
        self.connections: set[Address] = set()
        self._secret = os.urandom(16)
        self._tokens: dict[Address, bytes] = {}  # of the listeners we subscribed to
        self._kept: deque[tuple[bytes, Address]] = deque(maxlen=_MAX_KEPT)

    def open(self, timeout: float | None = None) -> None:
        """Open the socket; of an open one, only the timeout is set, if one is given.

        Args:
            timeout: seconds that ``recvfrom`` waits; None for ever.

        Raises:
            TransportError: the system has no socket for us.
            ArgumentError: timeout is no number.
        """
        wait = seconds(timeout)
        if self.sock is None:
            try:
                self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            except OSError as error:
                raise TransportError(error.errno, f"no UDP socket: {error.strerror}") from error
            self.sock.settimeout(None)  # the program may have called socket.setdefaulttimeout
        if timeout is not None:
            self.sock.settimeout(wait)

    def bind(self, address: str, port: int | None = None, timeout: float | None = None) -> None:
        """Open the socket and receive at an address; ``bind_addr`` then has it.

        Args:
            address: a host name or address of this host; ``0.0.0.0`` for all.
            port: None or 0 for any free port.
            timeout: as for ``open``.

        Raises:
            ArgumentError: it is bound already.
            TransportError: the address is not ours, or in use.
        """
        if self.bind_addr:
            raise ArgumentError(f"already bound to {self.bind_addr[0]}:{self.bind_addr[1]}; close() comes first")
        self.open(timeout)
        sock = self._open_socket()
        try:
            sock.bind((address, port or 0))
        except (OSError, TypeError, OverflowError, ValueError) as error:
            self.close()
            raise _refused(f"cannot bind to {address}:{port or 0}", error) from error
        self.bind_addr = sock.getsockname()

    def close(self) -> None:
        """Close the socket and forget its connections. May be called again; ``open`` and ``bind`` then work anew."""
        sock, self.sock = self.sock, None
        self.bind_addr = None
        self.connections.clear()
        self._tokens.clear()
        self._kept.clear()
        if sock is not None:
            sock.close()

    def sendto(self, data: bytes | bytearray | memoryview, address: Address) -> int:
        """Send a datagram and return its number of bytes.

        Raises:
            ArgumentError: more than 65,507 bytes (they are not split, since nothing could join them again), or an
                address that is no (host, port).
            ClosedError: not open.
            TransportError: the system does not take it.
        """
        size = memoryview(data).nbytes
        if size > self.MAX_PACKET_SIZE:
            raise ArgumentError(f"a datagram carries at most {self.MAX_PACKET_SIZE} bytes, got {size}")
        try:
            return self._open_socket().sendto(data, address)
        except (OSError, TypeError, OverflowError, ValueError) as error:
            if isinstance(error, ClosedError):
                raise
            raise _refused(f"cannot send {size} bytes to {address}", error) from error

    def recvfrom(self, size: int) -> tuple[bytes, Address] | tuple[None, None]:
        """Wait for a datagram.

        Args:
            size: how many bytes to take; the rest of a longer datagram is lost.

        Returns:
            The bytes and the sender's address; (None, None) after the timeout, or when the system reports instead that
            an earlier datagram found nobody (Windows).

        Raises:
            ClosedError: not open.
            TransportError: the system cannot receive.
        """
        if self._kept:
            data, address = self._kept.popleft()
            return data[:size], address
        return self._recv(size)

    def subscribe(self, address: Address) -> bool:
        """Ask a listening ``SocketUDP`` for what it sends to all, and return whether it agreed within the timeout.

        Waits for the socket's timeout, one second if it has none. Datagrams that come meanwhile are kept for
        ``recvfrom``.
        """
        address = _resolve(address)
        self.sendto(_ASK, address)
        answer = self._answer(address, (b"?", b"x"))
        if answer.startswith(b"?"):
            self._tokens[address] = answer[1:]
            self.sendto(b"+" + answer[1:], address)
            answer = self._answer(address, (b"x",))
        return answer == b"x"

    def unsubscribe(self, address: Address) -> bool:
        """Ask a listener to send no more, and return whether it agreed; waits as ``subscribe`` does."""
        address = _resolve(address)
        self.sendto(b"-" + self._tokens.pop(address, b""), address)
        return self._answer(address, (b"/",)) == b"/"

    def listen(self) -> bool:
        """Wait for one datagram; if it subscribes or unsubscribes, answer it.

        Any other datagram is kept for ``recvfrom``. A subscription takes two of them, so call it in a loop.

        Returns:
            Whether an address was added to ``connections`` or removed.
        """
        data, address = self._recv(self.MAX_PACKET_SIZE)
        if data is None or address is None:
            return False
        if data[:1] not in (b"+", b"-") or len(data) not in (1, len(_ASK)):
            self._kept.append((data, address))
            return False
        if data == _ASK:
            self.sendto(b"?" + self._token(address), address)
            return False
        if not self._is_genuine(data, address):
            return False
        return self._add(address) if data[:1] == b"+" else self._remove(address)

    def sendtoall(self, data: bytes | bytearray | memoryview) -> int:
        """Send a datagram to every connection and return to how many the system took it.

        Raises:
            ArgumentError: as for ``sendto``.
            ClosedError: not open.
        """
        self._open_socket()
        taken = 0
        for address in tuple(self.connections):
            try:
                self.sendto(data, address)
                taken += 1
            except TransportError:
                continue
        return taken

    def __enter__(self) -> SocketUDP:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _add(self, address: Address) -> bool:
        if address not in self.connections and len(self.connections) >= _MAX_CONNECTIONS:
            return False
        is_new = address not in self.connections
        self.connections.add(address)
        self.sendto(b"x", address)
        return is_new

    def _remove(self, address: Address) -> bool:
        was_there = address in self.connections
        self.connections.discard(address)
        self.sendto(b"/", address)
        return was_there

    def _is_genuine(self, data: bytes, address: Address) -> bool:
        if len(data) == 1:
            return is_loopback(address[0])
        return compare_digest(data[1:], self._token(address))

    def _token(self, address: Address) -> bytes:
        return blake2b(repr(address).encode(), key=self._secret, digest_size=_TOKEN_SIZE).digest()

    def _answer(self, address: Address, kinds: tuple[bytes, ...]) -> bytes:
        """Return the next answer from an address, empty if none comes in time."""
        sock = self._open_socket()
        timeout = sock.gettimeout()
        deadline = monotonic() + (_PATIENCE if timeout is None else timeout)
        try:
            while (left := deadline - monotonic()) > 0:
                sock.settimeout(left)
                data, sender = self._recv(self.MAX_PACKET_SIZE)
                if data is None or sender is None:
                    continue
                if sender == address and data[:1] in kinds and len(data) == (len(_ASK) if data[:1] == b"?" else 1):
                    return data
                self._kept.append((data, sender))
            return b""
        finally:
            sock.settimeout(timeout)

    def _recv(self, size: int) -> tuple[bytes, Address] | tuple[None, None]:
        sock = self._open_socket()
        try:
            if PIECE is not None and sock.gettimeout() != 0:  # so that Ctrl-C ends it on Windows too
                if not in_pieces(lambda piece: select.select([sock], [], [], piece)[0], sock.gettimeout()):
                    return None, None
            return sock.recvfrom(size)
        except (TimeoutError, BlockingIOError, ConnectionError):
            return None, None
        except ClosedError:
            raise
        except OSError as error:
            raise _refused("cannot receive", error) from error

    def _open_socket(self) -> socket.socket:
        if self.sock is None:
            raise ClosedError("the socket is not open: call open() or bind()")
        return self.sock


def get_ip() -> str:
    """Return this host's IPv4 address on the network it would send from, ``127.0.0.1`` if it is on none.

    Nothing is sent and no name is looked up.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("10.255.255.255", 1))  # connecting a UDP socket only chooses a route
        except OSError:
            return "127.0.0.1"
        return str(sock.getsockname()[0])


def _resolve(address: Address) -> Address:
    """Return the address as datagrams from there will have it."""
    try:
        return socket.gethostbyname(address[0]), address[1]
    except (OSError, TypeError, IndexError, ValueError) as error:
        raise _refused(f"no such address: {address!r:.80}", error) from error


def _refused(what: str, error: Exception) -> ArgumentError | TransportError:
    if isinstance(error, OSError):
        return TransportError(error.errno, f"{what}: {error.strerror or error}")
    return ArgumentError(f"{what}: {error}")
