"""How a thread waits in the subscriber's own socket: prepared once for a timeout, then one system call a message.

Knows polling, sleeping and which receive function fits; nothing of locks or of what becomes of a datagram.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..addresses import Address
from ..fast import WaitFields
from ..transport.data import DataSocket
from .inplace import Gathering

UNPREPARED = -1.0  # no timeout

Receive = Callable[[int], tuple[bytes, Address]]


class Wait(WaitFields):
    """How a thread waits: the timeout that the socket is set to, and the function to receive with.

    Args:
        spin: seconds that a thread polls before it sleeps.

    Attributes:
        timeout: the timeout with which the socket can be read without ado; UNPREPARED where it cannot.
        receive: receives a datagram, and waits for it as long as ``timeout``. Raises BlockingIOError if none came.
    """

    def __init__(self, socket: DataSocket, gathering: Gathering, spin: float) -> None:
        self.timeout: float | None = UNPREPARED
        self.receive: Receive = socket.recvfrom
        self._socket = socket
        self._gathering = gathering
        self._spin = spin
        self._spins = spin  # of the timeout prepared for

    def reset(self) -> None:
        """Have the next wait look at everything again: something of what ``prepare`` looked at has changed."""
        self.timeout = UNPREPARED

    def prepare(self, timeout: float | None) -> None:
        """Get ready to wait in the socket itself.

        Args:
            timeout: seconds; None waits for ever. ``self.timeout`` is it already, unless somebody reset that meanwhile.
        """
        sleep = timeout
        if self._spin:
            self._spins, sleep = self.part(timeout)
        if sleep != self._socket.timeout:
            self._socket.set_timeout(sleep)
        if self._spin:
            self.receive = self._receive_spinning
        elif self._gathering.expects:
            self.receive = self._receive_first
        else:
            self.receive = self._socket.recvfrom

    def part(self, timeout: float | None) -> tuple[float, float | None]:
        """Part a time to wait into that for polling and that for sleeping."""
        if timeout is None:
            return self._spin, None
        spins = min(self._spin, timeout)
        return spins, timeout - spins

    def _receive_spinning(self, size: int) -> tuple[bytes, Address]:
        """Receive a datagram: poll for a while, for who sleeps has to be woken, and only then sleep."""
        until = time.monotonic() + self._spins
        while time.monotonic() < until:
            received = self._socket.poll()
            if received is not None:
                return received
        return self._socket.recvfrom(size)

    def _receive_first(self, _: int) -> tuple[bytes, Address]:
        """Receive while a large message may come next; small ones are received without ado."""
        received = self._gathering.receive_first()
        if not self._gathering.expects:
            self.receive = self._socket.recvfrom
        return received

    def close(self) -> None:
        """Let go of what was prepared: a method of its own would keep this alive."""
        self.timeout = UNPREPARED
        self.receive = self._socket.recvfrom
