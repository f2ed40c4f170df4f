from __future__ import annotations

import errno
import os
import struct
import sys
from collections import namedtuple
from pathlib import Path

import pytest

import ipcpy as ipc
from bags import books, digest, metadata, read, streamed, summary
from ipcpy.bag import recorder as module
from ipcpy.bag.mcapfile import McapFile
from ipcpy.testing import MemoryNetwork

pytest.importorskip("mcap", reason="needs ipcpy[bag]")

Imu = namedtuple("Imu", "t x y")
Odd = namedtuple("Odd", "a b")
LIBRARY = ipc.MsgLibrary({23: ("<q2f", Imu), 24: ("<Bxd", Odd)})


@pytest.fixture
def network():
    with MemoryNetwork() as network:
        yield network


class Bytes:
    """A codec that publishes bodies."""

    def __init__(self, name: str, schema=None) -> None:
        self.name, self.schema = name, schema or {}

    def encode(self, data: bytes) -> bytes:
        return data

    def decode(self, body: bytes) -> bytes:
        return body


def publisher(network, topic, codec=None, **options):
    pub = ipc.Publisher(topic, codec, node=network.node(f"robot {topic}"), **options)
    pub.wait_for_subscribers(timeout=10)
    return pub


def test_what_was_published_is_in_the_file_byte_for_byte(network, tmp_path: Path, wait_until) -> None:
    np = pytest.importorskip("numpy")
    image = np.arange(480 * 640 * 3, dtype="u4").astype("u1").reshape(480, 640, 3)
    nan = struct.pack("<2sHHB", b"\xff\xff", 24, 17, 0) + b"\1\7" + b"\xff" * 8  # padding, a NaN, a wrong check byte
    published = {
        "imu": ("struct", LIBRARY.schema, [LIBRARY.encode(Imu(n, n / 3, float("nan"))) for n in range(50)] + [nan]),
        "doc": ("msgpack", {}, [ipc.MsgPack().encode(data) for data in ({"a": 1, "b": b"x"}, [1, None], "é", {1: 2})]),
        "cam": ("msgpack", {}, [b"".join(ipc.MsgPack().encode(image)), b"".join(ipc.MsgPack().encode({"i": image}))]),
        "raw": ("raw", {}, [b"", b"\0" * 100, os.urandom(200_000)]),
        "own": ("odd one", {"x": [1]}, [b"anything", b"\xc1"]),
        "lie": ("msgpack", {}, [b"\xc1 no msgpack", b"\xc9\0\0\0\1N"]),
    }
    with ipc.Recorder(tmp_path / "run.mcap", node=network.node("recorder")) as recorder:
        ids = {}
        for topic, (name, schema, bodies) in published.items():
            pub = publisher(network, topic, Bytes(name, schema), reliable=True)
            ids[topic] = pub.id
            for body in bodies:
                pub.publish(body)
        wait_until(lambda: recorder.stats.messages == sum(len(bodies) for _, _, bodies in published.values()))
    found: dict[str, list] = {topic: [] for topic in published}
    for message in read(recorder.path):
        found[message.topic].append(message)
    for topic, (name, schema, bodies) in published.items():
        assert digest(m.body for m in found[topic]) == digest(bodies), topic
        assert [m.seq for m in found[topic]] == list(range(1, len(bodies) + 1))
        for message in found[topic]:
            assert message.publisher == ids[topic]
            assert (message.origin.codec, message.origin.schema) == (name, schema)
            assert (message.origin.node, message.origin.reliable) == (f"robot {topic}", True)
            assert message.sent_ns <= message.received_ns
    told = books(recorder.path)
    for topic, (_, _, bodies) in published.items():
        assert told[ids[topic]]["recorded"] == told[ids[topic]]["received"] == len(bodies)
        assert told[ids[topic]]["lost"] == {}


def test_second_readers_read_the_values_that_were_published(network, tmp_path: Path) -> None:
    reader = pytest.importorskip("mcap_ros2.reader", reason="needs mcap-ros2-support")
    with ipc.Recorder(tmp_path / "run.mcap", node=network.node("recorder")) as recorder:
        pub = publisher(network, "imu", LIBRARY)
        for n in range(5):
            pub.publish(Imu(n, n / 2, -n))
        pub.publish(Odd(3, 2.5))
    seen = [(m.channel.topic, m.ros_msg) for m in reader.read_ros2_messages(str(recorder.path))]
    assert [(m.t, m.x, m.y) for topic, m in seen if topic == "imu/Imu"] == [(n, n / 2, -n) for n in range(5)]
    assert [(m.a, m.b) for topic, m in seen if topic == "imu/Odd"] == [(3, 2.5)]


