"""Plain forms: what is carried as what, and what is advised where nothing obvious stands for a value."""

from __future__ import annotations

import array
import dataclasses
import decimal
import enum
import fractions
import subprocess
import sys
import types
import uuid
from collections import ChainMap, OrderedDict, UserDict, UserList, UserString, defaultdict, deque, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.codec.msgpack import MsgPack
from ipcpy.codec.plain import form_of, is_native
from ipcpy.errors import CodecError
from shown import shown

CODEC = MsgPack()
ID = uuid.UUID(int=7)
LETTERS = "w" if "w" in array.typecodes else "u"  # from Python 3.13 on, and before


class Color(enum.Enum):
    RED = 1
    HERE = PurePosixPath("/here")
    LATER = datetime(2026, 1, 1, tzinfo=UTC)


class Mode(enum.IntEnum):
    FAST = 2


class Way(enum.StrEnum):
    LEFT = "left"


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Pose:
    x: float
    y: float = 0.0
    length: float = dataclasses.field(init=False, default=1.0)


@pytest.mark.parametrize(
    ("published", "received"),
    [
        (Pose(1.0, 2.0), {"x": 1.0, "y": 2.0, "length": 1.0}),
        ([Pose(1.0)], [{"x": 1.0, "y": 0.0, "length": 1.0}]),
        (Color.RED, 1),
        (Color.HERE, "/here"),
        (Color.LATER, datetime(2026, 1, 1, tzinfo=UTC)),
        (Mode.FAST, 2),
        (Way.LEFT, "left"),
        (Rights.READ | Rights.WRITE, 3),
        ({Color.RED: Mode.FAST}, {1: 2}),
        ({7}, [7]),
        (frozenset(("a",)), ["a"]),
        (deque((1, 2)), [1, 2]),
        (range(3), [0, 1, 2]),
        ({"a": 1}.keys(), ["a"]),
        ({"a": 1}.values(), [1]),
        ({"a": 1}.items(), [["a", 1]]),
        (array.array("d", (0.5, 1.5)), [0.5, 1.5]),
        (array.array("f", (0.5,)), [0.5]),
        (array.array("H", (1, 65535)), [1, 65535]),
        (array.array(LETTERS, "grün"), "grün"),
        (ID, "00000000-0000-0000-0000-000000000007"),
        (PurePosixPath("/dev/ttyUSB0"), "/dev/ttyUSB0"),
        (Path("map.png"), "map.png"),
        ({Path("map.png"): ID}, {"map.png": str(ID)}),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(int, a=1), {"a": 1}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (ChainMap({"a": 1}, {"b": 2}), {"a": 1, "b": 2}),
        (UserDict(a=Color.RED), {"a": 1}),
        (UserList([1, ID]), [1, str(ID)]),
        (UserString("text"), "text"),
    ],
    ids=repr,
)
def test_what_has_an_obvious_form_is_carried_as_it(published: Any, received: Any) -> None:
    decoded = CODEC.decode(CODEC.encode(published))
    assert (type(decoded), decoded) == (type(received), received)


class Plain:
    def __init__(self) -> None:
        self.x = 1


class Tensor:
    def __array__(self) -> None:
        raise RuntimeError


