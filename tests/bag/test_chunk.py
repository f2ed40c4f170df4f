from __future__ import annotations

import zlib

import pytest

from ipcpy.bag.catalog import Catalog
from ipcpy.bag.chunk import COMPRESSIONS, Chunk, ChunkBuilder, Sealed, compressor, seal

mcap = pytest.importorskip("mcap.stream_reader", reason="needs ipcpy[bag]")
pytest.importorskip("zstandard", reason="needs ipcpy[bag]")
pytest.importorskip("lz4.frame", reason="needs ipcpy[bag]")

BIG = bytes(range(256)) * 300


def built() -> Chunk:
    builder = ChunkBuilder(Catalog())
    builder.add(1, 7, 30, 20, (b"abc",))
    builder.add(2, 8, 10, 9, (b"", b"de", memoryview(BIG)))
    builder.add(1, 0xFFFFFFFF, 20, 2**64 - 1, (b"",))
    return builder.close()


def read(sealed: Sealed):
    """Return the records of a chunk as mcap reads them."""
    from io import BytesIO

    footer = b"\x02" + (20).to_bytes(8, "little") + bytes(20) + b"\x89MCAP0\r\n"
    stream = BytesIO(b"".join([*sealed.parts, *sealed.indexes.values(), footer]))
    return list(mcap.StreamReader(stream, skip_magic=True, emit_chunks=True).records)[:-1]


@pytest.mark.parametrize("name", COMPRESSIONS)
@pytest.mark.parametrize("copied", [False, True])
def test_mcap_reads_what_was_added(name: str, copied: bool) -> None:
    sealed = seal(built(), name, compressor(name), copied=copied)
    chunk, *indexes = read(sealed)
    assert chunk.compression == sealed.compression == ("" if name == "none" else name)
    assert (chunk.message_start_time, chunk.message_end_time) == (10, 30)
    messages = mcap.breakup_chunk(chunk, validate_crc=True)
    assert [(m.channel_id, m.sequence, m.log_time, m.publish_time, m.data) for m in messages] == [
        (1, 7, 30, 20, b"abc"),
        (2, 8, 10, 9, b"de" + BIG),
        (1, 0xFFFFFFFF, 20, 2**64 - 1, b""),
    ]
    assert {index.channel_id: [time for time, _ in index.records] for index in indexes} == {1: [30, 20], 2: [10]}
    assert sealed.counts == {1: 2, 2: 1}
    assert sealed.size == sum(map(len, sealed.parts))
    assert (sealed.compressed, sealed.uncompressed) == (len(chunk.data), chunk.uncompressed_size)


def test_the_index_points_at_the_messages() -> None:
    sealed = seal(built(), "none", None)
    chunk, *indexes = read(sealed)
    for index in indexes:
        for _, offset in index.records:
            assert chunk.data[offset] == 5
            assert int.from_bytes(chunk.data[offset + 9 : offset + 11], "little") == index.channel_id


def test_in_a_hurry_nothing_is_compressed_or_summed_up() -> None:
    chunk, *_ = read(seal(built(), "zstd", compressor("zstd"), hurried=True))
    assert (chunk.compression, chunk.uncompressed_crc) == ("", 0)
    assert len(mcap.breakup_chunk(chunk)) == 3


def test_the_checksum_is_that_of_all_parts() -> None:
    chunk, *_ = read(seal(built(), "none", None))
    assert chunk.uncompressed_crc == zlib.crc32(chunk.data)


def test_large_parts_are_not_copied_unless_asked() -> None:
    builder = ChunkBuilder(Catalog())
    builder.add(2, 8, 10, 9, (b"head", memoryview(BIG)))
    chunk = builder.close()
    assert any(isinstance(part, memoryview) for part in seal(chunk, "none", None).parts)
    assert all(isinstance(part, bytes) for part in seal(chunk, "none", None, copied=True).parts)


def test_a_builder_begins_anew() -> None:
    builder = ChunkBuilder(Catalog())
    builder.add(1, 1, 50, 1, (b"a",))
    builder.close()
    assert builder.size == 0
    builder.add(1, 2, 40, 1, (b"b",))
    assert (builder.start_ns, builder.end_ns) == (40, 40)
