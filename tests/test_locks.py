"""Locks and waits that exceptions from outside, signal handlers and threads that are not there do not break."""

from __future__ import annotations

import asyncio
import dis
import itertools
import logging
import signal
import sys
import threading
import time

import pytest

from ipcpy import locks
from ipcpy.locks import Bell, Monitor, Turn
from still import held_by_another_thread

LOCKS = pytest.mark.parametrize("lock", [threading.RLock(), locks.RLock()], ids=["Python's", "ours"])


@LOCKS
def test_who_holds_a_lock_may_take_it_again_and_nobody_else_gives_it_back(lock):
    assert not lock._is_owned()
    with pytest.raises(RuntimeError, match="cannot release un-acquired lock"):
        lock.release()
    with lock:
        assert lock.acquire() is True and lock.acquire(False) is True and lock.acquire(True, 0.5) is True
        for _ in range(3):
            lock.release()
        assert lock._is_owned()
    assert not lock._is_owned()
    with held_by_another_thread(lock):
        assert not lock._is_owned()
        assert lock.acquire(False) is False and lock.acquire(blocking=False) is False
        assert lock.acquire(True, 0) is False and lock.acquire(timeout=0.001) is False
        with pytest.raises(RuntimeError, match="cannot release un-acquired lock"):
            lock.release()
    assert lock.acquire(timeout=20)
    lock.release()


@LOCKS
def test_a_lock_refuses_what_is_no_time(lock):
    for error, arguments in (
        (ValueError, (False, 1)),
        (ValueError, (True, -2)),
        (ValueError, (True, float("nan"))),
        (OverflowError, (True, 1e12)),
        (TypeError, (True, "x")),
        (TypeError, (True, 1, 1)),
    ):
        with pytest.raises(error):
            lock.acquire(*arguments)
    assert not lock._is_owned()


@LOCKS
def test_only_one_thread_at_a_time_has_a_lock(lock):
    count, inside, most = 0, 0, 0

    def work():
        nonlocal count, inside, most
        for _ in range(300):
            with lock:
                inside += 1
                most = max(most, inside)
                time.sleep(0)
                count += 1
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count == 1_200 and most == 1


@LOCKS
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no such signals here")
def test_handlers_of_signals_run_while_one_waits_for_a_lock(lock):
    """What one raises ends the wait; else it goes on, in all no longer than was said."""
    handled = []

    def handle(*_):
        handled.append(lock._is_owned())
        if len(handled) == 3:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, handle)
    try:
        with held_by_another_thread(lock):
            for waiting in (lock.acquire, lock.__enter__, lambda: lock.acquire(timeout=50)):
                handled.clear()
                signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
                with pytest.raises(KeyboardInterrupt):
                    waiting()
                signal.setitimer(signal.ITIMER_REAL, 0)
                assert handled[:3] == [False] * 3 and not lock._is_owned()
            handled[:] = [None] * 3  # raises no more
            signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
            assert lock.acquire(timeout=0.1) is False
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    with lock:
        assert lock._is_owned()


@pytest.fixture
def monitor():
    return Monitor(Bell())


def test_work_is_done_with_the_lock_held_and_waits_without_it(monitor):
    held = []

    def work():
        held.append(monitor.owned())
        yield 0.0
        held.append(monitor.owned())
        return "done"

    waiter = monitor.bell.waiter
    monitor.bell.waiter = lambda: (wait := waiter()) and (lambda timeout: (held.append(monitor.owned()), wait(timeout)))
    assert monitor.do(work()) == "done"
    assert held == [True, False, True] and not monitor.owned()


def test_a_change_ends_the_wait_even_one_that_comes_before_it_begins(monitor):
    waits = [monitor.bell.waiter() for _ in range(3)]
    monitor.bell.ring()
    assert all(wait(None) for wait in waits)
    assert not monitor.bell.waiter()(0.0)
    assert not monitor.bell.waiter()(-1.0), "a time that is over"


