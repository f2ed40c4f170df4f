"""Sizes and times as people write them on a command line: 1GB, 10min. Knows text and numbers only."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import click

__all__ = ["BYTES", "DURATION", "SILENCE", "SPLIT", "TIME_OR_NONE"]

_UNITS = {
    "bytes": {"": 1.0, "b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
              "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30, "k": 1e3, "m": 1e6, "g": 1e9},
    "seconds": {"": 1.0, "ms": 1e-3, "s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0},
}  # fmt: skip
_EXAMPLES = {"bytes": "500MB or 1GB", "seconds": "0.5s, 60s or 10min"}
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-z]*)\s*", re.ASCII)

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType


def quantity(text: str, kind: str) -> float | None:
    """Read a number with a unit; None if it is none.

    >>> quantity("1.5 GB", "bytes"), quantity("10min", "seconds"), quantity("10min", "bytes")
    (1500000000.0, 600.0, None)
    """
    found = _QUANTITY.fullmatch(text)
    factor = _UNITS[kind].get(found[2].lower()) if found else None
    if found is None or factor is None:
        return None
    number = float(found[1]) * factor
    return number if 0 <= number < 1e15 and math.isfinite(number) else None


class _Quantity(_ParamType):
    """A size or a time."""

    def __init__(self, kind: str, *, none: bool = False) -> None:
        self.name = "size" if kind == "bytes" else "time"
        self._kind = kind
        self._none = none

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number of bytes, or of seconds."""
        if not isinstance(value, str):
            return value
        number = quantity(value, self._kind)
        if number is None or not (number or self._none):
            self.fail(f"{value!r} is no {self.name}, such as {_EXAMPLES[self._kind]}.", param, ctx)
        return round(number) if self._kind == "bytes" else number


class _Split(_ParamType):
    """A size or a time: which of them the unit says."""

    name = "size|time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number of bytes and None, or None and the number of seconds."""
        if not isinstance(value, str):
            return value
        unit = value.strip().lstrip("0123456789. ")
        size = quantity(value, "bytes") if unit else None
        seconds = quantity(value, "seconds") if unit and size is None else None
        if not size and not seconds:
            self.fail(f"{value!r} is neither a size nor a time with its unit, such as 1GB or 10min.", param, ctx)
        return (None if size is None else round(size)), seconds


class _Silence(_ParamType):
    """A topic, and for how long it may be silent."""

    name = "topic=time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the topic and the seconds."""
        if not isinstance(value, str):
            return value
        topic, _, text = value.rpartition("=")
        seconds = quantity(text, "seconds")
        if not topic or not seconds:
            self.fail(f"{value!r} is no topic with a time, such as imu=0.5s.", param, ctx)
        return topic, seconds


BYTES = _Quantity("bytes")
DURATION = _Quantity("seconds")
TIME_OR_NONE = _Quantity("seconds", none=True)  # 0s too
SPLIT = _Split()
SILENCE = _Silence()
