"""Opened: whatever a file is, its whole messages are read, and a sentence says what is wrong; nothing crashes."""

from __future__ import annotations

import os
import struct
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest

import tapes
from ipcpy.bag.opened import Opened
from ipcpy.bag.records import CHUNK, HEAD, MAGIC
from ipcpy.codec import MsgLibrary
from ipcpy.errors import ArgumentError, CodecError

pytest.importorskip("mcap", reason="needs ipcpy[bag]")

from mcap.writer import IndexType  # noqa: E402

Imu = namedtuple("Imu", "gx gy gz")
IMU = MsgLibrary({23: ("<3f", Imu)})


def fill(path, count=200, **options):
    with tapes.tape(path, **{"chunk_size": 1500, **options}) as tape:
        for n in range(count):
            tape.add("imu", Imu(n, 0, 0), n / 100, IMU)
    return path


@pytest.fixture
def drive(tmp_path):
    return fill(tmp_path / "drive.mcap")


def sequences(path):
    """Return the numbers of the messages that can be read, and what is wrong."""
    file = Opened(path)
    try:
        return [each.sequence for block in file.contents.blocks for each in file.entries(block)], file.damage
    finally:
        file.close()


def chunks(data):
    """Return where chunks begin and end."""
    found, at = [], len(MAGIC)
    while at < len(data) - len(MAGIC):
        opcode, length = HEAD.unpack_from(data, at)
        if opcode == CHUNK:
            found.append((at, at + HEAD.size + length))
        at += HEAD.size + length
    return found


def test_a_whole_file_has_no_damage(drive):
    file = Opened(drive)
    assert file.damage == []
    assert file.header.library == "ipcpy test"
    assert sum(file.contents.counts.values()) == 200
    file.close()
    assert sequences(drive) == (list(range(1, 201)), [])


@pytest.mark.parametrize("compression", ["zstd", "lz4", "none"])
def test_every_compression_is_read(tmp_path, compression):
    assert sequences(fill(tmp_path / "x.mcap", compression=compression)) == (list(range(1, 201)), [])


@pytest.mark.parametrize(
    "options",
    [
        {"index_types": IndexType.NONE},
        {"use_statistics": False},
        {"repeat_channels": False},
        {"repeat_schemas": False},
        {"use_summary_offsets": False},
        {"use_chunking": False},
        {"enable_crcs": False},
        {"repeat_channels": False, "repeat_schemas": False, "use_statistics": False, "index_types": IndexType.NONE},
    ],
    ids=str,
)
def test_files_without_some_of_the_summary_are_read(tmp_path, options):
    assert sequences(fill(tmp_path / "x.mcap", **options)) == (list(range(1, 201)), [])


def test_what_was_cut_off_is_read_up_to_the_last_whole_chunk(drive, tmp_path):
    data = drive.read_bytes()
    ends = [end for _, end in chunks(data)]
    dice = Random(1)
    for size in sorted({*(dice.randrange(60, len(data)) for _ in range(60)), *ends, *(end - 1 for end in ends)}):
        cut = tmp_path / "cut.mcap"
        cut.write_bytes(data[:size])
        found, damage = sequences(cut)
        whole = sum(end <= size for end in ends)
        assert found == list(range(1, len(found) + 1))
        assert (len(found) > 0) == (whole > 0)
        assert len(found) >= whole * 5
        assert "the file was not closed" in damage[0]
        assert "'ipcpy bag recover'" in damage[0]


