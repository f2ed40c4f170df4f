"""A short look at what is on a topic. Knows messages as they come; nothing of how what was seen is shown."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import ipcpy as ipc

from .listen import subscribe
from .newest import facts, what

__all__ = ["Observed", "observe"]


class Observed:
    """What came while somebody listened.

    Args:
        seconds: how long that was.
        keeps: how many messages each publisher keeps, by id: its first ones may be as old as it is.

    Attributes:
        newest: the newest message; None if none came.
        types: how many messages came of each type.
        stats: what the subscriber counted.
        why: in words, why messages came or did not.
    """

    def __init__(self, seconds: float, keeps: Mapping[str, int]) -> None:
        self.seconds = seconds
        self.newest: ipc.Message | None = None
        self.types: Counter[str] = Counter()
        self.stats = ipc.SubscriberStats()
        self.why = ""
        self._keeps = dict(keeps)
        self._spans: dict[str, tuple[ipc.Message, ipc.Message]] = {}  # by publisher: the first one and the last

    def add(self, message: ipc.Message) -> None:
        """Take a message that came."""
        self.newest = message
        self.types[type(message.data).__name__] += 1
        kept = self._keeps.get(message.publisher, 0)
        if kept:
            self._keeps[message.publisher] = kept - 1
            return
        first, _ = self._spans.get(message.publisher, (message, message))
        self._spans[message.publisher] = first, message

    def rate(self) -> float | None:
        """Return how many messages a second are published, by all publishers; None where too few came to tell."""
        rates = [
            (last.seq - first.seq) * 1e9 / (last.sent_ns - first.sent_ns)
            for first, last in self._spans.values()
            if last.seq > first.seq and last.sent_ns > first.sent_ns
        ]
        return sum(rates) if rates else None

    def size(self) -> float | None:
        """Return the mean bytes of a message; None if none came."""
        return self.stats.bytes / self.stats.received if self.stats.received else None

    def text(self, codec: str) -> str:
        """Say what is on the topic: of a library the types that came, else what the newest message is."""
        if self.newest is None:
            return ""
        if codec != "struct":
            return what(self.newest.data)
        return ", ".join(f"{name} ({count:,})" if len(self.types) > 1 else name for name, count in self.types.items())

    def record(self) -> dict[str, Any]:
        """Return what JSON shows of it."""
        return {
            "seconds": self.seconds,
            "received": self.stats.received,
            "rate": self.rate(),
            "mean_size": self.size(),
            "types": dict(self.types),
            "newest": None if self.newest is None else facts(self.newest.data),
        }


def observe(node: ipc.Node, topic: ipc.TopicInfo, seconds: float, asked: str = "") -> Observed:
    """Listen to a topic, which the user may have asked for by another name, for some seconds."""
    seen = Observed(seconds, {publisher.id: publisher.keep for publisher in topic.publishers})
    with subscribe(node, asked or f"/{topic.name}") as sub:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                seen.add(sub.recv(left))
            except ipc.RecvTimeout:
                break
        seen.stats = sub.stats
        seen.why = sub.why()
    return seen
