"""The summary at the end of an MCAP file: read, and checked against what it says of the file. Decodes no message."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from ..checksum import crc32
from ..errors import CodecError
from .opened import Block, Contents
from .records import (
    ATTACHMENT_INDEX,
    CHANNEL,
    CHUNK_INDEX,
    FOOTER,
    FOOTER_SIZE,
    HEAD,
    MAGIC,
    METADATA_INDEX,
    SCHEMA,
    STATISTICS,
    parse,
)

if TYPE_CHECKING:
    from mcap.records import ChunkIndex, Statistics

    from .opened import Opened

__all__ = ["read_summary"]

_FOOTER = Struct("<BQQQI")
MAX_SUMMARY = 1 << 30  # bytes; 100 for each chunk and channel


def read_summary(file: Opened) -> Contents | None:
    """Return what a file's summary says of it; None where it has none, or one that does not hold.

    A file that was not closed has none: that is noted as its damage.
    """
    tail = file.read(max(file.size - FOOTER_SIZE, 0), FOOTER_SIZE)
    if len(tail) < FOOTER_SIZE or not tail.endswith(MAGIC) or tail[0] != FOOTER:
        file.note(
            f"the file was not closed: it ends at byte {file.size:,} without a summary, as when it is still being "
            "recorded, its recorder was killed, the disk was full or a copy was cut off. 'ipcpy bag recover' makes a "
            "whole one of what is there"
        )
        return None
    _, _, start, _, check = _FOOTER.unpack_from(tail)
    end = file.size - FOOTER_SIZE
    if not start:
        return None
    try:
        if not 0 < start <= end or end - start > MAX_SUMMARY:
            raise CodecError(f"its footer names byte {start:,} of {file.size:,}")
        section = file.read(start, end - start)
        if check and crc32(tail[: _FOOTER.size - 4], crc32(section)) != check:
            raise CodecError("its check is wrong")
        return _parse(file, section)
    except CodecError as error:
        file.note(f"the summary cannot be used, so the file is looked through: {error}")
        return None


def _parse(file: Opened, section: bytes) -> Contents | None:
    from mcap.records import AttachmentIndex, ChunkIndex, MetadataIndex, Statistics

    made = Contents()
    chunks: list[ChunkIndex] = []
    statistics: Statistics | None = None
    at, view = 0, memoryview(section)
    while at < len(view):
        if len(view) - at < HEAD.size:
            raise CodecError("it ends in the head of a record")
        opcode, length = HEAD.unpack_from(view, at)
        content = view[at + HEAD.size : at + HEAD.size + length]
        if len(content) < length:
            raise CodecError("it ends in the midst of a record")
        at += HEAD.size + length
        if opcode in (SCHEMA, CHANNEL):
            made.definitions.add(opcode, content)
        elif opcode == CHUNK_INDEX:
            chunks.append(parse(ChunkIndex.read, content, "CHUNK INDEX"))
        elif opcode == STATISTICS:
            statistics = parse(Statistics.read, content, "STATISTICS")
        elif opcode == METADATA_INDEX:
            made.metadata.append(parse(MetadataIndex.read, content, "METADATA INDEX").offset)
        elif opcode == ATTACHMENT_INDEX:
            made.attachments.append(parse(AttachmentIndex.read, content, "ATTACHMENT INDEX").offset)
    return made if statistics is not None and _complete(file, made, chunks, statistics) else None


def _complete(file: Opened, made: Contents, chunks: list[ChunkIndex], statistics: Statistics) -> bool:
    """Take over where messages are; False where the summary leaves that open, as it may."""
    channels = made.definitions.channels
    if len(chunks) != statistics.chunk_count or len(channels) != statistics.channel_count:
        return False
    counts = statistics.channel_message_counts
    if sum(counts.values()) != statistics.message_count or (not chunks and counts):
        return False
    if any(channel.schema_id and channel.schema_id not in made.definitions.schemas for channel in channels.values()):
        return False
    made.blocks = [_block(file, chunk) for chunk in chunks]
    made.blocks.sort(key=lambda block: block.offset)
    made.counts.update(counts)
    return True


def _block(file: Opened, chunk: ChunkIndex) -> Block:
    if not len(MAGIC) <= chunk.chunk_start_offset <= file.size - chunk.chunk_length:
        raise CodecError(f"it names a chunk at byte {chunk.chunk_start_offset:,} of {file.size:,}")
    channels = frozenset(chunk.message_index_offsets) or None
    return Block(
        chunk.message_start_time, chunk.message_end_time, chunk.chunk_start_offset, chunk.chunk_length, channels
    )
