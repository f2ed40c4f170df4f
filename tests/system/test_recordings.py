"""Recordings as a whole: recorded, played and recorded again they are the same; what is killed can be recovered."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from random import Random

import pytest

import bags
import ipcpy as ipc

pytest.importorskip("mcap", reason="needs ipcpy[bag]")

IPCPY = [sys.executable, "-m", "ipcpy.cli"]
MOMENTS = 50 if os.environ.get("LONG_TESTS") else 2  # at which the recorder is killed

ROBOT = """
    import time
    from collections import namedtuple
    import numpy as np
    import ipcpy as ipc
    Imu = namedtuple("Imu", "gx gy gz t")
    Odd = namedtuple("Odd", "flag value note")
    messages = ipc.MsgLibrary({23: ("<3fd", Imu), 24: ("<b3xe9s", Odd)})
    imu = ipc.Publisher("robot/imu", messages, reliable=True)
    state = ipc.Publisher("robot/state", reliable=True)
    raw = ipc.Publisher("robot/raw", ipc.Raw(), reliable=True)
    camera = ipc.Publisher("robot/camera", reliable=True)
    latched = ipc.Publisher("robot/map", keep=2)
    for n in range(5):
        latched.publish({"map": n})
    for each in (imu, state, raw, camera):
        each.wait_for_subscribers(1, timeout=20)
    image = np.arange(200 * 300 * 3, dtype=np.uint8).reshape(200, 300, 3)
    for n in range(200):
        imu.publish(Imu(n, n / 3, float("nan"), time.time()))
        imu.publish(Odd(n % 100, n / 7, b"\\0a\\0" + bytes([n])))
        state.publish({"n": n, "pose": (1.5, n), "bytes": bytes([n])})
        raw.publish(bytes([n]) * n)
        if n % 10 == 0:
            image[0, 0] = n
            camera.publish(image)
            state.publish({"n": n, "image": image})
    time.sleep(600)
"""
CAMERA = """
    import hashlib, time
    import numpy as np
    import ipcpy as ipc
    camera = ipc.Publisher("camera", reliable=True)
    raw = ipc.Publisher("raw", ipc.Raw(), reliable=True)
    for each in (camera, raw):
        each.wait_for_subscribers(1, timeout=20)
        while "through shared memory" not in each.why():
            each.publish(bytes(40_000))
            time.sleep(0.01)
    before = camera.stats.shared, raw.stats.shared
    dice, bodies = np.random.default_rng(14), {"camera": [], "raw": []}
    for n in range(60):
        image = dice.integers(0, 256, (512, 683, 3), "u1")
        camera.publish(image)
        bodies["camera"].append(b"".join(ipc.MsgPack().encode(image)))
        camera.publish({"n": n, "left": image, "depth": image[:, :, 0].astype("f4")})
        raw.publish(image.tobytes())
        bodies["raw"].append(image.tobytes())
    for topic, made in bodies.items():
        print(topic, hashlib.sha256(b"".join(made)).hexdigest(), flush=True)
    print("shared", camera.stats.shared - before[0], raw.stats.shared - before[1], flush=True)
    print("published", camera.stats.published + raw.stats.published, flush=True)
    input()
"""
FLOOD = """
    import itertools, time
    from collections import namedtuple
    import ipcpy as ipc
    Imu = namedtuple("Imu", "n gx gy")
    imu = ipc.Publisher("imu", ipc.MsgLibrary({23: ("<Q2d", Imu)}))
    state = ipc.Publisher("state")
    imu.wait_for_subscribers(1, timeout=20)
    print("ready", flush=True)
    for n in itertools.count():
        imu.publish_many([Imu(n * 20 + m, 0.5, -m) for m in range(20)])
        time.sleep(0.001)
        state.publish({"n": n, "blob": bytes(20_000)})
