from __future__ import annotations

import copy
import pickle
import random
import struct
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import namedtuple
from dataclasses import make_dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.codec.msgpack import MsgPack
from ipcpy.errors import CodecError

CODEC = MsgPack()
keys = st.text() | st.integers(-(2**63), 2**64 - 1) | st.booleans() | st.binary(max_size=9) | st.none()
offsets = st.timedeltas(timedelta(hours=-23, minutes=-59), timedelta(hours=23, minutes=59)).map(timezone)
moments = st.datetimes(timezones=offsets | st.just(UTC))
plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | moments,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=20,
)


def test_what_encode_returns_can_be_decoded_arrays_too() -> None:
    numpy = pytest.importorskip("numpy")
    assert CODEC.decode(CODEC.encode(numpy.datetime64("2024-01-01", "ns"))) == numpy.datetime64("2024-01-01", "ns")
    for array in (numpy.arange(3), numpy.zeros((0, 3)), numpy.arange(100_000)):
        for data in (array, {"image": array, "n": 1}):
            back = CODEC.decode(CODEC.encode(data))
            found = back["image"] if data is not array else back
            assert (found == array).all() and found.shape == array.shape and not found.flags.writeable


def encode(data: Any) -> bytes:
    parts = CODEC.encode(data)
    return b"".join(parts) if isinstance(parts, list) else bytes(parts)


@given(plain)
def test_round_trip(data: Any) -> None:
    body = encode(data)
    assert CODEC.decode(body) == data
    assert CODEC.decode(bytearray(body)) == CODEC.decode(memoryview(body)) == data


def test_what_changes_on_the_way() -> None:
    Point = namedtuple("Point", "x y")
    assert CODEC.decode(encode((1, Point(2, 3)))) == [1, [2, 3]]
    assert CODEC.decode(encode([bytearray(b"a"), memoryview(b"b")])) == [b"a", b"b"]
    assert CODEC.decode(encode({(1, (2, 3)): {(4,): "x"}, "list": list(range(3000))}))[1, (2, 3)] == {(4,): "x"}
    here = datetime(2026, 5, 1, 12, 30, 0, 123456, timezone(timedelta(hours=5, minutes=30)))
    there = CODEC.decode(encode(here))
    assert there == here
    assert there.utcoffset() == timedelta(0)


Pose = make_dataclass("Pose", [("x", Any), ("y", Any)], frozen=True)
Moment = type("Moment", (datetime,), {})
Names = type("Names", (dict,), {})
Path = type("Path", (list,), {})


def test_moments_whose_year_utc_does_not_have_come_back() -> None:
    """They are in the years 1 and 9999 where they are, and would be in 0 and 10000 in UTC."""
    west, east = (timezone(sign * timedelta(hours=12)) for sign in (-1, 1))
    moments = [datetime.max.replace(tzinfo=west), datetime.min.replace(tzinfo=east)]
    assert CODEC.decode(encode(moments)) == moments
    assert CODEC.decode(encode(moments[0])) == moments[0]
    assert CODEC.decode(encode({moments[1]: {(1, 2): moments[0]}})) == {moments[1]: {(1, 2): moments[0]}}
    with pytest.raises(CodecError, match="lies in no year from 1 to 9999"):
        CODEC.decode(msgpack.packb(msgpack.Timestamp(10**12)))


def test_numbers_that_python_does_not_write_out_are_refused_by_their_bits() -> None:
    huge = -(1 << 99_999)
    with pytest.raises(CodecError, match="^data: this int has 100001 bits; MsgPack carries whole numbers"):
        CODEC.encode(huge)
    with pytest.raises(CodecError, match="^the key <int> of data: this int has 100001 bits; "):
        CODEC.encode({huge: 1})


def test_instances_of_subclasses_are_carried_as_their_bases() -> None:
    moment = Moment(2026, 5, 1, 12, 30, 0, 5, timezone(timedelta(hours=-5)))
    kinds = {
        name: type(name.title(), (base,), {}) for name, base in (("i", int), ("f", float), ("s", str), ("b", bytes))
    }
    data = [moment, Names(a=1), Path([1, 2]), kinds["i"](5), kinds["f"](0.5), kinds["s"]("x"), kinds["b"](b"y")]
    received = CODEC.decode(encode(data))
    assert received == [moment, {"a": 1}, [1, 2], 5, 0.5, "x", b"y"]
    assert [type(item) for item in received] == [datetime, dict, list, int, float, str, bytes]


def test_a_dataclass_is_carried_by_its_names_and_a_namedtuple_as_the_tuple_that_it_is() -> None:
    Point = namedtuple("Point", "x y")
    assert CODEC.decode(encode(Pose(1, Pose(2, [Point(3, 4)])))) == {"x": 1, "y": {"x": 2, "y": [[3, 4]]}}
    with pytest.raises(CodecError, match=r"^data\['pose'\]\.y\.x\[1\]: object is not"):
        encode({"pose": Pose(1, Pose([0, object()], 2))})


def test_a_key_that_could_not_be_one_where_it_arrives_is_refused() -> None:
    for key in (Pose(1, 2), (1, Pose(1, 2)), frozenset((Pose(1, 2),))):
        with pytest.raises(CodecError, match="a key of a dict becomes a dict or an array"):
            CODEC.encode({"poses": {key: 1}})
        assert encode({"after": 1}) == msgpack.packb({"after": 1})
    assert CODEC.decode(encode({frozenset((1,)): Pose(1, 2)})) == {(1,): {"x": 1, "y": 2}}


def test_long_lists_pass() -> None:
    for count in (999, 1000, 1001, 100_000):
        assert CODEC.decode(encode({"scan": list(range(count))})) == {"scan": list(range(count))}


