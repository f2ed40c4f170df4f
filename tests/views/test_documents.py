from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import pytest

from ipcpy.views.documents import document, merged, schema_of, schema_text, signature


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({"a": 1, "b": [1.5, None, "é"]}, {"a": 1, "b": [1.5, None, "é"]}),
        (5, {"data": 5}),
        ([1, 2], {"data": [1, 2]}),
        ({"x": math.nan, "y": math.inf}, {"x": None, "y": None}),
        ({"b": b"\xff\0"}, {"b": "/wA="}),
        ({1: 2, (3, 4): 5}, {"1": 2, "(3, 4)": 5}),
        ({"t": datetime(2026, 11, 28, tzinfo=UTC)}, {"t": "2026-11-28T00:00:00+00:00"}),
        ({"big": 2**64 - 1}, {"big": 2**64 - 1}),
    ],
)
def test_data_as_json(data: object, shown: object) -> None:
    assert json.loads(document(data)) == shown


def test_a_lone_surrogate_is_no_exception() -> None:
    assert json.loads(document({"a": "\ud800"})) == {"a": "?"}


def test_arrays_are_base64_with_dtype_and_shape_and_values_if_few() -> None:
    np = pytest.importorskip("numpy")
    few = np.array([[1, 2.5], [math.nan, 4]], "<f4")
    assert json.loads(document({"a": few}))["a"] == {
        "dtype": "<f4",
        "shape": [2, 2],
        "data": "AACAPwAAIEAAAMB/AACAQA==",
        "values": [1.0, 2.5, None, 4.0],
    }
    assert "values" not in json.loads(document({"a": np.zeros(257)}))["a"]
    assert json.loads(document(np.zeros(70_000, "u1")))["data"] == {"dtype": "|u1", "shape": [70_000]}


def test_what_is_shown_elsewhere_says_where() -> None:
    np = pytest.importorskip("numpy")
    data = {"t": 1, "image": np.zeros((8, 9), "u1")}
    assert json.loads(document(data, {"image": "image"})) == {
        "t": 1,
        "image": {"dtype": "|u1", "shape": [8, 9], "topic": "image"},
    }


def test_what_is_nested_too_deep_is_a_value_error() -> None:
    data: list[object] = []
    for _ in range(100_000):
        data = [data]
    with pytest.raises(ValueError, match="too deep"):
        document(data)


def test_a_schema_says_the_types_that_came() -> None:
    assert schema_of({"a": 1, "b": "x", "c": [True], "d": {"e": b""}, "f": None}) == {
        "type": "object",
        "properties": {
            "a": {"type": "number"},
            "b": {"type": "string"},
            "c": {"type": "array", "items": {"type": "boolean"}},
            "d": {"type": "object", "properties": {"e": {"type": "string", "contentEncoding": "base64"}}},
            "f": {},
        },
    }


def test_schemas_grow_and_say_nothing_where_they_contradict_each_other() -> None:
    one, other = schema_of({"a": 1, "b": "x", "c": []}), schema_of({"a": "y", "c": [1], "d": None})
    assert merged(one, other)["properties"] == {
        "a": {"title": "anything"},
        "b": {"type": "string"},
        "c": {"type": "array", "items": {"type": "number"}},
        "d": {},
    }
    assert merged(one, one) == one


def test_the_signature_tells_types_apart_and_not_values() -> None:
    assert signature({"a": 1}) == signature({"a": 2}) != signature({"a": 2.0})
    assert signature({"a": 1}) != signature({"b": 1})
    assert signature([1]) == signature([2])


def test_a_schema_has_a_name() -> None:
    made = schema_text("Doc", {"type": "object"})
    assert (made.name, json.loads(made.text)) == ("Doc", {"title": "Doc", "type": "object"})
