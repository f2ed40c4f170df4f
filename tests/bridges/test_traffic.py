"""Which publishers beyond are imported; with whole bridges, tests/bridges/test_bridge.py has the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest

import ipcpy as ipc
from ipcpy.bridges.choice import STAND_BY
from ipcpy.bridges.offers import Offer
from ipcpy.bridges.rules import Rules
from ipcpy.bridges.traffic import Traffic
from ipcpy.events import PublisherFound, PublisherLost, SubscriberFound, SubscriberLost
from sites import wait_until

ME, LOWER, FAR, X = "55" * 8, "11" * 8, "99" * 8, "ab" * 8
OTHER = ipc.NodeInfo("33" * 8, "other", "h", 1, "d", "127.0.0.1:1", "1", "alive", 0.0)
OFFER = Offer(X, "imu", "raw", node="driver", name="far", path=(FAR,))


class Owner:
    id, name, rules = ME, "b", Rules()


class Engine:
    engine = "test"

    def __init__(self) -> None:
        self.told: list[tuple] = []

    def __getattr__(self, name: str):
        return lambda *arguments: self.told.append((name, *arguments))


def endpoint(kind: str, topic: str = "imu", id: str = X, **more) -> ipc.EndpointInfo:
    return ipc.EndpointInfo(id, kind, topic, "raw", {}, False, 0, OTHER, **more)  # type: ignore[arg-type]


@pytest.fixture
def traffic():
    with ipc.Node("bridge", interfaces="lo") as node:
        engine = Engine()
        made = Traffic(Owner(), engine, node, 4)
        yield made, engine, node
        made.close()


def shows(node: ipc.Node, *names: str) -> None:
    """Wait until a node has these topics, and no others."""
    wait_until(lambda: [topic.name for topic in node.topics()] == list(names))


def test_an_offer_is_announced_here_and_wanted_while_somebody_subscribes(traffic) -> None:
    made, engine, node = traffic
    made.offered(OFFER)
    shows(node, "imu")
    assert engine.told == []
    ear = endpoint("subscriber", "*", "cd" * 8)
    made.on_event(SubscriberFound(ear))
    assert engine.told == [("want", OFFER)]
    made.on_event(SubscriberLost(ear, "closed"))
    assert engine.told[1:] == [("unwant", OFFER.key)]
    made.gone(OFFER.key)
    shows(node)


def test_what_is_on_this_lan_already_is_not_announced_until_it_is_gone(traffic) -> None:
    made, _, node = traffic
    made.on_event(PublisherFound(endpoint("publisher")))
    made.offered(OFFER)
    shows(node)
    made.on_event(PublisherLost(endpoint("publisher"), "closed"))
    made.tick(1e12)
    shows(node, "imu")


def test_a_bridge_with_a_lower_id_has_the_first_chance(traffic) -> None:
    made, _, node = traffic
    made.on_event(PublisherFound(endpoint("publisher", f"ipcpy/bridge/{LOWER}", "ee" * 8)))
    made.offered(OFFER)
    shows(node)
    since = made._since[X]
    made.tick(since + STAND_BY - 0.01)
    shows(node)
    made.tick(since + STAND_BY + 0.01)
    shows(node, "imu")


def test_what_comes_from_a_bridge_of_this_lan_is_no_more_taken_once_that_is_known(traffic) -> None:
    made, _, node = traffic
    made.offered(OFFER)
    shows(node, "imu")
    made.on_event(PublisherFound(endpoint("publisher", f"ipcpy/bridge/{FAR}", "ee" * 8)))
    shows(node)


def test_the_publisher_itself_on_this_lan_has_the_name_to_itself(traffic) -> None:
    made, _, node = traffic
    made.offered(OFFER)
    made.on_event(PublisherFound(endpoint("publisher")))
    shows(node)


def test_when_the_engine_is_away_nothing_from_beyond_is_there_but_its_books(traffic) -> None:
    made, _, node = traffic
    made.offered(OFFER)
    made.unlinked()
    shows(node)
    _, (kept,), offers = made.stats()
    assert (kept.there, offers) == (False, 0)
    made.offered(OFFER)
    shows(node, "imu")
    assert len(made.stats()[1]) == 1


def test_a_better_way_is_taken_and_asked_how_it_begins(traffic) -> None:
    made, engine, _ = traffic
    long = Offer(X, "imu", "raw", node="driver", name="long", path=(FAR, LOWER))
    made.offered(long)
    made.on_event(SubscriberFound(endpoint("subscriber", id="cd" * 8)))
    made.offered(OFFER)
    assert engine.told == [("want", long), ("unwant", long.key), ("want", OFFER)]


TWIN = X[:8] + "cd" * 4  # what stands for the same as X, numbered by another bridge


def test_what_another_bridge_of_this_lan_brings_under_a_number_of_its_own_is_left_to_it(traffic) -> None:
    made, _, node = traffic
    brought = endpoint("publisher", id=TWIN, via={"path": [FAR]})
    made.on_event(PublisherFound(brought))
    made.offered(OFFER)
    made.tick(1e12)
    shows(node)
    made.on_event(PublisherLost(brought, "crashed"))
    made.tick(1e12)
    shows(node, "imu")


@pytest.mark.parametrize(("node_id", "names"), [("00" * 7 + "01", []), ("ff" * 8, ["imu"])])
def test_of_two_bridges_that_bring_the_same_the_one_whose_node_has_the_lower_id_goes_on(
    traffic, node_id, names
) -> None:
    made, _, node = traffic
    made.offered(OFFER)
    shows(node, "imu")
    other = replace(endpoint("publisher", id=TWIN, via={"path": [FAR]}), node=replace(OTHER, id=node_id))
    made.on_event(PublisherFound(other))
    shows(node, *names)
    stranger = replace(other, id="ee" * 8)
    made.on_event(PublisherFound(stranger))
    shows(node, *names)
