"""A loop and clocks that tests run by hand, and a thread that holds a lock for as long as a test wants it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


class HandClock:
    """A clock that goes on when a test says so: ``clock()`` is ``clock.now``."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@contextmanager
def held_by_another_thread(lock: Any) -> Iterator[threading.Thread]:
    """Have another thread hold a lock meanwhile."""
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            go_on.wait(20)

    other = threading.Thread(target=hold)
    other.start()
    assert held.wait(20)
    yield other
    go_on.set()
    other.join(20)


class StillLoop:
    """Stands for ``ipcpy.node.loop.Loop``, and for the module ``time`` where a test says so.

    Attributes:
        now: what ``monotonic`` says.
        ready: files that are watched, each with what to call when it can be read.
        timers: times and what to call then.
        stopping: whether it is to end.
    """

    def __init__(self) -> None:
        self.now = 1_000.0
        self.stopping = False
        self.ready: dict[Any, Callable[[], object]] = {}
        self.timers: list[tuple[float, Callable[[], object]]] = []

    def monotonic(self) -> float:
        return self.now

    def stop_time(self, monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
        """Have modules of ipcpy.node ask this clock."""
        for module in modules:
            monkeypatch.setattr(f"ipcpy.node.{module}.time", self)

    def advance(self, seconds: float) -> None:
        """Let time pass, and do what is due in it, in order."""
        until = self.now + seconds
        while due := [timer for timer in self.timers if timer[0] <= until]:
            first = min(due, key=lambda timer: timer[0])
            self.timers.remove(first)
            self.now = max(self.now, first[0])
            first[1]()
        self.now = until

    # -- what a loop does --------------------------------------------------------------------------------------------

    def in_thread(self) -> bool:
        return True

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        function(*arguments)

    def call_at(self, when: float, function: Callable[[], object]) -> None:
        self.timers.append((when, function))

    def watch(self, file: Any, ready: Callable[[], object]) -> None:
        self.ready[file] = ready

    def unwatch(self, file: Any) -> None:
        self.ready.pop(file, None)
