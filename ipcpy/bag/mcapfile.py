"""One MCAP file while it is written. Knows the file from its first byte to its last; nothing of messages or topics.

Whatever ends the program, the file is good up to the last chunk that was written: schemas and channels stand before
the first chunk that needs them, and a chunk whose writing fails is cut off again. Only the summary at the end is then
missing, without which readers go through the file from its beginning.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import struct
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..checksum import crc32
from ..errors import ArgumentError, TransportError
from ..version import __version__
from .chunk import Buffer, Sealed
from .form import FORM, LIBRARY

if TYPE_CHECKING:
    from mcap.records import McapRecord

__all__ = ["McapFile"]

_MAGIC = b"\x89MCAP0\r\n"
_PROFILE = "ros2"  # as long as the spaces that replace it
_FOOTER_BEGINS = struct.Struct("<BQQQ")


class McapFile:
    """A file that is written.

    Args:
        path: where.
        about: what is said of the recording, as MCAP metadata ``ipcpy``.
        force: whether a file that is there is overwritten.

    Attributes:
        path: where it is.
        size: bytes so far.
        messages: messages so far.
        start_ns: the first log time.
        end_ns: the last one.

    Raises:
        ArgumentError: there is a file, and it is not to be overwritten; or the path is none that can be written.
        TransportError: the system refuses.
    """

    def __init__(self, path: Path, about: Mapping[str, str], *, force: bool = False) -> None:
        self.path = path
        self.size = 0
        self.start_ns = self.end_ns = 0
        self._replaces = force and path.exists()
        self._file = _open(path, force=force)
        self._is_linked = bool(os.fstat(self._file.fileno()).st_nlink)  # some file systems count no links
        self._closed = False
        self._is_ros = True
        self._schemas: dict[int, bytes] = {}  # the records that were written
        self._channels: dict[int, bytes] = {}
        self._counts: Counter[int] = Counter()
        self._chunks: list[bytes] = []  # the summary's records of them
        self._metadata: list[bytes] = []
        self._write(_MAGIC + _header(_PROFILE))
        self.add_metadata(LIBRARY, {"form": FORM, "version": __version__, **about})

    @property
    def closed(self) -> bool:
        """Whether it is complete, as far as it could be."""
        return self._closed

    @property
    def messages(self) -> int:
        """Messages so far, those of ``ipcpy/originals`` and second views included."""
        return self._counts.total()

    def add(self, chunk: Sealed) -> None:
        """Write a chunk, and before it the schemas and channels that it needs.

        Raises:
            TransportError: it could not be written; the file ends before it.
        """
        self._define(chunk)
        at = self.size
        self._write(*chunk.parts, b"".join(chunk.indexes.values()))
        self.start_ns = min(self.start_ns, chunk.start_ns) if self._chunks else chunk.start_ns
        self.end_ns = max(self.end_ns, chunk.end_ns)
        self._counts.update(chunk.counts)
        self._chunks.append(_chunk_index(chunk, at))

    def _define(self, chunk: Sealed) -> None:
        """Write the schemas and channels that a chunk is the first to need."""
        catalog = chunk.catalog
        new: list[bytes] = []
        for number in chunk.counts:
            channel = catalog.channels[number]
            if number not in self._channels:
                if channel.schema and channel.schema not in self._schemas:
                    self._schemas[channel.schema] = catalog.schemas[channel.schema].record
                    new.append(self._schemas[channel.schema])
                self._channels[number] = channel.record
                new.append(channel.record)
                if self._is_ros and not channel.is_ros:
                    self._is_ros = False
                    self._rewrite(len(_MAGIC), _header(""))
        if new:
            self._write(b"".join(new))

    def add_metadata(self, name: str, told: Mapping[str, str]) -> None:
        """Write metadata.

        Raises:
            TransportError: they could not be written.
        """
        from mcap.records import Metadata, MetadataIndex

        record = _bytes_of(Metadata(name, dict(told)))
        at = self.size
        self._write(record)
        self._metadata.append(_bytes_of(MetadataIndex(at, len(record), name)))

    def sync(self) -> None:
        """Have the system write to the medium what it holds back; a stick that is pulled has it then.

        Raises:
            TransportError: the medium is gone or full, or somebody deleted the file.
        """
        is_deleted = False
        try:
            number = self._file.fileno()
            is_deleted = self._is_linked and not os.fstat(number).st_nlink
            getattr(os, "fdatasync", os.fsync)(number)
        except ValueError:  # closed meanwhile
            pass
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):  # not a file that can be synced
                raise self._refused(error) from error
        if is_deleted:
            raise TransportError(f"{self.path} was deleted while it was recorded")

    def close(self) -> None:
        """Write the summary, and close; idempotent.

        Raises:
            TransportError: the summary could not be written: the file has all messages, and no index.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._write(self._end())
            self.sync()
        finally:
            self._file.close()

    def discard(self) -> None:
        """Close, and remove the file if it is a new one."""
        self._closed = True
        self._file.close()
        if not self._replaces:
            with contextlib.suppress(OSError):
                self.path.unlink()

    # -- the end -----------------------------------------------------------------------------------------------------

    def _end(self) -> bytes:
        """Return all that stands behind the data."""
        from mcap.opcode import Opcode
        from mcap.records import DataEnd, Footer, SummaryOffset

        before = _bytes_of(DataEnd(0))
        start = self.size + len(before)
        body, groups = b"", b""
        for opcode, records in self._summary():
            if records:
                groups += _bytes_of(SummaryOffset(opcode, start + len(body), len(records)))
                body += records
        offsets = start + len(body)
        body += groups
        check = crc32(_FOOTER_BEGINS.pack(Opcode.FOOTER, 20, start, offsets), crc32(body))
        return before + body + _bytes_of(Footer(start, offsets, check)) + _MAGIC

    def _summary(self) -> list[tuple[int, bytes]]:
        from mcap.opcode import Opcode
        from mcap.records import Statistics

        statistics = Statistics(
            attachment_count=0,
            channel_count=len(self._channels),
            channel_message_counts=dict(self._counts),
            chunk_count=len(self._chunks),
            message_count=self.messages,
            message_end_time=self.end_ns,
            message_start_time=self.start_ns,
            metadata_count=len(self._metadata),
            schema_count=len(self._schemas),
        )
        return [
            (Opcode.SCHEMA, b"".join(self._schemas.values())),
            (Opcode.CHANNEL, b"".join(self._channels.values())),
            (Opcode.STATISTICS, _bytes_of(statistics)),
            (Opcode.CHUNK_INDEX, b"".join(self._chunks)),
            (Opcode.METADATA_INDEX, b"".join(self._metadata)),
        ]

    # -- the system --------------------------------------------------------------------------------------------------

    def _write(self, *parts: Buffer) -> None:
        """Write all of something at the end, or nothing."""
        try:
            self._file.seek(self.size)
            for part in parts:
                self._write_part(part)
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(self.size)
            raise self._refused(error) from error
        self.size += sum(map(len, parts))

    def _write_part(self, part: Buffer) -> None:
        written = self._file.write(part)
        while written < len(part):  # a write of more than 2 GiB, or what still fitted on a full disk
            more = self._file.write(memoryview(part)[written:])
            if not more:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written += more

    def _rewrite(self, at: int, part: bytes) -> None:
        try:
            self._file.seek(at)
            self._write_part(part)
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> TransportError:
        if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            return TransportError(f"the disk is full: {self.path} ends at {self.size:,} bytes, and is good up to there")
        return TransportError(f"{self.path} cannot be written any more: {error.strerror or error}")


