"""Types of requests and replies: classes, codecs, what servers say of them, and where two sides differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pytest

import ipcpy as ipc
from ipcpy.asking.types import Kind, Told, check_type, encode, kind_of, reader, schema_of, told_by, writer


class Point(NamedTuple):
    x: float
    y: float


class Goal(NamedTuple):
    point: Point
    steps: int
    slow: bool


@dataclass
class Pose:
    x: float
    on: bool


class Wide(NamedTuple):
    x: float
    z: float


def test_a_class_of_numbers_becomes_a_library():
    library = check_type("request", Goal)
    assert library.schema["messages"][0]["format"] == "<ddq?"
    goal = Goal(Point(1.0, 2.0), 3, True)
    assert library.decode(library.encode(goal)) == goal
    assert check_type("reply", Pose).decode(check_type("reply", Pose).encode(Pose(1.5, False))) == Pose(1.5, False)


class Named(NamedTuple):
    name: str


@pytest.mark.parametrize(
    ("given", "said"), [(Named, "Named.name has the type str"), (int, "the class int"), (7, "codec")]
)
def test_what_has_no_known_bytes_is_refused_with_what_was_expected(given, said):
    with pytest.raises(ipc.ArgumentError, match=said):
        check_type("request", given)


def test_what_a_server_says_of_itself_comes_back():
    told = Told(kind_of(check_type("request", Goal), ""), Kind("msgpack", {}), steps=True)
    assert told_by(schema_of(told)) == told


@pytest.mark.parametrize(
    "schema", [{}, {"request": 7}, {"request": {"codec": 7, "schema": {}}}, {"reply": {"codec": "x"}}]
)
def test_of_what_strangers_say_nothing_wrong_is_believed(schema):
    assert told_by(schema) == (("any", {}), ("msgpack", {}), False, False)


def test_a_client_without_types_makes_what_the_server_takes_of_mappings_and_values():
    taken = kind_of(check_type("request", Point), "")
    codec = writer("arm", None, taken)
    decode = reader("arm", "the request", check_type("request", Point), kind_of(codec, ""))
    for data in ({"x": 1, "y": 2}, (1, 2), [1, 2], Point(1, 2)):
        assert decode(encode(codec, data)) == Point(1.0, 2.0)
    with pytest.raises(ipc.CodecError, match="missing"):
        encode(codec, {"x": 1})


def test_a_server_that_takes_anything_is_sent_msgpack_or_the_clients_own():
    assert writer("arm", None, Kind("any", {})).name == "msgpack"
    own = check_type("request", Point)
    assert writer("arm", own, Kind("any", {})) is own


def test_types_that_differ_are_told_field_by_field_on_either_side():
    wide, point = check_type("request", Wide), check_type("request", Point)
    with pytest.raises(ipc.SchemaError, match=r"the request of 'arm' differs: .*z") as caught:
        writer("arm", wide, kind_of(point, ""))
    assert caught.value.differences
    with pytest.raises(ipc.SchemaError, match="the reply of 'arm' differs"):
        reader("arm", "the reply", wide, kind_of(point, ""))
    with pytest.raises(ipc.SchemaError, match="codec"):
        reader("arm", "the reply", wide, Kind("msgpack", {}))


class Broken:
    name, schema = "mine", {}

    def encode(self, data):
        raise KeyError(data)

    def decode(self, body):
        return type(body)


def test_what_a_codec_of_the_users_raises_becomes_an_error_of_ipcpy():
    with pytest.raises(ipc.CodecError, match="the codec 'mine' failed"):
        encode(Broken(), 7)


def test_a_codec_of_the_users_is_given_no_view_of_memory():
    assert reader("arm", "the reply", Broken(), Kind("mine", {}))(memoryview(b"a")) is bytes


def test_a_class_of_types_that_are_not_known_is_refused():
    class Point(NamedTuple):
        x: Nowhere  # noqa: F821

    with pytest.raises(ipc.ArgumentError, match="the types of Point are not known: name 'Nowhere' is not defined"):
        check_type("request", Point)
