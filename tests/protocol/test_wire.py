"""Frames: vectors, every single-bit flip, garbage, lies about lengths and merged buffers."""

from __future__ import annotations

import random
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.protocol import wire
from ipcpy.protocol.data import batch
from ipcpy.protocol.data.heads import Place, pack_fragment
from ipcpy.protocol.wire import Frame, Kind, Malformed

SOURCE, SEQ, SENT = 0x0123456789ABCDEF, 42, 1_700_000_000_123_456_789
WHOLE = [kind for kind in Kind if kind not in (Kind.FRAGMENT, Kind.BATCH)]
numbers = st.integers(0, (1 << 64) - 1)


def fragment(data: bytes, *, total: int, offset: int, size: int) -> bytes:
    place = Place(SOURCE, SEQ, SENT, 1, total, size)
    return pack_fragment(place, offset, [memoryview(data)]) + data


EXAMPLES = {
    **{kind.name: wire.pack_frame(kind, SOURCE, SEQ, SENT, b"body", codec=1) for kind in WHOLE},
    "FRAGMENT": fragment(b"abcdefgh", total=20, offset=8, size=8),
    "BATCH equal": batch.pack_batch(SOURCE, SEQ, SENT, 1, [b"one", b"two"]),
    "BATCH sized": batch.pack_batch(SOURCE, SEQ, SENT, 1, [b"one", b"", b"three"]),
    "empty": wire.pack_frame(Kind.BYE, SOURCE, SEQ, SENT),
}


def read(data: bytes) -> list[Frame]:
    return list(wire.frames(data))


@given(st.sampled_from(WHOLE), numbers, numbers, numbers, st.binary(max_size=300), st.integers(0, 255))
def test_a_frame_is_read_as_it_was_built(
    kind: Kind, source: int, seq: int, sent_ns: int, body: bytes, codec: int
) -> None:
    data = wire.pack_frame(kind, source, seq, sent_ns, body, codec=codec, flags=2, extra=0xFFFF)
    assert read(data) == [Frame(kind, codec, 2, 0xFFFF, source, seq, sent_ns, memoryview(body))]


