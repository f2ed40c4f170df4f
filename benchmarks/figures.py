"""Figures, their targets, and what rounds make of them. Knows numbers; nothing of how they were measured."""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

LENDS = " loan"  # how the names of adapters end that fill memory which is lent to them


@dataclass(frozen=True)
class Target:
    """What ipcpy wants to reach.

    Attributes:
        adapter: whose figure it is.
        bound: of the ratio to the floor, or of the figure itself.
        ratio: whether it is the ratio that counts.
        lead: whether it is to be ahead of every peer too; who copies is not compared with who lends memory.
    """

    adapter: str
    bound: float
    ratio: bool = True
    lead: bool = False


@dataclass(frozen=True)
class Metric:
    """One column of figures.

    Attributes:
        key: of what ``measure`` gives.
        higher: whether more is better.
    """

    key: str
    title: str
    unit: str
    targets: tuple[Target, ...] = ()
    higher: bool = False


@dataclass(frozen=True)
class Spread:
    """The median of the rounds, and the extremes."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: list[float]) -> Spread | None:
        """Make one; None of no values."""
        return Spread(statistics.median(values), min(values), max(values)) if values else None


@dataclass
class Results:
    """What was measured: for each row and adapter a mapping of figures for every round, None where it failed."""

    rounds: dict[str, dict[str, list[dict[str, float] | None]]] = field(default_factory=dict)
    failures: dict[str, dict[str, str]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    def add(self, row: str, adapter: str, figures: dict[str, float] | None) -> None:
        """Add the figures of a round."""
        self.rounds.setdefault(row, {}).setdefault(adapter, []).append(figures)

    def fail(self, row: str, adapter: str, why: str) -> None:
        """Keep the reason why there is no figure."""
        self.failures.setdefault(row, {})[adapter] = why
        self.add(row, adapter, None)

    def figure(self, row: str, adapter: str, key: str) -> Spread | None:
        """Return the figure itself."""
        rounds = self.rounds.get(row, {}).get(adapter, [])
        return Spread.of([figures[key] for figures in rounds if figures and figures.get(key) is not None])

    def ratio(self, row: str, adapter: str, floor: str, key: str) -> Spread | None:
        """Return the figure as a multiple of the floor's in the same round."""
        mine, base = self.rounds.get(row, {}).get(adapter, []), self.rounds.get(row, {}).get(floor, [])
        pairs = [(a[key], b[key]) for a, b in zip(mine, base, strict=False) if a and b and key in a and b.get(key)]
        return Spread.of([a / b for a, b in pairs])

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON takes it."""
        return asdict(self)


def met(results: Results, row: str, metric: Metric, target: Target, floor: str, peers: list[str]) -> str:
    """Say whether a target was met: ``met``, ``missed``, who is ahead, or ``?`` where there is no figure."""
    if target.ratio:
        spread = results.ratio(row, target.adapter, floor, metric.key)
    else:
        spread = results.figure(row, target.adapter, metric.key)
    if spread is None:
        return "?"
    good = spread.median >= target.bound if metric.higher else spread.median <= target.bound
    own = results.figure(row, target.adapter, metric.key)
    ahead = []
    if target.lead and own is not None:
        rivals = [peer for peer in peers if target.adapter.endswith(LENDS) or not peer.endswith(LENDS)]
        others = {peer: results.figure(row, peer, metric.key) for peer in rivals}
        ahead = [peer for peer, it in others.items() if it and (it.median < own.median) != metric.higher and it != own]
    if ahead:
        return f"missed: behind {', '.join(ahead)}"
    return "met" if good else "missed"
