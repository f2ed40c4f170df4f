"""The schemas and channels of one file: which there are, their numbers, and how they are called. Pure.

Knows views and origins; nothing of messages or of where the file is.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from ..views import Names, Schema, View
from .form import ORIGINALS, ORIGINALS_SCHEMA, Origin

__all__ = ["Catalog", "CatalogFull", "Defined"]

MAX_CHANNELS = 0xFFFF  # MCAP's numbers for channels and schemas are u16, and 0 is no schema
_SCHEMA, _CHANNEL = 3, 4
_RECORD = struct.Struct("<BQ")


class CatalogFull(Exception):
    """No more channels fit into one file."""


class Defined(NamedTuple):
    """A channel, or a schema.

    Attributes:
        record: its record.
        schema: the number of a channel's schema; 0 for none, and for a schema.
        is_ros: whether ROS 2 has an encoding for it.
        topic: the topic that others see; empty for a schema.
        origin: whose messages a channel has; None for originals, and for a schema.
    """

    record: bytes
    schema: int = 0
    is_ros: bool = True
    topic: str = ""
    origin: Origin | None = None


class Catalog:
    """What a file says before its messages.

    Attributes:
        channels: the channels, by number.
        schemas: the schemas, by number.
    """

    def __init__(self) -> None:
        self.channels: dict[int, Defined] = {}
        self.schemas: dict[int, Defined] = {}
        self._numbers: dict[Schema, int] = {}
        self._names = Names((ORIGINALS,), (ORIGINALS_SCHEMA,))  # nobody else's, though they publish on such a topic
        self._originals = 0

    def channel(self, origin: Origin, view: View) -> int:
        """Define a channel, and return its number.

        Raises:
            CatalogFull: there is none left.
        """
        return self._define(self._names.topic(origin.topic + view.part, view.schema), view.schema, origin)

    def originals(self) -> int:
        """Return the number of the channel of originals."""
        if not self._originals:
            self._originals = self._define(ORIGINALS, ORIGINALS_SCHEMA, None)
        return self._originals

    def _define(self, topic: str, schema: Schema, origin: Origin | None) -> int:
        if max(len(self.channels), len(self.schemas)) + 2 > MAX_CHANNELS:
            raise CatalogFull
        schema_number = self._schema(schema) if schema.encoding else 0
        number = len(self.channels) + 1
        metadata = {"offered_qos_profiles": "", **(origin.metadata() if origin else {})}  # the first is for ROS 2
        told = b"".join(_text(key) + _text(value) for key, value in metadata.items())
        head = struct.pack("<HH", number, schema_number) + _text(topic) + _text(schema.message_encoding)
        record = _record(_CHANNEL, head + struct.pack("<I", len(told)) + told)
        self.channels[number] = Defined(record, schema_number, schema.encoding == "ros2msg", topic, origin)
        return number

    def _schema(self, schema: Schema) -> int:
        number = self._numbers.get(schema)
        if number is None:
            number = self._numbers[schema] = len(self.schemas) + 1
            body = (
                struct.pack("<H", number)
                + _text(self._names.schema(schema))
                + _text(schema.encoding)
                + _text(schema.text)
            )
            self.schemas[number] = Defined(_record(_SCHEMA, body))
        return number


def _text(text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    return struct.pack("<I", len(raw)) + raw


def _record(opcode: int, body: bytes) -> bytes:
    return _RECORD.pack(opcode, len(body)) + body
