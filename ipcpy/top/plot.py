"""A plot as lines of text. Knows numbers and characters; nothing of where numbers come from, or of terminals.

Each cell has 2 × 4 dots of braille; where that cannot be shown, 1 × 1 stars.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

__all__ = ["plot"]

LABEL = 9  # cells for what stands at the left
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # of a braille cell, from the top, left and right
_BRAILLE = 0x2800


def plot(
    points: Iterable[tuple[float, float]], width: int, height: int, *, end: float, seconds: float, ascii: bool = False
) -> list[str]:
    """Draw values over time, the newest on the right, with the largest and the smallest at the left.

    Several values that fall on one column make a line from the least to the largest. Neighbours are joined.

    Args:
        points: moment and value each, in the order of time; NaN is a gap.
        width: cells, the labels included.
        height: lines, that with the time included.
        end: the moment at the right.
        seconds: how much time is shown.
        ascii: whether to do without braille.

    Returns:
        Exactly ``height`` lines.
    """
    across, down = (1, 1) if ascii else (2, 4)
    columns, lines = max(1, width - LABEL - 1), max(1, height - 1)
    ranges = _ranges(points, columns * across, end - seconds, seconds)
    known = [each for each in ranges if each is not None]
    if not known:
        return ["nothing to plot yet".center(width)[:width].rstrip(), *[""] * (height - 1)]
    low, high = min(least for least, _ in known), max(most for _, most in known)
    if low == high:  # a flat line, in the middle
        low, high = low - max(abs(low), 1.0) * 0.5, high + max(abs(high), 1.0) * 0.5
    dots = _dots(ranges, lines * down, low, high)
    drawn = _stars(dots, columns, lines) if ascii else _braille(dots, columns, lines)
    labels = {0: high, lines - 1: low} if lines > 1 else {0: high}
    body = [f"{_number(labels[row]) if row in labels else '':>{LABEL}} {text}" for row, text in enumerate(drawn)]
    axis = f"-{seconds:g} s".ljust(columns - 3) + "now"
    return [line[:width] for line in (*body, f"{'':{LABEL}} {axis}")][:height]


def _ranges(
    points: Iterable[tuple[float, float]], columns: int, start: float, seconds: float
) -> list[tuple[float, float] | None]:
    """Return the least and the largest value of each column; None for a column without any."""
    found: list[tuple[float, float] | None] = [None] * columns
    for moment, value in points:
        column = int((moment - start) / seconds * columns)
        if 0 <= column <= columns and math.isfinite(value):
            column = min(column, columns - 1)
            before = found[column]
            found[column] = (min(before[0], value), max(before[1], value)) if before else (value, value)
    return found


def _dots(ranges: Sequence[tuple[float, float] | None], rows: int, low: float, high: float) -> list[tuple[int, int]]:
    """Return the dots that are set, as column and row, the row from the top."""

    def row_of(value: float) -> int:
        share = value / 2 - low / 2  # the difference of two large numbers may be too large for a float
        return rows - 1 - min(rows - 1, max(0, round(share / (high / 2 - low / 2) * (rows - 1))))

    dots: list[tuple[int, int]] = []
    last: tuple[int, int] | None = None  # column and row of the value before
    for column, each in enumerate(ranges):
        if each is None:
            continue
        top, bottom = row_of(each[1]), row_of(each[0])
        if last is not None:
            dots += _joined(last, (column, min(max(last[1], top), bottom)))
        dots += [(column, row) for row in range(top, bottom + 1)]
        last = (column, (top + bottom) // 2)
    return dots


def _joined(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the dots between two."""
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    dx, dy = (end[0] - start[0]) / steps, (end[1] - start[1]) / steps
    return [(round(start[0] + dx * step), round(start[1] + dy * step)) for step in range(steps)]


def _braille(dots: Iterable[tuple[int, int]], columns: int, lines: int) -> list[str]:
    cells = [[0] * columns for _ in range(lines)]
    for column, row in dots:
        cells[row // 4][column // 2] |= _DOTS[row % 4][column % 2]
    return ["".join(chr(_BRAILLE + cell) if cell else " " for cell in line).rstrip() for line in cells]


def _stars(dots: Iterable[tuple[int, int]], columns: int, lines: int) -> list[str]:
    cells = [[" "] * columns for _ in range(lines)]
    for column, row in dots:
        cells[row][column] = "*"
    return ["".join(line).rstrip() for line in cells]


def _number(value: float) -> str:
    """Write a number in nine cells."""
    text = f"{value:.6g}"
    return text if len(text) <= LABEL else f"{value:.2e}"
