"""The I/O thread: calls, times, files, defects, the end."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from ipcpy.node.loop import Alarm, Loop


@pytest.fixture
def loop():
    loop = Loop("test")
    loop.start()
    yield loop
    loop.call(loop.quit)
    loop.join(20)


def test_calls_happen_in_the_thread_and_in_order(loop):
    done, seen = threading.Event(), []
    for number in range(100):
        loop.call(seen.append, (number, loop.in_thread()))
    loop.call(lambda: seen.append(loop.in_thread()))
    loop.call(done.set)
    assert done.wait(20)
    assert [number for number, _ in seen[:-1]] == list(range(100))
    assert seen[-1] is True and not loop.in_thread()


def test_a_call_made_while_the_loop_takes_note_of_another_leaves_it_awake(monkeypatch):
    loop = Loop("test")
    clear, first, second, third = loop._wake.clear, threading.Event(), threading.Event(), threading.Event()

    def clear_late():
        other = threading.Thread(target=loop.call, args=(second.set,))
        other.start()
        other.join(20)
        clear()

    monkeypatch.setattr(loop._wake, "clear", clear_late)
    loop.call(first.set)
    loop.start()
    assert first.wait(20) and second.wait(20)
    monkeypatch.undo()
    loop.call(third.set)
    assert third.wait(20)
    loop.call(loop.quit)
    loop.join(20)


def test_a_defect_stops_nothing(loop, caplog):
    done = threading.Event()
    loop.call(lambda: 1 / 0)
    loop.call(done.set)
    assert done.wait(20)
    assert "ZeroDivisionError" in caplog.text


def test_a_file_whose_reader_is_defect_does_not_spin(loop, caplog):
    left, right = socket.socketpair()
    with left, right:
        loop.watch(left, lambda: 1 / 0)
        right.send(b"x")
        done = threading.Event()
        threading.Timer(0.3, done.set).start()
        assert done.wait(20)
        assert 1 <= caplog.text.count("ZeroDivisionError: ") <= 4
        loop.unwatch(left)


def test_files_are_watched_until_they_are_not(loop):
    left, right = socket.socketpair()
    seen = threading.Event()
    with left, right:
        loop.watch(left, lambda: (left.recv(10), seen.set()))
        right.send(b"x")
        assert seen.wait(20)
        loop.unwatch(left)
        loop.unwatch(left)
        seen.clear()
        right.send(b"x")
        done = threading.Event()
        loop.call(done.set)
        assert done.wait(20) and not seen.is_set()


def test_an_alarm_can_be_moved_to_an_earlier_time(loop):
    rung = threading.Event()
    alarm = Alarm(loop, rung.set)
    now = time.monotonic()
    alarm.by(now + 60)
    alarm.by(now + 0.02)
    alarm.by(now + 30)
    assert rung.wait(20)
    assert 0.02 <= time.monotonic() - now < 5


def test_an_alarm_rings_again_after_it_rang(loop):
    times = []
    done = threading.Event()

    def ring():
        times.append(time.monotonic())
        if len(times) == 3:
            done.set()
        else:
            alarm.by(time.monotonic() + 0.005)

    alarm = Alarm(loop, ring)
    alarm.by(time.monotonic())
    assert done.wait(20)


def test_the_end_closes_what_it_had():
    loop = Loop("test")
    loop.start()
    loop.call(loop.quit)
    loop.join(20)
    assert loop._wake.fileno() == -1


def test_it_closes_what_it_had_also_where_nobody_waits_for_the_end(loop_without_end, wait_until):
    loop, go_on = loop_without_end
    loop.join(0.01)
    assert loop._wake.fileno() != -1
    go_on.set()
    wait_until(lambda: loop._wake.fileno() == -1)


def test_a_loop_that_has_ended_ignores_what_is_asked_of_it():
    loop = Loop("test")
    loop.start()
    loop.call(loop.quit)
    loop.join(20)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        loop.watch(ours, lambda: None)
        loop.unwatch(ours)
        loop.call(print, "never")


@pytest.fixture
def loop_without_end():
    """A loop that is to end, but is held up by a call."""
    loop, go_on = Loop("test"), threading.Event()
    loop.start()
    loop.call(go_on.wait, 20)
    loop.call(loop.quit)
    yield loop, go_on
    go_on.set()
    loop.join(20)


class Interrupted(Loop):
    """A loop in which an exception from outside comes at a moment: in the thread that calls it, once."""

    interrupted = False

    def interrupt(self):
        if not self.interrupted and not super().in_thread():
            self.interrupted = True
            raise KeyboardInterrupt

    def in_thread(self):
        self.interrupt()
        return super().in_thread()


class InterruptedLate(Interrupted):
    def in_thread(self):
        return Loop.in_thread(self)

    def _wake_up(self):
        self.interrupt()
        super()._wake_up()


@pytest.fixture(params=[Interrupted, InterruptedLate])
def interrupted(request):
    loop = request.param("test")
    loop.start()
    yield loop
    loop.call(loop.quit)
    loop.join(20)


def test_a_call_is_made_soon_although_an_exception_from_outside_comes_meanwhile(interrupted):
    done = threading.Event()
    with pytest.raises(KeyboardInterrupt):
        interrupted.call(done.set)
    assert done.wait(20)


def test_an_alarm_rings_although_an_exception_from_outside_comes_while_it_is_set(interrupted):
    done = threading.Event()
    alarm = Alarm(interrupted, done.set)
    with pytest.raises(KeyboardInterrupt):
        alarm.by(time.monotonic())
    assert done.wait(20)
