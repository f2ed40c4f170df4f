"""Where a node is handed shared memory for its subscribers. Knows connections and whom an offer is for; maps nothing.

Used in the I/O thread.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from ..protocol.data.places import Offer, OfferKind, unpack_offer
from ..protocol.wire import Malformed
from ..transport import handover, memory
from ..transport.handover import HandoverSocket, Listener
from .loop import Loop

MAX_PENDING = 32  # connections by which nothing was offered yet
PATIENCE = 1.0  # seconds that one has for its first offer


class Taking(Protocol):
    """What is asked of a subscriber."""

    def memory_offered(self, offer: Offer, descriptors: list[int], sock: HandoverSocket) -> str: ...


class Handovers:
    """Takes the connections of publishers of this host, and connects to the nodes of their subscribers.

    Args:
        subscribers: those of this node, by number.
        limit: bytes that a publisher may share; 0 for none.

    Attributes:
        limit: bytes that a publisher may share; 0 where no memory is shared.
        refused: how many were refused, by cause; see NodeStats.
    """

    def __init__(self, loop: Loop, node: int, subscribers: Mapping[int, Taking], limit: int) -> None:
        self._loop = loop
        self._name = f"{node:016x}"
        self._subscribers = subscribers
        self.limit = limit if memory.available() else 0
        self._listener: Listener | None = None
        self._pending: dict[HandoverSocket, float] = {}
        self.refused: Counter[str] = Counter()

    def connect(self, node: str) -> HandoverSocket | None:
        """Connect to the node of a subscriber, by its id; None if it takes no memory from here."""
        return handover.connect(node) if self.limit else None

    def listen_soon(self) -> None:
        """Begin to take offers, from any thread; once more does nothing."""
        if self._listener is None and self.limit:
            self._loop.call(self._listen)

    def _listen(self) -> None:
        if self._listener is not None or not self.limit or self._loop.stopping:
            return
        try:
            self._listener = Listener(self._name)
        except OSError:  # a descriptor too many, or somebody has the name: then all goes by UDP
            self.limit = 0
            return
        self._watch()

    def _watch(self) -> None:
        if self._listener is not None and self.limit:
            self._loop.watch(self._listener, self._accept)

    def _accept(self) -> None:
        if self._listener is None:
            return
        try:
            sock = self._listener.accept()
        except OSError:  # who waits there waits on, and would be found again at once
            self._loop.unwatch(self._listener)
            self._loop.call_at(time.monotonic() + PATIENCE, self._watch)
            return
        if sock is None:
            return
        if not sock.same_user():
            self._refuse(sock, "user")
        elif len(self._pending) >= MAX_PENDING:
            self._refuse(sock, "crowded")
        else:
            now = time.monotonic()
            self._pending[sock] = now + PATIENCE
            self._loop.watch(sock, lambda: self._read(sock))
            self._loop.call_at(now + PATIENCE, self._drop_silent)

    def _refuse(self, sock: HandoverSocket, cause: str) -> None:
        self.refused[cause] += 1
        sock.close()

    def _drop_silent(self) -> None:
        now = time.monotonic()
        for sock in [sock for sock, until in self._pending.items() if until <= now]:
            self._part(sock)
            self._refuse(sock, "malformed")

    def _part(self, sock: HandoverSocket) -> None:
        del self._pending[sock]
        self._loop.unwatch(sock)

    def _read(self, sock: HandoverSocket) -> None:
        received = sock.receive()
        if received is None:
            if sock.ended:
                self._part(sock)
                sock.close()
            return
        data, descriptors = received
        self._part(sock)
        try:
            cause = self._offer(data, descriptors, sock)
        finally:
            handover.close_all(descriptors)
        if cause:
            self._refuse(sock, cause)

    def _offer(self, data: bytes, descriptors: list[int], sock: HandoverSocket) -> str:
        try:
            offer = unpack_offer(data)
        except Malformed:
            return "malformed"
        if offer.kind != OfferKind.OFFER or offer.segment != 0:
            return "malformed"
        subscriber = self._subscribers.get(offer.subscriber)
        return "unknown" if subscriber is None else subscriber.memory_offered(offer, descriptors, sock)

    def close(self) -> None:
        """Take no more offers."""
        self.limit = 0
        for sock in list(self._pending):
            self._part(sock)
            sock.close()
        if self._listener is not None:
            self._loop.unwatch(self._listener)
            self._listener.close()

    def abandon(self) -> None:
        """Close the descriptors in a forked child, whose loop is gone."""
        for sock in self._pending:
            sock.close()
        if self._listener is not None:
            self._listener.close()