def endless() -> list[Any]:
    data: list[Any] = [1]
    data.append(data)
    return data


def nested(depth: int) -> list[Any]:
    data: list[Any] = []
    for _ in range(depth):
        data = [data]
    return data


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"pose": [0, 1, 2, print]}, r"^data\['pose'\]\[3\]: builtin_function_or_method is not .*; it takes dict, "),
        (object(), "^data: object is not something MsgPack can carry; it takes dict, list, tuple, numbers"),
        ([1, 1j], r"^data\[1\]: complex is not .*; publish \[value.real, value.imag\]"),
        (
            {"n": 2**64},
            r"^data\['n'\]: 18446744073709551616 has 65 bits; MsgPack carries whole numbers from -2\*\*63 to ",
        ),
        ([-(2**63) - 1], r"^data\[0\]: -9223372036854775809 has 65 bits; "),
        (["\ud800"], r"^data\[0\]: .*surrogates"),
        ({"when": datetime(2026, 1, 1)}, r"^data\['when'\]: a datetime without a time zone"),
        ([date(2026, 1, 1)], r"^data\[0\]: date is not .*; publish value.isoformat\(\)"),
        ({(1, object): 1}, r"^the key \(1, <class 'object'>\) of data\[1\]: type is not"),
        (endless(), "nested deeper than 500 levels, or it contains itself"),
        (nested(2000), "nested deeper"),
    ],
)
def test_what_cannot_be_carried_is_named(data: Any, reason: str) -> None:
    with pytest.raises(CodecError, match=reason):
        CODEC.encode(data)
    assert encode({"after": 1}) == msgpack.packb({"after": 1})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x91",
        b"\x01\x02",
        b"\xa2\xff\xfe",
        b"\x91" * 100_000,
        b"\x81\x01" * 100_000,
        b"\x91" * 1020 + b"\x01\x01",
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x4e",
        b"\xc9\x00\x00\x00\x00\x4e",
        b"\xd4\x05\x00",
        b"\xd4\xff\x00",
        b"\xc7\x0c\xff" + b"\x7f" * 12,
        b"\x81\x80\x01",
        b"\x81\x91\x80\x01",
        b"\xdd\x00\x00\x10\x00" * 1000,
    ],
    ids=lambda body: body[:8].hex(),
)
def test_hostile_bodies(body: bytes) -> None:
    with pytest.raises(CodecError):
        CODEC.decode(body)


def test_declared_lengths_take_no_memory() -> None:
    """A thousand nested headers, each of an array of millions, in a body of a megabyte."""
    body = (b"\xdd\x00\x0f\x00\x00" * 1000).ljust(1_000_000, b"\xc1")
    tracemalloc.start()
    with pytest.raises(CodecError):
        CODEC.decode(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def test_memory_that_others_may_write_to_is_copied_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """msgpack reads a length twice: one that grows meanwhile would have it write beyond what it took for the items."""
    read: list[object] = []
    monkeypatch.setattr("ipcpy.codec.msgpack._unpackb", lambda body, **_: read.append(type(body)))
    body = msgpack.packb([1, 2, 3])
    for each in (memoryview(body), memoryview(bytearray(body)).toreadonly(), memoryview(bytearray(body)), body):
        CODEC.decode(each)
    assert read == [bytes, bytes, memoryview, bytes]


def test_mutated_bodies_raise_codec_errors_only() -> None:
    chance = random.Random(1)
    seeds = [
        encode(data) for data in ({"a": [1, 2.5, "text", b"bytes", None]}, [datetime.now(UTC)] * 3, {(1, 2): {3: "x"}})
    ]
    end = time.monotonic() + 1.0
    for n in range(20_000):
        body = bytearray(seeds[n % 3])
        for _ in range(chance.randint(1, 4)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        try:
            CODEC.decode(bytes(body))
        except CodecError:
            pass
        if time.monotonic() > end:
            break


def test_many_threads_share_a_codec() -> None:
    wrong: list[object] = []

    def work(number: int) -> None:
        for n in range(500):
            data = {"from": number, "n": n, "list": [number] * 20}
            if CODEC.decode(encode(data)) != data:
                wrong.append(data)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert wrong == []


def test_large_writers_are_not_kept() -> None:
    codec = MsgPack()
    codec.encode(bytes(2_000_000))
    assert codec._writers == []
    codec.encode(b"small")
    assert len(codec._writers) == 1


def test_nothing_imports_numpy_before_an_array_is_there() -> None:
    array = b"\x91\xc7\x10\x4e" + struct.pack("<HH", 8, 4) + msgpack.packb(["|u1", [8]])[:4] + bytes(8)
    program = (
        "import sys; from ipcpy.codec.msgpack import MsgPack; from ipcpy.errors import CodecError; codec = MsgPack()\n"
        "assert codec.decode(codec.encode({'a': 1})) == {'a': 1}\n"
        "assert 'numpy' not in sys.modules; sys.modules['numpy'] = None\n"
        f"try: codec.decode({array!r})\n"
        "except CodecError as error: assert 'numpy is not installed' in str(error), error\n"
        "else: raise SystemExit('no error')\n"
        "try: codec.encode([{object()}])\n"
        "except CodecError as error: assert 'data[0]' in str(error), error\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)


def test_a_codec_is_pickled_and_copied() -> None:
    codec = MsgPack()
    codec.encode([1])
    for again in (pickle.loads(pickle.dumps(codec)), copy.copy(codec), copy.deepcopy(codec)):
        assert again.decode(again.encode([1])) == [1]
        assert again._writers is not codec._writers
