"""Whether the messages of each topic come in time. Knows times and deadlines; wakes nobody, and reads no socket.

A message counts as there when it was read from the socket and decoded. That is noted where a publisher's messages are
decoded, which is put around its codec: so a subscriber that expects nothing in time pays nothing for it. Whoever calls
holds the lock of the subscriber.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from ..graph import EndpointInfo
from ..timeouts import NEVER
from ..typed import Any, Protocol

PERIODS = 3  # of a publisher's rate that a subscriber without a deadline of its own goes without a message
FLOOR = 0.2  # seconds that it does in any case: a message may lie unread in the socket for 0.08 (lease.py)
SLACK = 0.002  # seconds beyond the deadline: who reads the last message has to be woken first
MAX_LINES = 1_024  # topics without a publisher that are remembered, of a pattern


class Source(Protocol):
    """What is asked of a flow: who publishes, what decodes its messages, and whether it is noted when they come."""

    number: int
    info: EndpointInfo
    timed: bool
    decode: Callable[[Any], Any]
    decode_many: Callable[[bytes, int], list[Any]]


class Line:
    """One topic.

    Attributes:
        deadline: seconds within which a message is expected.
        patience: the same with the slack.
        at: when the last message came, or the first publisher was matched; NEVER before that.
        late: whether it is, and that was told.
        last: whose message came last.
        rates: what the publishers that are matched promise, by number.
    """

    __slots__ = ("at", "deadline", "last", "late", "patience", "rates", "topic")

    def __init__(self, topic: str, last: EndpointInfo) -> None:
        self.topic = topic
        self.deadline = self.patience = NEVER
        self.at = NEVER
        self.late = False
        self.last = last
        self.rates: dict[int, float] = {}

    def expect(self, deadline: float) -> None:
        """Expect a message within so many seconds from now on."""
        self.deadline, self.patience = deadline, deadline + SLACK

    def due(self) -> float:
        """Return when the line is late, unless a message comes."""
        return NEVER if self.late else self.at + self.patience


Tell = Callable[[Line, bool, float, EndpointInfo], object]


class Punctuality:
    """The lines of one subscriber: one for each topic of which messages are expected in time.

    Args:
        deadline: seconds within which a message is expected; None goes by what the publishers promise.
        clock: seconds, never going back.
        counts: how often messages were late, by the publisher of the last one before; it is added to.
        tell: called with a line, whether it is late (or in time again), for how many seconds nothing came, and whose
            message is meant.

    Attributes:
        lines: by topic.
        as_of: the time at the latest that what is read now is taken to have come.
    """

    def __init__(self, deadline: float | None, clock: Callable[[], float], counts: Counter[str], tell: Tell) -> None:
        self._deadline = deadline
        self._clock = clock
        self._tell = tell
        self.lines: dict[str, Line] = {}
        self._counts = counts
        self.as_of = NEVER

    # -- publishers --------------------------------------------------------------------------------------------------

    def follow(self, source: Source) -> None:
        """Note from now on when messages of a new publisher come, if it says when, or a deadline does."""
        if self._deadline is None and not source.info.rate:
            return
        topic = source.info.topic
        line = self.lines.get(topic)
        if line is None:
            self._make_room()
            line = self.lines[topic] = Line(topic, source.info)
        self._note(line, source)

    def _note(self, line: Line, source: Source) -> None:
        if not source.timed:
            source.timed = True
            source.decode = self._noting(line, source.info, source.decode)
            source.decode_many = self._noting(line, source.info, source.decode_many)

    def _make_room(self) -> None:
        while len(self.lines) >= MAX_LINES:
            deserted = next((topic for topic, line in self.lines.items() if not line.rates), None)
            if deserted is None:
                return
            del self.lines[deserted]

    def matched(self, source: Source) -> None:
        """A publisher is matched: its first message is expected from now on.

        Where others promise when messages come, and it does not, its messages count as theirs do.
        """
        number, info = source.number, source.info
        line = self.lines.get(info.topic)
        if line is None or number in line.rates:
            return
        self._note(line, source)
        if self._deadline is None and not info.rate:
            return
        line.rates[number] = info.rate
        if line.at == NEVER:
            line.at, line.last = self._clock(), info
        self._expect(line)

    def left(self, number: int, topic: str) -> None:
        """A publisher went, and its promise with it, unless nobody else promises anything."""
        line = self.lines.get(topic)
        if line is not None and line.rates.pop(number, None) is not None and line.rates:
            self._expect(line)

    def _expect(self, line: Line) -> None:
        line.expect(max(PERIODS / max(line.rates.values()), FLOOR) if self._deadline is None else self._deadline)

    # -- messages ----------------------------------------------------------------------------------------------------

    def _noting(self, line: Line, info: EndpointInfo, decode: Callable[..., Any]) -> Callable[..., Any]:
        clock = self._clock

        def noted(*body: Any) -> Any:
            value = decode(*body)
            now = clock()
            if now > self.as_of:
                now = self.as_of
            before, line.at = line.at, now
            if line.late or now > before + line.patience:
                self._came(line, now - before, info)
            line.last = info
            return value

        return noted

    def _came(self, line: Line, seconds: float, info: EndpointInfo) -> None:
        if not line.late:  # nobody has looked since it is
            self._be_late(line, seconds)
        line.late = False
        self._tell(line, False, seconds, info)

    def _be_late(self, line: Line, seconds: float) -> None:
        line.late = True
        self._counts[line.last.id] += 1
        self._tell(line, True, seconds, line.last)

    # -- time --------------------------------------------------------------------------------------------------------

    def due(self) -> float:
        """Return when the next line is late, unless a message comes."""
        return min((line.due() for line in self.lines.values()), default=NEVER)

    def look(self) -> None:
        """Tell of the lines that are late now."""
        now = self._clock()
        for line in list(self.lines.values()):
            if now >= line.due():
                self._be_late(line, now - line.at)

    def late(self) -> list[tuple[Line, float]]:
        """Return the lines that are late now, and for how many seconds nothing has come, told or not."""
        now = self._clock()
        return [(line, now - line.at) for line in self.lines.values() if line.late or now >= line.due()]
