from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

import ipcpy as ipc
import ipcpy.testing
from ipcpy.viewers import clients as module
from ipcpy.viewers.clients import Clients
from ipcpy.views import struct_views

Imu = namedtuple("Imu", "gyroX gz")


class Vec(NamedTuple):
    x: float
    velY: float  # noqa: N815


class Twist(NamedTuple):
    linear: Vec
    stamp: float


class Place:
    """Viewers that may publish on ``cmd/**``, as foxglove-sdk calls their listener, and who receives it."""

    def __init__(self, network: ipcpy.testing.MemoryNetwork) -> None:
        self.robot = network.node("robot")
        self.said: list[str] = []
        self.viewer = network.node("viewer")
        self.clients = Clients(self.viewer, "cmd/**", self.said.append)

    def offer(self, topic: str, encoding: str = "json", type: str = "", id: int = 1) -> None:
        channel = SimpleNamespace(id=id, topic=topic, encoding=encoding, schema_name=type)
        self.clients.on_client_advertise(SimpleNamespace(id=1), channel)

    def send(self, data: bytes, id: int = 1) -> None:
        self.clients.on_message_data(SimpleNamespace(id=1), id, data)

    def subscriber(self, topic: str, codec: Any = None) -> ipc.Subscriber:
        return ipc.Subscriber(topic, codec, node=self.robot)


@pytest.fixture
def place() -> Iterator[Place]:
    with ipcpy.testing.MemoryNetwork() as network:
        place = Place(network)
        yield place
        place.clients.close()


def known(place: Place, topic: str) -> Callable[[], bool]:
    """Return what tells whether the viewer knows who is on a topic."""
    return lambda: any(each.name == topic and each.subscribers for each in place.viewer.topics())


def test_json_is_published_as_msgpack_where_nobody_wants_otherwise(place: Place, wait_until) -> None:
    sub = place.subscriber("cmd/speed")
    place.offer("cmd/speed")
    sub.wait_for_publishers(timeout=10)
    place.send(b'{"speed": [1, null, "x"]}')
    assert sub.recv(timeout=10).data == {"speed": [1, None, "x"]}
    wait_until(lambda: place.clients.published == 1)
    assert (place.clients.refused, place.said) == (0, [])


def test_json_is_a_struct_where_the_topic_has_structs_by_the_names_of_either(place: Place, wait_until) -> None:
    sub = place.subscriber("cmd/imu", ipc.MsgLibrary({23: ("<2d", Imu)}))
    wait_until(known(place, "cmd/imu"))
    place.offer("cmd/imu", type="ipcpy_msgs/msg/Imu")
    sub.wait_for_publishers(timeout=10)
    place.send(b'{"gyroX": 1, "gz": 2}')
    place.send(b'{"gyro_x": 3, "gz": 4}')
    assert [sub.recv(timeout=10).data for _ in range(2)] == [Imu(1, 2), Imu(3, 4)]


def test_types_in_types_are_filled_by_name(place: Place, wait_until) -> None:
    sub = place.subscriber("cmd/twist", ipc.MsgLibrary({7: ("<3d", Twist)}))
    wait_until(known(place, "cmd/twist"))
    place.offer("cmd/twist")
    sub.wait_for_publishers(timeout=10)
    place.send(b'{"linear": {"x": 1, "vel_y": 2}, "stamp": 3}')
    assert sub.recv(timeout=10).data == Twist(Vec(1, 2), 3)


def test_cdr_of_the_topics_own_type_is_taken(place: Place, wait_until) -> None:
    library = ipc.MsgLibrary({23: ("<2d", Imu), 24: ("i", int)})
    sub = place.subscriber("cmd/imu", library)
    wait_until(known(place, "cmd/imu"))
    place.offer("cmd/imu", "cdr", "ipcpy_msgs/msg/Imu")
    sub.wait_for_publishers(timeout=10)
    cdr = struct_views(library.schema)[0].view(library.encode(Imu(5, 6)))
    assert cdr is not None
    place.send(cdr[0])
    assert sub.recv(timeout=10).data == Imu(5, 6)
    place.send(b"too short")
    wait_until(lambda: place.clients.refused == 1)
    assert "9 bytes are no ipcpy_msgs/msg/Imu" in place.said[0]


