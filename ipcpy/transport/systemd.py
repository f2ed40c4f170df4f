"""What systemd is told of a service: that it is ready, lives, ends. Knows sd_notify(3)'s words; nothing of what serves.

Where nobody asks, which is anywhere but in a unit with ``Type=notify``, nothing is sent.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

__all__ = ["Supervisor"]

log = logging.getLogger(__name__)


class Supervisor:
    """Tells the system's supervisor how this process is.

    Args:
        environ: where ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` are looked up.

    Attributes:
        listening: whether anybody asked to be told.
        period: seconds after which ``alive`` is to be said again, half of what the supervisor waits; None where it does
            not watch this process.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self.listening = self._address is not None
        self.period = _period(environ) if self.listening else None
        self._refused = False

    def ready(self, status: str = "") -> None:
        """Say that the service does its work now.

        Args:
            status: a sentence that ``systemctl status`` shows; empty leaves what it showed.
        """
        self._tell("READY=1", status)

    def alive(self, status: str = "") -> None:
        """Say that it is not stuck; to be said every ``period`` seconds.

        Args:
            status: as for ``ready``.
        """
        self._tell("WATCHDOG=1", status)

    def stopping(self) -> None:
        """Say that the service ends by itself."""
        self._tell("STOPPING=1")

    def _tell(self, state: str, status: str = "") -> None:
        if self._address is None:
            return
        text = f"{state}\nSTATUS={' '.join(status.split())}" if status else state
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)  # a supervisor that does not read holds nobody up
                sock.sendto(text.encode("utf-8", "replace"), self._address)
        except OSError as error:
            if not self._refused:
                self._refused = True
                log.warning("systemd cannot be told %s: %s", state, error.strerror or error)


def _address(text: str) -> str | bytes | None:
    """Return the socket's address; None where there is none, or one that cannot be reached from here (vsock)."""
    if not hasattr(socket, "AF_UNIX"):
        return None
    if text.startswith("@"):
        return b"\0" + os.fsencode(text[1:])
    return text if text.startswith("/") else None


def _period(environ: Mapping[str, str]) -> float | None:
    wanted = environ.get("WATCHDOG_PID", "")
    text = environ.get("WATCHDOG_USEC", "")
    if (wanted and wanted != str(os.getpid())) or not (text.isascii() and text.isdecimal() and int(text)):
        return None
    return int(text) / 2e6
