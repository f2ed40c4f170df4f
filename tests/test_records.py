"""Value classes: what ``ipcpy.records`` makes, against what ``dataclasses`` makes of the same words."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
import typing
import weakref
from typing import Any

import pytest

from ipcpy import records
from ipcpy.message import Message
from ipcpy.stats import FlowStats, SubscriberStats


def classes(made_by: Any) -> tuple[Any, Any, Any]:
    """Return a frozen class, one that inherits from it, and one whose values change."""

    @made_by.dataclass(frozen=True, slots=True, weakref_slot=True)
    class Place:
        """Somewhere."""

        name: str
        x: float = 0.0
        tags: dict[str, int] = made_by.field(default_factory=dict)
        note: str = made_by.field(default="", compare=False)

        def where(self) -> str:
            return f"{self.name} at {self.x}"

    @made_by.dataclass(frozen=True, slots=True)
    class Town(Place):
        people: int = 0

    @made_by.dataclass(slots=True)
    class Cart:
        load: int
        place: Any = None

    return Place, Town, Cart


OURS, THEIRS = classes(records), classes(dataclasses)
PAIRS = [pytest.param(ours, theirs, id=ours.__name__) for ours, theirs in zip(OURS, THEIRS, strict=True)]
CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    (("a",), {}),
    (("a", 1.5), {}),
    (("a", 1.5, {"b": 1}, "note"), {}),
    (("a", 1.5, {"b": 1}, "note", 5), {}),
    (("a", 1.5, {"b": 1}, "note", 5, 6), {}),
    (("a",), {"x": 2.0}),
    ((), {"name": "a"}),
    ((), {"note": "n", "x": 1.0, "name": "a"}),
    ((), {"load": 1}),
    ((1,), {"place": 2}),
    ((), {}),
    (("a",), {"name": "b"}),
    (("a",), {"colour": "red"}),
    ((), {"self": 1, "name": "a"}),
]


def made(cls: Any, values: tuple[Any, ...], named: dict[str, Any]) -> Any:
    try:
        return dataclasses.asdict(cls(*values, **named))
    except TypeError as error:
        return type(error)


@pytest.mark.parametrize(("values", "named"), CALLS)
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_a_call_makes_the_same_value_or_the_same_kind_of_error(ours, theirs, values, named):
    assert made(ours, values, named) == made(theirs, values, named)


@pytest.mark.parametrize(
    ("values", "named", "said"),
    [
        ((), {}, "missing required argument: 'name'"),
        (("a",), {"name": "b"}, "multiple values for argument 'name'"),
        (("a",), {"colour": "red"}, "unexpected keyword argument 'colour'"),
        ((1, 2, 3, 4, 5), {}, "takes 4 values, 5 were given"),
    ],
)
def test_what_is_wrong_with_a_call_is_said(values, named, said):
    with pytest.raises(TypeError, match=said):
        OURS[0](*values, **named)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_to_those_who_ask_it_is_the_same_dataclass(ours, theirs):
    assert dataclasses.is_dataclass(ours)
    for mine, other in zip(dataclasses.fields(ours), dataclasses.fields(theirs), strict=True):
        for what in ("name", "type", "default", "default_factory", "compare", "init", "repr", "hash", "kw_only"):
            assert getattr(mine, what) == getattr(other, what)
    assert str(inspect.signature(ours)) == str(inspect.signature(theirs))
    assert ours.__match_args__ == theirs.__match_args__
    assert ours.__slots__ == theirs.__slots__
    assert ours.__annotations__ == theirs.__annotations__
    assert (ours.__name__, ours.__qualname__, ours.__module__) == (
        theirs.__name__,
        theirs.__qualname__,
        theirs.__module__,
    )
    mine, other = ours.__dataclass_params__, theirs.__dataclass_params__
    assert (mine.frozen, mine.eq, mine.order) == (other.frozen, other.eq, other.order)


@pytest.mark.parametrize("cls", [OURS[0], THEIRS[0]])
def test_values_compare_hash_and_read_alike(cls):
    one, same, noted, other = cls("a", 1.0), cls("a", 1.0), cls("a", 1.0, note="n"), cls("b", 1.0)
    assert one == same == noted != other
    assert one != OURS[1]("a", 1.0)
    assert one != ("a", 1.0, {}, "")
    assert repr(noted) == "classes.<locals>.Place(name='a', x=1.0, tags={}, note='n')"
    assert hash(cls("a", tags=())) == hash(cls("a", tags=(), note="n"))
    with pytest.raises(TypeError):
        hash(one)  # for the dict
    assert one.where() == "a at 1.0"
    assert weakref.ref(one)() is one
    assert one.tags is not same.tags


@pytest.mark.parametrize("cls", [OURS[0], OURS[1], THEIRS[0]])
def test_what_is_frozen_stays_as_it_is(cls):
    one = cls("a")
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.x = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        del one.x
    with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):  # a fault of Python's own: TypeError there
        one.colour = "red"
    assert one.x == 0.0


@pytest.mark.parametrize("cls", [OURS[2], THEIRS[2]])
def test_what_is_not_frozen_changes_and_has_no_hash(cls):
    cart = cls(1)
    cart.load = 2
    assert cart == cls(2)
    with pytest.raises(TypeError):
        hash(cart)
    with pytest.raises(AttributeError):
        cart.colour = "red"


def test_a_subclass_that_is_no_dataclass_may_have_more():
    class More(OURS[0]):
        pass

    more = More("a")
    more.colour = "red"
    assert more.colour == "red"
    with pytest.raises(dataclasses.FrozenInstanceError):
        more.x = 1.0


def test_a_dataclass_of_the_library_may_be_made_of_one():
    @dataclasses.dataclass(frozen=True)
    class More(FlowStats):
        colour: str = "red"

    more = More(3, colour="blue")
    assert dataclasses.replace(more, bytes=4) == More(3, 4, colour="blue")
    assert repr(more).endswith("late=0, colour='blue')")
    assert copy.copy(more) == more


@pytest.mark.parametrize("replace", [records.replace, dataclasses.replace])
def test_some_fields_are_replaced(replace):
    town = OURS[1]("a", 1.0, people=5)
    assert replace(town, x=2.0) == OURS[1]("a", 2.0, people=5)
    assert replace(town).tags is town.tags
    with pytest.raises(TypeError):
        replace(town, colour="red")


@pytest.mark.skipif(sys.version_info < (3, 13), reason="copy.replace is of Python 3.13")
def test_copy_replaces_too():
    assert copy.replace(OURS[0]("a"), x=2.0) == OURS[0]("a", 2.0)


def test_it_is_matched_by_position():
    match FlowStats(1, 2):
        case FlowStats(received, bytes):
            assert (received, bytes) == (1, 2)
        case _:
            pytest.fail("not matched")


@pytest.mark.parametrize("value", [FlowStats(1, lost={"network": 2}), SubscriberStats(3, unread=4)])
def test_it_is_copied_and_pickled(value):
    assert copy.copy(value) == value
    assert copy.deepcopy(value) == value
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(value, protocol)) == value
    assert copy.deepcopy(value).lost is not value.lost


@pytest.mark.parametrize("value", [1, "a", int, OURS[0], OURS[0]("a"), THEIRS[0], THEIRS[0]("a"), None])
def test_it_is_known_what_a_dataclass_is(value):
    assert records.is_dataclass(value) == dataclasses.is_dataclass(value)


def test_it_is_known_what_has_no_default():
    assert records.required(OURS[0]) == ["name"]
    assert records.required(OURS[2]) == ["load"]


def test_what_is_not_offered_is_refused():
    class Base:
        pass

    class Other(Base):
        a: int

    with pytest.raises(TypeError, match="Other wants what only the original offers"):
        records.dataclass(slots=True)(Other)
    with pytest.raises(TypeError, match="Base wants what only the original offers"):
        records.dataclass(slots=False)(Base)


def test_the_library_is_imported_only_when_it_is_asked_for():
    program = """
