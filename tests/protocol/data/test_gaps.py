"""Ranges of numbers against a plain set, and jumps that must cost nothing."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from ipcpy.protocol.data.gaps import Gaps

steps = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 6), st.sampled_from("ab")), max_size=20)


@given(steps, st.lists(st.integers(0, 120), max_size=60))
def test_ranges_are_a_set(ranges: list[tuple[int, int, str]], taken: list[int]) -> None:
    gaps, model, at = Gaps(), {}, 0
    for skip, count, cause in ranges:
        gaps.add(at + skip, at + skip + count, cause)
        model |= dict.fromkeys(range(at + skip, at + skip + count), cause)
        at += skip + count
    for number in taken:
        assert (number in gaps) == (number in model)
        assert gaps.take(number) == model.pop(number, None)
    assert [n for start, stop, _ in gaps for n in range(start, stop)] == sorted(model)
    assert all(start < stop for start, stop, _ in gaps)


def test_neighbours_of_one_cause_are_one_range() -> None:
    gaps = Gaps()
    gaps.add(1, 5, "network")
    gaps.add(5, 9, "network")
    gaps.add(9, 10, "kernel")
    gaps.add(12, 12, "network")
    assert list(gaps) == [(1, 9, "network"), (9, 10, "kernel")]


def test_a_jump_of_2_to_the_63_costs_one_range() -> None:
    gaps = Gaps()
    gaps.add(1, 1 << 63, "network")
    assert (1 << 62) in gaps
    assert gaps.take(1 << 62) == "network"
    assert len(gaps) == 2


def test_ranges_are_bounded_the_oldest_are_forgotten() -> None:
    gaps = Gaps(limit=10)
    for number in range(0, 100, 2):
        gaps.add(number, number + 1, "network")
    assert len(gaps) == 10
    assert 0 not in gaps and 98 in gaps


def test_taking_every_second_number_of_a_giant_range_is_bounded() -> None:
    gaps = Gaps()
    gaps.add(1, 1 << 60, "network")
    begin = time.process_time()
    for number in range(2, 200_000, 2):
        gaps.take(number)
    assert len(gaps) <= 1_024
    assert time.process_time() - begin < 5
