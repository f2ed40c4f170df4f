"""What crosses a bridge, as values and as bytes: offers, which say what is there, and parcels, which are messages.

Pure. Knows which bytes are right ones; nothing of engines. Bytes from beyond that are wrong raise ValueError, which
whoever reads them counts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from struct import Struct
from typing import Any, NamedTuple

from ..errors import ArgumentError
from ..protocol.topics import check_topic, told_topic

__all__ = [
    "MAX_PATH",
    "Beginning",
    "Offer",
    "Parcel",
    "pack_head",
    "pack_offer",
    "read_id",
    "unpack_head",
    "unpack_offer",
]

VERSION = 1
MAX_OFFER = 65_536  # bytes; what discovery takes of a schema is less
MAX_PATH = 16  # bridges that something can have passed
MAX_NUMBER = (1 << 63) - 1  # of messages and times, which ends in the year 2262
_HEAD = Struct("<BBHIqq")  # version, flags, 0, how many were left out before, number, send time
_BEGINS = 1
_ID = re.compile(r"[0-9a-f]{16}")
_TEXTS = {"topic": 255, "codec": 64, "node": 128, "host": 255, "name": 64}


@dataclass(frozen=True, slots=True)
class Offer:
    """A publisher, as a bridge offers it to those beyond.

    Attributes:
        publisher: its id, 16 hexadecimal digits.
        topic: its topic, as it is called beyond.
        codec: the name of its codec.
        schema: its schema.
        reliable: whether it refills what was lost.
        keep: how many messages it keeps for late subscribers.
        node: the name of its node.
        host: the name of its host.
        name: the name of the bridge that offers it.
        path: the ids of the bridges that it passed, the one that offers it last.
    """

    publisher: str
    topic: str
    codec: str
    schema: Mapping[str, Any] = field(default_factory=dict, hash=False)
    reliable: bool = False
    keep: int = 0
    node: str = ""
    host: str = ""
    name: str = ""
    path: tuple[str, ...] = ()

    @property
    def bridge(self) -> str:
        """The id of the bridge that offers it."""
        return self.path[-1] if self.path else ""

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from all other offers: the bridge, and the publisher."""
        return self.bridge, self.publisher


class Parcel(NamedTuple):
    """A message on its way.

    Attributes:
        seq: its number.
        sent_ns: when it was sent, by its publisher's clock.
        body: its bytes; None says only with which number the next messages begin, and that they do.
        skipped: how many messages before it the bridge left out on purpose.
    """

    seq: int
    sent_ns: int
    body: Any
    skipped: int = 0


class Beginning(NamedTuple):
    """How an offer begins for somebody who came just now.

    Attributes:
        seq: the number of the next message; 0 while that is not known.
        kept: the messages that its publisher keeps, the oldest first.
    """

    seq: int = 0
    kept: tuple[Parcel, ...] = ()


def pack_head(parcel: Parcel) -> bytes:
    """Return what travels beside the body of a parcel."""
    flags = _BEGINS if parcel.body is None else 0
    return _HEAD.pack(VERSION, flags, 0, min(parcel.skipped, 0xFFFFFFFF), parcel.seq, parcel.sent_ns)


def unpack_head(head: bytes, body: Any) -> Parcel:
    """Return the parcel of a head and a body.

    Raises:
        ValueError: the head is not one.
    """
    if len(head) != _HEAD.size:
        raise ValueError(f"the head of a message has {_HEAD.size} bytes, got {len(head)}")
    version, flags, _, skipped, seq, sent_ns = _HEAD.unpack(head)
    if version != VERSION:
        raise ValueError(f"version {version} of a bridge, and this one speaks {VERSION}")
    if not 0 < seq <= MAX_NUMBER or not 0 <= sent_ns:
        raise ValueError("a number or time that no message has")
    return Parcel(seq, sent_ns, None if flags & _BEGINS else body, skipped)


def pack_offer(offer: Offer) -> bytes:
    """Return an offer as JSON."""
    told = {name: getattr(offer, name) for name in Offer.__dataclass_fields__}
    return json.dumps({"ipcpy": VERSION, **told, "schema": dict(offer.schema)}, separators=(",", ":")).encode()


def unpack_offer(data: bytes) -> Offer:
    """Return the offer that some bytes hold.

    Raises:
        ValueError: they hold none.
    """
    if len(data) > MAX_OFFER:
        raise ValueError(f"an offer has at most {MAX_OFFER:,} bytes, got {len(data):,}")
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"an offer is JSON: {error}") from None
    if not isinstance(told, dict) or told.get("ipcpy") != VERSION:
        raise ValueError(f"no offer of version {VERSION}")
    found = {name: _text(told.get(name), name, most) for name, most in _TEXTS.items()}
    schema, path = told.get("schema"), told.get("path")
    if not isinstance(schema, dict):
        raise ValueError("schema is no object")
    if not isinstance(path, list) or not 0 < len(path) <= MAX_PATH:
        raise ValueError(f"path is no list of 1 to {MAX_PATH} bridges")
    reliable, keep = told.get("reliable"), told.get("keep")
    if type(reliable) is not bool or type(keep) is not int or not 0 <= keep <= 1_000_000:
        raise ValueError("reliable is no boolean, or keep no number of messages")
    try:
        found["topic"] = check_topic(told_topic(found["topic"]))
    except ArgumentError as error:
        raise ValueError(str(error)) from None
    passed = tuple(read_id(bridge) for bridge in path)
    return Offer(
        publisher=read_id(told.get("publisher")), schema=schema, reliable=reliable, keep=keep, path=passed, **found
    )


def read_id(told: object) -> str:
    """Return the id of a bridge or publisher.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(told, str) or not _ID.fullmatch(told) or not int(told, 16):
        raise ValueError(f"an id is 16 hexadecimal digits, got {told!r:.40}")
    return told


def _text(told: object, name: str, most: int) -> str:
    if not isinstance(told, str) or len(told) > most or not told.isprintable():
        raise ValueError(f"{name} is no printable text of at most {most} characters")
    return told
