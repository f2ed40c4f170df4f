"""Moments of a recording as people write them on the command line. Knows texts; nothing of recordings."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

__all__ = ["MOMENT", "read_moment", "span_options"]

_CLOCK = re.compile(r"(-?)(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)", re.ASCII)


def read_moment(text: str) -> float | datetime:
    """Return the moment that somebody wrote.

    Raises:
        ValueError: it is none.

    >>> read_moment("12.5"), read_moment("-10"), read_moment("1:30"), read_moment("-1:00:00")
    (12.5, -10.0, 90.0, -3600.0)
    """
    clock = _CLOCK.fullmatch(text)
    if clock:
        seconds = int(clock[2] or 0) * 3600 + int(clock[3]) * 60 + float(clock[4])
        return -seconds if clock[1] else seconds
    if text.isascii() and text.isdigit():
        return int(text)  # of a time in ns a float would lose the last digits
    try:
        number = float(text)
    except ValueError:
        return datetime.fromisoformat(text)
    if not math.isfinite(number):
        raise ValueError("not a number")
    return number


if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # it is generic for type checkers only, before click 8.5


class _Moment(_ParamType):
    """Seconds since the recording began, or before it ended, a clock, or a date."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it."""
        if not isinstance(value, str):
            return value
        try:
            return read_moment(value)
        except ValueError:
            self.fail(f"{value!r:.60} is no moment: 12.5 (s), -10 (before the end), 1:30, 2026-11-28T10:30", param, ctx)


MOMENT = _Moment()


def span_options(command: Any) -> Any:
    """Add ``--topics``, ``--start`` and ``--end``."""
    for option in (
        click.option("--end", type=MOMENT, help="Where it is over, likewise."),
        click.option("--start", type=MOMENT, help="Where it begins: seconds, -10 before the end, 1:30, or a date."),
        click.option(
            "-t", "--topics", multiple=True, metavar="TOPIC", help="Only these topics or patterns; may be repeated."
        ),
    ):
        command = option(command)
    return command
