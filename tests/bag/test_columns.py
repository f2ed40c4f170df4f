"""Columns: struct messages and plain data as structured arrays."""

from __future__ import annotations

import sys
from collections import namedtuple

import pytest

from ipcpy.bag.columns import array_of_data, array_of_structs, need_numpy, with_times
from ipcpy.codec import MsgLibrary
from ipcpy.codec.schema import parse_schema
from ipcpy.errors import CodecError, IpcError

np = pytest.importorskip("numpy", reason="needs ipcpy[numpy]")

Point = namedtuple("Point", "x y")
Pose = namedtuple("Pose", "stamp at covariance name")


def structs(library, values, id=1):
    payloads = [library.pack(id, value)[7:] for value in values]
    return array_of_structs(parse_schema(library.schema)[0], payloads)


def test_every_code_has_its_dtype():
    Row = namedtuple("Row", "a b c d e f g h i j k l m n")
    library = MsgLibrary({1: ("<bBhHiIqQefd?c4s", Row)})
    array = structs(library, [(-1, 2, -3, 4, -5, 6, -7, 8, 0.5, 1.5, 2.5, True, b"x", b"abc")] * 2)
    assert array[1].tolist() == (-1, 2, -3, 4, -5, 6, -7, 8, 0.5, 1.5, 2.5, True, b"x", b"abc")
    assert array.dtype["h"] == "uint64"


def test_big_endian_values_and_padding_are_read():
    array = structs(MsgLibrary({1: (">h2xd", Point)}), [(1, 2.5), (-1, 3.5)])
    assert array["x"].tolist() == [1, -1]
    assert array["y"].tolist() == [2.5, 3.5]


def test_types_in_types_and_arrays_are_fields_within_fields():
    schema = {
        "messages": [
            {
                "id": 1, "name": "Pose", "format": "<d2f9f", "fields": [], "kind": "tuple",
                "nested": {"fields": ["stamp", ["at", "Point", ["x", "y"]], ["covariance", 9]]},
            }
        ]
    }  # fmt: skip
    library = MsgLibrary.from_schema(schema)
    array = structs(library, [(n, (n + 0.5, -n), tuple(range(9))) for n in range(3)])
    assert array["at"]["x"].tolist() == [0.5, 1.5, 2.5]
    assert array["at"]["y"].tolist() == [0, -1, -2]
    assert array["covariance"].shape == (3, 9)
    assert array["covariance"][2, 8] == 8


def test_what_has_no_fields_is_value():
    assert structs(MsgLibrary({1: ("<d", float)}), [1.5, 2.5])["value"].tolist() == [1.5, 2.5]
    assert structs(MsgLibrary({1: ("<2i", tuple)}), [(1, 2), (3, 4)])["value1"].tolist() == [2, 4]


def test_a_message_without_bytes_makes_an_array_without_fields():
    assert structs(MsgLibrary({1: ("<", tuple)}), [(), ()]).shape == (2,)


def test_data_become_columns():
    first = {"a": 1, "b": {"c": 2.5, "d": [1, 2]}, "e": "x", "f": b"ab"}
    array = array_of_data([first, {"a": 2, "b": {"c": 3, "d": [3, 4]}, "e": "yz"}])
    assert array["a"].tolist() == [1, 2]
    assert array["b"]["c"].tolist() == [2.5, 3.0]
    assert array["b"]["d"].tolist() == [[1, 2], [3, 4]]
    assert array["e"].tolist() == ["x", "yz"]
    assert array["f"].tolist() == [b"ab", b""]


def test_bytes_of_one_length_are_numbers():
    array = array_of_data([{"a": b"ab\0"}, {"a": b"\0cd"}])
    assert array["a"].tolist() == [[97, 98, 0], [0, 99, 100]]
    assert array_of_data([b"", b""])["value"].shape == (2, 0)


def test_bytes_of_several_lengths_lose_no_zeros():
    assert array_of_data([b"ab", b"abc"])["value"].tolist() == [b"ab", b"abc"]
    with pytest.raises(CodecError, match="field raw: .*zeros at the ends of bytes"):
        array_of_data([{"raw": b"ab"}, {"raw": b"abc\0"}])


def test_none_and_what_is_missing_is_nan():
    array = array_of_data([{"a": 1, "b": [1.0, 2.0]}, {"a": None}, {"b": None}])
    assert array["a"][0] == 1
    assert np.isnan(array["a"][1:]).all()
    assert np.isnan(array["b"][1:]).all()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([1, 2.5], [1.0, 2.5]),
        ([True, False], [True, False]),
        (["a", "b"], ["a", "b"]),
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
    ],
)
def test_what_is_no_dict_is_value_too(rows, expected):
    assert array_of_data(rows)["value"].tolist() == expected


def test_named_tuples_and_arrays_are_read():
    array = array_of_data([Point(1, np.zeros((2, 2))), Point(2, np.ones((2, 2)))])
    assert array["y"].shape == (2, 2, 2)
    assert array["x"].tolist() == [1, 2]


def test_no_rows_make_an_empty_array():
    assert array_of_data([]).shape == (0,)


@pytest.mark.parametrize(
    ("rows", "where"),
    [
        ([{"a": {"b": [1]}}, {"a": {"b": [1, 2]}}], r"field a\.b"),
        ([{"a": 1}, {"a": {"b": 2}}], "field a"),
        ([[1], [1, 2]], "the messages"),
        ([{"a": [{"b": 1}]}], "field a"),
    ],
)
def test_what_has_no_one_shape_names_the_field(rows, where):
    with pytest.raises(CodecError, match=f"{where}: not all have one type and shape"):
        array_of_data(rows)


def test_times_stand_behind_the_fields_and_take_no_name_of_theirs():
    array = with_times(array_of_data([{"a": 1, "sent_ns": 5}]), [10], [20])
    assert array.dtype.names == ("a", "sent_ns", "sent_ns_", "received_ns")
    assert array[0].tolist() == (1, 5, 10, 20)


def test_times_beyond_all_clocks_are_the_last_there_is():
    assert with_times(array_of_data([1]), [(1 << 64) - 1], [5])["sent_ns"].tolist() == [(1 << 63) - 1]


def test_without_numpy_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(IpcError, match=r"pip install 'ipcpy\[numpy\]'"):
        need_numpy()
