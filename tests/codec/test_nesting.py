"""Fields that hold several values: how a format is shared out, both ways between instances and bytes, and a schema."""

from __future__ import annotations

import json
import pickle
import struct
from collections import namedtuple
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.codec import MsgLibrary
from ipcpy.codec.layout import parse_format
from ipcpy.codec.nesting import Part, describe, outline, parse_parts, parts_of, value_names
from ipcpy.codec.schema import differences, parse_schema
from ipcpy.errors import CodecError, SchemaError


class Vec(NamedTuple):
    x: float
    y: float
    z: float


@dataclass
class Twist:
    linear: Vec
    angular: Vec


@dataclass(frozen=True, kw_only=True)
class Stamped:
    stamp: float
    frame: str
    twist: Optional[Twist]  # noqa: UP045
    covariance: list[float]
    at: Annotated[Vec, "m"]


Odometry = namedtuple("Odometry", "stamp position covariance")
TWIST = Twist(Vec(1, 2, 3), Vec(4, 5, 6))
STAMPED = Stamped(stamp=0.5, frame="base", twist=TWIST, covariance=[1.0] * 9, at=Vec(7, 8, 9))
STAMPED_FORMAT = "<d8s6f9d3f"
ODOMETRY = Odometry(0.5, (1.0, 2.0, 3.0), tuple(map(float, range(9))))
LIBRARY = MsgLibrary({1: ("<3f3f", Twist), 2: (STAMPED_FORMAT, Stamped), 3: ("<d3f9f", Odometry), 4: ("<d", float)})


def names(type_: type, format: str) -> list[str]:
    return list(value_names(parts_of(type_, parse_format(format))))


# -- who gets which values ---------------------------------------------------------------------------------------------


def test_one_value_each_goes_to_the_fields_of_nested_types() -> None:
    assert names(Twist, "<6f") == ["linear.x", "linear.y", "linear.z", "angular.x", "angular.y", "angular.z"]


def test_one_group_of_the_format_each_makes_arrays() -> None:
    assert names(namedtuple("Two", "a b"), "<3f2f") == ["a[0]", "a[1]", "a[2]", "b[0]", "b[1]"]
    assert names(namedtuple("Two", "a b"), "<3f4xd") == ["a[0]", "a[1]", "a[2]", "b"]
    assert names(namedtuple("Two", "a b"), "<ff") == ["a", "b"]
    assert names(namedtuple("Two", "a b"), "<2f") == ["a", "b"]  # one value each, as ever


def test_what_fields_are_annotated_as_decides_where_both_are_mixed() -> None:
    assert names(Stamped, STAMPED_FORMAT) == [
        *("stamp", "frame", "twist.linear.x", "twist.linear.y", "twist.linear.z"),
        *("twist.angular.x", "twist.angular.y", "twist.angular.z"),
        *(f"covariance[{n}]" for n in range(9)),
        *("at.x", "at.y", "at.z"),
    ]


class Unresolved(NamedTuple):
    at: NotThere  # type: ignore[name-defined]  # noqa: F821
    time: float


@dataclass
class Endless:
    value: int
    next: Endless


@pytest.mark.parametrize(
    ("type_", "format", "said"),
    [
        (Twist, "<5f", r"Twist has 6 fields \(linear.x, linear.y, .*\), format '<5f' has 5 values in 1 groups"),
        (Odometry, "<3f3f", r"Odometry has 3 fields \(stamp, position, covariance\), .* has 6 values in 2 groups"),
        (Stamped, "<d8s3f9f2f", "has 16 values in 5 groups"),
        (Stamped, "<d8s6f9d4f", "has 21 values in 5 groups"),
        (Unresolved, "<4f", "what at is annotated as, 'NotThere', is not there to look at"),
        (Endless, "<8i", "Endless is nested deeper than 8 levels, or contains itself"),
        (namedtuple("Two", "a b"), "<5f", "has 2 fields"),
    ],
)
def test_what_does_not_come_out_even_is_refused(type_: type, format: str, said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        parts_of(type_, parse_format(format))
    with pytest.raises(SchemaError, match=said):
        MsgLibrary({1: (format, type_)})


# -- both ways ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "payload"),
    [
        (TWIST, struct.pack("<6f", 1, 2, 3, 4, 5, 6)),
        (STAMPED, struct.pack("<d8s6f9d3f", 0.5, b"base", 1, 2, 3, 4, 5, 6, *[1] * 9, 7, 8, 9)),
        (ODOMETRY, struct.pack("<d3f9f", 0.5, 1, 2, 3, *range(9))),
    ],
)
def test_an_instance_becomes_the_bytes_of_its_values_and_comes_back(data: Any, payload: bytes) -> None:
    message = LIBRARY.encode(data)
    assert message[7:] == payload
    decoded = LIBRARY.decode(message)
    assert decoded == data and type(decoded) is type(data)
    assert LIBRARY.decode_intact(message) == LIBRARY.unpack(message[2], message[7:]) == data


