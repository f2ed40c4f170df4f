from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.codec.layout import parse_format
from ipcpy.errors import CodecError, SchemaError


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from("xcbB?hHiIlLqQefdsp")), max_size=8), st.sampled_from("<>"))
def test_layouts_are_those_of_struct(items: list[tuple[int, str]], order: str) -> None:
    text = order + "".join(f"{count or int(code == 'p')}{code}" for count, code in items)
    layout = parse_format(text)
    values = struct.unpack(text, bytes(struct.calcsize(text)))
    assert (layout.size, layout.count) == (struct.calcsize(text), len(values))
    fields = list(layout.fields())
    assert [
        type(struct.unpack(order + field.code, bytes(struct.calcsize(order + field.code)))[0]) for field in fields
    ] == [type(value) for value in values]
    for field in fields:
        assert field.offset + struct.calcsize(order + field.code) <= layout.size


@pytest.mark.parametrize(
    ("text", "format"),
    [("iii", "<iii"), ("=Hi", "<Hi"), ("<9f", "<9f"), (">h", ">h"), ("!h", ">h"), ("", "<"), (b"<i", "<i")],
)
def test_byte_order(text: str | bytes, format: str) -> None:
    assert parse_format(text).format == format


@pytest.mark.parametrize(
    ("one", "other"), [("3i", "iii"), ("3i", "iil"), ("<i4xi", "<ixxxxi"), ("2i2i", "4i"), ("i", "i0i")]
)
def test_formats_that_mean_the_same_bytes(one: str, other: str) -> None:
    assert parse_format(one).repeats == parse_format(other).repeats


@pytest.mark.parametrize(
    ("one", "other"), [("i", "I"), ("<i", ">i"), ("ixi", "ii"), ("4s", "2s2s"), ("f", "i"), ("2h", "i")]
)
def test_formats_that_do_not(one: str, other: str) -> None:
    assert parse_format(one).repeats != parse_format(other).repeats


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("k", "'k' is not a struct type code"),
        ("3", "ends with a number"),
        ("@i", "of this machine; write '<'"),
        ("n", "'n' has the size of this machine"),
        ("P", "'P' has the size of this machine"),
        ("65529s", "takes 65529 bytes; a message carries at most 65528"),
        ("9999999i", "out of range"),
        ("i0p", "at least 1 byte"),
        ("i<i", "'<' is not"),
        ("i" * 8193, "8193 characters"),
        (None, "got NoneType"),
        (b"\xff", "is not a struct type code"),
        ("٣i", "is not a struct type code"),
    ],
)
def test_bad_formats(text: object, reason: str) -> None:
    with pytest.raises(SchemaError, match=reason) as raised:
        parse_format(text)
    assert isinstance(raised.value, CodecError)
    assert isinstance(raised.value, ValueError)


def test_largest_payload() -> None:
    assert parse_format("65528B").size == 65_528


@given(st.text(alphabet="0123456789 <>=!@xcbB?hHiIlLqQnNefdspPk", max_size=20))
def test_any_text_is_a_layout_or_a_schema_error(text: str) -> None:
    try:
        layout = parse_format(text)
    except SchemaError:
        return
    assert struct.calcsize(layout.format) == layout.size
