"""What a value is, in a few words."""

from __future__ import annotations

import datetime
from collections import namedtuple

import pytest

from ipcpy.cli.newest import facts, what

Imu = namedtuple("Imu", "gx gy")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (5, "int"),
        (True, "bool"),
        (0.5, "float"),
        (None, "None"),
        ("ab", "text[2]"),
        (bytes(1_500), "bytes[1,500]"),
        ([1, 2, 3], "list of 3 int"),
        ([1, "a"], "list of 2"),
        ([], "list of 0"),
        ([[1, 2], [3, 4]], "list of 2 list of 2"),
        ((1.0, 2.0), "tuple of 2 float"),
        (Imu(1, 2), "Imu"),
        ({}, "dict of 0"),
        ({"speed": 0.5, 5: [Imu(1, 2)]}, "dict of 2: speed float, 5 list of 1 Imu"),
        ({str(n): n for n in range(9)}, "dict of 9: 0 int, 1 int, 2 int, 3 int, 4 int, 5 int, ..."),
        (datetime.datetime(2026, 1, 1), "datetime"),
        ({"\x1b[2J": "\x1b"}, r"dict of 1: \x1b[2J text[1]"),
    ],
)
def test_what_a_value_is(data, words):
    assert what(data) == words
    assert facts(data)["text"] == words


def test_however_deep_it_is():
    deep, deeper = [], {}
    for _ in range(10_000):
        deep, deeper = [deep], {"k": deeper}
    assert what(deep) == "list of 1 list of 1"
    assert what(deeper) == "dict of 1: k dict of 1"


@pytest.mark.parametrize(
    ("shape", "dtype", "words"),
    [
        ((480, 640, 3), "u1", "uint8[480×640×3], an image of 640 × 480"),
        ((480, 640), "u2", "uint16[480×640], an image of 640 × 480"),
        ((480, 640, 1), "f4", "float32[480×640×1], an image of 640 × 480"),
        ((480, 640, 7), "u1", "uint8[480×640×7]"),
        ((3, 3), "f8", "float64[3×3]"),
        ((100, 100), "c16", "complex128[100×100]"),
        ((), "f8", "float64[]"),
        ((2,), [("\x1b", "f4")], r"[('\x1b', '<f4')][2]"),
    ],
)
def test_what_an_array_is(shape, dtype, words):
    np = pytest.importorskip("numpy")
    assert what(np.zeros(shape, dtype)) == words


def test_what_an_array_is_for_programs():
    np = pytest.importorskip("numpy")
    assert facts(np.zeros((480, 640, 3), "u1")) == {
        "type": "ndarray",
        "text": "uint8[480×640×3], an image of 640 × 480",
        "dtype": "uint8",
        "shape": [480, 640, 3],
        "bytes": 921_600,
        "image": [640, 480],
    }
    assert facts({"grid": np.zeros((5, 5), "i1"), "n": 1})["fields"] == {"grid": "int8[5×5]", "n": "int"}
