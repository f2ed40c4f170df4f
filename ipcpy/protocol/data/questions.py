"""When a subscriber of a reliable topic asks for what it lacks. Pure: numbers and ``now`` come in, pauses go out. Knows
nothing of what is missing, nor how it is asked for.
"""

from __future__ import annotations

from ...chance import Chance

REORDER_DELAY = 0.003  # seconds before a gap is asked for: the network may only have changed the order
ROUND_TRIP = 0.005  # seconds from a question to what was asked for, until it was measured
RETRY = 0.05  # seconds between two questions for the same, at most; else REORDER_DELAY and 2 round trips; +- 25 %
RETRY_MAX = 0.5  # seconds; while nothing comes the pause is doubled up to this
MAX_TRIES = 12  # questions while nothing comes from the publisher, about 4 s; then only its polls are answered


class Questions:
    """The questions of one subscriber to one publisher: how long to wait for each answer, and how often to ask.

    Attributes:
        in_vain: questions since something last came from the publisher.
    """

    __slots__ = ("_asked_at", "_next", "_random", "_round_trip", "in_vain")

    def __init__(self, seed: int | None = None) -> None:
        self.in_vain = 0
        self._next = 0  # the lowest number that was missing at the last question
        self._asked_at: float | None = None  # when that was, if it was the first question for it, to time the answer
        self._round_trip = ROUND_TRIP
        self._random = Chance(seed)

    def pause(self) -> float:
        """Return the seconds to wait for an answer before asking again."""
        retry = min(REORDER_DELAY + 2 * self._round_trip, RETRY)
        return min(retry * 2.0**self.in_vain, RETRY_MAX) * self._random.uniform(0.75, 1.25)

    def ask(self, next_seq: int, now: float) -> float | None:
        """Note a question.

        Args:
            next_seq: the lowest number that is missing.

        Returns:
            Seconds until the next question; None if this one is not to be asked, as too many were in vain.
        """
        if self.in_vain >= MAX_TRIES:
            return None
        is_first = next_seq > self._next  # else nobody could tell which question is answered
        self._asked_at, self._next = now if is_first else None, next_seq
        pause = self.pause()
        self.in_vain += 1
        return pause

    def received(self, next_seq: int, now: float) -> None:
        """Learn which number is missing now that a message was taken; if that answers a question, time it."""
        if self._asked_at is not None and next_seq > self._next:
            self._round_trip += (now - self._asked_at - self._round_trip) / 4
            self._asked_at = None
