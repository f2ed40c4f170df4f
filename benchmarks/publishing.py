"""The publisher of a benchmark: at a pace, in bursts, or flat out. Its loops end after a count or a time."""

from __future__ import annotations

import select
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .adapters.contract import Adapter, Setting
from .roles import WARM, asked, now, tell

BURST = 100  # messages
PAUSE = 0.002  # seconds between bursts


def publish(adapter: Adapter, setting: Setting) -> None:
    """Publish as asked: at a pace, in bursts, or flat out."""
    ways = Ways(adapter)
    tell(ready=True)
    while True:
        words = asked()
        with suppress(BrokenPipeError):
            tell(**WORKS[words.pop("do")](ways, **words))


class Ways:
    """The ways to publish that one adapter has: one by one or, with ``many``, so many at once."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._many = adapter.setting.extra.get("many", 0)
        self.per_call = self._many or 1
        self.stamped = adapter.send_of("a")
        self.resent = adapter.resent

    def same(self, stamp: int) -> Callable[[], object]:
        """Return a function that publishes the same message, or the same many, at each call."""
        if self._many:
            return self._adapter.many("a", stamp, self._many)
        return self._adapter.again("a", stamp)


def warm(ways: Ways) -> dict[str, Any]:
    """Publish until the starter says that it arrives."""
    for _ in range(2000):
        ways.stamped(WARM)
        if select.select([sys.stdin], [], [], 0.01)[0]:
            break
    return {"warm": True}


def paced(ways: Ways, hz: float, count: int) -> dict[str, Any]:
    """Publish messages with their time, at a pace."""
    send, sleep = ways.stamped, time.sleep
    step = int(1e9 / hz)
    cpu = time.process_time_ns()
    due = now() + step
    for _ in range(count):
        wait = due - now()
        if wait > 0:
            sleep(wait / 1e9)
        send(now())
        due += step
    return {"sent": count, "cpu": (time.process_time_ns() - cpu) / 1e3 / count}


def bursts(ways: Ways, phase: int, bursts: int, burst: int = BURST, pause: float = PAUSE) -> dict[str, Any]:
    """Publish in bursts, so that no buffer overflows; tell what it costs in all threads, but for the sleep between."""
    send = ways.same(phase)
    asleep = 0
    cpu = time.process_time_ns()
    for _ in range(bursts):
        for _ in range(burst):
            send()
        begun = time.thread_time_ns()
        time.sleep(pause)
        asleep += time.thread_time_ns() - begun
    count = bursts * burst
    return {"sent": count, "cpu": (time.process_time_ns() - cpu - asleep) / 1e3 / count}


def flat(ways: Ways, phase: int, seconds: float, rate: float = 0) -> dict[str, Any]:
    """Publish as fast as it goes, or at a rate too high for sleeping between messages."""
    send, per_call = ways.same(phase), ways.per_call
    chunk = 1 if ways.per_call > 1 or rate and rate < 10_000 else 32
    calls = 0
    cpu = time.process_time_ns()
    begun = now()
    end = begun + int(seconds * 1e9)
    while (at := now()) < end:
        if rate and calls * per_call > (at - begun) / 1e9 * rate:
            time.sleep(0.0002)
            continue
        for _ in range(chunk):
            send()
        calls += chunk
    took = (now() - begun) / 1e9
    cpu = time.process_time_ns() - cpu
    sent = calls * per_call
    return {"sent": sent, "seconds": took, "cpu": cpu / 1e3 / sent}


def beside(ways: Ways, phase: int, count: int, pause: float = 0.001) -> dict[str, Any]:
    """Publish now and then while another thread of the program computes; tell how long the calls take, in ns."""
    send, over = ways.same(phase), threading.Event()
    thread = threading.Thread(target=_compute, args=(over,), daemon=True)
    thread.start()
    took = []
    for _ in range(count):
        time.sleep(pause)
        begun = now()
        send()
        took.append(now() - begun)
    over.set()
    thread.join()
    return {"sent": count, "took": took}


def _compute(over: threading.Event) -> None:
    """Compute in Python, which lets go of the GIL only when it is asked to."""
    while not over.is_set():
        sum(range(1_000))


def nothing(ways: Ways) -> dict[str, Any]:
    """Only answer."""
    return {}


def resent(ways: Ways) -> dict[str, Any]:
    """Tell how many messages or fragments were sent again."""
    return {"resent": ways.resent()}


WORKS: dict[str, Callable[..., dict[str, Any]]] = {
    "nothing": nothing,
    "resent": resent,
    "warm": warm,
    "paced": paced,
    "bursts": bursts,
    "flat": flat,
    "beside": beside,
}
