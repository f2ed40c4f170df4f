"""Empty calls: one client that asks and waits, and eight flat out."""

from __future__ import annotations

from ..figures import Metric, Target
from ..processes import Run
from .contract import Amount, Row
from .latency import cores

PEERS = ("zenoh query", "ecal service", "xmlrpc")
CLIENTS = 8


class Call(Row):
    """An empty call, both processes on one core; a topic there and back is what its figure is divided by."""

    name = "call"
    title = "Round trip of an empty call, both processes on one core"
    floor = "ipcpy ping-pong"
    adapters = ("ipcpy ping-pong", "ipcpy reliable ping-pong", "ipcpy call")
    peers = PEERS
    metrics = (
        Metric("p50", "p50", "µs", (Target("ipcpy call", 1.5, lead=True),)),
        Metric("p99", "p99", "µs"),
        Metric("cpu", "CPU of the client", "µs"),
    )

    def why_not(self) -> str:
        return "" if len(cores()) else "there is no core"

    def measure(self, adapter: str, amount: Amount) -> dict[str, float]:
        core = cores()[-1]
        with Run(adapter) as run:
            run.start("benchmarks.asking.serve", cores=[core]).answer()
            asker = run.start("benchmarks.asking.ask", cores=[core], count=amount.trips // 4, calm=amount.calm)
            asker.answer()
            asker.tell(do="begin")
            return asker.answer(60)


class CallsFlatOut(Row):
    """Eight clients that ask one server as fast as it answers; the slowest is the one that starves, if one does."""

    name = "call8"
    title = "Empty calls of 8 clients flat out"
    floor = ""
    adapters = ("ipcpy call",)
    peers = PEERS
    metrics = (
        Metric("rate", "calls", "/s", higher=True),
        Metric("share", "the slowest client's share of an eighth", "%", higher=True),
        Metric("p99", "p99 of the slowest", "µs"),
    )

    def measure(self, adapter: str, amount: Amount) -> dict[str, float]:
        with Run(adapter) as run:
            run.start("benchmarks.asking.serve").answer()
            role, seconds, calm = "benchmarks.asking.ask", amount.seconds, amount.calm
            askers = [run.start(role, seconds=seconds, calm=calm) for _ in range(CLIENTS)]
            for asker in askers:
                asker.answer()
            for asker in askers:
                asker.tell(do="begin")
            answers = [asker.answer(60) for asker in askers]
        counts = [answer["count"] for answer in answers]
        return {
            "rate": sum(counts) / amount.seconds,
            "share": 100 * min(counts) * CLIENTS / sum(counts),
            "p99": max(answer["p99"] for answer in answers),
        }
