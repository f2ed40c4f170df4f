"""What publishing small messages costs, and how much of it goes through."""

from __future__ import annotations

from ..figures import Metric, Target
from ..flow import Flow
from ..processes import RoleFailed, Run
from .contract import Amount, Row
from .latency import PEERS

MANY = 500  # messages that publish_many is given at once


class PublishCost(Row):
    """CPU time of publishing to one subscriber, apart from the loop around it."""

    name = "publish"
    title = "Publishing 64 bytes to one subscriber, in bursts of 100"
    floor = "raw"
    adapters = ("raw", "ipcpy")
    peers = PEERS
    metrics = (Metric("cpu", "publisher's CPU", "µs", (Target("ipcpy", 1.0),)),)

    def measure(self, adapter: str, amount: Amount) -> dict[str, float]:
        with Run(adapter) as run:
            flow = Flow(run, calm=amount.calm)
            flow.phase("bursts", bursts=max(2, amount.bursts // 10))
            said, _ = flow.phase("bursts", bursts=amount.bursts)
            return {"cpu": said["cpu"]}


class PublishBusy(Row):
    """How long a call of ``publish`` takes in a program that computes in another thread."""

    name = "publish-busy"
    title = "Publishing 64 bytes every millisecond, beside a thread that computes"
    floor = "raw"
    adapters = ("raw", "ipcpy")
    peers = PEERS
    metrics = (
        Metric("p50", "p50 of the call", "µs", (Target("ipcpy", 100, ratio=False),)),
        Metric("p99", "p99 of the call", "µs"),
    )

    def measure(self, adapter: str, amount: Amount) -> dict[str, float]:
        with Run(adapter) as run:
            said, _ = Flow(run, calm=amount.calm).phase("beside", count=max(50, amount.messages // 5))
            took = sorted(said["took"])
            return {"p50": took[len(took) // 2] / 1e3, "p99": took[len(took) * 99 // 100] / 1e3}


class PublishToNobody(Row):
    """CPU time of ``publish`` without a subscriber."""

    name = "nobody"
    title = "Publishing to nobody"
    floor = ""
    adapters = ("ipcpy",)
    metrics = (Metric("cpu", "publisher's CPU", "µs", (Target("ipcpy", 0.3, ratio=False),)),)

    def measure(self, adapter: str, amount: Amount) -> dict[str, float]:
        with Run(adapter) as run:
            publisher = run.start("publish")
            publisher.answer()
            publisher.ask(do="flat", phase=1, seconds=amount.seconds / 10)
            return {"cpu": publisher.ask(do="flat", phase=1, seconds=amount.seconds / 2)["cpu"]}


class FlatOut(Row):
    """Small messages at the highest rate with less than 1 % lost."""

    name = "flat"
    title = "64 bytes flat out, less than 1 % lost"
    floor = "raw"
    adapters = ("raw", "ipcpy", "ipcpy many", "ipcpy many structs")
    peers = PEERS
    metrics = (
        Metric(
            "rate",
            "delivered",
            "k/s",
            (Target("ipcpy", 0.95), Target("ipcpy many", 6.0, lead=True), Target("ipcpy many structs", 5.5)),
            higher=True,
        ),
        Metric("publisher cpu", "publisher's CPU", "µs"),
        Metric("subscriber cpu", "subscriber's CPU", "µs"),
        Metric("lost", "lost", "%"),
    )

    def measure(self, adapter: str, amount: Amount) -> dict[str, float]:
        with Run(adapter, flat_out=True) as run:
            figures = Flow(run, many=MANY if "many" in adapter else 0, calm=amount.calm, settle=amount.settle).fastest(
                amount.seconds
            )
            return figures | {"rate": figures["rate"] / 1e3}


class FanOut(Row):
    """CPU time of publishing to eight subscribers on this host, as a multiple of that to one."""

    name = "fanout"
    title = "Publishing 64 bytes to eight subscribers on this host, in bursts of 100"
    floor = "raw"
    adapters = ("raw", "ipcpy")
    peers = PEERS
    metrics = (
        Metric("cpu", "publisher's CPU", "µs", (Target("ipcpy", 1.0, lead=True),)),
        Metric("times", "publisher's CPU, times that of one subscriber", "", (Target("ipcpy", 2.5, ratio=False),)),
        Metric("one", "publisher's CPU with one", "µs"),
    )
    SUBSCRIBERS = 8

    def measure(self, adapter: str, amount: Amount) -> dict[str, float]:
        one, several = (self._cost(adapter, count, amount) for count in (1, self.SUBSCRIBERS))
        return {"times": several / one, "cpu": several, "one": one}

    def _cost(self, adapter: str, subscribers: int, amount: Amount) -> float:
        with Run(adapter, subscribers=subscribers) as run:
            flow = Flow(run, subscribers, calm=amount.calm)
            flow.phase("bursts", bursts=max(5, amount.bursts // 10))  # also until it has chosen multicast
            said, reports = flow.phase("bursts", bursts=amount.bursts)
            if not all(report["count"] for report in reports):
                raise RoleFailed("a subscriber got nothing")
            return float(said["cpu"])
