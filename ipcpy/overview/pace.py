"""How fast counters grow, from readings of them. Knows numbers and moments; nothing of topics.

Rates over a fixed time do not serve both a camera and a battery: of 30 messages a second one wants to know within a
second that they stopped, of one in three seconds no rate that jumps between zero and one. So a rate is taken over the
time in which ten messages came, between one and ten seconds, and is zero when nothing came for four times as long as
usual.
"""

from __future__ import annotations

from collections import deque

__all__ = ["Counts", "Pace"]

Counts = tuple[int, ...]
"""What has been counted: messages first, then what goes along with them."""

SHORTEST = 0.9  # seconds that a rate is taken over: two readings at 2 Hz, the second of which may be a little early
LONGEST = 10.0  # seconds that are looked back
ENOUGH = 10  # messages
SILENT = 4.0  # periods without a message after which there is no rate
SAME = 0.01  # seconds: two readings of moments that near are one
READINGS = 128  # that are kept; at 2 Hz 21 suffice


class Pace:
    """The newest readings of counters that are counted together, ten seconds of them."""

    __slots__ = ("_heard", "_readings")

    def __init__(self) -> None:
        self._readings: deque[tuple[float, Counts]] = deque(maxlen=READINGS)
        self._heard = 0.0

    def add(self, moment: float, counts: Counts, now: float) -> None:
        """Take a reading; one of the same moment as the last says nothing new.

        Counts that shrank, and an earlier moment, are of another life of what counts: all begins anew.

        Args:
            moment: when it was counted, in seconds of the clock of who counted.
            counts: what was counted, always as many.
            now: when it came here, in seconds of our clock.
        """
        readings = self._readings
        if readings:
            last, before = readings[-1]
            if moment < last - SAME or any(new < old for new, old in zip(counts, before, strict=True)):
                readings.clear()
            elif moment < last + SAME:
                return
        self._heard = now
        readings.append((moment, counts))
        while len(readings) > 2 and readings[1][0] <= moment - LONGEST:
            readings.popleft()

    def heard(self) -> float:
        """Return when the last reading came that said something new."""
        return self._heard

    def rates(self) -> tuple[float, ...] | None:
        """Return how much each count grows a second; None while there is one reading only."""
        readings = self._readings
        if len(readings) < 2:
            return None
        end, counts = readings[-1]
        if self._silent():
            return (0.0,) * len(counts)
        moment, before = self._since()
        return tuple((new - old) / (end - moment) for new, old in zip(counts, before, strict=True))

    def growth(self, seconds: float) -> Counts | None:
        """Return how much each count grew within the last seconds, two readings at least; None while there is one."""
        readings = self._readings
        if len(readings) < 2:
            return None
        end, counts = readings[-1]
        before = next(each for moment, each in readings if moment >= end - seconds)
        if before is counts:  # it is the only one of this time
            before = readings[-2][1]
        return tuple(new - old for new, old in zip(counts, before, strict=True))

    def _since(self) -> tuple[float, Counts]:
        """Return the newest reading that is old enough, and since which enough messages came; else the oldest."""
        end, counts = self._readings[-1]
        for moment, before in reversed(self._readings):
            if end - moment >= SHORTEST and counts[0] - before[0] >= ENOUGH:
                return moment, before
        return self._readings[0]

    def _silent(self) -> bool:
        """Tell whether no message came for much longer than usual."""
        (start, first), (end, counts) = self._readings[0], self._readings[-1]
        grown = counts[0] - first[0]
        if not grown:
            return True
        last = end  # the first reading that has them all: no message came since
        for moment, before in reversed(self._readings):
            if before[0] != counts[0]:
                break
            last = moment
        usual = (last - start) / grown
        return end - last > max(SHORTEST, SILENT * usual)
