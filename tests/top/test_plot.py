"""Plots as text: what is drawn is where it belongs."""

from __future__ import annotations

import math
from random import Random

import pytest

from ipcpy.top.plot import LABEL, plot


def dots(lines, *, ascii=False):
    """Return the dots of a plot as column and row."""
    found = set()
    for row, line in enumerate(lines[:-1]):
        for column, char in enumerate(line[LABEL + 1 :]):
            if ascii and char == "*":
                found.add((column, row))
            elif not ascii and char != " ":
                bits = ord(char) - 0x2800
                cells = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))
                found |= {(2 * column + x, 4 * row + y) for bit, (x, y) in enumerate(cells) if bits >> bit & 1}
    return found


def sine(count=400, seconds=10.0):
    return [(moment := seconds * number / count, math.sin(moment)) for number in range(count + 1)]


@pytest.mark.parametrize("ascii", [False, True])
def test_a_sine_is_read_back_from_what_is_drawn(ascii):
    lines = plot(sine(), 70, 17, end=10.0, seconds=10.0, ascii=ascii)
    drawn = dots(lines, ascii=ascii)
    across, down = (60, 16) if ascii else (120, 64)
    assert float(lines[0][:LABEL]) == pytest.approx(1.0, abs=0.01)
    assert float(lines[-2][:LABEL]) == pytest.approx(-1.0, abs=0.01)
    for column in range(across):
        rows = [row for x, row in drawn if x == column]
        value = math.sin((column + 0.5) / across * 10.0)
        read = 1.0 - 2.0 * (sum(rows) / len(rows)) / (down - 1)
        assert read == pytest.approx(value, abs=0.35 if ascii else 0.15), column


def test_the_size_is_that_asked_for():
    for width, height in ((80, 24), (30, 5), (13, 2), (11, 1)):
        lines = plot(sine(), width, height, end=10.0, seconds=10.0)
        assert len(lines) == height
        assert max(map(len, lines)) <= width
        assert len(plot([], width, height, end=0.0, seconds=1.0)) == height


def test_the_axis_says_how_much_time_is_shown():
    lines = plot(sine(), 60, 10, end=10.0, seconds=10.0)
    assert lines[-1].split() == ["-10", "s", "now"]


def test_a_spike_between_two_columns_is_not_lost():
    points = [(number / 1000, 0.0) for number in range(10_000)]
    points[5_003] = (5.003, 1.0)
    drawn = dots(plot(points, 50, 9, end=10.0, seconds=10.0))
    assert {row for column, row in drawn if column == 40} == set(range(32))


def test_what_never_changes_is_a_line_in_the_middle():
    lines = plot([(float(number), 5.0) for number in range(11)], 50, 9, end=10.0, seconds=10.0)
    assert {row for _, row in dots(lines)} <= {15, 16}
    assert (float(lines[0][:LABEL]), float(lines[-2][:LABEL])) == (7.5, 2.5)


def test_gaps_and_what_is_older_are_left_out():
    points = [(0.0, 100.0), (11.0, math.nan), (12.0, math.inf), (15.0, 1.0), (16.0, 2.0), (99.0, 50.0)]
    lines = plot(points, 50, 9, end=20.0, seconds=10.0)
    assert (float(lines[0][:LABEL]), float(lines[-2][:LABEL])) == (2.0, 1.0)


def test_nothing_to_plot_is_said():
    assert "nothing to plot yet" in plot([], 50, 5, end=0.0, seconds=1.0)[0]


def test_any_numbers_are_drawn_within_the_frame():
    dice = Random(7)
    for _ in range(300):
        scale = 10.0 ** dice.randint(-300, 308)
        points = [(dice.uniform(-1, 11), dice.uniform(-1, 1) * scale) for _ in range(dice.randrange(50))]
        width, height = dice.randint(11, 90), dice.randint(1, 20)
        lines = plot(sorted(points), width, height, end=10.0, seconds=10.0, ascii=dice.random() < 0.5)
        assert len(lines) == height
        assert all(len(line) <= width for line in lines)
