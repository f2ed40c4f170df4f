"""Sockets by which descriptors are handed to another process of this host. Knows unix(7); nothing of what is handed.

Names are abstract: they belong to the network namespace, as loopback does, and nothing is left of them. Only processes
of one user hand each other anything.
"""

from __future__ import annotations

import array
import os
import socket
import struct
from collections.abc import Sequence

from ..alarms import raise_alarm
from .kernel import DONTWAIT

MAX_DATA = 256  # bytes that one message may have
MAX_DESCRIPTORS = 4  # that are received of one message; further ones the kernel closes
BACKLOG = 4096  # the system takes less if it wants (net.core.somaxconn)

_CREDENTIALS = struct.Struct("=3i")  # struct ucred: pid, uid, gid


class HandoverSocket:
    """One end of a connection.

    Attributes:
        fileno: returns the descriptor to wait on; -1 after ``close``.
        ended: whether the other process closed its end, or has ended.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.fileno = sock.fileno
        self.ended = False

    def same_user(self) -> bool:
        """Tell whether the other end belongs to a process of this user."""
        size = _CREDENTIALS.size
        try:
            found = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        except OSError:
            return False
        return int(_CREDENTIALS.unpack(found)[1]) == os.geteuid()

    def send(self, data: bytes, descriptors: Sequence[int] = ()) -> bool:
        """Send a message with descriptors; False if the system would not take it."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        try:
            self._sock.sendmsg([data], rights, DONTWAIT)
        except OSError as error:
            raise_alarm(error)
            return False
        return True

    def receive(self) -> tuple[bytes, list[int]] | None:
        """Receive a message and its descriptors, which the caller closes; None if none is there, or ``ended``."""
        descriptors = array.array("i")
        room = socket.CMSG_LEN(MAX_DESCRIPTORS * descriptors.itemsize)
        try:  # not recv_fds, which does not pass the flags on
            data, ancillary, _, _ = self._sock.recvmsg(MAX_DATA, room, DONTWAIT | socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return None
        except OSError as error:
            raise_alarm(error)
            self.ended = True
            return None
        for level, kind, rights in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(rights[: len(rights) - len(rights) % descriptors.itemsize])
        if not data:
            self.ended = True
            close_all(descriptors)
            return None
        return data, descriptors.tolist()

    def close(self) -> None:
        """Close this end. Once more does nothing."""
        self._sock.close()


class Listener:
    """Takes the connections to a name.

    Raises:
        OSError: somebody else has the name, or there is no such socket to be had.
    """

    def __init__(self, name: str) -> None:
        self._sock = _socket()
        try:
            self._sock.bind(_address(name))
            self._sock.listen(BACKLOG)
        except BaseException:
            self._sock.close()
            raise
        self.fileno = self._sock.fileno

    def accept(self) -> HandoverSocket | None:
        """Return the next connection, if one is there.

        Raises:
            OSError: the system does not give it out: no descriptor is left. It is there still.
        """
        try:
            sock, _ = self._sock.accept()
        except (BlockingIOError, ConnectionError):
            return None
        sock.setblocking(False)
        return HandoverSocket(sock)

    def close(self) -> None:
        """Take no more. Once more does nothing."""
        self._sock.close()


def connect(name: str) -> HandoverSocket | None:
    """Connect to a name; None if nobody of this user listens to it.

    Raises:
        BlockingIOError: too many wait there to be taken; later it may be possible.
    """
    try:
        sock = _socket()
    except OSError:
        return None
    try:
        sock.connect(_address(name))
    except OSError as error:
        sock.close()
        raise_alarm(error)
        if isinstance(error, BlockingIOError):
            raise
        return None
    found = HandoverSocket(sock)
    if found.same_user():
        return found
    found.close()
    return None


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors."""
    for each in descriptors:
        os.close(each)


def _socket() -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.setblocking(False)
    return sock


def _address(name: str) -> str:
    return f"\0ipcpy/{name}"
