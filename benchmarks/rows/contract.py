"""What a row of the benchmark is, and how much of it is done."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from ..figures import Metric
from ..flow import CALM, SETTLE


@dataclass(frozen=True)
class Amount:
    """How much is done in one round; ``--quick`` does the least that gives a figure."""

    trips: int = 10_000
    messages: int = 2_000
    frames: int = 60
    bursts: int = 200
    seconds: float = 1.0
    imports: int = 9
    calm: float = CALM
    settle: float = SETTLE
    quick: bool = False


QUICK = Amount(trips=1_000, messages=200, frames=6, bursts=10, seconds=0.2, imports=1, calm=0.1, settle=0.2, quick=True)


class Row(ABC):
    """One kind of work.

    Attributes:
        name: what ``--rows`` calls it.
        floor: the adapter that all figures are divided by; empty for rows without one.
        adapters: the floors and ipcpy, in the order in which they are shown.
        peers: the adapters of peers that can do it.
        upright: whether its table has a line for each figure, and a column for each adapter.
        brief: whether it is part of a quick run that names no rows.
        long: whether it takes so long that it has to be asked for.
    """

    name: str
    title: str
    floor: str
    adapters: tuple[str, ...]
    peers: tuple[str, ...] = ()
    metrics: tuple[Metric, ...]
    long: bool = False
    brief: bool = True
    upright: bool = False

    def why_not(self) -> str:
        """Say why it cannot be measured here; empty if it can."""
        return ""

    @abstractmethod
    def measure(self, adapter: str, amount: Amount) -> dict[str, float]:
        """Measure one round of one adapter."""

    def close(self) -> None:  # noqa: B027  (most rows share nothing)
        """Let go of what rounds share."""
