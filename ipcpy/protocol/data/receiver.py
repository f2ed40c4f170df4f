"""What one subscriber has of one publisher: order, gaps, copies, and the books. Pure: numbers, opaque items and ``now``
come in, items to deliver and reports to send go out. Knows nothing of addresses, of who the publisher is, or of codecs.

Before the START nothing is delivered: a message may be meant for others, or earlier ones may still be on their way.
Best effort: a message is delivered when it comes; the numbers between are lost until they come after all. Only a large
message of which fragments are here holds later ones back, for a bounded time, since its other fragments were asked for.
Reliable: later messages wait until every gap is filled, or the publisher says that it no longer has the message.

The books: ``received + sum(lost.values()) == next - first``, always.
"""

from __future__ import annotations

from collections import Counter

from ...fast import ReceiverFields
from ...timeouts import NEVER
from ...typed import Generic, TypeVar
from ..wire import MAX_SEQ
from .fragments import Assembly, Partial
from .gaps import Gaps
from .heads import Run
from .questions import REORDER_DELAY, Questions
from .reports import MAX_RANGES, missing_between, pack_report
from .waiting import Waiting

MAX_INCOMPLETE = 4  # large messages of which one report says what is missing
PATIENCE = 1.0  # seconds for a large message of a best-effort topic of which nothing more comes

Item = TypeVar("Item")