def test_rosbags_reads_them_too(network, tmp_path: Path) -> None:
    rosbags = pytest.importorskip("rosbags.highlevel", reason="needs rosbags")
    with ipc.Recorder(tmp_path / "run.mcap", node=network.node("recorder")) as recorder:
        pub = publisher(network, "imu", LIBRARY)
        for n in range(5):
            pub.publish(Imu(n, n / 2, -n))
    with rosbags.AnyReader([recorder.path]) as reader:
        seen = [reader.deserialize(data, connection.msgtype) for connection, _, data in reader.messages()]
    assert [(m.t, m.x, m.y) for m in seen] == [(n, n / 2, -n) for n in range(5)]


def test_stats_say_what_was_recorded(network, tmp_path: Path, wait_until) -> None:
    with ipc.Recorder(tmp_path / "run.mcap", "r/*", node=network.node("recorder")) as recorder:
        one, other = publisher(network, "r/imu", LIBRARY), publisher(network, "r/doc")
        for n in range(10):
            one.publish(Imu(n, 0, 0))
        other.publish({"a": 1})
        wait_until(lambda: recorder.stats.messages == 11)
        assert recorder.stats.disk_left > 0
    stats = recorder.stats
    assert {topic: each.messages for topic, each in stats.topics.items()} == {"r/doc": 1, "r/imu": 10}
    assert stats.topics["r/imu"].bytes == 10 * 23
    assert stats.topics["r/imu"].first_ns <= stats.topics["r/imu"].last_ns
    assert stats.lost == {}
    assert stats.file_bytes == recorder.path.stat().st_size
    assert summary(recorder.path).statistics.message_count == 12  # with the original of the dict


@pytest.mark.parametrize("compression", ["zstd", "lz4", "none"])
def test_compressions(network, tmp_path: Path, compression: str, wait_until) -> None:
    with ipc.Recorder(tmp_path / "a.mcap", "raw", compression=compression, node=network.node("rec")) as recorder:
        publisher(network, "raw", ipc.Raw()).publish(bytes(500_000))
        wait_until(lambda: recorder.stats.messages)
    (message,) = read(recorder.path)
    assert message.body == bytes(500_000)
    assert (recorder.path.stat().st_size < 100_000) is (compression != "none")


def test_splits_begin_anew_and_lose_nothing(network, tmp_path: Path, wait_until) -> None:
    options = {"split_size": 1 << 16, "compression": "none"}
    with ipc.Recorder(tmp_path / "run.mcap", "raw", node=network.node("recorder"), **options) as recorder:
        pub = publisher(network, "raw", ipc.Raw())
        for n in range(4):
            pub.publish(bytes([n]) * 1_100_000)
            wait_until(lambda n=n: recorder.stats.messages == n + 1)
    assert [path.name for path in recorder.paths] == [f"run-00{n}.mcap" for n in (1, 2, 3, 4)]
    assert [message.body[:1] for path in recorder.paths for message in read(path)] == [b"\0", b"\1", b"\2", b"\3"]


def test_a_rate_thins_out_and_says_so(network, tmp_path: Path, wait_until) -> None:
    with ipc.Recorder(tmp_path / "a.mcap", "imu", max_rate=0.001, node=network.node("recorder")) as recorder:
        pub = publisher(network, "imu", LIBRARY)
        for n in range(20):
            pub.publish(Imu(n, 0, 0))
        wait_until(lambda: recorder.stats.topics.get("imu", module.TopicStats()).thinned == 19)
    assert recorder.stats.messages == 1
    assert books(recorder.path)[pub.id]["thinned"] == 19


def test_what_is_said_of_a_recording(network, tmp_path: Path) -> None:
    with ipc.Recorder(tmp_path / "a.mcap", node=network.node("recorder")) as recorder:
        pass
    (told,) = metadata(recorder.path, "ipcpy")
    assert (told["node"], told["domain"], told["part"]) == ("recorder", network.domain, "1")
    assert told["host"] and int(told["began_ns"]) > 0


