from __future__ import annotations

import json
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import ipcpy as ipc
from ipcpy.viewers.board import Board, Channel

Imu = namedtuple("Imu", "gx gz")
LIBRARY = ipc.MsgLibrary({23: ("<2f", Imu)})
NODE = ipc.NodeInfo("0" * 16, "robot", "host", 1, "default", None, "1", "alive", 0.0)


def publisher(id: str, topic: str, codec: Any, keep: int = 0) -> ipc.EndpointInfo:
    return ipc.EndpointInfo(id, "publisher", topic, codec.name, codec.schema, False, keep, NODE)


def message(id: str, topic: str, codec: Any, data: Any) -> ipc.Message:
    body = codec.encode(data)
    return ipc.Message(b"".join(body) if isinstance(body, list) else body, topic, 1, 5, 6, id)


class Log:
    """A board, and what it opened and closed."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, str]] = []
        self.board = Board(self._opened, self._closed)

    def _opened(self, channel: Channel) -> object:
        self.told.append(("opened", channel.topic, channel.schema.name))
        return object()

    def _closed(self, channel: Channel) -> None:
        self.told.append(("closed", channel.topic, channel.schema.name))

    def see(self, id: str, topic: str, data: Any, codec: Any = None) -> list[tuple[str, str]]:
        found = self.board.see(message(id, topic, codec or ipc.MsgPack(), data))
        return [(channel.topic, channel.schema.name) for channel, _ in found]


def test_a_struct_topic_is_a_channel_before_its_first_message_and_goes_with_its_last_publisher() -> None:
    log = Log()
    one, other = publisher("a", "imu", LIBRARY), publisher("b", "imu", LIBRARY)
    log.board.follow([one, other])
    assert log.told == [("opened", "imu", "ipcpy_msgs/msg/Imu")]
    assert log.board.unknown() == {}
    log.board.follow([other])
    assert len(log.told) == 1
    log.board.follow([])
    assert log.told[1:] == [("closed", "imu", "ipcpy_msgs/msg/Imu")]
    assert log.board.channels() == ()


def test_messages_are_shown_on_their_channel_quick_way_or_not() -> None:
    log = Log()
    log.board.follow([publisher("a", "imu", LIBRARY)])
    for number in range(3):
        ((channel, data),) = log.board.see(message("a", "imu", LIBRARY, Imu(number, 2)))
        assert channel.topic == "imu"
        assert b"".join(data)[4:] == np.array([number, 2], "<f4").tobytes()


def test_what_msgpack_carries_is_unknown_until_a_message_is_seen() -> None:
    log = Log()
    log.board.follow([publisher("a", "doc", ipc.MsgPack())])
    assert (log.told, log.board.unknown()) == ([], {"a": "doc"})
    assert log.see("a", "doc", {"x": 1}) == [("doc", "ipcpy.doc")]
    assert log.told == [("opened", "doc", "ipcpy.doc")]
    assert log.board.unknown() == {}


def test_a_schema_that_grows_opens_its_channel_anew() -> None:
    log = Log()
    log.board.follow([publisher("a", "doc", ipc.MsgPack()), publisher("b", "doc", ipc.MsgPack())])
    log.see("a", "doc", {"x": 1})
    log.see("b", "doc", {"y": True})
    assert [what for what, *_ in log.told] == ["opened", "closed", "opened"]
    (channel,) = log.board.channels()
    told = json.loads(channel.schema.text)["properties"]
    assert told == {"x": {"type": "number"}, "y": {"type": "boolean"}}
    log.see("a", "doc", {"x": 2})
    log.see("b", "doc", {"y": False})
    assert len(log.told) == 3


def test_an_image_is_an_image_though_json_was_guessed() -> None:
    log = Log()
    log.board.follow([publisher("a", "camera", ipc.MsgPack())])
    log.board.guess("a")
    log.board.guess("a")
    assert log.told == [("opened", "camera", "ipcpy.camera")]
    assert log.see("a", "camera", np.zeros((8, 9, 3), "uint8")) == [("camera", "sensor_msgs/msg/Image")]
    assert log.told[1:] == [("closed", "camera", "ipcpy.camera"), ("opened", "camera", "sensor_msgs/msg/Image")]


def test_json_that_was_guessed_becomes_the_json_that_came() -> None:
    log = Log()
    log.board.follow([publisher("a", "doc", ipc.MsgPack())])
    log.board.guess("a")
    log.see("a", "doc", {"x": 1})
    assert [what for what, *_ in log.told] == ["opened", "closed", "opened"]
    assert "x" in json.loads(log.board.channels()[0].schema.text)["properties"]


def test_an_image_in_a_dict_has_a_channel_of_its_own() -> None:
    log = Log()
    log.board.follow([publisher("a", "camera", ipc.MsgPack())])
    shown = log.see("a", "camera", {"frame": 1, "left": np.zeros((200, 200), "uint8")})
    assert shown == [("camera", "ipcpy.camera"), ("camera/left", "sensor_msgs/msg/Image")]


def test_what_differs_on_one_topic_is_shown_beside_it_until_the_first_is_gone() -> None:
    log = Log()
    wider = ipc.MsgLibrary({23: ("<2d", Imu)})
    one, other = publisher("a", "imu", LIBRARY), publisher("b", "imu", wider)
    log.board.follow([one, other])
    assert {(channel.topic, channel.schema.name) for channel in log.board.channels()} == {
        ("imu", "ipcpy_msgs/msg/Imu"),
        ("imu/Imu2", "ipcpy_msgs/msg/Imu2"),
    }
    log.board.follow([])
    log.board.follow([other])
    assert [(channel.topic, channel.schema.name) for channel in log.board.channels()] == [("imu", "ipcpy_msgs/msg/Imu")]


def test_messages_of_strangers_and_of_those_who_just_went_are_shown_nowhere() -> None:
    log = Log()
    assert log.see("a", "doc", {"x": 1}) == []
    log.board.follow([publisher("a", "doc", ipc.MsgPack())])
    log.board.follow([])
    log.board.guess("a")
    assert (log.see("a", "doc", {"x": 1}), log.told) == ([], [])


@pytest.mark.parametrize("schema", [{}, {"messages": [{"id": 1, "format": "@"}]}])
def test_a_publisher_whose_schema_is_none_is_shown_as_bytes(schema: dict[str, Any]) -> None:
    log = Log()
    log.board.follow([ipc.EndpointInfo("a", "publisher", "imu", "struct", schema, False, 0, NODE)])
    (channel,) = log.board.channels()
    assert (channel.schema.message_encoding, channel.schema.encoding) == ("struct", "")
