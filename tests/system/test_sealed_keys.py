"""Keys that change while messages flow, that differ, that are broken meanwhile, and nodes that have none."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from attacking import write_key
from lan_process import wait_until
from victims import Victim, victim

pytest.importorskip("cryptography")

TOPICS = {  # messages a second, bytes, options: what flows while keys change
    "sure": (500, 40, {"reliable": True}),
    "quick": (300, 40, {}),
    "large": (15, 200_000, {}),
}


class Fleet:
    """Nodes on two hosts, each with a key file of its own, as a fleet has copies of one."""

    def __init__(self, lan: Any, folder: Path) -> None:
        self.hosts, self.folder = lan(2), folder
        self.nodes: dict[str, Victim] = {}

    def file(self, name: str) -> Path:
        """Return where a node's key file is."""
        return self.folder / f"{name}.key"

    def start(self, name: str, host: int, *seeds: int) -> Victim:
        """Start a node with keys; with none for no seeds."""
        path = str(write_key(self.file(name), *seeds)) if seeds else ""
        self.nodes[name] = victim(self.hosts.spawn, name, host, env={"IPCPY_KEY_FILE": path})
        return self.nodes[name]

    def change(self, *seeds: int) -> None:
        """Write every node's key file, one after the other, and wait until each has taken it."""
        for name, node in self.nodes.items():
            write_key(self.file(name), *seeds)
            time.sleep(0.2)  # an administrator goes from one to the next; meanwhile they differ
            assert node.process.running
        for node in self.nodes.values():
            wait_until(lambda node=node: node.ask("keys") == [list(seeds), True], 30, 0.1)


@pytest.fixture
def fleet(lan: Any, tmp_path: Path) -> Fleet:
    """Hosts for nodes with keys."""
    return Fleet(lan, tmp_path)


def flows(receiver: Victim, topic: str, more: int = 20, timeout: float = 15.0) -> None:
    """Wait until more messages of a topic have come."""
    before = receiver.taken(topic)["seen"]
    wait_until(lambda: receiver.taken(topic)["seen"] >= before + more, timeout, 0.05)


def test_a_fleet_changes_its_key_and_loses_nothing(fleet):
    """Add the new key everywhere, move it to the top everywhere, remove the old one: as docs/security.md says."""
    sender = fleet.start("sender", 1, 1)
    receivers = [fleet.start("far", 2, 1), fleet.start("near", 1, 1)]
    for receiver in receivers:
        for topic in TOPICS:
            receiver.subscribe(topic)
    for topic, (rate, size, options) in TOPICS.items():
        sender.publish(topic, rate, size, **options)
    for receiver in receivers:
        for topic in TOPICS:
            flows(receiver, topic)
    begun = [{topic: receiver.taken(topic) for topic in TOPICS} for receiver in receivers]
    for seeds in ((1, 2), (2, 1), (2,)):
        fleet.change(*seeds)
        for receiver in receivers:
            for topic in TOPICS:
                flows(receiver, topic)
    published = {topic: sender.ask("stop", topic) for topic in TOPICS}
    for receiver, before in zip(receivers, begun, strict=True):
        for topic, count in published.items():
            wait_until(lambda node=receiver, topic=topic, last=count: node.taken(topic)["last"] == last, 30, 0.05)
            books = receiver.taken(topic)
            came = books["seen"] - before[topic]["seen"]
            print(f"measured: {receiver.name}: {came} of {topic} while keys changed, lost {books['lost']}")
            assert books["wrong"] == []
            assert books["seen"] == count - books["first"] + 1
            assert sum(books["lost"].values()) == sum(before[topic]["lost"].values())
    latecomer = fleet.start("latecomer", 2, 1)  # whose key was removed
    latecomer.subscribe("sure")
    wait_until(lambda: latecomer.look()["dropped"].get("key", 0) > 3, 30, 0.05)
    assert latecomer.look()["nodes"] == ["latecomer"]
    assert sender.look()["nodes"] == ["far", "near", "sender"]


