"""What is exported: publishers of this LAN, their messages on the way to the engine. One thread for each topic that
somebody beyond wants. Knows taps, thinning and the adapter; who wants what, and what is offered, is bridge.py's.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping

from ..errors import ClosedError, RecvTimeout
from ..message import Message
from ..node.node import Node
from ..subscribing.tap import Tap
from .adapter import Adapter, Unsent
from .books import ExportStats
from .offers import Beginning, Offer, Parcel
from .rules import Limits
from .thinning import Thinner

__all__ = ["Export", "Lane"]

log = logging.getLogger(__name__)

DEPTH, DEPTH_BYTES = 1_000, 16 << 20  # messages of a best-effort topic that wait here
RELIABLE_DEPTH, RELIABLE_BYTES = 10_000, 64 << 20  # the same of a reliable one, which waits for the engine
MAX_KEPT, KEPT_BYTES = 10_000, 64 << 20  # of a latched publisher
NAP = 0.02  # seconds between looks while the engine takes nothing, or while it is not known how a publisher begins
LONG_NAP = 1.0  # the same where nothing is to be looked at, and where that takes long


class Export:
    """One publisher that is offered beyond.

    Attributes:
        offer: what is told of it.
        topic: its topic here.
        wanted: whether somebody beyond subscribes to it.
    """

    def __init__(self, offer: Offer, topic: str) -> None:
        self.offer = offer
        self.topic = topic
        self.wanted = False
        self._lock = threading.Lock()
        self._kept: deque[Parcel] = deque(maxlen=min(offer.keep, MAX_KEPT))
        self._kept_bytes = 0
        self._next = 0
        self._sent = 0  # the number of the last message that went out
        self.messages = self.bytes = 0
        self.left_out: Counter[str] = Counter()

    @property
    def begun(self) -> bool:
        """Whether it is known with which number it begins."""
        return bool(self._next)

    def begin(self, first: int) -> Parcel:
        """Take note of the first number; return what tells others."""
        with self._lock:
            self._next = first
            self._sent = max(self._sent, first - 1)
        return Parcel(first, time.time_ns(), None)

    def rest(self) -> None:
        """Take note that nobody wants it: what it kept grows old."""
        with self._lock:
            self._next = self._sent = self._kept_bytes = 0
            self._kept.clear()

    def parcel(self, message: Message) -> Parcel:
        """Make a parcel of a message, and keep it where its publisher does."""
        with self._lock:
            skipped = max(0, message.seq - self._sent - 1) if self._next else 0
            body = bytes(message.data) if self._kept.maxlen else message.data
            parcel = Parcel(message.seq, message.sent_ns, body, skipped)
            if self._kept.maxlen:
                self._keep(parcel)
            self._next = message.seq + 1
        return parcel

    def _keep(self, parcel: Parcel) -> None:
        kept = self._kept
        while kept and (len(kept) == kept.maxlen or self._kept_bytes + len(parcel.body) > KEPT_BYTES):
            self._kept_bytes -= len(kept.popleft().body)
        kept.append(parcel._replace(skipped=0))
        self._kept_bytes += len(parcel.body)

    def went(self, parcel: Parcel, size: int) -> None:
        """Count a message that went out."""
        self._sent = parcel.seq
        self.messages += 1
        self.bytes += size

    def beginning(self) -> Beginning:
        """Return how it begins for somebody who comes now."""
        with self._lock:
            return Beginning(self._next, tuple(self._kept))

    def stats(self, lost: Mapping[str, int]) -> ExportStats:
        """Return what became of its messages; lost: what did not even reach the bridge."""
        offer = self.offer
        counts = self.wanted, self.messages, self.bytes, dict(self.left_out + Counter(lost))
        return ExportStats(self.topic, offer.topic, offer.publisher, offer.node, offer.host, *counts)


class Lane:
    """Takes the messages of a topic from this LAN to the engine, in a thread of its own.

    Best effort: where a limit or the engine allows fewer, the newest go on. Reliable: all go on in order, and wait in
    bounded memory; nobody who publishes waits.

    Args:
        first: a publisher of the topic; others that are as reliable can follow.
        limits: how much crosses.
        adapter: the engine.
        node: where it listens.
    """

    def __init__(self, first: Export, *, limits: Limits, adapter: Adapter, node: Node) -> None:
        self.topic = topic = first.topic
        self.exports = {first.offer.publisher: first}
        self._reliable = reliable = first.offer.reliable
        self._adapter = adapter
        self._thinner: Thinner[Message] = Thinner(limits)
        self._nap = NAP / 2
        depth, size = (RELIABLE_DEPTH, RELIABLE_BYTES) if reliable else (DEPTH, DEPTH_BYTES)
        self._tap = Tap(topic, depth=depth, depth_bytes=size, node=node)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"ipcpy bridge {topic}", daemon=True)
        self._thread.start()

    def put(self, export: Export) -> None:
        """Take the messages of a publisher too."""
        self._nap = NAP / 2
        self.exports = {**self.exports, export.offer.publisher: export}

    def remove(self, publisher: str) -> bool:
        """Take those of a publisher no more; return whether others are left."""
        self.exports = {id: export for id, export in self.exports.items() if id != publisher}
        return bool(self.exports)

    def lost(self, publisher: str) -> Mapping[str, int]:
        """Return what of a publisher did not even reach the bridge, by cause."""
        flow = self._tap.stats.publishers.get(publisher)
        return {} if flow is None else flow.lost

    def close(self) -> None:
        """End; what waits is not sent."""
        self._stopping = True
        self._tap.close()

    # -- in its own thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping:
            try:
                self._begin()
                self._collect(self._pause())
                self._forward()
            except ClosedError:
                return
            except Exception:  # a defect, which is to cost one message and no more
                log.exception("%s: a message could not be handed on", self.topic)

    def _begin(self) -> None:
        """Say with which number publishers begin that are matched now."""
        waiting = [export for export in self.exports.values() if not export.begun]
        firsts = self._tap.firsts() if waiting else {}
        for export in waiting:
            if first := firsts.get(export.offer.publisher, 0):
                self._send(export, export.begin(first))

    def _pause(self) -> float:
        """Return how long to wait for a message."""
        if self._thinner.left(time.monotonic()) < LONG_NAP:
            return self._thinner.left(time.monotonic())
        begun = all(export.begun for export in self.exports.values())
        self._nap = LONG_NAP if begun else min(2 * self._nap, LONG_NAP)
        return self._nap

    def _collect(self, timeout: float) -> None:
        """Take what has come; of a reliable topic one message, for the others wait better where they are."""
        try:
            self._put(self._tap.recv(timeout))
            while not self._reliable and len(self._thinner) < DEPTH:
                self._put(self._tap.recv(0))
        except RecvTimeout:
            pass

    def _put(self, message: Message) -> None:
        export = self.exports.get(message.publisher)
        if export is not None:
            self._thinner.put(message.publisher, message, len(message.data))

    def _forward(self) -> None:
        thinner = self._thinner
        while len(thinner) and not self._stopping:
            head = self.exports.get(str(thinner.head()))
            if head is not None and not self._reliable and not self._adapter.room(head.offer.key, NAP):
                self._collect(0)
                thinner.squeeze("uplink")
                self._count()
                continue
            taken = thinner.take(time.monotonic())
            if taken is None:
                break
            export = self.exports.get(str(taken[0]))
            if export is not None:
                self._hand_on(export, taken[1])
        self._count()

    def _hand_on(self, export: Export, message: Message) -> None:
        if not export.begun:
            first = self._tap.firsts().get(message.publisher, message.seq)
            self._send(export, export.begin(min(first, message.seq)))
        self._send(export, export.parcel(message))

    def _send(self, export: Export, parcel: Parcel) -> None:
        try:
            self._adapter.send(export.offer.key, parcel)
        except Unsent as error:
            if parcel.body is not None:
                export.left_out[error.cause] += 1
        else:
            if parcel.body is not None:
                export.went(parcel, len(parcel.body))

    def _count(self) -> None:
        """Bring what was left out into the books of its publisher."""
        for publisher, cause in list(self._thinner.left_out):
            export = self.exports.get(str(publisher))
            count = self._thinner.left_out.pop((publisher, cause))
            if export is not None:
                export.left_out[cause] += count