class Receiver(Generic[Item], ReceiverFields):
    """One publisher's messages at one subscriber; items are opaque.

    Attributes:
        reliable: whether gaps are asked for until they are filled or given up.
        first: the first number that is meant for this subscriber; 0 before the START.
        next: the lowest number that is neither delivered nor lost; 0 before the START. A caller that has a message of
            exactly this number, while ``waiting`` is False, may deliver the message itself and add one.
        waiting: whether messages wait for an earlier one, or for the START.
        assembly: the large messages that are being put together.
    """

    def __init__(self, *, reliable: bool = False, assembly: Assembly | None = None, seed: int | None = None) -> None:
        self.first = self.next = 0
        self.waiting = False
        self.duplicates = 0
        self.reordered = 0
        self.lost: Counter[str] = Counter()
        self.reliable = reliable
        self.assembly = Assembly() if assembly is None else assembly
        self._gaps = Gaps()
        self._held: Waiting[Item] = Waiting()
        self._seen = 0  # one above the highest number known to be published
        self._questions = Questions(seed)
        self._ask_at = NEVER
        self._gone = 0  # a reliable publisher has nothing below this number any more
        self._gone_at = NEVER  # when that counts: what is on its way has come by then

    @property
    def received(self) -> int:
        """How many messages were delivered."""
        return self.next - self.first - sum(self.lost.values())

    def start(self, first: int, now: float = 0.0) -> list[Item]:
        """Learn from which number on messages are meant for this subscriber; return what can be delivered now.

        A later START with a higher number says that the messages before that number are not to be had.
        """
        first = min(max(first, 1), MAX_SEQ)
        self._see(first - 1, now)
        out: list[Item] = []
        if not self.first:
            self.first = self.next = first
            self._held.forget_before(first)
            self.assembly.forget(self.assembly.before(first))
            if self.reliable:
                self._ask_by(now + REORDER_DELAY)
        elif first > self.next:
            out = self._pass_gone(first, "network")
        return out + self._release(now)

    def _see(self, seq: int, now: float) -> None:
        """Learn that a number was published; if that shows a gap, it is asked for soon."""
        known = max(self._seen, self.next)
        self._questions.in_vain = 0
        if seq >= known:
            self._seen = seq + 1
            if self.reliable and seq > known:
                self._ask_by(now + REORDER_DELAY)

    # -- messages ----------------------------------------------------------------------------------------------------

    def accept(self, seq: int, item: Item, now: float, cause: str = "network", *, size: int = 0) -> list[Item]:
        """Take a whole message; return the items to deliver, in order.

        Args:
            cause: what a gap before it is counted under.
            size: its bytes, by which the messages that wait are bounded too.
        """
        if not 0 < seq <= MAX_SEQ:
            return []
        self._see(seq, now)
        if self.first and seq < self.next:
            return self._accept_late(seq, item)
        if seq in self._held:
            self.duplicates += 1
            return []
        full = self._held.full(size)
        if full and seq != self.next and (self.reliable or not self.first):
            return []  # it will be asked for again, or be missing
        self._held.hold(seq, item, size)
        out = self._release(now, cause)
        self._questions.received(self.next, now)
        return out + self._unblock(now, cause) if full else out

    def _accept_late(self, seq: int, item: Item) -> list[Item]:
        cause = self._gaps.take(seq)
        if cause is None:
            self.duplicates += seq >= self.first
            return []
        self.lost[cause] -= 1
        self.reordered += 1
        return [item]

    def _unblock(self, now: float, cause: str) -> list[Item]:
        """Give up large messages, the oldest first, while too much waits for them; on a best-effort topic only."""
        out: list[Item] = []
        while self._held.full() and (lowest := self.assembly.lowest(self.next)) is not None:
            self._give_up(lowest)
            out += self._release(now, cause)
        return out

    def accept_run(self, run: Run, now: float) -> Partial | None:
        """Take fragments; return their message if it is complete now. The caller then calls ``accept`` with it."""
        seq = run.place.seq
        if not 0 < seq <= MAX_SEQ:
            return None
        self._see(seq, now)
        if seq not in self.assembly and not self._wanted(seq):
            return None
        if self.assembly.too_large(run.place):
            self._mark(seq, "too large", now)
            return None
        partial = self.assembly.add(run, now, keep_lowest=self.reliable)
        for evicted in self.assembly.evicted:
            if not self.reliable:
                self._mark(evicted, "fragments", now)
        self.assembly.evicted.clear()
        if partial is not None and partial.complete:
            self.assembly.drop(seq)
            return partial
        if self._ask_at == NEVER:
            self._ask_at = now + (self._questions.pause() if self.reliable else PATIENCE)
        return None

    def begins(self, seq: int) -> bool:
        """Tell whether a number is the next message's, and nothing of it is here."""
        return seq == self.next and not self.waiting and seq not in self.assembly

    def _wanted(self, seq: int) -> bool:
        return seq not in self._held and (seq >= self.next or seq in self._gaps)

    def _give_up(self, seq: int) -> None:
        self.assembly.drop(seq)
        if seq >= self.next:
            self._held.mark(seq, "fragments")

    def _mark(self, seq: int, cause: str, now: float) -> None:
        if seq >= self.next:
            self._held.mark(seq, cause)
            self.waiting = True
            self._ask_by(now)  # the next timer passes it, if it is its turn

    def _release(self, now: float, cause: str = "network") -> list[Item]:
        """Return what can be delivered in order; pass the numbers for which nothing is left to wait."""
        out: list[Item] = []
        while self.first and self.next < self._seen:
            lowest = self._held.lowest or self._seen
            if lowest == self.next:
                self._take_held(out)
                continue
            stop = None if self.reliable else self.assembly.lowest(self.next)
            if self.reliable or stop == self.next:
                break
            self._lose(lowest if stop is None else min(lowest, stop), cause)
        self.waiting = len(self._held) > 0
        return out

    def _take_held(self, out: list[Item]) -> None:
        items, cause = self._held.take()
        self.next += 1
        out += items
        if not items:
            self.lost[cause] += 1

    def _lose(self, stop: int, cause: str) -> None:
        cause = cause or "network"
        if not self.reliable:
            self._gaps.add(self.next, stop, cause)
        self.lost[cause] += stop - self.next
        self.next = stop  # no call comes between: an exception from outside could

    # -- what the publisher says -------------------------------------------------------------------------------------

    def polled(self, last: int, lowest_kept: int, now: float, cause: str = "network") -> list[Item]:
        """Learn the highest number published and the lowest still to be had; return what can be delivered now.

        A poll only ever leads to questions and to the passing of what is gone, never to a delivery out of order. It may
        overtake what was sent before it, so on a reliable topic what is gone is passed a little later.
        """
        if not self.first or not last:
            return []
        last = min(last, MAX_SEQ)
        self._see(last, now)
        out: list[Item] = []
        gone = min(lowest_kept, last + 1)
        if self.next < gone and not self.reliable:
            out = self._pass_gone(gone, cause)
        elif self.next < gone and self._gone_at == NEVER:
            self._gone, self._gone_at = gone, now + REORDER_DELAY
        out += self._release(now, cause)
        if self.reliable and self.next < self._seen:
            self._ask_at = now + self._questions.pause()  # the report that answers the poll asks now
        return out

    def _pass_gone(self, stop: int, cause: str) -> list[Item]:
        """Pass all numbers below one: deliver what waits of them, and count the others as lost."""
        for seq in self.assembly.before(stop):
            if self.reliable:
                self.assembly.drop(seq)
            else:
                self._give_up(seq)
        out: list[Item] = []
        while self.next < stop:
            lowest = min(self._held.lowest or stop, stop)
            if lowest > self.next:
                self._lose(lowest, "given up" if self.reliable else cause)
            else:
                self._take_held(out)
        return out

    def finish(self, now: float) -> list[Item]:
        """Learn that the publisher is gone: what is missing is lost; return what waited for it."""
        gone = self._pass_gone(self._seen, "network") if self.first else []
        return gone + self._release(now)

    def mend(self, now: float) -> None:
        """Bring in order what an exception from outside has left half done."""
        self.assembly.mend()
        self._held.mend()
        self._gaps.forget_from(self.next)
        self.waiting = len(self._held) > 0
        self._ask_by(now)

    # -- what the publisher is told ----------------------------------------------------------------------------------

    def report(self, window: int, lowest_kept: int = 0) -> bytes:
        """Build the body of a REPORT: what is here, and which whole messages are missing that are still to be had."""
        low = lowest_kept
        wanted = [(max(start, low), stop) for start, stop, _ in self._gaps if stop > low > 0][-MAX_RANGES // 2 :]
        if self.first:
            here = [*self._held.numbers(), *(partial.place.seq for partial in self.assembly)]
            wanted += missing_between(self.next, self._seen, here, MAX_RANGES - len(wanted))
        lowest = min(self.next, MAX_SEQ + 1)  # whoever adds to ``next`` checks no bound
        return pack_report(lowest, window, wanted)

    def incomplete(self) -> list[tuple[int, int, bytes]]:
        """Return (seq, first fragment, bitmap) of what is missing of the lowest large messages being put together."""
        lowest = sorted(self.assembly, key=lambda partial: partial.place.seq)[:MAX_INCOMPLETE]
        return [(partial.place.seq, *partial.missing()) for partial in lowest]

    # -- time --------------------------------------------------------------------------------------------------------

    def _ask_by(self, at: float) -> None:
        self._ask_at = min(self._ask_at, at)

    def next_timer(self) -> float:
        """Return when handle_timer wants to be called; ``inf`` for never."""
        return min(self._ask_at, self._gone_at)

    def handle_timer(self, now: float) -> tuple[bool, list[Item]]:
        """Do what is due.

        Returns:
            Whether a report should be sent, and what can be delivered because something earlier was given up.
        """
        if now < self.next_timer():
            return False, []
        out: list[Item] = []
        passed, due = self._gone_at <= now < NEVER, now >= self._ask_at
        if passed:
            self._gone_at = NEVER
            out = self._pass_gone(self._gone, "given up")
        if due:
            self._ask_at = NEVER
            if not self.reliable:
                self._give_up_stale(now)
        out += self._release(now)
        return passed or (due and self.reliable and self._ask(now)), out

    def _give_up_stale(self, now: float) -> None:
        for seq in [partial.place.seq for partial in self.assembly if partial.touched + PATIENCE <= now]:
            self._give_up(seq)
        self._ask_by(min((partial.touched + PATIENCE for partial in self.assembly), default=NEVER))

    def _ask(self, now: float) -> bool:
        behind = self.first and self.next < self._seen
        pause = self._questions.ask(self.next, now) if behind else None
        self._ask_by(NEVER if pause is None else now + pause)
        return pause is not None