def test_a_removed_key_opens_nothing_any_more(fleet):
    one, two = fleet.start("one", 1, 1, 2), fleet.start("two", 2, 1, 2)
    two.subscribe("t")
    one.publish("t", 100)
    flows(two, "t")
    write_key(fleet.file("two"), 2)
    wait_until(lambda: two.ask("keys")[0] == [2], 30, 0.05)
    wait_until(lambda: "key" in two.look()["dropped"], 30, 0.05)
    seen = two.taken("t")["seen"]
    wait_until(lambda: two.look()["nodes"] == ["two"], 30, 0.1)  # not only silent: it is a stranger now
    assert "a key you do not have" in two.ask("why", "t")
    assert two.taken("t")["seen"] <= seen + 2
    write_key(fleet.file("one"), 2)
    wait_until(lambda: two.look()["silent"] == [] and two.look()["nodes"] == ["one", "two"], 30, 0.05)
    flows(two, "t")


def test_kinds_of_nodes_never_mix(fleet):
    """Two nodes of one key, one of another, two of none: all have the same domain and the same topic."""
    kinds = {"red1": (1, (1,)), "red2": (2, (1,)), "blue": (2, (2,)), "none1": (1, ()), "none2": (2, ())}
    nodes = {name: fleet.start(name, host, *seeds) for name, (host, seeds) in kinds.items()}
    for name, node in nodes.items():
        node.subscribe("from/*")
        node.publish(f"from/{name}", 50)
    expected = {"red1": ["red1", "red2"], "red2": ["red1", "red2"], "blue": ["blue"],
                "none1": ["none1", "none2"], "none2": ["none1", "none2"]}  # fmt: skip
    for name, node in nodes.items():
        wait_until(lambda name=name, node=node: node.look()["nodes"] == expected[name], 30, 0.05)
        others = [other for other in expected[name] if other != name]
        flows(node, "from/*", more=20)
        look = node.look()
        assert look["topics"] == sorted(f"from/{each}" for each in expected[name]), others
    for name, node in nodes.items():
        refused = {cause: count for cause, count in node.look()["dropped"].items() if count}
        print(f"measured: {name} refused {refused}")
        if name.startswith("none"):
            assert refused["unauthenticated"] > 3
        else:
            assert refused["key"] > 3
            assert refused["unsealed"] > 3


def test_a_key_file_is_broken_while_messages_flow(fleet):
    """Each of these stands where the file was, for longer than a node takes to look; the old key goes on."""
    one, two = fleet.start("one", 1, 1), fleet.start("two", 2, 1)
    two.subscribe("t")
    one.publish("t", 200)
    flows(two, "t")
    path, right = fleet.file("two"), fleet.file("two").read_bytes()

    def put(data: bytes, mode: int = 0o600) -> None:
        new = path.with_name("new")
        new.touch(mode)
        new.chmod(mode)
        new.write_bytes(data)
        new.replace(path)

    def as_folder() -> None:
        path.unlink()
        path.mkdir()

    def as_pipe() -> None:
        path.rmdir()
        os.mkfifo(path, 0o600)

    breaks = [
        lambda: put(b""),
        lambda: put(right[: len(right) // 2]),
        lambda: put(right, 0o644),
        path.unlink,
        lambda: put(right, 0o660),
        as_folder,
        as_pipe,
    ]
    before = two.taken("t")
    for number, do in enumerate(breaks, 1):
        do()
        wait_until(lambda number=number: warned(two) >= number, 30, 0.05)
        flows(two, "t")
    assert warned(two) == len(breaks)
    assert two.ask("keys")[0] == [1]
    path.unlink()
    put(right)
    flows(two, "t", more=600)
    books = two.taken("t")
    assert books["lost"] == before["lost"]
    assert books["seen"] == books["last"] - books["first"] + 1
    put(right.replace(b"\n", b"\n# a comment\n"))
    flows(two, "t", more=600)
    assert warned(two) == len(breaks)


def warned(node: Victim) -> int:
    """Count what a node said of its key file."""
    return sum("log WARNING" in line and "key file" in line for line in node.process.stdout.splitlines())
