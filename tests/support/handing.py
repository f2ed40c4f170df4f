"""Both ends of a hand-over of shared memory, made by hand: for what takes the other end, and for what lies about it.

Memory, seals and sockets are real; no name is listened to, and there is no thread.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tools
from ipcpy.protocol.data.places import (
    ENTRIES,
    TABLE_SIZE,
    Offer,
    OfferKind,
    Spot,
    pack_offer,
    pack_spot,
    unpack_offer,
)
from ipcpy.protocol.wire import Kind, pack_frame
from ipcpy.subscribing.memory import Shared
from ipcpy.transport import memory
from ipcpy.transport.handover import HandoverSocket
from still import StillLoop

SIZE = 1 << 20  # bytes of a segment
TOKEN = 7


def ends() -> tuple[HandoverSocket, HandoverSocket]:
    """Return both ends of a connection."""
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for each in pair:
        each.setblocking(False)
    return HandoverSocket(pair[0]), HandoverSocket(pair[1])


def readable(file: Any, seconds: float = 0.0) -> bool:
    """Tell whether something can be read, or will be in so many seconds at most."""
    return bool(select.select([file], [], [], seconds)[0])


def exchange(loop: StillLoop) -> None:
    """Let all whose files a loop watches read everything that has come."""
    for _ in range(200):
        due = [(file, ready) for file, ready in loop.ready.items() if readable(file)]
        if not due:
            return
        for file, ready in due:
            if file in loop.ready:
                ready()
    raise AssertionError("they read for ever")


def descriptors() -> Counter[str]:
    """Count the descriptors of this process by what they are; those not, that a mapping has before Python 3.13."""
    found: Counter[str] = Counter()
    for link in Path("/proc/self/fd").iterdir():
        try:
            found[os.readlink(link).partition(":")[0]] += 1
        except FileNotFoundError:  # the one that lists them
            continue
    if sys.version_info < (3, 13):
        found["/memfd"] -= mapped("")
    return +found


def mapped(name: str) -> int:
    """Count the mappings of memory of a name in this process."""
    return Path("/proc/self/maps").read_text().count(f"memfd:{name}")


def in_child(function: Callable[[], bool]) -> bool:
    """Call a function in a forked child; return what it does, False where it raises."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if function() else 1
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@contextmanager
def another_user(function: Callable[[], object]) -> Iterator[None]:
    """Call a function meanwhile in a child that belongs to another user; fail where it raises.

    Raises:
        Unavailable: unless root runs the tests.
    """
    tools.need_root()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setuid(65_534)
            function()
            status = 0
        finally:
            os._exit(status)
    yield
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class Giver:
    """A publisher that shares memory as a test wants it.

    Attributes:
        area: of its segment, which it writes to.
        ledger: the words of the subscriber's ledger, once it has answered.
        sock: its end of the connection.
        theirs: the subscriber's end.
        answers: the datagrams of the subscriber that it has read.
    """

    def __init__(self, number: int, subscriber: int, *, size: int = SIZE, token: int = TOKEN) -> None:
        self.sock, self.theirs = ends()
        self.offer = Offer(OfferKind.OFFER, number, subscriber, token, 0, size)
        self.descriptor, self.area = memory.create("test-segment", size)
        self.table = self.area.words(ENTRIES)
        self.ledger = memoryview(b"").cast("Q")
        self.answers: list[Offer] = []
        self._at = TABLE_SIZE
        self._number = number
        self._generation = 0

    def close(self) -> None:
        """Close everything that it has."""
        self.sock.close()
        self.theirs.close()
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.descriptor = -1

    def __enter__(self) -> Giver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, offer: Offer | None = None, descriptors: list[int] | None = None) -> None:
        """Send an offer, by default its own."""
        theirs = [self.descriptor] if descriptors is None else descriptors
        assert self.sock.send(pack_offer(self.offer if offer is None else offer), theirs)

    def read(self) -> None:
        """Read what the subscriber has answered."""
        while (received := self.sock.receive()) is not None:
            data, found = received
            self.answers.append(unpack_offer(data))
            for descriptor in found:
                self.ledger = memory.open_sealed(descriptor, TABLE_SIZE).words(ENTRIES)
                os.close(descriptor)

    def lay(self, body: bytes, entry: int = 0) -> Spot:
        """Lay a body into the segment, and say so in the table."""
        self._generation += 1
        spot = Spot(0, entry, self._generation, self._at, len(body))
        memory.view(self.area.part(spot.offset, spot.size), writable=True)[:] = body
        self.table[entry] = spot.generation
        self._at += -(-len(body) // 64) * 64
        return spot

    def frame(self, spot: Spot, seq: int, sent_ns: int = 0, codec: int = 0) -> bytes:
        """Return the frame that says where a message lies."""
        return pack_frame(Kind.PLACED, self._number, seq, sent_ns, pack_spot(spot), codec=codec)


class Taker:
    """A subscriber that takes the memory that it is offered by a socket.

    Args:
        watching: watches the socket.
        on_offer: called with the first offer, once it was taken.

    Attributes:
        shared: what it has of it; None before the first offer.
        lies: how many offers were not as they should be.
    """

    def __init__(
        self, sock: HandoverSocket, watching: Any, on_offer: Callable[[Offer], object] = lambda offer: None
    ) -> None:
        self.sock = sock
        self.lies = 0
        self.shared: Shared | None = None
        self._watching = watching
        self._on_offer = on_offer
        watching.watch(sock, self.read)

    def read(self) -> None:
        """Take the first offer."""
        received = self.sock.receive()
        if received is None:
            if self.sock.ended:
                self.close()
            return
        data, found = received
        self._watching.unwatch(self.sock)
        self.shared = Shared(self._watching, self.sock, self._on_lie)
        offer = unpack_offer(data)
        assert self.shared.begin(offer, found)
        for descriptor in found:
            os.close(descriptor)
        self._on_offer(offer)

    def _on_lie(self) -> None:
        self.lies += 1

    def take(self, spot: Spot) -> memoryview | None:
        """Return what lies at a spot."""
        assert self.shared is not None
        return self.shared.take(spot)

    def close(self) -> None:
        """End the connection as the end of its process does, whatever it holds."""
        self._watching.unwatch(self.sock)
        self.sock.close()
