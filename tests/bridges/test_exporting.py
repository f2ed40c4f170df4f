from __future__ import annotations

import pytest

import ipcpy as ipc
from ipcpy.bridges.choice import Choice
from ipcpy.bridges.exporting import Exporting
from ipcpy.bridges.rules import Rules

ME, OTHER, X = "11" * 8, "22" * 8, "ab" * 8
DRIVER = ipc.NodeInfo("33" * 8, "driver", "h7", 1, "d", "127.0.0.1:1", "1", "alive", 0.0)


class Owner:
    id, name, rules = ME, "b7", Rules(["imu"], prefix="robot7")


class Engine:
    engine = "test"

    def __init__(self) -> None:
        self.told: list[tuple] = []

    def __getattr__(self, name: str):
        return lambda *arguments: self.told.append((name, *arguments))


def info(topic: str = "imu", **more) -> ipc.EndpointInfo:
    return ipc.EndpointInfo(X, "publisher", topic, "raw", {}, False, 2, DRIVER, **more)


@pytest.fixture
def exporting():
    with ipc.Node("bridge", interfaces="lo") as node:
        engine = Engine()
        made = Exporting(Owner(), engine, node, Choice(ME, Owner.rules))
        yield made, engine
        made.close()


def test_a_publisher_is_offered_with_all_that_is_known_of_it(exporting) -> None:
    made, engine = exporting
    made.offer(info())
    made.offer(info())
    ((_, offer),) = engine.told
    assert (offer.publisher, offer.topic, offer.keep, offer.node, offer.host) == (X, "robot7/imu", 2, "driver", "h7")
    assert (offer.name, offer.path) == ("b7", (ME,))


def test_what_is_not_to_cross_is_not_offered(exporting) -> None:
    made, engine = exporting
    made.offer(info("camera"))
    assert engine.told == []


def test_one_that_another_bridge_imported_goes_on_with_its_own_node_and_its_path(exporting) -> None:
    made, engine = exporting
    made.offer(info(via={"node": "far", "host": "h9", "path": [OTHER]}))
    ((_, offer),) = engine.told
    assert (offer.node, offer.host, offer.path) == ("far", "h9", (OTHER, ME))


@pytest.mark.parametrize("path", [[ME], ["x"], 7, [OTHER] * 4])
def test_what_passed_here_before_or_says_nonsense_is_not_offered(exporting, path) -> None:
    made, engine = exporting
    made.offer(info(via={"path": path}))
    assert engine.told == []


def test_a_path_that_no_bridge_has_is_not_even_read(exporting) -> None:
    class Long(list):
        def __iter__(self):
            raise AssertionError("it was read")

    made, engine = exporting
    made.offer(info(via={"path": Long([OTHER] * 10_000)}))
    assert engine.told == []


def test_a_change_withdraws_and_offers_anew(exporting) -> None:
    made, engine = exporting
    made.offer(info())
    made.offer(ipc.EndpointInfo(X, "publisher", "imu", "msgpack", {}, False, 2, DRIVER))
    assert [each[0] for each in engine.told] == ["offer", "withdraw", "offer"]
    made.stop(X)
    made.stop(X)
    assert [each[0] for each in engine.told] == ["offer", "withdraw", "offer", "withdraw"]


def test_what_is_wanted_is_listened_to_and_no_longer_than_that(exporting) -> None:
    made, _ = exporting
    made.offer(info())
    made.want((ME, X), True)
    assert made.stats()[0].wanted
    made.rest()
    assert not made.stats()[0].wanted
    made.want((OTHER, X), True)
    made.stopped = True
    made.want((ME, X), True)
    assert not made.stats()[0].wanted
    assert made.beginning_of((OTHER, X)).seq == 0
