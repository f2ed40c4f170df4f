"""A way to wake a thread that waits for sockets. Knows a pair of sockets: pipes cannot be waited for everywhere.

Nothing here knows who waits, or what for.
"""

from __future__ import annotations

import contextlib
import socket

from ..alarms import Refusals
from .kernel import refusals_as


class Wake:
    """Becomes readable when set, until it is cleared.

    Attributes:
        fileno: returns the descriptor to wait on; -1 after ``close``.

    Raises:
        TransportError: the system has no pair of sockets for us.
    """

    def __init__(self) -> None:
        with refusals_as("no pair of sockets to be had"):
            self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self.fileno = self._reader.fileno

    def set(self) -> None:
        """Make it readable; from any thread, and any number of times."""
        with Refusals():  # full: it is readable; closed: nobody waits
            self._writer.send(b"\0")

    def clear(self) -> None:
        """Make it unreadable."""
        with contextlib.suppress(OSError):
            self._reader.recv(4096)

    def close(self) -> None:
        """Close both ends. Once more does nothing."""
        self._reader.close()
        self._writer.close()
