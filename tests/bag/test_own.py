"""Channels of ipcpy's own: the very bytes that were published come back, and what is damaged is told."""

from __future__ import annotations

import math
import struct
from collections import namedtuple
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapes
from ipcpy.bag.form import Origin, Original
from ipcpy.bag.own import Pairing, read_own
from ipcpy.bag.recording import Recording
from ipcpy.bag.records import Entry
from ipcpy.codec import MsgLibrary, MsgPack, Raw
from ipcpy.errors import CodecError
from ipcpy.views.seen import Rest

Odd = namedtuple("Odd", "a b c d")
ODD = MsgLibrary({9: ("<b3xdHe5s", namedtuple("Odd", "a b c d e")), 10: (">hq", tuple), 11: ("<16s", str)})


def read_back(path):
    """Return the bodies of a file, by topic."""
    recording = Recording([path])
    bodies = {}
    for run in recording.runs(recording.tracks, 0, 1 << 64):
        for entry in run:
            track = recording.tracks[entry.channel]
            bodies.setdefault(track.topic, []).append(track.reading.body(entry))
    recording.close()
    return bodies


def test_every_codec_comes_back_byte_for_byte(tmp_path):
    dice = Random(14)
    values = [
        {"x": [1, 2.5, None, "é"], "b": bytes(range(256))},
        math.nan,
        [1 << 63, -(1 << 63)],
        {1: 2, (3, 4): 5},
        "text",
    ]
    with tapes.tape(tmp_path / "all.mcap", chunk_size=700) as tape:
        for n in range(300):
            tape.add("msgpack", dice.choice(values), n, MsgPack())
            tape.add("raw", dice.randbytes(dice.randrange(50)), n, Raw())
            tape.add_body("odd", ODD.pack(9, [dice.randrange(-128, 128), dice.random(), n, 0.5, b"ab"]), n, ODD)
            tape.add_body("odd", ODD.pack(10, [n, -n]), n, ODD)
            tape.add_body("odd", ODD.pack(11, [f"text {n}"]), n, ODD)
    assert read_back(tmp_path / "all.mcap") == tape.bodies


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=20, max_size=20), min_size=1, max_size=20))
def test_whatever_bytes_a_payload_has_come_back(tmp_path_factory, payloads):
    """NaNs, padding that is not zero, texts with bytes behind their NUL, checks that are wrong."""
    path = tmp_path_factory.mktemp("own") / "x.mcap"
    head = struct.pack("<BBHH", 255, 255, 9, 27)
    library = MsgLibrary({9: ("<e2xfd4s", namedtuple("T", "a b c d"))})
    with tapes.tape(path) as tape:
        for n, payload in enumerate(payloads):
            tape.add_body("x", head + payload[:1] + payload, n, library)
    assert read_back(path) == tape.bodies


def test_a_channel_without_its_message_in_the_schema_says_so():
    reading = read_own(replace(ORIGIN, id=99))
    assert "has no message 99" in reading.note
    with pytest.raises(CodecError, match="message 5 of 'x' cannot be made again: what stood beside it is not there"):
        reading.body(entry(b"\0\1\0\0"))


def test_a_schema_that_is_none_leaves_bytes():
    reading = read_own(Origin("x", "0" * 16, "struct", {"messages": 5}, "self"))
    assert "its messages are bytes here" in reading.note
    assert reading.data(entry(b"abc")) == b"abc"


def test_a_codec_of_the_users_own_leaves_bytes_and_keeps_its_name():
    reading = read_own(Origin("x", "0" * 16, "protobuf", {"type": "Pose"}, "self"))
    assert (reading.codec.name, reading.codec.schema) == ("protobuf", {"type": "Pose"})
    assert reading.data(entry(b"abc")) == reading.body(entry(b"abc")) == b"abc"


def test_what_stands_beside_that_is_broken_is_told():
    reading = read_own(Origin("x", "0" * 16, "msgpack", {}, "beside"))
    with pytest.raises(CodecError, match="an original"):
        reading.body(entry(b"{}", original=memoryview(b"\0\1\0\0")))


def test_cdr_that_is_too_short_is_told():
    reading = read_own(ORIGIN)
    for make in (reading.data, reading.body, reading.payload):
        with pytest.raises(CodecError, match=r"message 5 of 'x' cannot be made again: 6 bytes are no ipcpy_msgs/msg/T"):
            make(entry(b"\0\1\0\0ab"))


# -- pairs -------------------------------------------------------------------------------------------------------------

LIBRARY = MsgLibrary({9: ("<2d", namedtuple("T", "a b"))})
ORIGIN = Origin("x", "0" * 16, "struct", LIBRARY.schema, "struct", 9)


def entry(data, channel=1, sequence=5, original=None):
    return Entry(0, channel, sequence, 0, memoryview(data), original)


def beside(publisher, seq):
    return entry(Original(publisher, seq, Rest(0, 0, b"")).pack(), channel=8)


def paired(pairing, *entries):
    return [(each.channel, each.sequence, each.original is not None) for each in pairing.pair(list(entries))]


def test_what_stands_beside_is_put_to_its_message_and_left_out():
    pairing = Pairing({8}, {1: 100, 2: 200})
    assert paired(pairing, beside(100, 5), entry(b"", 1, 5), entry(b"", 1, 6)) == [(1, 5, True), (1, 6, False)]


def test_publishers_and_numbers_tell_pairs_apart():
    pairing = Pairing({8}, {1: 100, 2: 200})
    entries = beside(100, 5), beside(200, 5), entry(b"", 2, 5), entry(b"", 1, 4), entry(b"", 1, 5)
    assert paired(pairing, *entries) == [(2, 5, True), (1, 4, False), (1, 5, True)]


def test_a_pair_may_be_in_two_chunks():
    pairing = Pairing({8}, {1: 100})
    assert paired(pairing, beside(100, (1 << 32) + 5)) == []
    assert paired(pairing, entry(b"", 1, 5)) == [(1, 5, True)]


def test_of_those_that_wait_in_vain_not_all_are_kept():
    pairing = Pairing({8}, {1: 100})
    for n in range(5000):
        pairing.pair([beside(100, n)])
    assert paired(pairing, entry(b"", 1, 1), entry(b"", 1, 4999)) == [(1, 1, False), (1, 4999, True)]


def test_what_is_too_short_to_name_a_message_is_left_out():
    assert paired(Pairing({8}, {1: 0}), entry(b"abc", 8), entry(b"", 1, 0)) == [(1, 0, False)]
