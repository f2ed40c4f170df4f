"""What one publisher owes one subscriber: large messages, paced to what the subscriber's socket can hold.
Pure: reports and ``now`` come in, fragments to send and positions to poll for go out. Knows nothing of the way there.

Credit is counted in bytes at a position: everything sent so far. After some of it the publisher says the position in a
POLL, which queues behind what was sent. A REPORT that echoes the position therefore tells that everything before it has
left the subscriber's socket buffer, or was lost on the way. So loss needs no timer of its own: a report also says what
is missing, and the publisher repeats a poll that was lost. Each message is owed until a report says that it is there,
on one host too: a socket that several publishers fill loses datagrams like any network.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from itertools import islice

from ...fast import SenderFields
from ...timeouts import NEVER
from ..wire import FRAGMENT_OVERHEAD
from .fragments import MAX_PARTIALS, Outgoing
from .passage import LEAST, Passage

MIN_WINDOW = 64 << 10  # bytes in flight after losses, where the window is not smaller
MAX_WINDOW = 64 << 20  # more than any socket buffer holds
DATAGRAM_COST = 832  # bytes of kernel memory that a datagram costs beside its data (struct sk_buff, rounding; Linux)
POLL_PAUSE = 0.02  # seconds at most before an unanswered poll is repeated: 4 round trips if that is less
MIN_PAUSE = 0.002  # seconds, but not less: the other side has more to do
STEADY = 3  # repetitions after which the pause is doubled: before, polls and answers may just have got lost
POLL_PAUSE_MAX = 0.1  # seconds, so that PATIENCE is a dozen of them: at 30 % loss each way 1 of 2,000 is in vain
STALLED = 0.05  # seconds without an answer after which publish() waits for this subscriber no more
PATIENCE = 1.0  # seconds before a best-effort message of which nothing is asked or reported any more is given up
AHEAD = 4  # messages of which the first fragment is sent whatever the credit, and that wait their turn however old
MAX_WAIT = 0.5  # seconds that further best-effort messages wait for their turn; then the oldest gives way
MAX_OWED = 32 << 20  # bytes of best-effort messages that are owed, beside the AHEAD newest
HURRY = 0.01  # seconds: after a younger message the end is polled so much later, where nothing is known to get lost
BURST = 176  # fragments that one call takes: of 1,472 bytes four times what UDP GSO sends at once


class Sender(SenderFields):
    """The large messages, and the credit, of one subscriber of one publisher.

    Args:
        window: bytes that the subscriber's socket can hold.
        lossy: whether the way there is known to lose datagrams, so that polls are more frequent: answers get lost, too.
        passage: learns which fragments arrive; None where nobody asks.

    Attributes:
        position, polled: how many bytes were charged so far, and up to the last poll.
        open_end: whether fragments, or small frames once more, were sent after the last poll.
        idle: whether no fragment waits to be sent; if not, perhaps one does.
        acknowledged: the position up to which all has left the subscriber's socket, or got lost.
        limit: bytes that may be on their way: the window, or less of it after losses.
        retransmitted: fragments that were sent again.
        given_up: messages that the subscriber did not take.
    """

    def __init__(self, window: int, *, lossy: bool, passage: Passage | None = None) -> None:
        self.limit = self.window = _window(window)
        self._passage = Passage(0, trusted=True) if passage is None else passage
        self.lossy = lossy
        self.retransmitted = self.given_up = 0
        self._outgoing: deque[Outgoing] = deque()
        self.position = self.acknowledged = self.polled = 0
        self._asked_at: float | None = None  # when the poll that waits for its answer was first sent
        self._poll_at, self._pause = NEVER, POLL_PAUSE
        self._tries = 0  # polls since the last answer that brought news
        self._round_trip = POLL_PAUSE / 4
        self._timed: tuple[int, float] | None = None  # a position, and when it was polled for, to time the answer
        self._progress = 0.0
        self.idle = True
        self._added = -HURRY  # when the last message was owed
        self._hurried = False  # whether that was soon after the one before it
        self._silent = False  # whether the subscriber was given up, and has not answered since
        self.open_end = False
        self._shrunk = 0  # the position up to which losses have made the limit smaller

    @property
    def busy(self) -> bool:
        """Whether fragments wait for credit."""
        return not self.idle and any(not message.done for message in self._outgoing)

    @property
    def backlog(self) -> int:
        """How many large messages are not known to be complete."""
        return len(self._outgoing)

    @property
    def full(self) -> bool:
        """Whether all credit is used up."""
        return self.position - self.acknowledged >= self.limit

    def charge(self, size: int, *, again: bool = False) -> None:
        """Note that a small frame was sent too: reliable topics count small frames, so that they are paced as well.

        Args:
            again: whether the frame was asked for; then a poll is due at once.
        """
        self.position += size + DATAGRAM_COST
        self.open_end = self.open_end or again

    def owes(self, seq: int) -> bool:
        """Tell whether a message of a number is owed."""
        return any(message.seq == seq for message in self._outgoing)

    def stalled(self, now: float, patience: float = STALLED) -> bool:
        """Tell whether the subscriber has not answered for so long that nobody should wait for it."""
        return self._silent or (self._asked_at is not None and now - self._asked_at > patience)

    def add(self, message: Outgoing, now: float) -> None:
        """Owe a message."""
        self._progress = self._progress if self._outgoing else now
        self._hurried, self._added = now < self._added + HURRY, now
        message.since = now
        self.idle = False
        self._outgoing.append(message)

    def make_room(self, size: int, now: float) -> None:
        """Give up messages until one more of a size can be owed: for want of memory, or since they waited for too long.

        The oldest of which no more than the first fragment was sent goes first; if there is none, the oldest. A
        subscriber that is too slow for all messages thus gets some of them whole, rather than a part of each.
        """
        owed = self._outgoing
        while len(owed) >= AHEAD:
            victim = next((message for message in owed if message.next <= 1), owed[0])
            waiting = sum(each.next < each.count for each in owed)
            too_old = victim.next < victim.count and victim.since + MAX_WAIT < now and waiting >= AHEAD
            if not too_old and len(owed) < MAX_PARTIALS and sum(each.place.total for each in owed) + size <= MAX_OWED:
                return
            owed.remove(victim)
            self.given_up += 1

    def forget_sent(self) -> None:
        """Owe no more what was sent whole and has left the subscriber's socket: what it lacks of it, it asks for."""
        self._outgoing = deque(each for each in self._outgoing if not each.has_left(self.acknowledged))

    def replace(self, seq: int, parts: Sequence[memoryview]) -> None:
        """Send what is still owed of a message from other parts: the caller's buffer is the caller's again."""
        for message in self._outgoing:
            if message.seq == seq:
                message.parts = parts

    def lowest(self, otherwise: int) -> int:
        """Return the lowest number that can still be sent again: that of a message owed, or ``otherwise`` if lower."""
        return min([otherwise, *(message.seq for message in self._outgoing)])

    def reached(self, last: int) -> int:
        """Return the highest number that a poll may name: all up to it have been sent, ``last`` being the newest.

        A subscriber that is told of a higher one would take for lost what only waits for its turn.
        """
        return min((message.seq - 1 for message in self._outgoing if message.next < message.count), default=last)

    # -- sending -----------------------------------------------------------------------------------------------------

    def take(self) -> tuple[Outgoing, Sequence[int]] | None:
        """Take the next fragments that may be sent now: a message and indexes, of equal length but the last.

        The first fragment of each of the next few messages is sent at once, whatever the credit: it makes the
        subscriber wait for the message, though smaller ones that were published later overtake it.
        """
        due = None if self.idle else next((m for m in self._outgoing if m.next < m.count or m.resend), None)
        if due is None:
            self.idle = True
            return None
        count = self._affordable(due, len(due.resend) or due.count - due.next)
        if not count:
            ahead = islice((message for message in self._outgoing if message.next < message.count), AHEAD)
            due = next((message for message in ahead if not message.next), None)
            if due is None:
                return None
            count = 1
        return due, self._charge(due, count)

    def _affordable(self, message: Outgoing, due: int) -> int:
        room = self.limit - (self.position - self.acknowledged)
        affordable = min(due, BURST, max(room, 0) // (message.datagram + DATAGRAM_COST))
        return affordable if affordable or self.position > self.acknowledged else 1

    def _charge(self, message: Outgoing, count: int) -> Sequence[int]:
        self.open_end = True
        cost = message.datagram + DATAGRAM_COST
        begin, self.position = self.position, self.position + count * cost
        positions = range(begin + cost, self.position + 1, cost)
        if message.resend:
            indexes: Sequence[int] = message.resend[:count]
            del message.resend[:count]
            self.retransmitted += count
            for index, position in zip(indexes, positions, strict=True):
                message.sent_at[index] = position
        else:
            indexes = range(message.next, message.next + count)
            message.next += count
            message.sent_at[indexes.start : indexes.stop] = array("Q", positions)
        return indexes

    def poll(self, now: float) -> int | None:
        """Return the position to poll for if it is time to: credit is used up, or a message may be incomplete."""
        unpolled = self.position - self.polled
        if not unpolled:
            return None
        ended = self.open_end and not self.busy
        if ended and self._hurried and not self.lossy:  # each poll costs both sides as much as a small message
            ended = False
            self._poll_at = min(self._poll_at, now + HURRY)
        if not ended and unpolled < self.limit // (4 if self.lossy else 2):  # answers get lost, too
            return None
        if self._timed is None:
            self._timed = (self.position, now)
        return self._poll(now)

    def ask_soon(self, now: float) -> None:
        """Have ``handle_timer`` ask what has arrived, even if nothing else follows."""
        self._progress = now if self._asked_at is None else self._progress
        self._poll_at = min(self._poll_at, now + HURRY)

    def _poll(self, now: float) -> int:
        self.polled = self.position
        self.open_end = False
        if self._asked_at is None:
            self._asked_at = now
        self._poll_at = now + self._pause
        return self.position

    # -- answers -----------------------------------------------------------------------------------------------------

    def reported(
        self, position: int, next_seq: int, window: int, now: float, missing: Sequence[tuple[int, int]] = ()
    ) -> None:
        """Learn from a REPORT that the socket is empty up to a position, and that all messages below a number are done.

        Args:
            missing: ranges (start, stop) of the exceptions to that: whole messages that are asked for.
        """
        self._silent = False
        if self.acknowledged < position <= self.position:
            self.acknowledged = position
            self._progress = now
            if self._timed is not None and self.acknowledged >= self._timed[0]:
                self._round_trip += (now - self._timed[1] - self._round_trip) / 4
                self._timed = None
            self._tries = 0
            self._pause = min(max(4 * self._round_trip, MIN_PAUSE), POLL_PAUSE)
            self.window = _window(window)
            self.limit = min(self.limit + self.window // 16, self.window)
        wanted = {m.seq for m in self._outgoing if any(start <= m.seq < stop for start, stop in missing)}
        for seq in wanted:
            self.missing_range(seq, seq + 1)
        for message in [m for m in self._outgoing if m.seq < next_seq and m.seq not in wanted and m.next]:
            self._outgoing.remove(message)
            if message.first_time:
                self._passage.arrived(message.largest)
        if position == self.acknowledged:
            self._asked_at = now if position < self.polled else None
            again = position < self.polled or (self._outgoing and not self.busy)
            self._poll_at = now + self._pause if again else NEVER  # what is missing may have been said, and lost

    def settle(self, position: int, now: float) -> None:
        """Learn of a position otherwise than by a REPORT: where nothing was sent after it, there is nothing to ask."""
        if position == self.position and not self._outgoing and self._asked_at is None:
            self.reported(position, 0, self.window, now)

    def missing(self, seq: int, first: int, bitmap: bytes | memoryview) -> bool:
        """Learn which fragments of a message are missing; tell whether any got lost: some may be on their way."""
        for message in self._outgoing:
            if message.seq == seq and message.ask(first, bitmap, self.acknowledged):
                self._lost_some()
                self._learn(message)
                return True
        return False

    def missing_range(self, start: int, stop: int) -> None:
        """Learn that whole messages are missing; those that are not owed, or still on their way, are ignored."""
        for message in list(self._outgoing):
            if start <= message.seq < stop and message.has_left(self.acknowledged):
                message.ask_all()
                self._lost_some()
                self._learn(message)

    def _learn(self, message: Outgoing) -> None:
        """Send smaller fragments from now on, if those of full size do not come."""
        message.first_time = self.idle = False
        lost = bisect_left(message.resend, message.full)
        if message.here:
            self._passage.arrived(message.largest)
        elif lost and self._passage.missed(message.largest, lost):
            size = self._passage.size - FRAGMENT_OVERHEAD
            self._outgoing = deque(each.resized(size) for each in self._outgoing)

    def _lost_some(self) -> None:
        """Send less at a time from now on; once for all losses of one round trip."""
        if self.acknowledged > self._shrunk:
            self._shrunk = self.position
            self.limit = max(self.limit * 3 // 4, min(MIN_WINDOW, self.window))

    # -- time --------------------------------------------------------------------------------------------------------

    def next_timer(self) -> float:
        """Return when handle_timer wants to be called; ``inf`` for never."""
        return self._poll_at

    def handle_timer(self, now: float) -> int | None:
        """Return the position to poll for again, if it is time to."""
        if now < self._poll_at:
            return None
        if now - max(self._progress, self._asked_at or 0.0) > PATIENCE:
            self._silent = True
            self.given_up += len(self._outgoing)
            self._outgoing.clear()
            self._poll_at, self._asked_at, self.acknowledged = NEVER, None, self.position
            self.limit = min(MIN_WINDOW, self.window)
            return None
        if self._asked_at is not None:
            self._tries += 1
            self._timed = None  # nobody can tell which of the two will be answered
        if self._tries > STEADY:
            self._pause = min(2 * self._pause, POLL_PAUSE_MAX)
        return self._poll(now)


def _window(window: int) -> int:
    return min(max(window, LEAST + DATAGRAM_COST), MAX_WINDOW)
