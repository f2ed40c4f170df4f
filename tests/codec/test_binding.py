"""A message bound together: its bytes, both ways, and which value is to blame."""

from __future__ import annotations

import struct
from collections import namedtuple
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.codec.binding import MANY_COLUMNS, MANY_ROWS, Binding, bind
from ipcpy.codec.layout import parse_format
from ipcpy.codec.shape import shape_of
from ipcpy.codec.stream import checksum
from ipcpy.errors import CodecError

Pair = namedtuple("Pair", "a b")


class Label(NamedTuple):
    id: int
    text: str


@dataclass
class Positive:
    value: int

    def __post_init__(self) -> None:
        if self.value < 0:
            raise RuntimeError("negative")


def bound(format: str, type_: type, id: int = 7) -> Binding:
    layout = parse_format(format)
    return bind(id, type_.__name__, layout, shape_of(type_, layout))


# -- bytes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("binding", "instance", "message"),
    [
        (bound("i", int, 22), 5, "ffff 1600 0b00 05 05000000"),
        (bound("2h", Pair), Pair(1, -2), "ffff 0700 0b00 00 0100 feff"),
        (bound(">2h", Pair), Pair(1, -2), "ffff 0700 0b00 00 0001 fffe"),
        (bound("B4s", Label), Label(3, "ä"), "ffff 0700 0c00 64 03 c3a40000"),
        (bound("hx?", list), [1, True], "ffff 0700 0b00 00 0100 00 01"),
        (bound("", tuple), (), "ffff 0700 0700 00"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_golden_messages(binding: Binding, instance: Any, message: str) -> None:
    raw = bytes.fromhex(message)
    assert binding.header == raw[:6] and binding.size == len(raw)
    assert binding.encode(instance) == raw
    assert binding.decode(raw) == binding.decode_intact(raw) == binding.unpack(raw[7:]) == instance


@given(st.lists(st.integers(-(1 << 31), (1 << 31) - 1), min_size=1, max_size=40))
def test_the_check_byte_is_the_xor_of_the_payload_whatever_its_length(values: list[int]) -> None:
    binding = bound(f"{len(values)}i", list)
    message = binding.pack(values)
    assert message[6] == checksum(message[7:])
    assert message[7:] == struct.pack(f"<{len(values)}i", *values)
    assert binding.decode(message) == values


def test_every_single_bit_flip_of_the_payload_is_found_unless_it_is_known_to_be_intact() -> None:
    binding = bound("2h", tuple)
    message = binding.pack((1, 2))
    for bit in range(8 * 6, 8 * len(message)):
        broken = bytearray(message)
        broken[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises(CodecError, match="bad checksum"):
            binding.decode(bytes(broken))
        binding.decode_intact(bytes(broken))


@pytest.mark.parametrize("cut", [-1, 1])
def test_a_message_of_another_length_is_refused(cut: int) -> None:
    binding = bound("2h", tuple)
    message = binding.pack((1, 2))
    wrong = message[:cut] if cut < 0 else message + bytes(cut)
    for decode in (binding.decode, binding.decode_intact):
        with pytest.raises(CodecError, match=f"takes 11 bytes, got {len(wrong)}"):
            decode(wrong)


# -- values ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [Pair(1, 2), (1, 2), [1, 2], {"a": 1, "b": 2}, {"b": 2, "a": 1}, (n for n in (1, 2)), range(1, 3)]
)
def test_whatever_stands_for_a_message_gives_its_values(data: Any) -> None:
    assert tuple(bound("2h", Pair).values(data)) == (1, 2)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (5, "expected Pair or its 2 values"),
        ("ab", "expected Pair"),
        ({1, 2}, "expected Pair"),
        ({"a": 1}, r"missing: \['b'\]"),
        ({"a": 1, "b": 2, "c": 3}, r"unknown: \['c'\]"),
    ],
)
def test_what_stands_for_no_message(data: Any, problem: str) -> None:
    with pytest.raises(CodecError, match=problem):
        bound("2h", Pair).values(data)


