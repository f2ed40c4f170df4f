"""The gate: so many connections and no more, the silent ones go first, and nobody is silent for ever."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("aiohttp", reason="needs ipcpy[web]")

from ipcpy.web.gate import IDLE, SILENT, Gate  # noqa: E402


class Connection:
    def __init__(self):
        self.transport = SimpleNamespace(abort=self.abort)
        self.let_go = False

    def abort(self):
        self.transport, self.let_go = None, True


class Steps:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Steps()


@pytest.fixture
def gate(clock):
    return Gate(Connection, 3, clock)


def enter(gate, clock, number):
    made = []
    for _ in range(number):
        clock.now += 0.001
        made.append(gate())
    return made


def test_the_oldest_of_those_who_ask_nothing_makes_room(gate, clock):
    first, second, third = enter(gate, clock, 3)
    gate.begins(first)
    gate.ends(first)
    enter(gate, clock, 1)
    assert (first.let_go, second.let_go, third.let_go, gate.turned) == (False, True, False, 1)


def test_then_who_asks_for_nothing_now_and_never_who_is_being_answered(gate, clock):
    busy, idle, new = enter(gate, clock, 3)
    for each in (busy, idle, new):
        gate.begins(each)
    gate.ends(idle)
    gate.ends(new)
    enter(gate, clock, 1)
    assert (busy.let_go, idle.let_go, new.let_go) == (False, True, False)


def test_who_comes_when_all_are_being_answered_is_not_let_in(gate, clock):
    guests = enter(gate, clock, 3)
    for each in guests:
        gate.begins(each)
    turned = gate()
    closed = SimpleNamespace(aborted=False)
    turned.connection_made(closed)  # what is no transport is left alone
    assert not isinstance(turned, Connection) and gate.turned == 1
    assert not any(each.let_go for each in guests)


def test_many_who_ask_nothing_never_keep_more_than_a_few(gate, clock):
    guests = enter(gate, clock, 1000)
    assert sum(not each.let_go for each in guests) == 3


def test_who_is_silent_for_long_is_let_go(gate, clock):
    never, once, busy = enter(gate, clock, 3)
    for each in (once, busy):
        gate.begins(each)
    gate.ends(once)
    clock.now += SILENT + 0.1
    gate.sweep()
    assert (never.let_go, once.let_go, busy.let_go) == (True, False, False)
    clock.now += IDLE
    gate.sweep()
    assert (once.let_go, busy.let_go) == (True, False)


def test_who_is_gone_leaves_room(gate, clock):
    guests = enter(gate, clock, 3)
    for each in guests:
        gate.begins(each)
        each.transport = None
    clock.now += 2.0
    assert isinstance(gate(), Connection) and gate.turned == 0
