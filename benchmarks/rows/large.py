"""Large messages within one host: through shared memory with a copy or with none, or by UDP."""

from __future__ import annotations

from ..adapters.contract import LARGE
from ..figures import Metric, Target
from ..flow import Flow
from ..processes import RoleFailed, Run
from .contract import Amount, Row
from .latency import PEERS

IMAGE = 6_000_000  # bytes: 1,080 lines of 1,920 pixels have 6,220,800
OWN = ("raw", "ipcpy", "ipcpy loan", "ipcpy udp")
LENDERS = ("iceoryx2 loan", "zenoh loan")
CPU = (Metric("publisher cpu", "publisher's CPU", "µs"), Metric("subscriber cpu", "subscriber's CPU", "µs"))
LOST = Metric("lost", "lost", "%")


class LargeFlatOut(Row):
    """Large messages at the highest rate with less than 1 % lost."""

    name = "large"
    title = "1 MB flat out, less than 1 % lost"
    floor = "raw"
    adapters = OWN
    peers = (*PEERS, *LENDERS)
    metrics = (
        Metric(
            "rate",
            "delivered",
            "MB/s",
            (Target("ipcpy", 4.0), Target("ipcpy loan", 4.0, lead=True), Target("ipcpy udp", 0.9)),
            higher=True,
        ),
        *CPU,
        LOST,
    )

    def measure(self, adapter: str, amount: Amount) -> dict[str, float]:
        with Run(adapter, flat_out=True, large=True) as run:
            figures = Flow(run, calm=amount.calm, settle=amount.settle).fastest(amount.seconds)
            return figures | {"rate": figures["rate"] * LARGE / 1e6}


class LargePaced(Row):
    """Large messages as a camera sends them, and small ones at the same pace."""

    name = "large30"
    title = "One way, 1 MB at 30 Hz"
    floor = "raw"
    adapters = OWN
    peers = (*PEERS, *LENDERS)
    metrics = (
        Metric("p50", "p50", "µs", (Target("ipcpy", 0.6, lead=True), Target("ipcpy udp", 1 / 0.9))),
        Metric("p99", "p99", "µs"),
        Metric("small", "p50 of 64 bytes", "µs"),
        Metric("times", "p50, times that of 64 bytes", "", (Target("ipcpy loan", 1.5, ratio=False),)),
        *CPU,
        LOST,
    )

    def measure(self, adapter: str, amount: Amount) -> dict[str, float]:
        small, large = (self._paced(adapter, amount, large=large) for large in (False, True))
        figures = {**large, "small": small["p50"]} if "p50" in small else large
        return figures | ({"times": figures["p50"] / figures["small"]} if {"p50", "small"} <= figures.keys() else {})

    def _paced(self, adapter: str, amount: Amount, *, large: bool) -> dict[str, float]:
        with Run(adapter, large=large) as run:
            return Flow(run, calm=amount.calm).paced(30, amount.frames)


class Image(Row):
    """An image of 6 MB: what it costs whoever looks at a few bytes of it."""

    name = "image"
    title = "One way, an image of 6 MB at 30 Hz"
    floor = "raw"
    adapters = OWN
    peers = ("zenoh", "ecal", "iceoryx2", "zmq tcp", "zmq ipc", *LENDERS)
    brief = False
    metrics = (
        Metric("subscriber cpu", "subscriber's CPU", "µs", (Target("ipcpy", 100, ratio=False),)),
        Metric("publisher cpu", "publisher's CPU", "µs"),
        Metric("p50", "p50", "µs"),
        LOST,
    )

    def measure(self, adapter: str, amount: Amount) -> dict[str, float]:
        with Run(adapter, large=True, size=IMAGE) as run:
            return Flow(run, calm=amount.calm).paced(30, amount.frames)


class LargeFanOut(Row):
    """CPU time of publishing large messages to eight subscribers, as a multiple of that to one."""

    name = "large8"
    title = "Publishing 1 MB to eight subscribers on this host, in bursts of 4"
    floor = "raw"
    adapters = OWN
    peers = ("zenoh", "ecal", "iceoryx2", *LENDERS)
    brief = False
    metrics = (
        Metric("cpu", "publisher's CPU", "µs"),
        Metric(
            "times",
            "publisher's CPU, times that of one subscriber",
            "",
            (Target("ipcpy", 1.3, ratio=False), Target("ipcpy loan", 1.3, ratio=False)),
        ),
        Metric("one", "publisher's CPU with one", "µs"),
    )
    SUBSCRIBERS = 8
    BURST = 4  # messages, then a pause in which eight subscribers take them
    PAUSE = 0.02  # seconds

    def measure(self, adapter: str, amount: Amount) -> dict[str, float]:
        one, several = (self._cost(adapter, count, amount) for count in (1, self.SUBSCRIBERS))
        return {"times": several / one, "cpu": several, "one": one}

    def _cost(self, adapter: str, subscribers: int, amount: Amount) -> float:
        with Run(adapter, subscribers=subscribers, large=True) as run:
            flow = Flow(run, subscribers, calm=amount.calm)
            how = {"burst": self.BURST, "pause": self.PAUSE}
            flow.phase("bursts", bursts=max(2, amount.bursts // 20), **how)
            said, reports = flow.phase("bursts", bursts=max(5, amount.bursts // 2), **how)
            if not all(report["count"] for report in reports):
                raise RoleFailed("a subscriber got nothing")
            return float(said["cpu"])
