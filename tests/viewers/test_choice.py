from __future__ import annotations

from collections.abc import Iterator

import pytest

import ipcpy as ipc
import ipcpy.testing
from ipcpy.viewers.choice import Choice, patterns


@pytest.fixture
def node() -> Iterator[ipc.Node]:
    with ipcpy.testing.MemoryNetwork() as network:
        yield network.node("viewer")


@pytest.mark.parametrize(
    ("topics", "exclude", "taken"),
    [
        ("/**", (), {"imu", "camera/left", "camera/left/raw"}),
        ("imu", (), {"imu"}),
        (["imu", "camera/*"], (), {"imu", "camera/left"}),
        ("/**", "camera/**", {"imu"}),
        ("/**", ["imu", "camera/left"], {"camera/left/raw"}),
    ],
)
def test_topics_are_taken_by_name_and_pattern(node: ipc.Node, topics: object, exclude: object, taken: set[str]) -> None:
    choice = Choice(node, topics, exclude)  # type: ignore[arg-type]
    assert {topic for topic in ("imu", "camera/left", "camera/left/raw") if choice.takes(topic)} == taken


def test_names_are_under_the_namespace_of_the_node() -> None:
    with ipc.Node(interfaces="lo", namespace="robot1") as node:
        assert patterns(node, ["imu", "/imu"]) == ("robot1/imu", "imu")
        assert Choice(node, "**").takes("robot1/imu") and not Choice(node, "**").takes("imu")


def test_what_is_no_topic_is_refused(node: ipc.Node) -> None:
    with pytest.raises(ipc.ArgumentError, match="got none"):
        Choice(node, ())
    with pytest.raises(ipc.ArgumentError, match="a topic is a name"):
        Choice(node, "a b")
