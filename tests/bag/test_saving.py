"""Saving: a part, several as one, or what is whole of a recording, byte for byte; and never over another file."""

from __future__ import annotations

import os
from collections import namedtuple
from pathlib import Path

import pytest

import tapes
from ipcpy.bag.bag import Bag
from ipcpy.codec import MsgLibrary, Raw
from ipcpy.errors import ArgumentError

pytest.importorskip("mcap", reason="needs ipcpy[bag]")

from mcap.reader import make_reader  # noqa: E402

np = pytest.importorskip("numpy", reason="needs ipcpy[numpy]")

Imu = namedtuple("Imu", "gx gy gz")
IMU = MsgLibrary({23: ("<3f", Imu)})


def fill(path, shift=0):
    image = np.zeros((120, 120, 3), np.uint8)
    with tapes.tape(path, chunk_size=3000) as tape:
        for n in range(60):
            tape.add("imu", Imu(n + shift, 0, 0), n / 10 + shift, IMU)
            if n % 10 == 0:
                tape.add("camera", {"n": n, "image": image}, n / 10 + shift)
                tape.add("raw", bytes([n]), n / 10 + shift, Raw())
        tape.writer.add_metadata("about", {"robot": "seven"})
        tape.writer.add_attachment(1, 2, "notes.txt", "text/plain", b"hello")
    return path


@pytest.fixture
def drive(tmp_path):
    return fill(tmp_path / "drive.mcap")


def shown(path):
    """Return what any reader sees: topics and bytes, those beside and second views included."""
    with open(path, "rb") as file:
        return [
            (channel.topic, schema and schema.name, channel.metadata, message.log_time, message.sequence, message.data)
            for schema, channel, message in make_reader(file, validate_crcs=True).iter_messages(log_time_order=False)
        ]


def bodies(path, **span):
    with Bag(path) as bag:
        return [(m.topic, m.seq, m.sent_ns, m.received_ns, m.publisher, repr(m.data)) for m in bag.messages(**span)]


@pytest.mark.parametrize("compression", ["zstd", "lz4", "none"])
def test_a_whole_recording_is_the_same_again(drive, tmp_path, compression):
    with Bag(drive) as bag:
        assert bag.save(tmp_path / "new.mcap", compression=compression) == 72
    assert sorted(shown(tmp_path / "new.mcap"), key=repr) == sorted(shown(drive), key=repr)
    assert bodies(tmp_path / "new.mcap") == bodies(drive)


def test_what_stands_beside_the_messages_is_written_too(drive, tmp_path):
    with Bag(drive) as bag:
        bag.save(tmp_path / "new.mcap", "imu")
    with open(tmp_path / "new.mcap", "rb") as file:
        reader = make_reader(file)
        assert [(each.name, each.metadata) for each in reader.iter_metadata()] == [("about", {"robot": "seven"})]
        assert [(each.name, each.data) for each in reader.iter_attachments()] == [("notes.txt", b"hello")]


def test_a_part_has_its_topics_and_span(drive, tmp_path):
    with Bag(drive) as bag:
        assert bag.save(tmp_path / "new.mcap", "imu", start=2, end=3) == 10
    assert bodies(tmp_path / "new.mcap") == bodies(drive, topics="imu", start=2, end=3)
    assert {topic for topic, *_ in shown(tmp_path / "new.mcap")} == {"imu"}


def test_a_part_begins_with_what_latched_topics_kept(tmp_path):
    """As if a recorder had begun at that moment: a map is published once, hours before."""
    with tapes.tape(tmp_path / "map.mcap") as tape:
        for n in range(4):
            tape.add("map", {"map": n}, n, keep=1)
            tape.add("imu", n, n + 10)
    with Bag(tmp_path / "map.mcap") as bag:
        assert bag.save(tmp_path / "new.mcap", start=11) == 4
    with Bag(tmp_path / "new.mcap") as bag:
        messages = list(bag.messages())
        assert [(message.topic, message.data) for message in messages] == [
            ("map", {"map": 3}),
            *(("imu", n) for n in (1, 2, 3)),
        ]
        assert bag.start_ns == messages[0].received_ns == tapes.START + 11_000_000_000
        assert messages[0].sent_ns < tapes.START + 3_000_000_000


def test_a_second_view_goes_with_its_topic(drive, tmp_path):
    with Bag(drive) as bag:
        assert bag.save(tmp_path / "new.mcap", "camera") == 6
    assert {topic for topic, *_ in shown(tmp_path / "new.mcap")} == {"camera", "camera/image", "ipcpy/originals"}
    assert bodies(tmp_path / "new.mcap") == bodies(drive, topics="camera")


