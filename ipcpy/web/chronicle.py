"""What happened: who came, who went and why, what was recorded. Knows events and sentences, and no reader."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import ipcpy as ipc

__all__ = ["Chronicle", "sentence"]

KEPT = 1000  # events; the oldest give way


class Chronicle:
    """The newest events, numbered.

    Args:
        now: seconds since 1970.

    Attributes:
        last: the number of the newest event; 0 before any.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._events: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.last = 0

    def add(self, what: str, came: bool | None, text: str, domain: str = "") -> None:
        """Add an event.

        Args:
            what: ``node``, ``publisher``, ``subscriber``, ``record`` or ``server``.
            came: whether something came (True) or went (False).
            text: a sentence.
            domain: where; empty for this server's own.
        """
        self.last += 1
        event = {"kind": "event", "id": self.last, "time": self._now(), "what": what, "came": came, "text": text}
        self._events.append(event | {"domain": domain})

    def tell(self, event: ipc.Event, domain: str) -> None:
        """Add what a node tells."""
        self.add(*sentence(event), domain)

    def after(self, id: int, most: int = KEPT) -> list[dict[str, Any]]:
        """Return the events with a higher number, the newest so many of them, in order."""
        count = min(most, max(0, self.last - id), len(self._events))
        return [self._events[at] for at in range(len(self._events) - count, len(self._events))]


def sentence(event: ipc.Event) -> tuple[str, bool | None, str]:
    """Return of what an event tells, whether something came, and a sentence.

    >>> node = ipc.NodeInfo("0" * 16, "camera", "robot", 12, "default", None, "1", "alive", 0.0)
    >>> sentence(ipc.NodeLost(node, "process died"))
    ('node', False, 'camera (host robot, pid 12) went: process died')
    """
    kind = type(event).__name__
    came = kind.endswith(("Found", "Resumed"))
    if isinstance(event, ipc.NodeFound | ipc.NodeLost | ipc.NodeStalled | ipc.NodeResumed):
        return "node", came, f"{_named(event.node)} {_became(event)}"
    if isinstance(event, ipc.SubscriberFound | ipc.SubscriberLost):
        endpoint, verb = event.subscriber, "subscribes to"
    else:
        endpoint, verb = event.publisher, "publishes"
    what = f"{verb} {endpoint.topic}"
    if isinstance(event, ipc.PublisherLost | ipc.SubscriberLost):
        return endpoint.kind, False, f"{_named(endpoint.node)} no longer {what}: {event.reason}"
    return endpoint.kind, True, f"{_named(endpoint.node)} {what}"


def _named(node: ipc.NodeInfo) -> str:
    return f"{node.name} (host {node.host}, pid {node.pid})"


def _became(event: ipc.Event) -> str:
    if isinstance(event, ipc.NodeLost):
        return f"went: {event.reason}"
    if isinstance(event, ipc.NodeFound):
        return "came"
    return "answers again" if isinstance(event, ipc.NodeResumed) else "does not answer any more"
