"""What people see."""

from __future__ import annotations

import math
from collections import namedtuple

import pytest

from ipcpy.cli import render

Imu = namedtuple("Imu", "gx long_name")


def shown(data):
    return list(render.value(data))


def test_fields_are_aligned():
    assert shown(Imu(1.5, -2)) == ["gx          1.5", "long_name  -2"]
    assert shown({"pose": {"x": 1, "yy": True}, "n": None}) == ["pose", "  x    1", "  yy  True", "n     None"]


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (1.25, " 1.25"),
        ("text", "text"),
        ("\x1b[2J\n", "\\x1b[2J\\n"),
        (bytes(range(20)), "bytes[20]  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f ..."),
        ([1, 2.5, "a"], "[1, 2.5, 'a']"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, 6, 7, ...] (100)"),
        ("x" * 1000, "x" * 200 + "... (1,000 characters)"),
        ({}, "{}"),
        (2**64, " 18446744073709551616"),
    ],
)
def test_plain_values_take_one_line(data, line):
    assert shown(data) == [line]


def test_enormous_integers_are_abbreviated():
    assert shown(2**20_000) == ["int of 20001 bits"]


def test_arrays_are_abbreviated():
    np = pytest.importorskip("numpy")
    assert shown(np.zeros((1080, 1920, 3), np.uint8)) == ["uint8[1080×1920×3]  0, 0, 0, 0, 0, 0, 0, 0, ... (6,220,800)"]
    assert shown(np.array(1.5)) == ["float64[]  1.5"]


def test_many_fields_are_abbreviated():
    lines = shown({f"f{n}": n for n in range(100)})
    assert len(lines) == render.MAX_LINES + 1
    assert "40 lines more" in lines[-1]


def test_deep_and_hostile_data_ends():
    data: object = 1
    for _ in range(100):
        data = {"\x1b]0;title\x07": data}
    assert all(line.isprintable() for line in shown(data))


def test_a_table_is_aligned_and_printable():
    lines = list(render.table([("imu", "x"), ("a\nb", "")], ("TOPIC", "T")))
    assert [line.replace("\x1b[1m", "").replace("\x1b[0m", "") for line in lines] == ["TOPIC  T", "imu    x", "a\\nb"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 µs"), (-0.0005, "-500 µs"), (0.0015, "1.5 ms"), (1, "1 s"), (5000, "5,000 s")]
)
def test_durations(seconds, text):
    assert render.duration(seconds) == text


def test_a_moment_from_a_peer_may_be_anything():
    assert ":" in render.clock(1_795_000_000_000_000_000)
    assert render.clock(2**64 - 1)


@pytest.mark.parametrize(
    ("seconds", "bound", "text"),
    [
        (0.0012, 0.0001, "1.2 ms ± 0.1 ms"),
        (0.00121, 0.00009, "1.21 ms ± 0.09 ms"),
        (0.0012, 0.000104, "1.2 ms ± 0.2 ms"),
        (0.0409, 0.02, "40 ms ± 30 ms"),
        (0.0001, 0.0001, "100 µs ± 100 µs"),
        (3.0, 0.0001, "3.0000 s ± 0.0001 s"),
        (2.5, 0.0, "2.5 s"),
        (2.5, math.inf, "2.5 s"),
    ],
)
def test_a_time_has_the_digits_that_its_bound_leaves_and_what_is_shown_covers_the_truth(seconds, bound, text):
    assert render.with_bound(seconds, bound) == text
