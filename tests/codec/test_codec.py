"""Whether something is a codec, as Python tells it."""

from __future__ import annotations

import pytest

import ipcpy as ipc
from ipcpy.codec.codec import Codec


class Lines:
    """A codec of somebody's own, of no base."""

    name, schema = "lines", {}

    def encode(self, data):
        return data.encode()

    def decode(self, body):
        return str(body, "utf-8")


@pytest.mark.parametrize("codec", [ipc.MsgPack(), ipc.Raw(), ipc.MsgLibrary({1: ("<f", float)}), Lines()])
def test_what_has_its_members_is_one(codec):
    assert isinstance(codec, Codec)
    assert ipc.Codec is Codec


def test_what_lacks_some_is_none():
    assert not isinstance(object(), Codec)
