"""Heads of fragments: made and read one by one and together, and what does not fit its message."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipcpy.checksum import crc32
from ipcpy.protocol import wire
from ipcpy.protocol.data import heads
from ipcpy.protocol.data.fragments import Outgoing, Partial
from ipcpy.protocol.data.heads import Heads, Place, pack_fragment, read_place, read_run, unpack_fragment
from ipcpy.protocol.wire import Frame, Malformed

SOURCE, SEQ, SENT = 0x0123456789ABCDEF, 42, 1_700_000_000_123_456_789
bodies = st.binary(min_size=1, max_size=500)


def place(total: int, size: int, seq: int = 1) -> Place:
    return Place(7, seq, 5, 0, total, size)


def outgoing(body: bytes, size: int) -> Outgoing:
    return Outgoing(place(len(body), size), [memoryview(body)])


def pieces_of(message: Outgoing) -> list[bytes]:
    return [b"".join(message.fragments(range(index, index + 1))[0]) for index in range(message.count)]


def fragment(data: bytes, *, total: int, offset: int, size: int) -> bytes:
    return pack_fragment(Place(SOURCE, SEQ, SENT, 1, total, size), offset, [memoryview(data)]) + data


def read(data: bytes) -> Frame:
    (frame,) = wire.frames(data)
    return frame


# -- one fragment ------------------------------------------------------------------------------------------------------


@given(st.integers(1, 50), st.binary(min_size=1, max_size=300))
def test_a_fragment_says_where_it_belongs(size: int, body: bytes) -> None:
    for offset in range(0, len(body), size):
        data = body[offset : offset + size]
        frame = read(fragment(data, total=len(body), offset=offset, size=size))
        place, number, (view,) = unpack_fragment(frame)[:3]
        assert place == Place(SOURCE, SEQ, SENT, 1, len(body), size)
        assert (number * size, bytes(view)) == (offset, data)


@pytest.mark.parametrize(
    ("data", "total", "offset", "size"),
    [
        (b"abcdefgh", 20, 4, 8),  # not at a multiple of the size
        (b"abcdefg", 20, 8, 8),  # too short for one that is not the last
        (b"abcdefgh", 20, 16, 8),  # too long for the last
        (b"abc", 20, 16, 8),  # too short for the last
        (b"abcdefgh", 8, 8, 8),  # beyond the end
        (b"abcdefgh", 0, 0, 8),
        (b"", 20, 8, 8),
        (b"abcdefgh", 20, 8, 0),
        (b"abcdefgh", 20, (1 << 32) - 8, 8),
        (b"abcdefgh", (1 << 32) - 1, 1, 8),
    ],
)
def test_a_fragment_that_does_not_fit_its_message_is_rejected(data: bytes, total: int, offset: int, size: int) -> None:
    datagram = fragment(data, total=total, offset=offset, size=size)
    with pytest.raises(Malformed):
        unpack_fragment(read(datagram))
    assert read_run(datagram) is None


@pytest.mark.parametrize(
    ("total", "offset", "size", "data", "behind"),
    [
        (8, 0, 8, b"abcdefgh", fragment(b"", total=8, offset=8, size=8)),  # an empty one behind the last
        ((1 << 32) - 1, (1 << 32) - 8, 8, b"abcdefg", bytes(60)),  # the next offset is no u32
    ],
    ids=["empty", "overflow"],
)
def test_a_run_ends_with_its_message(total: int, offset: int, size: int, data: bytes, behind: bytes) -> None:
    assert read_run(fragment(data, total=total, offset=offset, size=size) + behind) is None


def test_the_place_of_a_message_is_read_from_the_head_of_any_of_its_fragments() -> None:
    data = fragment(b"abc", total=11, offset=8, size=8)
    assert read_place(data[: wire.FRAGMENT_OVERHEAD]) == Place(SOURCE, SEQ, SENT, 1, 11, 8)


# -- many fragments ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", [2, 2 | wire.UNCHECKED])
@pytest.mark.parametrize("size", [1_428, wire.CHECKED_FRAGMENT, wire.CHECKED_FRAGMENT + 1])
def test_heads_of_many_fragments_are_those_of_each(size: int, codec: int) -> None:
    body = random.Random(1).randbytes(150 * size + 7)
    where = place(len(body), size, seq=1 << 60)._replace(codec=codec)
    parts = [memoryview(body)[at : at + size] for at in range(0, len(body), size)]
    expected = [pack_fragment(where, index * size, [part]) for index, part in enumerate(parts)]
    made = Heads(where)
    for first, stop in ((0, 1), (0, 151), (60, 70), (63, 65), (64, 128), (150, 151), (1, 150)):
        assert list(made.each(first, parts[first:stop])) == expected[first:stop]
        assert made.pack(first, parts[first:stop]) == b"".join(expected[first:stop])


def test_offsets_beyond_what_a_message_can_have_harm_nobody() -> None:
    where = place((1 << 32) - 1, 60_000)
    part = memoryview(bytes(60_000))
    last = where.total // where.size - 1
    assert Heads(where).pack(last, [part]) == pack_fragment(where, last * where.size, [part])


@given(bodies, st.integers(1, 60), st.data())
def test_a_merged_buffer_of_fragments_is_a_run_of_them(body: bytes, size: int, data: st.DataObject) -> None:
    message = outgoing(body, size)
    first = data.draw(st.integers(0, message.count - 1))
    stop = data.draw(st.integers(first + 1, message.count))
    merged = b"".join(part for each in message.fragments(range(first, stop)) for part in each)
    found = read_run(merged)
    assert found is not None and found.place == message.place and found.number == first
    assert b"".join(found.parts) == body[first * size : stop * size]
    partial = Partial(message.place, 0.0)
    assert partial.add(found, 0.0) and not partial.add(found, 0.0)
    for index in range(message.count):
        partial.add(unpack_fragment(read(pieces_of(message)[index])), 0.0)
    assert partial.complete and partial.buffer == body


@given(bodies, st.integers(1, 60), st.data())
def test_unchecked_fragments_are_a_run_where_these_are_taken_and_nothing_elsewhere(
    body: bytes, size: int, data: st.DataObject
) -> None:
    where = Place(7, 1, 5, 3 | wire.UNCHECKED, len(body), size)
    message = Outgoing(where, [memoryview(body)])
    first = data.draw(st.integers(0, message.count - 1))
    stop = data.draw(st.integers(first + 1, message.count))
    merged = b"".join(part for each in message.fragments(range(first, stop)) for part in each)
    found = read_run(merged, unchecked=True)
    assert found is not None and (found.place, found.number) == (where, first)
    assert b"".join(found.parts) == body[first * size : stop * size]
    assert read_run(merged) is None
    (frame, *_) = wire.frames(merged, unchecked=True)
    assert unpack_fragment(frame).place == where == read_place(merged[: wire.FRAGMENT_OVERHEAD])
    at = data.draw(st.integers(0, wire.FRAGMENT_OVERHEAD - 1))
    changed = bytearray(merged)
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    assert read_run(bytes(changed), unchecked=True) is None


@given(bodies, st.integers(1, 60), st.data())
def test_what_is_changed_cut_or_put_in_another_order_is_no_run(body: bytes, size: int, data: st.DataObject) -> None:
    message = outgoing(body, size)
    pieces = pieces_of(message)
    merged = bytearray(b"".join(pieces))
    at = data.draw(st.integers(0, len(merged) - 1))
    merged[at] ^= 1 << data.draw(st.integers(0, 7))
    assert read_run(bytes(merged)) is None
    assert read_run(b"".join(pieces)[:-1]) is None
    assert read_run(b"".join(pieces) + b"x") is None
    if len(pieces) > 2:
        assert read_run(pieces[1] + pieces[0]) is None
        assert read_run(pieces[0] + pieces[2]) is None


@given(st.binary(max_size=200))
def test_any_bytes_may_be_read_as_a_run(data: bytes) -> None:
    assert read_run(data) is None
    assert read_run(wire.FRAGMENT_WORD.to_bytes(4, "little") + data) is None


@given(st.integers(1, 5_000), st.sampled_from([1, 8, 512, 1_428, 9_000, 9_001, 65_535]), st.booleans(), st.data())
def test_in_c_and_in_python_the_same_is_a_run(total: int, size: int, unchecked: bool, data: st.DataObject) -> None:
    where = place(total, size)._replace(codec=wire.UNCHECKED if data.draw(st.booleans()) else 0)
    message = Outgoing(where, [memoryview(random.Random(total).randbytes(total))])
    first = data.draw(st.integers(0, message.count - 1))
    stop = data.draw(st.integers(first + 1, min(first + 64, message.count)))
    merged = bytearray(b"".join(part for each in message.fragments(range(first, stop)) for part in each))
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, 47), st.sampled_from([0, 1, 0x7F, 0x80, 0xFF])))):
        merged[at % len(merged)] = value
    merged = merged[: data.draw(st.sampled_from([len(merged), len(merged), len(merged) - 1, len(merged) // 2]))]
    merged += data.draw(st.sampled_from([b"", b"", b"x", bytes(merged[:60])]))
    if data.draw(st.booleans()):  # the first head is right again, whatever it says
        merged[40:44] = crc32(merged[44 : int.from_bytes(merged[:2], "little")], crc32(merged[:40])).to_bytes(
            4, "little"
        )
    with pytest.MonkeyPatch.context() as patch:
        found = read_run(bytes(merged), unchecked=unchecked)
        patch.setattr(heads, "compiled", None)
        assert found == read_run(bytes(merged), unchecked=unchecked)
