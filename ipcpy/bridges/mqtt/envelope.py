"""A message at a broker: its payload, and what it says of itself. Pure: bodies and bytes; nothing of connections.

What a message says of itself stands in one user property of MQTT 5, which apps do not show: ``ipcpy``, with version,
bridge, publisher, number, send time, how many were left out before it, and how the payload is written.
"""

from __future__ import annotations

from typing import Any

from ...codec import MsgPack, Raw, codec_for
from ...errors import CodecError, SchemaError
from ..adapter import Key
from ..offers import MAX_NUMBER, Offer, Parcel, read_id
from ..plain import Shapes, from_plain, to_plain
from .options import JSON, RAW

__all__ = ["CONTENT", "PROPERTY", "Reader", "Writer", "pack_head", "unpack_head"]

PROPERTY = "ipcpy"
CONTENT = {JSON: "application/json", RAW: "application/octet-stream"}
_VERSION = "1"
_MAX_HEAD = 128  # characters: 1 + 16 + 16 + 3 * 19 + 4 and blanks


def pack_head(key: Key, parcel: Parcel, form: str) -> str:
    """Return what a message says of itself."""
    return f"{_VERSION} {key[0]} {key[1]} {parcel.seq} {parcel.sent_ns} {parcel.skipped} {form}"


def unpack_head(text: str) -> tuple[Key, Parcel, str]:
    """Return whose a message is, its parcel without the body, and how its payload is written.

    Raises:
        ValueError: the text says nothing of the kind.
    """
    parts = text.split(" ") if len(text) <= _MAX_HEAD else []
    if len(parts) != 7 or parts[0] != _VERSION:
        raise ValueError(f"it says of itself {text!r:.80}, which no bridge of version {_VERSION} does")
    key = read_id(parts[1]), read_id(parts[2])
    if not all(part.isascii() and part.isdecimal() for part in parts[3:6]) or parts[6] not in CONTENT:
        raise ValueError(f"it says of itself {text!r:.80}")
    seq, sent_ns, skipped = map(int, parts[3:6])
    if not 0 < seq <= MAX_NUMBER or sent_ns > MAX_NUMBER or skipped > MAX_NUMBER:
        raise ValueError("it has a number or time that no message has")
    return key, Parcel(seq, sent_ns, None, skipped), parts[6]


class Writer:
    """Makes payloads of a publisher's bodies.

    Args:
        offer: the publisher.
        form: ``json`` or ``raw``. Bytes stay bytes, and what a codec made that is none of ipcpy's stays as it is.
    """

    def __init__(self, offer: Offer, form: str) -> None:
        self.form = form
        self._codec: Any = None
        if form == JSON:
            try:
                self._codec = codec_for(offer.codec, offer.schema)
            except SchemaError:
                self.form = RAW
            if isinstance(self._codec, Raw):
                self.form = RAW

    def payload(self, body: Any) -> bytes:
        """Return the payload of a body.

        Raises:
            CodecError: the body is none, or has no JSON.
        """
        whole = b"".join(body) if isinstance(body, list) else body
        return to_plain(self._codec.decode(bytes(whole))) if self.form == JSON else bytes(whole)


class Reader:
    """Makes the bodies of a publisher again.

    Args:
        offer: the publisher.
    """

    def __init__(self, offer: Offer) -> None:
        self._codec = offer.codec
        self._shapes = Shapes([offer.schema]) if offer.codec == "struct" else None

    def body(self, payload: bytes, form: str) -> bytes:
        """Return the body that a payload was made of.

        Raises:
            CodecError: it was made of none.
        """
        if form == RAW:
            return payload
        data = from_plain(payload)
        if self._codec == "msgpack":
            return packed(data)
        found = self._shapes.body(data) if self._shapes is not None else None
        if found is None:
            raise CodecError("it has not the fields of a message of its publisher")
        return found[1]


def packed(data: Any) -> bytes:
    """Return the body that MsgPack makes of data.

    Raises:
        CodecError: it takes them not.
    """
    body = MsgPack().encode(data)
    return b"".join(map(bytes, body)) if isinstance(body, list) else bytes(body)
