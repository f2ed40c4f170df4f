"""Channels that others recorded: how their messages are read, by their encoding and schema.

=============================  =======================================================  ===============
messages, schema               data                                                     extra
=============================  =======================================================  ===============
``cdr``, ``ros2msg``/``idl``   named tuples, or dicts: ros.py                           ipcpy[ros]
``ros1``, ``ros1msg``          the same                                                 ipcpy[ros]
``protobuf``, ``protobuf``     dicts: protobuf.py                                       ipcpy[protobuf]
``json``                       as JSON has it; what the schema calls base64 becomes bytes
``msgpack``                    as MsgPack has it, published byte for byte
any other                      bytes, published byte for byte with Raw
=============================  =======================================================  ===============

Where an extra is missing, or a schema is broken, a channel is read as bytes, and a note says why. Knows no file.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..codec import MsgPack, Raw
from ..errors import CodecError
from .reading import Reading, Stored, plain_reading
from .records import Entry
from .ros import DIALECTS, read_ros

if TYPE_CHECKING:
    from mcap.records import Channel, Schema

__all__ = ["read_foreign"]

_MAX_DEPTH = 50  # levels of a JSON schema


def read_foreign(channel: Channel, schema: Schema | None) -> Reading:
    """Return how the messages of a channel are read."""
    encoding, described = channel.message_encoding, schema.encoding if schema else ""
    try:
        if schema is not None and (encoding, described) in DIALECTS:
            return read_ros(encoding, schema.name, described, schema.data)
        if schema is not None and (encoding, described) == ("protobuf", "protobuf"):
            from .protobuf import read_protobuf

            return read_protobuf(schema.name, schema.data)
    except ImportError as error:
        extra = "protobuf" if encoding == "protobuf" else "ros"
        return _raw(f"its messages are bytes here: to decode {encoding} takes pip install 'ipcpy[{extra}]' ({error})")
    except CodecError as error:
        return _raw(f"its messages are bytes here: {error}")
    if encoding == "json":
        return _json(schema)
    if encoding == "msgpack":
        return _msgpack()
    return _raw(f"its messages are bytes here: the encoding {encoding!r:.40} with {described or 'no'!r:.40} is unknown")


def _raw(note: str) -> Reading:
    return Reading(Raw(), _bytes_of, _bytes_of, note)


def _msgpack() -> Reading:
    codec = MsgPack()
    return Reading(codec, lambda entry: codec.decode(bytes(entry.data)), _bytes_of)


def _bytes_of(entry: Entry) -> bytes:
    return bytes(entry.data)


def _json(schema: Schema | None) -> Reading:
    note, mend = "", None
    if schema is not None and schema.encoding == "jsonschema" and schema.data:
        try:
            mend = _bytes_within(json.loads(schema.data), 0)
        except (ValueError, RecursionError) as error:
            note = f"its JSON schema cannot be read, so that bytes stay base64: {error!s:.100}"

    def data(raw: Stored) -> Any:
        try:
            value = json.loads(bytes(raw))
            return value if mend is None else mend(value)
        except (ValueError, RecursionError) as error:
            raise CodecError(f"the bytes are no JSON: {error!s:.100}") from None

    return plain_reading(MsgPack(), data, note)


def _bytes_within(schema: object, depth: int) -> Callable[[Any], Any] | None:
    """Return what puts bytes where a JSON schema says that a text is base64; None where it says so nowhere."""
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return None
    if schema.get("contentEncoding") == "base64":
        return _decoded
    properties = schema.get("properties")
    fields = {
        str(name): mend
        for name, inner in (properties.items() if isinstance(properties, Mapping) else ())
        if (mend := _bytes_within(inner, depth + 1)) is not None
    }
    each = _bytes_within(schema.get("items"), depth + 1)
    if not fields and each is None:
        return None

    def mended(value: Any) -> Any:
        if isinstance(value, dict) and fields:
            return {name: fields[name](inner) if name in fields else inner for name, inner in value.items()}
        if isinstance(value, list) and each is not None:
            return [each(item) for item in value]
        return value

    return mended


def _decoded(value: Any) -> Any:
    """Return the bytes of a text of base64; what is none stays as it is."""
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        return value
