"""What one subscriber of one publisher was sent, over all its matches. Knows numbers; nothing of what is owed."""

from __future__ import annotations

from ..fast import BooksFields, slots
from ..protocol.data.reliable import Reliable
from ..stats import RouteStats
from .framing import Framing

_NOTHING = RouteStats()


class Books(BooksFields):
    """The counts of one subscriber.

    Args:
        framing: the publisher's numbers.

    Attributes:
        refused, retransmitted: small messages, since the last match; see RouteStats.
    """

    __slots__ = slots(
        "_bytes_from _framing _from _past _past_again _past_bytes _past_handed refused retransmitted", BooksFields
    )

    def __init__(self, framing: Framing) -> None:
        self.refused = 0
        self.retransmitted = 0
        self._framing = framing
        self._from = 0  # the number from which on messages count as handed; 0 while none is sent
        self._past = _NOTHING  # the counts of earlier matches
        self._past_handed = self._past_again = self._past_bytes = 0  # of these, for whenever books are told
        self._bytes_from = 0

    def begin(self, number: int, reliable: Reliable | None = None) -> None:
        """Count what is published from a number on.

        Args:
            reliable: has those of them that were published before.
        """
        kept = 0 if reliable is None else reliable.history.bytes_from(number)
        self._from = number
        self._bytes_from = self._framing.bytes - kept

    def counts(self, retransmitted: int) -> tuple[int, int, int]:
        """Return messages given to the system, bytes of the bodies of what was published for it, and what was resent.

        Args:
            retransmitted: what others count of this match.
        """
        again = self._past_again + self.retransmitted + retransmitted
        if not self._from:
            return self._past_handed, self._past_bytes, again
        return self._past_handed + self._handed(), self._past_bytes + self._framing.bytes - self._bytes_from, again

    def _handed(self) -> int:
        handed = self._framing.seq - self._from + 1 - self.refused
        return handed if self._from and handed > 0 else 0

    def sum(self, retransmitted: int, given_up: int, shared: int) -> RouteStats:
        """Return the counts, with those of this match that others keep."""
        retransmitted += self.retransmitted
        return self._past + RouteStats(self._handed(), retransmitted, self.refused, given_up, shared=shared)

    def close(self, total: RouteStats) -> None:
        """Go on from a sum; for now nothing more is sent."""
        self._past_bytes = self.counts(0)[1]
        self._past, self._past_handed, self._past_again = total, total.handed, total.retransmitted
        self._from = self.refused = self.retransmitted = 0
