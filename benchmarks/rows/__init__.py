"""The rows of the benchmark, in the order in which they are shown."""

from __future__ import annotations

from .asking import Call, CallsFlatOut
from .contract import QUICK, Amount, Row
from .footprint import Footprint
from .large import Image, LargeFanOut, LargeFlatOut, LargePaced
from .latency import OneWay, RoundTrip, RoundTripAsyncio
from .network import AcrossLan, Hosts, Reliability
from .sealing import SealedAcrossLan, SealedOverGigabit, SealedSmall
from .steps import Steps
from .throughput import FanOut, FlatOut, PublishBusy, PublishCost, PublishToNobody
from .topics import Subscribers, Topics

__all__ = ["GROUPS", "QUICK", "Amount", "Row", "all_rows"]

LOSSES = (0.0, 0.01, 0.1, 0.3)
GROUPS = {
    "rtt": ("rtt1", "rtt2"),
    "1mb": ("large", "large30", "large8"),
    "memory": ("large", "large30", "image", "large8"),
    "cpu": ("publish", "nobody"),
    "reliability": tuple(f"{size}-loss{round(100 * loss)}" for size in ("small", "large") for loss in LOSSES),
}
"""Names for several rows."""


def all_rows() -> list[Row]:
    """Make every row."""
    hosts = Hosts(switch="user", seed=7)
    return [
        RoundTrip(1),
        RoundTrip(2),
        RoundTripAsyncio(),
        OneWay(),
        Call(),
        CallsFlatOut(),
        PublishCost(),
        PublishBusy(),
        PublishToNobody(),
        FlatOut(),
        LargeFlatOut(),
        LargePaced(),
        Image(),
        LargeFanOut(),
        FanOut(),
        AcrossLan(),
        SealedSmall(),
        SealedAcrossLan(),
        SealedOverGigabit(),
        Topics(),
        Subscribers(),
        Footprint(),
        Steps(),
        *(Reliability(hosts, size, loss) for size in ("small", "large") for loss in LOSSES),
    ]
