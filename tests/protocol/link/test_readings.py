"""Which time a wall clock showed when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ipcpy.protocol.link.readings import FLAT, MAX_POINTS, SLACK, Reading, Track

MS, S, H = 10**6, 10**9, 3600 * 10**9


def track(*points: tuple[int, int]) -> Track:
    """Make a track of steady times and epochs."""
    made = Track()
    for steady, epoch in points:
        made = made.add(Reading(steady, steady + epoch))
    return made


def test_a_time_between_two_readings_is_found_for_sure():
    found = track((1 * S, 5 * H), (2 * S, 5 * H)).find(5 * H + 1500 * MS, 3 * S)
    assert found.sure
    assert found.low <= 1500 * MS <= found.high
    assert found.high - found.low <= 2 * SLACK


def test_a_time_after_the_last_reading_is_found_but_not_for_sure():
    found = track((1 * S, 5 * H), (2 * S, 5 * H)).find(5 * H + 2500 * MS, 3 * S)
    assert not found.sure
    assert found.low <= 2500 * MS <= found.high


def test_a_time_that_is_still_to_come_is_not_found():
    assert track((1 * S, 5 * H), (2 * S, 5 * H)).find(6 * H, 3 * S) is None


def test_after_a_jump_both_old_and_new_times_are_found():
    jumped = track((1 * S, 0), (2 * S, 0), (3 * S, H), (4 * S, H))
    old, new = jumped.find(1500 * MS, 5 * S), jumped.find(H + 3500 * MS, 5 * S)
    assert old.low <= 1500 * MS <= old.high
    assert new.low <= 3500 * MS <= new.high


def test_within_a_gap_in_which_the_clock_jumped_each_time_is_told_apart():
    jumped = track((1 * S, 0), (2 * S, 0), (3 * S, H), (4 * S, H))
    before, behind = jumped.find(2300 * MS, 5 * S), jumped.find(H + 2700 * MS, 5 * S)
    assert before.low <= 2300 * MS <= before.high <= 2301 * MS
    assert 2699 * MS <= behind.low <= 2700 * MS <= behind.high


def test_what_a_small_jump_makes_ambiguous_is_an_interval_of_both():
    found = track((1 * S, 0), (2 * S, -100 * MS)).find(1500 * MS, 3 * S)
    assert found.low <= 1500 * MS < 1600 * MS <= found.high


def test_a_clock_that_drifts_is_followed_and_old_readings_are_few():
    drifting = track(*((n * 50 * MS, 2 * H + n * 5_000) for n in range(1, 10_000)))
    assert len(drifting.points) <= MAX_POINTS
    assert abs(drifting.epoch(10_000 * 50 * MS)[0] - (2 * H + 10_000 * 5_000)) < FLAT


def test_a_steady_clock_that_went_back_begins_anew():
    assert track((5 * S, 0), (6 * S, 0), (1 * S, 0)).points == ((1 * S, 0),)


@given(
    st.lists(st.tuples(st.integers(1, 200), st.sampled_from([0, 0, 0, 1, -1, 5000, -5000])), min_size=1, max_size=30),
    st.integers(0, 10**6),
)
def test_a_moment_is_always_within_what_is_found_or_a_later_one_with_the_same_time_is(steps, where):
    """The truth is in the interval, or an equal time came later."""
    points, steady, epoch = [(S, 0)], S, 0
    for pause, jump in steps:
        steady, epoch = steady + pause * 50 * MS, epoch + jump * 10 * MS
        points.append((steady, epoch))
    made = track(*points)
    number = where % (len(points) - 1)
    (begin, before), (end, _) = points[number : number + 2]
    truth = begin + (end - begin) * (where % 97) // 97
    found = made.find(truth + before, steady)
    assert found is not None
    assert found.high >= truth
    if found.low > truth:  # a time that was shown twice
        assert made.find(truth + before, truth + SLACK).low <= truth
