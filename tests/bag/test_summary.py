"""The summary of a file is read where it holds, and only there."""

from __future__ import annotations

import pytest

import tapes
from ipcpy.bag.opened import Opened
from ipcpy.bag.summary import read_summary


@pytest.fixture
def file(tmp_path):
    with tapes.tape(tmp_path / "x.mcap", chunk_size=300) as tape:
        for n in range(50):
            tape.add("a", n, n)
        tape.writer.add_metadata("about", {"key": "value"})
        tape.writer.add_attachment(1, 2, "notes.txt", "text/plain", b"hello")
    opened = Opened(tmp_path / "x.mcap")
    yield opened
    opened.close()


def test_it_says_where_messages_are_and_how_many(file):
    found = read_summary(file)
    assert sum(found.counts.values()) == 100  # each has an original beside it
    assert len(found.blocks) > 5
    assert found.blocks[0].first_ns == tapes.START
    assert found.blocks[-1].last_ns == tapes.START + 49_000_000_000
    assert [block.offset for block in found.blocks] == sorted(block.offset for block in found.blocks)
    assert (len(found.metadata), len(found.attachments)) == (1, 1)


def test_a_file_without_a_summary_has_none_and_no_damage(tmp_path):
    from mcap.writer import IndexType

    options = {"index_types": IndexType.NONE, "use_statistics": False, "use_summary_offsets": False}
    path = tmp_path / "x.mcap"
    with tapes.foreign(path, repeat_channels=False, repeat_schemas=False, **options) as writer:
        writer.add_message(writer.register_channel("x", "json", 0), 1, b"1", 1)
    opened = Opened(path)
    assert read_summary(opened) is None
    assert opened.damage == []
    assert sum(opened.contents.counts.values()) == 1
    opened.close()


def test_statistics_that_leave_out_channels_are_not_believed(tmp_path, monkeypatch):
    from mcap.records import Statistics

    write = Statistics.write

    def forget(self, stream):
        self.channel_message_counts = {}
        write(self, stream)

    monkeypatch.setattr(Statistics, "write", forget)
    with tapes.foreign(tmp_path / "x.mcap") as writer:
        writer.add_message(writer.register_channel("x", "json", 0), 1, b"1", 1)
    opened = Opened(tmp_path / "x.mcap")
    assert read_summary(opened) is None
    assert dict(opened.contents.counts) == {1: 1}
    opened.close()
