"""A large message on its way: its fragments are received straight into their places in the message.

For the time until it is complete, while a reader waits; whatever else comes is handed to inbound.py as always.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from itertools import chain

from .inbound import Inbound
from .message import Message
from .protocol.fragments import Partial
from .protocol.wire import CHECKED_FRAGMENT, FRAGMENT_OVERHEAD, Heads
from .transport.udp import MAX_DATAGRAM, MAX_MERGED, MAX_PAYLOAD, Address, DataSocket

DUE = 176  # fragments whose places are got ready at a time: four times what one call receives of those for Ethernet


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
        self._heads = bytearray(MAX_MERGED * FRAGMENT_OVERHEAD)
        view = memoryview(self._heads)
        self._slots = [view[at : at + FRAGMENT_OVERHEAD] for at in range(0, len(view), FRAGMENT_OVERHEAD)]
        self._rest = bytearray(MAX_DATAGRAM)
        self._count = 0  # fragments that are in their places and not yet taken
        self._address: Address = ("", 0)
        self._other: tuple[bytes, Address] | None = None

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
        number, places = partial.due(DUE)
        self._count, self._other = 0, None
        try:
            self._fill(partial, number, places, deadline)
        finally:
            del places[self._count :]
            if places:
                self._take(partial, number, places)
        if self._other is not None:
            with self._lock:
                self._inbound.take(*self._other)
        return self._count + (self._other is not None)

    def _fill(self, partial: Partial, number: int, places: list[memoryview], deadline: float) -> None:
        """Receive fragments into their places, a datagram or merged buffer at a time, until something else comes."""
        size = partial.place.size
        length = FRAGMENT_OVERHEAD + size
        step = max(1, min(MAX_MERGED, MAX_PAYLOAD // length))
        pack = Heads(partial.place).pack
        whole = b"" if size <= CHECKED_FRAGMENT else pack(number, places)
        while self._count < len(places) and time.monotonic() < deadline:
            at = self._count
            due = places[at : at + step]
            buffers: list[bytearray | memoryview] = [
                *chain.from_iterable(zip(self._slots, due, strict=False)),
                self._rest,
            ]
            got, address = self._receive_into(buffers)
            count = -(-got // length)
            if (
                not 0 < count <= len(due)
                or got != count * length - size + len(due[count - 1])
                or (at and address != self._address)
                or not self._heads.startswith(
                    whole[at * FRAGMENT_OVERHEAD : (at + 1) * FRAGMENT_OVERHEAD] or pack(number + at, due[:count])
                )
            ):
                self._other = b"".join(buffers)[:got], address
                break
            self._count, self._address = at + count, address

    def _take(self, partial: Partial, number: int, places: list[memoryview]) -> None:
        """Take the fragments that are in their places; without the views, for who has a message may resize it."""
        with self._lock:
            if self._inbound.gathers(partial, self._address):
                places.clear()
                self._inbound.take_in_place(partial.place, number, self._count)
                return
        heads = Heads.split(Heads(partial.place).pack(number, places))
        datagrams = [b"".join(each) for each in zip(heads, places, strict=True)]
        places.clear()
        for datagram in datagrams:
            with self._lock:
                self._inbound.take(datagram, self._address)