def test_a_full_disk_ends_it_with_a_sentence_and_a_good_file(network, tmp_path: Path, monkeypatch, wait_until) -> None:
    real = McapFile._write_part

    def write(self, part) -> None:
        if self.size > 300_000 and len(part) > 10_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(self, part)

    monkeypatch.setattr(McapFile, "_write_part", write)
    recorder = ipc.Recorder(tmp_path / "a.mcap", "raw", compression="none", node=network.node("recorder"))
    pub = publisher(network, "raw", ipc.Raw())
    for _ in range(2):
        pub.publish(bytes(1_100_000))
    wait_until(lambda: recorder.failure is not None)
    assert "the disk is full" in str(recorder.failure)
    pub.publish(bytes(1_100_000))
    wait_until(lambda: recorder.stats.lost.get("disk") == 2)
    with pytest.raises(ipc.TransportError, match="the disk is full"):
        recorder.close()
    recorder.close()
    assert recorder.stats.messages == 1
    assert len(list(read(recorder.path))) == 1
    assert summary(recorder.path).statistics.message_count == 1


def test_a_recorder_that_is_killed_leaves_what_it_wrote(spawn, tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    recording = spawn(
        f"""
        import time, ipcpy as ipc
        recorder = ipc.Recorder({str(path)!r}, "imu")
        pub = ipc.Publisher("imu")
        pub.wait_for_subscribers(timeout=10)
        for n in range(100_000):
            pub.publish(n)
            if recorder.stats.file_bytes > 20_000:
                print("enough", recorder.stats.file_bytes, flush=True)
                time.sleep(60)
            time.sleep(0.001)
        """
    )
    size = int(recording.wait_line(r"enough (\d+)", timeout=30)[1])
    recording.kill()
    assert path.stat().st_size >= size
    assert streamed(path) > 100


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"compression": "gzip"}, "compression is one of zstd, lz4, none, got 'gzip'"),
        ({"split_size": 100}, "split_size is a number of bytes from 65536"),
        ({"split_size": True}, "split_size"),
        ({"split_seconds": 0}, "split_seconds is a number of seconds above 0"),
        ({"max_rate": -1}, "max_rate is a number of messages a second"),
        ({"topics": []}, "topics are names or patterns"),
        ({"topics": "a b"}, "a topic is a name"),
        ({"path": ""}, "path is the name of a file"),
        ({"path": 5}, "path is the name of a file"),
        ({"path": "a\0b"}, "without NUL"),
        ({"path": "/none/at/all.mcap"}, "there is no directory"),
    ],
)
def test_wrong_arguments_are_refused_and_leave_nothing(network, tmp_path: Path, arguments, match: str) -> None:
    with pytest.raises(ipc.ArgumentError, match=match):
        ipc.Recorder(**{"path": tmp_path / "a.mcap", "node": network.node("recorder"), **arguments})
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_argument_costs_no_file_that_was_to_be_overwritten(network, tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    path.write_text("precious")
    for wrong in ({"topics": "a b"}, {"exclude": ["a b"]}, {"max_rate": 0}):
        with pytest.raises(ipc.ArgumentError):
            ipc.Recorder(path, force=True, node=network.node("recorder"), **wrong)
    assert path.read_text() == "precious"


def test_a_file_that_is_there_stays_unless_it_is_to_be_overwritten(network, tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    path.write_text("precious")
    with pytest.raises(ipc.ArgumentError, match="is there already"):
        ipc.Recorder(path, node=network.node("recorder"))
    assert path.read_text() == "precious"
    with ipc.Recorder(path, force=True, node=network.node("recorder")):
        pass
    assert list(read(path)) == []


def test_a_name_is_made_of_the_time(network, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with ipc.Recorder(node=network.node("recorder")) as recorder:
        assert repr(recorder).startswith("<ipcpy.Recorder 'ipcpy-20")
    assert [path.name for path in tmp_path.iterdir()] == [recorder.path.name]
    with pytest.raises(ipc.ClosedError):
        recorder.__enter__()


def test_without_a_node_it_has_one_of_its_own_and_closes_it(tmp_path: Path) -> None:
    with ipc.Recorder(tmp_path / "a.mcap", "own/imu") as recorder, ipc.Publisher("own/imu") as pub:
        pub.wait_for_subscribers(timeout=10)
        pub.publish(5)
    assert [message.body for message in read(recorder.path)] == [b"\x05"]
    assert not any(thread.name.startswith("ipcpy recording") for thread in sys.modules["threading"].enumerate())
