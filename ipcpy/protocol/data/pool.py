"""The memory that one publisher shares: which of it is free, who was handed what, and when it may be used again.
Pure: sizes, positions and the words of table and ledgers come in, places go out. Knows nothing of segments as files or
mappings, of what lies in them, nor of frames and who they are sent to.

A subscriber that takes a message marks it in its ledger, *then* looks whether the table still has its generation. The
publisher clears the table, *then* looks whether anybody has marked it. Whoever is second sees what the first one did:
memory that a subscriber holds is never given out again (hazard pointers: M. Michael, 2004). The publisher clears what
was let go of, or what a subscriber cannot take any more because the datagram that told of it was lost.

Who hoards is bounded by a dynamic threshold (A. Choudhury, E. Hahne, 1998): nobody may hold more than is still free. So
n who hoard leave 1/(n + 1) to the others.

An exception can come from outside after any call (a signal handler's). So whatever changes together is changed by
statements without a call between them.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Callable, Sequence

from ...typed import Protocol
from .places import ENTRIES, MAX_MAPPED, MAX_SEGMENTS, TABLE_SIZE, Spot, held

ALIGNMENT = 64  # bytes: a line of the cache, and more than any number type of numpy asks for
GRAIN = 64 << 10  # bytes: segments have multiples of it, so of a page everywhere
LEAST = 4 << 20  # bytes of the first segment, at least
FIRST = 4  # messages that the first segment has room for: one filled, one read, one held, one on its way
NEWEST = 16  # slots that are looked at whenever one is taken
OLDER = 4  # and of those before them, in turn, not counting what turns out to be free
SETTLED = 8  # slots that are looked at before a subscriber is refused

_BASE = 31  # bits: an address is segment << 31 | offset, so that no two segments touch
_OFFSET = (1 << _BASE) - 1

_new = tuple.__new__  # of a NamedTuple, in half the time that its own takes


class Words(Protocol):
    """What a table is written to as: a memoryview of u64, or a list."""

    def __setitem__(self, at: int, value: int, /) -> None: ...


class Reader:
    """A subscriber that slots are handed to.

    Attributes:
        ledger: its words, as it writes them; empty until they have come.
        segments: how many segments it has mapped, from the first on.
        acked: the position up to which its socket is known to be empty.
        gone: whether it holds nothing any more, whatever its ledger says.
        count: how many slots it was handed that it is not known to have let go of.
        held: how many bytes they have.
    """

    __slots__ = ("_at", "acked", "count", "gone", "held", "ledger", "segments")

    def __init__(self) -> None:
        self.ledger: Sequence[int] = ()
        self.segments = 0
        self.acked = 0
        self.gone = False
        self.count = 0
        self.held = 0
        self._at = 0  # the slot at which the next look begins

    def settle(self, slots: Sequence[Slot]) -> None:
        """Find some of the slots that it has let go of while others hold them: those found cost nothing."""
        at, looks = self._at, SETTLED
        for _ in range(len(slots)):
            at = at - 1 if 0 < at <= len(slots) else len(slots) - 1
            slot = slots[at]
            if self in slot.handed:
                mark = self.ledger[slot.spot.entry]
                if mark >= slot.mark - 1 and mark != slot.mark:
                    slot.take_back(self)
                    continue
            looks -= 1
            if not looks:
                break
        self._at = at


class Slot:
    """Memory for one message.

    Attributes:
        spot: where it is.
        in_use: whether the publisher itself still uses it. Any thread may set it to False, without the lock.
        bytes: what it takes, the rounding included.
        mark: what the ledger of a subscriber that holds it says; one less once it has let go.
        handed: the subscribers it was handed to and that have not let go of it yet, with the position of each.
    """

    __slots__ = ("bytes", "handed", "in_use", "mark", "spot")

    def __init__(self, spot: Spot, size: int) -> None:
        self.spot = spot
        self.mark = held(spot.generation)
        self.in_use = True
        self.bytes = size
        self.handed: dict[Reader, int] = {}

    def take_back(self, reader: Reader) -> None:
        """Note that a subscriber has let go of it."""
        del self.handed[reader]
        reader.count -= 1
        reader.held -= self.bytes


class Pool:
    """The slots of one publisher. The caller holds a lock during each call.

    Args:
        limit: bytes that all segments may have together.
        fence: makes what was written before it visible to other processes before anything after it is read.
        generation: the last one of the publisher's pool before this one, so that none is used twice.

    Attributes:
        limit: the same; it may be lowered where no more memory is to be had.
        table: the words at the beginning of segment 0; to be set before the first slot is taken.
        segments: how many there are.
        total: bytes of them.
        free: bytes of them that are known to be free.
        generation: the one that was given last.
    """

    def __init__(self, limit: int, fence: Callable[[], object], generation: int = 0) -> None:
        self.limit = min(limit, MAX_MAPPED)
        self.table: Words = [0] * ENTRIES
        self.segments = 0
        self.total = 0
        self.free = 0
        self.generation = generation
        self._fence = fence
        self._starts: list[int] = []  # what is free, by address; neighbours are joined
        self._stops: list[int] = []
        self._entries = [*range(ENTRIES - 1, -1, -1)]  # free ones, the next last
        self._slots: list[Slot] = []  # those that are out, the oldest first
        self._at = 0  # the one at which the next look at older ones begins
        self._ready: Slot | None = None  # for the next ``take``
        self._sizes: list[int] = []  # of the segments
        self._used = 0  # the highest segment that was made, or a slot taken of, since the last ``retire``

    @property
    def idle(self) -> bool:
        """Whether all is free: neither the publisher nor a subscriber has anything of it."""
        self._forget_ready()
        self.reclaim()
        return not self._slots

    @property
    def room(self) -> int:
        """Bytes that are free, with those of segments that may still be made."""
        return self.free + self.limit - self.total

    def next_size(self, size: int) -> int:
        """Return how large a segment to make so that a message of a size finds room; 0 if none may be made."""
        need, table = _aligned(size), 0 if self.segments else TABLE_SIZE
        most = (self.limit - self.total) // GRAIN * GRAIN
        if self.segments == MAX_SEGMENTS or need + table > most:
            return 0
        return min(max(-(-(FIRST * need + table) // GRAIN) * GRAIN, self.total, LEAST), most)

    def add(self, size: int) -> None:
        """Note that the next segment was made, with so many bytes. The table lies in the first one."""
        base = self.segments << _BASE
        start = base + (0 if self.segments else TABLE_SIZE)
        self._starts += (start,)
        self._stops += (base + size,)
        self.free += base + size - start
        self.total += size
        self._sizes += (size,)
        self._used = self.segments
        self.segments += 1

    def retire(self) -> int:
        """Give up the last segments, as long as one is free as a whole and was not used since this was called before.

        The first one stays.

        Returns:
            How many; the next ``add`` uses their numbers again.
        """
        self._forget_ready()
        self.reclaim()
        used, self._used = self._used, 0
        before = self.segments
        while self.segments - 1 > used:
            base, size = (self.segments - 1) << _BASE, self._sizes[-1]
            if self._starts[-1:] != [base] or self._stops[-1] != base + size:
                break
            del self._starts[-1], self._stops[-1], self._sizes[-1]
            self.free -= size
            self.total -= size
            self.segments -= 1
        return before - self.segments

    def take(self, size: int) -> Slot | None:
        """Return a slot that the publisher uses; None if there is no room, or no entry.

        It is the first that fits: memory that was used just now is still in the processor's cache.
        """
        ready = self._ready
        if ready is not None:
            self._ready = None
            if ready.spot.size == size:
                return ready
            ready.in_use = False
        self._look()
        slot = self._place(size)
        if slot is None and self._slots:
            self.reclaim()
            slot = self._place(size)
        return slot

    def prepare(self, size: int) -> bool:
        """Have a slot ready for the next ``take``, which probably asks for the same size; False if there is none."""
        ready = self._ready
        if ready is None or ready.spot.size != size:
            self._ready = self.take(size)
        return self._ready is not None

    def _forget_ready(self) -> None:
        ready, self._ready = self._ready, None
        if ready is not None:
            ready.in_use = False

    def hand(self, slot: Slot, reader: Reader, position: int) -> None:
        """Note that a subscriber, whose ledger is here, is told of a slot; once more is as good as once.

        Args:
            position: the position of the data path after the PLACED frame: once it is acknowledged, the frame has been
                read, or lost.
        """
        handed = slot.handed
        if reader not in handed:
            reader.count += 1
            reader.held += slot.bytes
        handed[reader] = position

    def admits(self, reader: Reader, size: int) -> bool:
        """Tell whether a subscriber may be handed a message of a size: with it, it holds no more than is left."""
        if not reader.ledger:
            return False
        left, entries = self.left(size)
        if reader.held <= left and reader.count < entries:
            return True
        reader.settle(self._slots)
        return reader.held <= left and reader.count < entries

    def left(self, size: int) -> tuple[int, int]:
        """Return how many bytes whoever is handed a message of a size may hold, and fewer than how many slots."""
        return self.free + self.limit - self.total - size, len(self._entries)

    def forget(self, reader: Reader) -> None:
        """Note that the connection to a subscriber has ended: it holds nothing, and its ledger is not read any more."""
        reader.gone, reader.ledger = True, ()
        self.reclaim()

    def release_unless(self, held: Callable[[Slot], bool]) -> bool:
        """Take slots for free that the publisher uses but nobody holds: an exception came before anybody did.

        Returns:
            Whether there are such.
        """
        lost = [slot for slot in self._slots if slot.in_use and slot is not self._ready and not held(slot)]
        for slot in lost:
            slot.in_use = False
        return bool(lost)

    def reclaim(self) -> None:
        """Find all that is free again."""
        at = len(self._slots)
        while at:
            at -= 1
            self._try(at)

    def _look(self) -> None:
        """Find slots that are free again: among the newest, and among a few of the others."""
        slots = self._slots
        at = len(slots)
        stop = max(at - NEWEST, 0)
        while at > stop:
            at -= 1
            if not slots[at].in_use:
                self._try(at)
        at, looks = self._at, OLDER
        for _ in range(stop):
            at = at - 1 if 0 < at <= stop else stop - 1
            if self._try(at):
                stop -= 1
            else:
                looks -= 1
                if not looks:
                    break
        self._at = at

    def _try(self, at: int) -> bool:
        """Tell whether a slot is free; then it is no longer among those that are out."""
        slot = self._slots[at]
        if slot.in_use:
            return False
        entry, mine, handed = slot.spot.entry, slot.mark, slot.handed
        for reader in [*handed]:
            mark = mine + 1 if reader.gone else reader.ledger[entry]
            if mark == mine:
                return False
            if mark >= mine - 1:  # as ``take_back``: with eight subscribers a call for each would be felt
                del handed[reader]
                reader.count -= 1
                reader.held -= slot.bytes
            elif reader.acked < handed[reader]:
                return False
        self.table[entry] = 0
        self._fence()
        for reader in [*handed]:  # to these the frame got lost
            if reader.ledger[entry] == mine:
                self.table[entry] = slot.spot.generation
                return False
            slot.take_back(reader)
        self._give_back(at)
        return True

    def _give_back(self, at: int) -> None:
        slot, starts, stops, entries = self._slots[at], self._starts, self._stops, self._entries
        start = slot.spot.segment << _BASE | slot.spot.offset
        stop = start + slot.bytes
        behind = bisect(starts, start)
        joins_before = behind > 0 and stops[behind - 1] == start
        joins_after = behind < len(starts) and starts[behind] == stop
        slots = self._slots
        # No call from here on.
        if joins_before and joins_after:
            stops[behind - 1] = stops[behind]
            del starts[behind], stops[behind]
        elif joins_before:
            stops[behind - 1] = stop
        elif joins_after:
            starts[behind] = start
        else:
            starts[behind:behind] = (start,)
            stops[behind:behind] = (stop,)
        self.free += slot.bytes
        entries += (slot.spot.entry,)
        del slots[at]

    def _place(self, size: int) -> Slot | None:
        need = _aligned(size)
        starts, stops, entries, slots = self._starts, self._stops, self._entries, self._slots
        if not entries:
            return None
        for at, start in enumerate(starts):
            if stops[at] - start >= need:
                break
        else:
            return None
        segment, entry, generation = start >> _BASE, entries[-1], self.generation + 1
        slot = Slot(_new(Spot, (segment, entry, generation, start & _OFFSET, size)), need)
        # No call from here on.
        self.generation = generation
        if segment > self._used:
            self._used = segment
        if stops[at] - start == need:
            del starts[at], stops[at]
        else:
            starts[at] = start + need
        self.free -= need
        del entries[-1]
        slots += (slot,)
        self.table[entry] = generation
        return slot


def _aligned(size: int) -> int:
    return (max(size, 1) + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
