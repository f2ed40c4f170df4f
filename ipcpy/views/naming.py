"""Names for what viewers see: one type on a topic, one definition under a type's name. Knows names; nothing of data.

A viewer takes the first type it sees on a topic for that of all, and knows one definition of each ROS type. So what
differs gets a name of its own.
"""

from __future__ import annotations

from .schema import Schema

__all__ = ["Names"]


class Names:
    """The names that a file, or a server, has given.

    Args:
        topics: those that are nobody's.
        schemas: those whose names nobody else gets.
    """

    def __init__(self, topics: tuple[str, ...] = (), schemas: tuple[Schema, ...] = ()) -> None:
        self._texts = {(schema.encoding, schema.name): schema.text for schema in schemas}  # by encoding and name
        self._types = dict.fromkeys(topics, ("", ""))  # of each topic that others see: its encoding and type

    def schema(self, schema: Schema) -> str:
        """Return a name that no other ROS 2 definition has."""
        name, number = schema.name, 1
        while self._texts.setdefault((schema.encoding, name), schema.text) != schema.text:
            if schema.encoding != "ros2msg":  # one that has grown
                break
            number += 1
            name = f"{schema.name}{number}"
        return name

    def topic(self, topic: str, schema: Schema) -> str:
        """Return a name of a topic on which everything has one type."""
        kind = (schema.encoding or schema.message_encoding, schema.name)
        name, number = topic, 1
        while self._types.setdefault(name, kind) != kind:
            word = schema.name.rpartition("/")[2].rpartition(".")[2] or schema.message_encoding
            name = f"{topic}/{word}{number if number > 1 else ''}"
            number += 1
        return name

    def forget_schema(self, name: str, schema: Schema) -> None:
        """Let another schema have a name that ``schema`` returned."""
        self._texts.pop((schema.encoding, name), None)

    def forget_topic(self, name: str) -> None:
        """Let a topic that ``topic`` returned have another type."""
        self._types.pop(name, None)
