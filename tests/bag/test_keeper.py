from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import pytest

import ipcpy as ipc
from bags import metadata
from ipcpy.bag.keeper import ASKED, DONE, Place
from ipcpy.bag.latches import Latches
from ipcpy.testing import MemoryNetwork

pytest.importorskip("mcap", reason="needs ipcpy[bag]")

Imu = namedtuple("Imu", "x y")
LIBRARY = ipc.MsgLibrary({23: ("<2f", Imu)})


def test_it_answers_to_whoever_asks_over_the_network(tmp_path: Path, wait_until) -> None:
    with (
        MemoryNetwork() as network,
        ipc.BlackBox(60, tmp_path / "a.mcap", "imu", after=0, node=network.node("box")) as box,
    ):
        pub = ipc.Publisher("imu", LIBRARY, node=network.node("robot"))
        pub.wait_for_subscribers(timeout=10)
        for n in range(4):
            pub.publish(Imu(n, 0))
        wait_until(lambda: box.stats.messages == 4)
        node = network.node("operator")
        with ipc.Subscriber(DONE, node=node) as done, ipc.Publisher(ASKED, node=node) as asked:
            asked.wait_for_subscribers(timeout=10)
            asked.publish({"reason": "the arm twitched"})
            begun, ended = done.recv(timeout=10).data, done.recv(timeout=10).data
            assert (begun["state"], ended["state"]) == ("begun", "done")
            assert ended["path"] == str(box.paths[0])
            assert ended["messages"] == 4
            assert ended["node"] == "box"
            asked.publish("no dict")
            wait_until(lambda: len(box.paths) == 2)
    assert metadata(box.paths[0], "ipcpy")[0]["reason"] == f"asked for by {ASKED}: the arm twitched"


def test_files_go_where_none_is(tmp_path: Path) -> None:
    place = Place(tmp_path / "a.mcap")
    assert place.next() == tmp_path / "a.mcap"
    (tmp_path / "a.mcap").touch()
    (tmp_path / "a-2.mcap").touch()
    assert place.next() == tmp_path / "a-3.mcap"
    assert Place(tmp_path).next().parent == tmp_path
    assert Place(None).next().name.startswith("blackbox-20")


def test_a_map_that_is_older_than_the_ring_is_in_its_files(tmp_path: Path, wait_until) -> None:
    with (
        MemoryNetwork() as network,
        ipc.Publisher("map", keep=1, node=network.node("mapper")) as world,
        ipc.Publisher("imu", LIBRARY, node=network.node("robot")) as imu,
    ):
        with ipc.BlackBox(0.5, tmp_path / "a.mcap", after=0, node=network.node("box")) as box:
            world.publish({"rooms": ["hall", "lab"]})
            wait_until(lambda: box.stats.messages >= 1)
            box.dump()
            imu.wait_for_subscribers(timeout=10)
            seen: list[int] = []

            def is_forgotten() -> bool:
                imu.publish(Imu(1, 2))
                box.dump("is the first one forgotten?")
                seen.append(first_imu(box.paths[-1]))
                return seen[-1] > min(filter(None, seen), default=seen[-1])

            wait_until(is_forgotten)
        for path in (box.paths[0], box.paths[-1]):
            with ipc.Bag(path) as bag:
                assert [message.data for message in bag.messages("map")] == [{"rooms": ["hall", "lab"]}]
                assert next(iter(bag.messages())).topic == "map"


def test_a_file_tells_how_many_latched_messages_did_not_fit(tmp_path: Path, wait_until, monkeypatch) -> None:
    monkeypatch.setattr("ipcpy.bag.keeper.Latches", lambda **options: Latches(10_000, **options))
    with (
        MemoryNetwork() as network,
        ipc.Publisher("map", ipc.Raw(), keep=1, node=network.node("mapper")) as world,
        ipc.BlackBox(60, tmp_path / "a.mcap", after=0, node=network.node("box")) as box,
    ):
        world.publish(bytes(20_000))
        wait_until(lambda: box.stats.messages >= 1)
        path = box.dump()
    assert path is not None
    assert metadata(path, "ipcpy")[0]["latched_left_out"] == "1"


def first_imu(path: Path) -> int:
    """Return the number of the first message of the IMU in a file; 0 if there is none."""
    with ipc.Bag(path) as bag:
        return next((message.seq for message in bag.messages() if message.topic == "imu"), 0)
