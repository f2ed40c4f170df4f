"""The publisher's side of a reliable topic: budgets, copies of questions, who holds up, heartbeats, late joiners."""

from __future__ import annotations

import random
import time

from ipcpy.protocol.data.history import History, Kept
from ipcpy.protocol.data.reliable import (
    BUSY_PAUSE,
    DUPLICATE,
    HOLDING_PAUSE,
    MAX_AHEAD,
    MAX_ASKED,
    PAUSES,
    STALLED,
    Reliable,
)
from ipcpy.protocol.data.reports import Report
from ipcpy.timeouts import NEVER

WINDOW = 149_000


def publisher(count: int = 0, *, keep: int = 1_000, first: int = 1, size: int = 100) -> Reliable:
    reliable = Reliable(History(keep, 64 << 20, first))
    publish(reliable, count, 0.0, size)
    return reliable


def publish(reliable: Reliable, count: int, now: float, size: int = 100) -> None:
    for _ in range(count):
        seq = reliable.history.next
        reliable.add(Kept(seq, 0, b"frame", (), size), now)


def numbers(messages: list[Kept]) -> list[int]:
    return [message.seq for message in messages]


def test_what_is_asked_for_is_sent_again() -> None:
    reliable = publisher(10)
    reliable.join(7, 1, WINDOW, 0.0)
    assert numbers(reliable.reported(7, Report(3, WINDOW, ((3, 5), (9, 10))), 0.0)) == [3, 4, 9]
    assert reliable.reported(8, Report(3, WINDOW, ((3, 5),)), 0.0) == [], "nobody of that number"


def test_a_copy_of_a_question_is_not_answered_twice() -> None:
    reliable = publisher(10)
    reliable.join(7, 1, WINDOW, 0.0)
    question = Report(1, WINDOW, ((1, 3),))
    assert numbers(reliable.reported(7, question, 0.0)) == [1, 2]
    assert reliable.reported(7, question, DUPLICATE / 2) == []
    assert numbers(reliable.reported(7, question, DUPLICATE)) == [1, 2]


def test_a_copy_of_a_question_that_came_while_much_was_sent_again_is_not_answered_twice() -> None:
    reliable = publisher(10)
    reliable.join(7, 1, WINDOW, 0.0)
    question = Report(1, WINDOW, ((1, 3),))
    assert numbers(reliable.reported(7, question, 0.0)) == [1, 2]
    sent = 4 * DUPLICATE
    reliable.resent(7, sent)
    reliable.resent(8, sent)
    assert reliable.reported(7, question, sent) == []
    reliable.resent(7, sent + DUPLICATE / 2)
    assert numbers(reliable.reported(7, question, sent + DUPLICATE)) == [1, 2], "nothing was sent again meanwhile"


def test_a_question_is_clamped_to_the_window_before_any_loop() -> None:
    reliable = publisher(500, first=1 << 62, keep=300)
    reliable.join(7, 0, WINDOW, 0.0)
    begin = time.process_time()
    for step in range(200):
        report = Report(0, WINDOW, tuple((0, 1 << 64) for _ in range(64)))
        messages = reliable.reported(7, report, step * DUPLICATE)
        assert len(messages) <= MAX_ASKED
        assert all((1 << 62) + 200 <= seq < (1 << 62) + 500 for seq in numbers(messages))
    assert time.process_time() - begin < 5


def test_a_greedy_subscriber_gets_its_budget_and_the_others_theirs() -> None:
    reliable = publisher(1_000, size=1_000)
    for number in (1, 2):
        reliable.join(number, 1, WINDOW, 0.0)
    greedy = sum(len(reliable.reported(1, Report(1, WINDOW, ((1, 1_000),)), step / 1_000)) for step in range(1_000))
    assert greedy * 1_832 < WINDOW / 4 * 202
    assert len(reliable.reported(2, Report(1, WINDOW, ((1, 1_000),)), 1.0)) >= 20


def test_a_subscriber_cannot_confirm_what_was_not_published_nor_take_back() -> None:
    reliable = publisher(5)
    reliable.join(7, 1, WINDOW, 0.0)
    reliable.reported(7, Report(1 << 63, WINDOW), 0.0)
    assert reliable.followers[7].next == 6
    reliable.reported(7, Report(2, WINDOW, ((2, 6),)), 0.0)
    assert reliable.followers[7].next == 6


def test_what_is_gone_is_counted_once() -> None:
    reliable = publisher(100, keep=10)
    reliable.join(7, 95, WINDOW, 0.0)
    publish(reliable, 20, 0.0)
    assert reliable.lowest_kept() == 111
    for step in range(5):
        assert numbers(reliable.reported(7, Report(95, WINDOW, ((95, 113),)), step)) == [111, 112]
    assert reliable.followers[7].given_up == 16


# -- late joiners ------------------------------------------------------------------------------------------------------


def test_a_late_joiner_gets_what_is_kept() -> None:
    reliable = publisher(100)
    assert reliable.join(7, 96, WINDOW, 0.0) == 96
    assert numbers(reliable.begin(7, 0.0)) == [96, 97, 98, 99, 100]


