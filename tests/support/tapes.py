"""Recordings for tests, message by message: in ipcpy's form as docs/recording.md has it, and as others write them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import pytest

from ipcpy.codec import MsgPack, Raw
from ipcpy.views import viewer_for

pytest.importorskip("mcap", reason="recordings take the package mcap: pip install 'ipcpy[bag]'")

from mcap.writer import CompressionType, Writer  # noqa: E402

from ipcpy.bag.form import NONE, ORIGINALS, ORIGINALS_SCHEMA, Origin, Original  # noqa: E402

START = 1_764_320_000_000_000_000  # ns since 1970, at which recordings of tests begin
MS = 1_000_000


class Tape:
    """Writes messages as a recorder of ipcpy does. One publisher for each topic and codec, unless told otherwise."""

    def __init__(self, file, *, compression="zstd", chunk_size=1 << 20, **options):
        kind = CompressionType[compression.upper()]
        self.writer = Writer(file, compression=kind, chunk_size=chunk_size, **options)
        self.writer.start(profile="", library="ipcpy test")
        self.bodies = {}  # by topic: what was published
        self._channels, self._schemas, self._viewers, self._seqs = {}, {}, {}, {}

    def add(self, topic, data, at=0.0, codec=None, *, publisher=None, seq=None, sent=None, **origin):
        """Write what a codec makes of data, received ``at`` seconds after the beginning."""
        codec = codec or MsgPack()
        body = codec.encode(data)
        body = b"".join(body) if isinstance(body, list) else bytes(body)
        return self.add_body(topic, body, at, codec, publisher=publisher, seq=seq, sent=sent, **origin)

    def add_body(self, topic, body, at=0.0, codec=None, *, publisher=None, seq=None, sent=None, **origin):
        codec = codec or Raw()
        publisher = publisher or f"{abs(hash((topic, codec.name))) % (1 << 60):016x}"
        seq = self._seqs[publisher] = seq or self._seqs.get(publisher, 0) + 1
        received = START + round(at * 1e9)
        sent = received - 50_000 if sent is None else START + round(sent * 1e9)
        key = publisher, codec.name
        if key not in self._viewers:
            self._viewers[key] = viewer_for(codec.name, dict(codec.schema))
        seen = self._viewers[key].see(body, sent)
        told = Origin(topic, publisher, codec.name, dict(codec.schema), seen.kind, seen.id, seq >> 32, **origin)
        if seen.rest is not None:
            original = Original(int(publisher, 16), seq, seen.rest)
            data = original.pack() + bytes(seen.rest.bytes)
            schema = ORIGINALS_SCHEMA
            channel = self._channel(ORIGINALS, schema, {})
            self.writer.add_message(channel, received, data, sent, seq & 0xFFFFFFFF)
        for n, view in enumerate(seen.views, 1):
            kind = seen.kind if n == len(seen.views) else NONE
            channel = self._channel(topic + view.part, view.schema, replace(told, body=kind).metadata())
            data = b"".join(map(bytes, view.data))
            self.writer.add_message(channel, received, data, sent, seq & 0xFFFFFFFF)
        self.bodies.setdefault(topic, []).append(body)

    def _channel(self, topic, schema, metadata):
        key = topic, schema, tuple(metadata.items())
        if key not in self._channels:
            id = 0
            if schema.encoding:
                id = self._schemas.get(schema) or self.writer.register_schema(
                    schema.name, schema.encoding, schema.text.encode()
                )
                self._schemas[schema] = id
            self._channels[key] = self.writer.register_channel(topic, schema.message_encoding, id, metadata)
        return self._channels[key]


@contextmanager
def tape(path, **options):
    """Yield a Tape; the file is finished at the end."""
    with open(path, "wb") as file:
        made = Tape(file, **options)
        yield made
        made.writer.finish()


@contextmanager
def foreign(path, **options):
    """Yield mcap's own Writer, as others use it."""
    with open(path, "wb") as file:
        writer = Writer(file, **options)
        writer.start(profile="", library="another")
        yield writer
        writer.finish()
