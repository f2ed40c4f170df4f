"""Replay: nodes under test get a recording message by message, and what they publish is the same each time."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

import tapes
from ipcpy import ArgumentError, ClosedError, Publisher, RecvTimeout, Subscriber
from ipcpy.testing import MemoryNetwork, Replay


@pytest.fixture
def drive(tmp_path):
    path = tmp_path / "drive.mcap"
    with tapes.tape(path) as tape:
        for n in range(60):
            tape.add("imu", n, n / 1000)
            if n % 3 == 0:
                tape.add("gps", -n, n / 1000 + 0.0002)
    return path


def test_what_a_callback_publishes_is_returned(drive, ipcpy_replay, ipcpy_node):
    pose = Publisher("pose")
    sub = Subscriber("imu", callback=lambda message: pose.publish(message.data * 2))
    poses = ipcpy_replay(drive, collect="pose")
    assert [message.data for message in poses] == [2 * n for n in range(60)]
    assert {message.topic for message in poses} == {"pose"}
    sub.close()


def test_a_slow_node_loses_nothing(tmp_path, ipcpy_replay, ipcpy_node):
    """Its inbox holds one message: at any other pace most would be lost."""
    with tapes.tape(tmp_path / "fast.mcap") as tape:
        for n in range(20):
            tape.add("imu", n, n / 1e6)
    seen = []

    def work(message):
        time.sleep(0.002)  # the work itself
        seen.append(message.data)

    with Subscriber("imu", depth=1, callback=work):
        ipcpy_replay(tmp_path / "fast.mcap")
    assert seen == list(range(20))


def test_a_chain_of_nodes_is_done_before_the_next_message(drive, ipcpy_network, ipcpy_replay):
    """The last node joins what two topics say; in which order they come decides what it publishes."""
    first, second, last = (ipcpy_network.node(name) for name in ("first", "second", "last"))
    middle, out = Publisher("middle", node=first), Publisher("out", node=last)
    state = {"gps": 0}

    def run():
        sub = Subscriber("middle", node=second)
        join = Publisher("joined", node=second)
        ready.set()
        try:
            for message in sub:
                join.publish([message.data, state["gps"]])
        except ClosedError:
            pass

    ready = threading.Event()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(30)
    subs = [
        Subscriber("imu", node=first, callback=lambda message: middle.publish(message.data)),
        Subscriber("gps", node=last, callback=lambda message: state.update(gps=message.data)),
        Subscriber("joined", node=last, callback=lambda message: out.publish(message.data)),
    ]
    middle.wait_for_subscribers(1, timeout=10)
    expected = [[n, -((n - 1) // 3 * 3) if n else 0] for n in range(60)]
    for _ in range(2):
        state["gps"] = 0
        assert [message.data for message in ipcpy_replay(drive, collect="out")] == expected
    for sub in subs:
        sub.close()


def test_a_coroutine_is_waited_for(drive, ipcpy_replay, ipcpy_node):
    async def main():
        out = Publisher("out")
        with Subscriber("gps") as sub:

            async def node():
                async for message in sub:
                    await asyncio.sleep(0)
                    out.publish(message.data)

            task = asyncio.create_task(node())
            published = await asyncio.to_thread(ipcpy_replay, drive, topics="gps", collect="out")
            task.cancel()
            return published

    assert [message.data for message in asyncio.run(main())] == [-n for n in range(0, 60, 3)]


def test_steps_let_the_test_itself_read(drive, ipcpy_replay, ipcpy_node):
    sub, out = Subscriber("imu"), Publisher("out")
    recorded = []
    for message in ipcpy_replay.steps(drive, topics=["imu", "gps"], start=0.010, end=0.020, collect="out"):
        recorded.append((message.topic, message.data))
        if message.topic == "imu":
            assert sub.recv(0).data == message.data
            out.publish(message.data)
    assert recorded[:3] == [("imu", 10), ("imu", 11), ("imu", 12)]
    assert ("gps", -12) in recorded
    assert [message.data for message in ipcpy_replay.published] == list(range(10, 20))


def test_a_subscriber_at_which_nobody_waits_is_named(drive, ipcpy_network, ipcpy_node):
    with Subscriber("gps"):
        with pytest.raises(RecvTimeout, match=r"after message 0 of the recording 'gps' was not done within 0.2 s"):
            Replay(ipcpy_network, timeout=0.2)(drive)


def test_wrong_arguments_are_refused(drive, ipcpy_network):
    with pytest.raises(ArgumentError, match="replayed on a MemoryNetwork"):
        Replay(None)
    with pytest.raises(ArgumentError, match="a replay takes topics, .* got rate"):
        Replay(ipcpy_network)(drive, rate=2)


def test_on_a_bad_network_reliable_topics_are_replayed_whole(tmp_path):
    with tapes.tape(tmp_path / "drive.mcap") as tape:
        for n in range(30):
            tape.add("imu", n, n / 1000, reliable=True)
    with MemoryNetwork(loss=0.2, seed=3) as net:
        node = net.node("filter")
        out = Publisher("out", reliable=True, node=node)
        sub = Subscriber("imu", node=node, callback=lambda message: out.publish(message.data))
        replayed = Replay(net, timeout=30)(tmp_path / "drive.mcap", collect="out")
        assert [message.data for message in replayed] == list(range(30))
        sub.close()
