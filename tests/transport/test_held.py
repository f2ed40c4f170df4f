"""transport.held: who still has a part of shared memory, in this process and in the children that it forks."""

from __future__ import annotations

import errno
import gc
import os
import sys
import threading
from contextlib import contextmanager

import pytest

from handing import descriptors, readable
from ipcpy.transport import memory
from ipcpy.transport.held import Held
from still import StillLoop

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memfds are Linux's")

SIZE = 1 << 16


class World:
    """An area, and who is told that parts of it are let go of."""

    def __init__(self):
        self.loop, self.gone = StillLoop(), []
        descriptor, self.area = memory.create("test-held", SIZE)
        os.close(descriptor)
        self.held = Held(self.loop, self.gone.append)

    def hold(self, key, size=100):
        """Return the only view of a part that is held by a key."""
        part = self.area.part(0, size)
        self.held.hold(part, key)
        return memory.view(part)

    def ends(self, seconds=10.0):
        """Learn of the end of those children whose end can be told of within so many seconds."""
        for descriptor, ready in list(self.loop.ready.items()):
            if readable(descriptor, seconds):
                ready()


@pytest.fixture
def world():
    gc.collect()  # what other tests have left pinned
    world = World()
    before = descriptors()
    yield world
    assert descriptors() == before and not world.loop.ready


