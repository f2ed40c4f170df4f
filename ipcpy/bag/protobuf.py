"""Messages of Protocol Buffers in recordings of others, as dicts: by the descriptors beside them.

A field that may be absent is there if it was set; others always. Bytes stay bytes, an enum is its name, or its number
where it has none, a map a dict. The package mcap-protobuf-support reads descriptors. Knows no file.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ..codec import MsgPack
from ..errors import CodecError
from .reading import Reading, Stored, plain_reading

__all__ = ["read_protobuf"]


@lru_cache(64)  # channels of one type have one set of descriptors
def read_protobuf(name: str, descriptors: bytes) -> Reading:
    """Return how messages of a type are read.

    Args:
        name: the type's full name.
        descriptors: a FileDescriptorSet with the type, and with what it is made of.

    Raises:
        ImportError: mcap-protobuf-support is not installed.
        CodecError: the descriptors are none.
    """
    from mcap.records import Schema
    from mcap_protobuf.decoder import DecoderFactory

    try:
        schema = Schema(id=1, data=descriptors, encoding="protobuf", name=name)
        parse = DecoderFactory().decoder_for("protobuf", schema)
    except (Exception, RecursionError) as error:  # whatever protobuf says to bytes that are none of its own
        raise CodecError(f"the descriptors of {name:.80} cannot be read: {error!s:.100}") from None
    if parse is None:
        raise CodecError(f"mcap-protobuf-support does not take the descriptors of {name:.80}")

    def data(raw: Stored) -> Any:
        try:
            return _plain(parse(bytes(raw)))
        except (Exception, RecursionError) as error:
            raise CodecError(f"the bytes are no {name:.80}: {error!s:.100}") from None

    return plain_reading(MsgPack(), data)


def _plain(message: Any) -> dict[str, Any]:
    """Return the dict of a message."""
    plain: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        if field.has_presence and not message.HasField(field.name):
            continue
        value = getattr(message, field.name)
        if _is_map(field):
            of_value = field.message_type.fields_by_name["value"]
            plain[field.name] = {key: _value(of_value, value[key]) for key in value}
        elif _is_repeated(field):
            plain[field.name] = [_value(field, item) for item in value]
        else:
            plain[field.name] = _value(field, value)
    return plain


def _is_repeated(field: Any) -> bool:
    repeated = getattr(field, "is_repeated", None)  # protobuf 5.29 and later, which calls the other one deprecated
    return bool(field.label == field.LABEL_REPEATED if repeated is None else repeated)


def _is_map(field: Any) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _value(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return _plain(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    return value