"""


def started(recorder):
    recorder.wait_line("recording into", stream="stderr")
    return recorder


def told(path):
    """Return how many messages each topic has, its codec and its schema."""
    with ipc.Bag(path) as bag:
        assert bag.damage == ()
        return {topic.name: (topic.messages, topic.codec, topic.schema) for topic in bag.topics()}


def test_what_was_recorded_and_played_and_recorded_again_is_the_same(spawn, tmp_path, wait_until):
    pytest.importorskip("numpy", reason="needs ipcpy[numpy]")
    counts = {"robot/camera": 20, "robot/imu": 400, "robot/map": 2, "robot/raw": 200, "robot/state": 220}
    first, second = tmp_path / "first.mcap", tmp_path / "second.mcap"
    with ipc.Recorder(first, "robot/**") as recorder:
        robot = spawn(ROBOT)
        wait_until(lambda: recorder.stats.messages == sum(counts.values()), timeout=40)
        robot.kill()
    with ipc.Recorder(second, "robot/**") as recorder:
        spawn([*IPCPY, "play", str(first), "--wait", "1", "--timeout", "20", "--rate", "4"]).succeed(120)
        wait_until(lambda: recorder.stats.messages == sum(counts.values()), timeout=40)
    assert {name: count for name, (count, *_) in told(first).items()} == counts
    assert told(second) == told(first)
    assert bodies(second) == bodies(first)


def bodies(path):
    """Return a digest of the published bytes of each topic, read by mcap alone."""
    by_topic = {}
    for message in bags.read(path):
        by_topic.setdefault(message.topic, []).append(message.body)
    return {topic: bags.digest(found) for topic, found in by_topic.items()}


@pytest.mark.timeout(60 + 20 * MOMENTS)
def test_a_recorder_killed_at_any_moment_loses_what_it_had_not_written_only(spawn, tmp_path):
    dice = Random(14)
    flood = spawn(FLOOD)
    for moment in range(MOMENTS):
        path = tmp_path / f"{moment}.mcap"
        recorder = started(spawn([*IPCPY, "record", "imu", "state", "-o", str(path)]))
        if not moment:
            flood.wait_line("ready", 30)
        until = time.monotonic() + 0.2 + dice.random()  # the moment is what is tested
        while time.monotonic() < until:
            time.sleep(0.01)
        recorder.kill()
        recorded = check_cut(path)
        done = spawn([*IPCPY, "bag", "recover", str(path)])
        assert done.wait(60) == 0, done.stderr
        check_recovered(path.with_suffix(".recovered.mcap"), recorded)
        path.unlink()


def check_cut(path):
    """Look at what a killed recorder left, and return it."""
    with ipc.Bag(path) as bag:
        assert "was not closed" in bag.damage[0]
        return list(bag.messages())


def check_recovered(path, recorded):
    with ipc.Bag(path) as bag:
        assert bag.verify() == ()
        found = list(bag.messages())
    assert found == recorded
    for topic in ("imu", "state"):
        numbers = [message.seq for message in found if message.topic == topic]
        assert numbers == sorted(set(numbers))
    for message in found:
        assert message.data.n == message.seq - 1 if message.topic == "imu" else message.data["n"] == message.seq - 1
    path.unlink()


# -- shared memory -----------------------------------------------------------------------------------------------------

linux = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="memory is shared on Linux")
MB = 1_000_000


@linux
@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_images_that_come_through_shared_memory_are_recorded_bit_for_bit(spawn, tmp_path, wait_until, compression):
    pytest.importorskip("numpy", reason="needs ipcpy[numpy]")
    path = tmp_path / "images.mcap"
    with ipc.Recorder(path, "*", compression=compression) as recorder:
        robot = spawn(CAMERA)
        digests = {topic: robot.wait_line(rf"^{topic} (\w+)", timeout=60)[1] for topic in ("camera", "raw")}
        shared = list(map(int, robot.wait_line(r"shared (\d+) (\d+)").groups()))
        published = int(robot.wait_line(r"published (\d+)")[1])
        wait_until(lambda: recorder.stats.messages == published, timeout=40)
    assert min(shared) > 30
    found = [(message.topic, message.body) for message in bags.read(path) if len(message.body) > MB]
    images, raw = ([body for topic, body in found if topic == each] for each in ("camera", "raw"))
    assert hashlib.sha256(b"".join(images[::2])).hexdigest() == digests["camera"]
    assert hashlib.sha256(b"".join(raw)).hexdigest() == digests["raw"]
    decoded = [ipc.MsgPack().decode(body) for body in images]
    assert [data["n"] for data in decoded[1::2]] == list(range(60))
    assert all((one == other["left"]).all() for one, other in zip(decoded[::2], decoded[1::2], strict=True))


@linux
def test_a_recorder_that_stands_still_costs_its_share_of_memory_and_nobody_a_message(
    spawn, tmp_path, wait_until, monkeypatch
):
    monkeypatch.setenv("IPCPY_SHM", "40")
    path, count, half = tmp_path / "raw.mcap", 200, 0
    recorder = started(spawn([*IPCPY, "record", "raw", "--compression", "none", "-o", str(path)]))
    with ipc.Publisher("raw", ipc.Raw()) as pub, ipc.Subscriber("raw", ipc.Raw()) as sub:
        pub.wait_for_subscribers(2, timeout=20)
        while pub.why().count("through shared memory") < 2:
            pub.publish(bytes(40_000))
            sub.recv(timeout=20)
        before = pub.stats.published
        recorder.signal(signal.SIGSTOP)
        for n in range(count):
            half = sub.stats.shared if n == count // 2 else half
            pub.publish(bytes([n]) * MB)
            assert bytes(sub.recv(timeout=20).data) == bytes([n]) * MB
        assert sub.stats.shared - half > 0.9 * count / 2, "who reads along is told of memory to the end"
        recorder.signal(signal.SIGCONT)
        wait_until(lambda: path.stat().st_size > before * 40_000 + 4 * MB, timeout=30)
        recorder.signal(signal.SIGINT)
        assert recorder.wait(30) == 0
    found = {message.seq - before: message.body for message in bags.read(path) if len(message.body) == MB}
    assert len(found) >= 4, "what it was told of before is still as it was"
    assert all(body == bytes([number - 1]) * MB for number, body in found.items())