def test_the_first_number_is_one_that_can_be_had() -> None:
    assert publisher().join(7, -5, WINDOW, 0.0) == 1
    assert publisher(first=1_000).join(7, 990, WINDOW, 0.0) == 1_000
    assert publisher(100, keep=10).join(7, 1, WINDOW, 0.0) == 91
    assert publisher(10).join(7, 1 << 63, WINDOW, 0.0) == 11


def test_what_a_late_joiner_does_not_get_at_once_is_polled_for() -> None:
    reliable = publisher(1_000, size=1_000)
    reliable.join(7, 1, WINDOW, 50.0)
    assert len(reliable.begin(7, 50.0)) < 30
    assert reliable.next_timer() == 50.0 + PAUSES[0]
    assert reliable.handle_timer(50.0 + PAUSES[0]) == [7]


# -- who holds the publisher up ----------------------------------------------------------------------------------------


def test_one_who_lacks_the_oldest_message_kept_holds_up_until_it_has_it_or_does_not_answer() -> None:
    reliable = publisher(keep=10)
    reliable.join(1, 1, WINDOW, 0.0)
    reliable.join(2, 1, WINDOW, 0.0)
    publish(reliable, 10, 0.0)
    assert sorted(reliable.holding(100, 0.0)) == [1, 2]
    reliable.reported(1, Report(2, WINDOW), 0.0)
    assert reliable.holding(100, 0.0) == [2]
    assert reliable.to_poll([2], HOLDING_PAUSE) == [2]
    assert reliable.to_poll([2], HOLDING_PAUSE * 1.5) == []
    assert reliable.holding(100, HOLDING_PAUSE + 2 * STALLED) == [], "it holds nobody up any more"
    reliable.reported(2, Report(1, WINDOW), 9.0)
    assert reliable.holding(100, 9.0) == [2]
    reliable.leave(2)
    assert reliable.holding(100, 9.0) == []


def test_one_with_a_gap_holds_up_before_more_waits_for_it_than_it_can_hold() -> None:
    reliable = publisher(keep=100_000)
    reliable.join(1, 1, WINDOW, 0.0)
    publish(reliable, MAX_AHEAD, 0.0)
    assert reliable.holding(100, 0.0) == []
    publish(reliable, 1, 0.0)
    assert reliable.holding(100, 0.0) == [1]


def test_bytes_hold_up_too() -> None:
    reliable = Reliable(History(1_000, 1_000))
    reliable.join(1, 1, WINDOW, 0.0)
    publish(reliable, 5, 0.0, 200)
    assert reliable.holding(0, 0.0) == []
    assert reliable.holding(1, 0.0) == [1]


# -- heartbeats --------------------------------------------------------------------------------------------------------


def beats(reliable: Reliable, until: float) -> list[float]:
    out = []
    while (now := reliable.next_timer()) < until:
        if reliable.handle_timer(now):
            out.append(round(now, 6))
    return out


def test_polls_follow_the_last_message_ever_more_seldom() -> None:
    reliable = publisher()
    reliable.join(1, 1, WINDOW, 0.0)
    publish(reliable, 1, 10.0)
    assert beats(reliable, 13.0) == [10.01, 10.03, 10.09, 10.29, 10.79, 11.79, 12.79]


def test_all_is_quiet_once_all_have_confirmed_all() -> None:
    reliable = publisher()
    assert reliable.next_timer() == NEVER
    reliable.join(1, 1, WINDOW, 0.0)
    reliable.join(2, 1, WINDOW, 0.0)
    publish(reliable, 1, 10.0)
    reliable.reported(1, Report(2, WINDOW), 10.0)
    assert reliable.handle_timer(reliable.next_timer()) == [2]
    reliable.reported(2, Report(2, WINDOW), 10.0)
    assert reliable.handle_timer(reliable.next_timer()) == []
    assert reliable.next_timer() == NEVER


def test_with_nobody_there_no_timer_is_set() -> None:
    assert publisher(10).next_timer() == NEVER


def test_while_messages_follow_one_another_a_poll_now_and_then_is_enough() -> None:
    reliable = publisher()
    reliable.join(1, 1, WINDOW, 0.0)
    polled = []
    for step in range(1_000):
        now = step / 1_000
        publish(reliable, 1, now)
        if now >= reliable.next_timer() and reliable.handle_timer(now):
            polled.append(now)
    assert 1 / BUSY_PAUSE * 0.8 <= len(polled) <= 1 / BUSY_PAUSE + 1


def test_hostile_reports_cost_nothing() -> None:
    random_ = random.Random(5)
    reliable = publisher(1_000)
    reliable.join(1, 1, WINDOW, 0.0)
    for step in range(2_000):
        ranges = tuple((random_.getrandbits(64) >> random_.randrange(64), 1 << 65) for _ in range(64))
        reliable.reported(1, Report(random_.getrandbits(64) >> 60, 0, ranges), step / 1_000)
        reliable.kept(1, random_.getrandbits(64))
        assert reliable.followers[1].given_up <= 1_000
        assert len(reliable.followers[1]._resent) <= MAX_ASKED
