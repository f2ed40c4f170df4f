"""Answers those who look for faults (``ipcpy doctor``), from the link's port or from a second one.

Joins protocol/link/echo.py with sockets. Runs in the I/O thread.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable

from ..addresses import Address, Way
from ..errors import TransportError
from ..protocol.link.echo import is_echo, pack_echoed, unpack_echo
from ..protocol.wire import Malformed
from ..transport.link import LinkSocket
from .loop import Loop

AT_ONCE = 64  # questions that are read before others have their turn


class Echoes:
    """The second port of a node, which is opened when somebody asks for the first time, and the answers.

    Args:
        id: of the node.
        domain: its number on the wire; others get no answer.
        link: the socket of the link's port.
        open_socket: opens a socket at any free port.
        dropped: where what is no question is counted, by cause.

    Attributes:
        way_to: returns how to leave for an address that asked at one of ours; None where the system may choose.
    """

    def __init__(
        self,
        loop: Loop,
        id: int,
        domain: int,
        link: LinkSocket,
        open_socket: Callable[[], LinkSocket],
        dropped: Counter[str],
    ) -> None:
        self._loop = loop
        self._id = id
        self._domain = domain
        self._link = link
        self.way_to: Callable[[str, str], Way | None] = lambda *_: None
        self._open_socket = open_socket
        self._dropped = dropped
        self._aside: LinkSocket | None = None
        self._closed = False

    def receive(self, data: bytes, address: Address, source: LinkSocket) -> None:
        """Take a question that came to either port, and answer it from the one it asks for, and where it was asked."""
        try:
            question = unpack_echo(data, self._domain)
        except Malformed as error:
            self._dropped[error.cause] += 1
            return
        aside = self._second()
        port = aside.port if aside is not None else 0
        answer = pack_echoed(question, self._id, self._domain, time.time_ns(), port)
        way = self.way_to(address[0], source.asked)
        if not question.aside:
            self._link.sendto(answer, address, way)
        elif aside is not None:
            aside.sendto(answer, address, way)

    def _second(self) -> LinkSocket | None:
        if self._aside is None and not self._closed:
            with contextlib.suppress(TransportError):  # no descriptor left: then there is no second port
                self._aside = self._open_socket()
                self._loop.watch(self._aside, self._on_datagrams)
        return self._aside

    def _on_datagrams(self) -> None:
        for _ in range(AT_ONCE):
            received = self._aside.poll() if self._aside is not None else None
            if received is None or self._aside is None:
                return
            if is_echo(received[0]):
                self.receive(*received, self._aside)

    def close(self) -> None:
        """Close the second port."""
        self._closed = True
        if self._aside is not None:
            self._loop.unwatch(self._aside)
            self._aside.close()
            self._aside = None
