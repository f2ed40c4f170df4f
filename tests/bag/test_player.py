"""Player: what was recorded is published again, byte for byte, in its order and at its pace."""

from __future__ import annotations

import asyncio
import gc
import math
import threading
import time
from collections import namedtuple

import pytest

import tapes
from ipcpy.bag.bag import Bag
from ipcpy.bag.player import Player
from ipcpy.codec import MsgLibrary, MsgPack, Raw
from ipcpy.errors import ArgumentError, ClosedError, RecvTimeout
from ipcpy.subscribing.subscriber import Subscriber
from ipcpy.testing import MemoryNetwork

np = pytest.importorskip("numpy", reason="needs ipcpy[numpy]")

Imu = namedtuple("Imu", "gx gy gz")
IMU = MsgLibrary({23: ("<3f", Imu)})


@pytest.fixture
def net():
    with MemoryNetwork() as network:
        yield network


@pytest.fixture
def listen(net):
    """Make subscribers whose messages can be counted on: deep, on a node of their own."""
    node = net.node("listener")
    return lambda topic, **options: Subscriber(topic, depth=10_000, node=node, **options)


def test_names_of_a_recording_are_whole(net, listen, drive):
    sub = listen("front/imu")
    with Player(
        drive, node=net.node("player", namespace="robot1"), topics="imu", remap={"/imu": "front/imu"}
    ) as player:
        assert player.topics == ("front/imu",)
        player.wait_for_subscribers(timeout=10)
        player.run()
    assert sub.recv(timeout=10).topic == "front/imu"


@pytest.fixture
def drive(tmp_path):
    path = tmp_path / "drive.mcap"
    with tapes.tape(path) as tape:
        for n in range(50):
            tape.add("imu", Imu(n, n / 2, -n), n / 500, IMU)
            if n % 10 == 0:
                tape.add("state", {"n": n, "image": np.full((3, 2), n)}, n / 500 + 0.0001)
    with Bag(path) as bag:
        bag.bodies = tape.bodies
        yield bag


def drain(sub, count):
    return [sub.recv(timeout=10) for _ in range(count)]


def test_messages_are_published_as_they_were(net, listen, drive):
    imu, state = listen("imu"), listen("state")
    with Player(drive, rate=math.inf, node=net.node("player")) as player:
        stats = player.run()
        assert [message.data for message in drain(imu, 50)] == [Imu(n, n / 2, -n) for n in range(50)]
        states = drain(state, 5)
    assert [message.data["n"] for message in states] == [0, 10, 20, 30, 40]
    assert (states[4].data["image"] == 40).all()
    assert (stats.published, stats.handed, stats.skipped, stats.rounds) == (55, 55, 0, 1)


def test_a_bag_that_nobody_else_holds_is_open_while_it_is_played(net, listen, drive):
    sub = listen("imu")
    with Player(Bag(drive.paths[0]), rate=math.inf, node=net.node("player")) as player:
        gc.collect()
        assert player.run().published == 55
        assert drain(sub, 50)[-1].data == Imu(49, 24.5, -49)


def test_the_bytes_are_those_that_were_published(net, listen, drive):
    class Bytes(Raw):
        name = "struct"
        schema = IMU.schema

    sub = listen("imu", codec=Bytes())
    with Player(drive, topics="imu", rate=math.inf, node=net.node("player")) as player:
        player.run()
        assert [bytes(message.data) for message in drain(sub, 50)] == drive.bodies["imu"]


def test_messages_keep_their_distances(net, listen, drive):
    sub = listen("imu")
    with Player(drive, topics="imu", rate=0.5, node=net.node("player")) as player:
        began_ns = time.time_ns()
        player.run()
        messages = drain(sub, 50)
    assert (messages[-1].sent_ns - began_ns) / 1e9 >= 49 / 500 / 0.5 - 0.002  # the first may have been late


def test_topics_span_and_remap_choose_what_is_played(net, listen, drive):
    sub, other = listen("replay/imu"), listen("imu")
    with Player(
        drive, topics="imu", start=0.02, end=0.04, remap={"imu": "replay/imu"}, rate=math.inf, node=net.node()
    ) as player:
        assert player.topics == ("replay/imu",)
        assert player.duration == pytest.approx(0.02)
        stats = player.run()
        assert [message.data.gx for message in drain(sub, 10)] == list(range(10, 20))
    assert stats.published == 10
    assert other.stats.received == 0


def test_a_loop_begins_again_until_it_is_closed(net, listen, drive):
    sub = listen("state")
    player = Player(drive, topics="state", loop=True, rate=math.inf, node=net.node())
    thread = threading.Thread(target=player.run)
    thread.start()
    numbers = [message.data["n"] for message in drain(sub, 12)]
    player.close()
    thread.join(20)
    assert not thread.is_alive()
    assert numbers[:6] == [0, 10, 20, 30, 40, 0]
    assert player.stats.rounds >= 2


def test_steps_publish_one_message_each(net, listen, drive):
    sub = listen("imu")
    with Player(drive, topics="imu", node=net.node()) as player:
        player.wait_for_subscribers(1, timeout=10)
        player.pause()
        waits = player.steps()
        assert next(waits) > 0
        assert player.paused
        for n in range(3):
            player.step()
            next(waits)
            assert sub.recv(timeout=10).data.gx == n
            assert player.stats.published == n + 1
        player.step(2)
        next(waits)
        assert player.stats.published == 5
        player.rate = math.inf
        player.resume()
        assert list(waits) == []
        assert player.stats.published == 50


