from __future__ import annotations

from typing import Any

import ipcpy as ipc
from ipcpy.viewers.graph import connections


def node(id: str, name: str, pid: int = 1) -> ipc.NodeInfo:
    return ipc.NodeInfo(id, name, "host", pid, "default", None, "1", "alive", 0.0)


def end(kind: Any, at: ipc.NodeInfo, topic: str = "imu") -> ipc.EndpointInfo:
    return ipc.EndpointInfo(f"{kind}{at.id}", kind, topic, "msgpack", {}, False, 0, at)


def topic(name: str, publishers: list[ipc.NodeInfo], subscribers: list[ipc.NodeInfo]) -> ipc.TopicInfo:
    ends = tuple(end("publisher", each) for each in publishers), tuple(end("subscriber", each) for each in subscribers)
    return ipc.TopicInfo(name, "msgpack", {}, *ends)


CAMERA, ARM, VIEWER = node("1" * 16, "camera"), node("2" * 16, "arm"), node("3" * 16, "viewer")


def test_topics_and_services_have_the_names_of_their_nodes() -> None:
    ends = (end("subscriber", ARM),), (end("publisher", CAMERA),)
    service = ipc.ServiceInfo("arm/move", "any", {}, "any", {}, False, *ends)
    found = connections([topic("imu", [CAMERA], [ARM, VIEWER]), topic("gps", [CAMERA], [])], [service])
    assert found.published == {"imu": ["camera"], "gps": ["camera"]}
    assert found.subscribed == {"imu": ["arm", "viewer"]}
    assert found.answered == {"arm/move": ["arm"]}


def test_the_viewer_itself_is_left_out_and_so_is_a_pattern_that_nobody_publishes_on() -> None:
    found = connections([topic("imu", [CAMERA], [VIEWER]), topic("robot/**", [], [ARM])], [], VIEWER.id)
    assert (found.published, found.subscribed) == ({"imu": ["camera"]}, {})


def test_nodes_of_one_name_are_told_apart() -> None:
    twins = [node("4" * 16, "camera", 5), node("5" * 16, "camera", 5), node("6" * 16, "camera", 7)]
    found = connections([topic("imu", twins, [])], [])
    assert found.published == {"imu": ["camera (host:5) 4444", "camera (host:5) 5555", "camera (host:7)"]}
