"""Values, tables and durations as text for people. Knows nothing of where they come from.

All text from the network is made printable, so that nobody can move the cursor of somebody else's terminal.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from ..overview.text import duration, per_second, plural, printable, printable_lines, size

__all__ = [
    "array_kind",
    "clock",
    "dim",
    "duration",
    "heading",
    "per_second",
    "plural",
    "printable",
    "printable_lines",
    "size",
    "table",
    "value",
    "warning",
    "with_bound",
]

MAX_ITEMS = 8  # of an array or list that are shown
MAX_TEXT = 200  # characters of a text that are shown
MAX_LINES = 60  # of one message
MAX_DEPTH = 6


def heading(text: str) -> str:
    """Make text bold, on a terminal."""
    return click.style(text, bold=True)


def dim(text: str) -> str:
    """Make text recede, on a terminal."""
    return click.style(text, dim=True)


def warning(text: str) -> str:
    """Make text stand out, on a terminal."""
    return click.style(text, fg="yellow")


def with_bound(seconds: float, bound: float) -> str:
    """Write a time span and how wrong it can be, in the unit and with the digits that make sense.

    >>> with_bound(0.00121, 0.00009), with_bound(2.5, 0.0), with_bound(0.0409, 0.02)
    ('1.21 ms ± 0.09 ms', '2.5 s', '40 ms ± 30 ms')
    """
    if not 0 < bound < math.inf:
        return duration(seconds)
    largest = max(abs(seconds), bound)
    factor, unit = next(((f, u) for f, u in ((1e6, "µs"), (1e3, "ms")) if largest * f < 999.5), (1.0, "s"))
    digits = -math.floor(math.log10(bound * factor))
    shown = round(seconds * factor, digits)
    step = 10.0**-digits
    most = math.ceil((bound * factor + abs(seconds * factor - shown)) / step - 1e-9) * step
    places = max(0, digits)
    return f"{shown:.{places}f} {unit} ± {most:.{places}f} {unit}"


def clock(ns: int) -> str:
    """Write a moment (ns since 1970) as local time of day."""
    try:
        return datetime.fromtimestamp(ns / 1e9).strftime("%H:%M:%S.%f")
    except (OverflowError, ValueError, OSError):  # it came from a peer
        return f"{ns} ns"


def table(rows: Iterable[Sequence[str]], head: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a table whose columns are aligned."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    yield heading(_line(head, widths))
    for row in cells:
        yield _line(row, widths)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def value(data: Any) -> Iterator[str]:
    """Yield the lines that show a message's data: one for a plain value, one a field where it has fields."""
    lines = list(_lines(data, 0))
    yield from lines[:MAX_LINES]
    if len(lines) > MAX_LINES:
        yield f"... and {plural(len(lines) - MAX_LINES, 'line')} more (--json has all)"


def _lines(data: Any, depth: int) -> Iterator[str]:
    named = _named(data)
    if not named or depth > MAX_DEPTH:
        yield _short(data)
        return
    width = max(len(name) for name, _ in named)
    for name, item in named:
        if _named(item) and depth < MAX_DEPTH:
            yield name
            yield from (f"  {line}" for line in _lines(item, depth + 1))
        else:
            yield f"{name.ljust(width)}  {_short(item)}"


def _named(data: Any) -> list[tuple[str, Any]]:
    """Return the fields of something that has any; else none."""
    if isinstance(data, Mapping):
        return [(printable(str(key))[:MAX_TEXT], item) for key, item in data.items()]
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return [(printable(name), item) for name, item in zip(data._fields, data, strict=True)]
    if dataclasses.is_dataclass(data) and not isinstance(data, type):
        return [(printable(field.name), getattr(data, field.name)) for field in dataclasses.fields(data)]
    return []


def _short(data: Any) -> str:
    """Write a value in one line."""
    if isinstance(data, bool) or data is None:
        return str(data)
    if isinstance(data, float):
        return f"{data:< .9g}"
    if isinstance(data, int):
        return f"{data: d}" if data.bit_length() < 1000 else f"int of {data.bit_length()} bits"
    if isinstance(data, str):
        shown = printable(data[:MAX_TEXT])
        return shown if len(data) <= MAX_TEXT else f"{shown}... ({len(data):,} characters)"
    if isinstance(data, bytes | bytearray | memoryview):
        shown = bytes(data[: 2 * MAX_ITEMS]).hex(" ")
        return f"bytes[{len(data):,}]  {shown}{' ...' if len(data) > 2 * MAX_ITEMS else ''}"
    if isinstance(data, list | tuple):
        return _shorten(data, len(data), "[", "]")
    if hasattr(data, "dtype") and hasattr(data, "shape"):
        return _short_array(data)
    return printable(str(data)[:MAX_TEXT])


def _short_array(array: Any) -> str:
    first = array.reshape(-1)[:MAX_ITEMS] if array.ndim else array.reshape(1)
    return f"{array_kind(array)}  {_shorten(first.tolist(), array.size, '', '')}"


def array_kind(array: Any) -> str:
    """Name an array's type and shape: ``uint8[480×640×3]``."""
    return f"{printable(str(array.dtype))[:MAX_TEXT]}[{'×'.join(map(str, array.shape))}]"


def _shorten(items: Any, number: int, left: str, right: str) -> str:
    shown = ", ".join(_item(item) for item in items[:MAX_ITEMS])
    return (
        f"{left}{shown}{', ...' if number > MAX_ITEMS else ''}{right}{f' ({number:,})' if number > MAX_ITEMS else ''}"
    )


def _item(item: Any) -> str:
    if isinstance(item, float):
        return f"{item:.6g}"
    try:
        return printable(repr(item)[:40])
    except RecursionError:
        return f"{type(item).__name__} that is nested too deep"
