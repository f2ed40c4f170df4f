"""Which codec reads a publisher, what it is given, and what is said of bytes that it does not take."""

from __future__ import annotations

import logging
from collections import namedtuple

import pytest

import ipcpy as ipc
from ipcpy.errors import CodecError
from ipcpy.protocol.data.batch import pack_alike, pack_batch
from ipcpy.protocol.wire import frames
from ipcpy.subscribing.decoding import decode_batch, decoders, log_undecodable
from receiving import publisher_info

P = 0xA1
Imu = namedtuple("Imu", "x y")
FLOATS, DOUBLES = ipc.MsgLibrary({23: ("<2f", Imu)}), ipc.MsgLibrary({23: ("<2d", Imu)})


class Own:
    """A user's codec: it notes what it is given."""

    name, schema = "raw", {}

    def __init__(self):
        self.given = []

    def encode(self, data):
        return data

    def decode(self, body):
        self.given.append(body)
        return bytes(body)


def made(own=None, **info):
    return decoders(own, publisher_info(P, **info))


def test_without_a_codec_of_ones_own_the_publishers_reads():
    decode, decode_many, mismatch = made(codec="struct", schema=dict(FLOATS.schema))
    samples = [Imu(float(number), -float(number)) for number in range(100)]
    assert decode(FLOATS.encode(samples[3])) == (3.0, -3.0) and mismatch == ()
    data, size = FLOATS.encode_many(samples)
    assert list(map(tuple, decode_many(data, size))) == list(map(tuple, samples))
    assert made(codec="msgpack")[0](b"\x05") == 5
    assert made(codec="raw")[0](b"raw") == b"raw"


def test_many_messages_of_a_codec_that_takes_one_are_taken_one_by_one():
    _, decode_many, _ = made(Own())
    assert decode_many(b"aabbcc", 2) == [b"aa", b"bb", b"cc"]


def test_types_that_differ_are_said_once_with_what_differs_and_bytes_stay_bytes(caplog):
    with caplog.at_level(logging.WARNING, "ipcpy"):
        decode, decode_many, mismatch = made(DOUBLES, codec="struct", schema=dict(FLOATS.schema))
    assert mismatch and caplog.text.count("types of publisher arm differ") == 1 and mismatch[0] in caplog.text
    assert decode(b"abc") == b"abc" and decode_many(b"abcd", 2) == [b"ab", b"cd"]


def test_another_codec_and_one_that_nobody_knows_are_mismatches():
    assert made(FLOATS, codec="msgpack")[2] == ("the publisher's codec is msgpack, the subscriber's is struct",)
    assert "nonesuch" in made(codec="nonesuch")[2][0]


@pytest.mark.parametrize(("own", "codec"), [(ipc.Raw(), "raw"), (ipc.MsgPack(), "msgpack"), (None, "msgpack")])
def test_codecs_of_the_library_read_shared_memory_where_it_lies(own, codec):
    body = memoryview(b"\xc4\x03abc").toreadonly()
    decoded = made(own, codec=codec)[0](body)
    assert bytes(decoded) == (b"abc" if codec == "msgpack" else bytes(body))


def test_bytes_of_a_raw_topic_in_shared_memory_are_not_copied():
    body = memoryview(bytearray(b"body")).toreadonly()
    decoded = made(ipc.Raw(), codec="raw")[0](body)
    assert isinstance(decoded, memoryview) and decoded.readonly and decoded.obj is body.obj


def test_an_array_in_shared_memory_is_not_copied_and_read_only():
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(30_000, dtype="u2").reshape(100, 300)
    memory = bytearray(b"".join(bytes(part) for part in ipc.MsgPack().encode(array)))
    decoded = made(codec="msgpack")[0](memoryview(memory).toreadonly())
    assert (decoded == array).all() and not decoded.flags.writeable
    memory[-2:] = b"\xff\xff"
    assert decoded[-1, -1] == 0xFFFF, "it is the memory itself"


def test_a_codec_of_the_users_is_given_bytes_of_its_own():
    own, memory = Own(), bytearray(b"body")
    decode, _, _ = made(own)
    assert decode(memoryview(memory).toreadonly()) == b"body"
    assert type(own.given[0]) is bytearray and own.given[0] is not memory
    body = bytearray(b"assembled")
    decode(body)
    assert own.given[1] is body
    decode(b"small")
    assert type(own.given[2]) is bytes


def test_a_codec_named_any_is_given_the_bodies_of_whatever_codec_where_they_lie():
    body = memoryview(bytearray(b"\xc1")).toreadonly()
    for codec in ("msgpack", "struct", "raw", "odd"):
        own = Own()
        own.name = "any"
        decode, decode_many, mismatch = made(own, codec=codec)
        assert mismatch == () and decode(body) == b"\xc1" and own.given[0] is body
        assert decode_many(b"aabb", 2) == [b"aa", b"bb"]


# -- batches -----------------------------------------------------------------------------------------------------------


def batch(datagram):
    (frame,) = frames(datagram)
    return frame


def test_a_batch_is_decoded_at_once_with_the_size_of_each_body():
    decode, decode_many, _ = made(codec="raw")
    assert decode_batch(batch(pack_batch(P, 1, 5, 0, [b"a", b"bcd"])), decode, decode_many) == ([b"a", b"bcd"], [1, 3])
    alike = batch(pack_alike(P, 1, 5, 0, memoryview(b"aabb"), 2))
    assert decode_batch(alike, decode, decode_many) == ([b"aa", b"bb"], [2, 2])


def test_what_cannot_be_decoded_at_once_is_to_be_decoded_one_by_one():
    decode, decode_many, _ = made(codec="msgpack")
    assert decode_batch(batch(pack_batch(P, 1, 5, 0, [b"\x01", b"\xc1"])), decode, decode_many) is None
    alike = batch(pack_alike(P, 1, 5, 0, memoryview(b"aabb"), 2))
    assert decode_batch(alike, decode, lambda data, size: [b"aa"]) is None, "one is missing"
    assert decode_batch(alike, decode, lambda data, size: iter([b"aa", b"bb"])) is None, "that is no list"


def test_what_a_signal_handler_raises_while_a_batch_is_decoded_reaches_the_program():
    def interrupted(body):
        raise TimeoutError("the program's own")

    frame = batch(pack_batch(P, 1, 5, 0, [b"a", b"bc"]))
    with pytest.raises(TimeoutError, match="the program's own"):
        decode_batch(frame, interrupted, None)


# -- what is said ------------------------------------------------------------------------------------------------------


def test_bytes_that_cannot_be_decoded_are_said_once_for_each_publisher(caplog):
    logged = set()
    with caplog.at_level(logging.WARNING, "ipcpy"):
        for number in (1, 2, 1, 2, 1):
            log_undecodable(publisher_info(number), CodecError("no such type"), logged)
    assert caplog.text.count("a message of arm cannot be decoded: no such type") == 2
    assert logged == {f"{1:016x}", f"{2:016x}"}


def test_a_codec_that_fails_is_shown_with_its_traceback(caplog):
    try:
        raise ZeroDivisionError("in the codec")
    except ZeroDivisionError as error:
        log_undecodable(publisher_info(P), error, set())
    (record,) = caplog.records
    assert record.levelno == logging.ERROR and "the codec failed" in record.message
    assert record.exc_info[0] is ZeroDivisionError
