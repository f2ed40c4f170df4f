"""A track: one channel of a recording, as one publisher filled it. Knows how it is read; reads no file itself."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..errors import ArgumentError
from ..protocol.topics import MAX_BYTES, check_topic
from .foreign import read_foreign
from .own import origin_of, read_own
from .reading import Reading

if TYPE_CHECKING:
    from mcap.records import Channel, Schema

__all__ = ["Track", "topic_name"]

MAX_KEEP = 1_000_000  # messages that a publisher can keep


class Track:
    """One channel.

    Args:
        channel: what the file says of it.
        schema: its schema; None where it has none.

    Attributes:
        topic: its topic, as ipcpy names topics.
        type: the name of its schema; empty without one.
        encoding: that of its messages in the file.
        publisher: the id of its publisher where ipcpy recorded it; else the number of the channel.
        node: the name of the publisher's node.
        host: that of its host.
        node_id: the id of that node; empty where it is not known.
        reliable: whether the publisher was.
        keep: how many messages it kept for late subscribers.
        faults: how many messages could not be decoded so far.
    """

    def __init__(self, channel: Channel, schema: Schema | None) -> None:
        origin = origin_of(channel)
        self.topic = topic_name(origin.topic if origin else channel.topic)
        self.type = schema.name if schema else ""
        self.encoding = channel.message_encoding
        self.publisher = origin.publisher if origin else f"{channel.id:016x}"
        self.node, self.host = (origin.node, origin.host) if origin else ("", "")
        self.node_id = origin.node_id if origin else ""
        self.reliable = origin is not None and origin.reliable
        self.keep = min(max(0, origin.keep), MAX_KEEP) if origin else _latched(channel.metadata)
        self._high = origin.high << 32 if origin else 0
        self._origin = origin
        self._channel = channel
        self._schema = schema
        self.faults = 0
        self._reading: Reading | None = None

    @property
    def reading(self) -> Reading:
        """How it is read; found out when it is first asked for."""
        if self._reading is None:
            origin = self._origin
            self._reading = read_foreign(self._channel, self._schema) if origin is None else read_own(origin)
        return self._reading

    def seq(self, sequence: int) -> int:
        """Return the whole number of a message of which the file has the lower 32 bits."""
        return self._high | sequence


def _latched(metadata: Mapping[str, str]) -> int:
    """Return how many messages a topic of ROS 2 kept for late subscribers, as its quality of service says."""
    profiles = metadata.get("offered_qos_profiles", "")
    if not re.search(r"durability:\s*(1|transient_local)\b", profiles):
        return 0
    depth = re.search(r"depth:\s*(\d{1,6})\b", profiles)
    return max(1, int(depth[1])) if depth else 1


def topic_name(told: str) -> str:
    """Return the topic for a name that others gave: without a slash at its ends, and ``_`` for what topics have not.

    >>> topic_name("/camera/image raw"), topic_name("//a//b/")
    ('camera/image_raw', 'a/b')
    """
    try:
        return check_topic(told)
    except ArgumentError:
        pass
    kept = "".join(
        char if char.isprintable() and char not in " *" else "_" for char in unicodedata.normalize("NFC", told)
    )
    segments = [segment if segment not in "#+" else "_" for segment in kept.split("/") if segment]
    name = "/".join(segments).encode()[:MAX_BYTES].decode("utf-8", "ignore").strip("/")
    return name or "unnamed"
