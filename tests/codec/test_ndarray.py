from __future__ import annotations

import ctypes
import dataclasses
import random
import struct
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.codec.msgpack import MsgPack
from ipcpy.codec.ndarray import EXTENSION, read_array
from ipcpy.errors import CodecError
from shown import shown

np = pytest.importorskip("numpy")

CODEC = MsgPack()
POINT = np.dtype(
    [("x", "<f4"), ("y", ">f8"), ("rgb", "u1", (3,)), ("time", "M8[ns]"), ("in", [("a", "i2"), ("b", "S3")])]
)
ALIGNED = np.dtype([("flag", "u1"), ("value", "f8")], align=True)
ARRAYS = [
    np.arange(12, dtype="<f4").reshape(3, 4),
    np.arange(6, dtype=">i8").reshape(1, 2, 3),
    np.arange(24, dtype="u2").reshape(4, 6)[::2, ::-1],
    np.asfortranarray(np.arange(12.0).reshape(3, 4)),
    np.array(3.5),
    np.array([]),
    np.zeros((0, 3), "i4"),
    np.array([True, False]),
    np.array([1 + 2j], "c8"),
    np.array([1.5, np.nan, np.inf], "f2"),
    np.array(["2026-01-01", "NaT"], "M8[D]"),
    np.array([5, -5], "m8[us]"),
    np.array([b"ab", b"c"]),
    np.array(["grün", ""]),
    np.array([b"1234"], "V4"),
    np.zeros(3, POINT),
    np.ones(3, ALIGNED),
    np.zeros(2, POINT)[::1].view(np.recarray),
    np.random.default_rng(1).integers(0, 256, (480, 640, 3), "u1"),
]


def same(one: Any, other: Any) -> bool:
    return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())


def join(parts: Any) -> bytes:
    return b"".join(parts) if isinstance(parts, list) else parts


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype!s:.20}{array.shape}")
def test_arrays_come_back(array: Any) -> None:
    assert same(CODEC.decode(join(CODEC.encode(array))), np.asarray(array))
    body = join(CODEC.encode({"before": 1, "arrays": [array, {"again": array}], "after": "x"}))
    decoded = CODEC.decode(body)
    assert (decoded["before"], decoded["after"]) == (1, "x")
    assert same(decoded["arrays"][0], np.asarray(array))
    assert same(decoded["arrays"][1]["again"], np.asarray(array))
    assert isinstance(msgpack.unpackb(body)["arrays"][0], msgpack.ExtType)  # the body is plain msgpack


def test_an_array_alone_is_not_copied() -> None:
    array = np.arange(100_000, dtype="f8")
    header, data = CODEC.encode(array)
    assert len(header) % 64 == 0
    assert np.shares_memory(np.frombuffer(data, "u1"), array)
    buffer = bytearray(join([header, data]))
    received = CODEC.decode(buffer)
    assert np.shares_memory(received, np.frombuffer(buffer, "u1"))
    buffer[len(header) : len(header) + 8] = struct.pack("<d", 7.0)
    assert received[0] == 7.0


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("data", [np.arange(3), {"small": np.arange(3), "large": np.zeros((100, 100))}])
def test_what_is_received_is_read_only_however_it_came(kind: type, data: Any) -> None:
    received = CODEC.decode(kind(join(CODEC.encode(data))))
    for array in received.values() if isinstance(received, dict) else [received]:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize("array", [np.arange(12.0), np.zeros((0, 3))])
def test_an_array_on_memory_that_nobody_may_write_to_cannot_be_made_writable(array: Any) -> None:
    body = bytearray(join(CODEC.encode(array)))
    seen = (ctypes.c_ubyte * len(body)).from_buffer(body)  # shared memory is such a buffer, which itself is writable
    received = CODEC.decode(memoryview(seen).cast("B").toreadonly())
    assert (received == array).all() and received.shape == array.shape
    if array.size:
        with pytest.raises(ValueError, match="cannot set WRITEABLE"):
            received.flags.writeable = True
        assert np.shares_memory(received, np.frombuffer(seen, "u1")), "it is not copied"


