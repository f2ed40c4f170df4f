from __future__ import annotations

from pathlib import Path

import pytest

import ipcpy as ipc
from bags import metadata, summary
from ipcpy.bag import files as module
from ipcpy.bag.catalog import Catalog
from ipcpy.bag.chunk import ChunkBuilder, Sealed, seal
from ipcpy.bag.files import Books, Files, Split
from ipcpy.bag.form import Origin
from ipcpy.views import View
from ipcpy.views.schema import ros_schema

pytest.importorskip("mcap", reason="needs ipcpy[bag]")

SECOND = 1_000_000_000


def chunk(catalog: Catalog, log_ns: int = 5, size: int = 100) -> Sealed:
    view = View("", ros_schema("ipcpy_msgs/msg/Imu", "float32 x\n"), ())
    number = catalog.channel(Origin("imu", "00" * 8, "struct"), view)
    builder = ChunkBuilder(catalog)
    builder.add(number, 1, log_ns, 4, (bytes(size),))
    return seal(builder.close(), "none", None)


def counts(files: Files) -> list[int]:
    return [summary(path).statistics.message_count for path in files.paths]


def test_without_a_split_there_is_one_file_of_that_name(tmp_path: Path) -> None:
    files = Files(tmp_path / "run.mcap", {}, lambda: Books({}))
    catalog = Catalog()
    for n in range(5):
        files.add(chunk(catalog, n * SECOND))
    files.close()
    assert files.paths == [tmp_path / "run.mcap"]
    assert counts(files) == [5]
    assert files.size == files.path.stat().st_size


def test_a_new_file_begins_before_one_grows_too_large(tmp_path: Path) -> None:
    files = Files(tmp_path / "run.mcap", {}, lambda: Books({}), split=Split(size=5000))
    catalog = Catalog()
    for _ in range(4):
        files.add(chunk(catalog, size=3000))
    files.close()
    assert [path.name for path in files.paths] == [f"run-00{n}.mcap" for n in (1, 2, 3, 4)]
    assert counts(files) == [1, 1, 1, 1]
    assert [metadata(path, "ipcpy")[0]["part"] for path in files.paths] == ["1", "2", "3", "4"]
    assert files.size == sum(path.stat().st_size for path in files.paths)


def test_a_new_file_begins_after_some_time(tmp_path: Path) -> None:
    files = Files(tmp_path / "run.mcap", {}, lambda: Books({}), split=Split(ns=2 * SECOND))
    catalog = Catalog()
    for n in range(7):
        files.add(chunk(catalog, n * SECOND))
    files.close()
    assert counts(files) == [3, 3, 1]


def test_another_catalog_is_another_file(tmp_path: Path) -> None:
    files = Files(tmp_path / "run.mcap", {}, lambda: Books({}))
    for catalog in (Catalog(), Catalog()):
        files.add(chunk(catalog))
        files.add(chunk(catalog))
    files.close()
    assert [path.name for path in files.paths] == ["run.mcap", "run-2.mcap"]
    assert counts(files) == [2, 2]


def test_books_are_written_soon_after_a_loss_seldom_without_and_at_the_end(tmp_path: Path, monkeypatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    books = [Books({"a": "0"})]
    files = Files(tmp_path / "run.mcap", {}, lambda: books[0], split=Split(size=5000))
    catalog = Catalog()
    files.add(chunk(catalog, size=3000))
    for second in range(1, 26):
        now[0] += 1
        books[0] = Books({"a": str(second)}, int(second >= 15))
        files.tick()
    files.add(chunk(catalog, size=3000))
    files.close()
    files.close()
    assert [metadata(path, "ipcpy.books") for path in files.paths] == [
        [{"a": "11"}, {"a": "15"}, {"a": "25"}],
        [{"a": "25"}],
    ]


def test_large_books_are_written_less_often(tmp_path: Path, monkeypatch) -> None:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    lost = iter(range(1000))
    files = Files(tmp_path / "run.mcap", {}, lambda: Books({"a": "x" * (640 << 10)}, next(lost)))
    for _ in range(40):
        now[0] += 1
        files.tick()
    files.close()
    assert len(metadata(files.path, "ipcpy.books")) == 5  # every 10 s, and at the end


def test_a_file_that_is_there_is_told_at_once_and_later_ones_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "run-002.mcap").write_text("precious")
    files = Files(tmp_path / "run.mcap", {}, lambda: Books({}), split=Split(size=5000))
    catalog = Catalog()
    files.add(chunk(catalog, size=3000))
    with pytest.raises(ipc.ArgumentError, match="run-002.mcap is there already"):
        files.add(chunk(catalog, size=3000))
    assert (tmp_path / "run-002.mcap").read_text() == "precious"
    with pytest.raises(ipc.ArgumentError, match="run-001.mcap is there already"):
        Files(tmp_path / "run.mcap", {}, lambda: Books({}), split=Split(size=5000))


def test_what_was_not_begun_leaves_nothing(tmp_path: Path) -> None:
    Files(tmp_path / "run.mcap", {}, lambda: Books({})).discard()
    assert list(tmp_path.iterdir()) == []
