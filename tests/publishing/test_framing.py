"""Framing: numbers without gaps, stamps, and frames that a subscriber reads."""

from __future__ import annotations

import pytest

from ipcpy.errors import ArgumentError
from ipcpy.protocol.data.batch import unpack_batch
from ipcpy.protocol.data.fragments import MAX_MESSAGE
from ipcpy.protocol.wire import MAX_BODY, MAX_UDP_PAYLOAD, Kind, frames, pack_frame
from ipcpy.publishing.framing import Framing, parts_of

NUMBER, CODEC, NOW = 0xA1A2A3A4A5A6A7A8, 2, 1_700_000_000_000_000_000


@pytest.fixture
def framing():
    return Framing(NUMBER, CODEC, lambda: NOW)


def read(datagram):
    (frame,) = frames(datagram)
    return frame


def test_numbers_follow_one_another_whatever_the_messages_are_sent_in(framing):
    assert framing.seq == 0
    framing.kept_all(framing.kept(b"one", 1).seq, 3)
    framing.kept_all(1, 3)  # counted already
    assert read(framing.batch([b"two", b"three"])).seq == 2
    assert read(framing.alike(b"abcdef", 2)).seq == 4
    assert framing.large([memoryview(bytes(100))], 100).seq == 7
    assert read(framing.batch([b"eight"])).seq == 8
    assert framing.large([memoryview(bytes(10))], 10, 9).seq == 9
    assert framing.seq == 8, "one to be kept is counted when it is"
    assert framing.bytes == 3 + 8 + 6 + 100 + 5


def test_a_kept_message_is_a_checked_frame_of_its_own(framing):
    kept = framing.kept(b"body", 1)
    assert kept.frame == pack_frame(Kind.DATA, NUMBER, 1, NOW, b"body", codec=CODEC)
    assert (kept.seq, kept.sent_ns, kept.parts, kept.size) == (1, NOW, (), len(kept.frame))


def test_the_messages_of_a_batch_are_those_given_with_one_time(framing):
    frame = read(framing.batch([b"a", b"bcd", b""]))
    assert (frame.kind, frame.codec, frame.source, frame.sent_ns) == (Kind.BATCH, CODEC, NUMBER, NOW)
    assert unpack_batch(frame.body) == [b"a", b"bcd", b""]


def test_bodies_laid_end_to_end_make_the_batch_that_they_would_make_one_by_one(framing):
    other = Framing(NUMBER, CODEC, lambda: NOW)
    assert framing.alike(b"abcdef", 2) == other.batch([b"ab", b"cd", b"ef"])


def test_a_batch_of_one_is_a_plain_message_and_may_fill_a_datagram(framing):
    datagram = framing.batch([bytes(MAX_BODY)])
    assert len(datagram) == MAX_UDP_PAYLOAD
    assert read(datagram).kind == Kind.DATA


def test_a_large_message_keeps_its_parts_as_they_are(framing):
    parts = [memoryview(b"ab"), memoryview(b"c")]
    message = framing.large(parts, 3)
    assert (message.frame, message.parts, message.size, message.sent_ns) == (b"", parts, 3, NOW)


def test_the_parts_of_a_body_are_bytes_and_empty_ones_are_left_out():
    numbers = memoryview(bytearray(range(8))).cast("I")
    parts, size = parts_of([b"ab", b"", numbers])
    assert [bytes(part) for part in parts] == [b"ab", bytes(range(8))]
    assert size == 10
    assert parts_of(b"") == ([], 0)


def test_a_message_larger_than_subscribers_take_is_refused():
    body = memoryview(bytes(MAX_MESSAGE))
    assert parts_of(body)[1] == MAX_MESSAGE
    with pytest.raises(ArgumentError, match=f"at most {MAX_MESSAGE} bytes, got {MAX_MESSAGE + 1}"):
        parts_of([body, b"x"])
