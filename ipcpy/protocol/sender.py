"""What one subscriber is owed by one publisher: large messages paced to what its socket can hold, and questions answered.
Pure: reports and ``now`` come in, fragments to send and polls go out.

Credit is counted in bytes at a position: everything sent so far. After some of it a POLL says the position, and as it
queues behind what was sent, a REPORT that echoes it tells that all before has left the receiver's socket buffer, or was
lost on the way. So loss needs no timer of its own: a report also says what is missing, and a lost poll is sent again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from struct import Struct

from .fragments import Outgoing

NEVER = float("inf")
MIN_WINDOW = 64 << 10  # bytes in flight that any socket buffer holds
DATAGRAM_COST = 832  # bytes of kernel memory a datagram costs beside its data (struct sk_buff and rounding, Linux)
POLL_PAUSE = 0.02  # before an unanswered poll is repeated; doubled
POLL_PAUSE_MAX = 1.0
STALLED = 0.05  # without an answer for so long, publish() waits for this subscriber no more
PATIENCE = 1.0  # before a best-effort message of which nothing is asked or reported any more is given up
BURST = 44  # fragments that one call takes: of 1,472 bytes what UDP GSO sends at once

REPORT_HEAD = Struct("<QI")


class Sender:
    """The large messages, and the credit, of one subscriber of one publisher.

    Args:
        window: bytes its socket can hold.
        lossy: whether the way to it may lose datagrams (a network), so that the end of a message is always polled.
    """

    __slots__ = (
        "_acked",
        "_asked_at",
        "_pause",
        "_poll_at",
        "_polled",
        "_sent",
        "_outgoing",
        "given_up",
        "lossy",
        "retransmitted",
        "window",
        "_limit",
        "_progress",
    )

    def __init__(self, window: int, *, lossy: bool) -> None:
        self.window = max(window, MIN_WINDOW)
        self.lossy = lossy
        self.retransmitted = 0
        self.given_up = 0
        self._limit = self.window
        self._outgoing: deque[Outgoing] = deque()
        self._sent = self._acked = self._polled = 0
        self._asked_at: float | None = None  # when the poll that waits for its answer was first sent
        self._poll_at = NEVER
        self._pause = POLL_PAUSE
        self._progress = 0.0

    @property
    def idle(self) -> bool:
        """Whether nothing is being sent or waited for."""
        return not self._outgoing and self._asked_at is None

    @property
    def busy(self) -> bool:
        """Whether fragments wait for credit."""
        return any(not message.done for message in self._outgoing)

    @property
    def backlog(self) -> int:
        """How many large messages are not known to be complete."""
        return len(self._outgoing)

    @property
    def position(self) -> int:
        """How many bytes were sent, as they are charged."""
        return self._sent

    def owes(self, seq: int) -> bool:
        """Tell whether a message of a number is owed."""
        return any(message.seq == seq for message in self._outgoing)

    def stalled(self, now: float) -> bool:
        """Tell whether the subscriber has not answered for so long that nobody should wait for it."""
        return self._asked_at is not None and now - self._asked_at > STALLED

    def add(self, message: Outgoing, now: float) -> None:
        """Owe a message."""
        if not self._outgoing:
            self._progress = now
        self._outgoing.append(message)

    def drop_oldest(self) -> None:
        """Give up the oldest message."""
        self._outgoing.popleft()
        self.given_up += 1

    def keep_copies(self) -> None:
        """Copy what is still owed and may change under us: the caller's buffer is the caller's again."""
        for message in self._outgoing:
            message.parts = [part if part.readonly else memoryview(bytes(part)) for part in message.parts]

    def forget_sent(self) -> None:
        """Forget what was sent whole: the way there loses nothing."""
        while self._outgoing and self._outgoing[0].done:
            self._outgoing.popleft()

    def lowest(self, otherwise: int) -> int:
        """Give the lowest number that can still be sent again."""
        return min((message.seq for message in self._outgoing), default=otherwise)

    # -- sending -----------------------------------------------------------------------------------------------------

    def take(self) -> tuple[Outgoing, list[int]] | None:
        """Take the next fragments that may be sent now: a message and indexes, of equal length but the last."""
        room = self._limit - (self._sent - self._acked)
        for message in self._outgoing:
            if message.done:
                continue
            indexes = []
            for index in self._due(message):
                cost = message.length(index) + DATAGRAM_COST
                if cost > room and (indexes or self._sent > self._acked):
                    break
                room -= cost
                self._sent += cost
                indexes.append(index)
                if len(indexes) == BURST:
                    break
            if indexes:
                self._taken(message, indexes)
                return message, indexes
            return None
        return None

    @staticmethod
    def _due(message: Outgoing) -> Iterator[int]:
        yield from message.resend or range(message.next, message.count)

    def _taken(self, message: Outgoing, indexes: list[int]) -> None:
        if message.resend:
            del message.resend[: len(indexes)]
            self.retransmitted += len(indexes)
        else:
            message.next += len(indexes)

    def poll(self, now: float) -> int | None:
        """Give the position to poll for if it is time to: half the credit is used up, or a message may be incomplete."""
        unpolled = self._sent - self._polled
        if not unpolled:
            return None
        ended = self.lossy and not self.busy
        if not ended and unpolled < self._limit // 2:
            return None
        return self._poll(now)

    def _poll(self, now: float) -> int:
        self._polled = self._sent
        if self._asked_at is None:
            self._asked_at = now
        self._poll_at = now + self._pause
        return self._sent

    # -- answers -----------------------------------------------------------------------------------------------------

    def reported(self, position: int, next_seq: int, window: int, now: float) -> None:
        """Learn from a REPORT: the socket is empty up to a position, and all messages below a number are done with."""
        if position > self._acked and position <= self._sent:
            self._acked = position
            self._progress = now
            self._pause = POLL_PAUSE
            self._asked_at = now if self._polled > position else None
            self._poll_at = now + self._pause if self._polled > position else NEVER
            self.window = max(window, MIN_WINDOW)
            self._limit = min(self._limit + self.window // 16, self.window)
        while self._outgoing and self._outgoing[0].seq < next_seq and self._outgoing[0].next:
            self._outgoing.popleft()

    def missing(self, seq: int, first: int, bitmap: bytes | memoryview) -> None:
        """Learn which fragments of a message are missing."""
        for message in self._outgoing:
            if message.seq == seq:
                message.ask(first, bitmap)
                self._lost_some()

    def missing_range(self, start: int, stop: int) -> None:
        """Learn that whole messages are missing; those not owed are ignored."""
        for message in self._outgoing:
            if start <= message.seq < stop and message.next == message.count:
                message.ask_all()
                self._lost_some()

    def _lost_some(self) -> None:
        self._limit = max(self._limit * 3 // 4, MIN_WINDOW)

    # -- time --------------------------------------------------------------------------------------------------------

    def next_timer(self) -> float:
        """Give when handle_timer wants to be called; ``inf`` for never."""
        return self._poll_at

    def handle_timer(self, now: float) -> int | None:
        """Give the position to poll for again, if it is time to."""
        if now < self._poll_at:
            return None
        if now - self._progress > PATIENCE:
            self.given_up += len(self._outgoing)
            self._outgoing.clear()
            self._poll_at, self._asked_at, self._acked = NEVER, None, self._sent
            self._limit = MIN_WINDOW
            return None
        self._pause = min(2 * self._pause, POLL_PAUSE_MAX)
        return self._poll(now)
