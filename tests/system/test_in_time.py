"""In time, between processes: publishers that are killed, stopped and started again; forks, and Ctrl-C."""

from __future__ import annotations

import contextlib
import re
import signal
import time
from pathlib import Path

import pytest

import ipcpy as ipc

CAMERA = """
    import ipcpy as ipc
    with ipc.Publisher("camera", rate=100, node=ipc.Node("cam")) as pub:
        pub.wait_for_subscribers(timeout=10)
        print("ready", flush=True)
        for _ in ipc.Rate(100):
            pub.publish(1)
"""
DEADLINE = 0.3
DOCUMENT = (Path(__file__).parents[2] / "docs/timing.md").read_text(encoding="utf-8")


@pytest.fixture
def watched(spawn):
    """A camera, its subscriber, and a watch that has told of both being there."""
    with ipc.Node("watchdog") as node, ipc.Subscriber("camera", deadline=DEADLINE, node=node) as sub:
        with sub.watch() as watch:
            camera = spawn(CAMERA)
            camera.wait_line("ready")
            in_time(sub, watch)
            yield camera, sub, watch


def in_time(sub, watch):
    """Return when a message has come this moment, and no event waits: a busy computer may delay the first ones."""
    sub.latest()
    sub.recv(20)
    with contextlib.suppress(TimeoutError):
        while True:
            watch.get(0)


def until(watch, *kinds, timeout=20):
    """Return the next event of each of some kinds; they may come in any order."""
    found = {}
    while len(found) < len(kinds):
        event = watch.get(timeout)
        if type(event) in kinds:
            found.setdefault(type(event), event)
    return [found[kind] for kind in kinds]


def test_who_kills_a_camera_is_told_that_it_is_lost_why_and_that_it_is_late_and_when_the_next_one_flows(spawn, watched):
    camera, sub, watch = watched
    killed = time.monotonic()
    camera.kill()
    lost, late = until(watch, ipc.PublisherLost, ipc.TopicLate)
    assert (lost.reason, lost.publisher.node.name, late.publisher.node.name) == ("process died", "cam", "cam")
    assert DEADLINE - 0.05 < time.monotonic() - killed, "it is not told before it is so"
    assert "the process of publisher 'cam'" in sub.why()
    spawn(CAMERA).wait_line("ready")
    found, in_time = until(watch, ipc.PublisherFound, ipc.TopicInTime)
    assert in_time.publisher.id == found.publisher.id != lost.publisher.id
    assert in_time.seconds > late.seconds


def test_a_camera_that_is_stopped_is_late_then_stalled_and_all_is_well_when_it_goes_on(watched):
    camera, sub, watch = watched
    camera.signal(signal.SIGSTOP)
    (late,) = until(watch, ipc.TopicLate)
    (stalled,) = until(watch, ipc.PublisherStalled)  # long after that
    assert stalled.publisher.node.state == "unresponsive"
    with sub.watch() as another:
        found = [another.get(20) for _ in range(3)]
        assert [type(event) for event in found] == [ipc.PublisherFound, ipc.PublisherStalled, ipc.TopicLate]
    camera.signal(signal.SIGCONT)
    in_time, resumed = until(watch, ipc.TopicInTime, ipc.PublisherResumed)
    assert resumed.publisher.node.state == "alive"
    assert in_time.seconds > late.seconds


FORKED = """
    import os
    import ipcpy as ipc
    node = ipc.Node("forks")
    told = []
    sub = ipc.Subscriber("t", deadline=0.05, max_age=10, on_late=told.append, node=node)
    watch = sub.watch()
    pub = ipc.Publisher("t", node=node)
    pub.wait_for_subscribers(timeout=20)
    while not any(isinstance(event, ipc.TopicLate) for event in watch):
        pass
    child = os.fork()
    if child == 0:
        sub.why(), sub.stats
        try:
            while True:
                watch.get(20)
        except ipc.ClosedError:
            pass
        with ipc.Publisher("t", node=node) as other, sub.watch() as again:
            sub.wait_for_publishers(2, timeout=10)
            for event in again:
                if isinstance(event, ipc.TopicLate):
                    break
            other.publish(1)
            assert sub.recv(20).data == 1
            assert sub.stats.late >= 1
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    before = len(told)
    pub.publish(2)
    while not any(isinstance(event, ipc.TopicInTime) for event in watch):
        pass
    sub.close()
"""


def test_in_a_forked_child_watches_end_and_new_ones_tell_and_the_parent_is_told_as_before(spawn):
    spawn(FORKED).succeed()


WATCHES = """
    import ipcpy as ipc
    try:
        with ipc.Subscriber("t", deadline=1, on_late=print) as sub:
            watch = sub.watch()  # before: CPython dies in the end of an interrupt of exec(), which dataclasses use
            print("ready", flush=True)
            for event in watch:
                pass
    except KeyboardInterrupt:
        pass
"""
TICKS = """
    import ipcpy as ipc
    try:
        rate = ipc.Rate(0.01)
        print("ready", flush=True)
        for _ in rate:
            pass
    except KeyboardInterrupt:
        pass
"""


def test_ctrl_c_ends_whoever_waits_for_an_event_or_a_tick(spawn):
    for lines in (WATCHES, TICKS):
        process = spawn(lines)
        process.wait_line("ready")
        process.signal(signal.SIGINT)
        process.succeed()


@pytest.mark.parametrize("number", [0, 1])
def test_the_programs_of_the_document_run(spawn, number):
    printed = spawn(re.findall(r"^```python\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)[number]).succeed()
    if number == 0:
        assert re.search(r"no image for \d\.\d\d s, the last was of ", printed)
        assert re.search(r"images come again, after \d\.\d\d s", printed)  # and perhaps what on_late prints meanwhile


HOURS_BEHIND = """
    import time
    real = time.time_ns
    time.time_ns = lambda: real() - 7200 * 10**9
    import ipcpy as ipc
    with ipc.Publisher("camera", rate=50) as pub:
        for number in range(100_000):
            pub.publish(number)
            time.sleep(0.02)
"""
FRESH = """
    import time
    import ipcpy as ipc
    with ipc.Subscriber("camera", max_age=2.0) as sub:
        message = sub.recv(20)
        print("seems to have taken", round((message.received_ns - message.sent_ns) / 1e9), "s", flush=True)
        for _ in range(50):
            sub.recv(20)
        print("discarded", sub.stats.lost.get("too old", 0), flush=True)
        time.sleep(3)  # that is what it is about
        sub.recv(20)
        print("discarded", sub.stats.lost.get("too old", 0), flush=True)
"""


def test_what_is_too_old_is_known_between_hosts_whose_clocks_are_hours_apart(lan):
    hosts = lan(2)
    hosts.spawn(1, HOURS_BEHIND)
    skew, before, after = hosts.spawn(2, FRESH).succeed().splitlines()
    assert skew == "seems to have taken 7200 s"
    assert before == "discarded 0"
    assert int(after.split()[1]) >= 10, "what waited for longer than 2 s"
