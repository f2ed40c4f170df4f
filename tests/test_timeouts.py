"""What a user's timeout may be, and waits in pieces where Ctrl-C ends none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ipcpy import ArgumentError, timeouts
from ipcpy.timeouts import FOR_EVER, NEVER, SHARE, Explanations, hertz, in_pieces, number, patience, piece, seconds


@pytest.mark.parametrize(
    ("timeout", "expected"),
    [(None, None), (0, 0.0), (-1, 0.0), (0.5, 0.5), (FOR_EVER, FOR_EVER), (FOR_EVER + 1, None), (NEVER, None)],
)
def test_a_time_to_wait(timeout, expected):
    assert seconds(timeout) == expected


def test_numbers_of_other_kinds_are_numbers_too():
    assert seconds(np.float32(0.5)) == 0.5
    assert seconds("0.5") == 0.5


@pytest.mark.parametrize("timeout", [float("nan"), "soon", [], object()])
def test_what_is_no_time_is_refused(timeout):
    with pytest.raises(ArgumentError, match="timeout is a time in seconds"):
        seconds(timeout)


class Clock:
    """Stands in for the clock: time passes only while somebody waits."""

    def __init__(self, monkeypatch, comes_at=NEVER):
        self.now, self.waits, self.comes_at = 100.0, [], 100.0 + comes_at
        monkeypatch.setattr(timeouts.time, "monotonic", lambda: self.now)

    def wait(self, timeout):
        self.waits.append(timeout)
        self.now += timeout
        return self.now >= self.comes_at


@pytest.mark.parametrize("timeout", [None, 0.0, 0.5, 1e6])
def test_a_wait_is_one_where_ctrl_c_ends_it(monkeypatch, timeout):
    monkeypatch.setattr(timeouts, "PIECE", None)
    waits = []
    assert in_pieces(lambda seconds: waits.append(seconds) or "found", timeout) == "found"
    assert waits == [timeout] and piece(timeout) == timeout


def test_a_wait_for_ever_is_made_of_short_ones_where_ctrl_c_ends_none(monkeypatch):
    monkeypatch.setattr(timeouts, "PIECE", 0.125)
    clock = Clock(monkeypatch, comes_at=10.0)
    assert in_pieces(clock.wait, None)
    assert clock.waits == [0.125] * 80
    assert piece(None) == 0.125


@pytest.mark.parametrize("timeout", [0.0, 0.0625, 0.125, 0.3125, 2.0])
def test_waits_in_pieces_take_no_longer_than_the_whole(monkeypatch, timeout):
    monkeypatch.setattr(timeouts, "PIECE", 0.125)
    clock = Clock(monkeypatch)
    assert not in_pieces(clock.wait, timeout)
    assert sum(clock.waits) == timeout and max(clock.waits) <= 0.125


def test_ctrl_c_ends_a_wait_between_two_pieces(monkeypatch):
    monkeypatch.setattr(timeouts, "PIECE", 0.125)
    clock = Clock(monkeypatch)

    def wait(seconds):
        clock.wait(seconds)
        if len(clock.waits) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_pieces(wait, None)
    assert len(clock.waits) == 3


@pytest.mark.parametrize("count", [0, 1, 1_000_000])
def test_a_number_to_wait_for(count):
    assert number(count) == count


@pytest.mark.parametrize("count", [-1, 1.0, 1.5, True, "1", None, float("nan"), float("inf")])
def test_what_is_no_number_to_wait_for_is_refused(count):
    with pytest.raises(ArgumentError, match="count is how many to wait for, a number from 0, got"):
        number(count)


# -- the error of who waited in vain


class ByHand:
    now = 0.0

    def __call__(self):
        return self.now


def test_the_reason_is_found_out_at_once_but_of_short_waits_only_now_and_then():
    clock, asked = ByHand(), []
    explanations = Explanations(clock)

    def why():
        clock.now += 0.001
        asked.append(clock.now)
        return f"It is {len(asked)}."

    first = explanations.error("nothing came", why)
    assert len(asked) == 1
    second = explanations.error("nothing came", why)
    clock.now += SHARE * 0.001
    third = explanations.error("nothing came", why)
    assert len(asked) == 2
    assert [str(each) for each in (first, third, second)] == [f"nothing came. It is {n}." for n in (1, 2, 3)]


@pytest.mark.parametrize("rate", [1e-6, 0.001, 1, 100.0, 1_000_000, np.float32(0.5), np.int64(7)])
def test_a_rate_is_a_number_from_once_in_a_time_that_can_be_waited_to_a_million(rate):
    assert hertz(rate) == rate
    assert type(hertz(rate)) is float


@pytest.mark.parametrize("rate", [0, -1, 9e-7, 1e-320, 1_000_001, math.nan, math.inf, True, "7", None])
def test_what_is_no_rate_is_refused(rate):
    with pytest.raises(ArgumentError, match=r"a rate is a number of times a second from 0\.000001 to 1,000,000, got"):
        hertz(rate)


@pytest.mark.parametrize("value", [0, -1, 0.0001, 2e6, math.nan, math.inf, True, "7", None])
def test_what_is_no_patience_is_refused_by_its_name(value):
    assert patience("deadline", 1) == 1.0
    with pytest.raises(ArgumentError, match=r"max_age is a time in seconds from 0\.001 to 1,000,000, got"):
        patience("max_age", value)