@pytest.mark.parametrize(
    ("format", "type_", "values", "problem"),
    [
        ("2h", Pair, (1,), r"takes 2 values \(a, b\), got 1"),
        ("2h", Pair, (1, 1 << 15), r"field b: expected int16 \(-32768 to 32767\), got int 32768"),
        ("2H", tuple, (-1, 1), r"value 1 of 2: expected uint16 \(0 to 65535\)"),
        ("f", list, (1e39,), "out of the range of float32"),
        ("2h", Pair, (1, "x"), "field b: expected int16, got str 'x'"),
        ("?", list, (2,), "expected bool, got int 2"),
        ("B4s", Label, (1, "fünf."), "at most 4 bytes of UTF-8, got 6"),
        ("B4s", Label, (1, "a\0"), "ends at its first NUL"),
        ("B4s", Label, (1, b"a"), "expected str"),
        ("4s", list, ("a",), "annotate the field as str"),
        ("4p", list, (b"four",), "at most 3 bytes, got 4"),
    ],
)
def test_the_error_names_the_value_that_is_wrong(format: str, type_: type, values: Any, problem: str) -> None:
    with pytest.raises(CodecError, match=problem):
        bound(format, type_).pack(values)


def test_text_that_is_none_and_values_that_a_type_refuses_are_errors_of_the_message() -> None:
    label = bound("B4s", Label)
    with pytest.raises(CodecError, match="field text"):
        label.unpack(b"\x01\xff\xff\0\0")
    for decode in (bound("i", Positive).decode, bound("i", Positive).decode_intact):
        with pytest.raises(CodecError, match="does not take .*negative"):
            decode(bound("i", int).encode(-1))


# -- many --------------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(-99, 99), st.floats(width=32, allow_nan=False)), min_size=1, max_size=9))
def test_many_are_the_bytes_of_each_and_come_back(values: list[tuple[int, float]]) -> None:
    binding = bound("hf", Pair)
    messages = [Pair(*each) for each in values] * MANY_ROWS
    encoded = binding.encode_many(messages)
    assert encoded is not None
    data, size = encoded
    assert (bytes(data), size) == (b"".join(map(binding.encode, messages)), binding.size)
    assert binding.decode_many(bytes(data), size) == messages


@pytest.mark.parametrize(
    ("binding", "messages"),
    [
        (bound("hf", Pair), [Pair(1, 2.0)] * (MANY_ROWS - 1)),
        (bound("hf", Pair), [Pair(1, 2.0)] * MANY_ROWS + [Pair(1 << 20, 2.0)]),
        (bound("B4s", Label), [Label(1, "a")] * MANY_ROWS),
        (bound(f"{MANY_COLUMNS + 1}b", list), [[0] * (MANY_COLUMNS + 1)] * MANY_ROWS),
        (bound("4x", tuple), [()] * MANY_ROWS),
    ],
    ids=["few", "out of range", "text", "wide", "no values"],
)
def test_many_that_have_to_be_encoded_one_by_one(binding: Binding, messages: list[Any]) -> None:
    assert binding.encode_many(messages) is None


def test_many_among_which_one_is_of_another_kind_are_refused() -> None:
    binding = bound("i", int)
    data = b"".join(map(binding.encode, range(9)))
    other = bound("i", int, id=8).encode(5)
    for wrong in (data[:-1], data + other, data[:22] + other + data[33:]):
        with pytest.raises(CodecError, match="other kinds"):
            binding.decode_many(wrong, binding.size)
    assert binding.decode_many(data, binding.size) == list(range(9))


def test_a_value_that_cannot_be_written_out_is_refused_all_the_same() -> None:
    with pytest.raises(CodecError, match=r"field a: expected int16 \(-32768 to 32767\), got a value of type int"):
        bound("2h", Pair).pack([1 << 99_999, 1])