def test_a_broken_chunk_costs_its_own_messages_only(drive, tmp_path):
    data = bytearray(drive.read_bytes())
    start, end = chunks(data)[2]
    data[(start + end) // 2] ^= 0xFF
    (tmp_path / "broken.mcap").write_bytes(data)
    found, damage = sequences(tmp_path / "broken.mcap")
    assert len(damage) == 1
    assert f"from byte {start:,}: " in damage[0]
    missing = set(range(1, 201)) - set(found)
    assert 0 < len(missing) < 60
    assert missing == set(range(min(missing), max(missing) + 1))


@pytest.mark.parametrize("where", ["footer", "summary"])
def test_a_summary_that_lies_is_not_believed(drive, tmp_path, where):
    data = bytearray(drive.read_bytes())
    at = len(data) - 28 if where == "footer" else len(data) - 200
    data[at] ^= 0x55
    (tmp_path / "lie.mcap").write_bytes(data)
    found, damage = sequences(tmp_path / "lie.mcap")
    assert found == list(range(1, 201))
    assert "the summary cannot be used, so the file is looked through" in damage[0]


def test_zeros_behind_the_end_cost_nothing(drive, tmp_path):
    """A file system that was cut off has given the file its length, and not yet its bytes."""
    data = drive.read_bytes()
    end = chunks(data)[3][1]
    (tmp_path / "zeros.mcap").write_bytes(data[:end] + bytes(5000))
    found, damage = sequences(tmp_path / "zeros.mcap")
    assert len(found) > 50
    assert f"from byte {end:,} on the file holds no record" in damage[1]


@pytest.mark.parametrize("compression", ["zstd", "lz4", "none"])
@pytest.mark.parametrize("hole", [bytes(300), b"\x06\x00\x00\x00\x00" + bytes(40), b"garbage" * 30])
def test_behind_a_hole_the_next_whole_chunk_is_found(tmp_path, compression, hole):
    """Where the summary is gone too nothing else says where it is."""
    path = fill(tmp_path / "x.mcap", compression=compression)
    data, expected = path.read_bytes(), sequences(path)[0]
    places = chunks(data)
    start = places[2][0] - 50  # within the index of the chunk before
    path.write_bytes(data[:start] + hole + data[places[3][0] : places[-1][1]])
    found, damage = sequences(path)
    assert len(found) > 100
    assert [n for n in expected if n in set(found)] == found
    assert "it goes on at byte" in " ".join(damage)


def test_a_file_full_of_what_looks_like_chunks_takes_no_time(drive, tmp_path):
    end = chunks(drive.read_bytes())[0][1]
    fake = HEAD.pack(CHUNK, 1_000_000) + bytes(28) + bytes(8)
    (tmp_path / "fakes.mcap").write_bytes(drive.read_bytes()[:end] + b"\0" + fake * 100_000)
    found, damage = sequences(tmp_path / "fakes.mcap")
    assert len(found) > 5
    assert f"from byte {end:,} on the file holds no record" in " ".join(damage)


def test_a_record_longer_than_the_file_is_not_read(drive, tmp_path):
    data = drive.read_bytes()
    end = chunks(data)[0][1]
    (tmp_path / "long.mcap").write_bytes(data[:end] + HEAD.pack(6, 1 << 60) + b"abc")
    found, damage = sequences(tmp_path / "long.mcap")
    assert len(found) > 5
    assert f"in the midst of a record of {1 << 60:,} bytes" in damage[1]


def test_a_record_larger_than_memory_is_left_out(drive, tmp_path):
    """The file has it, as one of zeros that takes no room on the disk."""
    data = drive.read_bytes()
    first, second = chunks(data)[0][1], chunks(data)[1]
    path = tmp_path / "huge.mcap"
    with open(path, "wb") as file:
        file.write(data[:first] + HEAD.pack(CHUNK, 40 << 30))
        try:
            file.seek(40 << 30, os.SEEK_CUR)
        except OSError:
            pytest.skip("the file system has no files of 40 GiB")
        file.write(data[second[0] : second[1]])
    found, damage = sequences(path)
    assert f"is lost: it has {40 << 30:,} bytes; {1 << 32:,} are allowed" in " ".join(damage)
    assert len(found) > 10
    os.truncate(path, 0)


def test_memory_that_is_not_there_is_a_sentence(drive, monkeypatch):
    file = Opened(drive)

    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(os, "pread", fail, raising=False)
    assert file.entries(file.contents.blocks[0]) == []
    assert "are more than this computer has memory for" in file.damage[0]
    file.close()


def test_it_is_read_where_the_system_cannot_read_at_a_place(drive, monkeypatch):
    monkeypatch.delattr(os, "pread", raising=False)
    assert sequences(drive) == (list(range(1, 201)), [])


def test_several_threads_read_one_file(drive):
    file = Opened(drive)
    expected = [each.sequence for block in file.contents.blocks for each in file.entries(block)]

    def read(_):
        return [each.sequence for block in file.contents.blocks for each in file.entries(block)]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read, range(20))) == [expected] * 20
    file.close()