def test_what_nobody_holds_is_known_though_an_exception_from_outside_ended_the_news_of_it(world, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    monkeypatch.setattr(world.held, "_gone", interrupt)
    view = world.hold("key")
    assert world.held.holds("key") and not world.held.holds("other")
    del view
    assert not world.held.holds("key") and world.gone == []


class Child:
    """A forked child that does what it is told: end, run another program, or fork once more and end."""

    def __init__(self, then=lambda: None):
        here, there = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(here[1])
                os.close(there[0])
                os.read(here[0], 1)
                then()
                os.write(there[1], b"x")
                os.read(here[0], 1)
            finally:
                os._exit(0)
        os.close(here[0])
        os.close(there[1])
        self._orders, self._done = here[1], there[0]

    def go_on(self):
        """Have it do its work, and wait for that."""
        os.write(self._orders, b"x")
        assert os.read(self._done, 1) == b"x"

    def end(self):
        """End it."""
        os.close(self._orders)
        os.close(self._done)
        os.waitpid(self.pid, 0)


@contextmanager
def child(then=lambda: None):
    made = Child(then)
    yield made
    made.end()


def test_what_nobody_has_a_view_of_is_let_go_of(world):
    view = world.hold("a")
    other = world.hold("b")
    assert "a" in world.held and "c" not in world.held and len(world.held) == 2
    part = view[10:20][1:]
    del view
    assert world.gone == []
    del part
    assert world.gone == ["a"] and "a" not in world.held and len(world.held) == 1
    other.release()
    del other
    assert world.gone == ["a", "b"] and not len(world.held)


def test_an_array_on_it_and_all_that_is_made_of_that_hold_it(world):
    numpy = pytest.importorskip("numpy")
    array = numpy.frombuffer(world.hold("a"), "uint8")
    rows = array.reshape(10, 10)[::2].T
    del array
    assert world.gone == []
    copy = rows.copy()
    del rows
    assert world.gone == ["a"] and copy.shape == (10, 5)


def test_whichever_thread_is_the_last_to_have_it_tells_of_it(world):
    threads = []
    world.held = Held(world.loop, lambda key: threads.append((key, threading.current_thread().name)))
    view = [world.hold("a")]
    thread = threading.Thread(target=view.clear, name="the last")
    thread.start()
    thread.join(20)
    assert threads == [("a", "the last")]


def test_a_fork_where_nothing_is_held_costs_no_descriptor(world):
    world.hold("a")
    with child():
        assert not world.loop.ready


def test_what_was_held_when_a_child_was_forked_stays_held_until_the_child_has_ended(world):
    view = world.hold("a")
    with child() as forked:
        later = world.hold("b")
        del view
        assert world.gone == [], "the child has it before its eyes"
        del later
        assert world.gone == ["b"], "and this came after it"
        forked.go_on()
        world.ends(0)
        assert world.gone == ["b"]
    world.ends()
    assert world.gone == ["b", "a"]


def test_a_child_says_nothing_of_what_it_lets_go_of(world):
    view, other = [world.hold("a")], [world.hold("b")]
    lines = os.pipe()

    def let_go():
        view.clear()
        os.write(lines[1], b"%d" % len(world.gone))

    with child(let_go) as forked:
        forked.go_on()
        assert os.read(lines[0], 10) == b"0" and world.gone == []
    world.ends()
    assert world.gone == [] and "a" in world.held
    view.clear()
    other.clear()
    assert world.gone == ["a", "b"]
    for each in lines:
        os.close(each)


def test_a_child_that_runs_another_program_has_nothing_of_it_any_more(world):
    view = world.hold("a")
    ready = os.pipe()
    orders = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(orders[0], 0)
        os.dup2(ready[1], 1)
        os.execv(sys.executable, [sys.executable, "-c", "print('running', flush=True); input()"])
    del view
    assert os.read(ready[0], 7) == b"running"
    world.ends()
    assert world.gone == ["a"] and os.waitpid(pid, os.WNOHANG) == (0, 0), "it is running"
    os.write(orders[1], b"\n")
    os.waitpid(pid, 0)
    for each in (*ready, *orders):
        os.close(each)


def test_a_child_of_a_child_has_it_too(world):
    view = world.hold("a")
    orders, lines = os.pipe(), os.pipe()

    def fork():
        before = descriptors()
        grandchild = os.fork()
        if grandchild == 0:
            os.close(orders[1])
            os.read(orders[0], 1)
            os._exit(0)
        os.write(lines[1], b"x" if descriptors() == before else b"-")

    with child(fork) as forked:
        del view
        forked.go_on()
        assert os.read(lines[0], 1) == b"x", "what is the parent's to look after costs the child nothing"
    os.close(orders[0])
    world.ends(0)
    assert world.gone == [], "the child has ended, its child has not"
    os.close(orders[1])
    world.ends()
    assert world.gone == ["a"]
    for each in lines:
        os.close(each)


def test_it_stays_held_until_the_last_of_several_children_has_ended(world):
    view = world.hold("a")
    first, before = Child(), descriptors()
    lines = os.pipe()
    second = Child(lambda: os.write(lines[1], b"%d" % (descriptors() - before)["pipe"]))
    second.go_on()
    assert os.read(lines[0], 10) == b"4", "of the first child the second has nothing: these are its own"
    for each in lines:
        os.close(each)
    del view
    assert len(world.loop.ready) == 2
    second.end()
    world.ends(0.0)
    assert world.gone == []
    first.end()
    world.ends()
    assert world.gone == ["a"]


def test_where_there_is_no_descriptor_left_it_stays_held_for_nobody_could_tell_of_the_end(world, monkeypatch):
    def refuse():
        raise OSError(errno.EMFILE, "Too many open files")

    view = world.hold("a")
    with monkeypatch.context() as patch:
        made = os.pipe(), os.pipe()
        patch.setattr(os, "pipe", refuse)
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
    for each in (*made[0], *made[1]):
        os.close(each)
    del view
    assert world.gone == [] and not world.loop.ready


def test_the_end_of_all_that_is_held_is_told_of_in_a_child_too(world):
    empty = []
    world.held = Held(world.loop, world.gone.append, lambda: empty.append(os.getpid()))
    views, lines = [world.hold("a"), world.hold("b")], os.pipe()

    def let_go():
        views.clear()
        os.write(lines[1], b"x" if empty == [os.getpid()] and world.gone == [] else b"-")

    with child(let_go) as forked:
        forked.go_on()
        assert os.read(lines[0], 1) == b"x"
    world.ends()
    views.pop()
    assert empty == []
    views.pop()
    assert empty == [os.getpid()] and world.gone == ["b", "a"]
    for each in lines:
        os.close(each)


def test_as_long_as_a_part_is_held_its_owner_is_there_to_tell_of_it_though_nobody_else_has_it(world):
    view, other = world.hold("a"), world.hold("b")
    world.held = None
    gc.collect()
    with child():
        del view
        assert world.gone == []
    world.ends()
    assert world.gone == ["a"]
    del other
    assert world.gone == ["a", "b"]
