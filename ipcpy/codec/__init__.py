"""Codecs: how what is published becomes bytes and comes back. Pure: no socket, no clock, no thread."""

from __future__ import annotations

from ipcpy.codec.contract import Body, Codec, codec_for, variant
from ipcpy.codec.library import MsgLibrary
from ipcpy.codec.msgpack import MsgPack
from ipcpy.codec.raw import Raw
from ipcpy.codec.stream import MsgStream, checksum, get_msg

__all__ = ["Body", "Codec", "MsgLibrary", "MsgPack", "MsgStream", "Raw", "checksum", "codec_for", "get_msg", "variant"]
