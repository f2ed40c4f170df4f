"""The graph: who publishes what to whom, which numbers a topic carries, and nothing of who looks."""

from __future__ import annotations

from collections import namedtuple

import pytest

import ipcpy as ipc
from ipcpy.testing import MemoryNetwork
from ipcpy.web.picture import Picture, split_id, topic_id

Imu = namedtuple("Imu", "gx gz")


@pytest.fixture
def network():
    with MemoryNetwork() as network:
        yield network


def told(node, picture=None, **options):
    return (picture or Picture()).graph([node], **options)


def test_nodes_topics_and_their_ends_are_told(network, wait_until):
    web, robot = network.node("web"), network.node("robot")
    pub = ipc.Publisher("imu", ipc.MsgLibrary({23: ("<2f", Imu)}), reliable=True, keep=2, rate=50, node=robot)
    sub = ipc.Subscriber("*", node=network.node("brain"))
    assert wait_until(lambda: len(told(web)["nodes"]) == 2 and len(told(web)["topics"]) == 1)
    assert wait_until(lambda: told(web)["topics"][0]["subscribers"])
    graph = told(web)
    assert {node["name"] for node in graph["nodes"]} == {"robot", "brain"}
    topic = next(each for each in graph["topics"] if each["topic"] == "imu")
    assert (topic["topic"], topic["codec"], topic["schema"], topic["fields"]) == ("imu", "struct", "Imu", ["gx", "gz"])
    assert topic["id"] == f"{network.domain} imu" and topic["messages"] == ["Imu"] and topic["image"] is False
    (publisher,), (subscriber,) = topic["publishers"], topic["subscribers"]
    assert (publisher["id"], publisher["node"], publisher["reliable"], publisher["keep"]) == (pub.id, robot.id, True, 2)
    assert (publisher["rate"], subscriber["id"], subscriber["topic"]) == (50.0, sub.id, "*")


def test_who_looks_is_not_in_the_picture(network, wait_until):
    web, robot = network.node("web"), network.node("robot")
    looking, own = ipc.Subscriber("imu", node=web), ipc.Publisher("own", node=web)
    pub = ipc.Publisher("imu", node=robot)
    pub.wait_for_subscribers(timeout=30)
    assert wait_until(lambda: told(web)["topics"])
    (topic,) = told(web)["topics"]
    assert (topic["topic"], topic["subscribers"]) == ("imu", [])
    assert looking and own


def test_what_messages_show_is_learned_once(network, wait_until):
    web, pub = network.node("web"), ipc.Publisher("doc", node=network.node("robot"))
    assert wait_until(lambda: told(web)["topics"])
    picture, id = Picture(), topic_id(network.domain, "doc")
    assert picture.learn(id, ["x"], image=False) is True
    assert picture.learn(id, ["x"], image=False) is False
    assert picture.learn(id, ["y"], image=True) is True
    assert picture.learn(id, ["x"], image=False) is False
    (topic,) = told(web, picture)["topics"]
    assert (topic["fields"], topic["image"]) == (["x", "y"], True)
    assert pub


def test_topics_of_services_are_shown_to_who_asks(network, wait_until):
    web = network.node("web")
    service = ipc.Service("add", lambda data: data, node=network.node("robot"))
    assert wait_until(lambda: told(web, hidden=True)["topics"])
    assert told(web)["topics"] == []
    assert service


def test_a_closed_node_shows_nothing(network):
    web = network.node("web")
    web.close()
    assert told(web) == {"kind": "graph", "nodes": [], "topics": []}


@pytest.mark.parametrize(("domain", "topic"), [("a", "b"), ("robot 7", "x/y"), (" ", "y")])
def test_an_id_tells_domain_and_topic(domain, topic):
    assert split_id(topic_id(domain, topic)) == (domain, topic)
