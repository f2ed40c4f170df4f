"""A man on the LAN without the key, against whole nodes: on every port, with all that he has recorded."""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

from attacking import ATTACKER, RECORDER, SENDER, write_key
from lan_process import wait_until
from victims import WRONG_CLOCK, Victim, victim

pytest.importorskip("cryptography")

COUNT = int(os.environ.get("SEALED_ATTACKS", "30000"))  # datagrams of each kind of attack; a million by hand
RATE = 15_000  # a second
STREAM = 1_000  # messages a second that are to come through meanwhile
MORE = 48 << 20  # bytes that an attacked process may take more than before: of its inboxes, and of Python's heap


class Scene:
    """Two sealed nodes on two hosts with a stream between them, and a host from which they are attacked."""

    def __init__(self, lan: Any, folder: Path) -> None:
        self.hosts, self.folder = lan(3), folder
        self.key = write_key(folder / "key", 1)
        self.sender, self.receiver = self.start("sender", 1), self.start("receiver", 2)
        self.recorders = [self.record(host) for host in (1, 2)]
        self.receiver.subscribe("stream")
        self.sender.publish("stream", STREAM)
        self.receiver.publish("back", 20, 3_000)
        self.sender.subscribe("back")
        for one, topic in ((self.sender, "stream"), (self.receiver, "back")):
            wait_until(lambda one=one, topic=topic: one.ask("matched", topic), 30, 0.05)

    def examine(self) -> None:
        """Have a doctor ask both nodes, each of which opens its second port for that."""
        before = [len(node.look()["ports"]) for node in (self.sender, self.receiver)]
        ipcpy = [sys.executable, "-m", "ipcpy", "doctor"]
        said = self.hosts.run(1, ipcpy, env={"IPCPY_KEY_FILE": str(self.key)}, timeout=60).stdout
        after = [len(node.look()["ports"]) for node in (self.sender, self.receiver)]
        assert after == [count + 1 for count in before], said

    def start(self, name: str, host: int, before: str = "", **env: str) -> Victim:
        """Start a node with the key."""
        return victim(self.hosts.spawn, name, host, before=before, env={"IPCPY_KEY_FILE": str(self.key), **env})

    def record(self, host: int) -> Any:
        """Begin to record what passes at a host."""
        process = self.hosts.spawn(host, RECORDER, str(self.folder / f"recorded{host}"))
        process.wait_line("recording")
        return process

    def recorded(self) -> Path:
        """End the recordings; return the file that has all that passed."""
        everything: dict[Any, None] = {}
        for host, process in zip((1, 2), self.recorders, strict=True):
            process.send_line()
            process.wait_line("recorded", 30)
            everything |= dict.fromkeys(pickle.loads((self.folder / f"recorded{host}").read_bytes()))
        path = self.folder / "recorded"
        path.write_bytes(pickle.dumps(list(everything)))
        return path

    def targets(self) -> list[tuple[str, int]]:
        """Return all ports of both nodes, and those at which they greet."""
        found = [(self.hosts.ip(host), port) for host, node in ((1, self.sender), (2, self.receiver))
                 for port in node.look()["ports"]]  # fmt: skip
        return [*found, (self.hosts.ip(1), 17_769), ("239.255.77.70", 17_769)]

    def attack(self, recording: Path, what: str, count: int, rate: float = RATE) -> str:
        """Attack all ports; return what the attacker says of it."""
        arguments = (count, rate, self.targets(), 1)
        process = self.hosts.spawn(3, ATTACKER, str(recording), what, *map(json.dumps, arguments))
        process.wait_line("ready", 60)
        process.send_line()
        return process.wait_line("sent (.*)", 60 + 3 * count / rate)[1]


@pytest.fixture
def scene(lan: Any, tmp_path: Path) -> Scene:
    """Two sealed nodes and an attacker."""
    return Scene(lan, tmp_path)


