"""How a recording says what its messages were. Knows names, metadata and the original beside a view; nothing of files.

A recording is MCAP (https://mcap.dev/spec) that others read without knowing of ipcpy: what they see is the views of
``ipcpy.views``. What they do not need stands where they do not look:

- **A channel** for each publisher, and for each of its messages' types. Its metadata says whose it is: see ``Origin``.
- **A message record** has ``received_ns`` as its ``log_time``, ``sent_ns`` as its ``publish_time``, and as ``sequence``
  the low 32 bits of ``seq``; the others are in the channel's metadata, and a new channel begins when they change.
- **The body** is made again of the record as the channel's ``ipcpy.body`` says: ``self`` (it is the record's data),
  ``struct`` (``StructView.body_of`` makes it of the CDR), ``beside``, or ``none`` (the record is a second view of a
  message that another channel has, and is passed over).
- **What stands beside** is a record on the one channel ``ipcpy/originals``, right before its message and with the same
  times. It is CDR with a definition of its own, so that no reader trips over it. Where it is there, it goes before what
  the channel says: body = ``bytes[:at] + data[skip:] + bytes[at:]``.
- **The books** are MCAP metadata ``ipcpy.books``, written soon after a loss, every 10 s where there is none, and at the
  end; the last one counts. **The clocks** of the publishers' nodes are ``ipcpy.clocks``, written with them: by the
  id of each node, see ``clocks.py``. ``ipcpy`` is MCAP metadata too: which form, which program, which part of a
  recording.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..views import BESIDE, SELF, STRUCT, Rest
from ..views.schema import ros_schema

__all__ = [
    "BOOKS",
    "CLOCKS",
    "FORM",
    "LIBRARY",
    "NONE",
    "ORIGINALS",
    "ORIGINALS_SCHEMA",
    "Original",
    "Origin",
    "original_head",
    "read_original",
    "read_rest",
]

FORM = "1"
LIBRARY = "ipcpy"  # in the MCAP header, with the version behind it; and the name of the metadata about the file
BOOKS = "ipcpy.books"
CLOCKS = "ipcpy.clocks"
ORIGINALS = "ipcpy/originals"
NONE = "none"
ORIGINALS_SCHEMA = ros_schema(
    "ipcpy_msgs/msg/Original",
    """# What of a message's bytes is not in its view, the next record: bytes[:at] + view[skip:] + bytes[at:]
uint64 publisher
uint64 seq
uint32 at
uint32 skip
uint8[] bytes
""",
)
_ORIGINAL = struct.Struct("<4sQQIII")  # with the encapsulation header, and the length of bytes
_HEAD = b"\0\1\0\0"
_PREFIX = "ipcpy."
_KINDS = (SELF, STRUCT, BESIDE, NONE)


class Original(NamedTuple):
    """What is kept of one message.

    Attributes:
        publisher: the publisher's id as a number.
        seq: the message's number.
        rest: what of its body is not in its view.
    """

    publisher: int
    seq: int
    rest: Rest

    def pack(self) -> bytes:
        """Return its bytes in front of ``rest.bytes``."""
        at, skip, kept = self.rest
        return original_head(self.publisher, self.seq, at, skip, len(kept))


def original_head(publisher: int, seq: int, at: int, skip: int, size: int) -> bytes:
    """Return what stands in front of what is kept of a message, which has so many bytes; for the rest see Original."""
    return _ORIGINAL.pack(_HEAD, publisher, seq, at, skip, size)


def read_original(data: bytes) -> Original:
    """Read a record of ``ipcpy/originals``.

    Raises:
        ValueError: it is none.
    """
    rest = read_rest(data)
    _, publisher, seq, *_ = _ORIGINAL.unpack_from(data)
    return Original(publisher, seq, rest)


def read_rest(data: bytes | memoryview) -> Rest:
    """Read of a record of ``ipcpy/originals`` what is not in the view.

    Raises:
        ValueError: it is none.
    """
    if len(data) < _ORIGINAL.size:
        raise ValueError(f"an original of {len(data)} bytes; it has at least {_ORIGINAL.size}")
    head, _, _, at, skip, size = _ORIGINAL.unpack_from(data)
    kept = data[_ORIGINAL.size :]
    if head != _HEAD or size != len(kept) or at > size:
        raise ValueError("an original whose lengths do not fit")
    return Rest(at, skip, kept)


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose messages a channel has: its metadata.

    Attributes:
        topic: the topic they were published on; the channel's own may have more behind it.
        publisher: the publisher's id, 16 hexadecimal digits.
        codec: its codec.
        schema: its schema, as discovery had it.
        body: ``self``, ``struct``, ``beside`` or ``none``.
        id: the ID of struct messages; None for others.
        high: what the upper 32 bits of ``seq`` are.
        reliable: whether the publisher was reliable.
        keep: how many messages it kept for late subscribers.
        node: the name of its node.
        node_id: the id of its node.
        host: the name of its host.
        pid: its process there.
        domain: its domain.
    """

    topic: str
    publisher: str
    codec: str
    schema: Mapping[str, Any] = field(default_factory=dict)
    body: str = SELF
    id: int | None = None
    high: int = 0
    reliable: bool = False
    keep: int = 0
    node: str = ""
    node_id: str = ""
    host: str = ""
    pid: int = 0
    domain: str = ""

    def metadata(self) -> dict[str, str]:
        """Return the metadata of a channel, as MCAP has them: text by text."""
        told = {
            "topic": self.topic,
            "publisher": self.publisher,
            "codec": self.codec,
            "schema": json.dumps(dict(self.schema), separators=(",", ":")),
            "body": self.body,
            "id": "" if self.id is None else str(self.id),
            "high": str(self.high),
            "reliable": str(int(self.reliable)),
            "keep": str(self.keep),
            "node": self.node,
            "node_id": self.node_id,
            "host": self.host,
            "pid": str(self.pid),
            "domain": self.domain,
        }
        return {_PREFIX + key: text for key, text in told.items()}

    @classmethod
    def of(cls, metadata: Mapping[str, str]) -> Origin | None:
        """Read the metadata of a channel; None if it is not one of ours.

        Raises:
            ValueError: it says that it is one of ours, and is not as it should be.
        """
        told = {key.removeprefix(_PREFIX): text for key, text in metadata.items() if key.startswith(_PREFIX)}
        if "publisher" not in told or "body" not in told:
            return None
        try:
            return cls._read(told)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"a channel whose metadata are damaged: {error!r:.200}") from None

    @classmethod
    def _read(cls, told: Mapping[str, str]) -> Origin:
        schema = json.loads(told["schema"])
        if not isinstance(schema, dict) or told["body"] not in _KINDS or len(bytes.fromhex(told["publisher"])) != 8:
            raise ValueError("a schema, a body or a publisher that is none")
        return cls(
            topic=told["topic"],
            publisher=told["publisher"],
            codec=told["codec"],
            schema=schema,
            body=told["body"],
            id=int(told["id"]) if told["id"] else None,
            high=int(told["high"]),
            reliable=told["reliable"] == "1",
            keep=int(told["keep"]),
            node=told["node"],
            node_id=told["node_id"],
            host=told["host"],
            pid=int(told["pid"]),
            domain=told["domain"],
        )