def test_several_become_one_in_the_order_of_time(drive, tmp_path):
    other = fill(tmp_path / "other.mcap", shift=3)
    with Bag(drive, other) as bag:
        assert bag.save(tmp_path / "both.mcap") == 144
    found = bodies(tmp_path / "both.mcap")
    assert sorted(found) == sorted(bodies(drive) + bodies(other))
    assert [each[3] for each in found] == sorted(each[3] for each in found)
    with open(tmp_path / "both.mcap", "rb") as file:
        assert len(list(make_reader(file).iter_metadata())) == 1  # they say the same
    with Bag(tmp_path / "both.mcap") as bag:
        assert [topic.messages for topic in bag.topics()] == [12, 120, 12]


def test_a_part_that_is_ros_2_has_its_profile(drive, tmp_path):
    """Readers of ROS 2 refuse any other file."""
    for topics, profile in ((["imu"], "ros2"), (["imu", "raw"], ""), (None, "")):
        with Bag(drive) as bag:
            bag.save(tmp_path / "new.mcap", topics, force=True)
        with open(tmp_path / "new.mcap", "rb") as file:
            assert make_reader(file).get_header().profile == profile


def test_rosbags_reads_such_a_part(drive, tmp_path):
    rosbags = pytest.importorskip("rosbags.highlevel", reason="takes the package rosbags: pip install 'ipcpy[ros]'")
    with Bag(drive) as bag:
        bag.save(tmp_path / "new.mcap", "imu", start=1, end=2)
    with rosbags.AnyReader([tmp_path / "new.mcap"]) as reader:
        read = [reader.deserialize(raw, found.msgtype) for found, _, raw in reader.messages()]
    assert [message.gx for message in read] == list(range(10, 20))


def test_what_was_cut_off_becomes_a_whole_recording(drive, tmp_path):
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(drive.read_bytes()[:-3000])
    with Bag(cut) as bag:
        count = bag.save(tmp_path / "new.mcap")
        assert "was not closed" in bag.damage[0]
    with Bag(tmp_path / "new.mcap") as bag:
        assert bag.verify() == ()
        assert len(bag) == count > 20


def test_channels_of_others_stay_apart(tmp_path):
    """Two of one topic may be two publishers: nobody knows."""
    with tapes.foreign(tmp_path / "x.mcap") as writer:
        for n in range(2):
            writer.add_message(writer.register_channel("x", "json", 0), n, b"1", n)
    with Bag(tmp_path / "x.mcap") as bag:
        bag.save(tmp_path / "new.mcap")
    with Bag(tmp_path / "new.mcap") as bag:
        assert len(bag.topics()[0].publishers) == 2


# -- nothing is written over ------------------------------------------------------------------------------------------


def test_a_file_that_is_there_stays_unless_that_is_asked_for(drive, tmp_path):
    target = tmp_path / "new.mcap"
    target.write_text("precious")
    with Bag(drive) as bag:
        with pytest.raises(ArgumentError, match=r"is there already; choose another name, or --force"):
            bag.save(target)
        assert target.read_text() == "precious"
        bag.save(target, force=True)
    assert len(bodies(target)) == 72


def test_what_is_read_is_never_written_over(drive, tmp_path):
    os.link(drive, tmp_path / "same.mcap")
    with Bag(drive) as bag:
        for target in (drive, tmp_path / "same.mcap"):
            with pytest.raises(ArgumentError, match="is read here: name another file"):
                bag.save(target, force=True)
    assert len(bodies(drive)) == 72


def test_what_cannot_be_written_leaves_nothing_behind(drive, tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    (tmp_path / "out").mkdir()
    with Bag(drive) as bag, pytest.raises(OSError, match="No space left"):
        bag.save(tmp_path / "out" / "new.mcap")
    assert list((tmp_path / "out").iterdir()) == []


def test_wrong_targets_and_compressions_are_refused(drive, tmp_path):
    with Bag(drive) as bag:
        with pytest.raises(ArgumentError, match="is a directory; name a file in it"):
            bag.save(tmp_path)
        with pytest.raises(ArgumentError, match="saved under the path of a file, got 5"):
            bag.save(5)
        with pytest.raises(ArgumentError, match="one of zstd, lz4, none"):
            bag.save(tmp_path / "new.mcap", compression="zip")
        with pytest.raises(FileNotFoundError):
            bag.save(tmp_path / "no" / "folder.mcap")


def test_the_new_file_can_be_read_by_whom_new_files_can_be(drive, tmp_path):
    before = os.umask(0o027)
    try:
        with Bag(drive) as bag:
            bag.save(tmp_path / "new.mcap")
    finally:
        os.umask(before)
    assert Path(tmp_path / "new.mcap").stat().st_mode & 0o777 == 0o640