import sys
from ipcpy import records
@records.dataclass(frozen=True, slots=True)
class A:
    a: int
    b: int = 0
assert A(1) == records.replace(A(2), a=1) and repr(A(1)) and hash(A(1)) and records.is_dataclass(A(1))
assert "dataclasses" not in sys.modules
assert A.__dataclass_fields__.keys() == {"a", "b"}
assert "dataclasses" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def tuples(base: Any) -> Any:
    class Point(base):
        """A place."""

        x: float
        y: float = 0.0
        name: str | None = None

        @property
        def far(self) -> float:
            return self.x + self.y

        @classmethod
        def origin(cls) -> Any:
            return cls(0.0)

        def __repr__(self) -> str:
            return f"<{self.x}, {self.y}>"

    return Point


OUR_POINT, THEIR_POINT = tuples(records.NamedTuple), tuples(typing.NamedTuple)


def test_a_named_tuple_is_the_same_as_that_of_typing():
    for what in ("_fields", "_field_defaults", "__match_args__", "__slots__", "__doc__", "__name__", "__qualname__"):
        assert getattr(OUR_POINT, what) == getattr(THEIR_POINT, what)
    assert OUR_POINT.__module__ == THEIR_POINT.__module__
    assert OUR_POINT.__mro__[1:] == THEIR_POINT.__mro__[1:] == (tuple, object)
    assert typing.get_type_hints(OUR_POINT) == typing.get_type_hints(THEIR_POINT)
    ours, theirs = OUR_POINT(1.0, name="a"), THEIR_POINT(1.0, name="a")
    assert ours == theirs == (1.0, 0.0, "a")
    assert (ours.far, repr(ours), OUR_POINT.origin()) == (1.0, "<1.0, 0.0>", (0.0, 0.0, None))
    assert ours._replace(y=2.0) == (1.0, 2.0, "a") and ours._asdict() == theirs._asdict()
    assert list(inspect.signature(OUR_POINT).parameters) == list(inspect.signature(THEIR_POINT).parameters)
    with pytest.raises(TypeError):
        OUR_POINT()
    with pytest.raises(AttributeError):
        ours.x = 2.0


def test_a_named_tuple_may_have_a_subclass():
    class More(OUR_POINT):
        def twice(self) -> float:
            return 2 * self.far

    assert More(1.0).twice() == 2.0


def test_a_named_tuple_of_two_bases_is_refused():
    with pytest.raises(TypeError, match=r"typing\.NamedTuple"):

        class Both(records.NamedTuple, typing.Generic[typing.TypeVar("T")]):  # noqa: F821
            x: int


def test_a_message_is_pickled_and_matched():
    message = Message("topic", 1, {"a": 1}, 2, 3, "id")
    assert pickle.loads(pickle.dumps(message)) == message
    match message:
        case Message(topic):
            assert topic == "topic"
