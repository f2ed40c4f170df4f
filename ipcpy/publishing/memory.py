"""The shared memory of one publisher: where its messages lie, and what it has lent.

Joins the pool (protocol/data/pool.py) with the segments. Knows bodies and who may be told of them; nothing of frames,
or of what a reliable topic keeps. The publisher's lock is held by whoever calls, unless a method says otherwise.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from ..locks import owned_by_caller
from ..protocol.data.history import Kept, Placed
from ..protocol.data.places import PLACED_FROM, Spot, let_go
from ..protocol.data.pool import Slot
from ..transport import memory
from ..transport.held import Held
from .loans import MARGIN, Loan
from .segments import Segments, Thread, Tie

_new = tuple.__new__  # of a NamedTuple, in half the time that its own takes

SHELF = 8  # messages that are kept for whom the news of them did not reach


class Memory:
    """The shared memory of one publisher.

    Args:
        segments: what of it there is, and who has it.
        loop: watches for the end of forked children.
        on_wanted: called with the size of the first message that suits it, or that memory is lent for.

    Attributes:
        segments: as given.
        wanted: whether there was such a message.
        make_room: called where all of it is in use: has what is kept take less; False if that cannot be.
        vacate: called where nobody shares it any more: has what is kept take less.
        lent: what was lent and is not published yet, as far as is known.
        shelf: the latest messages of a best-effort topic that lie there, while they may be asked for again.
    """

    def __init__(self, segments: Segments, loop: Thread, on_wanted: Callable[[int], object]) -> None:
        self.segments = segments
        self.wanted = False
        self.shelf: deque[Kept] = deque(maxlen=SHELF)
        self.make_room: Callable[[], object] = bool
        self.vacate: Callable[[], object] = bool
        segments.vacate = self._vacate
        self._on_wanted = on_wanted
        self._held = Held(loop, _set_free)
        self._owned = owned_by_caller(segments.lock)
        self.lent: list[Loan] = []

    @property
    def enabled(self) -> bool:
        """Whether memory may be shared."""
        return self.segments.pool.limit > 0

    def want(self, size: int) -> None:
        """Have memory offered to the subscribers, if that was not done yet."""
        if not self.wanted:
            self._on_wanted(size)
            self.wanted = True  # last: where an exception from outside ends this before, the next message does it again

    def suits(self, size: int) -> bool:
        """Tell whether a message of a size is better off in shared memory."""
        return size >= PLACED_FROM and self.segments.pool.limit > 0

    def lowest(self, otherwise: int) -> int:
        """Return the lowest number on the shelf; ``otherwise`` if there is none."""
        return self.shelf[0].seq if self.shelf else otherwise

    def asked(self, missing: Iterable[tuple[int, int]]) -> list[Kept]:
        """Return the messages on the shelf whose numbers lie in ranges (start, stop)."""
        wanted = list(missing)
        return [message for message in self.shelf if any(start <= message.seq < stop for start, stop in wanted)]

    def forget_before(self, number: int) -> None:
        """Let go of messages on the shelf with a lower number: all subscribers have them."""
        while self.shelf and self.shelf[0].seq < number:
            self.shelf.popleft()

    # -- slots -------------------------------------------------------------------------------------------------------

    def place(self, parts: Sequence[memoryview], size: int) -> Placed | None:
        """Lay a body into shared memory; None if there is no room now."""
        slot = self._take(size)
        if slot is None:
            self.segments.grow_soon(size)
            return None
        spot = slot.spot
        try:
            part = self.segments.areas[spot.segment].part(spot.offset, size)
            self._held.hold(part, slot)
            view, at = memory.view(part, writable=True), 0
            try:
                for each in parts:
                    stop = at + len(each)
                    view[at:stop] = each
                    at = stop
                body = view.toreadonly()
            finally:
                view.release()
        except BaseException:  # from outside
            slot.in_use = False
            raise
        return _new(Placed, (slot, spot, body))

    def prepare(self, size: int) -> None:
        """Have a slot of a size ready for the next message, or memory made for it: now nobody waits for that."""
        self._tidy_shelf()
        if not self.segments.pool.prepare(size):
            self.segments.grow_soon(size)

    def _vacate(self) -> None:
        self._tidy_shelf()
        self.vacate()
        self.segments.pool.release_unless(self._held.holds)

    def _tidy_shelf(self) -> None:
        """Take off the shelf what all who were told of it have taken, the oldest first."""
        shelf = self.shelf
        while shelf:
            placed = shelf[0].placed
            if placed is not None:
                slot = placed.slot
                entry, taken = slot.spot.entry, slot.mark - 1
                for reader in slot.handed:
                    if not reader.gone and reader.ledger[entry] < taken:
                        return
            shelf.popleft()

    def _take(self, size: int) -> Slot | None:
        if not self.segments.areas:
            return None
        pool = self.segments.pool
        self._tidy_shelf()
        slot = pool.take(size)
        if slot is None and not pool.next_size(size):  # else more will be made: what is on the shelf may be asked for
            self.shelf.clear()
            pool.release_unless(self._held.holds)
            slot = pool.take(size)
            if slot is None and self.make_room():
                slot = pool.take(size)
        return slot

    def lend(self, size: int) -> tuple[Loan, memoryview] | None:
        """Lend memory for a body of a size; None if there is none to be had.

        Who holds the lock gets none: a signal handler, or a ``__del__``, in the midst of our own work with the pool.

        Returns:
            What is known of the loan, and the view to fill: who has that, or a part of it, holds it.
        """
        whole, segments = size + 2 * MARGIN, self.segments
        if self._owned():
            return None
        while True:
            with segments.lock:
                if not segments.pool.limit:
                    return None
                self.want(whole)
                slot = self._take(whole)
                if slot is not None:
                    return self._lend(slot, size)
            if not segments.grow(whole):
                return None

    def _lend(self, slot: Slot, size: int) -> tuple[Loan, memoryview]:
        try:
            part = self.segments.areas[slot.spot.segment].part(slot.spot.offset, slot.spot.size)
            self._held.hold(part, slot)
        except BaseException:
            slot.in_use = False
            raise
        self.lent = [loan for loan in self.lent if loan.slot.in_use]
        loan = Loan(slot, part, size)
        self.lent.append(loan)
        return loan, memory.view(part, writable=True)[MARGIN : MARGIN + size]

    def place_lent(self, parts: Sequence[memoryview], size: int) -> Placed | None:
        """Take back what was lent, where that is the body, or all of it but a little before and after; else None."""
        found, at = None, 0
        for each in parts:
            loan = self._loan_at(each) if len(each) >= PLACED_FROM else None
            if loan is not None:
                found, begin = loan, MARGIN - at
            at += len(each)
        part = None if found is None else found.part()
        if found is None or part is None or begin < 0 or begin + size > found.size + 2 * MARGIN:
            return None
        self.lent.remove(found)
        view, at = memory.view(part, writable=True), begin
        for each in parts:
            if at != MARGIN:
                view[at : at + len(each)] = each
            at += len(each)
        found.end()
        segment, entry, generation, offset, _ = found.slot.spot
        spot = Spot(segment, entry, generation, offset + begin, size)
        return Placed(found.slot, spot, view[begin : begin + size].toreadonly())

    def _loan_at(self, part: memoryview) -> Loan | None:
        address = memory.address_of(part)
        return next((loan for loan in self.lent if loan.address == address and loan.size == len(part)), None)

    def hand(self, placed: Slot, tie: Tie, position: int) -> None:
        """Note that a subscriber is told of a message; see Pool.hand."""
        self.segments.pool.hand(placed, tie.reader, position)

    def takes(self, tie: Tie | None, spot: Spot) -> bool:
        """Tell whether a subscriber may be told of a message."""
        if tie is None or tie.reader.segments <= spot.segment:
            return False
        return self.segments.pool.admits(tie.reader, spot.size)

    def has_taken(self, tie: Tie, spot: Spot) -> bool:
        """Tell whether a subscriber has taken a message and let go of it: then it takes it from there no more."""
        ledger = tie.reader.ledger
        return bool(ledger) and ledger[spot.entry] == let_go(spot.generation)

    # -- the end -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End all connections, and let go of the memory as soon as nobody in this process has anything of it."""
        self._let_go()
        self.segments.close()

    def abandon(self) -> None:
        """Close the descriptors in a forked child."""
        self._let_go()
        self.segments.abandon()

    def _let_go(self) -> None:
        self.shelf.clear()
        self.lent = []


def _set_free(slot: Slot) -> None:
    slot.in_use = False
