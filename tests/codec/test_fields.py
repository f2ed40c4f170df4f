"""Fields of types: names, annotations in all their spellings, and how an instance is made of values."""

from __future__ import annotations

import typing
from collections import namedtuple
from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, NewType, Optional, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.codec import MsgLibrary
from ipcpy.codec.fields import annotations_of, array_kind, check_name, field_names, is_text, maker, nested_type
from ipcpy.errors import SchemaError

Text = NewType("Text", str)


class Side(StrEnum):
    LEFT = "left"


class Vec(NamedTuple):
    x: float


class Spelled(NamedTuple):
    a: str
    b: str | None
    c: Optional[str]  # noqa: UP045
    d: Union[None, str]  # noqa: UP007
    e: Annotated[str, "frame"]
    f: Annotated[Optional[str], 16]  # noqa: UP045
    g: Literal["a", "b"]
    h: Text
    i: Side
    j: "str"  # noqa: UP037
    k: "Optional['str']"  # noqa: UP037, UP045
    l: typing.Annotated[str | None, 16]  # noqa: E741


class Others(NamedTuple):
    a: bytes
    b: bytes | None
    c: str | bytes
    d: Literal["a", 1]
    e: Any
    f: Optional[Missing]  # type: ignore[name-defined]  # noqa: F821, UP045
    g: list[str]
    h: type[str]


@pytest.mark.parametrize("name", Spelled._fields)
def test_an_annotation_that_allows_text_alone_is_text_however_it_is_spelled(name: str) -> None:
    assert is_text(annotations_of(Spelled)[name])


@pytest.mark.parametrize("name", Others._fields)
def test_other_annotations_are_not(name: str) -> None:
    assert not is_text(annotations_of(Others)[name])


@pytest.mark.parametrize(
    "written",
    [
        "str",
        "str | None",
        "None | str",
        "Optional[str]",
        "typing.Optional['str']",
        "Union[str, None]",
        "t.Annotated[str, X]",
    ],
)
def test_what_cannot_be_evaluated_is_read_as_it_is_written(written: str) -> None:
    made = type(
        "Made", (), {"__annotations__": {"a": written, "b": f"Missing[{written}]", "c": f"{written} | Missing"}}
    )
    found = annotations_of(made)
    assert [is_text(found[name]) for name in "abc"] == [True, False, False]
    assert not is_text("str | (") and not is_text("1 + 1")


def test_text_of_every_spelling_travels_as_text() -> None:
    library = MsgLibrary({1: ("4s" * len(Spelled._fields), Spelled)})
    data = Spelled(*"abcdefghijkl")
    assert library.decode(library.encode(data)) == data
    assert MsgLibrary.from_schema(library.schema).decode(library.encode(data)) == data


class Arrays(NamedTuple):
    a: list[float]
    b: tuple[float, ...]
    c: Sequence[float] | None
    d: list
    e: Vec
    f: float
    g: str
    h: Vec | None
    i: Vec | list[float]


def test_arrays_and_nested_types_are_found() -> None:
    found = annotations_of(Arrays)
    assert [array_kind(found[name]) for name in found] == [list, tuple, tuple, list, None, None, None, None, None]
    assert [nested_type(found[name]) for name in found] == [None] * 4 + [Vec, None, None, Vec, None]
    np = pytest.importorskip("numpy")
    assert array_kind(np.ndarray) is np.ndarray


# -- how an instance is made -------------------------------------------------------------------------------------------


@dataclass
class Wanting:
    a: int
    scale: InitVar[int]
    b: int = 0


@dataclass
class Between:
    """Its constructor takes something that is no field between those that are."""

    a: int
    scale: InitVar[int] = 1
    b: int = 0
    kinds: ClassVar[int] = 3
    norm: int = field(default=0, init=False)

    def __post_init__(self, scale: int) -> None:
        self.norm = self.a * scale


class Asking(namedtuple("Asking", "a b")):
    def __new__(cls, a: int, b: int, unit: str) -> Asking:
        return super().__new__(cls, a, b)


class Anything(namedtuple("Anything", "a b")):
    def __new__(cls, *values: int) -> Anything:
        return super().__new__(cls, *values)


def test_a_type_that_wants_more_than_its_fields_is_refused_before_anything_is_sent() -> None:
    """Nothing that arrives could be made one."""
    with pytest.raises(
        SchemaError, match=r"message 1: Wanting cannot be made of its fields alone: it also wants scale"
    ):
        MsgLibrary({1: ("2i", Wanting)})
    with pytest.raises(SchemaError, match="it also wants unit"):
        MsgLibrary({1: ("2i", Asking)})


def test_values_go_to_their_fields_whatever_else_the_constructor_takes() -> None:
    assert field_names(Between) == ("a", "b")
    library = MsgLibrary({1: ("2i", Between)})
    assert library.decode(library.encode(Between(2, 1, 5))) == Between(2, 1, 5)
    assert maker(Between)((2, 5)).norm == 2
    assert maker(Anything)((1, 2)) == (1, 2)


# -- names -------------------------------------------------------------------------------------------------------------


@given(st.text(max_size=140))
def test_a_name_that_is_taken_can_be_one_of_a_named_tuple(text: str) -> None:
    try:
        name = check_name(text)
    except SchemaError:
        return
    assert namedtuple("Made", [name])._fields == (text,)  # type: ignore[misc]


@pytest.mark.parametrize("name", ["", "a b", "1a", "class", "_a", "ﬁ", "x" * 129, None, b"a"])
def test_names_that_no_field_can_have(name: object) -> None:
    with pytest.raises(SchemaError):
        check_name(name)
