"""A recording: topics are found by name and pattern, and its messages come in one order."""

from __future__ import annotations

import pytest

import tapes
from ipcpy.bag.recording import Recording
from ipcpy.errors import ArgumentError, CodecError
from tapes import START


@pytest.fixture
def recording(tmp_path):
    paths = [tmp_path / "a.mcap", tmp_path / "b.mcap"]
    for path in paths:
        with tapes.tape(path, chunk_size=200) as tape:
            for n in range(30):
                tape.add("robot/imu", n, n)
                tape.add(f"only/{path.stem}", n, n)
    made = Recording(paths)
    yield made
    made.close()


def topics(recording, wanted):
    return {recording.tracks[number].topic for number in recording.numbers(wanted)}


def test_topics_are_found_by_name_and_pattern(recording):
    assert topics(recording, "robot/imu") == {"robot/imu"}
    assert len(recording.numbers("robot/imu")) == 2
    assert topics(recording, "only/*") == {"only/a", "only/b"}
    assert topics(recording, ["only/a", "robot/**"]) == {"only/a", "robot/imu"}
    assert topics(recording, None) == {"only/a", "only/b", "robot/imu"}
    assert topics(recording, "/robot/imu") == {"robot/imu"}


def test_it_spans_from_the_first_message_to_the_last(recording):
    assert (recording.first_ns, recording.last_ns) == (START, START + 29_000_000_000)
    assert sum(recording.counts.values()) == 120


def test_runs_are_cut_at_both_ends(recording):
    numbers = recording.numbers("only/*")
    found = [e for run in recording.runs(numbers, START + 3_000_000_000, START + 5_000_000_000) for e in run]
    assert [entry.log_ns - START for entry in found] == [3_000_000_000] * 2 + [4_000_000_000] * 2
    assert all(entry.original is not None for entry in found)


def test_an_unknown_topic_names_those_there_are(recording):
    with pytest.raises(ArgumentError, match="no topic 'gps'; it has only/a, only/b, robot/imu"):
        recording.numbers("gps")
    with pytest.raises(ArgumentError, match=r"no topic 'nothing/\*'"):
        recording.numbers(["robot/imu", "nothing/*"])
    with pytest.raises(ArgumentError, match="stand for whole segments only"):
        recording.numbers("robot/i*")


def test_damage_names_the_file_where_there_are_several(recording, tmp_path):
    data = (tmp_path / "a.mcap").read_bytes()
    (tmp_path / "c.mcap").write_bytes(data[:-10])
    several, alone = Recording([tmp_path / "b.mcap", tmp_path / "c.mcap"]), Recording([tmp_path / "c.mcap"])
    assert several.damage[0].startswith(f"{tmp_path / 'c.mcap'}: the file was not closed")
    assert alone.damage[0].startswith("the file was not closed")
    several.close()
    alone.close()


def test_where_one_file_cannot_be_opened_none_stays_open(tmp_path):
    with tapes.tape(tmp_path / "a.mcap"):
        pass
    (tmp_path / "b.mcap").write_bytes(b"hello world")
    with pytest.raises(CodecError, match=r"b.mcap is no MCAP file"):
        Recording([tmp_path / "a.mcap", tmp_path / "b.mcap"])


def test_a_schema_that_is_not_there_is_told(tmp_path):
    with tapes.foreign(tmp_path / "x.mcap") as writer:
        writer.add_message(writer.register_channel("x", "json", 7), 1, b"1", 1)
    recording = Recording([tmp_path / "x.mcap"])
    assert recording.damage == ["channel 1 (x) has a schema 7 that is not there"]
    recording.close()


def test_as_many_channels_as_a_file_takes_are_read(tmp_path):
    """MCAP numbers channels with 16 bits, so that there are no more."""
    with tapes.foreign(tmp_path / "many.mcap") as writer:
        for n in range(20_000):
            writer.add_message(writer.register_channel(f"t/{n}", "json", 0), n, b"1", n)
    recording = Recording([tmp_path / "many.mcap"])
    assert len(recording.tracks) == 20_000
    assert len(recording.numbers("t/*")) == 20_000
    assert sum(len(run) for run in recording.runs(recording.numbers("t/777"), 0, 1 << 64)) == 1
    recording.close()
