"""How a viewer is to read a view's bytes. Knows the names that MCAP has for encodings; nothing of data."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CDR", "JSON", "Schema", "json_schema", "no_schema", "ros_schema"]

CDR = "cdr"
JSON = "json"


class Schema(NamedTuple):
    """How the bytes of a view are read.

    Attributes:
        message_encoding: ``cdr``, ``json``, or the codec's own name for bytes that are shown as they are.
        name: the name of the type, such as ``ipcpy_msgs/msg/Imu``; empty where there is no schema.
        encoding: ``ros2msg``, ``jsonschema``, or empty.
        text: the schema itself.
    """

    message_encoding: str
    name: str = ""
    encoding: str = ""
    text: str = ""


def ros_schema(name: str, text: str) -> Schema:
    """Return the schema of CDR that a ROS 2 message definition describes."""
    return Schema(CDR, name, "ros2msg", text)


def json_schema(name: str, text: str) -> Schema:
    """Return the schema of JSON that a JSON Schema describes."""
    return Schema(JSON, name, "jsonschema", text)


def no_schema(codec: str) -> Schema:
    """Return the schema of bytes that only those who know the codec can read."""
    return Schema(codec)
