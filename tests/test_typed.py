"""The stand-ins do where the originals are used so; what they are of the originals, type checkers see."""

from __future__ import annotations

import typing
from collections.abc import Callable

import pytest

from ipcpy import typed


def test_it_names_what_typing_names():
    assert all(hasattr(typing, name) for name in typed.__all__)


def test_type_checkers_see_the_originals_and_programs_do_not():
    assert typed.TYPE_CHECKING is False
    assert typing.TYPE_CHECKING is False


@pytest.mark.parametrize("of", [typing, typed])
def test_classes_are_made_of_them_and_work(of):
    Item = of.TypeVar("Item")
    Key = of.TypeVar("Key", int, str)

    class Has(of.Protocol):
        number: int

        def get(self) -> int: ...

    class Box(Has, of.Generic[Item]):
        __slots__ = ("number",)

        def __init__(self, number: int) -> None:
            self.number = number

    class Pair(of.Generic[Item, Key]): ...

    assert Box(3).number == Box[int](3).number == 3
    assert isinstance(Pair[str, int](), Pair)


@pytest.mark.parametrize("of", [typing, typed])
def test_aliases_are_written_with_them(of):
    Item = of.TypeVar("Item")
    assert Callable[[of.Any], Item] and dict[str, of.Any] and list[Item]
    assert int | of.Any
    assert str | of.Literal[False] | None
    assert of.IO[bytes] and of.BinaryIO | None


def test_a_cast_is_the_value():
    value = object()
    assert typed.cast("int", value) is value
