"""One publisher and its subscribers, through phases: warm up, publish, wait until all has arrived, count."""

from __future__ import annotations

import time
from typing import Any

from .processes import PATIENCE, RoleFailed, Run

SETTLE = 0.5  # seconds
LOSS = 0.01  # what may be lost flat out
SLOWER = (0.95, 0.85, 0.75, 0.65, 0.5, 0.35, 0.2, 0.1)  # of what arrived when it was too fast
CALM = 0.8  # seconds from the first message to the first that counts: until then some libraries still find each other


class Flow:
    """Publisher and subscribers of one run, each matched with the others.

    Args:
        many: messages that are published at once.
        settle: seconds without a message after which none is on its way any more.
        cores: of the publisher, and of all subscribers; wherever the system puts them if none are given.
    """

    def __init__(
        self,
        run: Run,
        subscribers: int = 1,
        *,
        many: int = 0,
        calm: float = CALM,
        settle: float = SETTLE,
        cores: tuple[int, int] | None = None,
    ) -> None:
        self._settle = settle
        here, there = ([core] for core in cores) if cores else (None, None)
        self._subscribers = [run.start("subscribe", cores=there, index=index) for index in range(subscribers)]
        for subscriber in self._subscribers:
            subscriber.answer()
        self._publisher = run.start("publish", cores=here, many=many)
        self._publisher.answer()
        self._phase = 0
        self._warm()
        time.sleep(calm)

    def _warm(self) -> None:
        self._publisher.tell(do="warm")
        deadline = time.monotonic() + PATIENCE
        while not all(report["warm"] for report in self._reports()):
            if time.monotonic() > deadline:
                raise RoleFailed("nothing arrived")
            time.sleep(0.01)
        self._publisher.tell(do="nothing")  # whatever comes on its standard input stops it
        self._publisher.answer()
        self._publisher.answer()

    def _reports(self) -> list[dict[str, Any]]:
        return [subscriber.ask(do="report") for subscriber in self._subscribers]

    def phase(self, do: str, **words: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Publish, wait until all is there, give what publisher and subscribers say."""
        self._phase += 1
        for subscriber in self._subscribers:
            subscriber.ask(do="begin", phase=self._phase)
        if do != "paced":
            words["phase"] = self._phase
        said = self._publisher.ask(60, do=do, **words)
        return said, self._settled(said["sent"])

    def _settled(self, sent: int) -> list[dict[str, Any]]:
        deadline = time.monotonic() + PATIENCE
        reports = self._reports()
        changed = time.monotonic()
        while any(report["count"] < sent for report in reports):
            time.sleep(0.02)
            before, reports = reports, self._reports()
            if [report["count"] for report in before] != [report["count"] for report in reports]:
                changed = time.monotonic()
            if time.monotonic() > min(deadline, changed + self._settle):
                break
        return reports

    def paced(self, hz: float, count: int) -> dict[str, float]:
        """Measure latency at a pace, and CPU time on either side."""
        self.phase("paced", hz=hz, count=max(2, count // 10))
        said, [report] = self.phase("paced", hz=hz, count=count)
        if not report["count"]:
            return {"delivered": 0, "lost": 100.0, "publisher cpu": said["cpu"]}
        return {
            "p50": report["p50"],
            "p99": report["p99"],
            "max": report["max"],
            "publisher cpu": said["cpu"],
            "subscriber cpu": report["cpu"] / report["count"],
            "delivered": report["count"],
            "lost": 100 * (1 - report["count"] / said["sent"]),
        }

    def resent(self) -> dict[str, float]:
        """Return how many messages or fragments the publisher sent again, where that is known."""
        count = self._publisher.ask(do="resent")["resent"]
        return {} if count is None else {"resent": count}

    def fastest(self, seconds: float) -> dict[str, float]:
        """Find the highest rate at which less than 1 % is lost: flat out, or else ever slower."""
        self.phase("flat", seconds=seconds / 4)
        said, [report] = self.phase("flat", seconds=seconds)
        top = _rate(said, report)
        for part in (*SLOWER, 0.0):
            loss = 1 - report["count"] / said["sent"]
            if loss < LOSS and report["count"]:
                break
            if not part:
                raise RoleFailed(f"more than {LOSS:.0%} lost at every rate tried")
            said, [report] = self.phase("flat", seconds=seconds, rate=top * part)
        return {
            "rate": _rate(said, report),
            "publisher cpu": said["cpu"],
            "subscriber cpu": report["cpu"] / report["count"],
            "lost": 100 * loss,
        }


def _rate(said: dict[str, Any], report: dict[str, Any]) -> float:
    """Return the messages that arrived in a second of publishing, or of arriving if that took longer."""
    return float(report["count"] / max(said["seconds"], report.get("seconds", 0)))
