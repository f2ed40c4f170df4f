"""When a best-effort publisher says what its last number was. Pure: numbers and ``now`` come in, times go out. Knows
nothing of who is polled."""

from __future__ import annotations

from ...timeouts import NEVER

PAUSES = (
    0.1,
    0.5,
    2.0,
)  # pauses, seconds: from the last message to the first poll, from each poll to the next; the last repeats


class Heartbeat:
    """The times of polls after the last message, so that the end of a burst is not lost unnoticed.

    Attributes:
        beating: whether polls follow the last message; if not, ``start`` is to be called with the next one.
        at: when ``handle_timer`` wants to be called; ``inf`` for never.
    """

    __slots__ = ("_beats", "_last", "at", "beating")

    def __init__(self) -> None:
        self.beating = False
        self.at = NEVER
        self._beats = 0
        self._last = 0

    def start(self, last: int, now: float) -> None:
        """Begin with a message of a number, or begin anew."""
        self.beating = True
        self._beats, self._last = 0, last
        self.at = now + PAUSES[0]

    def handle_timer(self, last: int, *, behind: bool, now: float) -> bool:
        """Tell whether to poll the subscribers that are behind. Where nobody is behind the heartbeat ends.

        If messages were published since the last call, the pauses begin anew and nobody is polled.

        Args:
            last: the number of the last message published.
            behind: whether a subscriber has not acknowledged that message.
        """
        if last != self._last:
            self._beats, self._last = 0, last
            self.at = now + PAUSES[0]
            return False
        if not behind:
            self.beating, self.at = False, NEVER
            return False
        self._beats = min(self._beats + 1, len(PAUSES) - 1)
        self.at = now + PAUSES[self._beats]
        return True
