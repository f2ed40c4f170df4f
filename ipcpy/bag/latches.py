"""What latched topics kept last, for a ring that has forgotten it. Knows records in bounded memory; nothing of time.

A map, a calibration, the description of a robot is published once, and is older than any ring. Who plays what the ring
wrote into the nodes that failed needs it all the same. The thread that listens puts, the thread that writes asks.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Collection, Sequence
from typing import NamedTuple

from .catalog import Catalog
from .chunk import Buffer, Chunk, ChunkBuilder

__all__ = ["LIMIT", "Latch", "Latches"]

log = logging.getLogger(__name__)

LIMIT = 64 << 20  # bytes of latched messages, which are not compressed; docs/recording.md says it
_EACH = 1 << 10  # bytes that a message counts for besides its data: else small ones would be bounded by nothing


class Latch(NamedTuple):
    """A message as it stands in a file.

    Attributes:
        topic: its topic.
        publisher: its publisher.
        number: which chunk of its tape has it.
        catalog: what its channels are.
        sequence: the low 32 bits of its number.
        publish_ns: when it was sent.
        records: its records: the channel and the data of each.
    """

    topic: str
    publisher: str
    number: int
    catalog: Catalog
    sequence: int
    publish_ns: int
    records: Sequence[tuple[int, tuple[Buffer, ...]]]


class Latches:
    """Keeps the last messages of publishers that keep some for late subscribers.

    Where they do not fit, older ones of the same topic give way, whoever published them, and those of no other topic.

    Args:
        limit: bytes that are kept.
        exclude: names of topics that are left out.

    Attributes:
        size: bytes that are kept now.
        left_out: messages that a publisher kept and that did not fit.
    """

    def __init__(self, limit: int = LIMIT, exclude: Collection[str] = ()) -> None:
        self.size = 0
        self.left_out = 0
        self._limit = limit
        self._exclude = exclude
        self._kept: dict[str, dict[str, deque[tuple[int, Latch]]]] = {}  # by topic and publisher, with how many came
        self._came = 0
        self._said: set[str] = set()
        self._lock = threading.Lock()

    def wants(self, topic: str, keep: int) -> bool:
        """Tell whether the messages of a publisher are kept."""
        return keep > 0 and topic not in self._exclude

    def put(self, latch: Latch, keep: int) -> None:
        """Keep a copy of a message, as one of the last ``keep`` of its publisher."""
        size = _size(latch)
        with self._lock:
            topic = self._kept.setdefault(latch.topic, {})
            own = topic.setdefault(latch.publisher, deque())
            while len(own) >= keep:
                self._drop(topic, latch.publisher)
                own = topic.setdefault(latch.publisher, deque())
            while self.size + size > self._limit and any(topic.values()):
                self._drop(topic, min((kept[0][0], publisher) for publisher, kept in topic.items() if kept)[1])
                self._leave_out(latch.topic)
            if self.size + size <= self._limit:
                self._came += 1
                records = [(channel, (b"".join(data),)) for channel, data in latch.records]
                topic.setdefault(latch.publisher, deque()).append((self._came, latch._replace(records=records)))
                self.size += size
            else:
                self._leave_out(latch.topic)
                topic.pop(latch.publisher, None)
                if not topic:
                    del self._kept[latch.topic]

    def _drop(self, topic: dict[str, deque[tuple[int, Latch]]], publisher: str) -> None:
        """Forget the oldest message of a publisher."""
        self.size -= _size(topic[publisher].popleft()[1])
        if not topic[publisher]:
            del topic[publisher]

    def _leave_out(self, topic: str) -> None:
        self.left_out += 1
        if topic not in self._said and len(self._said) < 1000:
            self._said.add(topic)
            log.warning(
                "%s: not all that it keeps is kept here: latched topics have %s bytes", topic, f"{self._limit:,}"
            )

    def chunks(self, number: int, log_ns: int) -> list[Chunk]:
        """Return those that are in none of the chunks from a number on, in the order in which they came.

        Args:
            number: the first chunk that is there.
            log_ns: when they are said to be received.
        """
        with self._lock:
            every = [each for topic in self._kept.values() for kept in topic.values() for each in kept]
        builders: dict[int, ChunkBuilder] = {}  # one for each catalog, for a chunk has one
        for _, latch in sorted(every, key=lambda each: each[0]):
            if latch.number < number:
                builder = builders.setdefault(id(latch.catalog), ChunkBuilder(latch.catalog))
                for channel, data in latch.records:
                    builder.add(channel, latch.sequence, log_ns, latch.publish_ns, data)
        return [builder.close() for builder in builders.values()]


def _size(latch: Latch) -> int:
    return _EACH + sum(len(part) for _, data in latch.records for part in data)
