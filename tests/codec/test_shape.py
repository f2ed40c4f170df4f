"""Types of struct messages: which are taken, how their instances give values, and how they are made of them."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

import pytest

from ipcpy.codec.fields import field_names
from ipcpy.codec.layout import parse_format
from ipcpy.codec.nesting import MAX_FIELDS
from ipcpy.codec.shape import SCALARS, SEQUENCES, Shape, shape_of
from ipcpy.errors import SchemaError

Pair = namedtuple("Pair", "a b")


class Label(NamedTuple):
    id: int
    text: str
    tag: bytes


class Doubled(namedtuple("Doubled", "a b")):
    """A named tuple with a ``__new__`` of its own."""

    def __new__(cls, a: int, b: int) -> Doubled:
        return super().__new__(cls, 2 * a, b)


@dataclass
class Pose:
    x: float
    y: float
    name: str = ""
    norm: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.norm = abs(self.x) + abs(self.y)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    linear: float
    angular: float


@dataclass
class One:
    value: int


@dataclass
class Nothing:
    pass


class Level(IntEnum):
    LOW = 1


def shape(type_: object, format: str, texts: tuple[int, ...] | None = None) -> Shape:
    return shape_of(type_, parse_format(format), texts)


def both_ways(found: Shape, instance: Any) -> tuple[Any, ...]:
    """Return an instance's values, having seen that they make the same instance again."""
    values = tuple(instance if found.spread is None else found.spread(instance))
    made = found.make(values)
    assert made == instance and type(made) is type(instance)
    return values


@pytest.mark.parametrize(
    ("type_", "format", "instance", "values"),
    [
        (int, "i", 5, (5,)),
        (float, "d", 0.5, (0.5,)),
        (bool, "?", True, (True,)),
        (bytes, "3s", b"abc", (b"abc",)),
        (str, "3s", "abc", ("abc",)),
        (list, "ii", [1, 2], (1, 2)),
        (tuple, "ii", (1, 2), (1, 2)),
        (Pair, "ii", Pair(1, 2), (1, 2)),
        (Label, "i4s4s", Label(1, "t", b"b"), (1, "t", b"b")),
        (Pose, "ff4s", Pose(1.0, -2.0, "n"), (1.0, -2.0, "n")),
        (Speed, "ff", Speed(linear=1.0, angular=2.0), (1.0, 2.0)),
        (One, "i", One(7), (7,)),
        (Nothing, "4x", Nothing(), ()),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_an_instance_gives_the_values_that_make_it(type_: type, format: str, instance: Any, values: Any) -> None:
    found = shape(type_, format)
    assert both_ways(found, instance) == values
    assert found.kind == (type_.__name__ if type_ in (*SCALARS.values(), *SEQUENCES.values()) else "named")
    assert found.fields == field_names(type_)


@pytest.mark.parametrize(
    ("type_", "format", "texts"),
    [(str, "3s", {0}), (bytes, "3s", set()), (Label, "i4s4s", {1}), (Pose, "ff4s", {2}), (Pair, "4s4s", set())],
)
def test_fields_annotated_str_are_text(type_: type, format: str, texts: set[int]) -> None:
    assert shape(type_, format).texts == texts


def test_texts_of_a_schema_stand_for_annotations() -> None:
    assert shape(Pair, "4s4s", (1,)).texts == {1}
    assert shape(Label, "i4s4s", ()).texts == set()


def test_a_type_that_makes_its_instances_in_its_own_way_does_so() -> None:
    assert shape(Doubled, "ii").make((1, 2)) == (2, 2)
    assert shape(Pose, "ff4s").make((3.0, -4.0, "n")).norm == 7.0


@pytest.mark.parametrize(
    ("type_", "format", "problem"),
    [
        (5, "i", "expected a type"),
        (complex, "dd", "none of the types"),
        (dict, "i", "none of the types"),
        (Level, "i", "none of the types"),
        (int, "ii", "one value"),
        (int, "f", "does not fit"),
        (float, "i", "does not fit"),
        (bool, "b", "does not fit"),
        (str, "c", "does not fit"),
        (Pair, "iii", "has 2 fields"),
        (Pose, "ff", "has 3 fields"),
        (Label, "iii", "annotated str"),
        (namedtuple("Bad", "_0", rename=True), "i", "underscore"),
        (namedtuple("Many", [f"f{n}" for n in range(MAX_FIELDS + 1)]), f"{MAX_FIELDS + 1}b", "1024 are allowed"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_types_that_are_refused(type_: object, format: str, problem: str) -> None:
    with pytest.raises(SchemaError, match=problem):
        shape(type_, format)
