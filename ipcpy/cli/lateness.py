"""What is late on a topic, and how often it was, as ``ipcpy hz`` shows it. Knows a subscriber; prints nothing."""

from __future__ import annotations

from typing import Any

import ipcpy as ipc

from .render import duration, printable

__all__ = ["Lateness", "often_late", "promised"]


class Lateness:
    """Holds what comes against the subscriber's deadline, or against what the publishers promise."""

    def __init__(self, sub: ipc.Subscriber) -> None:
        self._sub = sub
        self._watch = sub.watch()
        self._late: dict[str, ipc.TopicLate] = {}

    def record(self) -> dict[str, Any]:
        """Return what JSON shows: the rate promised, how often a message was late, and which topics are late now."""
        while True:
            try:
                event = self._watch.get(0)
            except (ipc.RecvTimeout, ipc.ClosedError):
                break
            if isinstance(event, ipc.TopicLate):
                self._late[event.topic] = event
            elif isinstance(event, ipc.TopicInTime):
                self._late.pop(event.topic, None)
        rates = sum(publisher.rate for publisher in self._sub.publishers)
        return {"promised": rates or None, "late": self._sub.stats.late, "late_now": sorted(self._late)}


def promised(line: dict[str, Any]) -> str:
    """Say how many messages a second the publishers promise; nothing where they promise none."""
    return f" of {line['promised']:g}" if line["promised"] else ""


def often_late(line: dict[str, Any], deadline: float | None) -> str:
    """Say how often messages were late, and what is late now; nothing where none is expected in time.

    >>> often_late({"promised": None, "late": 2, "late_now": ["imu"]}, 0.05)
    '  late 2 (50 ms), now: imu'
    """
    if deadline is None and not line["promised"] and not line["late"]:
        return ""
    now = f", now: {printable(', '.join(line['late_now']))}" if line["late_now"] else ""
    return f"  late {line['late']:,}{'' if deadline is None else f' ({duration(deadline)})'}{now}"
