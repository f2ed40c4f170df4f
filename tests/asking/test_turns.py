"""Turns: one reads, the others follow, and nobody is left with nobody reading."""

from __future__ import annotations

import threading

import pytest

from ipcpy.asking import turns as module
from ipcpy.asking.calls import Calls
from ipcpy.asking.turns import Turns


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def turns(calls):
    return Turns(threading.RLock(), calls.open)


def test_the_first_reads_and_the_others_follow_until_it_leaves(turns, calls):
    first, second = calls.begin(0.0), calls.begin(0.0)
    assert turns.take(first) is None
    wait = turns.take(second).waiter()
    assert not wait(0)
    wait = turns.take(second).waiter()
    turns.leave(first)
    assert wait(0)
    assert turns.take(second) is None


def test_who_follows_is_woken_for_its_own_call_and_for_all(turns, calls):
    first, second, third = (calls.begin(0.0) for _ in range(3))
    turns.take(first)
    waits = {call: turns.take(call).waiter() for call in (second, third)}
    turns.wake([second.number])
    assert (waits[second](0), waits[third](0)) == (True, False)
    wait = turns.take(third).waiter()
    turns.wake(None)
    assert wait(0)


def test_a_turn_ends_with_its_call_though_nobody_gave_it_back(turns, calls):
    first, second = calls.begin(0.0), calls.begin(0.0)
    turns.take(first)
    calls.give_up(first)
    assert turns.take(second) is None


def test_a_turn_ends_after_a_time_though_nobody_gave_it_back(turns, calls, monkeypatch):
    monkeypatch.setattr(module, "TURN", -1.0)
    first, second = calls.begin(0.0), calls.begin(0.0)
    turns.take(first)
    assert turns.take(second) is None


def test_followers_whose_calls_are_over_are_not_waited_for(turns, calls):
    first, second, third = (calls.begin(0.0) for _ in range(3))
    turns.take(first)
    turns.take(second)
    wait = turns.take(third).waiter()
    calls.give_up(second)
    turns.leave(first)
    assert wait(0)
    assert list(turns.followers) == [third.number]
