"""One publisher at one subscriber: order, gaps, copies, the books, and what hostile frames can cost."""

from __future__ import annotations

import random
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.protocol.data.fragments import Assembly
from ipcpy.protocol.data.heads import Place, Run
from ipcpy.protocol.data.questions import MAX_TRIES, REORDER_DELAY, RETRY, ROUND_TRIP
from ipcpy.protocol.data.receiver import MAX_INCOMPLETE, PATIENCE, Receiver
from ipcpy.protocol.data.reports import MAX_RANGES, unpack_report
from ipcpy.protocol.data.waiting import MAX_HELD, MAX_HELD_BYTES, MAX_MARKED
from ipcpy.protocol.wire import MAX_SEQ
from ipcpy.timeouts import NEVER

HUGE = 1 << 63


def started(first: int = 1, *, reliable: bool = False, assembly: Assembly | None = None) -> Receiver[int]:
    receiver: Receiver[int] = Receiver(reliable=reliable, assembly=assembly, seed=1)
    assert receiver.start(first, 0.0) == []
    if reliable:
        receiver.handle_timer(0.01)
    return receiver


def piece(seq: int, number: int = 0, *, total: int = 30, size: int = 10) -> Run:
    return Run(Place(9, seq, 0, 0, total, size), number, (memoryview(bytes(min(size, total - number * size))),))


def balanced(receiver: Receiver[int], delivered: int) -> None:
    assert receiver.received == delivered
    assert delivered + sum(receiver.lost.values()) == receiver.next - receiver.first


# -- start -------------------------------------------------------------------------------------------------------------


def test_nothing_is_delivered_before_the_start() -> None:
    receiver: Receiver[int] = Receiver()
    assert receiver.accept(5, 5, 0.0) == []
    assert receiver.accept(4, 4, 0.0) == []
    assert receiver.accept(2, 2, 0.0) == []
    assert receiver.waiting and receiver.next == 0
    assert receiver.start(4, 0.0) == [4, 5]
    balanced(receiver, 2)
    assert receiver.accept(2, 2, 0.0) == []
    assert receiver.duplicates == 0, "what was not meant for us is no copy"


def test_a_gap_between_the_start_and_what_overtook_it_is_asked_for() -> None:
    receiver: Receiver[int] = Receiver(reliable=True, seed=1)
    receiver.accept(5, 5, 0.0)
    assert receiver.start(3, 0.0) == []
    assert receiver.handle_timer(REORDER_DELAY) == (True, [])
    assert unpack_report(receiver.report(0)).missing == ((3, 5),)


def test_a_start_that_comes_again_changes_nothing() -> None:
    receiver = started(3)
    assert receiver.accept(3, 3, 0.0) == [3]
    assert receiver.start(3, 0.0) == []
    assert receiver.start(1, 0.0) == []
    assert (receiver.first, receiver.next) == (3, 4)


@pytest.mark.parametrize(("reliable", "cause"), [(False, "network"), (True, "given up")])
def test_a_later_start_passes_what_is_not_to_be_had(reliable: bool, cause: str) -> None:
    receiver = started(1, reliable=reliable)
    receiver.accept(1, 1, 0.0)
    assert receiver.start(6, 0.0) == []
    assert receiver.lost == {cause: 4}
    assert receiver.accept(6, 6, 0.0) == [6]
    balanced(receiver, 2)


# -- best effort -------------------------------------------------------------------------------------------------------


def test_a_gap_is_lost_until_it_comes_after_all() -> None:
    receiver = started()
    assert receiver.accept(1, 1, 0.0) == [1]
    assert receiver.accept(4, 4, 0.0, "kernel") == [4]
    assert receiver.lost == {"kernel": 2}
    assert receiver.accept(2, 2, 0.0) == [2]
    assert receiver.accept(2, 2, 0.0) == []
    assert (receiver.lost["kernel"], receiver.reordered, receiver.duplicates) == (1, 1, 1)
    balanced(receiver, 3)