def test_another_thread_gets_in_while_the_work_waits(monitor):
    changed = []

    def change():
        with monitor.lock:
            changed.append(True)
            monitor.bell.ring()

    def work():
        threading.Thread(target=change).start()
        while not changed:
            yield None

    monitor.do(work())
    assert changed == [True]


def test_work_that_fails_says_so_and_leaves_the_lock_free(monitor):
    def work():
        yield 0.0
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        monitor.do(work())
    assert not monitor.owned()


def test_who_holds_the_lock_cannot_be_made_to_wait_for_itself(monitor):
    def work():
        yield None

    with monitor.lock, pytest.raises(RuntimeError, match="later"):
        monitor.do(work())
    assert not monitor.owned()


def test_what_was_put_off_is_done_once_the_lock_is_free_whatever_it_raises(monitor, caplog):
    done = []

    def later(number):
        done.append((number, monitor.owned()))
        if number == 1:
            raise ValueError("on purpose")
        yield 0.0
        done.append((number, monitor.owned()))

    def work():
        monitor.later.extend((later(1), later(2)))
        return "result"
        yield

    with caplog.at_level(logging.ERROR):
        assert monitor.do(work()) == "result"
    assert done == [(1, True), (2, True), (2, True)]
    assert "on purpose" in caplog.text
    monitor.catch_up()
    assert len(done) == 3


def test_an_interruption_ends_the_work_in_good_order_with_the_lock_held(monitor):
    ended = []

    def work():
        try:
            yield None
        finally:
            ended.append(monitor.owned())

    def interrupted(timeout):
        raise KeyboardInterrupt

    monitor.bell.waiter = lambda: interrupted
    with pytest.raises(KeyboardInterrupt):
        monitor.do(work())
    assert ended == [True] and not monitor.owned()


CHECKS = ("CALL", "CALL_FUNCTION_EX", "JUMP_BACKWARD", "RESUME")  # after these Python looks for signals


def interrupt_at(moment, code):
    """Return a trace function that raises KeyboardInterrupt when Python looks for signals, the so many-th time.

    In the second call, before which it is to be set anew: only then do Python 3.12 and 3.13 tell of instructions.
    """
    instructions = list(dis.get_instructions(code))
    after = {later.offset for one, later in itertools.pairwise(instructions) if one.opname in CHECKS}
    calls, left = 0, moment

    def trace(frame, event, argument):
        nonlocal calls, left
        if frame.f_code is not code:
            return None
        calls += event == "call"
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode" and calls == 2 and frame.f_lasti in after:
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    return trace


def test_an_interruption_after_any_call_leaves_the_lock_free(monitor):
    def work():
        yield 0.0
        return 7

    moments = 0
    while True:
        moments += 1
        trace = interrupt_at(moments, Monitor.do.__code__)
        sys.settrace(trace)
        try:
            assert monitor.do(work()) == 7
            sys.settrace(trace)
            result = monitor.do(work())
        except KeyboardInterrupt:
            result = None
        finally:
            sys.settrace(None)
        assert not monitor.owned(), f"after call {moments}"
        if result == 7:
            break
        assert monitor.do(work()) == 7
    assert moments > 5


def test_a_thread_is_started_and_an_interruption_meanwhile_is_told_as_such(monkeypatch):
    started = threading.Event()
    locks.start(threading.Thread(target=started.set))
    assert started.wait(20)

    class Interrupted(threading.Thread):
        def start(self):
            try:
                raise KeyboardInterrupt
            finally:
                raise RuntimeError("release unlocked lock")  # as Python 3.11 does

    with pytest.raises(KeyboardInterrupt):
        locks.start(Interrupted())
    thread = threading.Thread(target=started.set)
    thread.start()
    with pytest.raises(RuntimeError, match="once"):
        locks.start(thread)


# -- a bell for threads and coroutines


