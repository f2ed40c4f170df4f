"""Channels of others: data come as the schema says, and what cannot be decoded comes as bytes with a note."""

from __future__ import annotations

import json
import sys

import msgpack
import pytest

from ipcpy.bag.foreign import read_foreign
from ipcpy.bag.records import Entry
from ipcpy.codec import MsgPack
from ipcpy.errors import CodecError

pytest.importorskip("mcap", reason="needs ipcpy[bag]")

from mcap.records import Channel, Schema  # noqa: E402


def channel(encoding):
    return Channel(1, "x", encoding, {}, 1)


def schema(name, encoding, data):
    return Schema(id=1, name=name, encoding=encoding, data=data)


def entry(data):
    return Entry(1, 1, 1, 1, memoryview(data))


def test_json_is_what_json_has():
    reading = read_foreign(channel("json"), None)
    value = {"a": [1, 2.5, None, True], "b": "é"}
    assert reading.data(entry(json.dumps(value).encode())) == value
    assert MsgPack().decode(reading.body(entry(json.dumps(value).encode()))) == value
    assert (reading.codec.name, reading.note) == ("msgpack", "")


def test_what_a_json_schema_calls_base64_becomes_bytes():
    told = {
        "type": "object",
        "properties": {
            "data": {"type": "string", "contentEncoding": "base64"},
            "parts": {"type": "array", "items": {"properties": {"raw": {"contentEncoding": "base64"}}}},
            "name": {"type": "string"},
        },
    }
    reading = read_foreign(channel("json"), schema("Image", "jsonschema", json.dumps(told).encode()))
    value = {"data": "YWJj", "parts": [{"raw": "ZGU="}, {"raw": "no base64!"}, {}], "name": "YWJj"}
    assert reading.data(entry(json.dumps(value).encode())) == {
        "data": b"abc",
        "parts": [{"raw": b"de"}, {"raw": "no base64!"}, {}],
        "name": "YWJj",
    }


@pytest.mark.parametrize("told", [b"{", b"[" * 10_000, b"5", b'{"properties": 5, "items": [1]}', b"\xff"])
def test_a_json_schema_that_is_none_does_no_harm(told):
    reading = read_foreign(channel("json"), schema("X", "jsonschema", told))
    assert reading.data(entry(b'{"a": "YWJj"}')) == {"a": "YWJj"}


def test_a_json_schema_that_holds_itself_ends():
    deep = {}
    for _ in range(200):
        deep = {"properties": {"a": deep}}
    assert read_foreign(channel("json"), schema("X", "jsonschema", json.dumps(deep).encode())).data(entry(b"1")) == 1


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 100_000, b"\xff\xfe"])
def test_bytes_that_are_no_json_are_told(data):
    with pytest.raises(CodecError, match="the bytes are no JSON"):
        read_foreign(channel("json"), None).data(entry(data))


def test_msgpack_is_published_byte_for_byte():
    reading = read_foreign(channel("msgpack"), None)
    odd = b"\xd9\x01a"  # a text that MsgPack would write shorter
    assert reading.data(entry(odd)) == "a"
    assert reading.body(entry(odd)) == odd
    assert reading.data(entry(msgpack.packb({"a": 1}))) == {"a": 1}


@pytest.mark.parametrize(
    ("encoding", "described"),
    [("flatbuffer", schema("X", "flatbuffer", b"x")), ("cdr", None), ("", None), ("json2", None)],
)
def test_what_is_unknown_comes_as_bytes_with_a_note(encoding, described):
    reading = read_foreign(channel(encoding), described)
    assert reading.data(entry(b"abc")) == b"abc"
    assert reading.body(entry(b"abc")) == b"abc"
    assert reading.codec.name == "raw"
    assert "its messages are bytes here: the encoding" in reading.note


@pytest.mark.parametrize(
    ("encoding", "described", "module", "extra"),
    [
        ("cdr", schema("a/msg/B", "ros2msg", b"int32 a\n"), "rosbags.typesys", "ros"),
        ("protobuf", schema("a.B", "protobuf", b""), "mcap_protobuf.decoder", "protobuf"),
    ],
)
def test_a_missing_extra_is_named(monkeypatch, encoding, described, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    reading = read_foreign(channel(encoding), described)
    assert reading.data(entry(b"abc")) == b"abc"
    assert f"pip install 'ipcpy[{extra}]'" in reading.note


def test_a_schema_that_lies_comes_as_bytes_with_a_note():
    pytest.importorskip("rosbags", reason="takes the package rosbags: pip install 'ipcpy[ros]'")
    reading = read_foreign(channel("cdr"), schema("a/msg/B", "ros2msg", b"this is no definition !!\n"))
    assert reading.data(entry(b"abc")) == b"abc"
    assert "the definition of a/msg/B" in reading.note