def test_bytes_go_as_they_are_where_the_topic_has_bytes(place: Place, wait_until) -> None:
    sub = place.subscriber("cmd/raw", ipc.Raw())
    wait_until(known(place, "cmd/raw"))
    place.offer("cmd/raw", "json")
    sub.wait_for_publishers(timeout=10)
    place.send(b"\0\1")
    assert bytes(sub.recv(timeout=10).data) == b"\0\1"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"no json", "it is no JSON"),
        (b"[" * 100_000, "it is no JSON"),
        (b'{"gz": 2}', "missing: ['gyroX']"),
        (b'{"gyroX": "fast", "gz": 2}', "field gyroX: expected float64"),
        (b"5", "message 23"),
    ],
)
def test_what_is_no_message_of_the_topic_is_said_and_counted(place: Place, wait_until, data: bytes, text: str) -> None:
    sub = place.subscriber("cmd/imu", ipc.MsgLibrary({23: ("<2d", Imu)}))
    wait_until(known(place, "cmd/imu"))
    place.offer("cmd/imu")
    sub.wait_for_publishers(timeout=10)
    place.send(data)
    place.send(data)
    wait_until(lambda: place.clients.refused == 2)
    assert len(place.said) == 1  # once
    assert place.said[0].startswith("a message on cmd/imu was not published: ") and text in place.said[0]


def test_a_type_that_the_topic_has_not_is_refused(place: Place, wait_until) -> None:
    sub = place.subscriber("cmd/any", ipc.MsgLibrary({1: ("i", int), 2: ("<2d", Imu)}))
    wait_until(known(place, "cmd/any"))
    place.offer("cmd/any", type="geometry_msgs/Twist")
    sub.wait_for_publishers(timeout=10)
    place.send(b"{}")
    wait_until(lambda: place.clients.refused == 1)
    assert "'geometry_msgs/Twist' is none of ipcpy_msgs/msg/Int, ipcpy_msgs/msg/Imu" in place.said[0]


def test_a_topic_that_is_not_allowed_is_refused_with_a_sentence(place: Place, wait_until) -> None:
    place.offer("/imu")
    place.send(b"{}")
    wait_until(lambda: place.clients.refused == 1)
    assert place.said == ["viewers may not publish on 'imu', only on cmd/**"]
    assert "imu" not in {topic.name for topic in place.viewer.topics()}


@pytest.mark.parametrize("topic", ["", "/", "cmd/a b", "cmd/*", "cmd//x", "@ipcpy/x", "cmd/" + "x" * 5000])
def test_a_topic_that_is_none_harms_nobody(place: Place, wait_until, topic: str) -> None:
    place.offer(topic)
    wait_until(lambda: place.said)
    place.offer("cmd/good", id=2)
    sub = place.subscriber("cmd/good")
    sub.wait_for_publishers(timeout=10)
    place.send(b"1", id=2)
    assert sub.recv(timeout=10).data == 1


def test_a_publisher_goes_with_the_last_channel_of_its_topic(place: Place, wait_until) -> None:
    sub = place.subscriber("cmd/speed")
    place.offer("cmd/speed", id=1)
    place.offer("/cmd/speed", id=2)
    sub.wait_for_publishers(timeout=10)
    place.clients.on_client_unadvertise(SimpleNamespace(id=1), 1)
    place.send(b"5", id=2)
    assert sub.recv(timeout=10).data == 5
    place.clients.on_client_unadvertise(SimpleNamespace(id=1), 2)
    place.clients.on_client_unadvertise(SimpleNamespace(id=1), 3)
    wait_until(lambda: not sub.publishers)
    assert place.said == []


def test_the_number_of_topics_is_bounded(place: Place, wait_until, monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_PUBLISHERS", 2)
    for number in range(3):
        place.offer(f"cmd/{number}", id=number)
    wait_until(lambda: place.said)
    assert place.said == ["viewers publish on 2 topics already"]


def test_what_waits_is_bounded_and_what_does_not_fit_is_counted(place: Place, monkeypatch) -> None:
    monkeypatch.setattr(module, "WAITING", 0)
    place.send(b"{}")
    assert place.clients.refused == 1


def test_where_nothing_is_allowed_nothing_is_done() -> None:
    with ipcpy.testing.MemoryNetwork() as network:
        clients = Clients(network.node("viewer"), (), print)
        channel = SimpleNamespace(id=1, topic="cmd", encoding="json", schema_name="")
        clients.on_client_advertise(SimpleNamespace(id=1), channel)
        clients.on_subscribe(None, None)
        clients.on_unsubscribe(None, None)
        clients.close()
        clients.close()
        assert (clients.published, clients.refused) == (0, 0)