def _open(path: Path, *, force: bool) -> io.FileIO:
    try:
        return open(path, "wb" if force else "xb", buffering=0)
    except FileExistsError:
        raise ArgumentError(f"{path} is there already; choose another name, or --force (force=True)") from None
    except IsADirectoryError:
        raise ArgumentError(f"{path} is a directory; name a file in it, such as {path / 'run.mcap'}") from None
    except FileNotFoundError:
        raise ArgumentError(f"there is no directory {path.parent}; make it first") from None
    except OSError as error:
        raise TransportError(f"{path} cannot be written: {error.strerror or error}") from error


def _header(profile: str) -> bytes:
    """Return the header; of one length, whatever the profile, so that it can be changed later."""
    from mcap.records import Header

    return _bytes_of(Header(profile, f"{LIBRARY} {__version__}" + " " * (len(_PROFILE) - len(profile))))


def _chunk_index(chunk: Sealed, at: int) -> bytes:
    from mcap.records import ChunkIndex

    offsets: dict[int, int] = {}
    end = at + chunk.size
    for channel, index in chunk.indexes.items():
        offsets[channel] = end
        end += len(index)
    return _bytes_of(
        ChunkIndex(
            chunk_length=chunk.size,
            chunk_start_offset=at,
            compression=chunk.compression,
            compressed_size=chunk.compressed,
            message_end_time=chunk.end_ns,
            message_index_length=end - at - chunk.size,
            message_index_offsets=offsets,
            message_start_time=chunk.start_ns,
            uncompressed_size=chunk.uncompressed,
        )
    )


def _bytes_of(record: McapRecord) -> bytes:
    from mcap.data_stream import RecordBuilder

    builder = RecordBuilder()
    record.write(builder)
    made: bytes = builder.end()  # type: ignore[no-untyped-call]
    return made
