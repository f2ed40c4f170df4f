"""A message as a tree: what is shown, what is folded, and which lines are numbers with a path."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass

import pytest

from ipcpy.overview.values import number_at
from ipcpy.top.outline import MAX_LINES, outline

Imu = namedtuple("Imu", "gx gy")


def drawn(data, turned=()):
    return [f"{'  ' * twig.depth}{twig.name}={twig.text}" for twig in outline(data, turned)]


def test_fields_stand_below_what_they_are_in():
    assert drawn({"mode": "auto", "pose": {"x": 1, "y": 2.5}}) == ["mode=auto", "pose=", "  x=1", "  y=2.5"]
    assert drawn(Imu(1.5, -2)) == ["gx=1.5", "gy=-2"]


def test_dataclasses_have_fields_too():
    @dataclass
    class Pose:
        x: float
        ok: bool

    assert drawn(Pose(0.5, True)) == ["x=0.5", "ok=True"]


def test_a_message_may_be_a_value_by_itself():
    assert drawn(5) == ["=5"]
    assert drawn("text") == ["=text"]
    assert drawn(b"\x00\xff") == ["=bytes[2]  00 ff"]
    assert drawn(None) == ["=None"]


def test_a_long_list_is_folded_until_somebody_opens_it():
    data = {"ranges": list(range(20)), "short": [1, 2]}
    assert drawn(data) == ["ranges=20 items", "short=2 items", "  [0]=1", "  [1]=2"]
    opened = drawn(data, {("ranges",), ("short",)})
    assert opened[0] == "ranges=20 items"
    assert opened[20:] == ["  [19]=19", "short=2 items"]


def test_arrays_show_their_kind_and_their_first_values():
    np = pytest.importorskip("numpy")
    (image,) = outline({"image": np.zeros((4, 6, 3), np.uint8)})
    assert (image.name, image.text, image.folds) == ("image", "uint8[4x6x3]  0, 0, 0, 0, 0, 0, 0, 0, ...", False)
    values = np.array([1.5, 2.5])
    assert drawn(values) == ["=float64[2]  1.5, 2.5"]
    assert drawn(values, {()}) == ["=float64[2]  1.5, 2.5", "  [0]=1.5", "  [1]=2.5"]


def test_each_number_has_the_path_that_leads_to_it():
    np = pytest.importorskip("numpy")
    data = {"pose": Imu(1.5, -2), "q": [1, {"deep": 7}], "a.b": 3, 5: 6, "array": np.array([8, 9]), "nan": float("nan")}
    numbers = {twig.path: twig.text for twig in outline(data, {("array",)}) if twig.number}
    assert len(numbers) == 9
    for path, text in numbers.items():
        assert number_at(data, path) == pytest.approx(float(text), nan_ok=True)


def test_deep_large_and_hostile_messages_end():
    deep: object = 1
    for _ in range(1000):
        deep = {"down": deep}
    assert len(outline(deep)) < 50
    assert len(outline({f"field{number}": number for number in range(100_000)})) <= MAX_LINES + 1
    assert all(twig.text.isprintable() for twig in outline({"evil": "\x1b[2J", "b": ["\x1b"]}))