@pytest.mark.parametrize(
    ("data", "advice"),
    [
        (timedelta(seconds=1), r"^data: timedelta is not .*; publish its seconds: value\.total_seconds\(\)$"),
        (date(2026, 1, 1), r"publish value\.isoformat\(\)$"),
        (time(12), r"publish value\.isoformat\(\)$"),
        (decimal.Decimal("0.1"), r"publish str\(value\), which is exact, or float\(value\)$"),
        (fractions.Fraction(1, 3), r"publish str\(value\), which is exact, or float\(value\)$"),
        (1j, r"publish \[value\.real, value\.imag\]$"),
        ((n for n in range(3)), r"generator is not .*; publish list\(value\)$"),
        (Plain(), r"^data: Plain is not .*; publish a dict such as vars\(value\), or make its class a dataclass$"),
        (Tensor(), r"publish numpy\.asarray\(value\)$"),
        (Pose, r"^data: type is not something MsgPack can carry; it takes dict, list"),
        (print, r"it takes dict, list"),
        (2**64, r"^data: 18446744073709551616 has 65 bits; .* Publish str\(value\), hex\(value\) or float\(value\)$"),
        (datetime(2026, 1, 1), r"a datetime without a time zone says no moment; use datetime\.now\(timezone\.utc\)$"),
        (type("Stamp", (datetime,), {})(2026, 1, 1), "a Stamp without a time zone says no moment"),
        ({"a": UserList([0, {"b": 2**70}])}, r"^data\['a'\]\[1\]\['b'\]: 1180591620717411303424 has 71 bits"),
        (enum.Enum("Huge", {"N": 2**64}).N, "^data: 18446744073709551616 has 65 bits"),
    ],
    ids=lambda item: shown(item, 40),
)
def test_the_refusal_of_what_has_none_names_the_conversion(data: Any, advice: str) -> None:
    with pytest.raises(CodecError, match=advice):
        CODEC.encode(data)


Named = namedtuple("Named", "a b")
Box = dataclasses.make_dataclass("Box", [("a", Any), ("b", Any)], frozen=True)
offsets = st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23, minutes=59)).map(timezone)
hashable = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.datetimes(timezones=offsets | st.none())
    | st.sampled_from([*Color, *Mode, *Way, Rights.READ, ID, PurePosixPath("a"), decimal.Decimal(1), timedelta(1)])
)
keys = st.recursive(
    hashable,
    lambda inner: (
        st.tuples(inner, inner)
        | st.builds(Named, inner, inner)
        | st.frozensets(inner, max_size=1)
        | st.builds(Box, inner, inner)
    ),
    max_leaves=3,
)
anything = st.recursive(
    hashable
    | st.sets(hashable, max_size=2)
    | st.builds(array.array, st.just("d"), st.lists(st.floats(allow_nan=False), max_size=2)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(deque)
        | st.tuples(inner, inner)
        | st.builds(Named, inner, inner)
        | st.builds(Box, inner, inner)
        | st.dictionaries(keys, inner, max_size=2)
    ),
    max_leaves=10,
)


def expected(value: Any) -> Any:
    """Say what the table promises of a value."""
    match value:
        case enum.Enum():
            return expected(value.value)
        case Box():
            return {"a": expected(value.a), "b": expected(value.b)}
        case dict():
            return {hashed(expected(key)): expected(item) for key, item in value.items()}
        case list() | tuple() | deque() | set() | frozenset() | array.array():
            return [expected(item) for item in value]
        case uuid.UUID() | PurePosixPath():
            return str(value)
    return value


def hashed(key: Any) -> Any:
    return tuple(map(hashed, key)) if isinstance(key, list) else key


@given(anything)
def test_whatever_is_encoded_comes_back_equal(data: Any) -> None:
    try:
        body = CODEC.encode(data)
    except CodecError:
        return
    assert CODEC.decode(body) == expected(data)


def test_what_msgpack_knows_needs_no_form() -> None:
    for value in (None, True, 2**64 - 1, -(2**63), 0.5, "a", b"a", [], (), {}, datetime.now(UTC), Mode.FAST):
        assert is_native(value)
    for value in (2**64, -(2**63) - 1, datetime(2026, 1, 1), Color.RED, {1}):
        assert not is_native(value)
    with pytest.raises(TypeError, match="object is not something"):
        form_of(object())


def test_no_module_is_loaded_to_look_for_its_types() -> None:
    program = (
        "import sys; from ipcpy.codec.plain import form_of; before = {*sys.modules}\n"
        "for value in ({1}, 1j, object()):\n"
        "    try: form_of(value)\n"
        "    except TypeError: pass\n"
        "assert not {*sys.modules} - before, {*sys.modules} - before\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)
