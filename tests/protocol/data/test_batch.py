"""Batches: as they were built, contradictions, garbage, what fits a datagram."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ipcpy.protocol import wire
from ipcpy.protocol.data import batch
from ipcpy.protocol.wire import Frame, Kind, Malformed

SOURCE, SEQ, SENT = 0x0123456789ABCDEF, 42, 1_700_000_000_123_456_789


def read(data: bytes) -> list[Frame]:
    return list(wire.frames(data))


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=50))
@example([b""])
@example([b"", b""])
@example([b"a", b""])
def test_a_batch_is_read_as_it_was_built(items: list[bytes]) -> None:
    (frame,) = read(batch.pack_batch(SOURCE, SEQ, SENT, 2, items))
    assert (frame.kind, frame.codec, frame.seq) == (Kind.BATCH, 2, SEQ)
    assert batch.unpack_batch(frame.body) == items


@given(st.integers(1, 40), st.integers(1, 50), st.randoms(use_true_random=False))
def test_items_that_lie_end_to_end_make_the_same_batch(size: int, count: int, random: Random) -> None:
    data = random.randbytes(size * count)
    frame_bytes = batch.pack_alike(SOURCE, SEQ, SENT, 2, data, size)
    assert frame_bytes == batch.pack_batch(
        SOURCE, SEQ, SENT, 2, [data[at : at + size] for at in range(0, len(data), size)]
    )
    (frame,) = read(frame_bytes)
    assert batch.unpack_alike(frame.body) == (data, size)


def test_items_of_unequal_size_do_not_lie_end_to_end() -> None:
    (frame,) = read(batch.pack_batch(SOURCE, SEQ, SENT, 2, [b"a", b"bc"]))
    assert batch.unpack_alike(frame.body) is None


def test_items_of_equal_size_carry_no_sizes() -> None:
    assert len(batch.pack_batch(SOURCE, SEQ, SENT, 1, [b"1234"] * 100)) == wire.OVERHEAD + 4 + 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\1\0\1",
        b"\0\0\0\0",  # no item
        b"\0\0\4\0",
        b"\2\0\4\0abcd",  # fewer than counted
        b"\1\0\4\0abcdefgh",  # more
        b"\xff\xff\xff\xff",
        b"\1\0\0\0\4\0abc",  # an item beyond the end
        b"\2\0\0\0\3\0abc",
        b"\1\0\0\0\3\0abc\0",  # a rest
        b"\1\0\0\0\1\0a\1\0b",
        b"\xff\xff\0\0" + b"\0\0" * 3,
    ],
)
def test_a_batch_that_contradicts_itself_is_rejected(body: bytes) -> None:
    with pytest.raises(Malformed):
        batch.unpack_batch(body)


@given(st.binary(max_size=60))
def test_a_batch_of_garbage_gives_items_or_is_rejected(body: bytes) -> None:
    try:
        items = batch.unpack_batch(body)
    except Malformed:
        return
    assert items and sum(map(len, items)) <= len(body)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=40), st.integers(10, 400))
def test_as_many_are_sent_at_once_as_fit(sizes: list[int], room: int) -> None:
    fits, at = batch.Fitting(sizes), 0
    while at < len(sizes):
        stop = fits.end(at, room)
        content = sum(sizes[at:stop]) + 2 * (stop - at)
        assert 4 + content <= room or stop == at
        assert stop == len(sizes) or 4 + content + 2 + sizes[stop] > room
        at = max(stop, at + 1)


@given(st.integers(1, 300), st.integers(10, 70_000))
def test_as_many_of_one_size_as_fit(size: int, room: int) -> None:
    count = batch.fitting(size, room)
    assert 4 + count * size <= room
    assert 4 + (count + 1) * size > room or count == batch.MAX_BATCH