def test_arrays_inside_are_not_copied_when_large() -> None:
    image, small = np.zeros((100, 100), "f8"), np.zeros(3, "f4")
    parts = CODEC.encode({"small": small, "image": image, "more": [image]})
    assert [len(part) for part in parts][1::2] == [80_000, 80_000]
    assert np.shares_memory(np.frombuffer(parts[1], "u1"), image)
    received = CODEC.decode(join(parts))
    assert received["image"].flags.aligned
    assert not received["image"].flags.writeable


def test_an_array_in_a_frozen_dataclass_is_not_copied_to_look_for_keys() -> None:
    Frame = dataclasses.make_dataclass("Frame", ["image", "at"], frozen=True)
    image = np.zeros((100, 100))
    parts = CODEC.encode({"frame": Frame(image, np.datetime64(5, "ns"))})
    assert np.shares_memory(np.frombuffer(parts[1], "u1"), image)
    received = CODEC.decode(join(parts))["frame"]
    assert same(received["image"], image)
    assert same(received["at"], np.array(5, "M8[ns]"))


def test_scalars_become_numbers() -> None:
    data = [
        np.int8(-3),
        np.uint64(2**64 - 1),
        np.float32(0.5),
        np.float64(0.25),
        np.bool_(True),
        np.str_("a"),
        np.bytes_(b"b"),
    ]
    received = CODEC.decode(join(CODEC.encode(data)))
    assert received == [-3, 2**64 - 1, 0.5, 0.25, True, "a", b"b"]
    assert [type(item) for item in received] == [int, int, float, float, bool, str, bytes]


UNITS = [*"Y M W D h m s ms us ns ps fs as".split(), "25s"]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("kind", [np.datetime64, np.timedelta64])
def test_times_of_numpy_come_back_whatever_their_unit(kind: Any, unit: str) -> None:
    for value in (kind(12, unit), kind("NaT", unit)):
        received = CODEC.decode(join(CODEC.encode({"t": value})))["t"]
        assert same(received, np.asarray(value))
        assert same(CODEC.decode(join(CODEC.encode(value))), np.asarray(value))
        array = np.array([value, value])
        assert same(CODEC.decode(join(CODEC.encode(array))), array)


def test_scalars_that_python_has_no_form_for_become_arrays_of_no_dimensions() -> None:
    for value in (np.complex64(1 + 2j), np.zeros(2, POINT)[0], np.timedelta64(5, "ms")):
        assert same(CODEC.decode(join(CODEC.encode([value])))[0], np.asarray(value))


scalars = st.sampled_from("? i1 i2 <i4 >i4 u8 f2 f4 >f8 c8 c16 M8[ns] M8[D] m8[us] S3 U2 V4 f16 O".split())
shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)
dtypes = st.recursive(
    scalars.map(np.dtype),
    lambda inner: st.lists(st.tuples(inner, shapes), max_size=3).map(
        lambda fields: np.dtype([(f"f{n}", *field) for n, field in enumerate(fields)])
    ),
    max_leaves=8,
)


@given(dtypes, shapes, st.booleans())
def test_an_array_that_is_encoded_comes_back_the_same(dtype: Any, shape: tuple[int, ...], inside: bool) -> None:
    array = np.zeros(shape, dtype)
    try:
        body = join(CODEC.encode([array] if inside else array))
    except CodecError:
        return
    decoded = CODEC.decode(body)
    assert same(decoded[0] if inside else decoded, array)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (np.array([object()]), "^data: dtype object holds Python objects"),
        ({"a": [np.zeros(1, [("x", "O")])]}, r"^data\['a'\]\[0\]: dtype .* holds Python objects"),
        (np.ma.masked_array([1, 2], [0, 1]), "masked array"),
        ([np.longdouble(1)], "is not one that travels"),
        (np.zeros(1, [("a", "f4", (0,))]), "has items of 0 bytes, and is not one that travels"),
        ({np.datetime64(1, "ns"): 1}, "a key of a dict becomes a dict or an array"),
        (np.zeros(1, "V0"), "is not one that travels"),
        (np.zeros(1, np.longdouble), "is not one that travels"),
    ],
    ids=shown,
)
def test_what_does_not_travel(data: Any, reason: str) -> None:
    with pytest.raises(CodecError, match=reason):
        CODEC.encode(data)
    assert CODEC.decode(CODEC.encode([1])) == [1]


