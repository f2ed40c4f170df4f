"""What the processes of a benchmark do. They are told by lines of JSON on standard input and answer likewise.

No role outlives its starter: Linux kills it with that, its standard input ends, and after ``LIFE`` seconds it goes
whatever happens.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from .adapters import load
from .adapters.contract import Adapter, Setting

LIFE = 120  # seconds
PDEATHSIG = 1  # prctl(2): the signal to be sent when the parent ends
WARM = -1  # the stamp of a message that only opens the way
PHASES = 1 << 32  # stamps below are numbers of phases, above they are times
ROLES = {
    "ping": "benchmarks.roles.ping",
    "pong": "benchmarks.roles.pong",
    "subscribe": "benchmarks.roles.subscribe",
    "publish": "benchmarks.publishing.publish",
}
now = time.monotonic_ns


def main(adapter: str, role: str, given: str) -> None:
    """Do a role until its work is over."""
    if hasattr(signal, "alarm"):
        signal.alarm(LIFE)  # the default action ends the process, wherever it hangs
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PDEATHSIG, signal.SIGKILL)
    options = json.loads(given)
    cores = options.pop("cores", None)
    if cores is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(cores))
    setting = Setting(**options)
    module, _, name = ROLES.get(role, role).rpartition(".")
    function = getattr(importlib.import_module(module), name)
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


def share(values: list[int], part: float) -> float:
    """Return a quantile of values in ns, in microseconds."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] / 1e3 if ordered else float("nan")


def latencies(values: list[int]) -> dict[str, float]:
    """Return the quantiles that are shown."""
    return {"p50": share(values, 0.5), "p99": share(values, 0.99), "max": share(values, 1.0)}


# -- round trips -------------------------------------------------------------------------------------------------------


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


# -- one way -----------------------------------------------------------------------------------------------------------


class Tally:
    """What a subscriber saw of the phase it is in."""

    def __init__(self) -> None:
        self.warm = False
        self.begin(0)

    def begin(self, phase: int) -> None:
        """Forget what was."""
        self.phase = phase
        self.count = self.first = self.last = 0
        self.late: dict[int, int] = {}  # by stamp: a message that comes twice counts once
        self.cpu = time.process_time_ns()

    def take(self, stamp: int) -> None:
        """Take a message."""
        at = now()
        if stamp > PHASES:
            self.late.setdefault(stamp, at - stamp)
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
        return figures | (latencies(list(self.late.values())) if self.late else {})


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
