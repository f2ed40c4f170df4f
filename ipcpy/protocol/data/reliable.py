"""The publisher's side of a reliable topic: what each subscriber has, what is sent again, and who holds the others up.
Pure: reports and ``now`` come in, messages to send again and subscribers to poll go out. Knows nothing of addresses.

How a publisher drives ``reliable = Reliable(history)``; a follower is a subscriber:

- when a subscriber's ANSWER came: ``first = reliable.join(number, first, window, now)``, send START(first), then what
  ``begin(number, now)`` returns. A late subscriber's first number is that of the oldest message it is to get; for what
  the budget did not allow at once the subscriber asks, as for any gap. ``leave(number)`` when the subscriber is gone.
- before a message is numbered: while ``holding(size, now)`` is not empty, poll those that ``to_poll`` chooses from it,
  handle what comes, and wait, for as long as the topic allows. Then publish anyway: the oldest message is given up for
  those who lack it.
- ``add(message, now)`` for each message published.
- a REPORT: charge (``again=True``) and send what ``reported(number, report, now)`` returns, to that subscriber alone.
- a MISSING of a large message that the Sender does not owe (any more): owe what ``kept(number, seq)`` returns, as
  ``Outgoing(place, parts, sent_before=True)``. With too many owed, a large message waits in the history until the
  subscriber asks for it.
- at ``next_timer()``: poll whom ``handle_timer(now)`` names.

A poll says the last number and the lowest kept: "I have nothing below that any more" tells a subscriber exactly which
of the messages it misses are lost, so that the subscriber stops asking and counts them. A subscriber is never told to
pass what it could still get.

What a socket can hold is the Sender's business: charge the Sender for every frame, and wait for subscribers whose
credit is ``full`` and that are not ``stalled`` as for those that are ``holding``.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...budget import Budget
from ...timeouts import NEVER
from .history import History, Kept
from .reports import Report
from .sender import DATAGRAM_COST
from .waiting import MAX_HELD

PAUSES = (0.01, 0.02, 0.06, 0.2, 0.5, 1.0)  # seconds: last message to first poll, and so on; last repeats
BUSY_PAUSE = 0.1  # seconds between polls while messages are published without a pause
HOLDING_PAUSE = 0.005  # seconds between polls of those who hold the publisher up
STALLED = 0.5  # seconds without an answer to polls, after which a subscriber holds nobody up any more
DUPLICATE = 0.005  # seconds in which the same question is not answered twice
MAX_ASKED = 1_024  # messages that are looked at for one report
MAX_AHEAD = MAX_HELD  # messages that a publisher may be ahead of a gap: as many can wait for it at the subscriber
REFILLS = 200  # budgets a second, each a quarter of its window: 200 * 149,000 / 4 = 7 MB/s with default buffers


class Follower:
    """One subscriber of a reliable topic.

    Attributes:
        next: all before this number is there, or lost and done with, as the subscriber last reported.
        given_up: messages that the publisher keeps no longer though the subscriber had not confirmed them.
    """

    def __init__(self, first: int, window: int, now: float) -> None:
        self.next = first
        self.given_up = 0
        self.polled_at = now
        self._asked_at: float | None = None  # when the oldest unanswered poll was sent
        self._budget = Budget(window / 4, window * REFILLS / 4, now)
        self._resent: dict[int, float] = {}  # the messages sent again of late, the oldest first
        self._sending: list[int] = []  # those of them that the last report asked for
        self._denied = first  # below this, what is gone was counted

    def stalled(self, now: float) -> bool:
        """Tell whether the subscriber has not answered for so long that nobody should wait for it."""
        return self._asked_at is not None and now - self._asked_at > STALLED

    def polled(self, now: float) -> None:
        """Note that the subscriber was asked."""
        self.polled_at = now
        if self._asked_at is None:
            self._asked_at = now

    def answered(self, next_seq: int, limit: int) -> None:
        """Note what the subscriber says it has; it cannot have more than there is."""
        self._asked_at = None
        self.next = max(self.next, min(next_seq, limit))

    def resend(self, missing: Iterable[tuple[int, int]], history: History, now: float) -> list[Kept]:
        """Return the messages to send again: those kept, not sent again just now, as far as the budget goes."""
        self._forget_resent(now)
        lowest_kept, asked = history.lowest_kept(history.next), 0
        out: list[Kept] = []
        self._sending = []
        for start, stop in missing:
            self._deny(start, min(stop, lowest_kept))
            for message in history.between(max(start, self.next), stop):
                asked += 1
                if asked > MAX_ASKED:
                    return out
                if message.seq in self._resent:
                    continue
                if not self._budget.take(message.size + DATAGRAM_COST if message.frame else 0, now):
                    return out
                self._resent[message.seq] = now
                self._sending.append(message.seq)
                out.append(message)
        return out

    def resent(self, now: float) -> None:
        """Note that what the last report asked for is sent by now, which takes a while where that is much.

        Other reports that were made before may have come meanwhile: they ask for the same.
        """
        self._resent.update(dict.fromkeys(self._sending, now))
        self._sending = []

    def deny(self, lowest_kept: int) -> None:
        """Count the messages that the subscriber has not confirmed and can no longer get."""
        self._deny(self.next, lowest_kept)

    def _deny(self, start: int, stop: int) -> None:
        start = max(start, self._denied)
        if start < stop:
            self.given_up += stop - start
            self._denied = stop

    def _forget_resent(self, now: float) -> None:
        while self._resent:
            seq, at = next(iter(self._resent.items()))
            if now - at < DUPLICATE:
                return
            del self._resent[seq]


class Reliable:
    """All subscribers of one reliable publisher.

    Args:
        history: what the publisher keeps; messages are added by ``add`` only.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.followers: dict[int, Follower] = {}
        self._published_at = 0.0
        self._beats = 0  # polls since the last message
        self._at = NEVER

    def join(self, number: int, first: int, window: int, now: float) -> int:
        """Get to know a subscriber that is to have all that is kept from a number on; return its first number.

        A subscriber that was known already is to have what it lacked then.
        """
        known = self.followers.get(number)
        if known is not None:
            known.deny(self.lowest_kept())
            first = known.next
        first = min(max(first, self.lowest_kept()), self.history.next)
        self.followers[number] = Follower(first, window, now)
        if first < self.history.next:
            self._beats, self._at = 0, min(self._at, now + PAUSES[0])
        return first

    def begin(self, number: int, now: float) -> list[Kept]:
        """Return the first messages for a subscriber that came late."""
        follower = self.followers[number]
        return follower.resend([(follower.next, self.history.next)], self.history, now)

    def kept(self, number: int, seq: int) -> Kept | None:
        """Return the message of which a subscriber says that parts are missing; None if it has all, or none is kept."""
        follower = self.followers.get(number)
        if follower is None or seq < follower.next:
            return None
        return next(self.history.between(seq, seq + 1), None)

    def leave(self, number: int) -> None:
        """Forget a subscriber."""
        self.followers.pop(number, None)

    def add(self, message: Kept, now: float) -> None:
        """Keep a message that was published."""
        self._published_at = now
        self._beats = 0
        if self._at == NEVER and self.followers:
            self._at = now + PAUSES[0]
        self.history.add(message)

    def needed_from(self) -> int:
        """Return the lowest number that some follower has not confirmed; that of the next message if there is none."""
        return min([self.history.next, *(follower.next for follower in self.followers.values())])

    def spare(self, size: int) -> int:
        """Return how many messages of up to a size may be added before somebody holds the publisher up.

        None may be where ``next_timer`` would change: whoever adds one has to look at it.
        """
        if self._at == NEVER:
            return 0
        return self.history.spare(size, min(MAX_AHEAD, self.history.count) - (self.history.next - self.needed_from()))

    def count_given_up(self) -> None:
        """Bring ``given_up`` of all followers up to date."""
        for follower in self.followers.values():
            follower.deny(self.lowest_kept())

    def lowest_kept(self) -> int:
        """Return the lowest number still kept, as polls say it; that of the next message if none is."""
        return self.history.lowest_kept(self.history.next)

    # -- who is behind -----------------------------------------------------------------------------------------------

    def holding(self, size: int, now: float) -> list[int]:
        """Return the subscribers for which one more message of a size would be too much.

        For them an unconfirmed message would be given up, or more messages would wait for it than a subscriber holds.
        Subscribers that do not answer are not among them: they hold nobody up.
        """
        needed = max(self.history.lowest_kept_after(size), self.history.next - MAX_AHEAD)
        return [n for n, follower in self.followers.items() if follower.next < needed and not follower.stalled(now)]

    def to_poll(self, numbers: Iterable[int], now: float) -> list[int]:
        """Choose whom of some subscribers to poll now, and note that they are polled."""
        due = [n for n in numbers if now >= self.followers[n].polled_at + HOLDING_PAUSE]
        for number in due:
            self.followers[number].polled(now)
        return due

    def reported(self, number: int, report: Report, now: float) -> list[Kept]:
        """Take a subscriber's report; return the messages to send again to it."""
        follower = self.followers.get(number)
        if follower is None:
            return []
        follower.deny(self.lowest_kept())
        follower.answered(report.next, self.history.next)
        return follower.resend(report.missing, self.history, now)

    def resent(self, number: int, now: float) -> None:
        """Note that what a subscriber's report asked for is sent by now."""
        follower = self.followers.get(number)
        if follower is not None:
            follower.resent(now)

    # -- time --------------------------------------------------------------------------------------------------------

    def next_timer(self) -> float:
        """Return when handle_timer wants to be called; ``inf`` for never, once all have confirmed all."""
        return self._at

    def handle_timer(self, now: float) -> list[int]:
        """Return the subscribers to poll now."""
        if now < self._at:
            return []
        behind = [n for n, follower in self.followers.items() if follower.next < self.history.next]
        if not behind:
            self._at = NEVER
            return []
        quiet_at = self._published_at + PAUSES[0]
        due = behind
        if now < quiet_at and not self._beats:  # published without a pause: a poll now and then is enough
            due = [n for n in behind if now >= self.followers[n].polled_at + BUSY_PAUSE]
            self._at = quiet_at
        else:
            self._beats += 1
            self._at = now + PAUSES[min(self._beats, len(PAUSES) - 1)]
        for number in due:
            self.followers[number].polled(now)
        return due
