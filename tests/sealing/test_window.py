"""sealing.window: every number is taken once, whatever the order."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.sealing.window import WINDOW, Window


class Model:
    """A window that remembers everything."""

    def __init__(self, number: int, early: int) -> None:
        self.highest = number
        self.open = set(range(number - early, number))

    def take(self, number: int) -> bool:
        if number > self.highest:
            self.open |= set(range(max(self.highest + 1, number - WINDOW), number))
            self.highest = number
            return True
        if number in self.open and number + WINDOW > self.highest:
            self.open.remove(number)
            return True
        return False


def test_numbers_in_order_are_new_and_none_of_them_again():
    window = Window(1)
    assert all(window.take(number) for number in range(2, 10_000))
    assert not any(window.take(number) for number in range(1, 10_000))


def test_what_was_skipped_may_come_late_once():
    window = Window(1)
    assert window.take(10)
    assert [number for number in range(1, 12) if window.is_new(number)] == [2, 3, 4, 5, 6, 7, 8, 9, 11]
    for number in (5, 2, 9, 3):
        assert window.take(number) and not window.take(number)
    assert [number for number in range(1, 11) if window.is_new(number)] == [4, 6, 7, 8]


def test_the_first_number_says_how_many_before_it_may_come():
    window = Window(100, 3)
    assert [number for number in range(90, 101) if window.is_new(number)] == [97, 98, 99]
    assert [number for number in range(90, 101) if Window(100).is_new(number)] == []


def test_what_is_too_old_to_tell_is_refused():
    window = Window(1)
    window.take(WINDOW + 2)
    assert not window.is_new(2) and not window.take(2)
    assert window.is_new(3) and window.take(3)


@pytest.mark.parametrize("loss", [0.0, 0.5, 0.999])
def test_what_it_keeps_is_bounded_however_much_is_lost(loss):
    dice = random.Random(1)
    window = Window(0)
    for number in range(1, 50_000):
        if dice.random() >= loss:
            window.take(number)
    window.take(50_000)
    assert len(window._gaps) <= WINDOW / 2 + 1
    window.take(1 << 60)
    assert len(window._gaps) == 1


@given(
    st.integers(0, 50),
    st.lists(st.one_of(st.integers(0, 200), st.integers(WINDOW - 5, 3 * WINDOW)), max_size=60),
)
def test_it_takes_what_a_window_that_remembers_everything_takes(early, numbers):
    window, model = Window(100, early), Model(100, early)
    for number in numbers:
        new = window.is_new(number)
        assert window.take(number) == model.take(number) == new
        assert window.highest == model.highest


class Stopped(BaseException):
    """Ctrl-C."""


def at_call(number: int, do: Callable[[], object], work: Callable[[], object]) -> bool:
    """Do something once amid work: at one of its calls and their ends, where Python runs signal handlers.

    Returns:
        Whether there was such a call.
    """
    seen = 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            sys.setprofile(None)
            do()

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return seen >= number


@pytest.mark.parametrize("number", [20, 12, 8, 30, 9_000])
@pytest.mark.parametrize("others", [(25,), (12,), (8,), (20, 22), (11, 8), (4_000, 9_000), (9_005,), None], ids=str)
def test_a_signal_handler_or_ctrl_c_in_its_midst_has_no_number_taken_twice(number, others):
    for at in range(1, 40):
        window, taken = Window(1), []

        def take(number: int, window: Window = window, taken: list[int] = taken) -> None:
            if window.take(number):
                taken.append(number)

        def interrupt() -> None:
            if others is None:
                raise Stopped
            for other in others:
                take(other)

        for each in (10, 15):
            take(each)
        stopped = False
        try:
            if not at_call(at, interrupt, lambda: take(number)):
                break
        except Stopped:
            stopped = True
        for each in [*range(1, 60), *range(8_990, 9_020)] * 2:
            take(each)
        assert len(taken) == len(set(taken)), (at, stopped)
