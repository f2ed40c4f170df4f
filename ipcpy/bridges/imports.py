"""What is imported: publishers beyond, each with a relay on this LAN. Knows relays, numbers and books; no engine, and
nothing of which offer is taken, which is choice.py's.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from typing import Any

from ..errors import ArgumentError, ClosedError, IpcError
from ..node.node import Node
from ..protocol.data.reach import Reach
from ..publishing.relay import Relay
from .books import ImportStats
from .offers import Beginning, Offer, Parcel

__all__ = ["Import", "via_of"]

log = logging.getLogger(__name__)

DIRECT = 32 << 10  # bytes of a best-effort message that is published at once: publishing it never waits
QUEUE, QUEUE_BYTES = 10_000, 64 << 20  # messages that wait to be published here


def via_of(offer: Offer, engine: str) -> dict[str, Any]:
    """Return what discovery says of where a relay has its messages from."""
    return {
        "bridge": offer.name,
        "engine": engine,
        "node": offer.node,
        "host": offer.host,
        "path": list(offer.path),
    }


class Import:
    """One publisher beyond, and its relay here.

    Args:
        offer: the offer that is taken.
        topic: what its topic is called here.
        engine: the name of the engine.
        node: where the relay is.

    Attributes:
        offer: the offer that is taken now.
        wanted: whether somebody here subscribes to it.
    """

    def __init__(self, offer: Offer, topic: str, engine: str, node: Node) -> None:
        self.offer = offer
        self.topic = topic
        self.wanted = False
        self._engine = engine
        self._node = node
        self._lock = threading.RLock()
        self._held: list[Parcel] | None = None  # while it is asked how it begins
        self._held_bytes = 0
        self._last: int | None = None  # the number of the last message, or of the one before the first
        self._reach = Reach()  # how far its numbers can have come
        self._away = False  # whether the way was gone since the last message
        self._resumed = 0  # the number that came next when the way was there again; some of before may come late
        self._queue: _Queue | None = None
        self.received = self.bytes = self.doubles = 0
        self.missing: Counter[str] = Counter()
        self._relay: Relay | None = None
        self._fresh = True  # whether the relay has published nothing yet
        self._open()

    def _open(self) -> None:
        offer = self.offer
        self._fresh, self._relayed = True, 0
        self._relay = Relay(
            self.topic,
            offer.codec,
            offer.schema,
            id=offer.publisher,
            via=via_of(offer, self._engine),
            reliable=offer.reliable,
            keep=offer.keep,
            node=self._node,
        )

    def reopen(self) -> None:
        """Announce it anew: another bridge announced the same, or what is told of it has changed."""
        with self._lock:
            self._drop_relay()
            self._open()

    def resume(self, offer: Offer, topic: str) -> None:
        """Be there again: its publisher is offered again."""
        with self._lock:
            self.offer, self.topic = offer, topic
            self._open()

    def suspend(self) -> None:
        """Withdraw it, and keep the books: its publisher is out of reach, or gone."""
        with self._lock:
            self._held, self._away, self.wanted = None, True, False
            self._drop_relay()

    def ask(self) -> None:
        """Hold what comes until ``begin``: somebody asks beyond how it begins."""
        with self._lock:
            self._held, self._held_bytes = [], 0

    def begin(self, beginning: Beginning) -> None:
        """Publish what its publisher keeps, and what came meanwhile; from now on what comes, at once."""
        with self._lock:
            held, self._held = self._held or [], None
            if self._away:
                self._resumed = beginning.seq
            parcels = {parcel.seq: parcel for parcel in (*beginning.kept, *held) if parcel.body is not None}
            numbers = [*parcels, *(parcel.seq for parcel in held), *filter(None, [beginning.seq])]
            if not numbers or self._relay is None:
                return
            self._begin(min(numbers))
            for seq in sorted(parcels):
                if self._reach.holds(seq, time.monotonic()):
                    self._take(parcels[seq])

    def arrive(self, parcel: Parcel) -> bool:
        """Take a parcel; return whether it is believed: nobody can have come to some numbers."""
        with self._lock:
            if not self._reach.holds(parcel.seq, time.monotonic()):
                return False
            if self._held is None:
                self._take(parcel)
            elif len(self._held) < QUEUE and self._held_bytes + _size(parcel) <= QUEUE_BYTES:
                self._held.append(parcel)
                self._held_bytes += _size(parcel)
            else:
                self.missing["queue"] += 1
            return True

    def rest(self) -> None:
        """Take note that nobody here wants it: it is announced anew, for it begins anew, and what it kept grows old."""
        with self._lock:
            self._held = self._last = None
            self._reach = Reach()
            if not self._fresh:
                self.reopen()

    def close(self) -> None:
        """Withdraw it."""
        with self._lock:
            self._drop_relay()

    def _drop_relay(self) -> None:
        if self._queue is not None:
            self._queue.close()
            self._queue = None
        if self._relay is not None:
            self._relay.close()
            self._relay = None

    # -- parcels, with the lock --------------------------------------------------------------------------------------

    def _begin(self, first: int) -> None:
        if self._last is not None:
            self._count_gap(max(0, first - 1 - self._last), 0)
        self._last = max(self._last or 0, first - 1)
        self._reach.start(first, time.monotonic())
        self._publish(Parcel(first, 0, None))

    def _take(self, parcel: Parcel) -> None:
        if parcel.body is None:
            self._resumed = parcel.seq
            if self._fresh:
                self._begin(parcel.seq)
            return
        if self._last is not None and parcel.seq <= self._last:
            if parcel.seq > self._relayed:  # the relay is new: what is kept is for those here who come late
                self._publish(parcel)
            else:
                self.doubles += 1
            return
        if self._last is not None:
            self._count_gap(parcel.seq - self._last - 1, parcel.skipped)
        self._last = parcel.seq
        self._reach.start(parcel.seq, time.monotonic())
        self._away = False
        self.received += 1
        self.bytes += len(parcel.body)
        self._publish(parcel)

    def _count_gap(self, gap: int, skipped: int) -> None:
        if not gap:
            return
        on_purpose = min(gap, skipped)
        if on_purpose:
            self.missing["left out"] += on_purpose
        if gap > on_purpose:
            away = self._away or (self._last or 0) + 1 < self._resumed
            self.missing["link" if away else "engine"] += gap - on_purpose

    def _publish(self, parcel: Parcel) -> None:
        if self._relay is None:
            return
        self._fresh = False
        self._relayed = max(self._relayed, parcel.seq - (parcel.body is None))
        if self._queue is None and not self.offer.reliable and (parcel.body is None or len(parcel.body) <= DIRECT):
            publish(self._relay, parcel)
            return
        if self._queue is None:
            self._queue = _Queue(self._relay, self.topic, self.missing)
        self._queue.put(parcel)

    def stats(self) -> ImportStats:
        """Return what became of its messages."""
        offer = self.offer
        who = self.topic, offer.topic, offer.publisher, offer.node, offer.host, offer.name, len(offer.path)
        there = self._relay is not None
        return ImportStats(*who, there, self.wanted, self.received, self.bytes, self.doubles, dict(self.missing))


def publish(relay: Relay, parcel: Parcel) -> None:
    """Publish a parcel on a relay; one that cannot be is logged."""
    try:
        if parcel.body is None:
            relay.begin(parcel.seq)
        else:
            relay.relay(parcel.body, parcel.seq, parcel.sent_ns)
    except ClosedError:
        pass
    except (ArgumentError, IpcError) as error:
        log.warning("%s: a message from beyond is not published: %s", relay.topic, error)


class _Queue:
    """Parcels that wait to be published: publishing them may wait for subscribers, and who reads the engine may not."""

    def __init__(self, relay: Relay, topic: str, missing: Counter[str]) -> None:
        self._relay = relay
        self._missing = missing
        self._waiting: deque[Parcel] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closed = False
        threading.Thread(target=self._run, name=f"ipcpy relay {topic}", daemon=True).start()

    def put(self, parcel: Parcel) -> None:
        """Have a parcel wait; the oldest give way, and are counted."""
        with self._changed:
            self._waiting.append(parcel)
            self._bytes += _size(parcel)
            while len(self._waiting) > 1 and (len(self._waiting) > QUEUE or self._bytes > QUEUE_BYTES):
                self._bytes -= _size(self._waiting.popleft())
                self._missing["queue"] += 1
            self._changed.notify()

    def close(self) -> None:
        """Publish no more."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                parcel = self._waiting.popleft()
                self._bytes -= _size(parcel)
            publish(self._relay, parcel)


def _size(parcel: Parcel) -> int:
    return 0 if parcel.body is None else len(parcel.body)
