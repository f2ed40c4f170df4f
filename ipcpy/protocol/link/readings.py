"""Which time a computer's wall clock showed when: a wall clock is set, and a steady one is not. Pure; reads no clock.

A ``Track`` is made of readings of both clocks. Their difference, the *epoch*, is the same for hours, grows by some
millionths of the time that passes, or jumps when somebody sets the wall clock. Between two readings nobody looked: what
is said of that time is an interval. Nothing here knows of networks.
"""

from __future__ import annotations

from ...records import NamedTuple

__all__ = ["FLAT", "RATE", "SLACK", "STEP", "Found", "Reading", "Track"]

FLAT = 50_000  # ns by which an epoch may change before a reading is kept
STEP = 2_000_000  # ns; where an epoch changes by more from one reading to the next the clock was set
RATE = 200e-6  # by which an epoch may change, beyond how fast it changed of late: crystals differ by 100 ppm at most
SLACK = 2_000  # ns that two clocks read one after the other may be apart
MAX_POINTS = 256  # readings that are kept; at 100 ppm they go back for two minutes


class Reading(NamedTuple):
    """Two clocks of one computer at one moment, in ns."""

    steady_ns: int
    wall_ns: int


class Found(NamedTuple):
    """When a wall clock showed a time.

    Attributes:
        low: the earliest moment of the steady clock, in ns.
        high: the latest one.
        sure: whether both clocks were read before it and after it, so that no jump can have gone unseen.
    """

    low: float
    high: float
    sure: bool


class Track(NamedTuple):
    """The epochs of one computer's wall clock, as of some readings.

    Attributes:
        points: the steady clock's time and the epoch, the newest last.
    """

    points: tuple[tuple[int, int], ...] = ()

    def add(self, reading: Reading) -> Track:
        """Return the track with one more reading; with that alone where the steady clock went back."""
        points = self.points
        point = reading.steady_ns, reading.wall_ns - reading.steady_ns
        if points and point[0] <= points[-1][0]:
            return self if point == points[-1] else Track((point,))
        if len(points) > 1 and all(abs(epoch - points[-2][1]) <= FLAT for epoch in (points[-1][1], point[1])):
            return Track((*points[:-1], point))
        return Track((*points[-MAX_POINTS + 1 :], point))

    @property
    def newest_ns(self) -> int:
        """When the clocks were last read, by the steady one."""
        return self.points[-1][0]

    def epoch(self, steady_ns: float) -> tuple[float, float]:
        """Return the epoch at a moment after the newest reading, and how wrong that can be."""
        at, epoch = self.points[-1]
        since = max(0.0, steady_ns - at)
        slope = self._slope()
        return epoch + slope * since, SLACK + (RATE + abs(slope)) * since

    def _slope(self) -> float:
        if len(self.points) < 2:
            return 0.0
        (earlier, before), (later, now) = self.points[-2:]
        return 0.0 if abs(now - before) > STEP else (now - before) / (later - earlier)

    def find(self, wall_ns: int, latest_ns: float) -> Found | None:
        """Find when the wall clock showed a time, the latest such moment; None if it never did, for all that is known.

        Args:
            wall_ns: the time it showed.
            latest_ns: a moment of the steady clock before which that was.
        """
        at, epoch = self.points[-1]
        since = wall_ns - epoch - at
        if since >= -SLACK:
            now, slack = self.epoch(at + since)
            if wall_ns - now - slack <= latest_ns:
                return Found(wall_ns - now - slack, wall_ns - now + slack, sure=False)
        return self._find_between(wall_ns, latest_ns) or self._find_before(wall_ns, latest_ns)

    def _find_between(self, wall_ns: int, latest_ns: float) -> Found | None:
        points = self.points
        for number in range(len(points) - 1, 0, -1):
            (begin, before), (end, after) = points[number - 1 : number + 1]
            moments = sorted((wall_ns - before, wall_ns - after))
            if abs(after - before) > STEP:  # it showed one or the other, and nothing in between
                moments = [moment for moment in moments if begin - SLACK <= moment <= end + SLACK]
            if not moments or moments[-1] < begin - SLACK or moments[0] > min(end + SLACK, latest_ns):
                continue
            return Found(moments[0] - SLACK, moments[-1] + SLACK, sure=True)
        return None

    def _find_before(self, wall_ns: int, latest_ns: float) -> Found | None:
        at, epoch = self.points[0]
        moment = wall_ns - epoch
        if moment > min(at + SLACK, latest_ns):
            return None
        slack = SLACK + RATE * (at - moment)
        return Found(moment - slack, moment + slack, sure=False)
