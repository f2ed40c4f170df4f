"""How the messages of one channel are read, and what is published of them. Knows no file, no format and no library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..codec import Body
from ..codec.schema import MessageSpec
from .records import Entry

if TYPE_CHECKING:
    from ..codec.codec import Codec

__all__ = ["Reading", "Stored", "plain_reading"]

Stored = bytes | memoryview


@dataclass(frozen=True, slots=True)
class Reading:
    """How a channel's messages become data and a body to publish.

    Attributes:
        codec: the codec that subscribers are told of.
        data: makes of a message in the file what a subscriber gets; raises CodecError.
        body: makes of it what is published; raises CodecError.
        note: a sentence on what the reader of the file should know; empty if there is nothing.
        spec: what a struct message is whose bytes ``payload`` makes; None for others.
        payload: makes of it those bytes, without a header; raises CodecError.
    """

    codec: Codec
    data: Callable[[Entry], Any]
    body: Callable[[Entry], Body]
    note: str = ""
    spec: MessageSpec | None = None
    payload: Callable[[Entry], bytes] | None = None


def plain_reading(codec: Codec, decode: Callable[[Stored], Any], note: str = "") -> Reading:
    """Return the reading of messages whose data are to be published by a codec.

    Args:
        codec: the codec.
        decode: makes the data of the bytes in the file; raises CodecError.
        note: as in ``Reading``.
    """
    return Reading(codec, lambda entry: decode(entry.data), lambda entry: codec.encode(decode(entry.data)), note)