def test_a_paused_player_goes_on_where_it_was(net, listen, drive):
    sub = listen("imu")
    with Player(drive, topics="imu", node=net.node()) as player:
        player.pause()
        thread = threading.Thread(target=player.run)
        thread.start()
        with pytest.raises(RecvTimeout):
            sub.recv(timeout=0.3)
        player.resume()
        assert [message.data.gx for message in drain(sub, 50)] == list(range(50))
        thread.join(20)
        assert not thread.is_alive()


def test_latched_topics_get_what_they_kept_at_the_start(tmp_path, net, listen):
    with tapes.tape(tmp_path / "map.mcap") as tape:
        for n in range(5):
            tape.add("map", n, n, keep=2)
            tape.add("imu", n, n + 0.5)
    sub = listen("map")
    with Bag(tmp_path / "map.mcap") as bag, Player(bag, start=3.2, rate=math.inf, node=net.node()) as player:
        player.run()
        assert [message.data for message in drain(sub, 3)] == [2, 3, 4]
        late = listen("map")
        assert [message.data for message in drain(late, 2)] == [3, 4]


def test_keep_makes_any_topic_latched(net, listen, drive):
    with Player(drive, topics="state", keep=3, rate=math.inf, node=net.node()) as player:
        player.run()
        late = listen("state")
        assert [message.data["n"] for message in drain(late, 3)] == [20, 30, 40]


def test_two_publishers_of_one_topic_are_two_again(tmp_path, net, listen):
    with tapes.tape(tmp_path / "two.mcap") as tape:
        for n in range(10):
            tape.add("x", n, n / 1000, MsgPack(), publisher=f"{n % 2 + 1:016x}")
    sub = listen("x")
    with Bag(tmp_path / "two.mcap") as bag, Player(bag, rate=math.inf, node=net.node()) as player:
        player.run()
        messages = drain(sub, 10)
    assert len({message.publisher for message in messages}) == 2
    assert sorted(message.data for message in messages) == list(range(10))


def test_a_coroutine_plays_while_others_run(net, listen, drive):
    async def main():
        sub = listen("imu")
        with Player(drive, topics="imu", node=net.node()) as player:
            await player.wait_for_subscribers_async(1, timeout=10)
            playing = asyncio.create_task(player.run_async())
            assert [(await sub.recv_async(timeout=10)).data.gx for _ in range(50)] == list(range(50))
            return await playing

    assert asyncio.run(main()).published == 50


def test_a_task_that_is_cancelled_closes_the_player(net, listen, drive):
    async def main():
        sub = listen("imu")
        player = Player(drive, loop=True, topics="imu", node=net.node())
        playing = asyncio.create_task(player.run_async())
        await sub.recv_async(timeout=10)
        playing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await playing
        with pytest.raises(ClosedError):
            player.run()

    asyncio.run(main())


def test_who_waits_in_a_coroutine_is_told_who_is_missing(net, drive):
    with Player(drive, topics="imu", node=net.node()) as player, pytest.raises(RecvTimeout, match="0 of 1 subscribers"):
        asyncio.run(player.wait_for_subscribers_async(1, timeout=0))


def test_who_waits_for_subscribers_is_told_who_is_missing(net, drive):
    with Player(drive, node=net.node()) as player, pytest.raises(RecvTimeout, match="0 of 1 subscribers of 'imu'"):
        player.wait_for_subscribers(1, timeout=0)


def test_wrong_arguments_are_refused(net, drive, tmp_path):
    node = net.node()
    with pytest.raises(ArgumentError, match=r"did you mean Player\(Bag\(path\)\)"):
        Player(tmp_path / "drive.mcap", node=node)
    with pytest.raises(ArgumentError, match="a rate is a number above 0"):
        Player(drive, rate=0, node=node)
    with pytest.raises(ArgumentError, match="remap is a dict"):
        Player(drive, remap="imu", node=node)
    with pytest.raises(ArgumentError, match="a topic is a name"):
        Player(drive, remap={"imu": "a b"}, node=node)
    with pytest.raises(ArgumentError, match="no topic 'imuu'; did you mean 'imu'"):
        Player(drive, remap={"imuu": "replay/imu"}, node=node)
    with pytest.raises(ArgumentError, match="keep is a number"):
        Player(drive, keep=-1, node=node)
    with pytest.raises(ArgumentError, match="node is a Node"):
        Player(drive, node=5)
    with pytest.raises(ArgumentError, match="no topic 'gps'"):
        Player(drive, topics="gps", node=node)
    with Player(drive, node=node) as player, pytest.raises(ArgumentError, match="a number from 1"):
        player.step(0)


def test_a_closed_player_is_refused(net, drive):
    player = Player(drive, node=net.node())
    player.close()
    player.close()
    with pytest.raises(ClosedError, match="the player is closed"):
        player.run()
    assert "closed" in repr(player)


def test_it_may_be_closed_by_another_thread_at_any_time(net, listen, drive):
    """While it looks for subscribers, waits, or publishes."""
    sub = listen("imu")

    def run(player, ended):
        try:
            ended.append(player.run())
        except ClosedError:  # it was closed before
            ended.append(None)

    for delay in (0.0, 0.0, 0.001, 0.05, 0.2, 0.3):
        player, ended = Player(drive, loop=True, node=net.node()), []
        thread = threading.Thread(target=run, args=(player, ended))
        thread.start()
        threading.Event().wait(delay)  # the moment is what is tested
        player.close()
        thread.join(20)
        assert not thread.is_alive()
        assert len(ended) == 1
    sub.close()
