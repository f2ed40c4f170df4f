"""Subscribers that take bodies as they come, and whose they are. Knows ipcpy's public names and the tape, and no file.

One subscriber a pattern hears all topics, present and later, whatever their codec: its own codec is ``any``.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from ..errors import ArgumentError, ClosedError
from ..events import PublisherFound
from ..graph import EndpointInfo
from ..node.node import Node
from ..protocol.topics import check_asked, matches
from ..subscribing.subscriber import Subscriber
from ..views import Bodies
from .chunk import Chunk
from .clocks import Traces
from .files import Books
from .latches import Latches
from .tape import Counts, Tape

__all__ = ["Capture", "Sources", "check_rate", "check_topics"]

log = logging.getLogger(__name__)

DEPTH = 50_000  # messages that wait for the tape: a second of small ones
DEPTH_BYTES = 256 << 20  # of which 671 bytes each are set aside: no look at those that have no more
LOOK = 0.5  # seconds between two looks at the publishers' clocks
OLD = 5.0  # seconds without an answer after which nothing more is known of a clock
TICK = 0.2  # seconds after which a thread looks at the time though nothing comes
DRAIN = 1.0  # seconds in which what has arrived is still taken when it ends
MAX_SOURCES = 10_000  # publishers whose beginnings are remembered


class Sources:
    """Who publishes: publishers by id, those included that are gone before they are asked for."""

    def __init__(self, node: Node) -> None:
        self._watch = node.watch()
        self._known: dict[str, EndpointInfo] = {}

    def of(self, publisher: str) -> EndpointInfo | None:
        """Return a publisher; None if it was never heard of."""
        if publisher not in self._known:
            with contextlib.suppress(TimeoutError, ClosedError):
                while True:
                    event = self._watch.get(0)
                    if isinstance(event, PublisherFound):
                        self._known[event.publisher.id] = event.publisher
            while len(self._known) > MAX_SOURCES:
                del self._known[next(iter(self._known))]
        return self._known.get(publisher)

    def close(self) -> None:
        """Watch no more."""
        self._watch.close()


class Capture:
    """Records what subscribers receive.

    Args:
        topics: names and patterns.
        put: called with each chunk.
        node: the node it belongs to.
        exclude: names and patterns of topics that are left out; they are received all the same.
        max_rate: messages a second of a publisher that are kept; None keeps all.
        bgr: see ``viewer_for``.
        latches: see ``Tape``.

    Raises:
        ArgumentError: a topic is none, or there is none.
        TransportError: there is no socket to be had.

    Attributes:
        tape: what makes chunks of messages.
        lock: held by who uses the tape.
        failed: messages that could not be recorded, for a defect.
    """

    def __init__(
        self,
        topics: str | Iterable[str],
        put: Callable[[Chunk], object],
        *,
        node: Node,
        exclude: str | Iterable[str] = (),
        max_rate: float | None = None,
        bgr: bool = False,
        latches: Latches | None = None,
    ) -> None:
        names, excluded = check_topics(topics, exclude)
        self._excluded = list(map(node.resolve, excluded))
        period = 0 if max_rate is None else round(1e9 / check_rate(max_rate))
        self.lock = threading.RLock()
        self._sources = Sources(node)
        left_out = self._is_excluded
        self.tape = Tape(put, self._sources.of, is_excluded=left_out, period_ns=period, bgr=bgr, latches=latches)
        self.failed = 0
        self._stopping = False
        self._traces = Traces()
        self._ended = threading.Event()
        self._node = node
        self._settling = 0  # how often it was asked whether everything is taken
        self._idle: dict[str, int] = {}  # by subscriber, which time it had nothing unread
        self._last: dict[str, Any] = {}
        self._subscribers: list[Subscriber] = []
        try:
            for name in names:
                sub = Subscriber(name, Bodies(), depth=DEPTH, depth_bytes=DEPTH_BYTES, node=node)
                self._subscribers.append(sub)
        except BaseException:
            self._close_all()
            raise
        self._threads = [
            threading.Thread(target=self._listen, args=(sub,), name=f"ipcpy recording {sub.topic}", daemon=True)
            for sub in self._subscribers
        ]
        self._threads.append(threading.Thread(target=self._look, name="ipcpy recording clocks", daemon=True))
        for thread in self._threads:
            thread.start()

    def _listen(self, sub: Subscriber) -> None:
        take, lock, recv = self.tape.take, self.lock, sub.recv
        until = 0.0
        while True:
            asked = self._settling
            try:
                message = recv(0 if self._stopping else TICK)
            except TimeoutError:
                if self._stopping:
                    return
                self._idle[sub.id] = asked
                with lock:
                    self.tape.tick(time.time_ns())
                continue
            except ClosedError:
                return
            try:
                with lock:
                    take(message, sub)
            except Exception:  # a defect, which is to cost one message and no more
                if not self.failed:
                    log.exception("%s: a message could not be recorded", message.topic)
                self.failed += 1
            del message  # it may lie in its publisher's memory, which waits for whoever holds it
            if self._stopping:
                until = until or time.monotonic() + DRAIN
                if time.monotonic() > until:
                    return

    def _look(self) -> None:
        while not self._ended.wait(LOOK):
            self._note_clocks()

    def _note_clocks(self) -> None:
        """Note how far the clocks are ahead of the nodes whose messages are recorded."""
        with self.lock:
            infos = list(map(self._sources.of, self.tape.counts()))
        for node in {info.node.id: info.node for info in infos if info is not None}.values():
            with contextlib.suppress(ClosedError):
                clock = self._node.clock(node)
                if clock.age < OLD:
                    self._traces.add(node.id, time.time_ns() - round(clock.age * 1e9), clock)

    def _is_excluded(self, topic: str) -> bool:
        return any(matches(pattern, topic) for pattern in self._excluded)

    def settle(self, timeout: float = 2 * TICK) -> None:
        """Wait until everything that has arrived is taken, but not for long: where much comes it never is."""
        self._settling += 1
        until = time.monotonic() + timeout
        while time.monotonic() < until and any(self._idle.get(sub.id, 0) < self._settling for sub in self._subscribers):
            time.sleep(0.01)

    def flush(self) -> None:
        """Hand on what was received until now, whatever its age."""
        with self.lock:
            self.tape.close_chunk()

    def close(self) -> None:
        """Take what has arrived, hand it on, and end; idempotent."""
        self._stopping = True
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self.flush()
        if self._subscribers:
            self._note_clocks()
        self._close_all()

    def _close_all(self) -> None:
        if self._subscribers:
            self._last = self._flows()
        for sub in self._subscribers:
            sub.close()
        self._subscribers = []
        self._sources.close()

    # -- the books ---------------------------------------------------------------------------------------------------

    def _flows(self) -> dict[str, Any]:
        """Return what subscribers counted, by publisher: of several that hear it the one it is recorded from."""
        found: dict[str, Any] = dict(self._last)
        for sub in self._subscribers:
            for publisher, flow in sub.stats.publishers.items():
                if self._is_excluded(flow.topic):
                    continue
                if publisher not in found or self.tape.owner(publisher) is sub:
                    found[publisher] = flow
        return found

    def counts(self) -> dict[str, Counts]:
        """Return what was kept, by publisher. Takes no lock: who listens holds it while it waits for who writes."""
        return self.tape.counts()

    def lost(self) -> Counter[str]:
        """Return what did not arrive, by cause; and what could not be recorded, by ``recorder``."""
        total: Counter[str] = Counter(recorder=self.failed) if self.failed else Counter()
        for flow in self._flows().values():
            total.update(flow.lost)
        return total

    def lost_by_topic(self) -> dict[str, Counter[str]]:
        """Return what did not arrive, by topic and cause."""
        totals: dict[str, Counter[str]] = {}
        for flow in self._flows().values():
            totals.setdefault(flow.topic, Counter()).update(flow.lost)
        return totals

    def books(self) -> Books:
        """Return the books as they stand in a file."""
        counts = self.counts()
        told: dict[str, str] = {}
        lost = 0
        for publisher, flow in self._flows().items():
            kept = counts.get(publisher, Counts(flow.topic))
            entry = {
                "topic": flow.topic,
                "node": flow.node,
                "host": flow.host,
                "received": flow.received,
                "lost": dict(flow.lost),
                "duplicates": flow.duplicates,
                "reordered": flow.reordered,
                "recorded": kept.recorded,
                "thinned": kept.thinned,
            }
            lost += sum(flow.lost.values())
            told[publisher] = json.dumps(entry, separators=(",", ":"))
        return Books(told, lost, self._traces.told())


def check_topics(topics: str | Iterable[str], exclude: str | Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the topics that are recorded, and those that are not, as they were asked for.

    Raises:
        ArgumentError: one of them is no name or pattern, or nothing is recorded.
    """
    names, excluded = ([each] if isinstance(each, str) else list(dict.fromkeys(each)) for each in (topics, exclude))
    if not names:
        raise ArgumentError("topics are names or patterns, such as ['imu', 'camera/**']; got none")
    for name in (*names, *excluded):
        check_asked(name)
    return names, excluded


def check_rate(rate: object) -> float:
    """Return a number of messages a second.

    Raises:
        ArgumentError: it is none.
    """
    if not isinstance(rate, int | float) or isinstance(rate, bool) or not 0 < rate < 1e9:
        raise ArgumentError(f"max_rate is a number of messages a second, got {rate!r}")
    return float(rate)
