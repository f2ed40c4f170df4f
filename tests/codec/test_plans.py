"""Plans: the compiled encoder says and refuses what Python's does, for any layout, type and value."""

from __future__ import annotations

import dataclasses
import functools
import gc
import struct
import weakref
from collections import namedtuple
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy import fast
from ipcpy.codec import MsgLibrary, binding, plans
from ipcpy.errors import CodecError

compiled = pytest.mark.skipif(not fast.COMPILED, reason=f"not compiled: {fast.why_pure}")


class Vec(NamedTuple):
    x: float
    y: float


@dataclasses.dataclass
class Pose:
    at: Vec
    label: str
    covariance: list[float]


@dataclasses.dataclass
class Flat:
    a: int
    b: float


@dataclasses.dataclass
class Single:
    a: Any


@dataclasses.dataclass(slots=True)
class Slotted:
    a: int
    b: float


class Texted(NamedTuple):
    name: str
    raw: bytes
    good: bool
    number: int


Pair = namedtuple("Pair", "a b")
Array = namedtuple("Array", "stamp xyz")


class Turned(Pair):
    """A tuple that is not what it holds."""

    def __iter__(self):
        return iter((2, 1))


KINDS = [
    *((code, int) for code in "bBhHiIqQ"),
    *((order + code, float) for code in "fde" for order in "<>"),
    ("?", bool), ("4s", bytes), ("4s", str), ("5p", bytes), ("c", bytes),
    ("3i", list), (">hxd", tuple), ("<bxxq", Pair), (">Qf", Pair),
    ("<qd", Flat), ("<qd", Slotted), ("<I", Single), ("?", Single),
    ("5s3s?H", Texted), (">5s3s?H", Texted), ("<d3f", Array), (">d3h", Array),
    ("<dd4s2f", Pose), ("ii", Turned), ("0s", bytes),
    ("40d", tuple), ("3s3s3s", list), ("2?", tuple), ("", tuple), ("iil2L", tuple),
]  # fmt: skip


@functools.cache
def libraries(format_: str, type_: type) -> tuple[MsgLibrary, MsgLibrary]:
    """Return a library as it is, and one of Python alone."""
    ours = MsgLibrary({1: (format_, type_)})
    planned, binding.plan_of = binding.plan_of, lambda *_: None
    try:
        return ours, MsgLibrary({1: (format_, type_)})
    finally:
        binding.plan_of = planned


def outcome(encode: Any, data: Any) -> tuple[object, ...]:
    """Return what encoding made, or what it raised."""
    try:
        made = encode(data)
    except Exception as error:
        return type(error), str(error)
    return (bytes(made[0]), made[1]) if isinstance(made, tuple) else ("made", made)


class Index:
    """Something that is a number, if asked."""

    def __index__(self) -> int:
        return 5

    def __float__(self) -> float:
        return 2.5


class Big(int):
    """An int with an opinion."""

    def __float__(self) -> float:
        return 9.0


class Text(str):
    """A str with an opinion."""

    def encode(self, *_: Any) -> bytes:
        return b"own"


EDGES = [sign * 2**bits + more for bits in (7, 8, 15, 16, 31, 32, 63, 64) for sign in (1, -1) for more in (-1, 0, 1)]
FLOATS = [3.5e38, -3.5e38, 1e300, 65520.0, float("nan"), -0.0]
TEXTS = ["a\0", "\ud800", "\u00e9\u00e9\u00e9", "abcd", "abcde", Text("x"), bytearray(b"ab")]
OTHERS = [None, Index(), Big(7), 1j, [], (1.0, 2.0), [1.0, 2.0], (1, 2, 3), [1, 2, 3], Vec(1.0, 2.0), Vec("x", 2.0)]
values = st.one_of(
    st.integers(-(2**65), 2**65),
    st.floats(),
    st.floats(width=32),
    st.booleans(),
    st.binary(max_size=6),
    st.text(max_size=4),
    st.sampled_from([*EDGES, *FLOATS, *TEXTS, *OTHERS]),
    st.sampled_from([0, 1, 1.5, True]),
)


def instances(format_: str, type_: type) -> st.SearchStrategy[Any]:
    """Return instances of a type, of any values, and often of a plain number for each."""
    plain = st.sampled_from([0, 1, 5, 100]) | values
    if type_ in (int, float, bool, str, bytes):
        return values
    if type_ in (list, tuple):
        count = len(struct.unpack("<" + format_.lstrip("<>"), bytes(struct.calcsize("<" + format_.lstrip("<>")))))
        exact = st.lists(plain, min_size=count, max_size=count)
        return st.one_of(exact, st.lists(plain, max_size=6)).map(type_)
    if type_ is Pose:
        places = st.sampled_from([Vec(1.0, 2.0), Vec(1, None), None])
        arrays = st.sampled_from([[1.0, 2.0], (1, 2), [1.0], None, [1.0, "x"]])
        return st.builds(Pose, places, st.sampled_from(["abc", "abcde", b""]), arrays)
    if type_ is Array:
        arrays = st.sampled_from([(1, 2, 3), [1, 2, 3], (1, 2), [1.5, 2, 3], None, range(3), (1, 2, 1e39)])
        return st.builds(Array, plain, arrays)
    if type_ is Texted:
        texts, raws = st.text(max_size=3) | values, st.binary(max_size=3) | values
        return st.builds(Texted, texts, raws, st.booleans() | values, plain)
    if type_ is Single:
        return st.builds(Single, plain)
    return st.builds(type_, plain, plain)


