"""The clock of a peer: which frames are exchanged for it and when, and what follows of them for a message. Pure.

    CLOCK   both clocks of the sender; when the last CLOCK from there came, by the steady one; perhaps please answer

Each frame bounds the offset of the steady clocks from one side, and, as it says when one of ours came, from the other
(estimate.py). It says too what the wall clock showed (readings.py). Of a peer that is new several are exchanged within
half a second, then one a second; while somebody asks for it, twenty. Knows no sockets; see docs/clocks.md.
"""

from __future__ import annotations

from collections import deque
from struct import Struct

from ...records import NamedTuple
from ...timeouts import NEVER
from ..wire import OVERHEAD, Kind, Malformed, frames, pack_frame
from .estimate import Bound, Estimate, Line
from .readings import Reading, Track

__all__ = ["CLOCK_SIZE", "Interval", "Known", "PeerClock", "Told", "is_clock", "pack_clock", "unpack_clock"]

CLOCK_BODY = Struct("<QQQIB")  # steady, echo, came, number, 1 = please answer
CLOCK_SIZE = OVERHEAD + CLOCK_BODY.size  # 65
ASK = 1
FIRST = (0.0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32)  # seconds until a new peer is asked again
IDLE = 1.0  # seconds between two questions to a peer
IDLE_EACH = 0.02  # seconds of it for each peer, where there are many
WANTED = 0.05  # the same while somebody asks for its clock
WANTED_FOR = 3.0  # seconds for which that holds
REMEMBERED = 16  # frames of ours whose echo is believed
_U64 = (1 << 64) - 1


class Told(NamedTuple):
    """What a CLOCK frame says.

    Attributes:
        source: the id of the sending node.
        token: that the receiver gave for the sender's address.
        number: of the frame; the next one has a higher one.
        reading: both clocks of the sender when it left.
        echo_ns: what the steady clock showed in the last frame that had come; 0 for none.
        came_ns: when that came, by the sender's steady clock.
        ask: whether an answer is wanted.
    """

    source: int
    token: int
    number: int
    reading: Reading
    echo_ns: int
    came_ns: int
    ask: bool


def is_clock(datagram: bytes) -> bool:
    """Tell whether a datagram may be a CLOCK frame, at a glance."""
    return len(datagram) == CLOCK_SIZE and datagram[3] == Kind.CLOCK


def pack_clock(told: Told) -> bytes:
    """Build a CLOCK frame."""
    steady, wall = told.reading
    body = CLOCK_BODY.pack(steady & _U64, told.echo_ns, told.came_ns, told.number, ASK if told.ask else 0)
    return pack_frame(Kind.CLOCK, told.source, told.token, wall & _U64, body)


def unpack_clock(datagram: bytes) -> Told:
    """Read a CLOCK frame, which is alone in its datagram.

    Raises:
        Malformed: it is none.
    """
    frame = next(frames(datagram), None) if is_clock(datagram) else None
    if frame is None or len(frame.body) != CLOCK_BODY.size:
        raise Malformed("malformed")
    steady, echo, came, number, ask = CLOCK_BODY.unpack(frame.body)
    return Told(frame.source, frame.seq, number, Reading(steady, frame.sent_ns), echo, came, ask == ASK)


class Interval(NamedTuple):
    """What lies between two numbers, in ns."""

    low: float
    high: float


class Known:
    """What is known of a peer's clock; it never changes.

    Attributes:
        line: how far our steady clock is ahead of the peer's; None before an answer.
        track: the peer's wall clock.
        begun_ns: when this began to be believed, as one of the steady clocks had jumped, or a computer slept.
        before: what was believed before that.
    """

    __slots__ = ("before", "begun_ns", "line", "track")

    def __init__(self, line: Line | None, track: Track, begun_ns: int = 0, before: Known | None = None) -> None:
        self.line = line
        self.track = track
        self.begun_ns = begun_ns
        self.before = before

    def offset(self, now: Reading) -> tuple[Interval, float] | None:
        """Return how far the peer's wall clock is ahead of ours, in ns, and how fast that grows."""
        if self.line is None:
            return None
        low, high = self.line.span(now.steady_ns)
        epoch, slack = self.track.epoch(now.steady_ns - (low + high) / 2)
        own = now.wall_ns - now.steady_ns
        slow, fast = self.line.rates
        return Interval(epoch - own - high - slack, epoch - own - low + slack), -(slow + fast) / 2

    def age_ns(self, now: Reading) -> float:
        """Return how long ago the peer's clocks were read at most; ``inf`` before an answer."""
        return NEVER if self.line is None else now.steady_ns - self.track.newest_ns - self.line.span(now.steady_ns)[0]

    def arrival(self, own_ns: Interval) -> Interval | None:
        """Return an interval of our steady clock by the peer's; None before an answer."""
        if self.line is None:
            return None
        low, high = self.line.span(own_ns.high)
        return Interval(own_ns.low - high, own_ns.high - low)


