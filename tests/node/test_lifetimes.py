"""What becomes of open nodes when the interpreter exits, and in forked children. Processes are real."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

import ipcpy as ipc
from ipcpy.locks import Bell, Monitor
from ipcpy.node import lifetimes


class Life:
    def __init__(self):
        self.ends = []

    def close(self):
        self.ends.append("closed")
        lifetimes.ended(self)

    def abandon(self):
        self.ends.append("abandoned")
        lifetimes.ended(self)


@pytest.fixture
def lives(monkeypatch):
    """Two lives, apart from the nodes that are open in this process."""
    monkeypatch.setattr(lifetimes, "_open", weakref.WeakSet())
    lives = Life(), Life()
    for life in lives:
        lifetimes.opened(life)
    return lives


@pytest.mark.parametrize(("end", "told"), [("close_all", "closed"), ("_abandon_all", "abandoned")])
def test_all_that_are_open_end_and_each_only_once(lives, end, told):
    getattr(lifetimes, end)()
    getattr(lifetimes, end)()
    assert [life.ends for life in lives] == [[told], [told]]


def test_one_that_ended_by_itself_is_left_alone(lives):
    lifetimes.ended(lives[0])
    lifetimes.close_all()
    assert [life.ends for life in lives] == [[], ["closed"]]


def test_nothing_is_kept_alive(monkeypatch):
    monkeypatch.setattr(lifetimes, "_open", weakref.WeakSet())
    life = Life()
    lifetimes.opened(life)
    gone = weakref.ref(life)
    del life
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("ending", ["", "raise SystemExit(0)", "del node, publisher"])
def test_a_program_that_just_ends_says_goodbye(spawn, ending):
    program = f"""
import sys
import ipcpy as ipc
node = ipc.Node("short", domain="lifetimes")
publisher = ipc.Publisher("a", node=node)
print("ready", flush=True)
sys.stdin.readline()
{ending}
"""
    with ipc.Node("watcher", domain="lifetimes") as watcher, watcher.watch() as watch:
        short = spawn(program)
        short.wait_line("ready")
        while not (isinstance(event := watch.get(20), ipc.NodeFound) and event.node.name == "short"):
            pass
        short.send_line()
        while not isinstance(event := watch.get(20), ipc.NodeLost):
            pass
        assert (event.node.name, event.reason) == ("short", "closed")
        assert short.wait(30) == 0


class Thread:
    """Stands for the I/O thread."""

    def __init__(self, inside=False):
        self.inside = inside
        self.calls = []

    def in_thread(self):
        return self.inside

    def call(self, function, *arguments):
        self.calls.append(function)


def test_what_is_forgotten_is_closed_at_once_unless_that_may_hang():
    closed, monitor = [], Monitor(Bell())

    def close():
        with monitor.lock:  # as closing does
            closed.append(True)

    lifetimes.close_forgotten(Thread(), monitor, close)
    assert closed == [True] and not monitor.owned()
    within, outside, elsewhere = Thread(inside=True), Thread(), Thread()
    lifetimes.close_forgotten(within, monitor, close)
    with monitor.lock:
        lifetimes.close_forgotten(outside, monitor, close)
        other = threading.Thread(target=lifetimes.close_forgotten, args=(elsewhere, monitor, close))
        other.start()
        other.join(20)
    assert closed == [True] and within.calls == outside.calls == elsewhere.calls == [close]


CHILD = """
import os, sys
import ipcpy as ipc

node = ipc.Node("forked", domain="lifetimes")
publisher = ipc.Publisher("a", node=node)
before, descriptors = node.id, set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()
child = os.fork()
if child == 0:
    assert node.id == before, "not used yet"
    known = [each.id for each in node.nodes()]
    assert node.id in known  # and the parent, which is another node now, if it has answered
    assert node.id != before, "used"
    assert not node.closed
    publisher.publish(1)
    with ipc.Subscriber("a", node=node) as subscriber:
        publisher.wait_for_subscribers(1, 20)
        publisher.publish(2)
        assert subscriber.recv(20).data == 2
    assert len(node._core._publishers) == 1, "the parent's number is forgotten"
    node.close()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert node.id == before and not node.closed
with ipc.Subscriber("a", node=node) as subscriber:
    publisher.wait_for_subscribers(1, 20)
    publisher.publish(3)
    assert subscriber.recv(20).data == 3
print("both work", flush=True)
"""


def test_a_forked_child_begins_anew_with_the_same_handles_and_the_parent_goes_on(spawn):
    assert spawn(CHILD).succeed(timeout=50) == "both work\n"


UNUSED = """
import os
import ipcpy as ipc

node = ipc.Node("forked", domain="lifetimes")
with ipc.Node("watcher", domain="lifetimes") as watcher:
    while len(watcher.nodes()) < 2:
        pass
    if os.fork() == 0:
        if "{how}" == "close":
            node.close()
            assert node.closed
            try:
                node.nodes()
            except ipc.ClosedError:
                print("closed", flush=True)
        raise SystemExit
    os.wait()
    with watcher.watch() as watch:
        try:
            while True:
                event = watch.get(0.5)
                assert not isinstance(event, ipc.NodeLost), event
        except TimeoutError:
            print("lives", flush=True)
"""


@pytest.mark.parametrize(("how", "says"), [("close", "closed\nlives\n"), ("exit", "lives\n")])
def test_a_child_that_ends_without_using_the_node_does_the_parent_no_harm(spawn, how, says):
    assert spawn(UNUSED.format(how=how)).succeed(timeout=50) == says


FORKED = """
import os, signal, threading
import ipcpy as ipc
node = ipc.Node("parent", domain="lifetimes")
node.wait_complete()
watch = node.watch()
asks, stop = threading.Event(), threading.Event()

def ask():
    with node._core._view._lock:  # as ``topics`` does for a moment
        asks.set()
        stop.wait(20)

asking = threading.Thread(target=ask)
asking.start()
asks.wait()
ends = set()
for number in range(2):
    child = os.fork()
    if child == 0:
        signal.alarm(5)  # seconds until one that hangs dies
        (node, watch)[number % 2].close()
        os._exit(0)
    ends.add(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
asking.join()
assert ends == {0}, ends
"""


def test_a_child_may_close_what_its_parent_was_busy_with(spawn):
    spawn(FORKED).succeed()
