from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

import ipcpy as ipc
from bags import metadata, streamed, summary
from ipcpy.bag.catalog import Catalog
from ipcpy.bag.chunk import ChunkBuilder, Sealed, seal
from ipcpy.bag.form import Origin
from ipcpy.bag.mcapfile import McapFile
from ipcpy.views import View
from ipcpy.views.schema import no_schema, ros_schema

pytest.importorskip("mcap", reason="needs ipcpy[bag]")

IMU = ros_schema("ipcpy_msgs/msg/Imu", "float32 x\n")


def chunk(catalog: Catalog, *numbers: int, log_ns: int = 5) -> Sealed:
    builder = ChunkBuilder(catalog)
    for sequence, number in enumerate(numbers):
        builder.add(number, sequence, log_ns + sequence, 4, (b"\0\1\0\0data",))
    return seal(builder.close(), "none", None)


def channel(catalog: Catalog, schema=IMU) -> int:
    return catalog.channel(Origin("imu", "00" * 8, "struct"), View("", schema, ()))


def header(path: Path):
    from mcap.reader import make_reader

    with open(path, "rb") as file:
        return make_reader(file).get_header()


def messages(path: Path) -> list[tuple[str, int]]:
    from mcap.reader import make_reader

    with open(path, "rb") as file:
        return [(c.topic, m.sequence) for _, c, m in make_reader(file, validate_crcs=True).iter_messages()]


def test_mcap_reads_it_by_its_index(tmp_path: Path) -> None:
    catalog = Catalog()
    one, other = channel(catalog), channel(catalog)
    file = McapFile(tmp_path / "a.mcap", {"host": "robot7"})
    file.add(chunk(catalog, one, one))
    file.add(chunk(catalog, one, other, log_ns=3))
    file.add_metadata("more", {"a": "b"})
    file.close()
    file.close()
    assert sorted(messages(file.path)) == [("imu", 0), ("imu", 0), ("imu", 1), ("imu", 1)]
    read = summary(file.path)
    assert read.statistics.message_count == 4
    assert read.statistics.channel_message_counts == {one: 3, other: 1}
    assert (read.statistics.message_start_time, read.statistics.message_end_time) == (3, 6)
    assert (len(read.chunk_indexes), len(read.schemas), len(read.channels)) == (2, 1, 2)
    assert metadata(file.path, "more") == [{"a": "b"}]
    about = metadata(file.path, "ipcpy")[0]
    assert (about["form"], about["version"], about["host"]) == ("1", ipc.__version__, "robot7")
    assert file.size == file.path.stat().st_size


def test_only_what_is_used_of_a_catalog_is_written(tmp_path: Path) -> None:
    catalog = Catalog()
    numbers = [channel(catalog) for _ in range(10)]
    file = McapFile(tmp_path / "a.mcap", {})
    file.add(chunk(catalog, numbers[7]))
    file.close()
    assert list(summary(file.path).channels) == [numbers[7]]


def test_it_is_a_ros_file_until_something_else_comes(tmp_path: Path) -> None:
    catalog = Catalog()
    ros, raw = channel(catalog), channel(catalog, no_schema("raw"))
    one, other = McapFile(tmp_path / "a.mcap", {}), McapFile(tmp_path / "b.mcap", {})
    for file in (one, other):
        file.add(chunk(catalog, ros))
    other.add(chunk(catalog, ros, raw))
    for file in (one, other):
        file.close()
    assert (header(one.path).profile, header(other.path).profile) == ("ros2", "")
    assert header(other.path).library.rstrip() == header(one.path).library == f"ipcpy {ipc.__version__}"
    assert len(messages(other.path)) == 3


def test_an_empty_file_is_a_right_one(tmp_path: Path) -> None:
    file = McapFile(tmp_path / "a.mcap", {})
    file.close()
    assert messages(file.path) == []
    assert summary(file.path).statistics.message_count == 0


def test_nothing_is_overwritten_unless_it_is_to_be(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    path.write_text("precious")
    with pytest.raises(ipc.ArgumentError, match="is there already; choose another name, or --force"):
        McapFile(path, {})
    assert path.read_text() == "precious"
    McapFile(path, {}, force=True).close()
    assert messages(path) == []


def test_paths_that_cannot_be_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ipc.ArgumentError, match="is a directory; name a file in it"):
        McapFile(tmp_path, {}, force=True)
    with pytest.raises(ipc.ArgumentError, match="there is no directory"):
        McapFile(tmp_path / "none" / "a.mcap", {})


def test_without_its_end_it_has_every_chunk(tmp_path: Path) -> None:
    catalog = Catalog()
    number = channel(catalog)
    file = McapFile(tmp_path / "a.mcap", {})
    file.add(chunk(catalog, number, number, number))
    assert streamed(file.path) == 3
    file.discard()


class Full:
    """A file on a disk that is full at some size."""

    def __init__(self, file, room: int, error: int = errno.ENOSPC) -> None:
        self._file, self._room, self._error = file, room, error

    def write(self, data) -> int:
        left = self._room - self._file.tell()
        if left <= 0:
            raise OSError(self._error, os.strerror(self._error))
        return self._file.write(memoryview(data)[:left])

    def __getattr__(self, name: str):
        return getattr(self._file, name)


@pytest.mark.parametrize("room", range(0, 200, 7))
def test_a_full_disk_leaves_every_chunk_before_and_nothing_of_the_one(tmp_path: Path, room: int) -> None:
    catalog = Catalog()
    number = channel(catalog)
    file = McapFile(tmp_path / "a.mcap", {})
    file.add(chunk(catalog, number, number))
    good = file.size
    file._file = Full(file._file, good + room)
    with pytest.raises(ipc.TransportError, match=f"the disk is full: .*a.mcap ends at {good:,} bytes"):
        file.add(chunk(catalog, *[number] * 10))
    assert (file.size, file.path.stat().st_size) == (good, good)
    assert streamed(file.path) == 2
    file._file = file._file._file  # somebody made room
    file.close()
    assert len(messages(file.path)) == 2


def test_a_disk_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    file = McapFile(tmp_path / "a.mcap", {})
    file._file = Full(file._file, 0, errno.EIO)
    with pytest.raises(ipc.TransportError, match="cannot be written any more: Input/output error"):
        file.add_metadata("a", {})
    file.discard()


def test_a_file_that_is_deleted_while_it_is_recorded_is_a_sentence(tmp_path: Path) -> None:
    file = McapFile(tmp_path / "a.mcap", {})
    file.sync()
    file.path.unlink()
    with pytest.raises(ipc.TransportError, match=r"a\.mcap was deleted while it was recorded"):
        file.sync()
    with pytest.raises(ipc.TransportError, match="was deleted"):
        file.close()


def test_what_nobody_recorded_into_is_removed(tmp_path: Path) -> None:
    file = McapFile(tmp_path / "a.mcap", {})
    file.discard()
    assert list(tmp_path.iterdir()) == []
