"""The rows of the benchmark, in the order in which they are shown."""

from __future__ import annotations

from .contract import QUICK, Amount, Row
from .latency import OneWay, RoundTrip, RoundTripAsyncio
from .throughput import FanOut, FlatOut, LargeFlatOut, LargePaced, PublishCost, PublishToNobody

__all__ = ["GROUPS", "QUICK", "Amount", "Row", "all_rows"]

GROUPS = {"rtt": ("rtt1", "rtt2"), "1mb": ("large", "large30"), "cpu": ("publish", "nobody")}
"""Names for several rows."""


def all_rows() -> list[Row]:
    """Make every row."""
    return [
        RoundTrip(1),
        RoundTrip(2),
        RoundTripAsyncio(),
        OneWay(),
        PublishCost(),
        PublishToNobody(),
        FlatOut(),
        LargeFlatOut(),
        LargePaced(),
        FanOut(),
    ]