def test_many_of_them_are_encoded_and_decoded_as_one_by_one() -> None:
    twists = [Twist(Vec(n, 0, 0), Vec(0, 0, n)) for n in range(100)]
    data, size = LIBRARY.encode_many(twists) or (b"", 0)
    assert data == b"".join(map(LIBRARY.encode, twists))
    assert LIBRARY.decode_many(bytes(data), size) == twists
    assert LIBRARY.encode_many([*twists, Twist(Vec(1, 2, 3), None)]) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "data",
    [
        [(1, 2, 3), (4, 5, 6)],
        ({"x": 1, "y": 2, "z": 3}, Vec(4, 5, 6)),
        {"angular": [4, 5, 6], "linear": Vec(1, 2, 3)},
        Twist((1, 2, 3), {"z": 6, "x": 4, "y": 5}),  # type: ignore[arg-type]
    ],
    ids=repr,
)
def test_mappings_lists_and_tuples_stand_for_nested_types(data: Any) -> None:
    assert LIBRARY.pack(1, data) == LIBRARY.encode(data, 1) == LIBRARY.encode(TWIST)


def test_arrays_are_taken_of_any_sequence_and_of_numpy_in_any_shape() -> None:
    expected = LIBRARY.encode(ODOMETRY)
    assert LIBRARY.encode(ODOMETRY._replace(position=[1, 2, 3], covariance=range(9))) == expected
    np = pytest.importorskip("numpy")
    matrix = np.arange(9.0).reshape(3, 3)
    assert LIBRARY.encode(ODOMETRY._replace(position=np.float32([1, 2, 3]), covariance=matrix)) == expected


def test_an_array_is_made_as_what_its_field_is_annotated_as() -> None:
    class Arrays(NamedTuple):
        a: tuple[float, ...]
        b: list[float]
        c: Sequence[int]
        d: Any

    decoded = MsgLibrary({1: ("<2f2f2i2i", Arrays)}).unpack(1, bytes(32))
    assert decoded == ((0.0, 0.0), [0.0, 0.0], (0, 0), (0, 0))


def test_an_array_of_numpy_is_made_where_one_is_annotated() -> None:
    np = pytest.importorskip("numpy")
    typing = pytest.importorskip("numpy.typing")
    fields = [("stamp", float), ("ranges", np.ndarray), ("counts", typing.NDArray[np.uint16] | None)]
    Scan = NamedTuple("Scan", fields)  # type: ignore[misc]
    library = MsgLibrary({1: (">d4f2H", Scan)})
    decoded = library.decode(library.encode(Scan(1.0, np.arange(4.0), [5, 6])))
    for array, dtype, values in ((decoded.ranges, "f4", [0, 1, 2, 3]), (decoded.counts, "u2", [5, 6])):
        assert isinstance(array, np.ndarray)
        assert (array.dtype, array.tolist()) == (np.dtype(dtype), values)


def test_a_named_tuple_stands_for_another_by_its_names_only() -> None:
    Turned = namedtuple("Turned", "z y x")
    Unlike = namedtuple("Unlike", "a b c")
    assert LIBRARY.pack(1, [Turned(3, 2, 1), Turned(6, 5, 4)]) == LIBRARY.encode(TWIST)
    with pytest.raises(
        CodecError, match="field linear: expected an object, mapping, list or tuple with x, y, z, got U"
    ):
        LIBRARY.pack(1, [Unlike(1, 2, 3), (4, 5, 6)])