def refused(node: Victim, *topics: str) -> int:
    """Return how many datagrams a node refused, on all of its sockets."""
    return sum(sum(books["dropped"].values()) for books in (node.look(), *map(node.taken, topics)))


@pytest.mark.timeout(60 + 12 * COUNT // RATE)
def test_a_stream_goes_on_under_attack_on_every_port(scene):
    """All that was recorded is played again, with one bit changed, cut, mixed, and random, from any address."""
    wait_until(lambda: scene.receiver.taken("stream")["seen"] > 1_500, 20, 0.05)
    scene.examine()
    recording = scene.recorded()
    attacked = (scene.sender, "back"), (scene.receiver, "stream")
    print(f"measured: {COUNT} of each on {len(scene.targets())} ports")
    for what in ("replay", "flip", "mutate"):
        before = [(refused(node, topic), node.taken(topic), node.look()) for node, topic in attacked]
        said = scene.attack(recording, what, COUNT)
        for (node, topic), (refusals, taken, looked) in zip(attacked, before, strict=True):
            books, now = node.taken(topic), node.look()
            rate = (books["seen"] - taken["seen"]) / max(1, books["last"] - taken["last"])
            came = refused(node, topic) - refusals
            print(f"measured: {what}: {said} s; {node.name} refused {came}, took {100 * rate:.2f} % of {topic},"
                  f" {(now['memory'] - looked['memory']) >> 10} KiB more")  # fmt: skip
            assert books["wrong"] == []
            assert books["duplicates"] == 0  # a replay that was taken would be one
            assert books["last"] > taken["last"]
            assert rate >= 0.99
            assert came > COUNT // 100  # what a busy computer takes of what it is sent
            assert now["nodes"] == ["receiver", "sender"]
            assert now["topics"] == ["back", "stream"]
            assert now["files"] <= looked["files"] + 1
            assert now["threads"] == looked["threads"]
            assert now["memory"] - looked["memory"] < MORE
    for node in (scene.sender, scene.receiver):
        node.end()


PLAYER = (
    SENDER
    + """
# Arguments: a recording, [[ip, port], ...] of the targets, how often. Each datagram goes to each target, from where it
# came and from elsewhere.
path, targets, rounds = sys.argv[1], *map(json.loads, sys.argv[2:4])
with open(path, "rb") as file:
    recorded = [each for each in pickle.load(file) if len(each[2]) <= 1472]
print("ready", flush=True)
sent = 0
for _ in range(rounds):
    for source, to, data in recorded:
        for target in targets:
            sent += forge(source, tuple(target), data)
        if not sent % 7:
            time.sleep(0.0005)
print("sent", sent, flush=True)
"""
)


def played(hosts: Any, recording: Path, targets: list[tuple[str, int]], rounds: int = 2) -> int:
    """Play a recording to all targets; return how many datagrams that were."""
    process = hosts.spawn(3, PLAYER, str(recording), json.dumps(targets), json.dumps(rounds))
    return int(process.wait_line(r"sent (\d+)", 120)[1])


def old_world(scene: Scene) -> Path:
    """Return what two nodes said, which ended after that: no more than is played in a few seconds."""
    wait_until(lambda: scene.receiver.taken("stream")["seen"] > 400, 20, 0.05)
    scene.sender.end()
    scene.receiver.end()
    everything = pickle.loads(scene.recorded().read_bytes())
    greetings = [each for each in everything if each[1][1] in range(17_769, 17_780)]
    others = [each for each in everything if each not in greetings]
    path = scene.folder / "old"
    path.write_bytes(pickle.dumps(greetings[:300] + others[:1_200]))
    return path


@pytest.mark.parametrize("kind", ["fresh", "forked", "a day behind", "ten years ahead"])
def test_old_sessions_move_nothing(scene, kind):
    recording = old_world(scene)
    offset = {"a day behind": -86_400.0, "ten years ahead": 3.2e8}.get(kind, 0.0)
    node = scene.start("receiver", 2, before=WRONG_CLOCK.format(offset=offset) if offset else "")
    if kind == "forked":
        node.subscribe("before")
        assert node.ask("fork") is not None
        wait_until(lambda: node.look()["nodes"] == ["receiver"], 30, 0.1)  # the parent's node is closed
    node.subscribe("stream")
    node.publish("back", 20, 3_000)
    before = node.look()
    targets = [(scene.hosts.ip(2), port) for port in before["ports"]]
    sent = played(scene.hosts, recording, [*targets, ("239.255.77.70", 17_769)])
    after, books = node.look(), node.taken("stream")
    print(f"measured: {kind}: {sent} datagrams of old sessions: {after['dropped']}, {books['dropped']}")
    assert after["nodes"] == ["receiver"]
    assert after["topics"] == ["back", "stream"]
    assert books["seen"] == books["received"] == 0
    assert sum(after["dropped"].values()) > 1_000
    friend = scene.start("friend", 1)  # and it still meets who has the key and is there
    friend.publish("stream", 100)
    wait_until(lambda: node.taken("stream")["seen"] > 10, 30, 0.05)
    assert node.look()["nodes"] == ["friend", "receiver"]


COUNTER = """if True:
    import json, select, socket, sys
    # Arguments: an address. Until a line comes: what leaves this host by UDP for that address, datagrams and bytes.
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    print("counting", flush=True)
    count = size = 0
    while True:
        ready = select.select([sock, sys.stdin], [], [])[0]
        if sock in ready:
            packet, (_, kind, direction, *_) = sock.recvfrom(1 << 17)
            if kind == 0x0800 and direction == 4 and packet[9] == 17 and socket.inet_ntoa(packet[16:20]) == sys.argv[1]:
                count += 1
                size += int.from_bytes(packet[24:26], "big") - 8
        elif sys.stdin in ready:
            break
    print("counted", count, size, flush=True)
"""


@pytest.mark.parametrize("sealed", [True, False], ids=["with a key", "without"])
def test_a_forged_address_is_sent_no_more_than_was_sent_in_its_name(lan, tmp_path, sealed):
    """All greetings and questions of a recording, with the address of host 3, go to a node one by one."""
    hosts = lan(3)
    env = {"IPCPY_KEY_FILE": str(write_key(tmp_path / "key", 1)) if sealed else ""}
    recorder = hosts.spawn(1, RECORDER, str(tmp_path / "recorded"))
    recorder.wait_line("recording")
    old = victim(hosts.spawn, "old", 1, env=env)
    node = victim(hosts.spawn, "node", 2, env=env)
    wait_until(lambda: node.look()["nodes"] == ["node", "old"], 30, 0.05)
    old.end()
    recorder.send_line()
    recorder.wait_line("recorded")
    recorded = pickle.loads((tmp_path / "recorded").read_bytes())
    greetings = [each for each in recorded if each[0][0] == hosts.ip(1)]
    assert len(greetings) > 3
    counter = hosts.spawn(2, COUNTER, hosts.ip(3))
    counter.wait_line("counting")
    forged = [((hosts.ip(3), 9_000 + number % 7), (hosts.ip(2), 17_770), data)
              for number, (_, _, data) in enumerate(greetings * 50) if len(data) <= 1_472]  # fmt: skip
    (tmp_path / "forged").write_bytes(pickle.dumps(forged))
    process = hosts.spawn(1, PLAYER, str(tmp_path / "forged"), json.dumps([(hosts.ip(2), 17_770)]), "1")
    sent = int(process.wait_line(r"sent (\d+)", 30)[1])
    assert node.look()["nodes"] == ["node"] or not sealed
    counter.send_line()
    count, size = map(int, counter.wait_line(r"counted (\d+ \d+)")[1].split())
    bytes_sent = sum(len(data) for _, _, data in forged)
    print(f"measured: {sent} datagrams of {bytes_sent} bytes with a forged address: {count} answers of {size} bytes")
    assert count <= sent
    assert size <= bytes_sent
