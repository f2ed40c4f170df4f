"""Records of MCAP as bytes: whole ones are found, and nothing in them is believed that the bytes do not bear out."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from random import Random

import pytest

import tapes
from ipcpy.bag.records import CHANNEL, CHUNK_HEAD, HEAD, MAX_CHUNK, SCHEMA, Definitions, decompress, parse, walk
from ipcpy.errors import CodecError

pytest.importorskip("mcap", reason="needs ipcpy[bag]")

from mcap.data_stream import RecordBuilder  # noqa: E402
from mcap.records import Channel, Message, Schema  # noqa: E402

MESSAGES = [
    Message(channel_id=n % 3, log_time=n, data=bytes([n]) * n, publish_time=n + 1, sequence=n) for n in range(20)
]


def packed(*records):
    builder = RecordBuilder()
    for record in records:
        record.write(builder)
    return builder.end()


def chunk(data, *, compression="", size=None, check=None, length=None):
    name = compression.encode()
    head = CHUNK_HEAD.pack(
        0, 9, len(data) if size is None else size, zlib.crc32(data) if check is None else check, len(name)
    )
    return head + name + struct.pack("<Q", len(data) if length is None else length) + data


def test_walk_finds_the_messages_that_mcap_wrote():
    found, fault = walk(packed(*MESSAGES))
    assert fault == ""
    assert [(each.channel, each.log_ns, bytes(each.data), each.publish_ns, each.sequence) for each in found] == [
        (each.channel_id, each.log_time, each.data, each.publish_time, each.sequence) for each in MESSAGES
    ]


def test_walk_hands_over_definitions_and_passes_over_what_it_does_not_know():
    channel = Channel(id=1, topic="x", message_encoding="json", metadata={"a": "b"}, schema_id=2)
    schema = Schema(id=2, data=b"{}", encoding="jsonschema", name="X")
    unknown = HEAD.pack(0x77, 3) + b"abc"
    definitions = Definitions()
    found, fault = walk(packed(schema) + unknown + packed(channel, MESSAGES[1]), definitions)
    assert (len(found), fault) == (1, "")
    assert definitions.channels == {1: channel}
    assert definitions.schemas == {2: schema}


@pytest.mark.parametrize("size", range(200))
def test_walk_keeps_what_is_whole_of_a_cut_run(size):
    data = packed(*MESSAGES)[:size]
    found, fault = walk(data)
    whole = [each for n, each in enumerate(MESSAGES) if len(packed(*MESSAGES[: n + 1])) <= size]
    assert [each.sequence for each in found] == [each.sequence for each in whole]
    assert bool(fault) == (len(packed(*MESSAGES[: len(whole)])) < size)


def test_walk_believes_no_length():
    assert walk(HEAD.pack(5, 1 << 62) + bytes(40))[1] == f"a record of {1 << 62:,} bytes stands where only 40 are left"
    assert walk(HEAD.pack(5, 21) + bytes(40))[1] == "a message record of 21 bytes has no room for its head"


def test_walk_never_raises_whatever_the_bytes():
    dice = Random(14)
    data = bytearray(packed(*MESSAGES, Channel(1, "x", "json", {"a": "b"}, 0), Schema(1, b"x", "e", "n")))
    for _ in range(3000):
        broken = bytearray(data)
        for _ in range(dice.randrange(1, 4)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        found, fault = walk(broken, Definitions())
        assert len(found) <= len(data) / 31
        assert isinstance(fault, str)


def test_a_definition_that_comes_again_otherwise_is_refused_and_the_first_counts():
    definitions = Definitions()
    for topic in ("a", "a", "b"):
        definitions.add(CHANNEL, packed(Channel(7, topic, "json", {}, 0))[9:])
    definitions.add(SCHEMA, b"\1")
    assert definitions.channels[7].topic == "a"
    assert definitions.refused[0] == "channel 7 is defined twice, and otherwise the second time: the first counts"
    assert "SCHEMA record is broken" in definitions.refused[1]
    assert len(definitions.refused) == 2


def test_parse_refuses_what_is_no_record():
    for data in (b"", b"\0", b"\1\0\2\0\xff\xff\xff\xff", b"\1\0\2\0\2\0\0\0\xff\xff\0\0\0\0"):
        with pytest.raises(CodecError, match="a CHANNEL record is broken"):
            parse(Channel.read, data, "CHANNEL")


@pytest.mark.parametrize("compression", ["zstd", "lz4", "none"])
def test_decompress_returns_what_mcap_compressed(compression):
    file = BytesIO()
    tape = tapes.Tape(file, compression=compression)
    for n in range(100):
        tape.add("x", n, n)
    tape.writer.finish()
    data = file.getvalue()
    at = 8
    while data[at] != 6:
        at += 9 + int.from_bytes(data[at + 1 : at + 9], "little")
    end = at + 9 + int.from_bytes(data[at + 1 : at + 9], "little")
    found, fault = walk(decompress(data[at + 9 : end]))
    assert (len(found), fault) == (200, "")  # each with its original


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "shorter than its head"),
        (chunk(b"abc")[:30] + b"\xff\xff\xff\xff", "shorter than its head|longer than the chunk"),
        (chunk(b"abc", length=5), "says that it has 5 bytes, and has 3"),
        (chunk(b"abc", size=4), "has 3 bytes when decompressed, and says 4"),
        (chunk(b"abc", check=1), "the check of a chunk is wrong"),
        (chunk(b"abc", size=MAX_CHUNK + 1), r"takes 4,294,967,297 bytes of memory"),
        (chunk(b"abc", compression="brotli"), "compressed by 'brotli'; zstd and lz4 are known"),
        (chunk(b"abc", compression="zstd"), "cannot be decompressed"),
        (chunk(b"abcdefghijklmnop", compression="lz4"), "cannot be decompressed"),
        (chunk(b"abc", compression="lz4"), "has 0 bytes when decompressed, and says 3"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_decompress_refuses_what_lies(content, problem):
    with pytest.raises(CodecError, match=problem):
        decompress(content)


def test_a_bomb_takes_no_memory():
    import zstandard

    bomb = zstandard.compress(bytes(1 << 26))
    with pytest.raises(CodecError, match="its frame says 67,108,864 bytes, the chunk 100"):
        decompress(chunk(bomb, compression="zstd", size=100))