@pytest.mark.parametrize(
    ("id", "data", "said"),
    [
        (
            1,
            Twist(Vec(1, 2, 3), None),
            r"message 1 \(Twist\), field angular: expected an object, .* with x, y, z, got N",
        ),
        (1, [(1, 2), (3, 4, 5)], r"message 1 \(Twist\), field linear takes 3 values \(x, y, z\), got 2"),
        (1, [1, 2, 3, 4, 5, 6], r"message 1 \(Twist\) takes 2 values \(linear, angular\), got 6"),
        (1, {"linear": (1, 2, 3)}, r"has the fields linear, angular; missing: \['angular'\]"),
        (1, Twist(Vec(1, 2, 3), Vec(4, "5", 6)), r"field angular\.y: expected float32, got str '5'"),  # type: ignore
        (1, 5, r"message 1 \(Twist\): expected an object, mapping, list or tuple with linear, angular, got int"),
        (3, ODOMETRY._replace(position=(1, 2)), r"message 3 \(Odometry\), field position: expected 3 values, got 2"),
        (3, ODOMETRY._replace(position=1.0), "field position: expected 3 values, got float"),
        (3, ODOMETRY._replace(position="abc"), "field position: expected 3 values, got str"),
        (3, ODOMETRY._replace(position=(1, 2, None)), r"field position\[2\]: expected float32, got NoneType None"),
        (3, ODOMETRY._replace(position=(1, 2), covariance=range(10)), "field position: expected 3 values, got 2"),
    ],
)
def test_the_field_that_does_not_fit_is_named(id: int, data: Any, said: str) -> None:
    with pytest.raises(CodecError, match=said):
        LIBRARY.encode(data, id)


vectors = st.builds(Vec, *[st.floats(width=32, allow_nan=False)] * 3)


@given(
    st.builds(Twist, vectors, vectors),
    st.floats(allow_nan=False),
    st.lists(st.floats(allow_nan=False), min_size=9, max_size=9),
)
def test_whatever_is_encoded_comes_back_equal(twist: Twist, stamp: float, covariance: list[float]) -> None:
    stamped = Stamped(stamp=stamp, frame="odom", twist=twist, covariance=covariance, at=twist.linear)
    assert LIBRARY.decode(LIBRARY.encode(stamped)) == stamped


# -- as a schema -------------------------------------------------------------------------------------------------------


def test_a_subscriber_without_a_library_gets_nested_named_tuples() -> None:
    travelled = json.loads(json.dumps(LIBRARY.schema))
    library = MsgLibrary.from_schema(travelled)
    assert library.schema == LIBRARY.schema
    stamped = library.decode(LIBRARY.encode(STAMPED))
    assert (type(stamped).__name__, type(stamped.twist).__name__) == ("Stamped", "Twist")
    assert (stamped.frame, stamped.twist.angular.z, stamped.covariance[8], stamped.at.y) == ("base", 6, 1, 8)
    assert library.encode(stamped) == LIBRARY.encode(STAMPED)
    assert library.decode(LIBRARY.encode(ODOMETRY)) == ODOMETRY
    assert pickle.loads(pickle.dumps(stamped)) == stamped
    again = pickle.loads(pickle.dumps(library))
    assert again.decode(LIBRARY.encode(STAMPED)) == stamped
    assert pickle.loads(pickle.dumps(LIBRARY)).decode(LIBRARY.encode(STAMPED)) == STAMPED


def test_the_schema_as_it_travels() -> None:
    assert LIBRARY.schema["messages"][:3] == [
        {
            "id": 1,
            "name": "Twist",
            "format": "<3f3f",
            "fields": [],
            "kind": "tuple",
            "nested": {"fields": [["linear", "Vec", ["x", "y", "z"]], ["angular", "Vec", ["x", "y", "z"]]]},
        },
        {
            "id": 2,
            "name": "Stamped",
            "format": STAMPED_FORMAT,
            "fields": [],
            "kind": "tuple",
            "nested": {
                "fields": [
                    "stamp",
                    "frame",
                    [
                        "twist",
                        "Twist",
                        [["linear", "Vec", ["x", "y", "z"]], ["angular", "Vec", ["x", "y", "z"]]],
                    ],
                    ["covariance", 9],
                    ["at", "Vec", ["x", "y", "z"]],
                ],
                "text": [1],
            },
        },
        {
            "id": 3,
            "name": "Odometry",
            "format": "<d3f9f",
            "fields": [],
            "kind": "tuple",
            "nested": {"fields": ["stamp", ["position", 3], ["covariance", 9]]},
        },
    ]


def test_who_does_not_know_of_nested_fields_reads_the_right_values_in_a_tuple() -> None:
    """A peer of an earlier version takes no notice of keys that it does not know."""
    older = [
        {key: value for key, value in message.items() if key != "nested"} for message in LIBRARY.schema["messages"]
    ]
    library = MsgLibrary.from_schema({"messages": older})
    assert library.decode(LIBRARY.encode(TWIST)) == (1, 2, 3, 4, 5, 6)
    assert library.decode(LIBRARY.encode(STAMPED))[:3] == (0.5, b"base\0\0\0\0", 1)


def test_a_library_of_flat_types_travels_as_ever() -> None:
    assert MsgLibrary({5: ("<3f", Vec)}).schema == {
        "messages": [{"id": 5, "name": "Vec", "format": "<3f", "fields": ["x", "y", "z"], "kind": "named"}]
    }


