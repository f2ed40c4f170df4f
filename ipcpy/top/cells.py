"""Rows as lines of cells that fit a width. Knows what each column shows and how wide it is; nothing of textual.

A line is pieces of text, each with its style. What a style says, the text says too: there may be no colours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from ..overview.rows import FlowRow, NodeRow, TopicRow
from ..overview.text import duration, per_second, percent, printable, size, sparkline

__all__ = ["FLOW", "NODE", "Column", "Line", "cut", "heads", "line", "mark", "topic_columns"]

Line = tuple[tuple[str, str], ...]
"""Pieces of text, each with a style of rich: ``bold``, ``yellow``, ``dim``, or none."""

MANY = 0.05  # share of losses that is told in red
UNKNOWN = "-"
R = TypeVar("R")


class Column(NamedTuple, Generic[R]):
    """A column of a table.

    Attributes:
        head: what stands above it.
        width: how many cells it has; 0 for what the others leave.
        show: returns the text for a row, and its style; given the width.
        key: what it is sorted by; empty where it cannot be.
        right: whether its text stands on the right.
    """

    head: str
    width: int
    show: Callable[[R, int], tuple[str, str]]
    key: str = ""
    right: bool = True


def cut(text: str, width: int) -> str:
    """Return a text as wide as asked for, counted in cells of a terminal; what is too long loses its middle.

    >>> cut("camera", 8), cut("robot/camera/left", 10)
    ('camera  ', 'robot/~eft')
    """
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= width:
        return set_cell_size(text, width)
    if width < 4:
        return set_cell_size(text, width)
    behind = (width - 1) // 3
    end = text
    while cell_len(end) > behind:
        end = end[1:]
    return set_cell_size(text, width - 1 - cell_len(end)) + "~" + end


def line(columns: Sequence[Column[R]], row: R, width: int) -> Line:
    """Return a row as a line."""
    widths = _widths(columns, width)
    pieces = []
    for column, room in zip(columns, widths, strict=True):
        text, style = column.show(row, room)
        text = printable(text)
        pieces += [(text.rjust(room) if column.right and len(text) <= room else cut(text, room), style), (" ", "")]
    return tuple(pieces[:-1])


def heads(columns: Sequence[Column[R]], width: int, key: str = "", *, reverse: bool = False) -> Line:
    """Return the line above a table, which shows what is sorted by."""
    widths = _widths(columns, width)
    pieces: list[tuple[str, str]] = []
    for column, room in zip(columns, widths, strict=True):
        chosen = bool(key) and column.key == key
        text = f"{column.head}{'↑' if reverse else '↓'}" if chosen else column.head
        text = text.rjust(room)[:room] if column.right else cut(text, room)
        pieces += [(text, "bold underline" if chosen else "bold"), (" ", "")]
    return tuple(pieces[:-1])


def _widths(columns: Sequence[Column[R]], width: int) -> list[int]:
    left = max(0, width - sum(column.width for column in columns) - len(columns) + 1)
    wide = [column for column in columns if not column.width]
    return [column.width or left // len(wide) + (left % len(wide) if column is wide[0] else 0) for column in columns]


def mark(row: TopicRow) -> tuple[str, str]:
    """Return the sign before a topic: ``!`` where messages get lost now, ``?`` where something else is amiss."""
    if row.loss:
        return "!", "bold red" if row.loss >= MANY else "bold yellow"
    return ("?", "yellow") if row.why and row.subscribers and row.publishers else (" ", "")


def topic_columns(width: int, *, domains: bool, bars: str) -> list[Column[TopicRow]]:
    """Return the columns of topics: with 80 cells all of them, and the past in what is left.

    Args:
        width: of the terminal.
        domains: whether the domain is shown.
        bars: what the past is drawn with.
    """
    past = 16 if width < 100 else min(60, width // 4)
    columns: list[Column[TopicRow]] = [Column("", 1, lambda row, _: mark(row), right=False)]
    if domains:
        columns.append(Column("DOMAIN", 9 if width < 100 else 14, _of(lambda row: row.domain), "domain", right=False))
        past = max(8, past - 10)
    return [
        *columns,
        Column("TOPIC", 0, _of(lambda row: row.topic), "topic", right=False),
        Column("P", 2, _of(lambda row: str(row.publishers)), "publishers"),
        Column("S", 3, _of(lambda row: str(row.subscribers)), "subscribers"),
        Column("HZ", 7, _of(lambda row: _known(row.rate, per_second)), "rate"),
        Column("BYTES/S", 8, _of(lambda row: _known(row.bandwidth, size)), "bandwidth"),
        Column("LOSS", 6, _loss, "loss"),
        Column("LATENCY", 8, _of(lambda row: _known(row.latency and row.latency[1], duration)), "latency"),
        Column(f"LAST {past} S", past, _past(bars)),
    ]


def _of(show: Callable[[R], str]) -> Callable[[R, int], tuple[str, str]]:
    return lambda row, _: (show(row), "")


def _known(value: float | None, show: Callable[[float], str]) -> str:
    return UNKNOWN if value is None else show(value)


def _loss(row: TopicRow | FlowRow, _: int) -> tuple[str, str]:
    if not row.loss:
        return _known(row.loss, percent), ""
    return percent(row.loss), "bold red" if row.loss >= MANY else "bold yellow"


def _past(bars: str) -> Callable[[TopicRow, int], tuple[str, str]]:
    return lambda row, width: (sparkline(row.history, width, bars), "cyan")


def _causes(causes: Mapping[str, int]) -> str:
    return ", ".join(f"{cause} {number:,}" for cause, number in sorted(causes.items(), key=lambda each: -each[1]))


FLOW: tuple[Column[FlowRow], ...] = (
    Column("FROM", 0, _of(lambda row: row.from_name or "nobody"), right=False),
    Column("TO", 0, _of(lambda row: row.to_name or "nobody"), right=False),
    Column("WAY", 9, _of(lambda row: {"shared memory": "memory"}.get(row.way, row.way) or UNKNOWN), right=False),
    Column("HZ", 6, _of(lambda row: _known(row.rate, per_second))),
    Column("LOSS", 6, _loss),
    Column("MEDIAN", 7, _of(lambda row: _known(row.latency and row.latency[1], duration))),
    Column("99 %", 7, _of(lambda row: _known(row.latency and row.latency[2], duration))),
    Column("QUEUE", 5, _of(lambda row: _known(row.queued, str))),
    Column("LOST", 0, _of(lambda row: _causes(row.causes) if row.causes else "-"), right=False),
)

NODE: tuple[Column[NodeRow], ...] = (
    Column("NODE", 0, _of(lambda row: row.name), right=False),
    Column("HOST", 10, _of(lambda row: row.host), right=False),
    Column("PID", 7, _of(lambda row: str(row.pid))),
    Column("P", 3, _of(lambda row: str(len(row.publishes)))),
    Column("S", 3, _of(lambda row: str(len(row.subscribes)))),
    Column("SENDS", 6, _of(lambda row: _known(row.sends, per_second))),
    Column("BYTES/S", 8, _of(lambda row: _known(row.sends_bytes, size))),
    Column("TAKES", 6, _of(lambda row: _known(row.receives, per_second))),
    Column("LOST", 5, _of(lambda row: f"{row.lost:,}")),
    Column("STATE", 6, lambda row, _: _state(row), right=False),
)


def _state(row: NodeRow) -> tuple[str, str]:
    return ("alive", "") if row.state == "alive" else (f"silent {duration(row.age)}"[:6], "bold yellow")
