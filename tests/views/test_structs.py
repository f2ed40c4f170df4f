from __future__ import annotations

import dataclasses
import math
import struct
from collections import namedtuple
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ipcpy as ipc
from ipcpy.codec.layout import parse_format
from ipcpy.codec.schema import parse_schema
from ipcpy.views import StructView

Imu = namedtuple("Imu", "gx gy gz")


class Vec(NamedTuple):
    x: float
    y: float


@dataclasses.dataclass
class Arm:
    at: Vec
    goal: Vec
    covariance: tuple[float, ...]
    gripName: str
    ok: bool


def view_of(id: int, format: str, type_: Any) -> tuple[ipc.MsgLibrary, StructView]:
    library = ipc.MsgLibrary({id: (format, type_)})
    (spec,) = parse_schema(library.schema)
    return library, StructView(spec)


def test_an_aligned_message_is_its_own_cdr() -> None:
    library, view = view_of(23, "<3f", Imu)
    body = library.pack(23, (1, 2, 3))
    assert view.view(body) == (bytes.fromhex("00010000") + struct.pack("<3f", 1, 2, 3), True)
    assert view.schema.text == "# ipcpy message 23, <3f\nfloat32 gx\nfloat32 gy\nfloat32 gz\n"
    assert view.schema.name == "ipcpy_msgs/msg/Imu"


def test_golden_bytes_of_one_that_is_not() -> None:
    library, view = view_of(1, "<Bdh", namedtuple("M", "a b c"))
    data, exact = view.view(library.pack(1, (7, 1.5, -2)))
    assert data.hex(" ") == "00 01 00 00 07 00 00 00 00 00 00 00 00 00 00 00 00 00 f8 3f fe ff"
    assert exact


def test_a_big_endian_format_is_big_endian_cdr() -> None:
    library, view = view_of(1, ">Bi", namedtuple("M", "a b"))
    assert view.view(library.pack(1, (7, 1)))[0].hex(" ") == "00 00 00 00 07 00 00 00 00 00 00 01"


def test_text_is_a_string_and_what_follows_is_aligned_behind_it() -> None:
    library, view = view_of(1, "<8sd", dataclasses.make_dataclass("M", [("name", str), ("x", float)]))
    for name in ("", "abc", "abcdefgh", "é"):
        body = library.encode(library.unpack(1, struct.pack("<8sd", name.encode(), 2.5)))
        data, exact = view.view(body)
        assert exact
        assert data[8 : 8 + len(name.encode())] == name.encode()
        assert struct.unpack("<d", data[-8:]) == (2.5,) and len(data) % 8 == 4
        assert view.body_of(data) == body


def test_nested_types_and_arrays_have_names_and_definitions() -> None:
    _, view = view_of(5, "<2f2f3f8s?", Arm)
    assert view.schema.text.splitlines()[1:] == [
        "Vec at",
        "Vec goal",
        "float32[3] covariance",
        "string grip_name  # gripName",
        "bool ok",
        "=" * 80,
        "MSG: ipcpy_msgs/Vec",
        "float32 x",
        "float32 y",
    ]


@pytest.mark.parametrize(
    ("format", "type_", "line"),
    [
        ("i", int, "int32 data"),
        ("12s", bytes, "uint8[12] data"),
        ("12s", str, "string data"),
        ("9f", tuple, "float32[9] data"),
        ("e", float, "float32 data"),
        ("", tuple, "uint8 structure_needs_at_least_one_member"),
    ],
)
def test_what_has_no_fields_is_data(format: str, type_: type, line: str) -> None:
    assert view_of(1, format, type_)[1].schema.text.splitlines()[1:] == [line]


def test_what_cannot_be_made_again_is_told() -> None:
    library, view = view_of(1, "<Bxe8s", dataclasses.make_dataclass("M", [("a", int), ("b", float), ("c", str)]))
    good = bytearray(library.pack(1, (1, 0.5, "hi")))
    assert view.view(good)[1]
    for place, value in [(8, 1), (14, 1), (6, good[6] ^ 1)]:  # padding, behind a NUL, check byte
        odd = bytearray(good)
        odd[place] = value
        if place != 6:
            odd[6] ^= value
        assert view.view(odd)[1] is False
    nan = bytearray(library.pack(1, (1, math.nan, "")))
    assert view.view(nan)[1]
    nan[9] ^= 1  # another NaN
    nan[6] ^= 1
    assert view.view(nan)[1] is (view.body_of(view.view(nan)[0]) == nan)


