"""What a key costs: the same work with one and without."""

from __future__ import annotations

from statistics import median
from typing import Any

from ..figures import Metric, Target
from .contract import Amount, Row
from .latency import RoundTrip
from .network import AcrossLan

TIMES = 3  # that each is measured, in turns: the difference is small


class SealedSmall(Row):
    """A small message: what both ends do more, as the half of what a round trip takes longer."""

    name = "sealed"
    title = "64 bytes with a key and without, on one core"
    floor = ""
    adapters = ("ipcpy sealed", "ipcpy sealed aes")
    metrics = (
        Metric("more", "more for both ends", "µs", (Target("ipcpy sealed", 3.0, ratio=False),)),
        Metric("plain", "round trip without a key", "µs"),
        Metric("sealed", "round trip", "µs"),
    )

    def __init__(self) -> None:
        self._trips = RoundTrip(1)

    def why_not(self) -> str:
        return self._trips.why_not()

    def measure(self, adapter: str, amount: Amount) -> dict[str, float]:
        turns = ["ipcpy udp", adapter] * (1 if amount.quick else TIMES)
        taken = [self._trips.measure(each, amount)["p50"] for each in turns]
        plain, sealed = median(taken[::2]), median(taken[1::2])
        return {"more": (sealed - plain) / 2, "plain": plain, "sealed": sealed}


class SealedAcrossLan(AcrossLan):
    """Large messages from host to host, each of which has a processor of its own.

    Two computers never share one. Here the system would wake the subscriber on the publisher's, as what is sent goes
    through the receiving kernel there; it then begins when all is sent, and sealing and opening are added up.
    """

    apart = True
    name = "sealed-lan"
    title = "Across a network of MTU 1500, 1 MB at 30 Hz, with a key, a processor for each host"
    floor = "ipcpy"
    adapters = ("ipcpy", "ipcpy sealed", "ipcpy sealed aes")
    peers = ()
    metrics = (
        Metric("p50", "p50", "µs", (Target("ipcpy sealed", 1.3),)),
        *AcrossLan.metrics[1:4],
        Metric("lost", "lost", "%", (Target("ipcpy sealed", 0, ratio=False),)),
    )


class SealedOverGigabit(SealedAcrossLan):
    """The same over Ethernet of 1 Gbit/s: a fragment is sealed while those before it are on their way."""

    name = "sealed-gigabit"
    title = "The same over Ethernet of 1 Gbit/s"

    def measure(self, adapter: str, amount: Amount) -> dict[str, float]:
        for host in (1, 2):
            slow_down(self._hosts.lan, host)
        return super().measure(adapter, amount)


def slow_down(lan: Any, host: int) -> None:
    """Let a host send 1 Gbit/s; what does not go out at once waits, up to 4 MB."""
    shaper = ["rate", "1gbit", "burst", "64kb", "limit", "4mb"]
    done = lan.run(host, ["tc", "qdisc", "replace", "dev", "eth0", "root", "tbf", *shaper])
    if done.returncode:
        raise OSError(f"what a host sends cannot be slowed down: {done.stderr.strip()}")
