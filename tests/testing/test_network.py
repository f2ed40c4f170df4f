"""MemoryNetwork: publishers and subscribers of one process on a network that loses, doubles, reorders and delays."""

from __future__ import annotations

import os

import pytest

import ipcpy as ipc
from ipcpy.errors import ArgumentError
from ipcpy.testing import MemoryNetwork

COUNT = 1_000


def pair(network, **options):
    subscriber = ipc.Subscriber("x", node=network.node("b"), depth=10_000)
    publisher = ipc.Publisher("x", node=network.node("a"), **options)
    publisher.wait_for_subscribers(timeout=20)
    return publisher, subscriber


@pytest.mark.parametrize("multicast", [False, True])
def test_a_reliable_topic_is_complete_and_in_order(multicast):
    with MemoryNetwork(loss=0.1, duplicate=0.05, reorder=0.05, seed=1) as network:
        publisher, subscriber = pair(network, reliable=True, multicast=multicast)
        publisher.publish_many(range(COUNT))
        assert [subscriber.recv(timeout=10).data for _ in range(COUNT)] == list(range(COUNT))
        assert subscriber.stats.lost == {}
        assert network.counts["lost"] > 20 and network.counts["duplicated"] > 10 and network.counts["reordered"] > 10


def test_the_books_of_a_best_effort_topic_balance(wait_until):
    with MemoryNetwork(loss=0.2, duplicate=0.05, reorder=0.05, seed=2) as network:
        publisher, subscriber = pair(network)
        for number in range(COUNT):
            publisher.publish(number)
        wait_until(lambda: subscriber.stats.received + sum(subscriber.stats.lost.values()) == COUNT, 20)
        stats = subscriber.stats
        assert set(stats.lost) == {"network"} and 100 < stats.lost["network"] < 300
        assert stats.duplicates > 10 and stats.reordered > 10


def test_a_large_message_is_refilled():
    with MemoryNetwork(loss=0.1, seed=3) as network:
        publisher, subscriber = pair(network)
        body = os.urandom(3_000_000)
        for _ in range(5):
            publisher.publish(body)
            assert subscriber.recv(timeout=20).data == body


def test_delay():
    with MemoryNetwork(delay=0.02) as network:
        publisher, subscriber = pair(network)
        publisher.publish("hello")
        message = subscriber.recv(timeout=10)
        assert message.received_ns - message.sent_ns > 19e6


def test_the_weather_can_change(wait_until):
    with MemoryNetwork() as network:
        publisher, subscriber = pair(network, reliable=True)
        network.loss = 0.95
        publisher.publish_many(range(50))
        network.loss = 0.0
        assert [subscriber.recv(timeout=10).data for _ in range(50)] == list(range(50))
        assert network.loss == 0.0


def test_networks_do_not_see_each_other():
    with MemoryNetwork() as one, MemoryNetwork() as other:
        mine, theirs = one.node("a"), other.node("a")
        assert one.domain != other.domain
        assert mine.wait_complete(1.0) and theirs.wait_complete(1.0)
        assert [node.name for node in mine.nodes()] == ["a"] == [node.name for node in theirs.nodes()]


def test_closing_closes_all():
    network = MemoryNetwork(delay=0.001)
    publisher, subscriber = pair(network)
    network.close()
    network.close()
    with pytest.raises(ipc.ClosedError):
        subscriber.recv(timeout=1)
    with pytest.raises(ipc.ClosedError):
        network.node("c")


@pytest.mark.parametrize("wrong", [{"loss": 1.0}, {"loss": -0.1}, {"duplicate": 2}, {"reorder": "x"}, {"delay": -1}])
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        MemoryNetwork(**wrong)


@pytest.mark.parametrize(("name", "wrong"), [("loss", 1.0), ("duplicate", 2), ("reorder", None), ("delay", 11)])
def test_weather_that_makes_no_sense_is_refused_later_too_and_the_old_one_stays(name, wrong):
    with MemoryNetwork(loss=0.25, duplicate=0.25, reorder=0.25, delay=0.25) as network:
        with pytest.raises(ArgumentError, match=name):
            setattr(network, name, wrong)
        assert getattr(network, name) == 0.25


def test_its_nodes_stay_on_this_host_and_say_nothing_by_mdns():
    with MemoryNetwork() as network:
        node = network.node("a")
        assert isinstance(node, ipc.Node) and node.domain == network.domain
        assert repr(node).startswith("<ipcpy.Node 'a' ")
        assert node.wait_complete(10) and node.stats.mdns == {}
        assert [each.address for each in node.nodes()] == [None]


def test_the_settings_of_the_environment_do_not_reach_its_nodes(monkeypatch):
    monkeypatch.setenv("IPCPY_DOMAIN", "robot7")
    monkeypatch.setenv("IPCPY_PEERS", "192.0.2.1")
    with MemoryNetwork() as network:
        assert network.node("a").domain == network.domain != "robot7"


@pytest.mark.parametrize("name", ["", 7])
def test_a_name_that_is_none_is_refused_as_by_node(name):
    with MemoryNetwork() as network, pytest.raises(ArgumentError, match="a node's name is"):
        network.node(name)


def test_the_weather_is_counted_for_links_and_data_alike():
    with MemoryNetwork() as network:
        publisher, subscriber = pair(network)
        before = network.counts["sent"]
        publisher.publish(1)
        assert subscriber.recv(timeout=10).data == 1
        assert network.counts["sent"] > before and network.counts["lost"] == 0
        network.counts["sent"] = 0
        assert network.counts["sent"] > 0, "what is handed out is a copy"
