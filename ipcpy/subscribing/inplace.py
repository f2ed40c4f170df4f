"""A large message on its way: its fragments are received straight into their places in the message.

A Gathering does so while a thread waits for that message. Any other datagram that comes meanwhile is handed to
inbound.py, as always. Where the compiled part may read the socket, it receives all that is due in one step, in the same
way (fast/gathering.c). Knows buffers and heads of fragments; nothing of order or of who waits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from itertools import chain

from ..addresses import Address
from ..fast import compiled
from ..protocol.data.fragments import MAX_FRAGMENTS, Partial
from ..protocol.data.heads import Heads, Place, read_place
from ..protocol.data.spares import let_go
from ..protocol.wire import CHECKED_FRAGMENT, FRAGMENT_OVERHEAD, Kind
from ..transport.data import DataSocket
from ..transport.kernel import MAX_MERGED, MAX_PAYLOAD, RECEIVE_SIZE
from .inbound import Inbound

POLL = bytes([Kind.POLL])
DUE = 176  # fragments whose places are got ready at a time: four times what one call receives of those for Ethernet


class Gathering:
    """Receives large messages of one subscriber. Whoever calls has the right to read its socket.

    Args:
        lock: over ``inbound``.

    Attributes:
        active: whether something is being received into its place.
    """

    def __init__(self, socket: DataSocket, inbound: Inbound, lock: threading.RLock) -> None:
        self._socket = socket
        self._recvfrom = socket.recvfrom
        self._receive_into = socket.receive_into
        self._inbound = inbound
        self._lock = lock
        self._messages = inbound.intake.inbox.messages
        self._head = bytearray(FRAGMENT_OVERHEAD)
        self._heads = bytearray(MAX_MERGED * FRAGMENT_OVERHEAD)
        view = memoryview(self._heads)
        self._slots = [view[at : at + FRAGMENT_OVERHEAD] for at in range(0, len(view), FRAGMENT_OVERHEAD)]
        self._rest = bytearray(RECEIVE_SIZE)
        self._count = 0  # fragments that are in their places and not yet taken
        self._address: Address = ("", 0)
        self._other: tuple[bytes, Address] | None = None
        self._last: Place | None = None  # of the message that was gathered last
        self.active = False

    @property
    def expects(self) -> bool:
        """Whether a message like the last one may come next."""
        return self._last is not None

    def receive_first(self) -> tuple[bytes, Address]:
        """Receive a datagram or merged buffer; if it begins a message like the last one, straight into its place.

        Once something else comes than that and what is asked in between, it expects no such message any more.

        Returns:
            What came and from where; what was taken already is left out.

        Raises:
            BlockingIOError: if none came within the socket's timeout.
        """
        last = self._last
        flow = None if last is None else self._inbound.flows.get(last.source)
        buffer = None
        if last is not None and flow is not None:
            with self._lock:
                buffer = flow.receiver.assembly.spares.take(last.total)
        if last is None or flow is None or buffer is None:
            self._last = None
            return self._recvfrom(RECEIVE_SIZE)
        data: bytes | None = b""  # nothing was taken, until it is known
        self.active = True
        try:
            data, address = self._receive_beginning(last, buffer)
        finally:
            self.active = False
            if data is not None:
                with self._lock:
                    flow.receiver.assembly.spares.keep(buffer)
        if data and data[3:4] != POLL:
            self._last = None
        return data or b"", address

    def _receive_beginning(self, last: Place, buffer: bytearray) -> tuple[bytes | None, Address]:
        """Receive into the places in a buffer; return what came and from where, None if it was taken right there."""
        if compiled is not None and self._socket.runs:
            return self._receive_run(last, buffer)
        size = last.size
        with memoryview(buffer) as view:
            due = [view[at : at + size] for at in range(0, min(_step(size) * size, last.total), size)]
        got, address, buffers = self._receive_merged(due)
        place = read_place(self._heads)
        if place.source == last.source and place[3:] == last[3:]:
            count = self._recognise(Heads(place), 0, due, got)
            with self._lock:
                if count and self._inbound.begins(place, address):
                    buffers.clear()
                    due.clear()
                    self._inbound.take_in_place(place, 0, count, buffer)
                    return None, address
        return b"".join(buffers[:2] if got <= FRAGMENT_OVERHEAD + size else buffers)[:got], address

    def _receive_run(self, last: Place, buffer: bytearray) -> tuple[bytes | None, Address]:
        """Do the same, in C as far as nobody else need be asked."""
        assert compiled is not None
        fd, common = self._socket.fileno(), Heads(last).common
        count, address, other = compiled.begin(fd, self._heads, self._rest, buffer, common)
        if other is not None:
            return other, address
        place = read_place(self._heads)
        with self._lock:
            if self._inbound.begins(place, address):
                self._inbound.take_in_place(place, 0, count, buffer)
                return None, address
        with memoryview(buffer) as view:
            parts = [bytes(view[at : at + last.size]) for at in range(0, count * last.size, last.size)]
        return b"".join(chain.from_iterable(zip(self._slots, parts, strict=False))), address

    def gather(self, deadline: float) -> int:
        """Receive until there is a message, no fragment can be expected, or the time is up; return how many datagrams.

        Raises:
            BlockingIOError: if nothing more came within the socket's timeout.
        """
        count = 0
        intake = self._inbound.intake
        while not self._messages and time.monotonic() < deadline:
            filling = intake.filling  # looked at once: a signal handler that reads may finish it at any moment
            partial = None if filling is None else filling.assembly.latest
            received = 0 if partial is None else self._receive(partial, deadline)
            count += received
            if not received or (self._other is not None and not self._other[0]):
                break  # nothing can come, or somebody called to wake up: whoever waits looks why
        return count

    def _receive_whole(self) -> int:
        """Receive a datagram or merged buffer that is no use in any place before it was opened; return 1."""
        data, address = self._recvfrom(RECEIVE_SIZE)
        with self._lock:
            self._inbound.take(data, address)
        return 1

    def _receive(self, partial: Partial, deadline: float) -> int:
        if not self._socket.in_place:
            return self._receive_whole()
        self._count, self._other = 0, None
        number = 0
        places: list[memoryview] = []
        self.active = True  # before there are places: a signal handler that reads now would fill them too
        try:
            if (fill := self._socket.fill) is not None:
                number, count = partial.span(MAX_FRAGMENTS)
                if count:
                    fd, common = self._socket.fileno(), Heads(partial.place).common
                    fill(self, fd, self._heads, self._rest, partial.buffer, common, number, count, deadline)
            else:
                number, count = partial.span(DUE)
                places = partial.places(number, count)
                if places:
                    self._fill(partial, number, places, deadline)
        finally:
            self.active = False
            let_go(places)
            if self._count:
                self._take(partial, number)
        if self._other is not None:
            with self._lock:
                self._inbound.take(*self._other)
        return self._count + (self._other is not None)

    def _fill(self, partial: Partial, number: int, places: list[memoryview], deadline: float) -> None:
        """Receive fragments into their places, a datagram or merged buffer at a time, until something else comes."""
        heads = Heads(partial.place)
        if partial.place.size > CHECKED_FRAGMENT:
            self._fill_singly(zip(places, heads.each(number, places), strict=True), deadline)
        else:
            self._fill_merged(heads, number, places, deadline)

    def _fill_singly(self, due: Iterable[tuple[memoryview, bytes]], deadline: float) -> None:
        """Receive datagrams whose data is not checked: so their heads are known before they come.

        Only that of a short last fragment is not; it is taken like anything else.
        """
        head, rest, receive_into = self._head, self._rest, self._receive_into
        for place, expected in due:
            got, address = receive_into((head, place, rest))
            if head != expected or got != len(head) + len(place) or (self._count and address != self._address):
                self._other = b"".join((head, place, rest))[:got], address
                break
            self._count += 1
            self._address = address
            if time.monotonic() >= deadline:
                break

    def _fill_merged(self, heads: Heads, number: int, places: list[memoryview], deadline: float) -> None:
        step = _step(len(places[0]))
        while self._count < len(places) and time.monotonic() < deadline:
            at = self._count
            due = places[at : at + step]
            got, address, buffers = self._receive_merged(due)
            count = 0 if at and address != self._address else self._recognise(heads, number + at, due, got)
            if not count:
                self._other = b"".join(buffers)[:got], address
                break
            self._count, self._address = at + count, address

    def _receive_merged(self, due: list[memoryview]) -> tuple[int, Address, list[bytearray | memoryview]]:
        buffers: list[bytearray | memoryview] = [*chain.from_iterable(zip(self._slots, due, strict=False))]
        buffers.append(self._rest)
        got, address = self._receive_into(buffers)
        return got, address, buffers

    def _recognise(self, heads: Heads, number: int, due: list[memoryview], got: int) -> int:
        """Count the fragments in so many bytes, if they are exactly those that were due."""
        length = FRAGMENT_OVERHEAD + len(due[0])
        count = -(-got // length)
        if not 0 < count <= len(due) or got != (count - 1) * length + FRAGMENT_OVERHEAD + len(due[count - 1]):
            return 0
        return count if self._heads.startswith(heads.pack(number, due[:count])) else 0

    def _take(self, partial: Partial, number: int) -> None:
        """Take the fragments that are in their places; without views of them, for who has a message may resize it."""
        with self._lock:
            if self._inbound.fills(partial, self._address):
                self._last = partial.place
                self._inbound.take_in_place(partial.place, number, self._count, partial.buffer)
                return
        places = partial.places(number, self._count)
        heads = Heads(partial.place).each(number, places)
        datagrams = [b"".join(each) for each in zip(heads, places, strict=True)]
        let_go(places)
        for datagram in datagrams:
            with self._lock:
                self._inbound.take(datagram, self._address)


def _step(size: int) -> int:
    """Return how many fragments of a size one call may receive."""
    return max(1, min(MAX_MERGED, MAX_PAYLOAD // (FRAGMENT_OVERHEAD + size)))