@given(st.lists(st.integers(1, 60), max_size=150), st.integers(1, 20))
def test_every_message_is_delivered_once_in_any_disorder(numbers: list[int], first: int) -> None:
    receiver = started(first)
    got = [item for seq in numbers for item in receiver.accept(seq, seq, 0.0)]
    assert sorted(got) == sorted({seq for seq in numbers if seq >= first})
    balanced(receiver, len(got))
    assert receiver.next_timer() == NEVER


def test_a_poll_counts_the_tail_and_takes_it_back() -> None:
    receiver = started()
    assert receiver.polled(3, 4, 0.0) == []
    assert receiver.lost == {"network": 3}
    assert receiver.accept(3, 3, 0.0) == [3]
    balanced(receiver, 1)


def test_a_large_message_holds_later_ones_back_until_it_is_complete() -> None:
    receiver = started()
    assert receiver.accept_run(piece(1, 0), 0.0) is None
    assert receiver.accept(2, 2, 0.0) == []
    assert receiver.accept(4, 4, 0.0) == []
    assert receiver.waiting
    receiver.accept_run(piece(1, 1), 0.0)
    partial = receiver.accept_run(piece(1, 2), 0.0)
    assert partial is not None and partial.buffer == bytes(30)
    assert receiver.accept(1, 1, 0.0) == [1, 2, 4]
    assert receiver.lost == {"network": 1}
    assert not receiver.waiting


def test_a_large_message_that_stays_incomplete_is_given_up_in_time() -> None:
    receiver = started()
    receiver.accept_run(piece(1, 0), 0.0)
    receiver.accept(2, 2, 0.1)
    assert receiver.next_timer() == PATIENCE
    assert receiver.handle_timer(PATIENCE) == (False, [2])
    assert receiver.lost == {"fragments": 1}
    assert receiver.accept_run(piece(1, 1), 2.0) is None, "it is not begun anew by stragglers"
    assert receiver.handle_timer(receiver.next_timer()) == (False, [])
    balanced(receiver, 1)


def test_after_a_poll_nothing_is_left_uncounted_once_the_incomplete_are_given_up() -> None:
    receiver = started()
    receiver.accept_run(piece(1, 0), 0.0)
    receiver.polled(5, 1, 0.0)
    assert receiver.next == 1
    receiver.handle_timer(PATIENCE)
    assert receiver.lost == {"fragments": 1, "network": 4}
    assert receiver.next == 6 and receiver.next_timer() == NEVER


def test_a_large_message_all_of_which_was_lost_may_come_late() -> None:
    receiver = started()
    receiver.accept(2, 2, 0.0)
    assert unpack_report(receiver.report(0, 1)).missing == ((1, 2),)
    for number in range(3):
        partial = receiver.accept_run(piece(1, number), 0.0)
    assert partial is not None
    assert receiver.accept(3, 3, 0.0) == [3], "a late one holds nothing back"
    assert receiver.accept(1, 1, 0.0) == [1]
    balanced(receiver, 3)


def test_what_the_publisher_sends_no_more_is_passed() -> None:
    receiver = started()
    receiver.accept_run(piece(1, 0), 0.0)
    receiver.accept(2, 2, 0.0)
    assert receiver.polled(3, 4, 0.0) == [2]
    assert receiver.lost == {"fragments": 1, "network": 1}


def test_too_large_a_message_is_counted_and_passed() -> None:
    receiver = started(assembly=Assembly(max_message=20))
    assert receiver.accept(2, 2, 0.0) == [2]
    for number in range(3):
        assert receiver.accept_run(piece(4, number), 0.0) is None
        assert receiver.accept_run(piece(1, number), 0.0) is None
    assert receiver.accept(5, 5, 0.0) == [5]
    assert receiver.lost == {"network": 2, "too large": 1}
    assert receiver.accept_run(piece(6, 0), 0.0) is None
    assert receiver.handle_timer(receiver.next_timer()) == (False, [])
    assert receiver.lost["too large"] == 2 and receiver.next == 7


