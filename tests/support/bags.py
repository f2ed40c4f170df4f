"""Recordings, read with PyPI's mcap alone: what is in them, and the bodies made again as docs/recording.md says."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ipcpy.bag.form import BOOKS, NONE, ORIGINALS, Origin, read_original
from ipcpy.codec.schema import parse_schema
from ipcpy.views import StructView, body_of


class Recorded(NamedTuple):
    """A message that was recorded."""

    topic: str
    publisher: str
    seq: int
    sent_ns: int
    received_ns: int
    body: bytes
    origin: Origin


def streamed(path: Path) -> int:
    """Return how many messages a reader finds that has no index, up to where the file breaks off."""
    from mcap.exceptions import EndOfFile
    from mcap.records import Message
    from mcap.stream_reader import StreamReader

    count = 0
    with open(path, "rb") as file:
        try:
            for record in StreamReader(file, validate_crcs=True).records:
                count += isinstance(record, Message)
        except EndOfFile:
            pass
    return count


def read(path: Path) -> Iterator[Recorded]:
    """Yield the messages of a file in its own order, without its index."""
    from mcap.records import Channel, Message
    from mcap.stream_reader import StreamReader

    channels: dict[int, Channel] = {}
    rests = {}
    with open(path, "rb") as file:
        for record in StreamReader(file, validate_crcs=True).records:
            if isinstance(record, Channel):
                channels[record.id] = record
            if not isinstance(record, Message):
                continue
            channel = channels[record.channel_id]
            if channel.topic == ORIGINALS:
                original = read_original(record.data)
                rests[f"{original.publisher:016x}", original.seq] = original.rest
                continue
            origin = Origin.of(channel.metadata)
            assert origin is not None
            if origin.body == NONE:
                continue
            seq = origin.high << 32 | record.sequence
            rest = rests.pop((origin.publisher, seq), None)
            assert rest is not None or origin.body != "beside"
            struct = None
            if origin.body == "struct":
                struct = next(StructView(spec) for spec in parse_schema(origin.schema) if spec.id == origin.id)
            body = body_of(record.data, rest, struct)
            times = record.publish_time, record.log_time
            yield Recorded(origin.topic, origin.publisher, seq, *times, body, origin)
    assert not rests


def digest(bodies: Any) -> str:
    """Return a digest of some bodies in their order."""
    made = hashlib.sha256()
    for body in bodies:
        made.update(len(body).to_bytes(8, "little") + bytes(body))
    return made.hexdigest()


def metadata(path: Path, name: str) -> list[dict[str, str]]:
    """Return the metadata of a name, by the index."""
    from mcap.reader import make_reader

    with open(path, "rb") as file:
        return [found.metadata for found in make_reader(file).iter_metadata() if found.name == name]


def books(path: Path) -> dict[str, Any]:
    """Return the last books of a file, by publisher."""
    return {publisher: json.loads(text) for publisher, text in metadata(path, BOOKS)[-1].items()}


def summary(path: Path) -> Any:
    """Return mcap's summary of a file."""
    from mcap.reader import make_reader

    with open(path, "rb") as file:
        return make_reader(file).get_summary()
