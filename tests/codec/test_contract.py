from __future__ import annotations

from collections import namedtuple
from types import SimpleNamespace
from typing import Any

import pytest

import ipcpy.codec
from ipcpy.codec.codec import Codec
from ipcpy.codec.contract import check_codec, codec_for, variant
from ipcpy.codec.library import MsgLibrary
from ipcpy.codec.msgpack import MsgPack
from ipcpy.codec.raw import Raw
from ipcpy.errors import ArgumentError, SchemaError

LIBRARY = MsgLibrary({1: ("2h", namedtuple("Size", "width height"))})


@pytest.mark.parametrize("codec", [LIBRARY, MsgPack(), Raw()], ids=lambda codec: codec.name)
def test_ours_are_codecs(codec: Codec) -> None:
    assert isinstance(codec, Codec)
    assert codec_for(codec.name, codec.schema).name == codec.name


def test_codec_for() -> None:
    assert codec_for("raw", {}).decode(b"a") == b"a"
    assert codec_for("msgpack", None).decode(b"\x01") == 1
    assert codec_for("struct", LIBRARY.schema).decode(LIBRARY.pack(1, [2, 3])) == (2, 3)


@pytest.mark.parametrize(("name", "schema"), [("cbor", {}), (None, {}), ([], {}), ("struct", {}), ("struct", None)])
def test_codec_for_others(name: object, schema: object) -> None:
    with pytest.raises(SchemaError):
        codec_for(name, schema)


def made(**changed: object) -> SimpleNamespace:
    """A codec of somebody's own, but for what is changed."""
    return SimpleNamespace(**{"name": "own", "schema": {}, "encode": bytes, "decode": bytes, **changed})


@pytest.mark.parametrize("codec", [LIBRARY, MsgPack(), Raw(), made()], ids=lambda codec: codec.name)
def test_a_codec_passes_its_check(codec: Any) -> None:
    assert check_codec(codec) is check_codec(codec, callbacks=True) is codec


@pytest.mark.parametrize(
    ("codec", "said"),
    [
        (MsgPack, r"got <class '.*MsgPack'>; did you mean MsgPack\(\)\?"),
        (Raw, r"did you mean Raw\(\)\?"),
        (MsgLibrary, r"it takes messages: did you mean MsgLibrary\(\{1: "),
        (namedtuple("Imu", "a b"), r"a library carries it: did you mean MsgLibrary\(\{1: \('<3f', Imu\)\}\)\?"),
        ({1: ("<2f", tuple)}, r"did you mean MsgLibrary\(\{\.\.\.\}\)\?"),
        ("msgpack", r"got 'msgpack' without name and .* did you mean MsgPack\(\)\?"),
        ("raw", r"did you mean Raw\(\)\?"),
        ("cbor", r"got 'cbor' without name and decode and schema$"),
        (SimpleNamespace(name="a", encode=bytes, schema={}), "without decode$"),
        (made(name=5), "the name of a codec is a text of 1 to 64 characters, got 5"),
        (made(name=""), "the name of a codec is a text"),
        (made(name="a" * 65), "the name of a codec is a text"),
        (made(encode=None), "encode of codec 'own' is to be a method, got None"),
        (made(decode="text"), "decode of codec 'own' is to be a method, got 'text'"),
        (made(schema=None), r"the schema of codec 'own' is to be a mapping such as \{\}, got None"),
        (made(schema={"type": int}), "the schema of codec 'own' holds more than JSON can hold"),
    ],
)
def test_what_is_no_codec_is_told_what_it_lacks_and_what_was_probably_meant(codec: object, said: str) -> None:
    with pytest.raises(ArgumentError, match=said):
        check_codec(codec)


def test_a_function_in_place_of_a_codec_is_taken_for_a_callback_where_there_are_any() -> None:
    with pytest.raises(ArgumentError, match=r"got <built-in function print> without .*; did you mean callback=print\?"):
        check_codec(print, callbacks=True)
    with pytest.raises(ArgumentError, match=r"did you mean callback=\.\.\.\?"):
        check_codec(lambda message: None, callbacks=True)
    with pytest.raises(ArgumentError, match="without name and encode and decode and schema$"):
        check_codec(print)


class Counting(MsgLibrary):
    """Does something of its own with each message."""

    def decode(self, body):  # type: ignore[no-untyped-def]
        return super().decode(body), len(body)


class Wrapper:
    """Has all members of another codec, and its own encode and decode."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def __getattr__(self, name: str) -> object:
        return getattr(self._codec, name)

    encode = decode = None


def test_a_variant_is_not_preferred_to_what_a_subclass_or_wrapper_does() -> None:
    assert variant(LIBRARY, "decode_intact", "decode") == LIBRARY.decode_intact
    assert variant(LIBRARY, "encode_many", "encode") == LIBRARY.encode_many
    assert variant(MsgPack(), "encode_many", "encode") is None
    counting = Counting({})
    assert variant(counting, "decode_intact", "decode") is None
    assert variant(counting, "decode_many", "decode") is None
    assert variant(counting, "encode_many", "encode") == counting.encode_many
    assert variant(Wrapper(LIBRARY), "decode_intact", "decode") is None
    assert variant(Wrapper(LIBRARY), "encode_many", "encode") is None


def test_names() -> None:
    for name in ipcpy.codec.__all__:
        assert getattr(ipcpy.codec, name).__doc__ or name == "Body"