def test_too_many_that_wait_give_up_what_they_wait_for() -> None:
    receiver = started()
    receiver.accept_run(piece(1, 0), 0.0)
    got = [item for seq in range(2, MAX_HELD + 10) for item in receiver.accept(seq, seq, 0.0)]
    assert got == list(range(2, MAX_HELD + 10))
    assert receiver.lost == {"fragments": 1}


def test_too_many_bytes_that_wait_give_up_what_they_wait_for() -> None:
    receiver = started()
    receiver.accept_run(piece(1, 0), 0.0)
    assert receiver.accept(2, 2, 0.0, size=MAX_HELD_BYTES) == []
    assert receiver.accept(3, 3, 0.0, size=1) == [2, 3]


# -- reliable ----------------------------------------------------------------------------------------------------------


@given(st.permutations(range(1, 25)), st.randoms(use_true_random=False))
def test_reliable_delivers_in_order_once(numbers: list[int], random_: random.Random) -> None:
    receiver = started(reliable=True)
    numbers = numbers + random_.choices(numbers, k=5)
    got = [item for seq in numbers for item in receiver.accept(seq, seq, 0.0)]
    assert got == list(range(1, 25))
    assert receiver.duplicates == 5
    balanced(receiver, 24)


def test_a_gap_is_asked_for_after_a_moment_and_then_again_and_again() -> None:
    receiver = started(reliable=True)
    receiver.accept(3, 3, 1.0)
    assert receiver.next_timer() == pytest.approx(1.0 + REORDER_DELAY)
    now, asked = receiver.next_timer(), []
    while now != NEVER:
        ask, _ = receiver.handle_timer(now)
        asked += [now] * ask
        now = receiver.next_timer()
    pauses = [after - before for before, after in zip(asked, asked[1:], strict=False)]
    first = REORDER_DELAY + 2 * ROUND_TRIP
    assert len(asked) == MAX_TRIES and 0.75 * first <= pauses[0] <= 1.25 * first
    assert pauses[-1] < 0.7 and sum(pauses) > 3
    receiver.polled(5, 1, 100.0)
    assert receiver.next_timer() < 101.0, "the publisher lives: it is worth asking again"


@pytest.mark.parametrize(("takes", "pause"), [(0.0, REORDER_DELAY), (0.01, REORDER_DELAY + 0.02), (0.2, RETRY)])
def test_the_pause_between_questions_follows_the_time_that_answers_take(takes: float, pause: float) -> None:
    receiver = started(reliable=True)
    now = 0.0
    for missing in range(1, 61, 2):
        receiver.accept(missing + 1, missing + 1, now)
        now = receiver.next_timer()
        assert receiver.handle_timer(now)[0]
        assert receiver.next_timer() > now
        receiver.accept(missing, missing, now + takes)
        now = max(now + takes, receiver.next_timer())
        receiver.handle_timer(now)
    receiver.accept(62, 62, now)
    now = receiver.next_timer()
    receiver.handle_timer(now)
    assert 0.74 * pause <= receiver.next_timer() - now <= 1.26 * pause


def test_an_answer_to_a_question_that_was_repeated_times_nothing() -> None:
    receiver = started(reliable=True)
    receiver.accept(2, 2, 0.0)
    for _ in range(8):
        receiver.handle_timer(receiver.next_timer())
    receiver.accept(1, 1, 60.0)
    receiver.accept(4, 4, 60.0)
    now = receiver.next_timer()
    receiver.handle_timer(now)
    assert receiver.next_timer() - now <= 1.25 * (REORDER_DELAY + 2 * ROUND_TRIP)


def test_questions_come_quickly_again_after_progress() -> None:
    receiver = started(reliable=True)
    receiver.accept(3, 3, 0.0)
    for _ in range(5):
        receiver.handle_timer(receiver.next_timer())
    now = receiver.next_timer()
    receiver.accept(1, 1, now)
    receiver.handle_timer(now)
    assert receiver.next_timer() <= now + 1.25 * RETRY