def test_the_longest_frame_fits_a_datagram() -> None:
    data = wire.pack_frame(Kind.DATA, SOURCE, SEQ, SENT, bytes(wire.MAX_BODY))
    assert len(data) == wire.MAX_UDP_PAYLOAD
    assert len(read(data)[0].body) == wire.MAX_BODY


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_single_bit_flip_is_rejected(name: str) -> None:
    data = EXAMPLES[name]
    for bit in range(8 * len(data)):
        broken = bytearray(data)
        broken[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises(Malformed):
            read(bytes(broken))


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_truncated_frame_is_rejected(name: str) -> None:
    data = EXAMPLES[name]
    for length in range(1, len(data)):
        with pytest.raises(Malformed):
            read(data[:length])
        with pytest.raises(Malformed):
            read(data + data[:length])


def test_a_flip_in_a_fragment_that_crosses_only_memory_is_found_in_its_header_only() -> None:
    data = fragment(bytes(9_001), total=9_001, offset=0, size=9_001)
    for bit in range(8 * wire.FRAGMENT_OVERHEAD):
        broken = bytearray(data)
        broken[bit >> 3] ^= 1 << (bit & 7)
        with pytest.raises(Malformed):
            read(bytes(broken))
    read(data[:-1] + b"\1")


@given(st.binary(max_size=200))
def test_garbage_is_rejected(data: bytes) -> None:
    if data:
        with pytest.raises(Malformed):
            read(data)


def test_a_hundred_thousand_mutated_datagrams_change_nothing() -> None:
    random_ = random.Random(1)
    examples = list(EXAMPLES.values())
    for _ in range(100_000):
        data = bytearray(random_.choice(examples))
        for _ in range(random_.choice((1, 1, 2, 5))):
            data[random_.randrange(len(data))] = random_.randrange(256)
        mutated = bytes(data[: random_.randrange(1, len(data) + 1)])
        if mutated not in examples:
            with pytest.raises(Malformed):
                read(mutated)


@pytest.mark.parametrize("length", [0, 1, 35, 37, 41, 65_535])
def test_a_lie_about_the_length_is_rejected_though_the_check_is_right(length: int) -> None:
    body = wire.HEADER.pack(length, wire.VERSION, Kind.DATA, 0, 0, 0, SOURCE, SEQ, SENT) + b"body"
    lie = body + crc32(body).to_bytes(4, "little")
    with pytest.raises(Malformed, match="malformed"):
        read(lie)


def test_a_frame_of_another_version_is_counted_apart() -> None:
    data = bytearray(EXAMPLES["DATA"])
    data[2] = 2
    with pytest.raises(Malformed) as caught:
        read(bytes(data))
    assert caught.value.cause == "version"


def test_a_sealed_frame_is_not_taken_for_an_open_one() -> None:
    with pytest.raises(Malformed) as caught:
        read(wire.pack_frame(Kind.DATA, SOURCE, SEQ, SENT, b"sealed", flags=wire.FLAG_SEALED))
    assert caught.value.cause == "unauthenticated"


def test_frames_of_any_kind_lie_end_to_end() -> None:
    merged = b"".join(EXAMPLES.values()) * 3
    assert [frame.kind for frame in wire.frames(merged)] == 3 * [read(data)[0].kind for data in EXAMPLES.values()]


def test_the_frames_before_a_broken_one_are_read() -> None:
    seen = []
    with pytest.raises(Malformed):
        for frame in wire.frames(EXAMPLES["DATA"] + EXAMPLES["POLL"] + b"\0" * 50):
            seen.append(frame.kind)
    assert seen == [Kind.DATA, Kind.POLL]


@pytest.mark.parametrize(("kind", "word"), [(Kind.DATA, wire.DATA_WORD), (Kind.PLACED, wire.PLACED_WORD)])
def test_the_fast_header_is_the_header(kind: Kind, word: int) -> None:
    data = wire.pack_frame(kind, SOURCE, SEQ, SENT, b"body", codec=1)
    assert wire.FAST_HEADER.unpack_from(data) == (word | len(data), 1, SOURCE, SEQ, SENT)
    assert crc32(data) == wire.CRC_RESIDUE


def test_a_codec_that_is_not_ipcpys_has_the_number_of_all_others() -> None:
    assert [wire.codec_number(name) for name in ("raw", "struct", "msgpack", "protobuf")] == [0, 1, 2, 255]


# -- without a check ---------------------------------------------------------------------------------------------------


@given(st.binary(max_size=300), numbers, numbers, numbers)
def test_a_frame_without_a_check_is_taken_only_where_that_is_allowed(
    body: bytes, source: int, seq: int, sent_ns: int
) -> None:
    word = wire.DATA_WORD | (wire.HEADER_SIZE + len(body))
    data = wire.FAST_HEADER.pack(word, 1 | wire.UNCHECKED, source, seq, sent_ns) + body
    frame = Frame(Kind.DATA, 1, wire.FLAG_UNCHECKED, 0, source, seq, sent_ns, memoryview(body))
    assert list(wire.frames(data, unchecked=True)) == [frame]
    assert [each.body for each in wire.frames(data + EXAMPLES["DATA"], unchecked=True)] == [body, b"body"]
    for wrong in (data, EXAMPLES["DATA"] + data):
        with pytest.raises(Malformed):
            read(wrong)


@pytest.mark.parametrize("kind", [kind for kind in WHOLE if kind != Kind.DATA])
def test_only_messages_go_without_a_check(kind: Kind) -> None:
    data = bytearray(EXAMPLES[kind.name])
    data[5] |= wire.FLAG_UNCHECKED
    with pytest.raises(Malformed):
        list(wire.frames(bytes(data), unchecked=True))


def test_an_unchecked_fragment_is_checked_up_to_its_data_and_taken_only_where_that_is_allowed() -> None:
    place = Place(7, 1, 5, 2 | wire.UNCHECKED, 200, 100)
    data = pack_fragment(place, 100, [memoryview(bytes(100))]) + bytes(100)
    (frame,) = wire.frames(data, unchecked=True)
    assert (frame.codec, frame.flags, len(frame.body)) == (2, wire.FLAG_UNCHECKED, 112)
    with pytest.raises(Malformed):
        list(wire.frames(data))
    for at in range(wire.FRAGMENT_OVERHEAD):
        for bit in range(8):
            wrong = bytearray(data)
            wrong[at] ^= 1 << bit
            with pytest.raises(Malformed):
                list(wire.frames(bytes(wrong), unchecked=True))


@pytest.mark.parametrize("length", range(33))
def test_a_frame_without_a_check_has_a_header(length: int) -> None:
    data = wire.FAST_HEADER.pack(wire.DATA_WORD | length, wire.UNCHECKED, 1, 1, 1)
    if length == wire.HEADER_SIZE:
        assert len(list(wire.frames(data, unchecked=True))) == 1
        data = data[:-1]
    with pytest.raises(Malformed):
        list(wire.frames(data, unchecked=True))
