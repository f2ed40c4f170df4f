"""The pool of a publisher's memory: nothing that is held is given out again, nothing that is free is lost, and nobody
gets it all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations_with_replacement
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from ipcpy.protocol.data.places import ENTRIES, MAX_MAPPED, MAX_SEGMENTS, TABLE_SIZE, held, let_go
from ipcpy.protocol.data.pool import ALIGNMENT, GRAIN, LEAST, NEWEST, OLDER, Pool, Reader, Slot

MIB = 1 << 20


def made(limit: int = 4 * MIB, size: int = 0) -> Pool:
    """Return a pool with one segment."""
    pool = Pool(limit, lambda: None)
    pool.add(size or limit)
    return pool


def reader() -> Reader:
    """Return a subscriber that was handed the first segment."""
    found = Reader()
    found.ledger, found.segments = [0] * ENTRIES, 1
    return found


def write(reader: Reader, entry: int, value: int) -> None:
    assert isinstance(reader.ledger, list)
    reader.ledger[entry] = value


def mark(reader: Reader, slot: Slot) -> None:
    write(reader, slot.spot.entry, held(slot.spot.generation))


def drop(reader: Reader, slot: Slot) -> None:
    write(reader, slot.spot.entry, let_go(slot.spot.generation))


def sent(pool: Pool, size: int, *readers: Reader, position: int = 1) -> Slot:
    """Take a slot that only subscribers use any more."""
    slot = pool.take(size)
    assert slot is not None
    for one in readers:
        pool.hand(slot, one, position)
    slot.in_use = False
    return slot


def extent(slot: Slot) -> tuple[int, int, int]:
    return slot.spot.segment, slot.spot.offset, slot.spot.offset + slot.spot.size


def overlap(one: tuple[int, int, int], other: tuple[int, int, int]) -> bool:
    return one[0] == other[0] and one[1] < other[2] and other[1] < one[2]


# Segments


@pytest.mark.parametrize(
    ("size", "first"),
    [
        (1, LEAST),
        (MIB - TABLE_SIZE // 4, LEAST),
        (MIB, LEAST + GRAIN),
        (6_220_800, 24_903_680),  # 4 x 6,220,800 + 8,192 = 24,891,392 is 379.8 x 64 KiB
        (64 * MIB, 256 * MIB),  # all that is allowed; three messages fit
    ],
)
def test_the_first_segment_has_room_for_four_messages_and_the_table(size: int, first: int) -> None:
    pool = Pool(256 * MIB, lambda: None)
    assert pool.next_size(size) == first
    pool.add(first)
    assert pool.take(size) is not None


def test_each_further_segment_doubles_what_there_is_up_to_the_limit() -> None:
    pool, sizes = Pool(100 * MIB + 5, lambda: None), []
    while size := pool.next_size(MIB // 2):
        sizes.append(size // MIB)
        pool.add(size)
    assert sizes == [4, 4, 8, 16, 32, 36]
    assert (pool.total, pool.segments) == (100 * MIB, 6)


def test_a_segment_has_room_for_the_message_it_is_made_for() -> None:
    pool = made(64 * MIB, LEAST)
    assert pool.next_size(20 * MIB) == 60 * MIB
    assert pool.next_size(61 * MIB) == 0
    pool.add(pool.next_size(20 * MIB))
    assert pool.take(20 * MIB) is not None


@pytest.mark.parametrize("limit", [0, 1, GRAIN - 1, LEAST - 1])
def test_a_limit_below_the_message_makes_no_segment(limit: int) -> None:
    pool = Pool(limit, lambda: None)
    assert pool.next_size(LEAST) == 0
    assert pool.take(1) is None
    assert pool.idle


def test_there_are_no_more_segments_or_bytes_than_a_subscriber_maps() -> None:
    pool = Pool(1 << 40, lambda: None)
    assert pool.limit == MAX_MAPPED
    for _ in range(MAX_SEGMENTS):
        pool.add(GRAIN)
    assert pool.next_size(GRAIN) == 0


# Segments that are not needed any more


def grown(*sizes: int) -> Pool:
    """Return a pool with segments that nobody has used for a while."""
    pool = Pool(256 * MIB, lambda: None)
    for size in sizes:
        pool.add(size)
    assert pool.retire() == 0
    return pool


def test_what_nobody_has_used_for_a_while_is_given_up_but_for_the_first_segment() -> None:
    pool = grown(4 * MIB, 4 * MIB, 8 * MIB)
    assert pool.retire() == 2
    assert (pool.segments, pool.total, pool.free) == (1, 4 * MIB, 4 * MIB - TABLE_SIZE)
    assert pool.room == 256 * MIB - TABLE_SIZE
    assert pool.take(4 * MIB) is None
    assert pool.retire() == 0


def test_a_segment_that_was_made_or_used_just_now_stays() -> None:
    pool = grown(4 * MIB, 4 * MIB)
    sent(pool, 4 * MIB)
    pool.reclaim()
    assert pool.retire() == 0, "a slot of it was taken"
    pool.add(8 * MIB)
    assert pool.retire() == 0, "it was made"
    assert pool.retire() == 2


def test_of_the_last_segments_those_go_that_are_free_as_a_whole() -> None:
    pool = grown(*[4 * MIB] * 5)
    most = [pool.take(4 * MIB - TABLE_SIZE), *(pool.take(4 * MIB) for _ in range(4))]
    third = most[2]
    for slot in most:
        assert slot is not None
        slot.in_use = slot is third
    assert pool.retire() == 0
    assert pool.retire() == 2
    assert third is not None
    assert (third.spot.segment, pool.segments) == (2, 3)
    third.in_use = False
    assert pool.retire() == 2


@pytest.mark.parametrize("offset", [0, 2 * MIB, 4 * MIB - ALIGNMENT])
def test_a_segment_of_which_a_subscriber_holds_the_least_part_stays(offset: int) -> None:
    pool, one = grown(MIB, 4 * MIB), reader()
    before = [pool.take(size) for size in (MIB - TABLE_SIZE, offset) if size]
    slot = sent(pool, 1, one)
    mark(one, slot)
    assert (slot.spot.segment, slot.spot.offset) == (1, offset)
    for each in before:
        assert each is not None
        each.in_use = False
    assert (pool.retire(), pool.retire()) == (0, 0)
    drop(one, slot)
    assert pool.retire() == 1


def test_a_segment_of_which_a_datagram_may_still_tell_stays() -> None:
    pool, one = grown(MIB, 4 * MIB), reader()
    slot = sent(pool, 4 * MIB, one, position=7)
    assert (slot.spot.segment, pool.retire(), pool.retire()) == (1, 0, 0)
    one.acked = 7
    assert pool.retire() == 1


def test_the_number_of_a_segment_that_was_given_up_is_used_again() -> None:
    pool = grown(4 * MIB, 4 * MIB, 8 * MIB)
    earlier = sent(pool, 8 * MIB)
    pool.retire()
    assert pool.retire() == 2
    assert pool.next_size(8 * MIB) == 32 * MIB
    pool.add(32 * MIB)
    later = pool.take(32 * MIB)
    assert later is not None
    assert (later.spot.segment, later.spot.offset) == (1, 0)
    assert later.spot.generation == earlier.spot.generation + 1
    assert (pool.segments, pool.total, pool.free) == (2, 36 * MIB, 4 * MIB - TABLE_SIZE)


def test_a_pool_without_segments_has_none_to_give_up() -> None:
    assert Pool(MIB, lambda: None).retire() == 0


# Slots


def test_slots_are_aligned_beside_the_table_and_the_lowest_is_used_again() -> None:
    pool = made()
    one, two, three = (sent(pool, size) for size in (100, 1, 64))
    assert one.spot.offset == two.spot.offset == three.spot.offset == TABLE_SIZE
    kept = [pool.take(size) for size in (100, 1, 64)]
    assert [slot.spot.offset - TABLE_SIZE for slot in kept if slot] == [0, 128, 192]
    assert [slot.spot.generation for slot in kept if slot] == [4, 5, 6]


def test_a_slot_has_its_generation_in_the_table_until_it_is_free() -> None:
    pool = made()
    table = pool.table = [0] * ENTRIES
    slot = pool.take(5)
    assert slot is not None
    assert table[slot.spot.entry] == slot.spot.generation == 1
    pool.reclaim()
    assert sum(table) == 1
    slot.in_use = False
    pool.reclaim()
    assert sum(table) == 0


def test_another_pool_of_a_publisher_goes_on_counting() -> None:
    first = made()
    sent(first, 5)
    sent(first, 5)
    second = Pool(4 * MIB, lambda: None, first.generation)
    second.add(4 * MIB)
    slot = second.take(5)
    assert slot is not None
    assert slot.spot.generation == 3


def test_a_memoryview_is_a_table_and_a_ledger() -> None:
    pool, words = made(), memoryview(bytearray(TABLE_SIZE)).cast("Q")
    pool.table = memoryview(bytearray(TABLE_SIZE)).cast("Q")
    one = Reader()
    one.ledger = words
    slot = sent(pool, 5, one)
    pool.reclaim()
    assert not pool.idle
    words[slot.spot.entry] = let_go(slot.spot.generation)
    assert pool.idle


def test_there_is_no_slot_without_an_entry() -> None:
    pool = made()
    slots = [pool.take(1) for _ in range(ENTRIES)]
    assert {slot.spot.entry for slot in slots if slot} == {*range(ENTRIES)}
    assert pool.take(1) is None
    assert slots[7] is not None
    slots[7].in_use = False
    again = pool.take(1)
    assert again is not None
    assert (again.spot.entry, again.spot.generation) == (slots[7].spot.entry, ENTRIES + 1)


def test_there_is_no_slot_without_room_and_what_is_free_is_joined() -> None:
    pool = made()
    size = (pool.free // 8) // ALIGNMENT * ALIGNMENT
    slots = [pool.take(size) for _ in range(8)]
    assert pool.take(size) is None
    for at in (1, 5, 3, 2, 4):
        slot = slots[at]
        assert slot is not None
        slot.in_use = False
    assert pool.take(5 * size + 1) is None
    large = pool.take(5 * size)
    assert large is not None
    assert slots[1] is not None
    assert large.spot.offset == slots[1].spot.offset


def test_no_slot_reaches_from_one_segment_into_the_next() -> None:
    pool = made(4 * MIB, MIB)
    pool.add(MIB)
    assert pool.take(MIB + 1) is None
    slot = pool.take(MIB)
    assert slot is not None
    assert (slot.spot.segment, slot.spot.offset) == (1, 0)


def test_any_pieces_in_any_order_leave_one_piece_when_they_are_free() -> None:
    random = Random(12)
    pool = made()
    whole = pool.free
    for _ in range(30):
        slots = []
        while slot := pool.take(random.randrange(1, 300_000)):
            slots.append(slot)
        assert not any(overlap(extent(a), extent(b)) for a in slots for b in slots if a is not b)
        random.shuffle(slots)
        for slot in slots[: len(slots) // 2]:
            slot.in_use = False
        pool.reclaim()
        assert pool.free == whole - sum(slot.bytes for slot in slots[len(slots) // 2 :])
        for slot in slots:
            slot.in_use = False
        assert pool.idle
        all_of_it = pool.take(whole)
        assert all_of_it is not None
        all_of_it.in_use = False


# When a slot is free


def test_a_slot_is_free_once_everybody_has_let_go_of_it() -> None:
    pool, one, two = made(), reader(), reader()
    slot = sent(pool, 5, one, two)
    drop(one, slot)
    mark(two, slot)
    assert not pool.idle
    assert (one.count, one.held, two.count, two.held) == (0, 0, 1, 64)
    drop(two, slot)
    assert pool.idle
    assert (two.count, two.held) == (0, 0)


def test_a_slot_that_the_publisher_uses_is_not_free_whatever_others_do() -> None:
    pool, one = made(), reader()
    slot = pool.take(5)
    assert slot is not None
    pool.hand(slot, one, 1)
    drop(one, slot)
    one.acked = 9
    assert not pool.idle
    slot.in_use = False
    assert pool.idle


def test_a_slot_that_an_exception_kept_from_its_user_is_free_and_one_that_is_held_is_not() -> None:
    pool = made()
    lost, kept = pool.take(5), pool.take(5)
    assert pool.release_unless(lambda slot: slot is kept)
    assert not pool.release_unless(lambda slot: slot is kept)
    pool.reclaim()
    assert lost is not None and kept is not None
    assert (lost.in_use, kept.in_use) == (False, True)
    assert pool.total - TABLE_SIZE - pool.free == kept.bytes


def test_a_datagram_that_is_on_its_way_keeps_the_slot_and_a_lost_one_does_not() -> None:
    pool, one = made(), reader()
    slot = sent(pool, 5, one, position=7)
    one.acked = 6
    assert not pool.idle
    one.acked = 7
    assert pool.idle
    assert one.count == 0
    assert slot.handed == {}


def test_who_holds_what_was_acknowledged_keeps_it() -> None:
    pool, one = made(), reader()
    slot = sent(pool, 5, one, position=7)
    mark(one, slot)
    one.acked = 8
    assert not pool.idle
    drop(one, slot)
    assert pool.idle


def test_a_datagram_that_was_sent_again_is_on_its_way_again() -> None:
    pool, one = made(), reader()
    slot = pool.take(5)
    assert slot is not None
    pool.hand(slot, one, 7)
    pool.hand(slot, one, 9)
    slot.in_use = False
    one.acked = 8
    assert not pool.idle
    assert one.count == 1
    one.acked = 9
    assert pool.idle


def test_what_the_ledger_said_of_an_earlier_slot_says_nothing_of_this_one() -> None:
    pool, one = made(), reader()
    earlier = sent(pool, 5, one)
    drop(one, earlier)
    later = sent(pool, 5, one)
    assert later.spot.entry == earlier.spot.entry
    assert not pool.idle
    mark(one, earlier)
    assert not pool.idle


@pytest.mark.parametrize("value", [4, 5, (1 << 64) - 1])
def test_a_ledger_that_is_ahead_has_let_go(value: int) -> None:
    pool, one = made(), reader()
    slot = sent(pool, 5, one)
    write(one, slot.spot.entry, value)
    assert pool.idle


def test_who_is_gone_holds_nothing_and_its_ledger_is_not_read() -> None:
    pool, one = made(), reader()
    slot = sent(pool, 5, one)
    mark(one, slot)
    assert not pool.idle
    pool.forget(one)
    assert one.ledger == ()
    assert (one.count, one.held) == (0, 0)
    assert pool.idle
    assert not pool.admits(one, 5)


def test_who_marks_while_the_publisher_retracts_keeps_it() -> None:
    one, slots = reader(), []
    pool = Pool(4 * MIB, lambda: mark(one, slots[0]))
    pool.add(4 * MIB)
    table = pool.table = [0] * ENTRIES
    slots.append(sent(pool, 5, one))
    one.acked = 1
    assert not pool.idle
    assert table[slots[0].spot.entry] == slots[0].spot.generation
    assert one.count == 1


class Hooked(list[int]):
    """Words at which something happens before each is read or written."""

    def __init__(self, hook: Callable[[], None]) -> None:
        super().__init__([0] * ENTRIES)
        self.hook = hook

    def __getitem__(self, at):
        self.hook()
        return super().__getitem__(at)

    def __setitem__(self, at, value) -> None:
        self.hook()
        super().__setitem__(at, value)


def taking(table: Sequence[int], ledger: list[int], slot: Slot, out: list[str]) -> Iterator[None]:
    """Take a slot as a subscriber does, and let go of it, step by step."""
    entry, generation = slot.spot.entry, slot.spot.generation
    list.__setitem__(ledger, entry, held(generation))
    yield
    if list.__getitem__(table, entry) != generation:
        list.__setitem__(ledger, entry, let_go(generation))
        out.append("lost")
        return
    out.append("held")
    yield
    out.append("over")
    list.__setitem__(ledger, entry, let_go(generation))
    yield


def outcome(schedule: tuple[int, ...]) -> list[str]:
    """Reclaim a slot while a subscriber takes it; return what became of it, on either side.

    Args:
        schedule: before which of the publisher's accesses to shared memory each step of the subscriber comes.
    """
    due, accesses = [*schedule], 0
    steps: Iterator[None] = iter(())

    def hook() -> None:
        nonlocal accesses
        while due and due[0] <= accesses:
            del due[0]
            next(steps, None)
        accesses += 1

    one, out = Reader(), []
    pool = Pool(4 * MIB, hook)
    pool.add(4 * MIB)
    ledger, table = Hooked(lambda: None), Hooked(lambda: None)
    one.ledger, pool.table = ledger, table
    slot = sent(pool, 5, one)
    one.acked = 1  # the datagram was read: the subscriber is about to take it
    steps = taking(table, ledger, slot, out)
    ledger.hook = table.hook = hook
    pool.reclaim()
    return [*out, "kept" if one.count else "free"]


def test_no_order_of_steps_gives_out_what_is_held() -> None:
    seen = set()
    for schedule in combinations_with_replacement(range(7), 3):
        *steps, end = outcome(schedule)
        seen.add((*steps, end))
        assert steps[-1:] != ["held"] or end == "kept", schedule
    assert seen == {
        ("free",),
        ("lost", "free"),
        ("kept",),
        ("lost", "kept"),
        ("held", "kept"),
        ("held", "over", "kept"),
        ("held", "over", "free"),
    }


# Who gets it


@pytest.mark.parametrize("hoarders", [1, 2, 3, 7])
def test_hoarders_of_different_messages_leave_their_share_to_others(hoarders: int) -> None:
    pool = made(64 * MIB)
    readers = [reader() for _ in range(hoarders)]
    size = 100_000
    for turn in range(3 * 64 * MIB // size):
        one = readers[turn % hoarders]
        if pool.admits(one, size):
            mark(one, sent(pool, size, one))
    share = pool.total / (hoarders + 1)
    assert share - 2 * hoarders * size < pool.free < share + 2 * hoarders * size
    assert pool.admits(reader(), int(share - 2 * hoarders * size))


def test_hoarders_of_few_bytes_leave_entries_to_others() -> None:
    pool, one = made(), reader()
    for _ in range(2 * ENTRIES):
        if pool.admits(one, 1):
            mark(one, sent(pool, 1, one))
    assert one.count == ENTRIES // 2
    assert pool.admits(reader(), 1)


def test_what_may_still_be_made_counts_as_free() -> None:
    pool, one = made(64 * MIB, LEAST), reader()
    mark(one, sent(pool, 3 * MIB, one))
    assert pool.room == 64 * MIB - TABLE_SIZE - 3 * MIB
    assert pool.admits(one, 3 * MIB)
    pool.limit = pool.total
    assert not pool.admits(one, 3 * MIB)


def test_nobody_is_admitted_before_its_ledger_is_here() -> None:
    assert not made().admits(Reader(), 1)


def test_a_hoarder_is_not_held_against_who_has_let_go() -> None:
    pool, hoarder, good = made(), reader(), reader()
    size, slots = 100_000, []
    while pool.admits(hoarder, size):
        slots.append(sent(pool, size, hoarder, good))
        mark(hoarder, slots[-1])
        mark(good, slots[-1])
    assert not pool.admits(good, size)
    for slot in slots:
        drop(good, slot)
    assert pool.admits(good, size)
    assert (good.count, good.held) == (0, 0)
    assert not pool.admits(hoarder, size)


def test_a_hoarder_that_lets_go_of_all_is_admitted_with_the_next_message() -> None:
    pool, hoarder = made(), reader()
    slots = []
    while pool.admits(hoarder, 10_000):
        slots.append(sent(pool, 10_000, hoarder))
        mark(hoarder, slots[-1])
    for slot in slots:
        drop(hoarder, slot)
    assert pool.take(10_000) is not None
    assert pool.admits(hoarder, 10_000)
    assert hoarder.count == 0


class Counted(list[int]):
    """A ledger that counts how often it is read."""

    reads = 0

    def __getitem__(self, at):
        self.reads += 1
        return super().__getitem__(at)


def test_a_hoarder_costs_a_few_looks_at_each_message_and_all_only_where_there_is_no_room() -> None:
    pool, hoarder = made(), Reader()
    ledger = Counted([0] * ENTRIES)
    hoarder.ledger = ledger
    for _ in range(ENTRIES // 2):
        mark_it = sent(pool, 1, hoarder)
        ledger[mark_it.spot.entry] = held(mark_it.spot.generation)
    for _ in range(100):
        ledger.reads = 0
        sent(pool, 1)
        assert ledger.reads <= NEWEST + OLDER
    ledger.reads = 0
    assert pool.take(5 * MIB) is None
    assert ledger.reads >= ENTRIES // 2


def test_what_is_let_go_of_behind_a_hoarder_is_found_in_turn() -> None:
    pool, hoarder, slow = made(), reader(), reader()
    slots = [sent(pool, 1, hoarder if at % 2 else slow) for at in range(ENTRIES // 2)]
    for slot in slots:
        for one in slot.handed:
            mark(one, slot)
    for slot in slots[::2]:
        drop(slow, slot)
    for _ in range(ENTRIES // 4 // OLDER):
        sent(pool, 1)
    assert (slow.count, hoarder.count) == (0, ENTRIES // 4)


# Any order of anything


class Lent(RuleBasedStateMachine):
    """A publisher and subscribers that do in any order what the protocol allows them, each at its own pace.

    A subscriber is as the document says it: it takes in two steps, between which others act. Some of its steps come
    between those by which the publisher finds what is free.
    """

    slots = Bundle("slots")

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool(8 * MIB, self.between)
        self.table = Hooked(self.between)
        self.pool.table = self.table
        self.readers: list[Reader] = []
        self.inboxes: dict[Reader, list[tuple[int, Slot]]] = {}
        self.marked: dict[Reader, tuple[int, Slot] | None] = {}
        self.holding: dict[Reader, list[Slot]] = {}
        self.forged: set[Reader] = set()
        self.position = 0
        self.used: list[Slot] = []
        self.generation = 0
        self.due: list[int] = []
        self.last = 0  # the highest segment that was made or used since some were given up

    def between(self) -> None:
        """Let the subscribers act in the midst of what the publisher does."""
        steps = self.due.pop() if self.due else 0
        for number in [*range(len(self.readers))] * steps:
            self.step(number)

    def held(self) -> list[Slot]:
        """Return what somebody may read or write."""
        return [*self.used, *(slot for slots in self.holding.values() for slot in slots)]

    @initialize(count=st.integers(1, 4))
    def start(self, count: int) -> None:
        for _ in range(count):
            self.come()

    @rule()
    def come(self) -> None:
        if len(self.readers) < 6:
            one = reader()
            self.readers.append(one)
            self.inboxes[one], self.marked[one], self.holding[one] = [], None, []

    def some(self, number: int) -> Reader:
        return self.readers[number % len(self.readers)]

    @rule(target=slots, size=st.integers(1, MIB), due=st.lists(st.integers(0, 2), max_size=4))
    def take(self, size: int, due: list[int]) -> Slot | None:
        self.due = due
        slot = self.pool.take(size)
        self.due = []
        if slot is None and (more := self.pool.next_size(size)):
            self.pool.add(more)
            self.last = self.pool.segments - 1
            slot = self.pool.take(size)
            assert slot is not None
        if slot is None:
            return None
        assert slot.spot.segment < self.pool.segments
        self.last = max(self.last, slot.spot.segment)
        assert slot.spot.offset % ALIGNMENT == 0
        assert not [claim for claim in self.held() if overlap(extent(claim), extent(slot))]
        assert not [claim for claim in self.held() if claim.spot.entry == slot.spot.entry]
        assert slot.spot.generation > self.generation
        self.generation = slot.spot.generation
        self.used.append(slot)
        return slot

    @rule(slot=slots, number=st.integers(0, 5), arrives=st.booleans())
    def hand(self, slot: Slot | None, number: int, arrives: bool) -> None:
        one = self.some(number)
        if slot in self.used and self.pool.admits(one, slot.spot.size):
            self.position += 1
            self.pool.hand(slot, one, self.position)
            if arrives:
                self.inboxes[one].append((self.position, slot))

    @rule(slot=consumes(slots))
    def finish(self, slot: Slot | None) -> None:
        if slot in self.used:
            self.used.remove(slot)
            slot.in_use = False

    @rule(due=st.lists(st.integers(0, 2), max_size=4))
    def retire(self, due: list[int]) -> None:
        before, last, self.last = self.pool.segments, self.last, 0
        self.due = due
        gone = self.pool.retire()
        self.due = []
        assert 0 <= gone <= max(before - 1 - last, 0)
        assert self.pool.segments == before - gone
        assert not [claim for claim in self.held() if claim.spot.segment >= self.pool.segments]
        for one in [each for each in self.readers if each not in self.forged]:
            for slot in [slot for _, slot in self.inboxes[one] if slot.spot.segment >= self.pool.segments]:
                assert one.ledger[slot.spot.entry] >= let_go(slot.spot.generation), "it is no copy"

    @rule(number=st.integers(0, 5))
    def step(self, number: int) -> None:
        """Mark what the next datagram tells of, or look whether what was marked is still there."""
        one = self.some(number)
        if (marked := self.marked[one]) is not None:
            self.marked[one] = None
            slot = marked[1]
            if list.__getitem__(self.table, slot.spot.entry) == slot.spot.generation:
                self.holding[one].append(slot)
            else:
                drop(one, slot)
                assert one in self.forged
        elif self.inboxes[one]:
            position, slot = self.inboxes[one].pop(0)
            if one.ledger[slot.spot.entry] < let_go(slot.spot.generation):
                mark(one, slot)
                self.marked[one] = position, slot

    @rule(number=st.integers(0, 5), which=st.integers(0, 9))
    def drop(self, number: int, which: int) -> None:
        one = self.some(number)
        if self.holding[one]:
            drop(one, self.holding[one].pop(which % len(self.holding[one])))

    @rule(number=st.integers(0, 5))
    def acknowledge(self, number: int) -> None:
        """Say up to where what came was taken."""
        one = self.some(number)
        waiting = [self.marked[one] or (self.position + 1, None), *self.inboxes[one]]
        one.acked = max(one.acked, min(position for position, _ in waiting) - 1)

    @rule(number=st.integers(0, 5))
    def forge(self, number: int) -> None:
        """Acknowledge what has not been read: that may lose a message, and no more."""
        one = self.some(number)
        one.acked = self.position
        self.forged.add(one)

    @rule(number=st.integers(0, 5))
    def die(self, number: int) -> None:
        if len(self.readers) > 1:
            one = self.some(number)
            self.readers.remove(one)
            self.holding[one] = []
            self.pool.forget(one)

    @invariant()
    def what_is_held_is_in_the_table(self) -> None:
        for slot in self.held():
            assert list.__getitem__(self.table, slot.spot.entry) == slot.spot.generation

    @invariant()
    def nobody_holds_more_than_was_counted(self) -> None:
        assert self.pool.total <= 8 * MIB
        for one in self.readers:
            assert sum(slot.bytes for slot in self.holding[one]) <= one.held <= self.pool.total
            assert len(self.holding[one]) <= one.count

    def teardown(self) -> None:
        for number, one in enumerate(self.readers):
            while self.inboxes[one] or self.marked[one]:
                self.step(number)
            while self.holding[one]:
                self.drop(number, 0)
            one.acked = self.position
        for slot in self.used:
            slot.in_use = False
        assert self.pool.idle
        assert self.pool.free == self.pool.total - (TABLE_SIZE if self.pool.total else 0)
        assert not any(self.table)
        segments = self.pool.segments
        assert self.pool.retire() + self.pool.retire() == max(segments - 1, 0)
        assert self.pool.free == self.pool.total - (TABLE_SIZE if self.pool.total else 0)
        assert {(one.count, one.held) for one in self.inboxes} <= {(0, 0)}
        entries = [self.pool.take(1) for _ in range(ENTRIES if self.pool.total else 0)]
        assert None not in entries


Lent.TestCase.settings = settings(max_examples=60, stateful_step_count=60)
TestLent = Lent.TestCase
