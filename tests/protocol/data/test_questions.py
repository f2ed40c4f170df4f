"""When a subscriber asks for what it lacks: how often, how long it waits, and what it learns of the way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.protocol.data.questions import MAX_TRIES, REORDER_DELAY, RETRY, RETRY_MAX, ROUND_TRIP, Questions


def expected(in_vain: int, round_trip: float = ROUND_TRIP) -> float:
    return float(min(min(REORDER_DELAY + 2 * round_trip, RETRY) * 2**in_vain, RETRY_MAX))


def test_questions_in_vain_follow_ever_slower_and_then_no_more() -> None:
    questions = Questions(seed=1)
    pauses = []
    while (pause := questions.ask(5, sum(pauses))) is not None:
        pauses.append(pause)
    assert len(pauses) == questions.in_vain == MAX_TRIES
    for tries, pause in enumerate(pauses):
        assert 0.75 * expected(tries) <= pause <= 1.25 * expected(tries)
    assert 2.0 < sum(pauses) < 6.0


def test_whatever_comes_from_the_publisher_begins_the_questions_anew() -> None:
    questions = Questions(seed=1)
    for _ in range(MAX_TRIES):
        questions.ask(5, 0.0)
    assert questions.ask(5, 0.0) is None
    questions.in_vain = 0
    pause = questions.ask(5, 0.0)
    assert pause is not None
    assert pause <= 1.25 * expected(0)


@pytest.mark.parametrize("takes", [0.0, 0.004, 0.02, 1.0])
def test_pauses_follow_the_time_that_answers_take(takes: float) -> None:
    questions, now = Questions(seed=1), 0.0
    for number in range(1, 60):
        questions.ask(number, now)
        now += takes
        questions.received(number + 1, now)
        questions.in_vain = 0
    assert 0.74 * expected(0, takes) <= questions.pause() <= 1.26 * expected(0, takes)


def test_the_answer_to_a_repeated_question_tells_nothing_of_the_way() -> None:
    """Nobody could tell which of the two was answered (Karn's algorithm, RFC 6298)."""
    one, other = Questions(seed=1), Questions(seed=1)
    for questions in (one, other):
        questions.ask(5, 0.0)
        questions.ask(5, 0.1)
    one.received(6, 9.0)
    assert one.pause() == other.pause()


def test_a_message_that_was_not_asked_for_is_no_answer() -> None:
    one, other = Questions(seed=1), Questions(seed=1)
    for questions in (one, other):
        questions.ask(5, 0.0)
    one.received(5, 9.0)  # 5 is missing still
    assert one.pause() == other.pause()


@given(st.lists(st.tuples(st.integers(1, 9), st.floats(0, 1e6), st.booleans())))
def test_pauses_are_bounded_whatever_happens(events: list[tuple[int, float, bool]]) -> None:
    questions, now = Questions(seed=1), 0.0
    for number, passes, received in events:
        now += passes
        if received:
            questions.received(number, now)
        else:
            questions.ask(number, now)
        assert 0.75 * REORDER_DELAY <= questions.pause() <= 1.25 * RETRY_MAX
        assert questions.in_vain <= MAX_TRIES