def test_what_is_no_such_message_has_no_view() -> None:
    library, view = view_of(1, "<i", int)
    body = library.encode(5)
    assert [view.view(each) for each in (b"", body[:-1], body + b"\0", b"\xff\xff\2" + body[3:])] == [None] * 4


def test_cdr_that_is_none_is_an_error_that_names_the_type() -> None:
    for format, type_ in [("<3f", Imu), ("<Bd", tuple), ("<8s", str)]:
        library, view = view_of(1, format, type_)
        whole, _ = view.view(library.pack(1, "hi" if type_ is str else range(2 + (type_ is Imu))))
        for size in range(len(whole)):
            with pytest.raises(ValueError, match=view.schema.name):
                view.body_of(whole[:size])
        with pytest.raises(ValueError, match=view.schema.name):
            view.body_of(whole[:4] + b"\xff" * (len(whole) - 4) if type_ is str else whole + bytes(9))


ITEM = st.tuples(st.integers(0, 5), st.sampled_from("xcbB?hHiIqQefdsp"))


@given(st.lists(ITEM, max_size=8), st.sampled_from("<>"), st.randoms(use_true_random=False))
def test_any_format_comes_back_or_is_told(items: list[tuple[int, str]], order: str, dice: Any) -> None:
    format = order + "".join(f"{count or int(code == 'p')}{code}" for count, code in items)
    library, view = view_of(9, format, tuple)
    payload = dice.randbytes(struct.calcsize(format))
    zeroed = struct.pack(format, *struct.unpack(format, payload))
    for each in (payload, zeroed):
        body = bytearray(library.pack(9, struct.unpack(format, bytes(len(each)))))
        body[7:] = each
        for byte in each:
            body[6] ^= byte
        data, exact = view.view(body)
        if exact:
            assert view.body_of(data) == body
        if each is zeroed and not any(code in "e?p" for _, code in items):
            assert exact


@given(st.lists(ITEM.filter(lambda item: item[1] != "x"), max_size=8), st.sampled_from("<>"))
def test_columns_are_where_the_values_lie(items: list[tuple[int, str]], order: str) -> None:
    format = order + "".join(f"{count or int(code == 'p')}{code}" for count, code in items)
    library, view = view_of(9, format, tuple)
    values = [bytes([65 + n % 26]) if code[-1:] in ("c",) else n % 2 for n, code in enumerate(codes(format))]
    values = [b"" if code[-1] in "sp" else value for value, code in zip(values, codes(format), strict=True)]
    data, _ = view.view(library.pack(9, values))
    columns = view.columns()
    if columns is None:
        assert len({code for code in codes(format)}) > 1
        return
    read = []
    for _name, code, offset, number in columns:
        item = struct.Struct(code)
        read += [item.unpack_from(data, offset + n * item.size)[0] for n in range(number or 1)]
    expected = struct.unpack(format, struct.pack(format, *values))
    assert read == list(expected)


def codes(format: str) -> list[str]:
    return [field.code for field in parse_format(format).fields()]


def test_columns_have_the_names_of_fields_and_the_lengths_of_arrays() -> None:
    two = dataclasses.make_dataclass("Two", [("at", Vec), ("half", float), ("cov", tuple)])
    assert view_of(1, "<2fe3d", two)[1].columns() == [
        ("at.x", "<f", 4, 0),
        ("at.y", "<f", 8, 0),
        ("half", "<f", 12, 0),
        ("cov", "<d", 20, 3),
    ]
    assert view_of(5, "<2f2f3f8s?", Arm)[1].columns() is None


@pytest.mark.parametrize("format", ["65528B", "<8191d", "<B8190d", ">16000Hxi", "4000s4000s"])
def test_very_long_messages_are_moved_in_few_steps(format: str) -> None:
    library, view = view_of(9, format, tuple)
    body = bytearray(7 + struct.calcsize(format))
    body[:6] = struct.pack("<2sHH", b"\xff\xff", 9, len(body))
    for n in range(8, len(body), 8):
        body[n] = n >> 3 & 0x7F
    if "x" in format:
        body[7 + 32000] = 0
    for byte in body[7:]:
        body[6] ^= byte
    data, exact = view.view(body)
    assert exact and view.body_of(data) == body
    assert len(data) <= len(body) + 4
