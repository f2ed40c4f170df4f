"""Where a node is handed shared memory for its subscribers. Knows connections and whom an offer is for; maps nothing.

Used in the I/O thread.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping

from ..protocol.data.places import Offer, OfferKind, unpack_offer
from ..protocol.wire import Malformed
from ..transport import handover, memory
from ..transport.handover import HandoverSocket, Listener
from ..typed import Protocol
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
        names: returns the names at which a node is offered memory, by its id, first the one at which we offer it. With
            a key nobody else can tell them: so nobody can stand there first and be handed memory.

    Attributes:
        limit: bytes that a publisher may share; 0 where no memory is shared.
        refused: how many were refused, by cause; see NodeStats.
    """

    def __init__(
        self,
        loop: Loop,
        node: int,
        subscribers: Mapping[int, Taking],
        limit: int,
        names: Callable[[str], tuple[str, ...]] = lambda node: (node,),
    ) -> None:
        self._loop = loop
        self._node, self._names = f"{node:016x}", names
        self._subscribers = subscribers
        self.limit = limit if memory.available() else 0
        self._listeners: dict[str, Listener] = {}
        self._pending: dict[HandoverSocket, float] = {}
        self.refused: Counter[str] = Counter()

    def connect(self, node: str) -> HandoverSocket | None:
        """Connect to the node of a subscriber, by its id; None if it takes no memory from here."""
        return handover.connect(self._names(node)[0]) if self.limit else None

    def listen_soon(self) -> None:
        """Begin to take offers, from any thread; once more does nothing."""
        if not self._listeners and self.limit:
            self._loop.call(self._listen)

    def keys_changed(self) -> None:
        """Take offers at the names that there are now, if any are taken."""
        if self._listeners:
            for name in self._listeners.keys() - set(self._names(self._node)):
                self._leave(name)
            self._listen()

    def _leave(self, name: str) -> None:
        listener = self._listeners.pop(name)
        self._loop.unwatch(listener)
        listener.close()

    def _listen(self) -> None:
        for name in self._names(self._node):
            if name in self._listeners or not self.limit or self._loop.stopping:
                continue
            try:
                self._listeners[name] = Listener(name)
            except OSError:  # a descriptor too many, or somebody has the name: then all goes by UDP
                self.limit = 0
                return
            self._watch(name)

    def _watch(self, name: str) -> None:
        if name in self._listeners and self.limit:
            self._loop.watch(self._listeners[name], lambda: self._accept(name))

    def _accept(self, name: str) -> None:
        listener = self._listeners.get(name)
        if listener is None:
            return
        try:
            sock = listener.accept()
        except OSError:  # who waits there waits on, and would be found again at once
            self._loop.unwatch(listener)
            self._loop.call_at(time.monotonic() + PATIENCE, lambda: self._watch(name))
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
        for name in list(self._listeners):
            self._leave(name)

    def abandon(self) -> None:
        """Close the descriptors in a forked child, whose loop is gone."""
        for sock in self._pending:
            sock.close()
        for listener in self._listeners.values():
            listener.close()
