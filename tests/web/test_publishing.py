"""Publishing from a form: as the topic wants it, and what is wrong is said in a sentence."""

from __future__ import annotations

import asyncio
from collections import namedtuple

import pytest

import ipcpy as ipc
from ipcpy.testing import MemoryNetwork
from ipcpy.web import publishing as module
from ipcpy.web.publishing import Order, Press, data_of, read_order

Imu = namedtuple("Imu", "gx gz")
Point = namedtuple("Point", "x")
PATIENCE = 30.0


@pytest.fixture
def network():
    with MemoryNetwork() as network:
        yield network


@pytest.fixture
def press(network):
    web = network.node("web")
    press = Press(lambda domain: web if domain in ("", network.domain) else None)
    press.web = web
    yield press
    press.close()


def publish(press, topic, data, **said):
    return asyncio.run(press.publish(read_order({"topic": topic, "data": data, "wait": 5, **said})))


def know(press, wait_until, topic, publishers=0):
    def known():
        return any(each.name == topic and len(each.publishers) == publishers for each in press.web.topics())

    assert wait_until(known, timeout=PATIENCE)


def test_what_a_form_says_arrives(network, press, wait_until):
    sub = ipc.Subscriber("cmd", node=network.node("robot"))
    know(press, wait_until, "cmd")
    told = publish(press, "cmd", {"speed": 0.5})
    assert told == {"topic": "cmd", "domain": network.domain, "codec": "msgpack", "subscribers": 1}
    assert sub.recv(PATIENCE).data == {"speed": 0.5}


def test_a_struct_topic_gets_a_struct(network, press, wait_until):
    robot = network.node("robot")
    pub = ipc.Publisher("imu", ipc.MsgLibrary({23: ("<2f", Imu)}), reliable=True, node=robot)
    sub = ipc.Subscriber("imu", node=robot)
    know(press, wait_until, "imu", publishers=1)
    assert publish(press, "imu", {"gx": 1, "gz": 2.5})["codec"] == "struct"
    message = sub.recv(PATIENCE)
    assert (message.data, message.publisher != pub.id) == ((1.0, 2.5), True)
    with pytest.raises(ipc.CodecError, match="gz"):
        publish(press, "imu", {"gx": 1})
    with pytest.raises(ipc.CodecError, match="float32"):
        publish(press, "imu", {"gx": "fast", "gz": 1})


def test_of_several_messages_one_has_to_be_named(network, press, wait_until):
    library = ipc.MsgLibrary({23: ("<2f", Imu), 24: ("<f", Point)})
    robot = network.node("robot")
    pub, sub = ipc.Publisher("both", library, node=robot), ipc.Subscriber("both", node=robot)
    know(press, wait_until, "both", publishers=1)
    with pytest.raises(ipc.ArgumentError, match="Imu, Point"):
        publish(press, "both", {"x": 1})
    with pytest.raises(ipc.ArgumentError, match="Imu, Point"):
        publish(press, "both", {"x": 1}, message="Other")
    publish(press, "both", {"x": 4}, message="Point")
    assert sub.recv(PATIENCE).data == (4.0,) and pub


def test_bytes_and_texts_go_raw_where_the_topic_is(network, press, wait_until):
    robot = network.node("robot")
    pub, sub = ipc.Publisher("log", ipc.Raw(), node=robot), ipc.Subscriber("log", node=robot)
    know(press, wait_until, "log", publishers=1)
    publish(press, "log", "héllo")
    publish(press, "log", {"$bytes": "00ff"})
    assert [bytes(sub.recv(PATIENCE).data) for _ in range(2)] == ["héllo".encode(), b"\x00\xff"] and pub


def test_a_latched_message_is_there_for_who_comes_later(network, press):
    assert publish(press, "mode", "auto", keep=1, wait=0)["subscribers"] == 0
    assert ipc.Subscriber("mode", node=network.node("robot")).recv(PATIENCE).data == "auto"


def test_publishers_are_kept_for_a_while_and_few(network, press, monkeypatch):
    monkeypatch.setattr(module, "KEPT", 2)
    for topic in ("a", "b", "c", "c"):
        publish(press, topic, 1, wait=0)
    assert len(press._open) == 2
    press.sweep()
    assert len(press._open) == 2
    monkeypatch.setattr(module, "LINGER", -1.0)
    press.sweep()
    assert press._open == {}


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        (3, "JSON object"),
        ({"topic": "x"}, "data is missing"),
        ({"data": 1}, "topic is a name"),
        ({"topic": 3, "data": 1}, "topic is a name"),
        ({"topic": "x", "data": 1, "colour": 2}, "colour"),
        ({"topic": "x", "data": 1, "codec": "pickle"}, "codec is one of"),
        ({"topic": "x", "data": 1, "codec": 3}, "codec is a text"),
        ({"topic": "x", "data": 1, "reliable": 1}, "reliable is true or false"),
        ({"topic": "x", "data": 1, "keep": -1}, "keep is a number"),
        ({"topic": "x", "data": 1, "keep": True}, "keep is a number"),
        ({"topic": "x", "data": 1, "wait": 99}, "wait is a time"),
        ({"topic": "x", "data": 1, "wait": "1"}, "wait is a time"),
    ],
    ids=str,
)
def test_what_is_wrong_with_an_order_is_said(said, wrong):
    with pytest.raises(ipc.ArgumentError, match=wrong):
        read_order(said)


def test_an_order_without_more_takes_what_the_topic_has():
    assert read_order({"topic": "x", "data": 1}) == Order("x", 1)


@pytest.mark.parametrize(
    ("topic", "said"),
    [("a//b", {}), ("*", {}), ("@ipcpy/x", {}), ("/x", {}), ("x", {"domain": "other"}), ("x", {"codec": "struct"})],
    ids=str,
)
def test_what_cannot_be_published_is_said(press, topic, said):
    with pytest.raises(ipc.ArgumentError):
        publish(press, topic, 1, **{"wait": 0, **said})
    assert press._open == {}


@pytest.mark.parametrize(
    "value", [{"$bytes": "0g"}, {"$bytes": 3}, {"$float": "1"}, {"$x": 1}, {"$base64": "?"}, {"$float": "nan", "x": 1}]
)
def test_what_is_no_stand_in_is_said(value):
    with pytest.raises(ipc.ArgumentError, match="is no data"):
        data_of([value])


def test_data_that_are_nested_too_deep_are_said_to_be():
    data: object = 1
    for _ in range(100_000):
        data = [data]
    with pytest.raises(ipc.ArgumentError, match="too deep"):
        data_of(data)


def test_pages_that_look_at_a_topic_are_no_subscribers_of_what_is_published(network, press, wait_until):
    looking = ipc.Subscriber("cmd", node=press.web)
    know(press, wait_until, "cmd")
    assert publish(press, "cmd", 1)["subscribers"] == 0
    assert looking.recv(PATIENCE).data == 1
    robot = ipc.Subscriber("cmd", node=network.node("robot"))
    assert wait_until(lambda: publish(press, "cmd", 2, wait=0)["subscribers"] == 1, timeout=PATIENCE)
    assert robot.recv(PATIENCE).data == 2