def test_a_poll_only_causes_questions() -> None:
    receiver = started(reliable=True)
    assert receiver.polled(5, 1, 0.0) == []
    assert receiver.next == 1 and not receiver.lost
    assert unpack_report(receiver.report(0)).missing == ((1, 6),)


def test_what_is_gone_is_passed_in_order_and_never_comes_late() -> None:
    receiver = started(reliable=True)
    for seq in (3, 7):
        receiver.accept(seq, seq, 0.0)
    assert receiver.polled(7, 5, 0.0) == [] and receiver.next_timer() == REORDER_DELAY
    assert receiver.handle_timer(REORDER_DELAY) == (True, [3])
    assert receiver.lost == {"given up": 3}
    assert receiver.accept(2, 2, 0.0) == [], "order is kept"
    assert [*receiver.accept(5, 5, 0.0), *receiver.accept(6, 6, 0.0)] == [5, 6, 7]
    balanced(receiver, 4)


def test_what_all_wait_for_is_taken_however_many_wait() -> None:
    receiver = started(reliable=True)
    for seq in range(2, MAX_HELD + 100):
        receiver.accept(seq, seq, 0.0)
    assert len(receiver.accept(1, 1, 0.0)) == MAX_HELD + 1
    assert unpack_report(receiver.report(0)).missing == ((MAX_HELD + 2, MAX_HELD + 100),)


def test_what_a_poll_overtakes_is_not_given_up() -> None:
    receiver = started(reliable=True)
    assert receiver.polled(9, 8, 0.0) == []
    assert [receiver.accept(seq, seq, REORDER_DELAY / 2) for seq in (1, 3, 2)] == [[1], [], [2, 3]]
    assert receiver.polled(12, 11, REORDER_DELAY / 2) == [], "what this one overtakes has its own time"
    ask, items = receiver.handle_timer(REORDER_DELAY)
    assert ask and items == [] and receiver.lost == {"given up": 4} and receiver.next == 8
    assert receiver.accept(8, 8, REORDER_DELAY) == [8]
    balanced(receiver, 4)


# -- reports -----------------------------------------------------------------------------------------------------------


def test_a_report_names_the_lowest_gaps_first_and_not_too_many() -> None:
    receiver = started(reliable=True)
    for seq in range(2, 1_000, 2):
        receiver.accept(seq, seq, 0.0)
    report = unpack_report(receiver.report(77))
    assert (report.next, report.window, len(report.missing)) == (1, 77, MAX_RANGES)
    assert report.missing[:2] == ((1, 2), (3, 4))


def test_incomplete_messages_are_reported_lowest_first() -> None:
    receiver = started()
    for seq in (9, 3, 5, 7, 1):
        receiver.accept_run(piece(seq, 1), 0.0)
    assert receiver.incomplete() == [(seq, 0, b"\x05") for seq in (1, 3, 5, 7)]
    assert len(receiver.incomplete()) == MAX_INCOMPLETE


# -- hostile -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reliable", [False, True])
def test_giant_numbers_cost_nothing(reliable: bool) -> None:
    random_ = random.Random(1)
    receiver = started(reliable=reliable)
    giants = [0, 1, 2, HUGE, MAX_SEQ, MAX_SEQ + 1, (1 << 64) - 1, 1 << 32]
    tracemalloc.start()
    begin = time.process_time()
    for step in range(20_000):
        number = random_.choice([*giants, random_.getrandbits(64), receiver.next + random_.randrange(100)])
        kind = random_.randrange(6)
        if kind == 0:
            receiver.polled(number, random_.choice([*giants, random_.getrandbits(64)]) if step > 15_000 else 0, step)
        elif kind == 1:
            receiver.accept(number, 0, step, size=100)
        elif kind == 2:
            receiver.accept_run(piece(number, random_.randrange(3)), step)
        elif kind == 3:
            receiver.start(number, step)
        elif kind == 4:
            assert len(receiver.report(number, random_.choice(giants))) <= 12 + 12 * MAX_RANGES
            assert len(receiver.incomplete()) <= MAX_INCOMPLETE
        else:
            receiver.handle_timer(step)
        assert receiver.next <= (1 << 64) - 1
    assert time.process_time() - begin < 20
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    assert receiver.received >= 0


