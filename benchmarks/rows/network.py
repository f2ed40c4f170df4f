"""Across a network: hosts in namespaces that are made for it, as the tests make them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from ..figures import Metric, Target
from ..flow import Flow
from ..processes import Run
from .contract import Amount, Row
from .latency import cores

SUPPORT = (
    Path(__file__).parents[2] / "tests" / "support"
)  # lan.py, which makes hosts and a network that can be impaired, is there
RATES = {"small": (1000, 2000), "large": (10, 15)}  # Hz, messages
PATIENT = 3.0  # seconds without a message after which none is sent again any more


def lan_module() -> Any:
    """Import ``lan`` of the tests."""
    if str(SUPPORT) not in sys.path:
        sys.path.append(str(SUPPORT))
    import lan

    return lan


class Hosts:
    """Two hosts, made when they are first used."""

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._lan: Any = None

    @property
    def lan(self) -> Any:
        """The network."""
        if self._lan is None:
            self._lan = lan_module().Lan(2, **self._options)
        return self._lan

    def run(self, adapter: str, **setting: Any) -> Run:
        """Make a run whose publisher is on host 1 and whose subscriber is on host 2."""
        hosts = {"publish": self.lan.enter(1), "subscribe": self.lan.enter(2)}
        addresses = {"publisher_address": self.lan.ip(1), "address": self.lan.ip(2)}
        return Run(adapter, hosts=hosts, **addresses, **setting)

    def close(self) -> None:
        """End what was made."""
        if self._lan is not None:
            self._lan.close()
            self._lan = None


def why_no_hosts() -> str:
    """Say why there can be no hosts."""
    if not (SUPPORT / "lan.py").exists():
        return "tests/support/lan.py is not there: run it from a clone"
    return lan_module().why_not() or ""


class AcrossLan(Row):
    """Large messages from host to host, on Ethernet's 1,500 bytes.

    Attributes:
        apart: whether each host has a processor of its own, where there are two.
    """

    apart = False
    name = "lan"
    title = "Across a network of MTU 1500, 1 MB at 30 Hz"
    floor = "raw gso"
    adapters: tuple[str, ...] = ("raw gso", "ipcpy")
    peers: tuple[str, ...] = ("lcm", "zenoh")
    metrics = (
        Metric("p50", "p50", "µs", (Target("ipcpy", 1.2, lead=True),)),
        Metric("p99", "p99", "µs"),
        Metric("publisher cpu", "publisher's CPU", "µs"),
        Metric("subscriber cpu", "subscriber's CPU", "µs"),
        Metric("lost", "lost", "%", (Target("ipcpy", 0, ratio=False),)),
    )

    def __init__(self) -> None:
        self._hosts = Hosts()

    def why_not(self) -> str:
        return why_no_hosts()

    def measure(self, adapter: str, amount: Amount) -> dict[str, float]:
        with self._hosts.run(adapter, large=True) as run:
            here = cores() if self.apart and hasattr(os, "sched_setaffinity") else []
            own = (here[0], here[-1]) if len(here) > 1 else None
            return Flow(run, calm=amount.calm, cores=own).paced(30, amount.frames)

    def close(self) -> None:
        self._hosts.close()


class Reliability(Row):
    """What arrives, and when, over a network that loses, doubles, reorders and delays frames."""

    floor = ""
    adapters = ("ipcpy",)
    peers = ("zenoh", "lcm")
    long = True
    metrics = (
        Metric("delivered", "delivered", ""),
        Metric("lost", "lost", "%", (Target("ipcpy", 0, ratio=False),)),
        Metric("resent", "sent again", ""),
        Metric("p50", "p50", "ms"),
        Metric("p99", "p99", "ms"),
        Metric("max", "max", "ms"),
    )

    def __init__(self, hosts: Hosts, size: str, loss: float) -> None:
        self._hosts = hosts
        self._size = size
        self._loss = loss
        self.name = f"{size}-loss{round(100 * loss)}"
        work = "64 bytes at 1 kHz" if size == "small" else "1 MB at 10 Hz"
        weather = f"{round(100 * loss)} % of frames lost" if loss else "none lost"
        self.title = f"Reliable, {work}, {weather}, 2 % reordered, 2 % doubled, 1 ± 0.5 ms each way"

    def why_not(self) -> str:
        return why_no_hosts()

    def measure(self, adapter: str, amount: Amount) -> dict[str, float]:
        hz, count = RATES[self._size]
        if amount.quick:
            count = max(3, count // 10)
        self._hosts.lan.heal()
        with self._hosts.run(adapter, large=self._size == "large", reliable=True) as run:
            flow = Flow(run, calm=amount.calm, settle=PATIENT)
            self._hosts.lan.impair(loss=self._loss, reorder=0.02, duplicate=0.02, delay=0.001, jitter=0.0005)
            figures = flow.paced(hz, count) | flow.resent()
        return figures | {key: figures[key] / 1e3 for key in ("p50", "p99", "max") if key in figures}

    def close(self) -> None:
        self._hosts.close()
