"""Sealed nodes under attack: programs that publish and receive a numbered stream, and keep count of what they are told.

Each node program answers lines on its standard input; ``Victim`` asks them.
"""

from __future__ import annotations

import json
from typing import Any

from lan_process import Process

NODE = """
import json, logging, os, resource, sys, threading, time
from pathlib import Path
import ipcpy as ipc

name, options = sys.argv[1], json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="log %(levelname)s %(name)s %(message)s")
lock = threading.Lock()


def say(*words):
    with lock:
        sys.stdout.write(" ".join(map(str, words)) + "\\n")
        sys.stdout.flush()


def ports():
    "The UDP ports of this process, but for those that all nodes share."
    inodes = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(link)
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    rows = [line.split() for line in Path("/proc/self/net/udp").read_text().splitlines()[1:]]
    mine = {int(row[1].partition(":")[2], 16) for row in rows if row[9] in inodes}
    return sorted(mine - {5353, 17769})


def memory():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


class Stream:
    "Publishes numbers at a rate, until it is told to stop."

    def __init__(self, topic, rate, size, **options):
        self.publisher = ipc.Publisher(topic, ipc.Raw(), node=node, **options)
        self.rate, self.filling, self.count, self.running = rate, b"." * size, 0, True
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        begun = time.monotonic()
        while self.running:
            self.count += 1
            self.publisher.publish(b"%d " % self.count + self.filling)
            time.sleep(max(0.0, begun + self.count / self.rate - time.monotonic()))

    def stop(self):
        self.running = False
        self.thread.join()


class Intake:
    "Takes what comes on a topic, and what is wrong with it."

    def __init__(self, topic):
        self.seen, self.wrong, self.last, self.first, self.when = 0, [], 0, 0, 0.0
        self.subscriber = ipc.Subscriber(topic, ipc.Raw(), node=node, callback=self.take)

    def take(self, message):
        number, _, filling = bytes(message.data).partition(b" ")
        number = int(number) if number.isdigit() else -1
        if number <= self.last or filling.strip(b"."):
            self.wrong.append([bytes(message.data[:40]).hex(), message.seq])
        self.first = self.first or number
        self.seen, self.last, self.when = self.seen + 1, max(self.last, number), time.monotonic()


def seed_of(secret):
    import random
    return next(seed for seed in range(1, 10) if random.Random(seed).randbytes(32) == secret)


node = ipc.Node(name, **options)
streams, intakes = {}, {}
say("ready", node.id, os.getpid())
for line in sys.stdin:
    verb, *words = line.split()
    if verb == "publish":  # topic, rate, size, options
        streams[words[0]] = Stream(words[0], float(words[1]), int(words[2]), **json.loads(words[3]))
        say("publish ok")
    elif verb == "subscribe":
        intakes[words[0]] = Intake(words[0])
        say("subscribe ok")
    elif verb == "matched":
        say("matched", json.dumps(bool(streams[words[0]].publisher.subscribers)))
    elif verb == "stop":
        stream = streams[words[0]]
        stream.stop()
        say("stop", json.dumps(stream.count))
    elif verb == "taken":
        intake = intakes[words[0]]
        stats = intake.subscriber.stats
        say("taken", json.dumps({"seen": intake.seen, "wrong": intake.wrong[:5], "first": intake.first,
            "last": intake.last, "lost": dict(stats.lost), "dropped": dict(stats.dropped), "received": stats.received,
            "duplicates": stats.duplicates}))
    elif verb == "look":
        say("look", json.dumps({"nodes": sorted(each.name for each in node.nodes()),
            "silent": sorted(each.name for each in node.nodes() if each.state != "alive"), "ports": ports(),
            "dropped": dict(node.stats.dropped), "memory": memory(), "threads": threading.active_count(),
            "files": len(list(Path("/proc/self/fd").iterdir())), "topics": sorted(t.name for t in node.topics())}))
    elif verb == "keys":  # which of attacking.key_line(1), (2), ...: their seeds; and whether data go by the first
        seal = node._core.keys.seal
        say("keys", json.dumps([[seed_of(each.secret) for each in seal.keyring.keys],
            seal.sealing[1].startswith(seal.keyring.first.id)]))
    elif verb == "why":
        say("why", json.dumps(intakes[words[0]].subscriber.why()))
    elif verb == "fork":  # the child takes over the conversation, with what it makes anew
        if os.fork():
            node.close()
            os.wait()
            os._exit(0)
        streams, intakes = {}, {}
        say("fork", json.dumps(node.id))
    elif verb == "end":
        break
for stream in streams.values():
    stream.stop()
node.close()
say("ended")
"""

WRONG_CLOCK = """
import time as _time
_real, _real_ns, _mono, _mono_ns, _off = _time.time, _time.time_ns, _time.monotonic, _time.monotonic_ns, {offset}
_time.time = lambda: _real() + _off
_time.time_ns = lambda: _real_ns() + int(_off * 1e9)
"""
"""What such a program begins with where its wall clock is wrong by ``offset`` seconds."""


class Victim:
    """A running NODE."""

    def __init__(self, process: Process, name: str) -> None:
        self.process, self.name = process, name
        ready = process.wait_line(r"^ready (\S+) (\d+)", 15.0)
        self.id, self.pid = ready[1], int(ready[2])

    def ask(self, what: str, *words: object, timeout: float = 20.0) -> Any:
        """Send a line, and return what is answered to it."""
        self.process.send_line(" ".join(map(str, (what, *words))))
        found = self.process.wait_line(rf"^{what} (.*)", timeout)[1]
        return None if found == "ok" else json.loads(found)

    def publish(self, topic: str, rate: float, size: int = 40, **options: Any) -> None:
        """Begin a stream of numbers."""
        self.ask("publish", topic, rate, size, json.dumps(options).replace(" ", ""))

    def subscribe(self, topic: str) -> None:
        """Begin to take what comes on a topic."""
        self.ask("subscribe", topic)

    def taken(self, topic: str) -> Any:
        """Return what came on a topic, and what was wrong with it."""
        return self.ask("taken", topic)

    def look(self) -> Any:
        """Return what the node sees, what it refused, and what it holds."""
        return self.ask("look")

    def end(self) -> None:
        """Have it end in good order."""
        self.process.send_line("end")
        self.process.wait_line("^ended", 30)


def victim(
    where: Any, name: str, *place: int, env: dict[str, str] | None = None, before: str = "", **options: Any
) -> Victim:
    """Start a NODE: where is the fixture ``spawn``, or the ``spawn`` of a LAN with the host in ``place``."""
    return Victim(where(*place, before + NODE, name, json.dumps(options), env=env), name)
