"""Messages of recordings, written into a new one byte for byte. Knows channels and schemas; decodes nothing."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from ..errors import ArgumentError, CodecError
from ..version import __version__
from .books import last_clocks, merged_books
from .clocks import read_traces
from .form import BOOKS, CLOCKS, LIBRARY, ORIGINALS
from .opened import Opened
from .own import origin_of
from .recording import FILE_BITS, Recording
from .records import ATTACHMENT, METADATA, Entry, parse
from .reels import latched

if TYPE_CHECKING:
    from mcap.writer import Writer

__all__ = ["save"]

_COMPRESSIONS = ("zstd", "lz4", "none")
_ROS2 = {("cdr", "ros2msg"), ("cdr", "ros2idl")}
_MAX_CHANNELS = 0xFFFF  # a channel's number has 16 bits, and 0 is none


def save(
    recording: Recording,
    path: str,
    numbers: Collection[int] | None,
    span_ns: tuple[int, int],
    terms: tuple[str, bool],
) -> int:
    """Write messages into a new file, which is there when it is whole, or not at all.

    Args:
        recording: where they are.
        path: the new file.
        numbers: of the tracks that are wanted; None for all.
        span_ns: the first moment, and the first one that is not wanted.
        terms: the compression, and whether a file that is there is overwritten.

    Returns:
        The number of messages.

    Raises:
        ArgumentError: a file is there, or it would be one of those that are read.
        OSError: it cannot be written.
    """
    compression, force = terms
    if compression not in _COMPRESSIONS:
        raise ArgumentError(f"the compression is one of {', '.join(_COMPRESSIONS)}, got {compression!r:.40}")
    _check_target(recording, path, force)
    folder, name = os.path.split(path)
    partial = os.path.join(folder, f".{name[:200]}.{os.urandom(4).hex()}.part")
    try:
        with open(partial, "xb") as file:
            copied = _Copy(recording, _writer(file, compression))
            count = copied.run(numbers, span_ns)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise
    return count


def _check_target(recording: Recording, path: str, force: bool) -> None:
    if os.path.isdir(path):
        raise ArgumentError(f"{path} is a directory; name a file in it, such as {os.path.join(path, 'new.mcap')}")
    if not os.path.exists(path):
        return
    if any(os.path.samefile(path, file.path) for file in recording.files):
        raise ArgumentError(f"{path} is read here: name another file to write")
    if not force:
        raise ArgumentError(f"{path} is there already; choose another name, or --force (force=True)")


def _writer(file: Any, compression: str) -> Writer:
    from mcap.writer import CompressionType, Writer

    return Writer(file, compression=CompressionType[compression.upper()])


class _Copy:
    """Writes entries of several files with numbers of channels and schemas of its own."""

    def __init__(self, recording: Recording, writer: Writer) -> None:
        self._recording = recording
        self._writer = writer
        self._channels: dict[int, int] = {}  # by the number of the track
        self._made: dict[Any, int] = {}  # schemas and channels by what they say: of two files they are often the same
        self._originals: dict[int, int] = {}  # by the number of a file

    def run(self, numbers: Collection[int] | None, span_ns: tuple[int, int]) -> int:
        """Write all, and return how many messages."""
        recording, count = self._recording, 0
        wanted = set(recording.tracks) if numbers is None else set(numbers)
        topics = {recording.tracks[number].topic for number in wanted}
        second = {number for number, topic in recording.second_views.items() if topic in topics}
        self._writer.start(self._profile(wanted | second), f"{LIBRARY} {__version__}")
        self._write_metadata()
        for entry in latched(recording, wanted, span_ns[0]):
            self._write(entry._replace(log_ns=span_ns[0]))  # as whoever had begun to record then would have got it
            count += 1
        for run in recording.runs(wanted | second, *span_ns):
            for entry in run:
                self._write(entry)
                count += entry.channel in wanted
        self._write_attachments()
        self._writer.finish()  # type: ignore[no-untyped-call]
        return count

    def _profile(self, numbers: set[int]) -> str:
        """Return the profile: readers of ROS 2 take a file of that profile only, and no other channels in it."""
        encodings = set()
        for number in numbers:
            found = self._recording.files[number >> FILE_BITS].contents
            channel = found.definitions.channels[number & 0xFFFF]
            schema = found.definitions.schemas.get(channel.schema_id)
            if found.counts[channel.id]:
                encodings.add((channel.message_encoding, schema.encoding if schema else ""))
        if encodings and encodings <= _ROS2:
            return "ros2"
        profiles = {file.header.profile for file in self._recording.files} - {"ros2"}
        return profiles.pop() if len(profiles) == 1 else ""

    def _write(self, entry: Entry) -> None:
        log_ns, number, sequence, publish_ns, data, original = entry
        channel = self._channels.get(number)
        if channel is None:
            channel = self._channels[number] = self._channel(number >> FILE_BITS, number & 0xFFFF)
        add = self._writer.add_message
        if original is not None:
            add(self._channel_of_originals(number >> FILE_BITS), log_ns, bytes(original), publish_ns, sequence)
        add(channel, log_ns, bytes(data), publish_ns, sequence)

    def _channel_of_originals(self, n: int) -> int:
        if n not in self._originals:
            channels = self._recording.files[n].contents.definitions.channels
            id = next(id for id, channel in channels.items() if channel.topic == ORIGINALS)
            self._originals[n] = self._channel(n, id)
        return self._originals[n]

    def _channel(self, n: int, id: int) -> int:
        """Return the number of a channel in the new file, the same one for channels that say the same."""
        found = self._recording.files[n].contents.definitions
        channel = found.channels[id]
        schema = found.schemas.get(channel.schema_id)
        of_schema = 0
        if schema is not None:
            told = ("schema", schema.name, schema.encoding, schema.data)
            of_schema = self._made.get(told, 0)
            if not of_schema:
                of_schema = self._made[told] = self._writer.register_schema(schema.name, schema.encoding, schema.data)
        apart = () if origin_of(channel) else (n, id)  # whose messages others' channels have nobody knows
        says = (channel.topic, channel.message_encoding, of_schema, tuple(sorted(channel.metadata.items())), apart)
        if says not in self._made:
            if len(self._channels) >= _MAX_CHANNELS:
                raise ArgumentError("the files have more than 65,535 channels, which one file does not take")
            self._made[says] = self._writer.register_channel(
                channel.topic, channel.message_encoding, of_schema, channel.metadata
            )
        return self._made[says]

    def _write_metadata(self) -> None:
        from mcap.records import Metadata

        written: list[Any] = []
        for file in self._recording.files:
            for record in _records(file, METADATA, file.contents.metadata, Metadata.read):
                if record.name not in (BOOKS, CLOCKS) and record not in written[-1000:]:
                    written.append(record)
                    self._writer.add_metadata(record.name, record.metadata)
        books = merged_books(self._recording.files)
        if books:
            self._writer.add_metadata(BOOKS, books)
        traces = read_traces(map(last_clocks, self._recording.files))
        if traces:
            self._writer.add_metadata(CLOCKS, {node: json.dumps(each) for node, each in traces.items()})

    def _write_attachments(self) -> None:
        from mcap.records import Attachment

        for file in self._recording.files:
            for record in _records(file, ATTACHMENT, file.contents.attachments, Attachment.read):
                self._writer.add_attachment(
                    record.create_time, record.log_time, record.name, record.media_type, record.data
                )


def _records(file: Opened, kind: int, offsets: list[int], read: Any) -> Iterator[Any]:
    """Yield records beside the messages; one that is broken is noted."""
    for offset in offsets:
        try:
            opcode, content = file.record(offset)
            if opcode != kind:
                raise CodecError(f"the index names a record of kind {kind} where one of kind {opcode} is")
            yield parse(read, content, "METADATA" if kind == METADATA else "ATTACHMENT")
        except CodecError as error:
            file.note(f"from byte {offset:,}: {error}")