def test_a_report_is_possible_whatever_was_delivered_without_a_look_at_the_bound() -> None:
    receiver = started(MAX_SEQ)
    receiver.next += 1 << 16  # as its user does for a batch
    assert unpack_report(receiver.report(0)).next == MAX_SEQ + 1


def test_a_message_that_comes_whole_and_in_part_is_delivered_once() -> None:
    receiver = started()
    receiver.accept_run(piece(1), 0.0)
    receiver.accept_run(piece(2), 0.0)
    assert receiver.accept(2, 2, 0.0) == []
    assert receiver.handle_timer(PATIENCE) == (False, [2])
    balanced(receiver, 1)


def test_after_a_forged_jump_the_real_messages_are_still_delivered() -> None:
    receiver = started()
    receiver.polled(HUGE, 0, 0.0)
    assert [seq for seq in range(1, 1_000) for seq in receiver.accept(seq, seq, 0.0)] == list(range(1, 1_000))
    assert receiver.lost == {"network": HUGE - 999}


def test_30_000_forged_first_fragments_are_bounded() -> None:
    receiver = started()
    tracemalloc.start()
    for seq in range(1, 30_001):
        receiver.accept_run(piece(2 * seq, 0, total=1 << 20, size=64), 0.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20
    receiver.handle_timer(0.0)
    receiver.handle_timer(2 * PATIENCE)
    assert receiver.next_timer() == NEVER
    assert receiver.next == 60_001 and receiver.received == 0


def test_100_000_too_large_messages_are_bounded() -> None:
    receiver = started(assembly=Assembly(max_message=10))
    for seq in range(1, 100_001):
        receiver.accept_run(piece(seq), 0.0)
    receiver.handle_timer(0.0)
    assert sum(receiver.lost.values()) == 100_000
    assert receiver.lost["too large"] == MAX_MARKED


# -- a million messages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
def test_200_000_messages_through_loss_copies_and_disorder_best_effort(loss: float) -> None:
    count, random_ = 200_000, random.Random(loss)
    draw = random_.random
    arrivals = [(seq + 5 * draw(), seq) for seq in range(1, count + 1) if draw() >= loss]
    arrivals += [(at + 9 * draw(), seq) for at, seq in arrivals[::20]]
    arrivals.sort()
    receiver = started()
    got = bytearray(count + 1)
    for at, seq in arrivals:
        if seq == receiver.next and not receiver.waiting:
            receiver.next = seq + 1
            got[seq] += 1
            continue
        for item in receiver.accept(seq, seq, at):
            got[item] += 1
    receiver.polled(count, count + 1, count)
    assert max(got) == 1
    balanced(receiver, sum(got))
    assert receiver.next == count + 1
    assert receiver.duplicates == len(arrivals) - sum(got)


@pytest.mark.parametrize("loss", [0.1, 0.3])
def test_200_000_messages_through_loss_copies_and_disorder_reliable(loss: float) -> None:
    count, random_ = 200_000, random.Random(loss)
    receiver = started(reliable=True)
    got: list[int] = []
    arrivals = [seq for seq in range(1, count + 1) if random_.random() >= loss]
    pending: list[int] = []
    for at in range(0, len(arrivals), 500):
        block = arrivals[at : at + 500] + pending
        random_.shuffle(block)
        for seq in block:
            got += receiver.accept(seq, seq, at)
        missing = unpack_report(receiver.report(0)).missing
        pending = [seq for start, stop in missing for seq in range(start, stop) if random_.random() >= loss]
    while receiver.next <= count:
        got += receiver.polled(count, 1, count)
        for start, stop in unpack_report(receiver.report(0)).missing:
            for seq in range(start, stop):
                if random_.random() >= loss:
                    got += receiver.accept(seq, seq, count)
    assert got == list(range(1, count + 1))
    assert not receiver.lost
