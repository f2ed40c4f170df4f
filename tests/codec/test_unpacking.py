"""Struct messages in C: the same values, types and errors as by the decoders of Python."""

from __future__ import annotations

import struct
from collections import namedtuple
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ipcpy.codec import MsgLibrary
from ipcpy.codec.layout import parse_format
from ipcpy.codec.shape import shape_of
from ipcpy.codec.stream import HEADER_SIZE
from ipcpy.codec.unpacking import quick_decoder, quick_library
from ipcpy.errors import CodecError
from ipcpy.fast import COMPILED, compiled


class Text(NamedTuple):
    n: int
    text: str


class Vec(NamedTuple):
    x: float
    y: float


class Twist(NamedTuple):
    at: Vec
    covariance: list[float]


@dataclass
class Wheel:
    n: int
    speed: float

    def __post_init__(self) -> None:
        if self.n == 13:
            raise ValueError("no wheel 13")


class Child(namedtuple("Child", "a b")):
    """It has a dict of its own."""


LIBRARY = MsgLibrary(
    {
        1: ("<q7d", namedtuple("Eight", "a b c d e f g h")),
        2: ("<bBhHiIqQfd?", tuple),
        3: ("3i", list),
        4: ("d", float),
        5: ("?", bool),
        6: ("<i8s", Text),
        7: ("<2f9f", Twist),
        8: ("<if", Wheel),
        9: (">if", Wheel),
        10: ("<hxxq", Child),
        11: ("5s", bytes),
        12: ("<e2c4p", tuple),
        13: ("", tuple),
        14: ("0s3x", bytes),
        15: ("16s", str),
    }
)
SIZES = LIBRARY.sizes


def called(decode: Any, body: Any) -> tuple[Any, ...]:
    """Return what a decoder returns, with its types, or what it raises."""
    try:
        value = decode(body)
    except Exception as error:
        return type(error), str(error), repr(error.__cause__)
    inner = tuple(map(type, value)) if isinstance(value, (list, tuple)) else ()
    return type(value), inner, repr(value), repr(getattr(value, "__dict__", None))  # as text: a NaN equals nothing


@st.composite
def bodies(draw: Any) -> tuple[int, bytes]:
    id = draw(st.sampled_from(sorted(SIZES)))
    size = SIZES[id]
    payload = draw(st.binary(min_size=size - HEADER_SIZE, max_size=size - HEADER_SIZE))
    body = struct.pack("<BBHHB", 0xFF, 0xFF, id, size, 0) + payload
    change = draw(st.sampled_from(["", "", "", "cut", "longer", "head"]))
    if change == "cut":
        body = body[: draw(st.integers(0, len(body)))]
    elif change == "longer":
        body += draw(st.binary(min_size=1, max_size=9))
    elif change == "head":
        at = draw(st.integers(0, 5))
        body = body[:at] + draw(st.binary(min_size=1, max_size=1)) + body[at + 1 :]
    return id, body


@settings(max_examples=1_500, deadline=None)
@given(bodies(), st.sampled_from([bytes, bytearray, memoryview]))
@example((8, struct.pack("<BBHHBif", 0xFF, 0xFF, 8, 15, 0, 13, 1.0)), bytes)
def test_every_body_becomes_what_python_makes_of_it(body, kind):
    id, data = body
    quick = LIBRARY._binding(id).decode_intact
    assert called(quick, kind(data)) == called(getattr(quick, "otherwise", quick), kind(data))
    late = [MsgLibrary.from_schema(LIBRARY.schema) for _ in range(2)]
    quick = quick_library(late[0]._intact, late[0].decode_intact)
    for _ in range(2):  # it is bound at the first
        assert called(quick, kind(data)) == called(late[1].decode_intact, kind(data))


def test_what_c_can_do_is_done_in_c():
    done = {id for id in SIZES if COMPILED and type(LIBRARY._binding(id).decode_intact) is compiled.Unpacking}
    assert done == (set(SIZES) - {9, 12} if COMPILED else set())


def test_a_decoder_that_cannot_be_made_in_c_stays_as_it_is():
    layout = parse_format(">2h")
    otherwise = LIBRARY.decode
    assert quick_decoder(layout, shape_of(tuple, layout), tuple, otherwise) == otherwise


@pytest.mark.skipif(not COMPILED, reason="the compiled part is not there")
@pytest.mark.parametrize(
    "arguments",
    [
        (7, (("q", 0, 8, 1),), tuple),
        (15, (("q", 0, 4, 1),), tuple),
        (15, (("q", -8, 8, 1),), tuple),
        (15, (("q", 8, 8, 1),), tuple),
        (15, (("q", 0, 8, 1 << 62),), tuple),
        (15, (("s", 0, -1, 1),), tuple),
        (15, (("s", 0, 9, 1),), tuple),
        (15, (("é", 0, 8, 1),), tuple),
        (15, (("\0", 0, 8, 1),), tuple),
        (15, (("e", 0, 2, 4),), tuple),
        (15, (("i", 0, 4, 2),), None),
        (15, (("i", 0, 4, 2),), int),
        (15, (("i", 0, 4, 2),), 5),
        (15, ((),), tuple),
        (-1, (("b", 0, 1, 1),), tuple),
    ],
)
def test_a_layout_that_does_not_fit_its_size_is_refused(arguments):
    with pytest.raises((ValueError, TypeError)):
        compiled.Unpacking(*arguments, tuple, LIBRARY.decode)


def test_a_library_with_messages_bound_late_decodes_them():
    late = MsgLibrary.from_schema(LIBRARY.schema)
    decode = late.decoder()
    body = LIBRARY.pack(3, [1, 2, 3])
    assert decode(body) == decode(body) == LIBRARY.decode(body)
    with pytest.raises(CodecError, match="unknown message ID 99"):
        decode(body[:2] + b"\x63\x00" + body[4:])


def test_what_is_decoded_has_the_hash_of_what_it_equals():
    Named = namedtuple("Named", "a b")
    library = MsgLibrary({1: ("<id", Named), 2: ("<id", tuple)})
    for id, made in ((1, Named(1, 2.0)), (2, (1, 2.0))):
        decoded = library.decode(library.encode(made, id))
        assert decoded == made and {decoded: 1}[made] == 1


def test_nothing_decoded_is_the_empty_tuple():
    library = MsgLibrary({1: ("<4x", tuple)})
    assert library.decode(library.encode((), 1)) == ()
