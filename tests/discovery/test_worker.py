"""discovery.worker: actions in a thread, without any network."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from ipcpy.discovery.worker import Action, Worker
from lan_process import wait_until


class Labour:
    """A worker in a thread of its own, and what it did."""

    def __init__(self, spacing: float = 0.0) -> None:
        self.done: list[str] = []
        self.times: list[float] = []
        self.errors: list[str] = []
        self.ended = False
        actions = {name: Action(getattr(self, "_" + name), spacing) for name in ("begin", "work", "fail", "astray")}
        self.worker = Worker(actions, self.errors.append, lambda: None)
        self.thread = threading.Thread(target=self.worker.run, args=("begin", self._end), daemon=True)

    async def _begin(self, now: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.done.append("begin")

    async def _work(self, now: float) -> None:
        self.done.append("work")
        self.times.append(now)

    async def _fail(self, now: float) -> None:
        self.done.append("fail")
        raise ZeroDivisionError("on purpose")

    async def _astray(self, now: float) -> None:
        asyncio.get_running_loop().call_soon(lambda: [].pop())

    async def _end(self) -> None:
        self.ended = True


@pytest.fixture
def labour() -> Iterator[Labour]:
    one = Labour()
    one.thread.start()
    wait_until(lambda: one.done)
    yield one
    one.worker.stop()
    one.thread.join(20)
    assert not one.thread.is_alive() and one.ended


def test_the_first_action_is_done_without_being_asked(labour: Labour) -> None:
    assert labour.done == ["begin"]


def test_other_threads_wake_it(labour: Labour) -> None:
    labour.worker.wake("work")
    wait_until(lambda: labour.done == ["begin", "work"])


def test_an_action_that_fails_is_told_and_others_go_on(labour: Labour) -> None:
    labour.worker.wake("fail")
    labour.worker.wake("work")
    wait_until(lambda: "work" in labour.done)
    assert labour.errors == ["ZeroDivisionError: on purpose"]


def test_what_fails_in_the_event_loop_is_told_too(labour: Labour) -> None:
    labour.worker.wake("astray")
    wait_until(lambda: labour.errors)
    assert "IndexError" in labour.errors[0]
    labour.worker.wake("work")
    wait_until(lambda: "work" in labour.done)


def test_however_often_an_action_is_wanted_its_spacing_is_kept() -> None:
    labour = Labour(spacing=0.05)
    labour.thread.start()
    wait_until(lambda: labour.done)

    def want_more() -> bool:
        labour.worker.wake("work")
        return len(labour.times) >= 3

    wait_until(want_more, interval=0.001)
    labour.worker.stop()
    labour.thread.join(20)
    times = labour.times
    assert all(later >= earlier + 0.05 for earlier, later in zip(times, times[1:], strict=False))


def test_a_delay_is_waited_for(labour: Labour) -> None:
    labour.worker.wake("work", 0.1)
    labour.worker.wake("fail")
    wait_until(lambda: "work" in labour.done)
    assert labour.done == ["begin", "fail", "work"]


def test_it_stops_while_it_has_nothing_to_do_and_then_nothing_wakes_it() -> None:
    labour = Labour()
    labour.thread.start()
    wait_until(lambda: labour.done)
    labour.worker.stop()
    labour.thread.join(20)
    assert labour.ended
    labour.worker.wake("work")
    labour.worker.stop()
    assert labour.done == ["begin"]


def test_stopped_before_it_runs_it_does_only_the_last_thing() -> None:
    labour = Labour()
    labour.worker.stop()
    labour.thread.start()
    labour.thread.join(20)
    assert labour.ended and labour.done == []


def test_abandoned_it_is_not_woken() -> None:
    labour = Labour()
    labour.thread.start()
    wait_until(lambda: labour.done)
    labour.worker.abandon()
    labour.worker.wake("fail")
    labour.loop.call_soon_threadsafe(labour.worker.plan, "work", 0.0)  # which comes after whatever woke it before
    wait_until(lambda: labour.times)
    assert labour.done == ["begin", "work"]
    labour.worker.stop()
    labour.loop.call_soon_threadsafe(labour.worker.plan, "work", 0.0)
    labour.thread.join(20)
    assert labour.ended
