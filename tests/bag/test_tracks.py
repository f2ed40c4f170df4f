"""Tracks: names that others gave become topics, and what is known of a publisher is kept."""

from __future__ import annotations

import pytest

from ipcpy.bag.form import Origin
from ipcpy.bag.tracks import Track, topic_name

pytest.importorskip("mcap", reason="needs ipcpy[bag]")

from mcap.records import Channel  # noqa: E402


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("imu", "imu"),
        ("/imu", "imu"),
        ("/camera/image raw", "camera/image_raw"),
        ("//a//b/", "a/b"),
        ("a/*/b", "a/_/b"),
        ("a/#/+", "a/_/_"),
        ("", "unnamed"),
        ("/", "unnamed"),
        ("a\nb", "a_b"),
        ("e\u0301", "\xe9"),
        ("x" * 300, "x" * 255),
    ],
)
def test_a_name_becomes_a_topic(told, expected):
    assert topic_name(told) == expected


def test_a_track_of_ours_knows_its_publisher():
    origin = Origin("imu", "00000000000000ab", "raw", high=3, reliable=True, keep=5, node="driver", host="robot7")
    track = Track(Channel(4, "imu/Type", "raw", origin.metadata(), 0), None)
    assert (track.topic, track.publisher, track.node, track.host) == ("imu", "00000000000000ab", "driver", "robot7")
    assert (track.reliable, track.keep, track.seq(7)) == (True, 5, (3 << 32) + 7)


def test_a_track_of_others_is_told_by_its_channel():
    track = Track(Channel(4, "/imu", "json", {}, 0), None)
    assert (track.topic, track.publisher, track.reliable, track.keep) == ("imu", f"{4:016x}", False, 0)


@pytest.mark.parametrize(
    ("profiles", "keep"),
    [
        ("- history: 1\n  depth: 1\n  reliability: 1\n  durability: 1\n", 1),
        ("- history: keep_last\n  depth: 10\n  durability: transient_local\n", 10),
        ("- depth: 0\n  durability: transient_local\n", 1),
        ("- depth: 10\n  durability: 2\n", 0),
        ("- durability: volatile\n", 0),
        ("", 0),
    ],
)
def test_a_latched_topic_of_ros_is_latched(profiles, keep):
    assert Track(Channel(4, "/map", "cdr", {"offered_qos_profiles": profiles}, 0), None).keep == keep


def test_metadata_that_are_damaged_make_it_one_of_others():
    metadata = Origin("imu", "00000000000000ab", "raw").metadata() | {"ipcpy.high": "much"}
    track = Track(Channel(4, "imu", "raw", metadata, 0), None)
    assert track.publisher == f"{4:016x}"
    assert "is unknown" in track.reading.note
