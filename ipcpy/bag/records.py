"""The records of an MCAP file, as bytes: where each begins and ends, and the messages of a chunk.

Every length is checked against the bytes that are there. Knows https://mcap.dev/spec; nothing of topics, codecs, or of
what a message holds.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from struct import error as StructError
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ..checksum import crc32
from ..errors import CodecError

if TYPE_CHECKING:
    from mcap.records import Channel, Schema

__all__ = [
    "CHANNEL",
    "CHUNK",
    "CHUNK_HEAD",
    "DATA_END",
    "FOOTER",
    "FOOTER_SIZE",
    "HEAD",
    "HEADER",
    "MAGIC",
    "MAX_CHUNK",
    "MESSAGE",
    "MESSAGE_INDEX",
    "METADATA",
    "SCHEMA",
    "Definitions",
    "Entry",
    "decompress",
    "parse",
    "walk",
]

MAGIC = b"\x89MCAP0\r\n"
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX = range(1, 8)
CHUNK_INDEX, ATTACHMENT, ATTACHMENT_INDEX, STATISTICS, METADATA, METADATA_INDEX, SUMMARY_OFFSET, DATA_END = range(8, 16)
HEAD = Struct("<BQ")  # opcode, length of what follows
FOOTER_SIZE = 9 + 20 + 8  # its head, summary_start u64, summary_offset_start u64, summary_crc u32, the magic again
CHUNK_HEAD = Struct("<QQQII")  # first and last log time, bytes when decompressed, their CRC, length of the compression
MAX_CHUNK = 1 << 32  # bytes when decompressed; whoever writes a larger chunk has no reader

_MESSAGE = Struct("<BQHIQQ")  # its head, channel, sequence, log time, publish time
_SHORTEST = _MESSAGE.size - HEAD.size
T = TypeVar("T")


class Entry(NamedTuple):
    """One message of a chunk.

    Attributes:
        log_ns: when it was recorded, in ns since 1970.
        channel: the number of its channel.
        sequence: its number, as far as 32 bits hold it.
        publish_ns: when it was published.
        data: its bytes; a view of the chunk.
        original: the bytes of the record beside it that has what ``data`` leave out, see ``form.py``; None without one.
    """

    log_ns: int
    channel: int
    sequence: int
    publish_ns: int
    data: memoryview
    original: memoryview | None = None


class Definitions:
    """The schemas and channels of a file, by number.

    Attributes:
        schemas: the schemas.
        channels: the channels; one that comes again with another meaning is refused.
        refused: sentences on what was refused.
    """

    def __init__(self) -> None:
        self.schemas: dict[int, Schema] = {}
        self.channels: dict[int, Channel] = {}
        self.refused: list[str] = []

    def add(self, opcode: int, content: bytes | memoryview) -> None:
        """Take the content of a SCHEMA or CHANNEL record; what is wrong with it is noted, and it is left out."""
        from mcap.records import Channel, Schema

        try:
            if opcode == SCHEMA:
                schema = parse(Schema.read, content, "SCHEMA")
                self._keep(self.schemas, schema.id, schema, "schema")
            else:
                channel = parse(Channel.read, content, "CHANNEL")
                self._keep(self.channels, channel.id, channel, "channel")
        except CodecError as error:
            self._refuse(str(error))

    def _keep(self, known: dict[int, Any], id: int, value: Any, what: str) -> None:
        if known.setdefault(id, value) != value:
            self._refuse(f"{what} {id} is defined twice, and otherwise the second time: the first counts")

    def _refuse(self, sentence: str) -> None:
        if len(self.refused) < 100 and sentence not in self.refused:
            self.refused.append(sentence)


def parse(read: Callable[..., T], content: bytes | memoryview, what: str) -> T:
    """Read the content of a record by a function of mcap's.

    Raises:
        CodecError: it is not that.
    """
    from io import BytesIO

    from mcap.data_stream import ReadDataStream
    from mcap.exceptions import McapError

    try:
        return read(ReadDataStream(BytesIO(content)))
    except (McapError, StructError, ValueError, OverflowError, MemoryError) as error:
        raise CodecError(f"a {what} record is broken: {str(error) or type(error).__name__:.100}") from None


def walk(data: bytes | memoryview, definitions: Definitions | None = None) -> tuple[list[Entry], str]:
    """Find the messages of a decompressed chunk, or of any run of records.

    Args:
        data: the records, end to end.
        definitions: takes the schemas and channels among them; None passes over them.

    Returns:
        The messages in the order of their bytes, and a sentence on what broke off; empty if nothing did.
    """
    view = memoryview(data)
    size, at = len(view), 0
    found: list[Entry] = []
    head, append, new = _MESSAGE.unpack_from, found.append, tuple.__new__  # _make of a named tuple takes twice as long
    while at < size:
        if size - at >= 31:  # _MESSAGE.size
            opcode, length, channel, sequence, log_ns, publish_ns = head(view, at)
        elif size - at >= 9:
            (opcode, length), channel = HEAD.unpack_from(view, at), 0
        else:
            return found, f"{size - at} bytes are left over at the end of a chunk"
        end = at + 9 + length
        if end > size:
            return found, f"a record of {length:,} bytes stands where only {size - at - 9:,} are left"
        if opcode == MESSAGE:
            if length < _SHORTEST:
                return found, f"a message record of {length} bytes has no room for its head"
            append(new(Entry, (log_ns, channel, sequence, publish_ns, view[at + 31 : end], None)))
        elif opcode in (SCHEMA, CHANNEL) and definitions is not None:
            definitions.add(opcode, view[at + 9 : end])
        at = end
    return found, ""


def decompress(content: bytes | memoryview) -> bytes | memoryview:
    """Return the records of a CHUNK record's content.

    Raises:
        CodecError: it is broken, its check is wrong, or it is compressed in an unknown way.
    """
    view = memoryview(content)
    if len(view) < CHUNK_HEAD.size + 8:
        raise CodecError(f"a chunk of {len(view)} bytes is shorter than its head")
    _, _, size, check, name_length = CHUNK_HEAD.unpack_from(view)
    start = CHUNK_HEAD.size + name_length + 8
    if start > len(view):
        raise CodecError("the head of a chunk is longer than the chunk")
    name = bytes(view[CHUNK_HEAD.size : start - 8]).decode("utf-8", "replace")
    length = int.from_bytes(view[start - 8 : start], "little")
    packed = view[start : start + length]
    if len(packed) != length:
        raise CodecError(f"a chunk says that it has {length:,} bytes, and has {len(packed):,}")
    if size > MAX_CHUNK:
        raise CodecError(f"a chunk says that it takes {size:,} bytes of memory; {MAX_CHUNK:,} are allowed")
    data = _decompress(name, packed, size)
    if len(data) != size:
        raise CodecError(f"a chunk has {len(data):,} bytes when decompressed, and says {size:,}")
    if check and crc32(data) != check:
        raise CodecError("the check of a chunk is wrong: its bytes are not those that were written")
    return data


def _decompress(name: str, packed: memoryview, size: int) -> bytes | memoryview:
    if not name:
        return packed
    try:
        if name == "zstd":
            return _zstd(packed, size)
        if name == "lz4":
            return _lz4(packed, size)
    except MemoryError:
        raise CodecError(f"a chunk takes {size:,} bytes of memory, which this computer does not have") from None
    except Exception as error:  # whatever the library says to bytes that are none of its own
        raise CodecError(f"a chunk cannot be decompressed ({name}): {error!s:.100}") from None
    raise CodecError(f"a chunk is compressed by {name!r:.40}; zstd and lz4 are known")


def _zstd(packed: memoryview, size: int) -> bytes:
    import zstandard

    parameters = zstandard.get_frame_parameters(packed)
    if parameters.content_size not in (size, zstandard.CONTENTSIZE_UNKNOWN):  # which it would take memory for
        raise ValueError(f"its frame says {parameters.content_size:,} bytes, the chunk {size:,}")
    data: bytes = zstandard.ZstdDecompressor().decompress(packed, max_output_size=max(size, 1))
    return data


def _lz4(packed: memoryview, size: int) -> bytes:
    from lz4.frame import LZ4FrameDecompressor

    unpacker = LZ4FrameDecompressor()
    data: bytes = unpacker.decompress(packed, max_length=size)
    return data