@compiled
@pytest.mark.parametrize(("format_", "type_"), KINDS, ids=lambda each: getattr(each, "__name__", each))
@given(data=st.data())
def test_it_makes_what_python_makes_and_refuses_what_python_refuses(format_: str, type_: type, data: Any) -> None:
    ours, pure = libraries(format_, type_)
    instance = data.draw(instances(format_, type_))
    assert outcome(ours.encode, instance) == outcome(pure.encode, instance)
    assert outcome(lambda it: ours.pack(1, it), instance) == outcome(lambda it: pure.pack(1, it), instance)


@compiled
@pytest.mark.parametrize(("format_", "type_"), KINDS, ids=lambda each: getattr(each, "__name__", each))
@given(data=st.data(), count=st.integers(62, 70))
def test_many_are_made_as_by_python(format_: str, type_: type, data: Any, count: int) -> None:
    ours, pure = libraries(format_, type_)
    batch = [data.draw(instances(format_, type_))] * count
    batch[count // 2] = data.draw(instances(format_, type_))
    assert outcome(ours.encode_many, batch) == outcome(pure.encode_many, batch)


@compiled
def test_most_kinds_are_compiled_and_the_rest_is_known() -> None:
    without = [format_ for format_, type_ in KINDS if plans_of(MsgLibrary({1: (format_, type_)})) is None]
    assert without == ["<e", ">e", "5p", "c", "ii", ""]


def plans_of(library: MsgLibrary) -> Any:
    """Return the plan of message 1, if there is one."""
    return getattr(library._bindings[1].encode, "__self__", None)


@compiled
def test_a_field_is_looked_up_as_by_python() -> None:
    class Asked:
        """Stands for a Pose, and is none."""

    ours, pure = libraries("<dd4s2f", Pose)
    broken = Pose(Vec(1.0, 2.0), "a", [1.0, 2.0])
    del broken.label
    assert outcome(ours.encode, broken) == outcome(pure.encode, broken)
    assert outcome(ours.encode, Asked()) == outcome(pure.encode, Asked())
    assert outcome(ours._bindings[1].encode, {"at": (1, 2), "label": "x", "covariance": [1, 2]})[0] == "made"


@compiled
@pytest.mark.parametrize("raised", [ZeroDivisionError, AttributeError, CodecError, TypeError, TimeoutError])
def test_an_attribute_that_raises_raises_once(raised: type[Exception]) -> None:
    """As an exception of a signal handler does, which comes while an attribute is looked at."""

    @dataclasses.dataclass
    class Moody:
        a: int

    looked = []

    def look(self: object) -> int:
        looked.append(self)
        raise raised("no")

    Moody.a = property(look, lambda self, value: None)  # type: ignore[assignment]
    ours, pure = libraries("i", Moody)
    assert outcome(ours.encode, Moody(1)) == outcome(pure.encode, Moody(1)) == (raised, "no")
    assert outcome(ours.encode_many, [Moody(1)] * 100) == outcome(pure.encode_many, [Moody(1)] * 100)
    looked.clear()
    outcome(ours.encode, Moody(1))
    assert len(looked) == (2 if raised is AttributeError else 1)


@compiled
def test_a_list_that_shrinks_while_it_is_encoded_does_no_harm() -> None:
    batch: list[Any] = []

    @dataclasses.dataclass
    class Thief:
        a: int

    def steal(self: object) -> int:
        batch.clear()
        return 1

    Thief.a = property(steal, lambda self, value: None)  # type: ignore[assignment]
    ours, _ = libraries("i", Thief)
    batch += [Thief(1) for _ in range(100)]
    assert ours.encode_many(batch) is None or not batch


@compiled
def test_a_library_that_its_type_knows_is_collected() -> None:
    class Known(NamedTuple):
        a: int

    Known.library = MsgLibrary({1: ("i", Known)})  # type: ignore[attr-defined]
    gone = weakref.ref(Known)
    del Known
    gc.collect()
    assert gone() is None


@compiled
@pytest.mark.parametrize(
    "wrong",
    [
        (b"12345", 4, (("i", False, 0, 4, 1),), None, int, bytes),
        (b"123456", 4, (("i", False, 1, 4, 1),), None, int, bytes),
        (b"123456", 4, (("z", False, 0, 4, 1),), None, int, bytes),
        (b"123456", 4, (("i", False, 0, 4, -1),), None, int, bytes),
        (b"123456", 40, (("d", False, 0, 9, 1),), None, int, bytes),
        (b"123456", 70_000, (), None, int, bytes),
        (b"123456", 4, ((),), None, int, bytes),
        (b"123456", 4, (), 5, int, bytes),
        (b"123456", 4, (), (("a", 1),), int, bytes),
    ],
)
def test_a_plan_that_would_write_beside_its_message_is_refused(wrong: tuple[Any, ...]) -> None:
    assert fast.compiled is not None
    with pytest.raises((ValueError, TypeError)):
        fast.compiled.Plan(*wrong)


def test_without_the_compiled_part_there_are_no_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans.fast, "compiled", None)
    library = MsgLibrary({1: ("i", int)})
    assert plans_of(library) is None and library.decode(library.encode(7)) == 7
    with pytest.raises(CodecError, match="expected int32"):
        library.encode(2**40)
