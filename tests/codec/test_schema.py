from __future__ import annotations

import json
from collections import namedtuple
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.codec.library import MsgLibrary
from ipcpy.errors import CodecError, SchemaError

Imu = namedtuple("Imu", "gx gy gz")


class Label(NamedTuple):
    id: int
    text: str


@dataclass
class Pose:
    x: float
    y: float


LIBRARY = MsgLibrary(
    {
        1: ("i", int),
        2: ("8s", str),
        3: ("3h", list),
        4: ("hh", tuple),
        5: ("<3f", Imu),
        6: ("H6s", Label),
        7: ("dd", Pose),
    }
)


def schema(**message: Any) -> dict[str, Any]:
    return {"messages": [{"id": 5, "name": "Imu", "format": "<3f", "fields": ["gx", "gy", "gz"]} | message]}


def test_schema_travels_as_json() -> None:
    travelled = json.loads(json.dumps(LIBRARY.schema))
    library = MsgLibrary.from_schema(travelled)
    assert library.schema == travelled
    assert library.sizes == LIBRARY.sizes
    for data in (5, "grün", [1, 2, 3], (1, 2), Imu(1, 2, 3), Label(1, "ab"), Pose(1, 2)):
        decoded = library.decode(LIBRARY.encode(data))
        if isinstance(data, Pose):
            assert (type(decoded).__name__, decoded._asdict()) == ("Pose", {"x": 1, "y": 2})
        else:
            assert decoded == data
            assert type(decoded).__name__ == type(data).__name__


def test_what_was_decoded_can_be_sent_on() -> None:
    library = MsgLibrary.from_schema(LIBRARY.schema)
    message = LIBRARY.encode(Imu(1, 2, 3))
    assert library.encode(library.decode(message)) == message
    assert library.pack(5, {"gx": 1, "gy": 2, "gz": 3}) == library.encode([1, 2, 3], id=5) == message


def test_schema_of_0_fields_and_no_kind() -> None:
    library = MsgLibrary.from_schema({"messages": [{"id": 1, "name": "any", "format": "2h"}]})
    assert library.unpack(1, bytes(4)) == (0, 0)


def test_adapt_has_our_types_and_their_messages() -> None:
    ours = MsgLibrary({5: ("fff", Imu), 8: ("i", int)})
    adapted = ours.adapt(LIBRARY.schema)
    assert type(adapted.decode(LIBRARY.encode(Imu(1, 2, 3)))) is Imu
    assert adapted.decode(LIBRARY.encode(Pose(1, 2)))._fields == ("x", "y")
    assert set(adapted.sizes) == {1, 2, 3, 4, 5, 6, 7, 8}
    assert set(ours.sizes) == {5, 8}


def test_adapt_takes_another_kind_of_the_same_bytes() -> None:
    assert MsgLibrary({5: ("3f", list)}).adapt(LIBRARY.schema).decode(LIBRARY.encode(Imu(1, 2, 3))) == [1, 2, 3]
    Gyro = namedtuple("Gyro", "gx gy gz")
    assert type(MsgLibrary({5: ("3f", Gyro)}).adapt(LIBRARY.schema).decode(LIBRARY.encode(Imu(1, 2, 3)))) is Gyro


@pytest.mark.parametrize(
    ("ours", "differences"),
    [
        (
            ("ffd", Imu),
            (
                "message 5 (Imu), field gz: float64 here, float32 there",
                "message 5 (Imu): a payload of 16 bytes here, 12 there",
            ),
        ),
        (
            ("ff", namedtuple("Imu", "gx gy")),
            (
                "message 5 (Imu), field gz: missing here, float32 there",
                "message 5 (Imu): a payload of 8 bytes here, 12 there",
            ),
        ),
        (
            ("fff", namedtuple("Imu", "gz gy gx")),
            (
                "message 5 (Imu), field gz: float32 here, gx, float32, there",
                "message 5 (Imu), field gx: float32 here, gz, float32, there",
            ),
        ),
        (
            (">fff", list),
            tuple(f"message 5 (list), field {name}: big-endian float32 here, float32 there" for name in Imu._fields),
        ),
        (
            ("f4xff", list),
            (
                "message 5 (list), field gy: at byte 8 here, at byte 4 there",
                "message 5 (list), field gz: at byte 12 here, at byte 8 there",
                "message 5 (list): a payload of 16 bytes here, 12 there",
            ),
        ),
    ],
)
def test_differences_field_by_field(ours: tuple[str, type], differences: tuple[str, ...]) -> None:
    with pytest.raises(SchemaError) as raised:
        MsgLibrary({5: ours}).adapt(LIBRARY.schema)
    assert raised.value.differences == differences
    assert str(raised.value) == "; ".join(differences)


def test_differences_are_bounded() -> None:
    with pytest.raises(SchemaError) as raised:
        MsgLibrary({1: ("65528B", list)}).adapt({"messages": [{"id": 1, "name": "n", "format": "65528b"}]})
    assert len(raised.value.differences) == 17
    assert raised.value.differences[-1] == "message 1 (list): and more"


@pytest.mark.parametrize(
    "hostile",
    [
        None,
        [],
        {},
        {"messages": None},
        {"messages": {}},
        {"messages": [None]},
        schema(id=-1),
        schema(id=65536),
        schema(id=True),
        schema(id="5"),
        schema(name=""),
        schema(name="class"),
        schema(name="a b"),
        schema(name="_a"),
        schema(name="a" * 129),
        schema(name=5),
        schema(name="\ufb01"),
        schema(format=None),
        schema(format="3q", fields=["a", "b"]),
        schema(format="65535f"),
        schema(fields=["a", "a", "b"]),
        schema(fields=["a", "b", "__class__"]),
        schema(fields=["a", "b", "import"]),
        schema(fields=["a", "b", ["c"]]),
        schema(fields="abc"),
        schema(fields=[f"f{n}" for n in range(1025)], format="1025f"),
        schema(fields={"a": 1}),
        schema(kind="object"),
        schema(kind=["named"]),
        schema(kind="int"),
        schema(kind="int", fields=[]),
        schema(text=[0]),
        schema(text=[2**70]),
        schema(text=[-1]),
        schema(text="0"),
        {"messages": [schema()["messages"][0]] * 2},
        {"messages": [{"id": n, "name": "a", "format": "b"} for n in range(4097)]},
        {
            "messages": [
                schema(id=n, format="1024b", fields=[f"f{n}" for n in range(1024)])["messages"][0] for n in range(17)
            ]
        },
    ],
    ids=lambda hostile: repr(hostile)[-50:],
)
def test_hostile_schemas(hostile: object) -> None:
    with pytest.raises(SchemaError):
        MsgLibrary.from_schema(hostile)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["named", "3f", "<i", "Imu", "gx"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["id", "name", "format", "fields", "kind", "text"])


@given(st.dictionaries(keys, json_values))
def test_any_schema_is_a_library_or_a_schema_error(changes: dict[str, Any]) -> None:
    try:
        library = MsgLibrary.from_schema(schema(**changes))
    except SchemaError:
        return
    for id, size in library.sizes.items():
        try:
            library.unpack(id, bytes(size - 7))
        except CodecError as error:
            assert "utf-8" in str(error)
