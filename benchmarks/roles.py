"""What the processes of a benchmark do. They are told by lines of JSON on standard input and answer likewise.

No role outlives its starter: it ends when its standard input does, and after ``LIFE`` seconds whatever happens.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .adapters import load
from .adapters.contract import Adapter, Setting

LIFE = 120  # seconds
WARM = -1  # the stamp of a message that only opens the way
PHASES = 1 << 32  # stamps below are numbers of phases, above they are times
BURST = 100  # messages
now = time.monotonic_ns


def main(adapter: str, role: str, given: str) -> None:
    """Do a role until its work is over."""
    if hasattr(signal, "alarm"):
        signal.alarm(LIFE)  # the default action ends the process, wherever it hangs
    options = json.loads(given)
    cores = options.pop("cores", None)
    if cores is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(cores))
    setting = Setting(**options)
    module, _, name = role.rpartition(".")
    function = getattr(importlib.import_module(module), name) if module else ROLES[role]
    if adapter:
        function(load(adapter, setting), setting)
    else:
        function(setting)
    sys.stdout.flush()
    os._exit(0)  # some libraries hang, or take their time, at exit


def tell(**words: Any) -> None:
    """Answer."""
    print(json.dumps(words), flush=True)


def asked() -> dict[str, Any]:
    """Wait for what is to be done next."""
    line = sys.stdin.readline()
    if not line:
        os._exit(1)  # the starter is gone
    words: dict[str, Any] = json.loads(line)
    return words


def is_asked(timeout: float) -> bool:
    """Wait until there is something to be read from the starter."""
    return bool(select.select([sys.stdin], [], [], timeout)[0])


def share(values: list[int], part: float) -> float:
    """Give a quantile of values in ns, in microseconds."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] / 1e3 if ordered else float("nan")


def latencies(values: list[int]) -> dict[str, float]:
    """Give the quantiles that are shown."""
    return {"p50": share(values, 0.5), "p99": share(values, 0.99), "max": share(values, 1.0)}


# -- round trips ---------------------------------------------------------------------------------------------------------


def ping(adapter: Adapter, setting: Setting) -> None:
    """Send, wait for the answer, send again, so many times; tell how long it took."""
    loop = adapter.receiver("b", 0)
    send = adapter.sender("a")
    count = setting.extra["count"]
    tell(ready=True)
    asked()
    started = threading.Event()
    kicker = threading.Thread(target=_kick, args=(send, started), daemon=True)
    kicker.start()
    taken: list[int] = []
    calm = cpu = 0

    def take(stamp: int) -> bool:
        nonlocal calm, cpu
        end = now()
        if stamp == WARM:
            if not started.is_set():
                started.set()
                kicker.join()
                calm = now() + int(setting.extra["calm"] * 1e9)
                send(now())
            return False
        if calm:
            if end > calm:
                calm = 0
                cpu = time.process_time_ns()
        else:
            taken.append(end - stamp)
            if len(taken) == count:
                return True
        send(now())
        return False

    loop(take)
    cpu = time.process_time_ns() - cpu
    tell(**latencies(taken), cpu=cpu / 1e3 / count)
    asked()


def _kick(send: Callable[[int], object], started: threading.Event) -> None:
    while not started.is_set():
        send(WARM)
        started.wait(0.02)


def pong(adapter: Adapter, setting: Setting) -> None:
    """Send back whatever comes."""
    loop = adapter.receiver("a", 0)
    send = adapter.sender("b")
    end_with_starter()
    tell(ready=True)

    def take(stamp: int) -> None:
        send(stamp)

    loop(take)


def end_with_starter() -> None:
    """End the process when the starter closes its standard input."""

    def watch() -> None:
        while True:
            asked()

    threading.Thread(target=watch, daemon=True).start()


# -- one way -------------------------------------------------------------------------------------------------------------


class Tally:
    """What a subscriber saw of the phase it is in."""

    def __init__(self) -> None:
        self.warm = False
        self.begin(0)

    def begin(self, phase: int) -> None:
        """Forget what was."""
        self.phase = phase
        self.count = self.first = self.last = 0
        self.late: list[int] = []
        self.cpu = time.process_time_ns()

    def take(self, stamp: int) -> None:
        """Take a message."""
        at = now()
        if stamp > PHASES:
            self.late.append(at - stamp)
        elif stamp == self.phase:
            self.count += 1
            self.last = at
            if self.count == 1:
                self.first = at
        elif stamp == WARM:
            self.warm = True

    def report(self) -> dict[str, Any]:
        """Tell what there is; the CPU time is in microseconds."""
        cpu = (time.process_time_ns() - self.cpu) / 1e3
        count = self.count or len(self.late)
        figures: dict[str, Any] = {"count": count, "warm": self.warm, "cpu": cpu}
        if self.count:
            figures["seconds"] = (self.last - self.first) / 1e9
        return figures | (latencies(self.late) if self.late else {})


def subscribe(adapter: Adapter, setting: Setting) -> None:
    """Take what comes, and answer questions meanwhile."""
    loop = adapter.receiver("a", setting.extra.get("index", 0))
    tally = Tally()

    def answer() -> None:
        while True:
            words = asked()
            if words["do"] == "begin":
                tally.begin(words["phase"])
                tell(begun=True)
            else:
                tell(**tally.report())

    threading.Thread(target=answer, daemon=True).start()
    tell(ready=True)
    loop(tally.take)


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
        """Give a function that publishes the same message, or the same many, at each call."""
        if self._many:
            return self._adapter.many("a", stamp, self._many)
        return self._adapter.again("a", stamp)


def warm(ways: Ways) -> dict[str, Any]:
    """Publish until the starter says that it arrives."""
    for _ in range(2000):
        ways.stamped(WARM)
        if is_asked(0.01):
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


def bursts(ways: Ways, phase: int, bursts: int) -> dict[str, Any]:
    """Publish in bursts, so that no buffer overflows; tell what it costs in all threads, but for the sleep between."""
    send = ways.same(phase)
    asleep = 0
    cpu = time.process_time_ns()
    for _ in range(bursts):
        for _ in range(BURST):
            send()
        begun = time.thread_time_ns()
        time.sleep(0.002)
        asleep += time.thread_time_ns() - begun
    count = bursts * BURST
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


def nothing(ways: Ways) -> dict[str, Any]:
    """Only answer."""
    return {}


def resent(ways: Ways) -> dict[str, Any]:
    """Tell how many messages or fragments were sent again."""
    return {"resent": ways.resent()}


WORKS = {"nothing": nothing, "resent": resent, "warm": warm, "paced": paced, "bursts": bursts, "flat": flat}
ROLES: dict[str, Callable[..., None]] = {"ping": ping, "pong": pong, "subscribe": subscribe, "publish": publish}
