"""Looking for topics and nodes: how long it takes, what is said of nothing, and what JSON shows."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

import ipcpy as ipc
from ipcpy.cli import looking
from ipcpy.cli.looking import endpoint_record, look, named, nobody, node_record, topic_record, via

ARM = ipc.NodeInfo("0a" * 8, "arm", "robot7", 4711, "lab", "10.0.0.7:17770", "1.2.3", "alive", 0.5)
IMU = ipc.EndpointInfo("0b" * 8, "publisher", "imu", "raw", {"any": 1}, True, 3, ARM, ("They differ.",))


class Node:
    """A node whose picture is complete at once; remembers for how long it was waited for."""

    def __init__(self, monkeypatch):
        self.waited = []
        self._now = 100.0
        monkeypatch.setattr(looking, "time", SimpleNamespace(monotonic=lambda: self._now))

    def wait_complete(self, timeout):
        self.waited.append(timeout)
        self._now += timeout
        return False


@pytest.fixture
def node(monkeypatch):
    return Node(monkeypatch)


def test_what_is_in_the_first_picture_is_found_after_it(node):
    assert look(node, 5.0, lambda: True)
    assert node.waited == [looking.FIRST_PICTURE]


def test_what_comes_later_is_waited_for(node):
    assert look(node, 5.0, lambda: len(node.waited) == 3)
    assert node.waited == [looking.FIRST_PICTURE] * 3


@pytest.mark.parametrize("timeout", [0.0, 0.1, 0.45, 1.0])
def test_what_does_not_come_is_waited_for_as_long_as_was_asked(node, timeout):
    assert not look(node, timeout, lambda: False)
    assert sum(node.waited) == pytest.approx(timeout)


def test_a_last_look_is_taken_at_the_end(node):
    assert look(node, 0.0, lambda: True)


def test_nobody_there_names_the_domain_and_what_may_help():
    said = nobody("topic 'imu'", 0.25, "lab")
    assert said.startswith("no topic 'imu' within 0.25 s in domain 'lab'.")
    for help in ("IPCPY_DOMAIN", "IPCPY_PEERS", "ipcpy doctor"):
        assert help in said


def test_records_are_json_and_say_all():
    record = json.loads(json.dumps(endpoint_record(IMU, {})))
    assert record == {
        "id": "0b" * 8,
        "topic": "imu",
        "codec": "raw",
        "reliable": True,
        "keep": 3,
        "rate": 0.0,
        "mismatch": ["They differ."],
        "via": {},
        "node": json.loads(json.dumps(node_record(ARM))),
    }
    assert record["node"]["address"] == "10.0.0.7:17770"


def test_where_a_bridge_has_something_from_is_shown():
    far = replace(IMU, via={"bridge": "robot7", "node": "driver", "path": ["ab" * 8]})
    assert (via(far), via(IMU)) == ("driver via bridge robot7", "")
    assert endpoint_record(far, {})["via"]["bridge"] == "robot7"


def test_a_node_is_shown_as_it_is_now_not_as_it_was_when_it_announced():
    record = endpoint_record(IMU, {ARM.id: replace(ARM, state="unresponsive", age=7.5)})
    assert (record["node"]["state"], record["node"]["age"]) == ("unresponsive", 7.5)


def test_a_topic_shows_its_schema_once():
    topic = ipc.TopicInfo("imu", "raw", {"any": 1}, (IMU,), ())
    record = topic_record(topic, {})
    assert record["schema"] == {"any": 1}
    assert record["subscribers"] == [] and [each["id"] for each in record["publishers"]] == ["0b" * 8]
    assert "schema" not in record["publishers"][0]


@pytest.mark.parametrize(
    ("schema", "shown"),
    [
        ({"messages": []}, {"messages": []}),
        ({"a": b"\x00"}, {"a": {"$bytes": "AA=="}}),
        ({"a": float("nan")}, {"a": {"$float": "nan"}}),
        ({1: 2}, {"$map": [[1, 2]]}),
        ({"a": object()}, {"unreadable": "object has no JSON form"}),
    ],
)
def test_whatever_a_peer_calls_its_schema_can_be_json(schema, shown):
    made = topic_record(ipc.TopicInfo("imu", "odd", schema, (), ()), {})
    assert json.loads(json.dumps(made, allow_nan=False))["schema"] == shown


def test_where_nobody_is_found_it_is_said_that_a_stopped_program_is_not_seen():
    assert "stopped before (Ctrl-Z, a debugger) is seen once it goes on" in nobody("topic", 1.0, "lab")


def test_parameters_are_found_by_their_schema():
    camera = replace(IMU, topic="r/camera/parameters", schema={"parameters": {"gain": "float"}})
    impostors = [replace(camera, schema={"parameters": 5}), replace(camera, schema={})]
    topics = [
        ipc.TopicInfo(topic, "msgpack", {}, publishers, ())
        for topic, publishers in [("r/camera/parameters", (camera, *impostors)), ("r/camera", (camera,))]
    ]
    found = list(looking.parameters_of(SimpleNamespace(topics=lambda: topics)))
    assert found == [("r/camera", {"gain": "float"}, camera)]


def test_a_name_is_said_with_what_was_asked_for_where_that_is_another():
    node = SimpleNamespace(resolve=lambda asked: asked[1:] if asked.startswith("/") else f"r/{asked}")
    assert [named(node, "imu"), named(node, "/imu")] == ["'r/imu' (asked for as 'imu')", "'imu'"]
