"""Messages that wait: taken in order, bounded by count and bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ipcpy.protocol.data.waiting import MAX_HELD_BYTES, MAX_MARKED, Waiting


@given(st.lists(st.integers(1, 1 << 64), unique=True, max_size=50))
def test_the_lowest_comes_first(numbers: list[int]) -> None:
    waiting: Waiting[str] = Waiting()
    for number in numbers:
        if number % 3:
            waiting.hold(number, str(number), 10)
        else:
            waiting.mark(number, "gone")
    assert sorted(waiting.numbers()) == sorted(numbers)
    for number in sorted(numbers):
        assert number in waiting
        assert waiting.lowest == number
        assert waiting.take() == (([str(number)], "") if number % 3 else ([], "gone"))
    assert waiting.lowest is None and len(waiting) == 0


def test_a_message_may_be_none() -> None:
    waiting: Waiting[None] = Waiting()
    waiting.hold(1, None, 0)
    assert waiting.take() == ([None], "")


def test_what_waits_is_not_marked_as_gone() -> None:
    waiting: Waiting[int] = Waiting()
    waiting.hold(1, 1, 0)
    waiting.mark(1, "gone")
    waiting.mark(2, "gone")
    waiting.mark(2, "gone again")
    assert [waiting.take() for _ in range(2)] == [([1], ""), ([], "gone")]
    assert waiting.lowest is None and len(waiting) == 0


def test_bounds() -> None:
    waiting: Waiting[int] = Waiting()
    assert waiting.full(MAX_HELD_BYTES + 1) and not waiting.full(MAX_HELD_BYTES)
    waiting.hold(1, 1, MAX_HELD_BYTES)
    assert waiting.full(1) and not waiting.full()
    for number in range(2, 2 * MAX_MARKED):
        waiting.mark(number, "gone")
    assert len(waiting) == MAX_MARKED and waiting.full()
