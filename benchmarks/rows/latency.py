"""Round trips and one way latency of small messages."""

from __future__ import annotations

import os

from ..figures import Metric, Target
from ..flow import Flow
from ..processes import Run
from .contract import Amount, Row

PEERS = ("lcm", "zenoh", "cyclonedds", "ecal", "iceoryx2", "zmq tcp", "zmq ipc", "nng")


def cores() -> list[int]:
    """Return the cores that may be used."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


class RoundTrip(Row):
    """A message there and back, both processes on one core or on two."""

    floor = "raw"
    adapters: tuple[str, ...] = ("raw", "ipcpy")
    peers: tuple[str, ...] = PEERS

    def __init__(self, on: int) -> None:
        self._on = on
        if on == 2:  # on one core whoever polls takes the time of the other
            self.adapters = ("raw", "ipcpy", "ipcpy spin")
        self.name = f"rtt{on}"
        self.title = f"Round trip of 64 bytes, both processes on {'one core' if on == 1 else 'a core each'}"
        self.metrics = (
            Metric("p50", "p50", "µs", (Target("ipcpy", 1.25 if on == 1 else 1.1, lead=True),)),
            Metric("p99", "p99", "µs"),
            Metric("cpu", "CPU of one side", "µs"),
        )

    def why_not(self) -> str:
        if not hasattr(os, "sched_setaffinity"):
            return "processes cannot be bound to cores here"
        return "" if len(cores()) >= self._on else "there is only one core"

    def measure(self, adapter: str, amount: Amount) -> dict[str, float]:
        here = cores()
        with Run(adapter) as run:
            pong = run.start("pong", cores=[here[-1]])
            ping = run.start("ping", cores=[here[-self._on]], count=amount.trips, calm=amount.calm)
            pong.answer()
            ping.answer()
            ping.tell(do="begin")
            return ping.answer(60)


class RoundTripAsyncio(RoundTrip):
    """The same with a coroutine on the receiving sides."""

    floor = "raw asyncio"
    adapters = ("raw asyncio", "ipcpy asyncio")
    peers = ()

    def __init__(self) -> None:
        super().__init__(1)
        self.name = "asyncio"
        self.title = "Round trip of 64 bytes through asyncio, both processes on one core"
        self.metrics = (
            Metric("p50", "p50", "µs", (Target("ipcpy asyncio", 1.0),)),
            Metric("p99", "p99", "µs"),
            Metric("cpu", "CPU of one side", "µs"),
        )


class OneWay(Row):
    """A message each millisecond: what a sensor does."""

    name = "oneway"
    title = "One way, 64 bytes at 1 kHz"
    floor = "raw"
    adapters = ("raw", "ipcpy", "ipcpy spin")
    peers = PEERS
    metrics = (
        Metric("p50", "p50", "µs", (Target("ipcpy", 1.4, lead=True),)),
        Metric("p99", "p99", "µs", (Target("ipcpy", 1.4, lead=True),)),
        Metric("publisher cpu", "publisher's CPU", "µs", (Target("ipcpy", 1.4, lead=True),)),
        Metric("subscriber cpu", "subscriber's CPU", "µs", (Target("ipcpy", 1.4, lead=True),)),
        Metric("lost", "lost", "%"),
    )

    def measure(self, adapter: str, amount: Amount) -> dict[str, float]:
        with Run(adapter) as run:
            return Flow(run, calm=amount.calm).paced(1000, amount.messages)
