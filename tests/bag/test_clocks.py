"""How far clocks were ahead while a recording was made: what is kept, and how late messages were by it."""

from __future__ import annotations

import json
import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ipcpy as ipc
import tapes
from ipcpy.bag.clocks import MAX_POINTS, Point, Trace, Traces, clock_at_end, delay_by, read_traces
from ipcpy.bag.form import CLOCKS

S, MS, H = 10**9, 10**6, 3600 * 10**9


def trace(*points):
    made = Trace()
    for at, offset, bound in points:
        made.add(at, offset, bound)
    return made.points


def test_of_a_clock_that_drifts_evenly_two_points_are_kept():
    assert len(trace(*((n * S, 3 * H + n * 100_000, 50_000) for n in range(1000)))) == 2


def test_of_one_host_two_points_are_kept_and_the_bound_is_0():
    points = trace(*((n * S, 0, 0) for n in range(1, 1000)))
    assert len(points) == 2
    assert delay_by([points], 500 * S, 500 * S + MS) == (0.001, 0.0)
    assert delay_by([points], 0, MS) == (0.001, 0.0), "before the first look"


@given(st.integers(0, 10**6), st.floats(-1e-4, 1e-4))
def test_a_delay_is_right_within_its_bound_whatever_was_left_out(seed, rate):
    dice = Random(seed)
    slope = [rate]
    truth = [3 * H]
    for _ in range(200):
        slope.append(slope[-1] + dice.choice((0.0, 0.0, 2e-5, -2e-5)))
        truth.append(truth[-1] + slope[-1] * S)
    bounds = [dice.randint(50_000, 2 * MS) for _ in truth]
    kept = trace(*((n * S, round(at + dice.uniform(-1, 1) * bound), bound)
                   for n, (at, bound) in enumerate(zip(truth, bounds, strict=True))))  # fmt: skip
    for n in range(200):
        middle = (truth[n] + truth[n + 1]) / 2
        received = n * S + S // 2
        delay = delay_by([kept], round(received - 5 * MS + middle), received)
        assert abs(delay.seconds - 0.005) <= delay.bound + 1e-6


def test_around_a_jump_the_bound_covers_both_and_elsewhere_it_is_small():
    points = trace(*((n * S, H if n > 5 else 0, 50_000) for n in range(10)))
    (before, within, behind) = (
        delay_by([points], round(at * S) + offset, round(at * S) + MS) for at, offset in ((3.5, 0), (5.4, 0), (8.5, H))
    )
    for delay in (before, behind):
        assert abs(delay.seconds - 0.001) <= delay.bound < 0.001
    assert abs(within.seconds - 0.001) <= within.bound


def test_where_the_recorders_clock_was_set_back_all_that_may_be_is_covered():
    points = trace((10 * S, 0, 1000), (20 * S, 0, 1000), (15 * S, 5 * S, 1000), (25 * S, 5 * S, 1000))
    delay = delay_by([points], 17 * S, 17 * S + MS)
    assert delay.seconds - delay.bound <= 0.001
    assert delay.seconds + delay.bound >= 5.001


def test_few_points_are_kept_of_a_clock_that_is_set_all_the_time():
    assert len(trace(*((n * S, n % 2 * H, 1000) for n in range(1000)))) == MAX_POINTS


def test_without_a_trace_the_difference_of_the_clocks_is_told_without_a_bound():
    assert delay_by([], 5 * S, 7 * S) == (2.0, math.inf)
    assert clock_at_end([]).bound == math.inf


def test_what_would_have_come_before_it_was_sent_has_no_bound():
    assert delay_by([[Point(0, 0, 0, 0)]], 7 * S, 5 * S) == (-2.0, math.inf)


def test_what_is_written_is_read_and_the_longest_of_a_trace_counts():
    traces, told = Traces(), []
    for at in (1, 2, 3):
        traces.add("a", at * S, ipc.Clock(0.5, 0.001, 0.0))
        traces.add("b", at * S, ipc.Clock(0.0, math.inf, math.inf))
        told.append(traces.told())
    read = read_traces([told[1], told[2], told[0]])
    assert read == {"a": [[Point(S, S // 2, MS, 0), Point(3 * S, S // 2, MS, MS)]]}
    assert clock_at_end(read["a"]) == ipc.Clock(0.5, 0.001, 0.0)


@pytest.mark.parametrize("text", ["", "{", "5", "[[[1]]]", '[[["a",1,1,1]]]', "[[[1,1,-1,1]]]", "[5]", "[" * 100_000])
def test_what_is_no_trace_is_passed_over(text):
    assert read_traces([{"a": text, "b": "[[[1,2,3,4]]]"}]) == {"b": [[Point(1, 2, 3, 4)]]}


def test_a_recording_and_a_part_of_it_say_how_late_messages_were(tmp_path):
    path = tmp_path / "run.mcap"
    with ipc.Recorder(path, "late") as recorder, ipc.Publisher("late") as pub:
        pub.wait_for_subscribers(timeout=10)
        for number in range(10):
            pub.publish(number)
        recorder.close()
    with ipc.Bag(path) as bag:
        bag.save(tmp_path / "part.mcap")
    for each in (path, tmp_path / "part.mcap"):
        with ipc.Bag(each) as bag:
            messages = list(bag.messages())
            assert len(messages) == 10
            assert all(bag.delay(m) == ((m.received_ns - m.sent_ns) / 1e9, 0.0) for m in messages)
            assert [clock.bound for clock in bag.clocks.values()] == [0.0]
            with pytest.raises(ipc.ArgumentError):
                bag.delay(5)


def test_a_recording_without_clocks_tells_the_difference_without_a_bound(tmp_path):
    path = tmp_path / "old.mcap"
    with tapes.tape(path) as tape:
        tape.add("imu", 1, 0)
        tape.writer.add_metadata(CLOCKS, {"nobody": json.dumps([[[1, 2, 3, 4]]])})
    with ipc.Bag(path) as bag:
        (message,) = bag.messages()
        assert bag.delay(message).bound == math.inf
