"""The part that is played: its span, its tracks, and what latched topics kept before it."""

from __future__ import annotations

import pytest

import tapes
from ipcpy.bag.recording import Recording
from ipcpy.bag.reels import Reel
from ipcpy.parameters.owner import Values
from tapes import START

S = 1_000_000_000
END = (1 << 64) - 1


@pytest.fixture
def recording(tmp_path):
    with tapes.tape(tmp_path / "a.mcap") as tape:
        for n in range(10):
            tape.add("imu", n, n)
            tape.add("map", n, n + 0.5, keep=2)
    made = Recording([tmp_path / "a.mcap"])
    yield made
    made.close()


def numbers(recording, entries):
    return [recording.tracks[entry.channel].reading.data(entry) for entry in entries]


def test_it_has_the_messages_of_its_topics_and_span(recording):
    reel = Reel(recording, "imu", (START + 3 * S, START + 6 * S))
    assert numbers(recording, [entry for run in reel.runs() for entry in run]) == [3, 4, 5]
    assert (reel.first_ns, reel.last_ns) == (START + 3 * S, START + 6 * S)


def test_without_a_span_it_is_as_long_as_the_recording(recording):
    reel = Reel(recording, None, (0, END))
    assert (reel.first_ns, reel.last_ns) == (START, START + 9 * S + S // 2)
    assert reel.latched() == []


def test_latched_topics_kept_the_last_messages_before_it(recording):
    assert numbers(recording, Reel(recording, None, (START + 5 * S, END)).latched()) == [3, 4]
    assert Reel(recording, "imu", (START + 5 * S, END)).latched() == []


def test_topics_of_ipcpys_own_are_played_only_if_they_are_named(tmp_path):
    """One asks all black boxes to write."""
    with tapes.tape(tmp_path / "x.mcap") as tape:
        tape.add("imu", 1, 0)
        tape.add("ipcpy/blackbox/dump", {"reason": "then"}, 1)
    recording = Recording([tmp_path / "x.mcap"])
    for topics, expected in ((None, ["imu"]), ("ipcpy/**", ["ipcpy/blackbox/dump"])):
        assert [track.topic for track in Reel(recording, topics, (0, END)).tracks.values()] == expected
    recording.close()


def test_tracks_without_messages_are_left_out(tmp_path):
    with tapes.foreign(tmp_path / "x.mcap") as writer:
        writer.register_channel("silent", "json", 0)
        writer.add_message(writer.register_channel("loud", "json", 0), 1, b"1", 1)
    recording = Recording([tmp_path / "x.mcap"])
    assert [track.topic for track in Reel(recording, None, (0, END)).tracks.values()] == ["loud"]
    recording.close()


def test_parameters_are_played_if_they_are_named_only(tmp_path):
    with tapes.tape(tmp_path / "a.mcap") as tape:
        tape.add("camera/parameters", {"gain": 1.0}, 0, Values({"gain": "float"}))
        tape.add("arm/parameters", {"gain": 1.0}, 1)
    recording = Recording([tmp_path / "a.mcap"])
    everything = (0, END)
    assert {track.topic for track in Reel(recording, None, everything).tracks.values()} == {"arm/parameters"}
    assert len(Reel(recording, "**", everything).tracks) == 2
    recording.close()
