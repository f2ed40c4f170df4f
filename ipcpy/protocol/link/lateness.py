"""How long messages of one publisher were on their way, as two wall clocks say. Pure; knows no sockets.

A message says what the publisher's wall clock showed, and that clock may be set at any moment. Its host tells of that
with its next CLOCK frame, up to 50 ms later and perhaps after the message. Until then a message is in *doubt* that
would have come before it was sent, or been sent before one with a lower number, and so are those that follow it. Of
such a message it is certain that it was sent after the last frame that knew nothing of a jump, and before it came.
"""

from __future__ import annotations

from ...records import NamedTuple
from ...timeouts import NEVER
from .clocks import Interval, Known
from .readings import SLACK, Found, Reading, Track

__all__ = ["Lateness", "Times"]

ORDER = 500_000  # ns by which a message with a higher number may seem to be sent earlier, for what clocks are read by
JUDGED = 32  # messages of which is remembered when they were sent
RECENT = 1_000_000_000  # ns after a jump in which messages may come that were sent before it


class Times(NamedTuple):
    """What is to be judged of a message: its number, and both wall clocks, in ns."""

    seq: int
    sent_ns: int
    received_ns: int


class _Doubt(NamedTuple):
    """From which message on the publisher's clock is not believed, and when that was sent."""

    seq: int
    sent: Interval


class Lateness:
    """Judges messages of one publisher, each when it was taken. Several threads may ask; none waits for another.

    Attributes:
        doubtful: whether the publisher's clock seems to have been set, and its host is to be asked.
    """

    def __init__(self) -> None:
        self.doubtful = False
        self._begun_ns = 0  # which belief of the clock the following belongs to
        self._judged: tuple[tuple[int, Interval], ...] = ()  # numbers, and when those were sent
        self._doubt: _Doubt | None = None

    def of(self, times: Times, known: Known, own: Track, now: Reading) -> Interval | None:
        """Return how many ns a message took, at least and at most; None if that cannot be told.

        Args:
            times: of the message.
            known: what is known of the publisher's clock.
            own: what is known of our own wall clock.
            now: our clocks.
        """
        self.doubtful = False
        came = own.find(times.received_ns, now.steady_ns + SLACK)
        if came is None:
            return None
        own_ns = Interval(came.low, came.high)
        arrival = known.arrival(own_ns)
        if arrival is None:
            return None
        found = known.track.find(times.sent_ns, arrival.high)
        if known.before is not None and came.low < known.begun_ns + RECENT:
            old = _by_old_clock(times.sent_ns, own_ns, known.before)
            new = arrival.high - found.low if found is not None else NEVER
            if old is not None and old.low < new:
                return old
        sent = self._sent_at(times.seq, found, known, arrival.high)
        return None if sent is None else _passed(sent, arrival)

    def _sent_at(self, seq: int, found: Found | None, known: Known, latest: float) -> Interval | None:
        """Return when a message was sent, which the publisher's clock says, or what is certain where that is wrong."""
        if known.begun_ns != self._begun_ns:
            self._begun_ns, self._doubt, self._judged = known.begun_ns, None, ()
        doubt = self._doubt
        if doubt is not None and known.track.newest_ns >= doubt.sent.high:
            self._doubt = None
        low, high = self._between(seq)
        if found is not None and self._believes(seq, found) and low - ORDER <= found.high and found.low <= high + ORDER:
            sent = Interval(found.low, found.high)
        else:
            self.doubtful = True
            sent = Interval(max(known.track.newest_ns - SLACK, low), min(latest, high))
            if sent.low > sent.high:
                return None
            self._doubt = self._doubt or _Doubt(seq, sent)
        self._judged = (*self._judged[-JUDGED + 1 :], (seq, sent))
        return sent

    def _between(self, seq: int) -> Interval:
        """Return when a message was sent as its neighbours say, of those that were judged of late."""
        judged = self._judged  # one for all, as another thread may judge a message meanwhile
        before = max((each for each in judged if each[0] < seq), default=None)
        behind = min((each for each in judged if each[0] > seq), default=None)
        return Interval(before[1].low if before is not None else 0, behind[1].high if behind is not None else NEVER)

    def _believes(self, seq: int, found: Found) -> bool:
        doubt = self._doubt
        return doubt is None or seq < doubt.seq or (found.sure and found.low >= doubt.sent.low)


def _by_old_clock(sent_ns: int, own_ns: Interval, known: Known) -> Interval | None:
    """Return how long a message took that was sent before the clocks jumped, if it was."""
    arrival = known.arrival(own_ns)
    found = known.track.find(sent_ns, arrival.high) if arrival is not None else None
    return None if arrival is None or found is None else _passed(Interval(found.low, found.high), arrival)


def _passed(sent: Interval, arrival: Interval) -> Interval | None:
    """Return what lies between; nothing arrives before it is sent."""
    low, high = max(0.0, arrival.low - sent.high), arrival.high - sent.low
    return Interval(low, high) if low <= high else None
