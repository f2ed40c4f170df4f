from __future__ import annotations

from collections import namedtuple

import pytest

import ipcpy.codec
from ipcpy.codec.contract import Codec, codec_for
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


def test_names() -> None:
    for name in ipcpy.codec.__all__:
        assert getattr(ipcpy.codec, name).__doc__ or name == "Body"
