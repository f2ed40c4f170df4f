from __future__ import annotations

from collections import namedtuple

import pytest

import ipcpy.codec
from ipcpy.codec.contract import Codec, codec_for, variant
from ipcpy.codec.library import MsgLibrary
from ipcpy.codec.msgpack import MsgPack
from ipcpy.codec.raw import Raw
from ipcpy.errors import SchemaError

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
