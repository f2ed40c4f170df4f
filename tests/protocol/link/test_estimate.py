"""How far one steady clock is ahead of another."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipcpy.protocol.link.estimate import SPANS, Bound, Estimate

MS, S = 10**6, 10**9


class Pair:
    """Two steady clocks, and a network between them."""

    def __init__(self, seed: int, *, offset: int, rate: float, there: int, back: int, jitter: tuple[int, int]) -> None:
        self.dice, self.offset, self.rate = Random(seed), offset, rate
        self.there, self.back, self.jitter = there, back, jitter

    def truth(self, at: float) -> float:
        """Our clock less theirs, at a time of ours."""
        return self.offset + self.rate * at

    def exchange(self, at: int) -> tuple[Bound, Bound]:
        came = at + self.there + self.dice.randint(0, self.jitter[0])
        theirs = came - self.truth(came)
        back = came + self.back + self.dice.randint(0, self.jitter[1])
        return Bound(at, round(at - theirs)), Bound(back, round(back - theirs))


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10**6),
    st.integers(-(10**17), 10**17),
    st.floats(-2e-4, 2e-4),
    st.sampled_from([(0, 0), (30 * MS, 0), (0, 30 * MS), (1 * MS, 5 * MS)]),
    st.sampled_from([50 * MS, 1 * S]),
)
def test_the_truth_is_always_within_the_bound(seed, offset, rate, jitter, pause):
    pair = Pair(seed, offset=offset, rate=rate, there=100_000, back=5 * MS, jitter=jitter)
    estimate = Estimate()
    for n in range(100):
        lower, upper = pair.exchange(n * pause + S)
        assert estimate.add(lower, upper)
        for later in (0, pause):
            low, high = estimate.line().span(upper.at + later)
            assert low - 1000 <= pair.truth(upper.at + later) <= high + 1000


def test_the_bound_is_far_below_half_the_jitter():
    pair = Pair(7, offset=10**15, rate=1e-4, there=100_000, back=100_000, jitter=(30 * MS, 0))
    estimate = Estimate()
    for n in range(200):
        lower, upper = pair.exchange(n * 50 * MS)
        estimate.add(lower, upper)
    low, high = estimate.line().span(upper.at)
    assert high - low < 3 * MS, "of 30 ms"


def test_the_drift_is_found():
    pair = Pair(7, offset=10**15, rate=1e-4, there=100_000, back=100_000, jitter=(0, 0))
    estimate = Estimate()
    for n in range(600):
        lower, upper = pair.exchange(n * 50 * MS)
        estimate.add(lower, upper)
    slow, fast = estimate.line().rates
    assert slow <= 1e-4 <= fast
    assert fast - slow < 4e-5


@pytest.mark.parametrize("jump", [3600 * S, -3600 * S, 50 * MS, -50 * MS])
def test_after_a_jump_only_what_came_then_is_believed(jump):
    pair = Pair(7, offset=10**15, rate=0.0, there=100_000, back=100_000, jitter=(0, 0))
    estimate = Estimate()
    for n in range(50):
        estimate.add(*pair.exchange(n * 50 * MS))
    pair.offset += jump
    lower, upper = pair.exchange(3 * S)
    assert not estimate.add(lower, upper)
    low, high = estimate.line().span(upper.at)
    assert low <= pair.truth(upper.at) <= high


def test_a_frame_whose_halves_are_of_before_and_after_a_jump_bounds_one_side_only():
    estimate = Estimate()
    assert estimate.add(Bound(S, 10**12), Bound(S, 0))
    assert estimate.line() is None


def test_a_frame_without_an_echo_bounds_one_side_only():
    estimate = Estimate()
    assert estimate.add(None, Bound(S, 5))
    assert estimate.line() is None


def test_few_bounds_are_kept():
    estimate = Estimate()
    pair = Pair(7, offset=0, rate=0.0, there=1, back=1, jitter=(0, 0))
    for n in range(100):
        estimate.add(*pair.exchange(n * S))
    assert len(estimate._lowers) == len(estimate._uppers) == SPANS


@given(st.lists(st.tuples(*[st.integers(0, 2**64)] * 4), max_size=20))
def test_whatever_a_peer_says_nothing_is_raised(said):
    estimate = Estimate()
    for sent, came, theirs, back in said:
        estimate.add(Bound(sent, sent - came), Bound(back, back - theirs))
        line = estimate.line()
        if line is not None:
            low, high = line.span(back)
            assert low <= high
