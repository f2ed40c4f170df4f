"""The window on a made-up uplink, on a made-up clock."""

from __future__ import annotations

import pytest

from ipcpy.bridges.zenoh.window import CHANCES, FIRST, LEAST, LOST, MARK, Window

CAMERA = ("ab" * 8, "cd" * 8)


def play(rate: float, size: int, hertz: float, seconds: float, trip: float = 0.02) -> tuple[list[float], int]:
    """Send frames over an uplink of so many bytes a second; return how late they were, and how many were made."""
    window, busy_until, arrivals, late, made, waiting = Window(), 0.0, [], [], 0, None
    for tick in range(int(seconds * 1000)):
        now = tick / 1000
        for seq, sent, at in [each for each in arrivals if each[2] + trip <= now]:
            arrivals.remove((seq, sent, at))
            window.seen(CAMERA, seq, now)
        if tick % round(1000 / hertz) == 0:
            made += 1
            waiting = (made, now)
        if waiting is not None and window.room(CAMERA, now):
            seq, born = waiting
            waiting = None
            window.sent(CAMERA, seq, size, now)
            busy_until = max(busy_until, now) + size / rate
            arrivals.append((seq, now, busy_until))
            late.append(busy_until - born)
    return late, made


def test_on_a_slow_uplink_frames_are_new_and_the_uplink_is_used() -> None:
    late, made = play(rate=125_000, size=30_000, hertz=30, seconds=60)
    assert max(late) <= 1.0
    assert sum(late[10:]) / len(late[10:]) <= 0.6
    assert len(late) * 30_000 >= 0.85 * 60 * 125_000
    assert len(late) < made / 5


def test_on_a_fast_uplink_nothing_waits() -> None:
    late, made = play(rate=100e6, size=1_000_000, hertz=30, seconds=20)
    assert len(late) == made
    assert max(late[30:]) < 0.05


@pytest.mark.parametrize("trip", [0.3, 0.6])
def test_a_long_way_is_filled_though_answers_come_late(trip: float) -> None:
    late, made = play(rate=2_500_000, size=60_000, hertz=20, seconds=60, trip=trip)
    assert len(late) >= 0.8 * made


def test_one_message_always_may_go_when_nothing_is_on_the_way() -> None:
    window = Window()
    assert window.room(CAMERA, 0.0)
    assert window.sent(CAMERA, 1, 10 * FIRST, 0.0)
    assert not window.room(CAMERA, 0.1)
    window.seen(CAMERA, 1, 0.2)
    assert window.room(CAMERA, 0.2)


def test_small_messages_are_marked_once_in_a_while() -> None:
    window = Window()
    marks = [window.sent(CAMERA, seq, 100, 0.0) for seq in range(1, 400)]
    assert marks.count(True) == 399 * 100 // (MARK // 100 * 100 + 100)


def answered() -> Window:
    """Return a window in which somebody has answered once, at 0.0."""
    window = Window()
    window.sent(CAMERA, 1, FIRST, 0.0)
    window.seen(CAMERA, 1, 0.0)
    return window


def test_a_mark_that_nobody_answers_is_given_up_and_the_window_shrinks() -> None:
    window = answered()
    before = window.size
    window.sent(CAMERA, 2, before, 0.0)
    assert not window.room(CAMERA, LOST - 0.01)
    assert window.room(CAMERA, LOST + 0.01)
    assert (len(window), window.size) == (0, max(before // 2, LEAST))


def test_where_nobody_ever_answers_all_may_go_and_others_keep_their_window() -> None:
    window, other = Window(), ("ef" * 8, "cd" * 8)
    window.sent(CAMERA, 1, FIRST, 0.0)
    assert not window.room(CAMERA, LOST - 0.01)
    for seq in range(2, 102):
        assert window.room(CAMERA, LOST + 0.01)
        assert window.sent(CAMERA, seq, FIRST, LOST + 0.01)
    assert (len(window), window.size) == (0, FIRST)
    window.sent(other, 1, FIRST, LOST + 0.02)
    assert not window.room(other, LOST + 0.02)
    window.seen(CAMERA, 101, LOST + 0.03)  # a bridge came
    assert not window.room(CAMERA, LOST + 0.03)


def test_who_answered_and_does_no_more_is_believed_to_be_gone_after_some_marks() -> None:
    window, now = answered(), 0.0
    for seq in range(2, 2 + CHANCES):
        assert window.sent(CAMERA, seq, MARK, now)
        now += LOST + 0.1
        window.room(CAMERA, now)
    assert window.size == LEAST
    for seq in range(20, 30):
        window.sent(CAMERA, seq, FIRST, now)
        assert window.room(CAMERA, now)


def test_marks_of_reliable_messages_which_ask_for_no_room_do_not_pile_up() -> None:
    window = Window()
    for seq in range(1, 10_000):
        window.sent(CAMERA, seq, MARK, seq / 10)
    assert len(window._marks) <= 10 * LOST + 1


def test_an_answer_that_was_made_up_changes_nothing() -> None:
    window = Window()
    window.seen(CAMERA, 7, 0.0)
    window.sent(CAMERA, 1, FIRST, 0.0)
    window.seen(CAMERA, 2, 0.1)
    window.seen(("x", "y"), 1, 0.1)
    assert len(window) == FIRST


def test_an_answer_to_a_later_mark_is_one_to_those_before() -> None:
    window = Window()
    for seq in (1, 2, 3):
        window.sent(CAMERA, seq, MARK, 0.0)
    window.seen(CAMERA, 3, 0.1)
    assert len(window) == 0
