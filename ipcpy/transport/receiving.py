"""What the sockets share that take datagrams from anywhere: a look for what is there, and an end.

Knows one socket and whether a call waits; nothing of how the socket was bound, of frames or of peers. The sockets that
a thread waits for are in blocking mode, and whoever must not wait says so call by call (DONTWAIT): so a thread that
waits needs one system call for a datagram, and another thread may look meanwhile.
"""

from __future__ import annotations

import socket

from ..addresses import Address
from ..alarms import raise_alarm
from .kernel import DONTWAIT, RECEIVE_SIZE, drops

MAX_REFUSALS = 16  # calls that only report that an earlier datagram found nobody, before one call gives up


class ReceivingSocket:
    """A socket that takes datagrams from anywhere.

    That an earlier datagram found nobody is nothing that its receiver has to know: Linux tells it to a connected socket
    and to one that asks for it, Windows tells it to each (ConnectionResetError).

    Args:
        sock: the system's socket, bound. This object closes it.

    Attributes:
        fileno: returns the descriptor to wait on; -1 after ``close``.
        recvfrom: the system's own call, to be given RECEIVE_SIZE and flags; no Python stands between.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.fileno = sock.fileno
        self.recvfrom = sock.recvfrom

    def poll(self) -> tuple[bytes, Address] | None:
        """Receive a datagram if one is there."""
        try:
            return self.recvfrom(RECEIVE_SIZE, DONTWAIT)
        except ConnectionError:
            return next(iter(self.poll_all(1)), None)
        except OSError as error:
            raise_alarm(error)
            return None

    def poll_all(self, count: int, size: float = float("inf")) -> list[tuple[bytes, Address]]:
        """Receive the datagrams that are there, up to a count, and until they have so many bytes."""
        receive = self.recvfrom
        found: list[tuple[bytes, Address]] = []
        refusals = 0
        while len(found) < count and size > 0 and refusals < MAX_REFUSALS:
            try:
                received = receive(RECEIVE_SIZE, DONTWAIT)
            except ConnectionError:
                refusals += 1
                continue
            except OSError as error:
                raise_alarm(error)
                break
            found.append(received)
            size -= len(received[0])
        return found

    def drops(self) -> int:
        """Return how many datagrams the kernel dropped because the buffer was full; 0 where it does not tell."""
        return drops(self._sock)

    def close(self) -> None:
        """Close the socket. Once more does nothing."""
        self._sock.close()
