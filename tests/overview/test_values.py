"""Numbers and trees of messages: every path leads back to its number, and no message makes a tree without bound."""

from __future__ import annotations

import json
import math
from collections import namedtuple
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ipcpy as ipc
from ipcpy.overview.values import fields_of_schema, number_at, numeric_fields, path_of, text_of, tree

np = pytest.importorskip("numpy", reason="needs ipcpy[numpy]")

Vector = namedtuple("Vector", "x y")


@dataclass
class Pose:
    at: Vector
    name: str


@given(st.lists(st.one_of(st.integers(-5, 10**6), st.text(max_size=5)), max_size=5).map(tuple))
def test_a_path_that_is_written_is_read_again(path):
    assert path_of(text_of(path)) == path


@pytest.mark.parametrize("text", ["a..b", "[", "a]", "[x]", 'a["b', "a[1.5]", ".a.", 'a"b', "x." * 50 + "x", '["\\q"]'])
def test_what_is_no_path_is_said_to_be_none(text):
    with pytest.raises(ipc.ArgumentError, match="path"):
        path_of(text)


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (3.5, {"": 3.5}),
        (True, {"": 1.0}),
        ({"x": 1, "name": "arm", "y": None, "z": 2.5}, {"x": 1.0, "z": 2.5}),
        ({"a.b": {"": 1}, 5: 7, b"k": 1}, {'["a.b"][""]': 1.0, "[5]": 7.0}),
        (Pose(Vector(1, 2), "arm"), {"at.x": 1.0, "at.y": 2.0}),
        ([[1, 2], (3,)], {"[0][0]": 1.0, "[0][1]": 2.0, "[1][0]": 3.0}),
        (np.array([[1, 2], [3, 4]], "<i4"), {"[0][0]": 1.0, "[0][1]": 2.0, "[1][0]": 3.0, "[1][1]": 4.0}),
        (np.zeros(3, [("a", "<f4")]), {}),
        ("text", {}),
        (b"bytes", {}),
        (None, {}),
    ],
    ids=repr,
)
def test_the_numbers_of_a_message_are_found_by_their_paths(data, fields):
    assert {field: number_at(data, path_of(field)) for field in numeric_fields(data)} == fields


def test_not_more_numbers_are_offered_than_anybody_looks_at():
    assert numeric_fields(list(range(10_000)), limit=7) == [f"[{n}]" for n in range(7)]
    assert len(numeric_fields(np.zeros((1000, 1000)))) == 200


@pytest.mark.parametrize("path", ["y", "x.y", "[0]", "x[0]", "name"])
def test_where_there_is_no_number_there_is_none(path):
    assert number_at({"x": 1, "name": "arm"}, path_of(path)) is None


def test_a_number_that_no_float_holds_is_none():
    assert number_at({"x": 10**400}, path_of("x")) is None


def test_a_path_never_calls_or_reads_what_is_no_field():
    assert number_at(Vector(1, 2), ("count",)) is None
    assert number_at(Vector(1, 2), ("_fields", 0)) is None
    assert number_at([1, 2], ("append",)) is None
    assert number_at(np.zeros(3), ("size",)) is None
    assert number_at(3, ("real",)) is None


def test_the_schema_of_a_struct_tells_its_numbers_before_a_message_comes():
    pose = namedtuple("Pose", "at q name ok")
    library = ipc.MsgLibrary({7: ("<2d3f8s?", pose), 8: ("<d", float)})
    schema = ipc.MsgLibrary({7: ("<d3f?", namedtuple("Pose", "t q ok")), 8: ("<d", float)}).schema
    assert fields_of_schema("struct", schema) == ["t", "q[0]", "q[1]", "q[2]", "ok", ""]
    assert library.schema and fields_of_schema("msgpack", schema) == []


@pytest.mark.parametrize("schema", [{}, {"messages": 3}, {"messages": [{"id": "x"}]}, {"messages": [None]}])
def test_what_is_no_schema_has_no_fields(schema):
    assert fields_of_schema("struct", schema) == []


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (None, None),
        (True, True),
        (2**53, 2**53),
        (2**60, {"$int": str(2**60)}),
        (1.5, 1.5),
        (math.inf, {"$float": "inf"}),
        ("é", "é"),
        ("\ud800", "?"),
        ("x" * 1001, {"$text": "x" * 1000, "size": 1001}),
        (b"\x00\xff", {"$bytes": "00ff", "size": 2}),
        (datetime(2026, 11, 28, tzinfo=UTC), {"$datetime": "2026-11-28T00:00:00+00:00"}),
        (Vector(1, [2]), {"x": 1, "y": [2]}),
        (Pose(Vector(1, 2), "arm"), {"at": {"x": 1, "y": 2}, "name": "arm"}),
        ({5: 1}, {"$map": [[5, 1]]}),
        ({"$x": 1}, {"$map": [["$x", 1]]}),
        (list(range(101)), [*range(100), {"$more": 1}]),
        (np.array([1.0, math.nan]), {"$array": [1.0, {"$float": "nan"}], "dtype": "float64", "shape": [2]}),
        (np.zeros(2, [("a", "<f4")]), {"$array": [], "dtype": "[('a', '<f4')]", "shape": [2]}),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_every_value_has_a_form_in_the_tree(data, shown):
    assert tree(data) == shown


def test_a_dict_that_is_cut_says_how_much_is_left_out():
    shown = tree({str(n): n for n in range(250)})
    assert len(shown) == 101 and shown["$more"] == 150


def test_what_lies_too_deep_is_named():
    data: object = 1
    for _ in range(20):
        data = [data]
    text = json.dumps(tree(data))
    assert '{"$deep": "list of 1"}' in text


messages = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.one_of(st.text(), st.integers()), inner)),
)


@given(messages)
def test_a_tree_is_json_that_any_browser_reads(data):
    json.dumps(tree(data), allow_nan=False).encode()
    assert all(number_at(data, path_of(field)) is not None for field in numeric_fields(data)) or "1e" in repr(data)


def test_a_large_message_makes_a_small_tree():
    large = [[{"k": [0.1] * 200} for _ in range(200)] for _ in range(50)]
    assert len(json.dumps(tree(large))) < 200_000
