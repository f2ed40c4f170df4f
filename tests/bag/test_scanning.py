"""A file without a usable summary is looked through: what is whole is found, and where it broke off is told."""

from __future__ import annotations

import pytest

import tapes
from ipcpy.bag import scanning
from ipcpy.bag.opened import Opened
from ipcpy.bag.scanning import scan


@pytest.fixture
def opened(request, tmp_path):
    with tapes.tape(tmp_path / "x.mcap", chunk_size=300, use_chunking=request.param) as tape:
        for n in range(50):
            tape.add("a", n, n)
        tape.writer.add_metadata("about", {"key": "value"})
    file = Opened(tmp_path / "x.mcap")
    yield file
    file.close()


def start(file):
    return 8 + 9 + len(file.record(8)[1])


@pytest.mark.parametrize("opened", [True, False], indirect=True)
def test_it_finds_what_the_summary_says(opened):
    found = scan(opened, start(opened))
    assert sum(found.counts.values()) == 100
    assert {channel.topic for channel in found.definitions.channels.values()} == {"a", "ipcpy/originals"}
    assert len(found.metadata) == 1
    assert min(block.first_ns for block in found.blocks) == tapes.START
    assert max(block.last_ns for block in found.blocks) == tapes.START + 49_000_000_000
    assert opened.damage == []


@pytest.mark.parametrize("opened", [False], indirect=True)
def test_records_that_lie_as_they_are_are_looked_at_in_runs(opened, monkeypatch):
    monkeypatch.setattr(scanning, "RUN", 1000)
    found = scan(opened, start(opened))
    assert len(found.blocks) > 3
    assert all(block.loose for block in found.blocks)
    assert sum(len(opened.entries(block)) for block in found.blocks) == 100


@pytest.mark.parametrize("opened", [True], indirect=True)
def test_a_chunk_that_is_lost_is_told(opened, monkeypatch):
    def lose(content):
        raise scanning.CodecError("it is broken")

    monkeypatch.setattr(scanning, "decompress", lose)
    assert scan(opened, start(opened)).blocks == []
    assert "is lost: it is broken" in opened.damage[0]
