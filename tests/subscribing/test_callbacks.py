"""A user's functions in threads of their own: exceptions, and callbacks that are slower than their topic."""

from __future__ import annotations

import logging
import re
import time
from types import SimpleNamespace

import pytest

import ipcpy as ipc
from ipcpy.node.watch import EventQueue
from ipcpy.stats import SubscriberStats
from ipcpy.subscribing import callbacks
from ipcpy.subscribing.callbacks import Pace, call_with_events, call_with_messages


class World:
    """A topic at some messages a second, and a callback that takes some time for each; unread ones give way at 100."""

    def __init__(self, hz, seconds, burst=0):
        self.hz, self.seconds, self.burst = hz, seconds, burst
        self.now, self.handled, self.dropped = 0.0, 0, 0
        self.pace = Pace(self.stats, lambda: self.now)

    def come(self):
        return self.burst + int(self.now * self.hz)

    def unread(self):
        waiting = self.come() - self.handled - self.dropped
        self.dropped += max(0, waiting - 100)
        return min(waiting, 100)

    def stats(self):
        unread = self.unread()
        lost = {"inbox": self.dropped, "network": 7}
        return SubscriberStats(received=self.come() - self.dropped, lost=lost, unread=unread)

    def run(self, seconds):
        """Return when what is said, in the order in which it is."""
        said = []
        while self.now < seconds:
            if not self.unread():
                self.now = (self.come() - self.burst + 1) / self.hz  # it waits for the next
            self.now += self.seconds
            self.handled += 1
            if not self.unread():
                self.pace.caught_up()
            elif slow := self.pace.fell_behind():
                said.append((self.now, slow))
        return said


def test_a_callback_that_is_slower_than_its_topic_is_told_with_numbers():
    when, slow = World(100, 0.025).run(10)[0]
    assert 1.5 <= when < 3
    assert re.match(r"it takes 25 ms a message, 40 a second, and (100|99\.5) a second come: ", slow)
    assert slow.endswith(" wait, 0 were discarded unread")


def test_what_was_discarded_is_told_too():
    when, slow = World(1000, 0.3).run(10)[0]
    assert "it takes 300 ms a message" in slow
    assert ": 100 wait, " in slow
    assert " 0 were discarded" not in slow


def test_one_that_takes_seconds_for_a_message_is_told_after_a_few():
    when, slow = World(1, 3.0).run(60)[0]
    assert when < 15
    assert slow.startswith("it takes 3 s a message, 0.333 a second, and 1 a second come")


@pytest.mark.parametrize(
    ("hz", "seconds", "burst"),
    [
        (100, 0.001, 0),
        (100, 0.0095, 0),  # it just keeps up
        (10, 0.05, 90),  # and catches up on what was there before
        (1, 0.2, 95),
    ],
)
def test_one_that_keeps_up_is_not_told_however_much_it_begins_with(hz, seconds, burst):
    assert World(hz, seconds, burst).run(60) == []


@pytest.fixture
def subscription():
    return SimpleNamespace(slow="", stats=SubscriberStats)


def test_it_is_said_once_in_the_log_and_stays_in_why(subscription, monkeypatch, caplog):
    world = World(100, 0.025)
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: world.now)
    monkeypatch.setattr(callbacks, "Pace", lambda stats: world.pace)
    subscription.stats = world.stats

    def callback(message):
        world.now += world.seconds
        world.handled += 1

    messages = iter(range(1000))
    assert call_with_messages(callback, messages, [1], subscription, "imu")
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1
    assert warnings[0].startswith("the callback of the subscriber of 'imu' is slower than its topic: it takes 25 ms a")
    assert subscription.slow == f"The callback is slower than its topic: {warnings[0].partition('topic: ')[2]}."


def test_a_real_one_that_is_too_slow_is_told_and_why_says_so(caplog, wait_until):
    with ipc.Node("test") as node, ipc.Publisher("imu", node=node) as pub:
        with ipc.Subscriber("imu", callback=lambda message: time.sleep(0.05), node=node) as sub:
            pub.wait_for_subscribers(timeout=20)

            def is_told():
                pub.publish_many(range(10))
                return "The callback is slower than its topic: it takes " in sub.why()

            wait_until(is_told, timeout=20)
            assert caplog.text.count("the callback of the subscriber of 'imu' is slower than its topic") == 1


def test_what_a_function_raises_is_logged_and_the_next_call_is_made(subscription, caplog):
    taken = []

    def callback(message):
        taken.append(message)
        raise KeyError(message)

    assert call_with_messages(callback, [1, 2], [], subscription, "imu")
    queue = EventQueue()
    for event in ("late", "in time"):
        queue.put(event)
    queue.end()
    assert call_with_events(callback, queue, "imu")
    assert taken == [1, 2, "late", "in time"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 4
    assert "the callback of the subscriber of 'imu' failed" in caplog.text
    assert "on_late of the subscriber of 'imu' failed" in caplog.text


def test_what_ends_threads_ends_the_calls_and_that_is_said(subscription, caplog):
    def function(argument):
        raise SystemExit

    queue = EventQueue()
    queue.put("late")
    assert not call_with_messages(function, [1, 2], [], subscription, "imu")
    assert not call_with_events(function, queue, "imu")
    assert caplog.text.count("ended its thread: the subscriber is closed") == 2
