from __future__ import annotations

import time
from functools import reduce
from operator import xor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.codec.library import MsgLibrary
from ipcpy.codec.stream import MsgStream, checksum, get_msg
from ipcpy.errors import ArgumentError

LIBRARY = MsgLibrary({22: ("i", int), 23: ("3d", tuple), 24: ("100s", bytes)})
MESSAGE = LIBRARY.pack(22, 5)


def make(payload: bytes, id: int = 22) -> bytes:
    head = b"\xff\xff" + id.to_bytes(2, "little") + (7 + len(payload)).to_bytes(2, "little")
    return head + bytes([reduce(xor, payload, 0)]) + payload


@given(st.binary(max_size=700))
def test_checksum_is_the_xor_of_all_bytes(data: bytes) -> None:
    assert checksum(data) == reduce(xor, data, 0)


@pytest.mark.parametrize("size", [63, 64, 65, 127, 128, 129, 65_528])
def test_checksum_at_the_borders_of_its_folds(size: int) -> None:
    data = bytes(n * 37 % 251 for n in range(size))
    assert checksum(data) == reduce(xor, data) == checksum(memoryview(data)) == checksum(bytearray(data))


def test_empty_payload() -> None:
    assert get_msg(make(b"", 9)) == (9, b"")


@given(st.binary(max_size=300), st.integers(0, 0xFFFF), st.binary(max_size=20))
def test_get_msg_finds_a_message(payload: bytes, id: int, after: bytes) -> None:
    assert get_msg(make(payload, id) + after) == (id, payload)


@given(st.binary(max_size=40).filter(lambda noise: b"\xff" not in noise))
def test_get_msg_passes_over_garbage(noise: bytes) -> None:
    assert get_msg(noise + MESSAGE) == (22, MESSAGE[7:])


@pytest.mark.parametrize(
    "before",
    [
        b"\xff",
        b"\xff\xff",
        b"\xff\xff\xff",
        b"\xff" * 50,
        MESSAGE[:5],
        MESSAGE[:-1],
        b"\xff\xff\x16\x00\x09\x00",  # a header whose payload would be the start of the message
        b"\xff\xff\x16\x00\x03\x00\x00",  # smaller than a header
        b"\xff\xff\x16\x00\xff\xff\x00",  # larger than what is there
    ],
)
def test_get_msg_after_a_false_start(before: bytes) -> None:
    assert get_msg(before + MESSAGE) == (22, MESSAGE[7:])
    assert [each for each in MsgStream(LIBRARY.sizes).feed(before + MESSAGE) if each[0] == 22]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "too short: 0 bytes"),
        (MESSAGE[:6], "too short: 6 bytes"),
        (bytes(20), "no start bytes"),
        (b"\xff\xff\x16\x00\x06\x00\x00", "bad size at byte 0: 6"),
        (b"ab" + MESSAGE[:-1], "truncated: the header at byte 2 says 11 bytes, 10 are there"),
        (MESSAGE[:-1] + b"\x01", "bad checksum at byte 0: the header of message 22 says 0x05"),
        (bytes(10) + b"\xff\xff\x01", "truncated: 3 bytes from the start bytes at 10"),
    ],
)
def test_get_msg_says_what_is_wrong(data: bytes, reason: str) -> None:
    id, why = get_msg(data)
    assert id is None
    assert reason in str(why)


def test_get_msg_takes_any_bytes_and_nothing_else() -> None:
    assert get_msg(bytearray(MESSAGE)) == get_msg(memoryview(MESSAGE)) == (22, MESSAGE[7:])
    assert type(get_msg(bytearray(MESSAGE))[1]) is bytes
    with pytest.raises(ArgumentError, match="NoneType"):
        get_msg(None)  # type: ignore[arg-type]


def test_every_flipped_bit_is_noticed() -> None:
    """One bit: in the payload, the check byte, start bytes and size it is seen; in the ID it is another ID."""
    message = LIBRARY.pack(23, (1.5, -2.0, 3.25))
    for bit in range(len(message) * 8):
        flipped = bytearray(message)
        flipped[bit // 8] ^= 1 << bit % 8
        id, payload = get_msg(flipped)
        if bit // 8 in (2, 3):
            assert (id, payload) == (23 ^ 1 << bit - 16, message[7:])
        else:
            assert id is None, bit


@pytest.mark.parametrize(
    "hostile",
    [
        b"\xff" * 65_536,
        b"\xff\xff\x16\x00\x00\x7d\x01" * 9_362,  # each claims 32,000 bytes with a wrong check byte
        b"\xff\xff\x16\x00\x07\x00\x01" * 9_362,
    ],
)
def test_hostile_bytes_take_linear_time(hostile: bytes) -> None:
    begin = time.process_time()
    get_msg(hostile)
    MsgStream().feed(hostile)
    stream = MsgStream()
    for at in range(0, 20_000, 4):
        stream.feed(hostile[at : at + 4])
    assert time.process_time() - begin < 2.0  # about 0.2 s; byte by byte it would be minutes


@given(st.lists(st.binary(max_size=30), max_size=8), st.integers(1, 40))
def test_stream_gives_the_messages_of_any_chunks(payloads: list[bytes], step: int) -> None:
    data = b"".join(b"noise" + make(payload) for payload in payloads)
    stream = MsgStream()
    found = [each for at in range(0, len(data), step) for each in stream.feed(data[at : at + step])]
    assert found == [(22, payload) for payload in payloads]
    assert stream.discarded == 5 * len(payloads)
    assert stream.pending == 0


@given(st.binary(max_size=400), st.integers(1, 60))
def test_stream_loses_no_byte_from_its_books(data: bytes, step: int) -> None:
    stream = MsgStream(max_size=100)
    found = [each for at in range(0, len(data), step) for each in stream.feed(data[at : at + step])]
    assert sum(7 + len(payload) for _, payload in found) + stream.discarded + stream.pending == len(data)
    assert stream.pending < 100


def test_stream_with_sizes_recovers_at_once() -> None:
    waits, knows = MsgStream(), MsgStream(LIBRARY.sizes)
    false_start = b"\xff\xff\x16\x00\xff\x7f\x00"
    assert waits.feed(false_start + MESSAGE) == []
    assert knows.feed(false_start + MESSAGE) == [(22, MESSAGE[7:])]
    assert knows.discarded == 7


def test_stream_is_bounded() -> None:
    stream = MsgStream()
    for _ in range(40):
        stream.feed(b"\xff" * 4096)
    assert stream.pending < 65_536
    with pytest.raises(ArgumentError):
        MsgStream(max_size=6)
    with pytest.raises(ArgumentError):
        stream.feed("text")  # type: ignore[arg-type]
