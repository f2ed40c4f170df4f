"""One MCAP file, opened: its channels, where its messages lie, and what is wrong with it.

A file with a summary is read by that; one without, as a recorder leaves it that was killed, is looked through. Nothing
in a file is believed that its bytes do not bear out. Knows nothing of codecs, nor of what a message holds.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ..errors import ArgumentError, CodecError
from .records import (
    CHUNK,
    HEAD,
    HEADER,
    MAGIC,
    Definitions,
    Entry,
    decompress,
    parse,
    walk,
)
from .strangers import what_instead, what_to_open

if TYPE_CHECKING:
    from mcap.records import Header

__all__ = ["Block", "Contents", "Opened"]

log = logging.getLogger(__name__)

MAX_DAMAGE = 100  # sentences that are kept of one file
MAX_RECORD = 1 << 32  # bytes; mcap's own readers take no longer one


class Block(NamedTuple):
    """A run of bytes with messages: a chunk, or records that lie in the file as they are.

    Attributes:
        first_ns: when its first message was recorded.
        last_ns: when its last one was.
        offset: its first byte.
        length: its bytes.
        channels: the channels whose messages it has; None where that is not known.
        loose: whether its records lie in the file as they are.
    """

    first_ns: int
    last_ns: int
    offset: int
    length: int
    channels: frozenset[int] | None = None
    loose: bool = False


@dataclass
class Contents:
    """What is in a file.

    Attributes:
        definitions: its schemas and channels.
        blocks: where its messages are, in the order of the file.
        counts: how many messages each channel has.
        metadata: the offsets of its METADATA records.
        attachments: the offsets of its ATTACHMENT records.
    """

    definitions: Definitions = field(default_factory=Definitions)
    blocks: list[Block] = field(default_factory=list)
    counts: Counter[int] = field(default_factory=Counter)
    metadata: list[int] = field(default_factory=list)
    attachments: list[int] = field(default_factory=list)


class Opened:
    """A file that is read.

    Args:
        path: where it is.

    Raises:
        ArgumentError: it is a folder, or no path.
        CodecError: it is no MCAP file; the text says what it is instead.
        OSError: it cannot be opened.

    Attributes:
        path: where it is.
        size: its bytes.
        header: who wrote it, and for whom.
        contents: what is in it.
        damage: sentences on what is wrong with it; grows while it is read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        from .scanning import scan
        from .summary import read_summary

        try:
            self.path = os.fspath(path)
        except TypeError:
            raise ArgumentError(f"a recording is the path of an MCAP file, got {path!r:.80}") from None
        if os.path.isdir(self.path):
            raise ArgumentError(f"{self.path} cannot be opened: {what_to_open(self.path)}")
        self._file: BinaryIO = open(self.path, "rb", buffering=0)  # noqa: SIM115  # closed by close
        self._lock = threading.RLock()
        self.damage: list[str] = []
        try:
            self.size = os.fstat(self._file.fileno()).st_size
            self.header, first = self._read_header()
            self.contents = read_summary(self) or scan(self, first)
            for sentence in self.contents.definitions.refused:
                self.note(sentence)
        except BaseException:
            self._file.close()
            raise

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes of the file; fewer where it ends before. Several threads may call.

        Raises:
            CodecError: there is not as much memory.
        """
        try:
            first = self._read_at(offset, length)
            if len(first) in (length, 0):
                return first
            parts = [first]  # a read of more than 2 GiB, or the end
            while length > (have := sum(map(len, parts))) and parts[-1]:
                parts.append(self._read_at(offset + have, length - have))
            return b"".join(parts)
        except (MemoryError, OverflowError):
            raise CodecError(
                f"{length:,} bytes at byte {offset:,} are more than this computer has memory for"
            ) from None

    def _read_at(self, offset: int, length: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._file.fileno(), length, offset)
        with self._lock:
            self._file.seek(offset)
            return self._file.read(length)

    def record(self, offset: int) -> tuple[int, bytes]:
        """Return the opcode and the content of the record at an offset.

        Raises:
            CodecError: the file ends before it does.
        """
        head = self.read(offset, HEAD.size)
        if len(head) < HEAD.size:
            raise CodecError(f"the file ends at byte {self.size:,}, in the head of a record")
        opcode, length = HEAD.unpack(head)
        if MAX_RECORD < length <= self.size - offset:
            raise CodecError(f"a record of {length:,} bytes is larger than a record may be ({MAX_RECORD:,})")
        if offset + HEAD.size + length > self.size:
            raise CodecError(
                f"the file ends at byte {self.size:,}, in the midst of a record of {length:,} bytes at byte {offset:,}"
            )
        return opcode, self.read(offset + HEAD.size, length)

    def entries(self, block: Block, wanted: Iterable[int] | None = None) -> list[Entry]:
        """Return the messages of a block by the time of their recording; of some channels only, if they are named.

        What is wrong with the block is noted, and what is whole of it returned.
        """
        try:
            found, fault = walk(self._records(block))
        except CodecError as error:
            found, fault = [], str(error)
        if fault:
            self.note(f"from byte {block.offset:,}: {fault}")
        known = self.contents.definitions.channels
        here = {entry.channel for entry in found}  # what an index says of a chunk need not be so
        if not here <= known.keys():
            strange = sorted(here - known.keys())
            self.note(f"from byte {block.offset:,}: messages of channels that are not defined: {strange[:5]}")
        numbers = known.keys() if wanted is None else known.keys() & set(wanted)
        if not here <= numbers:
            found = [entry for entry in found if entry.channel in numbers]
        found.sort(key=itemgetter(0))
        return found

    def _records(self, block: Block) -> bytes | memoryview:
        if block.loose:
            return self.read(block.offset, block.length)
        opcode, content = self.record(block.offset)
        if opcode != CHUNK:
            raise CodecError(f"the index names a chunk where a record of kind {opcode} is")
        return decompress(content)

    def note(self, sentence: str) -> None:
        """Keep a sentence on what is wrong, and log it."""
        if sentence not in self.damage and len(self.damage) < MAX_DAMAGE:
            self.damage.append(sentence)
            log.warning("%s: %s", self.path, sentence)

    def close(self) -> None:
        """Close the file; idempotent."""
        self._file.close()

    def _read_header(self) -> tuple[Header, int]:
        """Return the header, and where the next record is."""
        from mcap.records import Header

        start = self.read(0, max(len(MAGIC), 16))
        if not start:
            raise CodecError(f"{self.path} is empty: nothing was ever written to it")
        if not start.startswith(MAGIC):
            if MAGIC.startswith(start):
                raise CodecError(f"{self.path} has {len(start)} bytes: whoever wrote it was cut off at once")
            raise CodecError(f"{self.path} is no MCAP file: {what_instead(start)}")
        try:
            opcode, content = self.record(len(MAGIC))
        except CodecError as error:
            raise CodecError(f"{self.path} holds no message: {error}") from None
        if opcode != HEADER:
            raise CodecError(f"{self.path} is no MCAP file: a record of kind {opcode} stands where its header belongs")
        return parse(Header.read, content, "HEADER"), len(MAGIC) + HEAD.size + len(content)
