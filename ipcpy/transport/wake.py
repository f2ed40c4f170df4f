"""A way to wake a thread that waits for sockets. Knows sockets only: pipes cannot be waited for everywhere."""

from __future__ import annotations

import contextlib
import socket


class Wake:
    """Becomes readable when set, until it is cleared."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self.fileno = self._reader.fileno

    def set(self) -> None:
        """Make it readable; from any thread, and any number of times."""
        with contextlib.suppress(OSError):  # full: it is readable; closed: nobody waits
            self._writer.send(b"\0")

    def clear(self) -> None:
        """Make it unreadable."""
        with contextlib.suppress(OSError):
            self._reader.recv(4096)

    def close(self) -> None:
        """Close it."""
        self._reader.close()
        self._writer.close()