class PeerClock:
    """The exchange of CLOCK frames with one peer.

    Attributes:
        known: what follows of it; None before anything came.
        here: whether the peer is on our own host, and so has our clock.
        due: when the peer is to be asked.
        asked_at: when it was asked last.
    """

    def __init__(self) -> None:
        self.known: Known | None = None
        self.here = False
        self.due = NEVER
        self.asked_at = -NEVER
        self._asked = 0  # of the first questions
        self._wanted_until = -NEVER
        self._sent: deque[int] = deque(maxlen=REMEMBERED)
        self._number = 0
        self._heard = -1  # the highest number that came
        self._echo = (0, 0)
        self._estimate = Estimate()
        self._track = Track()

    # -- when --------------------------------------------------------------------------------------------------------

    def begin(self, now: float) -> None:
        """Ask soon, and several times: the peer is new, or elsewhere."""
        self._asked = 0
        self.due = now

    def rest(self) -> None:
        """Ask no more: it is a node of this host."""
        self.due = NEVER

    def want(self, now: float) -> None:
        """Ask often for some seconds."""
        self._wanted_until = now + WANTED_FOR
        self.due = min(self.due, now + WANTED)

    def wanted(self, now: float) -> bool:
        """Tell whether it is wanted already, and will be for another second."""
        return now < self._wanted_until - WANTED_FOR + 1.0

    def _wait(self, now: float, peers: int) -> None:
        idle = max(IDLE, IDLE_EACH * peers)
        pause = FIRST[self._asked] if self._asked < len(FIRST) else idle
        self.due = now + (min(pause, WANTED) if now < self._wanted_until else pause)

    # -- what is said ------------------------------------------------------------------------------------------------

    def ask(self, source: int, token: int, now: float, reading: Reading, peers: int) -> bytes:
        """Build a question.

        Args:
            source: our id.
            token: of the peer's address.
            now: the time.
            reading: our clocks.
            peers: how many there are.
        """
        self._asked += 1
        self.asked_at = now
        self._wait(now, peers)
        return self._pack(source, token, reading, ask=True)

    def _pack(self, source: int, token: int, reading: Reading, *, ask: bool) -> bytes:
        self._number += 1
        self._sent.append(reading.steady_ns)
        return pack_clock(Told(source, token, self._number, reading, *self._echo, ask))

    def receive(self, told: Told, now: float, came_ns: int, peers: int) -> None:
        """Take a frame of the peer's; one that was overtaken says nothing.

        Args:
            told: what it says.
            now: the time.
            came_ns: the same by our steady clock.
            peers: how many there are.
        """
        if told.number <= self._heard:
            return
        self._heard = told.number
        self._echo = told.reading.steady_ns, came_ns
        upper = Bound(came_ns, came_ns - told.reading.steady_ns)
        answers = told.echo_ns in self._sent
        lower = Bound(told.echo_ns, told.echo_ns - told.came_ns) if answers else None
        if answers:
            self._wait(now, peers)
        self._learn(lower, upper, told.reading, now)

    def _learn(self, lower: Bound | None, upper: Bound, reading: Reading, now: float) -> None:
        old = self.known
        begun, before = (old.begun_ns, old.before) if old is not None else (upper.at, None)
        if not self._estimate.add(lower, upper) and old is not None:
            self._track = Track()
            begun, before = upper.at, Known(old.line, old.track)
            self.due = min(self.due, now)
        self._track = self._track.add(reading)
        self.known = Known(self._estimate.line(), self._track, begun, before)

    def answer(self, source: int, token: int, reading: Reading) -> bytes:
        """Build the answer to a question that was received."""
        return self._pack(source, token, reading, ask=False)