def test_fields_in_words_have_one_line_for_an_array() -> None:
    assert LIBRARY.fields(3) == (("stamp", "float64"), ("position", "float32[3]"), ("covariance", "float32[9]"))
    assert LIBRARY.fields(2)[:4] == (
        *(("stamp", "float64"), ("frame", "text[8]")),
        *(("twist.linear.x", "float32"), ("twist.linear.y", "float32")),
    )
    assert MsgLibrary.from_schema(LIBRARY.schema).fields(2) == LIBRARY.fields(2)


class Turned(NamedTuple):
    x: float
    y: float
    yaw: float


@dataclass
class Other:
    linear: Vec
    angular: Turned


def test_types_that_differ_inside_are_told_field_by_field() -> None:
    def spec(format: str, type_: type) -> Any:
        return parse_schema(MsgLibrary({1: (format, type_)}).schema)[0]

    Flat = namedtuple("Flat", "a b c d e f")
    Arrays = namedtuple("Arrays", "linear angular")
    mine = spec("<6f", Twist)
    assert differences(mine, spec("<3f3f", Twist)) == ()
    assert differences(mine, spec("<6f", tuple)) == ()
    assert differences(mine, spec("<6f", Other)) == (
        "message 1 (Twist), field angular.z: float32 here, angular.yaw, float32, there",
    )
    assert len(differences(mine, spec("<6f", Flat))) == 6
    assert "field linear.x: float32 here, linear[0], float32, there" in differences(mine, spec("<3f3f", Arrays))[0]
    assert "field linear.x: float32 here, float64 there" in differences(mine, spec("<6d", Twist))[0]


def test_a_subscriber_whose_nested_types_are_the_same_gets_its_own() -> None:
    @dataclass
    class Velocity:
        linear: Vec
        angular: Vec = field(default=Vec(0, 0, 0))

    adapted = MsgLibrary({1: ("<6f", Velocity)}).adapt(LIBRARY.schema)
    assert adapted.decode(LIBRARY.encode(TWIST)) == Velocity(Vec(1, 2, 3), Vec(4, 5, 6))


@pytest.mark.parametrize(
    "nested",
    [
        None,
        5,
        {},
        {"fields": 5},
        {"fields": ["a"]},
        {"fields": ["a", "a"]},
        {"fields": [["a", 0], ["b", 2]]},
        {"fields": [["a", True], "b"]},
        {"fields": [["a", -1], ["b", 3]]},
        {"fields": [["a", 3]]},
        {"fields": [["a", 1 << 70]]},
        {"fields": [["a", "T", ["x", "class"]]]},
        {"fields": [["a", "T", ["x"]]]},
        {"fields": [["a", "1T", ["x", "y"]]]},
        {"fields": [["a", "T", ["x", "x"]]]},
        {"fields": [["a", "T", 5]]},
        {"fields": [["a", "T", ["x", "y"], 4]]},
        {"fields": [[]]},
        {"fields": [{}]},
        {"fields": [["a", 2]], "text": [0]},
        {"fields": [["a", 2]], "text": 5},
        {"fields": [["_a", 2]]},
    ],
    ids=repr,
)
def test_nested_fields_that_are_wrong_are_refused(nested: object) -> None:
    message = {"id": 1, "name": "T", "format": "<2f", "fields": [], "kind": "tuple", "nested": nested}
    with pytest.raises(SchemaError):
        MsgLibrary.from_schema({"messages": [message]})


def test_nesting_that_is_too_deep_is_refused_soon() -> None:
    told: list[Any] = ["x"]
    for _ in range(10_000):
        told = [["a", "T", told]]
    with pytest.raises(SchemaError, match="8 levels"):
        parse_parts(told)


def test_text_after_a_long_array_is_text() -> None:
    Scan = NamedTuple("Scan", [("ranges", list), ("frame", str)])  # noqa: UP014
    library = MsgLibrary({1: ("<2000f8s", Scan)})
    scan = Scan([0.0] * 2000, "base")
    assert MsgLibrary.from_schema(library.schema).decode(library.encode(scan)).frame == "base"


def test_parts_are_described_and_read_again() -> None:
    parts = (Part("a"), Part("b", 3), Part("c", 0, "Vec", (Part("x"), Part("y"))))
    assert describe(parts) == ["a", ["b", 3], ["c", "Vec", ["x", "y"]]]
    assert parse_parts(json.loads(json.dumps(describe(parts)))) == parts
    assert outline(parts) == (("a", 0, None), ("b", 3, None), ("c", 0, (("x", 0, None), ("y", 0, None))))
