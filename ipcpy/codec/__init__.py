"""Codecs: how what is published becomes bytes and comes back. Pure; never a socket, a clock or a thread, nor anything
of frames, topics or subscribers.
"""

from __future__ import annotations

from ..importing import importing
from ..typed import TYPE_CHECKING
from .contract import ANY, Body, check_codec, codec_for, encoders, reading_codec, variant
from .msgpack import MsgPack
from .raw import Raw
from .stream import MsgStream, checksum, get_msg

if TYPE_CHECKING:
    from .library import MsgLibrary

__all__ = [
    "ANY",
    "Body",
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


def __getattr__(name: str) -> object:
    """Import MsgLibrary, with all that reads formats, when it is first used: 3 ms that programs of dicts save."""
    if name != "MsgLibrary":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with importing.lock:
        from .library import MsgLibrary

    globals()[name] = MsgLibrary
    return MsgLibrary
