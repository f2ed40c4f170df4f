from __future__ import annotations

import json
import math
from collections import namedtuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.viewers.plotted import MAX_ARRAY, MAX_NUMBERS, SIZE, datagrams, numbers

Imu = namedtuple("Imu", "gx acc")


def series(datagram: bytes) -> dict[str, list[tuple[float, float]]]:
    """Return the points that PlotJuggler makes of a datagram: its parser (nlohmann_parsers.cpp), told in Python."""
    told = json.loads(datagram, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    stamp = told["timestamp"]
    found: dict[str, list[tuple[float, float]]] = {}

    def flatten(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                flatten(f"{prefix}/{key}", item)
        elif isinstance(value, list):
            for n, item in enumerate(value):
                flatten(f"{prefix}[{n}]", item)
        elif isinstance(value, int | float):
            found.setdefault(prefix, []).append((stamp, float(value)))

    flatten("", told)
    del found["/timestamp"]
    return found


def plotted(data: Any, topic: str = "imu", stamp: float = 5.25) -> dict[str, float]:
    """Return the series of a message by name, each with its one number."""
    made: dict[str, float] = {}
    for datagram in datagrams(topic, stamp, numbers(data)):
        assert len(datagram) <= SIZE
        for name, points in series(datagram).items():
            assert name not in made
            assert points[0][0] == stamp
            made[name] = points[0][1]
    return made


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (Imu(1.5, (2, 3.0)), {"/imu/gx": 1.5, "/imu/acc[0]": 2, "/imu/acc[1]": 3}),
        ({"a": {"b": [1, {"c": 2}]}}, {"/imu/a/b[0]": 1, "/imu/a/b[1]/c": 2}),
        ({"on": True, "off": False}, {"/imu/on": 1, "/imu/off": 0}),
        (7, {"/imu": 7}),
        ([1, 2], {"/imu[0]": 1, "/imu[1]": 2}),
        (np.array([[1, 2], [3, 4]], "<f4"), {"/imu[0][0]": 1, "/imu[0][1]": 2, "/imu[1][0]": 3, "/imu[1][1]": 4}),
        ({"x": np.float32(0.5).item(), 3: 4}, {"/imu/x": 0.5, "/imu/3": 4}),
        ({"x": math.nan, "y": math.inf, "z": -math.inf, "w": 1}, {"/imu/w": 1}),
        ({"huge": 10**400, "large": 2**62}, {"/imu/large": 2**62}),
        ({"name": "imu", "raw": b"\0", "none": None}, {}),
        ("text", {}),
        (None, {}),
        ({"größe/\"\\": 1, "\ud800": 2}, {'/imu/größe/"\\': 1, "/imu/?": 2}),
        (np.zeros((480, 640, 3), "uint8"), {}),
        (np.array([1 + 2j]), {}),
    ],
)  # fmt: skip
def test_each_number_is_a_series_by_the_way_to_it(data: Any, shown: dict[str, float]) -> None:
    assert plotted(data) == shown


def test_a_topic_is_the_beginning_of_the_way() -> None:
    assert plotted({"gz": 1}, "robot/imu") == {"/robot/imu/gz": 1}
    assert plotted(1, "timestamp") == {"/timestamp/data": 1}
    assert plotted({"x": 1}, "timestamp") == {"/timestamp/x": 1}


def test_a_large_message_is_shared_out_to_datagrams_that_plotjuggler_reads_whole() -> None:
    data = {f"joint{number}": [number + 0.125] * 20 for number in range(50)}
    assert len(datagrams("arm", 5.25, numbers(data))) > 10
    shown = plotted(data, "arm")
    assert len(shown) == 1000
    assert shown["/arm/joint49[19]"] == 49.125


def test_what_is_too_much_is_left_out() -> None:
    assert numbers(list(range(MAX_NUMBERS + 1))) == []
    assert len(numbers([[1] * 100] * 100)) == MAX_NUMBERS
    assert numbers(np.zeros(MAX_ARRAY + 1)) == []
    assert numbers({"x" * 600: 1, "y": 2}) == [("/y", 2)]
    deep: Any = 1
    for _ in range(1000):
        deep = [deep]
    assert numbers(deep) == []


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text() | st.integers(), inner, max_size=5),
    ),
    st.floats(0, 1e10),
)
def test_whatever_is_published_is_json_that_the_parser_takes(data: Any, stamp: float) -> None:
    for datagram in datagrams("any/topic", stamp, numbers(data)):
        assert len(datagram) <= SIZE
        assert datagram.isascii()
        series(datagram)
