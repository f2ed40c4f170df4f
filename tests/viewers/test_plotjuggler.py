"""PlotJuggler, with a UDP server in its place."""

from __future__ import annotations

import json
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ipcpy as ipc
import ipcpy.testing
from ipcpy.viewers.plotjuggler import PlotJuggler

Imu = namedtuple("Imu", "gx gz")
LIBRARY = ipc.MsgLibrary({23: ("<2f", Imu)})


class Place:
    """A robot, a UDP server, and what sends to it."""

    def __init__(self, network: ipcpy.testing.MemoryNetwork) -> None:
        self.network = network
        self.robot = network.node("robot")
        self.udp = ipc.SocketUDP()
        self.udp.bind("127.0.0.1", 0, timeout=10)
        assert self.udp.bind_addr is not None
        self.port = self.udp.bind_addr[1]
        self.plots: list[PlotJuggler] = []

    def plot(self, *topics: str, **options: Any) -> PlotJuggler:
        node = self.network.node("plotjuggler")
        plot = PlotJuggler(topics or "/**", **{"port": self.port, "node": node, **options})
        self.plots.append(plot)
        return plot

    def publisher(self, topic: str, codec: Any = None) -> ipc.Publisher:
        pub = ipc.Publisher(topic, codec, node=self.robot)
        pub.wait_for_subscribers(timeout=10)
        return pub

    def receive(self) -> dict[str, Any]:
        data, _ = self.udp.recvfrom(65_536)
        assert data is not None, "nothing came within 10 s"
        found: dict[str, Any] = json.loads(data)
        return found

    def close(self) -> None:
        for plot in self.plots:
            plot.close()
        self.udp.close()


@pytest.fixture
def place() -> Iterator[Place]:
    with ipcpy.testing.MemoryNetwork() as network:
        place = Place(network)
        yield place
        place.close()


def test_numbers_arrive_with_the_time_they_were_published_at(place: Place) -> None:
    place.plot()
    pub = place.publisher("robot/imu", LIBRARY)
    before = time.time()
    pub.publish(Imu(0.5, -2))
    got = place.receive()
    assert before - 0.01 <= got.pop("timestamp") <= time.time()
    assert got == {"robot/imu/gx": 0.5, "robot/imu/gz": -2.0}


def test_dicts_and_structs_of_all_topics_arrive_and_are_counted(place: Place, wait_until: Callable[..., Any]) -> None:
    plot = place.plot()
    one, other = place.publisher("state"), place.publisher("imu", LIBRARY)
    one.publish({"battery": 0.25, "mode": "walk"})
    other.publish(Imu(1, 2))
    one.publish({"mode": "stand"})
    names = {name for _ in range(2) for name in place.receive()}
    assert names == {"timestamp", "state/battery", "imu/gx", "imu/gz"}
    wait_until(lambda: plot.stats.without == 1)
    wait_until(lambda: plot.stats.datagrams == 2)
    assert (plot.stats.messages, plot.stats.refused, plot.heard) == (2, 0, True)


def test_topics_are_chosen_and_one_that_two_patterns_mean_is_sent_once(place: Place, wait_until) -> None:
    plot = place.plot("imu", "*", exclude="gps")
    imu, gps, last = (place.publisher(topic) for topic in ("imu", "gps", "last"))
    imu.wait_for_subscribers(2, timeout=10)
    imu.publish(1)
    gps.publish(2)
    assert place.receive()["imu"] == 1
    last.publish(3)
    assert place.receive()["last"] == 3
    assert plot.stats.messages == 2


def test_messages_are_thinned_where_a_rate_is_asked_for(place: Place, wait_until: Callable[..., Any]) -> None:
    plot = place.plot(max_rate=0.001)
    pub = place.publisher("imu")
    for number in range(10):
        pub.publish(number)
    wait_until(lambda: plot.stats.thinned == 9)
    assert (plot.stats.messages, place.receive()["imu"]) == (1, 0)


def test_it_notices_that_nobody_listens_and_that_somebody_does_again(place: Place, wait_until) -> None:
    plot = place.plot()
    pub = place.publisher("imu")
    place.udp.close()
    wait_until(lambda: pub.publish(1) and not plot.heard)
    assert plot.stats.refused > 0
    place.udp.bind("127.0.0.1", place.port, timeout=10)
    pub.publish(2)
    while place.receive()["imu"] != 2:  # at once, for a refusal is that of an earlier one
        pass
    wait_until(lambda: pub.publish(3) and plot.heard)


def test_it_ends_when_it_is_closed_or_its_node_is(place: Place, wait_until: Callable[..., Any]) -> None:
    node = place.network.node("other")
    plot = place.plot(node=node)
    node.close()
    wait_until(lambda: plot.closed)
    plot.close()
    plot.close()
    with PlotJuggler(port=place.port) as own:
        assert not own.closed
    assert own.closed


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"port": 0}, "port is a number from 1 to 65535"),
        ({"port": True}, "port is a number"),
        ({"host": ""}, "host is a name or an address"),
        ({"max_rate": "fast"}, "a number of messages a second"),
        ({"topics": ()}, "got none"),
        ({"topics": "a b"}, "a topic is a name"),
    ],
)
def test_wrong_arguments_say_what_was_expected(place: Place, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ipc.ArgumentError, match=text):
        PlotJuggler(node=place.robot, **options)


def test_a_host_that_is_none_is_said(place: Place) -> None:
    with pytest.raises(ipc.TransportError, match="cannot send to no.such.host.invalid:9870"):
        PlotJuggler(host="no.such.host.invalid", node=place.robot)
