"""Who has a subscriber's sockets: a reader for as long as it reads, else the I/O thread."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ipcpy.fast import compiled
from ipcpy.locks import Turn
from ipcpy.subscribing import lease as lease_module
from ipcpy.subscribing.lease import HURRIED, LONG, MANY, SHORT, Lease, weakly


class Socket:
    def __init__(self):
        self.woken = 0

    def wake(self):
        self.woken += 1


class Inlets:
    def __init__(self):
        self.unicast, self.group = Socket(), Socket()

    def __iter__(self):
        return iter((self.unicast, self.group))


class Loop:
    """Stands for the I/O thread: a test lets time pass."""

    def __init__(self):
        self.watched = {}
        self.due = []

    def watch(self, socket, ready):
        self.watched[socket] = ready

    def unwatch(self, socket):
        self.watched.pop(socket, None)

    def in_thread(self):
        return True

    def call_at(self, when, function):
        self.due.append((when, function))


class World:
    def __init__(self, monkeypatch):
        self.now = 100.0
        monkeypatch.setattr(lease_module, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr("ipcpy.node.loop.time.monotonic", lambda: self.now)
        self.loop, self.inlets, self.turn, self.ended = Loop(), Inlets(), Turn(), 0
        self.lease = Lease(self.loop, self.inlets, self.turn, self.ready, self.end)

    def ready(self):
        pass

    def end(self):
        self.ended += 1

    def run(self, seconds):
        """Let time pass; return when the lease was looked at."""
        until, looks = self.now + seconds, []
        while self.loop.due and min(self.loop.due)[0] <= until:
            when, function = self.loop.due.pop(self.loop.due.index(min(self.loop.due)))
            looks.append(round(when - self.now, 6))
            self.now = when
            function()
        self.now = until
        return looks


@pytest.fixture
def world(monkeypatch):
    return World(monkeypatch)


def test_while_nobody_reads_the_io_thread_watches(world):
    assert world.loop.watched == {world.inlets.unicast: world.ready}
    world.lease.watch(world.inlets.group)
    assert set(world.loop.watched) == set(world.inlets)


def test_a_reader_who_is_away_gives_the_sockets_back(world):
    world.lease.take()
    assert world.loop.watched == {} and world.lease.taken
    world.lease.watch(world.inlets.group)
    assert world.loop.watched == {}, "the reader reads that one too"
    assert world.run(1.0) == [SHORT]
    assert not world.lease.taken and world.ended == 1 and set(world.loop.watched) == set(world.inlets)


def test_one_who_stands_still_while_it_takes_them_gives_them_back_too(world):
    """Who has no processor for as long as a lease: it is looked for before it has taken the sockets."""
    call_at = world.loop.call_at

    def stand_still(when, function):
        world.loop.call_at = call_at
        call_at(when, function)
        assert world.run(LONG) == [SHORT]

    world.loop.call_at = stand_still
    world.lease.take()
    assert world.lease.taken
    assert world.run(1.0) == [SHORT]
    assert not world.lease.taken and set(world.loop.watched) == set(world.inlets)


def test_one_who_reads_keeps_them_and_is_looked_for_the_sooner_the_more_comes(world):
    world.lease.take()
    world.lease.reads += 1
    assert world.run(SHORT) == [SHORT]
    world.lease.reads += MANY
    assert world.run(LONG) == [LONG]
    world.lease.reads += 1
    assert world.run(SHORT) == [SHORT]
    assert world.lease.taken and not world.ended


def test_one_who_waits_and_has_got_nothing_keeps_them_and_is_woken_when_the_time_is_up(world):
    world.lease.take()
    world.lease.deadline = world.now + 0.2
    elsewhere = Turn()
    world.lease.turn = SimpleNamespace(use=lambda function: None)  # another thread has it
    world.run(0.19)
    assert world.lease.taken and not world.inlets.unicast.woken
    world.run(0.1)
    assert world.inlets.unicast.woken
    world.lease.turn = elsewhere
    world.run(0.1)
    assert not world.lease.taken


def test_where_it_matters_when_a_message_came_a_reader_is_looked_for_more_often_at_once(world):
    world.lease.take()
    world.lease.reads += 1
    world.run(SHORT)
    world.lease.reads += 1
    world.lease.hurry(True)
    assert world.run(2 * HURRIED) == [HURRIED, HURRIED]
    assert not world.lease.taken
    world.lease.take()
    assert world.run(1.0)[0] == HURRIED, "another look is from before"
    world.lease.hurry(False)
    world.lease.take()
    assert world.run(1.0) == [SHORT]


def test_an_exception_from_outside_while_it_is_taken_is_no_harm(world):
    world.loop.unwatch = lambda socket: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        world.lease.take()
    world.run(1.0)
    assert not world.lease.taken and set(world.loop.watched) == set(world.inlets)


def test_once_it_is_closed_nobody_watches(world):
    world.lease.take()
    world.lease.close()
    world.run(1.0)
    assert world.loop.watched == {}


def test_the_compiled_part_is_told_how_many_are_open(monkeypatch):
    told = []
    monkeypatch.setattr(lease_module, "_count", told.append)
    lease = World(monkeypatch).lease
    assert told == [1]
    lease.close()
    lease.close()
    assert told == [1, -1]


@pytest.mark.skipif(compiled is None, reason="the compiled part is not there")
def test_it_counts_them():
    before = compiled.count_lease(0)
    assert [compiled.count_lease(by) for by in (1, 1, -2)] == [before + 1, before + 2, before]
    for wrong in ("1", None, 1 << 70):
        with pytest.raises((TypeError, OverflowError)):
            compiled.count_lease(wrong)
    assert compiled.count_lease(0) == before


def test_a_weak_call_does_not_keep_alive():
    calls = []

    class Object:
        def method(self, *arguments):
            calls.append(arguments)

    living = Object()
    call = weakly(living.method)
    call(1, 2)
    del living
    call(3)
    assert calls == [(1, 2)]
