"""discovery.calm on a made-up clock: what a thread used, and how long its selector pauses for that."""

from __future__ import annotations

import selectors
import threading

import pytest

from ipcpy.discovery import calm
from ipcpy.discovery.calm import CalmSelector


class Clock:
    """Stands for the module ``time``."""

    def __init__(self) -> None:
        self.now, self.used = 1000.0, 5.0

    def monotonic(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return self.used

    def work(self, seconds: float) -> None:
        self.now += seconds
        self.used += seconds


class Stopping(threading.Event):
    """Keeps how long it was waited for; the clock goes on meanwhile."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.pauses: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.pauses.append(round(timeout, 6))
        self.clock.now += timeout
        return False


class Calm:
    """A selector on a made-up clock, and how often it said that it pauses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        monkeypatch.setattr(calm, "time", self.clock)
        self.stopping = Stopping(self.clock)
        self.said = 0
        self.selector = CalmSelector(self.stopping, self._on_pause)

    def _on_pause(self) -> None:
        self.said += 1

    def work(self, seconds: float) -> list[float]:
        """Work between two calls of select; return the pauses of the second."""
        self.clock.work(seconds)
        before = len(self.stopping.pauses)
        assert self.selector.select(0) == []
        return self.stopping.pauses[before:]


@pytest.fixture
def thread(monkeypatch: pytest.MonkeyPatch) -> Calm:
    return Calm(monkeypatch)


def test_who_does_little_never_pauses(thread: Calm) -> None:
    for _ in range(1000):
        assert thread.work(0.01) == []
        thread.clock.now += 0.09
    assert thread.said == 0


def test_half_a_second_of_work_at_once_costs_no_pause(thread: Calm) -> None:
    assert thread.work(0.5) == []
    assert thread.said == 0


def test_a_pause_is_as_long_as_a_tenth_of_a_core_takes_for_what_was_too_much(thread: Calm) -> None:
    assert thread.work(0.5) == []  # all it may at once, and 0.05 came back meanwhile
    assert thread.work(0.06) == [pytest.approx(0.04)]  # 0.06 - 0.05 - 0.1 * 0.06
    assert thread.said == 1
    assert thread.work(0.0) == []


def test_no_pause_is_longer_than_a_quarter_of_a_second(thread: Calm) -> None:
    assert thread.work(2.0) == [0.25]


def test_whoever_floods_gets_a_tenth_of_a_core(thread: Calm) -> None:
    start = thread.clock.now
    for _ in range(2_000):
        thread.work(0.02)
    elapsed = thread.clock.now - start
    assert 2_000 * 0.02 == pytest.approx(0.5 + 0.1 * elapsed, rel=0.02)


def test_stopping_ends_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pause that would take for ever, were it not for the real event."""
    clock, stopping = Clock(), threading.Event()
    monkeypatch.setattr(calm, "time", clock)
    monkeypatch.setattr(calm, "PAUSE_MAX", 1e5)
    pausing = threading.Event()
    selector = CalmSelector(stopping, pausing.set)
    clock.work(1e5)
    thread = threading.Thread(target=selector.select, args=(0,), daemon=True)
    thread.start()
    assert pausing.wait(30)
    stopping.set()
    thread.join(20)
    assert not thread.is_alive()


def test_it_is_a_selector_that_forked_children_do_not_share(thread: Calm) -> None:
    assert not isinstance(thread.selector, getattr(selectors, "EpollSelector", ()))
