"""A large message on its way over loopback: each fragment is received straight into its place in the message.

For the time until it is complete, while a reader waits; whatever else comes is handed to inbound.py as always.
"""

from __future__ import annotations

import threading
import time
from collections import deque

from .inbound import Inbound
from .message import Message
from .protocol.fragments import Partial
from .protocol.wire import FRAGMENT_OVERHEAD, Run, pack_fragment
from .transport.udp import MAX_DATAGRAM, Address, DataSocket


class Gathering:
    """Receives large messages of one subscriber. Whoever calls has the right to read its socket.

    Args:
        lock: over ``inbound``.
        messages: what was received and is not yet taken.
    """

    def __init__(self, socket: DataSocket, inbound: Inbound, lock: threading.Lock, messages: deque[Message]) -> None:
        self._receive_into = socket.receive_into
        self._inbound = inbound
        self._lock = lock
        self._messages = messages
        self._head = bytearray(FRAGMENT_OVERHEAD)
        self._rest = bytearray(MAX_DATAGRAM)

    def gather(self, deadline: float) -> int:
        """Receive until there is a message, no fragment can be expected, or the time is up; give how many datagrams.

        Raises:
            BlockingIOError: if nothing more came within the socket's timeout.
        """
        count = 0
        while not self._messages and (flow := self._inbound.gathering) is not None and time.monotonic() < deadline:
            partial = flow.receiver.gathering
            received = 0 if partial is None else self._receive(partial, deadline)
            if not received:
                break
            count += received
        return count

    def _receive(self, partial: Partial, deadline: float) -> int:
        head, rest, receive_into = self._head, self._rest, self._receive_into
        due = partial.due()
        parts: list[memoryview] = []
        first, address = 0, ("", 0)
        other = b""
        try:
            for number, expected, place in due:
                size, source = receive_into((head, place, rest))
                if head != expected or size != len(head) + len(place) or (parts and source != address):
                    other = b"".join((head, place, rest))[:size]
                    place.release()
                    break
                if not parts:
                    first, address = number, source
                parts.append(place)
                if time.monotonic() >= deadline:
                    break
        finally:
            due.close()  # it has a view of the buffer, which cannot grow while there are any
            if parts:
                self._take(Run(partial.place, first, parts), address)
        if other:
            with self._lock:
                self._inbound.take(other, source)
        return len(parts) + bool(other)

    def _take(self, run: Run, address: Address) -> None:
        with self._lock:
            taken = self._inbound.take_in_place(run, address)
        datagrams: list[bytes] = []
        for number, part in enumerate(run.parts, run.number):
            if not taken:
                datagrams.append(pack_fragment(run.place, number * run.place.size, [part]) + part)
            part.release()
        for datagram in datagrams:
            with self._lock:
                self._inbound.take(datagram, address)