def test_a_coroutine_and_a_thread_wait_for_the_same_change():
    changes, found = Bell(), []

    def wait():
        wait = changes.waiter()
        assert found or wait(5)

    async def main():
        thread = threading.Thread(target=wait)
        thread.start()
        waiting = asyncio.create_task(changes.wait_async(lambda: found))
        await asyncio.sleep(0)
        threading.Thread(target=happen).start()
        async with asyncio.timeout(20):
            await waiting
        thread.join(20)
        assert not thread.is_alive()

    def happen():
        found.append(1)
        changes.ring()

    asyncio.run(main())


def test_what_is_true_already_is_not_waited_for():
    asyncio.run(asyncio.wait_for(Bell().wait_async(lambda: True), 20))


def test_what_becomes_true_before_anybody_is_told_is_not_missed():
    looks = iter([False, True, True])
    asyncio.run(asyncio.wait_for(Bell().wait_async(lambda: next(looks)), 20))


def test_a_wake_up_for_something_else_is_no_end():
    async def main():
        changes, found = Bell(), []
        waiting = asyncio.create_task(changes.wait_async(lambda: found))
        for _ in range(3):
            await asyncio.sleep(0)
            changes.ring()
        assert not waiting.done()
        found.append(1)
        changes.ring()
        await asyncio.wait_for(waiting, 5)

    asyncio.run(main())


def test_a_coroutine_that_is_cancelled_leaves_nothing_behind():
    async def main():
        changes = Bell()
        waiting = asyncio.create_task(changes.wait_async(lambda: False))
        await asyncio.sleep(0)
        assert len(changes._futures) == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert not changes._futures

    asyncio.run(main())


def test_coroutines_of_several_event_loops_are_all_woken():
    changes, found = Bell(), []

    def run():
        asyncio.run(asyncio.wait_for(changes.wait_async(lambda: found), 20))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    found.append(1)
    changes.ring()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads) and not changes._futures


def test_an_event_loop_that_was_closed_while_it_waited_harms_nobody():
    changes = Bell()
    loop = asyncio.new_event_loop()
    task = loop.create_task(changes.wait_async(lambda: False))
    loop.run_until_complete(asyncio.sleep(0))
    task._log_destroy_pending = False
    loop.close()
    changes.ring()
    task.get_coro().close()


def test_the_turn_is_one_threads_and_the_others_go_without():
    turn, used = Turn(), []
    turn.use(used.append, 1)
    turn.use(lambda: turn.use(used.append, "in a signal handler"))

    def elsewhere():
        turn.use(used.append, "in another thread")
        turn.await_end(0.01)
        assert not turn.owned()

    with turn.lock:
        assert turn.owned()
        other = threading.Thread(target=elsewhere)
        other.start()
        other.join(20)
    with pytest.raises(ValueError, match="on purpose"):
        turn.use(int, "on purpose")
    turn.await_end(0.0)
    assert used == [1] and not turn.owned()


def test_something_is_waited_for_until_it_is_true_or_the_time_is_up(monitor):
    true = []

    def happen():
        with monitor.lock:
            true.append(True)
            monitor.bell.ring()

    assert not monitor.wait_for(lambda: true, 0.0) and not monitor.wait_for(lambda: true, 0.001)
    threading.Thread(target=happen).start()
    assert monitor.wait_for(lambda: true, None)
    with monitor.lock:
        assert monitor.wait_for(lambda: true, None) and not monitor.wait_for(lambda: not true, None)
    assert asyncio.run(monitor.wait_for_async(lambda: true, None))
    assert not asyncio.run(monitor.wait_for_async(lambda: not true, 0.001))


def test_waits_that_were_in_vain_leave_nothing_behind_however_long_nothing_changes(monitor):
    for _ in range(20):
        assert not monitor.wait_for(lambda: False, 0.0001)
    assert not monitor.bell._waiting


def test_a_lock_is_busy_while_any_thread_holds_it_and_to_ask_leaves_it_free(monitor):
    assert not monitor.busy() and not monitor.owned()
    with monitor.lock:
        assert monitor.busy() and monitor.owned()
    with held_by_another_thread(monitor.lock):
        assert monitor.busy() and not monitor.owned()
    assert not monitor.busy()
