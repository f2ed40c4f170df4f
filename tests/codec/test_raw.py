from __future__ import annotations

import array
from typing import Any

import pytest

from ipcpy.codec.raw import Raw
from ipcpy.errors import CodecError
from shown import shown


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"abc",
        bytearray(b"abc"),
        memoryview(b"abc"),
        memoryview(b"abc")[1:],
        array.array("d", [1.5, 2.5]),
        array.array("i"),
    ],
    ids=shown,
)
def test_bytes_go_through(data: Any) -> None:
    assert Raw().decode(Raw().encode(data)) == memoryview(data).tobytes()


def test_nothing_is_copied() -> None:
    data = bytearray(b"abc")
    body = Raw().encode(data)
    data[0] = 0
    assert bytes(body) == b"\x00bc"
    assert Raw().decode(data) is data


@pytest.mark.parametrize("data", ["text", 5, None, [1, 2], {"a": 1}, memoryview(b"abcdef")[::2]], ids=shown)
def test_other_things_are_refused(data: Any) -> None:
    with pytest.raises(CodecError, match="expected bytes, bytearray, memoryview or an array"):
        Raw().encode(data)


def test_arrays() -> None:
    numpy = pytest.importorskip("numpy")
    assert bytes(Raw().encode(numpy.arange(4, dtype="<u2").reshape(2, 2))) == bytes.fromhex("0000010002000300")
    assert Raw().encode(numpy.zeros((0, 3))) == b""
    assert len(Raw().encode(numpy.zeros(2, [("Odom", "i4"), ("b", "f8")]))) == 24
    objects = numpy.array([object()]), numpy.zeros(1, [("a", "O")])
    for data in (numpy.arange(9)[::2], numpy.zeros(1, "M8[ns]"), *objects):
        with pytest.raises(CodecError, match="got ndarray"):
            Raw().encode(data)


def test_many_of_one_length_lie_end_to_end() -> None:
    assert Raw().encode_many([b"ab", b"cd", b"ef"]) == (b"abcdef", 2)
    assert Raw().decode_many(b"abcdef", 2) == [b"ab", b"cd", b"ef"]


@pytest.mark.parametrize(
    "messages", [[], [b"", b""], [b"ab", b"c"], [b"ab", bytearray(b"cd")], ["ab", "cd"]], ids=shown
)
def test_others_go_one_by_one(messages: list[Any]) -> None:
    assert Raw().encode_many(messages) is None
