"""bridges.plain: messages as a phone reads and writes them."""

from __future__ import annotations

import json
import math
from collections import namedtuple
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.bridges.plain import ITEMS, Shapes, from_plain, to_plain
from ipcpy.codec import MsgLibrary
from ipcpy.errors import CodecError

Imu = namedtuple("Imu", "gx gz")
IMU = MsgLibrary({23: ("<2f", Imu)})


class Point(NamedTuple):
    x: float
    y: float


class Pose(NamedTuple):
    position: Point
    name: str


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"gz": 0.5, "on": True, "none": None}, '{"gz":0.5,"on":true,"none":null}'),
        (Imu(1.0, 0.5), '{"gx":1.0,"gz":0.5}'),
        (Pose(Point(1.0, 2.0), "é"), '{"position":{"x":1.0,"y":2.0},"name":"é"}'),
        (21.5, "21.5"),
        ("ON", '"ON"'),
        ([1, (2, 3)], "[1,[2,3]]"),
        (b"abc", '"YWJj"'),
        (memoryview(b"abc"), '"YWJj"'),
        ([math.nan, math.inf, -math.inf], "[null,null,null]"),
        ({1: "one"}, '{"1":"one"}'),
        (datetime(2026, 11, 28, 18, 0, tzinfo=UTC), '"2026-11-28T18:00:00+00:00"'),
        (2**70, "1180591620717411303424"),
    ],
)
def test_a_message_is_the_json_that_one_would_write_by_hand(data: object, text: str) -> None:
    assert to_plain(data).decode() == text


def test_small_arrays_are_numbers_and_large_ones_base64() -> None:
    np = pytest.importorskip("numpy")
    assert json.loads(to_plain({"ranges": np.array([[1, 2], [3, 4]], "<f4")})) == {"ranges": [[1.0, 2.0], [3.0, 4.0]]}
    large = json.loads(to_plain(np.zeros(ITEMS + 1, "uint8")))
    assert (large["dtype"], large["shape"]) == ("|u1", [ITEMS + 1])
    assert json.loads(to_plain(np.array([math.nan]))) == [None]


def test_what_has_no_json_is_an_error_of_codecs() -> None:
    deep: list[object] = []
    for _ in range(10_000):
        deep = [deep]
    with pytest.raises(CodecError, match="nested too deep"):
        to_plain(deep)
    with pytest.raises(CodecError, match="object has no JSON form"):
        to_plain(object())


@pytest.mark.parametrize(
    ("payload", "data"),
    [
        (b'{"speed": 0.5}', {"speed": 0.5}),
        (b'\xef\xbb\xbf{"speed": 1}', {"speed": 1}),
        (b"21.5", 21.5),
        (b"true", True),
        (b"null", None),
        (b"ON", "ON"),
        (b"hello world", "hello world"),
        (b'"quoted"', "quoted"),
        (b"[1, 2]", [1, 2]),
        (b"-Infinity", -math.inf),
    ],
)
def test_json_is_read_and_what_is_none_is_text(payload: bytes, data: object) -> None:
    assert from_plain(payload) == data


@pytest.mark.parametrize(
    ("payload", "problem"),
    [
        (b"", "it is empty"),
        (b"  \n", "it is empty"),
        (b'{"speed": ', "it begins as JSON and is none"),
        (b"[1, 2", "it begins as JSON and is none"),
        (b"\xff\xfe\x00", "byte 0 is not UTF-8"),
        (b"abc\0def", "it has a NUL character"),
        (b"[" * 100_000, "nested too deep"),
        (b"9" * 5000, "9"),  # Python reads no longer numbers: it is text
    ],
)
def test_what_is_neither_is_refused_in_a_sentence(payload: bytes, problem: str) -> None:
    if problem == "9":
        assert from_plain(payload) == payload.decode()
        return
    with pytest.raises(CodecError, match=problem):
        from_plain(payload)


@given(st.binary(max_size=200))
def test_whatever_comes_it_is_data_or_a_codec_error(payload: bytes) -> None:
    try:
        to_plain(from_plain(payload))
    except CodecError:
        pass


_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(_plain)
def test_what_json_has_comes_back_equal(data: object) -> None:
    if isinstance(data, str) and not data.encode("utf-8", "replace").decode() == data:
        return
    assert from_plain(to_plain(data)) == data


# -- as the struct messages of who is there ----------------------------------------------------------------------------


def test_an_object_with_the_fields_of_a_struct_message_becomes_it() -> None:
    library, body = Shapes([IMU.schema]).body({"gz": 0.5, "gx": 1}) or (None, b"")
    assert library is not None
    assert body == IMU.encode(Imu(1.0, 0.5))
    assert library.schema == IMU.schema


def test_what_was_written_of_a_struct_message_becomes_the_same_bytes_again() -> None:
    Mixed = namedtuple("Mixed", "number name raw flag")
    mixed = MsgLibrary({5: ("<d8s3s?", Mixed)})
    for message in (Mixed(0.1, b"robot", b"\0\1\2", True), Mixed(math.nan, b"x", b"abc", False)):
        found = Shapes([mixed.schema]).body(from_plain(to_plain(mixed.decode(mixed.encode(message)))))
        assert found is not None and found[1] == mixed.encode(message)
    poses = MsgLibrary({6: ("<2d8s", Pose)})
    pose = poses.encode(Pose(Point(0.1, 2.0), "arm"))
    found = Shapes([poses.schema]).body(from_plain(to_plain(poses.decode(pose))))
    assert found is not None and found[1] == pose


@pytest.mark.parametrize("data", [{"gx": 1}, {"gx": 1, "gz": 2, "more": 3}, {"gx": "fast", "gz": 1}, [1, 2], 5, None])
def test_what_has_other_fields_or_values_is_no_struct_message(data: object) -> None:
    assert Shapes([IMU.schema]).body(data) is None


def test_values_without_fields_become_messages_without_fields() -> None:
    numbers = MsgLibrary({1: ("<2i", tuple)})
    found = Shapes([numbers.schema]).body([1, 2])
    assert found is not None and numbers.decode(found[1]) == (1, 2)
    speed = MsgLibrary({2: ("<d", float)})
    found = Shapes([IMU.schema, speed.schema]).body(21.5)
    assert found is not None and speed.decode(found[1]) == 21.5


def test_a_schema_that_is_none_counts_for_none() -> None:
    assert Shapes([{}, {"messages": [{"id": "x"}]}]).body({"gx": 1}) is None