def make(dtype: Any, shape: Any, data: bytes = b"", begin: int | None = None) -> bytes:
    description = msgpack.packb([dtype, shape])
    begin = 4 + len(description) if begin is None else begin
    return struct.pack("<HH", begin, len(description)) + description + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x04\x00\x00",
        b"\x04\x00\x00\x00",
        b"\xff\xff\xff\xff",
        make("<f8", [2], bytes(15)),
        make("<f8", [2], bytes(17)),
        make("<f8", [-1], bytes(8)),
        make("<f8", [2**63], bytes(8)),
        make("<f8", [2**32, 2**32], b""),
        make("<f8", [2**61], b""),
        make("<f8", [0, 2**63], b""),
        make("<f8", [True], bytes(8)),
        make("<f8", [1.0], bytes(8)),
        make("<f8", "1", bytes(8)),
        make("<f8", None, bytes(8)),
        make("<f8", [1] * 33, bytes(8)),
        make("|O", [1], bytes(8)),
        make("O", [1], bytes(8)),
        make("object", [1], bytes(8)),
        make("f8,f8", [1], bytes(16)),
        make("|S0", [1], b""),
        make("|V0", [5], b""),
        make("<f3", [1], bytes(3)),
        make("<M8[xx]", [1], bytes(8)),
        make(["<f8"], [1], bytes(8)),
        make([8, [["x", 0, "|O", []]]], [1], bytes(8)),
        make([8, [["x", 0, "<f8", [2]]]], [1], bytes(8)),
        make([8, [["x", 4, "<f8", []]]], [1], bytes(8)),
        make([8, [["x", -4, "<f8", []]]], [1], bytes(8)),
        make([8, [["x", 0, "<f4", []], ["x", 4, "<f4", []]]], [1], bytes(8)),
        make([2**40, [["x", 0, "<f8", []]]], [0], b""),
        make([0, []], [1], b""),
        make([8, [["x", 0, "<f8", [2**31, 2**31]]]], [1], bytes(8)),
        make(
            [8, [["x", 0, [8, [["x", 0, [8, [["x", 0, [8, [["x", 0, [8, []], []]]], []]]], []]]], []]]], [1], bytes(8)
        ),
        make([8, 5], [1], bytes(8)),
        make(5, [1], bytes(8)),
        make("<f8", [1], bytes(8), begin=3),
        make("<f8", [1], bytes(8), begin=60_000),
    ],
    ids=lambda data: data[4:30].hex(),
)
def test_hostile_headers(data: bytes) -> None:
    with pytest.raises(CodecError):
        read_array(data)
    for body in (
        msgpack.packb(msgpack.ExtType(EXTENSION, data)),
        struct.pack(">BIB", 0xC9, len(data), EXTENSION) + data,
    ):
        with pytest.raises(CodecError):
            CODEC.decode(body)


def test_mutated_arrays_raise_codec_errors_only() -> None:
    chance = random.Random(2)
    seeds = [join(CODEC.encode(data)) for data in (np.zeros((3, 4)), np.zeros(2, POINT), {"a": np.zeros(5, "u2")})]
    for n in range(6000):
        body = bytearray(seeds[n % 3])
        for _ in range(chance.randint(1, 3)):
            body[chance.randrange(min(len(body), 200))] = chance.randrange(256)
        try:
            CODEC.decode(bytes(body))
        except CodecError:
            pass
