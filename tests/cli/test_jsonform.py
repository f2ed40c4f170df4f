"""Values become JSON and come back the same."""

from __future__ import annotations

import json
import math
import random
import struct
from collections import namedtuple
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ipcpy as ipc
from ipcpy.cli.jsonform import dumps, from_json, is_record, loads, record, struct_of, to_json

Imu = namedtuple("Imu", "gx gy")
Other = namedtuple("Other", "gx gy")

KEYS = st.text() | st.integers() | st.binary() | st.booleans() | st.tuples(st.integers(), st.text())
MOMENTS = st.datetimes(timezones=st.just(UTC) | st.just(timezone(timedelta(hours=-3, minutes=-30))))
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | MOMENTS
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=20)


def back(value):
    return from_json(loads(dumps(to_json(value))))


def bits(value):
    """Make something of a value that is equal only for the same value of the same type."""
    if isinstance(value, float):
        return "float", struct.pack("<d", value)
    if isinstance(value, dict):
        return "dict", [(bits(key), bits(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return type(value).__name__, [bits(item) for item in value]
    return type(value).__name__, value


@given(VALUES)
def test_any_value_comes_back_bit_for_bit(value):
    assert bits(back(value)) == bits(value)


@given(st.binary(min_size=8, max_size=8))
def test_any_double_comes_back_bit_for_bit(packed):
    (value,) = struct.unpack("<d", packed)
    assert struct.pack("<d", back(value)) == struct.pack("<d", value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.inf, '{"$float": "inf"}'),
        (-math.inf, '{"$float": "-inf"}'),
        (math.nan, '{"$float": "nan"}'),
        (b"\xff\x00", '{"$bytes": "/wA="}'),
        (2**70, "1180591620717411303424"),
        (datetime(2026, 11, 23, 10, 30, tzinfo=UTC), '{"$datetime": "2026-11-23T10:30:00+00:00"}'),
        ({1: 2}, '{"$map": [[1, 2]]}'),
        ({"$bytes": "no"}, '{"$map": [["$bytes", "no"]]}'),
        (Imu(0.5, 1), '{"gx": 0.5, "gy": 1}'),
    ],
)
def test_the_documented_forms(value, text):
    assert dumps(to_json(value)) == text


def test_a_dataclass_is_its_fields():
    @dataclass
    class Pose:
        x: float

    assert to_json(Pose(1.5)) == {"x": 1.5}


def test_arrays_come_back():
    np = pytest.importorskip("numpy")
    structured = np.array([(1, (2.5, 3.5), b"ab")], dtype=[("a", "<i2"), ("b", ">f4", (2,)), ("c", "S4")])
    for array in (
        np.arange(6, dtype=">u2").reshape(2, 3),
        np.float32([[np.nan, np.inf]]),
        np.zeros((0, 3)),
        structured,
    ):
        again = back({"image": array})["image"]
        assert again.dtype == array.dtype
        assert again.shape == array.shape
        assert again.tobytes() == array.tobytes()


def test_structured_arrays_come_back_with_their_gaps_and_the_order_of_their_fields():
    np = pytest.importorskip("numpy")
    points = np.array([(1, 2, 3), (4, 5, 6)], "f4,f4,f4")
    nested = np.zeros(2, [("pose", [("x", ">f8"), ("y", "<M8[ns]", (2, 2))]), ("name", "U3")])
    for array in (
        points[["f2", "f0"]],
        points[["f1"]],
        nested,
        nested[["name"]],
        np.zeros(2, np.dtype([("a", "u1"), ("b", "f8")], align=True)),
        np.zeros((2, 0), "f4,i2"),
    ):
        again = back(array)
        assert (again.dtype, again.shape, again.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_arrays_of_no_dimensions_and_their_scalars_come_back():
    np = pytest.importorskip("numpy")
    for value in (np.array(5.0), np.datetime64(5, "ns"), np.zeros(1, "f4,f4")[["f1"]][0], np.array(b"abc")):
        again = back(value)
        assert (again.dtype, again.shape, again.tobytes()) == (value.dtype, (), value.tobytes())


def test_what_earlier_versions_wrote_of_structured_arrays_is_read():
    np = pytest.importorskip("numpy")
    text = '{"$ndarray": "AQACAwA=", "dtype": [["a", "<i2"], ["b", "|u1", [3]]], "shape": [1]}'
    array = from_json(loads(text))
    assert array.dtype == np.dtype([("a", "<i2"), ("b", "u1", (3,))])
    assert array.tolist()[0][0] == 1


def test_whatever_msgpack_decodes_is_written_or_refused_in_a_sentence():
    """A peer may write any bytes: nothing but ValueError comes out of it, and that for its depth alone."""
    codec, chance = ipc.MsgPack(), random.Random(3)
    decoded = 0
    for _ in range(5_000):
        body = bytes(
            chance.choices((*b"\x00\x7f\x80\x81\x82\x90\x91\x92\xa1\xa2\xc0\xc3\xc4\x01\xcb\xcf\xd6\xff\xe0",), k=9)
        )
        try:
            data = codec.decode(body)
        except ipc.CodecError:
            continue
        decoded += 1
        assert bits(back(data)) == bits(data)
    assert decoded > 100
    try:  # how deep is too deep is Python's choice
        assert back(codec.decode(b"\x91" * 900 + b"\x01"))
    except ValueError as error:
        assert "nested too deep" in str(error)


def test_what_is_nested_too_deep_is_refused_in_a_sentence():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    message = ipc.Message(deep, "t", 1, 2, 3, "ab")
    for work in (to_json, dumps, from_json, lambda _: record(message, "msgpack", None)):
        with pytest.raises(ValueError, match="nested too deep"):
            work(deep)


@pytest.mark.parametrize(
    "text",
    [
        '{"$bytes": "?"}',
        '{"$bytes": 1}',
        '{"$float": "0x12"}',
        '{"$float": []}',
        '{"$datetime": "yesterday"}',
        '{"$map": [[1]]}',
        '{"$map": [[{}, 1]]}',
        '{"$ndarray": "AAAA", "dtype": "O", "shape": [1]}',
        '{"$ndarray": "AAAA", "dtype": [["a"]], "shape": [1]}',
        '{"$ndarray": "AAAA", "dtype": [8, [["a", 0, "O", []]]], "shape": [1]}',
        '{"$ndarray": "AAAA", "dtype": [8, [["a", 0, "u1"]]], "shape": [1]}',
        '{"$ndarray": "AAAA", "dtype": "u1", "shape": [4]}',
        '{"$ndarray": "AAAA", "dtype": "u1", "shape": [-3, -1]}',
        '{"$ndarray": "AAAA", "dtype": "u1", "shape": 3}',
        '{"$ndarray": "AAAA", "dtype": [], "shape": [0]}',
        '{"$unknown": 1}',
    ],
)
def test_what_is_none_of_the_forms_is_a_value_error(text):
    with pytest.raises(ValueError):
        from_json(loads(text))


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", "{", "", "[" * 100_000])
def test_what_is_not_json_is_a_value_error(text):
    with pytest.raises(ValueError):
        loads(text)


def test_what_has_no_json_form_is_a_type_error():
    with pytest.raises(TypeError, match="object has no JSON form"):
        to_json([object()])
    np = pytest.importorskip("numpy")
    for array in (np.array([object()]), np.zeros(1, [("a", "O")])):
        with pytest.raises(TypeError, match="an array of Python objects .* has no JSON form"):
            to_json(array)


LIBRARY = ipc.MsgLibrary({1: ("<2f", Imu), 2: ("<2f", Other), 3: ("<i", int), 4: ("<B", int), 5: ("<f", float)})


@pytest.mark.parametrize(("data", "id"), [(Imu(1, 2), 1), (Other(1, 2), 2), (0.5, 5), (3, None), ("text", None)])
def test_the_description_of_a_struct_message_is_found_by_its_type(data, id):
    described = struct_of(data, LIBRARY.schema)
    assert (described and described["id"]) == id
    assert struct_of(data, {}) is None


def test_a_struct_message_can_be_rebuilt_from_its_line():
    data = LIBRARY.decode(LIBRARY.encode(Imu(0.1, math.nan)))
    message = ipc.Message(data, "imu", 7, 1, 2, "ab")
    line = dumps(record(message, "struct", struct_of(data, LIBRARY.schema)))
    read = json.loads(line)
    assert is_record(read)
    assert {name: read[name] for name in ("topic", "seq", "sent_ns", "received_ns", "publisher", "codec")} == {
        "topic": "imu",
        "seq": 7,
        "sent_ns": 1,
        "received_ns": 2,
        "publisher": "ab",
        "codec": "struct",
    }
    again = ipc.MsgLibrary.from_schema({"messages": [read["struct"]]})
    assert again.encode(from_json(read["data"]), read["struct"]["id"]) == LIBRARY.encode(Imu(0.1, math.nan))


def test_a_struct_message_of_nested_types_can_be_rebuilt_from_its_line():
    Twist = namedtuple("Twist", "linear angular")
    twist = ipc.MsgLibrary({1: ("<3f3f", Twist), 2: ("<6f", tuple), 3: ("<2f", Imu)})
    received = ipc.MsgLibrary.from_schema(twist.schema).decode(twist.encode(Twist((1, 2, 3), (4, 5, 6))))
    described = struct_of(received, twist.schema)
    assert described["id"] == 1
    assert struct_of((1, 2, 3, 4, 5, 6), twist.schema)["id"] == 2
    read = json.loads(dumps(record(ipc.Message(received, "cmd", 7, 1, 2, "ab"), "struct", described)))
    assert read["data"] == {"linear": [1, 2, 3], "angular": [4, 5, 6]}
    again = ipc.MsgLibrary.from_schema({"messages": [read["struct"]]})
    assert again.encode(from_json(read["data"]), 1) == twist.encode(received, 1)


def test_data_that_looks_a_little_like_a_line_is_data():
    assert not is_record({"topic": "imu", "data": 1})
    assert not is_record([])
