"""What one subscriber has of one publisher: order, gaps, copies, and the books. Pure: frames and ``now`` come in,
messages to deliver and reports to send go out.

Best effort: a message is delivered when it comes; the numbers between are lost until they come after all. Only a large
message of which fragments are here holds later ones back, for a bounded time, since the rest was asked for.
Reliable: later messages wait until every gap is filled, or the publisher said that it has the message no more.

The books: ``received + sum(lost.values()) == next - first`` whenever nothing is waiting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from random import Random
from struct import Struct
from typing import Generic, TypeVar

from .fragments import Assembly, Partial
from .gaps import Gaps
from .wire import Fragment

NEVER = float("inf")
REPORT_BODY = Struct("<QI")  # next, what the socket can hold; then (start u64, count u32) of what is missing
RANGE = Struct("<QI")
MISSING_BODY = Struct("<QI")  # subscriber, first fragment; then the bitmap
POLL_BODY = Struct("<QQ")  # position, the lowest number the publisher still has
MAX_RANGES = 64  # in one report
MAX_GAPS = 1_024  # ranges that are remembered in case their messages come late
MAX_HELD = 4_096  # messages that wait for an earlier one
REORDER_DELAY = 0.003  # before a gap is asked for: the network may only have changed the order
RETRY = 0.05  # between two questions for the same; +- 25 %, doubled while nothing comes
RETRY_MAX = 0.5
PATIENCE = 1.0  # for a large message of a best-effort topic of which nothing more comes

Item = TypeVar("Item")


class Receiver(Generic[Item]):
    """One publisher's messages at one subscriber; items are opaque.

    Attributes:
        next: the lowest number that is neither delivered nor lost. Whoever has a message of exactly this number, while
            ``waiting`` is False, may deliver it and add one.
        waiting: whether messages wait for an earlier one.
    """

    __slots__ = (
        "_ask_at",
        "_assembly",
        "_gaps",
        "_held",
        "_pause",
        "_random",
        "_reliable",
        "_seen",
        "bytes",
        "duplicates",
        "first",
        "lost",
        "next",
        "reordered",
        "waiting",
    )

    def __init__(self, *, reliable: bool = False, assembly: Assembly | None = None, seed: int | None = None) -> None:
        self.first = 0
        self.next = 0
        self.waiting = False
        self.duplicates = 0
        self.reordered = 0
        self.bytes = 0
        self.lost: Counter[str] = Counter()
        self._reliable = reliable
        self._assembly = assembly or Assembly()
        self._gaps = Gaps()
        self._held: dict[int, Item | None] = {}
        self._seen = 0  # one above the highest number known to be published
        self._ask_at = NEVER
        self._pause = RETRY
        self._random = Random(seed)

    @property
    def received(self) -> int:
        """How many messages were delivered."""
        return self.next - self.first - sum(self.lost.values())

    def start(self, first: int) -> list[Item]:
        """Learn from which number on messages are meant for this subscriber; give what can be delivered now."""
        if not self.next:
            self.first = self.next = first
        elif first < self.first:
            self._gaps_before(first)
        self._seen = max(self._seen, first)
        return self._release()

    def _gaps_before(self, first: int) -> None:
        """The first messages overtook the START: what they skipped is missing."""
        lost = self.first - first
        if self._reliable or lost > MAX_HELD:
            return
        self.lost["network"] += lost
        self.first = first

    def accept(self, seq: int, item: Item, now: float, cause: str = "network") -> list[Item]:
        """Take a whole message; give the items to deliver, in order.

        Args:
            cause: what a gap before it is counted under.
        """
        if not self.next:
            self.first = self.next = seq
        if seq >= self._seen:
            self._seen = seq + 1
        if seq < self.next:
            return self._accept_late(seq, item)
        if seq in self._held or len(self._held) >= MAX_HELD:
            self.duplicates += seq in self._held
            return []
        self._held[seq] = item
        return self._release(now, cause)

    def _accept_late(self, seq: int, item: Item) -> list[Item]:
        cause = self._gaps.take(seq)
        if cause is None:
            self.duplicates += 1
            return []
        self.lost[cause] -= 1
        self.reordered += 1
        return [item]

    def accept_fragment(self, fragment: Fragment, now: float) -> Partial | None:
        """Take a fragment; give its message if it is complete now. The caller then calls ``accept`` with it."""
        seq = fragment.place.seq
        if not self.next:
            self.first = self.next = seq
        if seq >= self._seen:
            self._seen = seq + 1
        if seq in self._held or (seq < self.next and seq not in self._assembly and not self._late_wanted(seq)):
            return None
        if self._assembly.too_large(fragment.place):
            self._held[seq] = None  # passed, when its turn comes, as lost
            return None
        partial = self._assembly.add(fragment, now)
        if partial is None:
            return None
        self._ask_by(now + PATIENCE)
        if not partial.complete:
            return None
        self._assembly.drop(seq)
        return partial

    def _late_wanted(self, seq: int) -> bool:
        return any(start <= seq < stop for start, stop, _ in self._gaps)

    def _release(self, now: float = 0.0, cause: str = "network") -> list[Item]:
        """Give what can be delivered in order; skip what nothing is left to wait for."""
        out: list[Item] = []
        held = self._held
        while True:
            while self.next in held:
                self._deliver(held.pop(self.next), out)
            if not held or self._reliable or not self._skip(min(held), cause):
                break
        self.waiting = bool(held)
        if held and self._reliable and self._ask_at == NEVER:
            self._ask_by(now + REORDER_DELAY)
        return out

    def _deliver(self, item: Item | None, out: list[Item]) -> None:
        if item is None:
            self.lost["too large"] += 1
        else:
            out.append(item)
        self.next += 1

    def _skip(self, target: int, cause: str) -> bool:
        """Best effort: pass the numbers before the target, up to a message that is being put together."""
        if len(self._assembly):
            lowest = self._assembly.lowest()
            if lowest < target:
                if lowest > self.next:
                    self._lose(lowest, cause)
                return False
        self._lose(target, cause)
        return True

    def _lose(self, stop: int, cause: str) -> None:
        self.lost[cause] += stop - self.next
        self._gaps.add(self.next, stop, cause)
        self._gaps.forget(MAX_GAPS)
        self.next = stop

    # -- what the publisher says -------------------------------------------------------------------------------------

    def polled(self, last: int, low: int, now: float, cause: str = "network") -> list[Item]:
        """Learn the highest number published and the lowest still to be had; give what can be delivered now.

        A poll only ever leads to questions and to the passing of what is gone, never to a delivery out of order.
        """
        if not self.next or last + 1 < self.next:
            return []
        self._seen = max(self._seen, last + 1)
        low = min(low, self._seen)
        out = []
        if self.next < low:
            out = self._pass_gone(low, cause)
        if not self._reliable and not len(self._assembly) and not self._held and self.next < self._seen:
            self._lose(self._seen, cause)
        return out + self._release(now, cause)

    def _pass_gone(self, low: int, cause: str) -> list[Item]:
        for partial in [p for p in self._assembly if p.place.seq < low]:
            self._assembly.drop(partial.place.seq)
        out: list[Item] = []
        for seq in [*sorted(seq for seq in self._held if seq < low), low]:
            if seq > self.next:
                self._lose(seq, "given up" if self._reliable else cause)
            if seq in self._held:
                self._deliver(self._held.pop(seq), out)
        return out

    # -- what the publisher is told ----------------------------------------------------------------------------------

    def report(self, window: int, low: int = 0) -> bytes:
        """Build the body of a REPORT: what is here, and which whole messages are missing."""
        ranges = b"".join(RANGE.pack(start, stop - start) for start, stop in self._missing_ranges(low))
        return REPORT_BODY.pack(self.next, window) + ranges

    def _missing_ranges(self, low: int) -> Iterator[tuple[int, int]]:
        wanted = [(start, stop) for start, stop, _ in self._gaps if start >= low > 0][-MAX_RANGES // 2 :]
        at = self.next
        for seq in sorted([*self._held, *(partial.place.seq for partial in self._assembly)]) + [self._seen]:
            if seq > at:
                wanted.append((at, min(seq, at + (1 << 32) - 1)))
            at = max(at, seq + 1)
            if len(wanted) >= MAX_RANGES:
                break
        return iter(wanted[:MAX_RANGES])

    def incomplete(self) -> list[tuple[int, int, bytes]]:
        """Give (seq, first fragment, bitmap) of what is missing of the large messages that are being put together."""
        return [(partial.place.seq, *partial.missing()) for partial in self._assembly]

    # -- time --------------------------------------------------------------------------------------------------------

    def _ask_by(self, at: float) -> None:
        self._ask_at = min(self._ask_at, at)

    def next_timer(self) -> float:
        """Give when handle_timer wants to be called; ``inf`` for never."""
        return self._ask_at

    def handle_timer(self, now: float) -> tuple[bool, list[Item]]:
        """Do what is due.

        Returns:
            Whether a report should be sent, and what can be delivered since an incomplete message was given up.
        """
        if now < self._ask_at:
            return False, []
        self._ask_at = NEVER
        stale = [p.place.seq for p in self._assembly if now - p.touched >= PATIENCE] if not self._reliable else []
        for seq in stale:
            self._assembly.drop(seq)
        out = self._release(now, "fragments") if stale else []
        ask = self._reliable and self.next < self._seen
        if ask:
            self._ask_by(now + self._pause * self._random.uniform(0.75, 1.25))
            self._pause = min(2 * self._pause, RETRY_MAX)
        elif len(self._assembly):
            self._ask_by(min(p.touched for p in self._assembly) + PATIENCE)
        if stale and not self._held and not len(self._assembly) and self.next < self._seen and not self._reliable:
            self._lose(self._seen, "fragments")
        return ask, out