def test_messages_of_undefined_channels_are_told(tmp_path):
    with tapes.foreign(tmp_path / "x.mcap", use_chunking=False) as writer:
        channel = writer.register_channel("x", "json", 0)
        writer.add_message(channel, 1, b"1", 1)
        writer.add_message(77, 2, b"2", 2)
    found, damage = sequences(tmp_path / "x.mcap")
    assert found == [0]
    assert "messages of channels that are not defined: [77]" in " ".join(damage)


def test_an_index_that_leaves_out_a_channel_does_no_harm(tmp_path, monkeypatch):
    from mcap.records import ChunkIndex

    write = ChunkIndex.write

    def lie(self, stream):
        self.message_index_offsets = {1: 0}
        write(self, stream)

    monkeypatch.setattr(ChunkIndex, "write", lie)
    with tapes.foreign(tmp_path / "x.mcap") as writer:
        writer.add_message(writer.register_channel("x", "json", 0), 1, b"1", 1, 7)
        writer.add_message(77, 2, b"2", 2, 8)
    found, damage = sequences(tmp_path / "x.mcap")
    assert found == [7]
    assert "messages of channels that are not defined: [77]" in " ".join(damage)


def test_random_damage_never_raises_anything_but_a_sentence(drive, tmp_path):
    data = drive.read_bytes()
    dice = Random(14)
    path = tmp_path / "random.mcap"
    for _ in range(300):
        broken = bytearray(data)
        for _ in range(dice.choice((1, 1, 2, 20))):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        if dice.random() < 0.3:
            del broken[dice.randrange(len(broken)) :]
        path.write_bytes(broken)
        try:
            found, _ = sequences(path)
        except CodecError as error:
            assert len(str(error)) > 20
        else:
            assert len(found) <= 400


# -- what is no recording ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "is empty: nothing was ever written to it"),
        (MAGIC[:5], "has 5 bytes: whoever wrote it was cut off at once"),
        (MAGIC, "holds no message: the file ends at byte 8"),
        (MAGIC + HEAD.pack(1, 400), "holds no message: the file ends at byte 17"),
        (MAGIC + HEAD.pack(4, 2) + b"ab", "a record of kind 4 stands where its header belongs"),
        (MAGIC + HEAD.pack(1, 8) + struct.pack("<II", 900, 3), "a HEADER record is broken"),
        (b"#ROSBAG V2.0\nabc", "is no MCAP file: it looks like a bag of ROS 1"),
        (b"hello world", "is no MCAP file: it begins with 68 65"),
    ],
    ids=["empty", "5 bytes", "magic", "cut header", "no header", "broken header", "rosbag", "text"],
)
def test_what_is_no_recording_is_refused_with_what_it_is(tmp_path, data, problem):
    path = tmp_path / "x.mcap"
    path.write_bytes(data)
    with pytest.raises(CodecError, match=problem):
        Opened(path)


def test_a_folder_is_refused_with_what_is_in_it(drive):
    with pytest.raises(ArgumentError, match=r"it is a folder: name the files in it \(drive.mcap\)"):
        Opened(os.path.dirname(drive))


def test_a_file_without_messages_is_an_empty_recording(tmp_path):
    with tapes.tape(tmp_path / "none.mcap"):
        pass
    assert sequences(tmp_path / "none.mcap") == ([], [])
