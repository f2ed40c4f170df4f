"""Codecs: how what is published becomes bytes and comes back. Pure; never a socket, a clock or a thread, nor anything
of frames, topics or subscribers.
"""

from __future__ import annotations

from .contract import ANY, Body, Codec, check_codec, codec_for, encoders, reading_codec, variant
from .library import MsgLibrary
from .msgpack import MsgPack
from .raw import Raw
from .stream import MsgStream, checksum, get_msg

__all__ = [
    "ANY",
    "Body",
    "Codec",
    "MsgLibrary",
    "MsgPack",
    "MsgStream",
    "Raw",
    "check_codec",
    "checksum",
    "codec_for",
    "encoders",
    "get_msg",
    "reading_codec",
    "variant",
]
