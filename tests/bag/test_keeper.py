from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import pytest

import ipcpy as ipc
from bags import metadata
from ipcpy.bag.keeper import ASKED, DONE, Place
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
