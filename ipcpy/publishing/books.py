"""What one subscriber of one publisher was sent, over all its matches. Knows numbers; nothing of what is owed."""

from __future__ import annotations

from ..stats import RouteStats
from .framing import Framing


class Books:
    """The counts of one subscriber.

    Args:
        framing: the publisher's numbers.

    Attributes:
        refused, retransmitted: small messages, since the last match; see RouteStats.
    """

    __slots__ = ("_framing", "_from", "_past", "refused", "retransmitted")

    def __init__(self, framing: Framing) -> None:
        self.refused = 0
        self.retransmitted = 0
        self._framing = framing
        self._from = 0  # the number from which on messages count as handed; 0 while none is sent
        self._past = RouteStats()  # of earlier matches

    def begin(self, number: int) -> None:
        """Count what is published from a number on."""
        self._from = number

    def sum(self, retransmitted: int, given_up: int, shared: int) -> RouteStats:
        """Return the counts, with those of this match that others keep."""
        handed = max(0, self._framing.seq - self._from + 1 - self.refused) if self._from else 0
        retransmitted += self.retransmitted
        return self._past + RouteStats(handed, retransmitted, self.refused, given_up, shared=shared)

    def close(self, total: RouteStats) -> None:
        """Go on from a sum; for now nothing more is sent."""
        self._past = total
        self._from = self.refused = self.retransmitted = 0
