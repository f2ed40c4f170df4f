"""The rows of the overview as the page reads them, and which of them are news. Pure; knows no page."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from ..overview.rows import FlowRow, TopicRow
from .picture import topic_id

__all__ = ["Rows"]


class Rows:
    """The newest rows of topics, and edges from node to node, each with the number of the reading that changed it.

    Attributes:
        reading: the number of the newest reading; 0 before any.
    """

    def __init__(self) -> None:
        self.reading = 0
        self._time = 0.0
        self._rows: dict[str, tuple[int, str]] = {}
        self._edges: dict[tuple[str, str, str], tuple[int, str]] = {}

    def take(self, topics: Iterable[TopicRow], flows: Iterable[FlowRow], time: float) -> None:
        """Take a reading.

        Args:
            topics: all topics.
            flows: all flows.
            time: seconds since 1970.
        """
        self.reading += 1
        self._time = time
        told = {topic_id(row.domain, row.topic): _dumps(_row(row)) for row in topics}
        self._rows = {id: self._numbered(self._rows.get(id), text) for id, text in told.items()}
        pairs: dict[tuple[str, str, str], list[FlowRow]] = {}
        for flow in flows:
            if flow.subscriber:
                key = (topic_id(flow.domain, flow.topic), flow.publisher_node, flow.subscriber_node)
                pairs.setdefault(key, []).append(flow)
        edges = {key: _dumps(_edge(key, each)) for key, each in pairs.items()}
        self._edges = {key: self._numbered(self._edges.get(key), text) for key, text in edges.items()}

    def _numbered(self, before: tuple[int, str] | None, text: str) -> tuple[int, str]:
        return before if before is not None and before[1] == text else (self.reading, text)

    def since(self, reading: int) -> str:
        """Return what has changed since a reading, as the message for the page, all since 0; empty for nothing."""
        if self.reading <= reading:
            return ""
        rows = ",".join(text for number, text in self._rows.values() if number > reading)
        edges = ",".join(text for number, text in self._edges.values() if number > reading)
        whole = "false" if reading else "true"
        return f'{{"kind":"rows","time":{self._time!r},"whole":{whole},"rows":[{rows}],"edges":[{edges}]}}'


def _dumps(value: object) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _short(number: float | None) -> float | None:
    """Return a number with four digits: what a screen shows, and the same again where little moves."""
    return None if number is None or not math.isfinite(number) else float(f"{number:.4g}")


def _row(row: TopicRow) -> dict[str, Any]:
    return {
        "id": topic_id(row.domain, row.topic),
        "rate": _short(row.rate),
        "bandwidth": _short(row.bandwidth),
        "loss": _short(row.loss),
        "lost": row.lost,
        "causes": dict(row.causes),
        "latency": None if row.latency is None else [_short(each) for each in row.latency],
        "queued": row.queued,
        "ways": list(row.ways),
        "why": list(row.why),
        "history": [_short(each) for each in row.history],
    }


def _edge(key: tuple[str, str, str], flows: list[FlowRow]) -> dict[str, Any]:
    """Return what goes from one node to another on a topic: by one flow nearly always."""
    causes: Counter[str] = Counter()
    for flow in flows:
        causes.update(flow.causes)
    latencies = [flow.latency for flow in flows if flow.latency is not None]
    return {
        "topic": key[0],
        "from": key[1],
        "to": key[2],
        "rate": _short(_sum(flow.rate for flow in flows)),
        "bandwidth": _short(_sum(flow.bandwidth for flow in flows)),
        "loss": _short(max((flow.loss for flow in flows if flow.loss is not None), default=None)),
        "lost": sum(flow.lost for flow in flows),
        "causes": dict(causes),
        "latency": [_short(max(each[n] for each in latencies)) for n in range(3)] if latencies else None,
        "queued": max((flow.queued or 0 for flow in flows), default=0),
        "way": ", ".join(sorted({flow.way for flow in flows if flow.way})),
        "why": " ".join(dict.fromkeys(flow.why for flow in flows if flow.why)),
    }


def _sum(rates: Iterable[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known else None
