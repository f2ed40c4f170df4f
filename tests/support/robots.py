"""A program with one node that publishes, subscribes and tells what it sees; and what the discovery tests ask of it.

Processes of one test LAN share a kernel, so their monotonic clocks, and pytest's, are one.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any

from lan_process import Process, ProcessFailed

ROBOT = """
import json, logging, os, sys, threading, time
import ipcpy as ipc

name, options = sys.argv[1], json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="log %(levelname)s %(name)s %(message)s")
wanted = {}


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\\n")
    sys.stdout.flush()


def take(message):
    who, sent = bytes(message.data).decode().split()
    if who in wanted and float(sent) >= wanted[who]:
        del wanted[who]
        say("heard", who, time.monotonic())


def watch():
    for event in node.watch():
        if hasattr(event, "node") and event.node.id != node.id:
            kind = type(event).__name__.removeprefix("Node").lower()
            say(kind, event.node.name, event.node.id, getattr(event, "reason", "-").replace(" ", "-"), time.monotonic())


def publish():
    while not node.closed:
        publisher.publish(f"{name} {time.monotonic()}".encode())
        time.sleep(0.02)


ipc.Node, ipc.Publisher, ipc.Subscriber  # imported at first use
begun = time.monotonic()
node = ipc.Node(name, **options)
subscriber = ipc.Subscriber("from/*", ipc.Raw(), callback=take, node=node)
publisher = ipc.Publisher(f"from/{name}", ipc.Raw(), node=node)
threading.Thread(target=watch, daemon=True).start()
threading.Thread(target=publish, daemon=True).start()
say("ready", node.id, os.getpid(), begun)
for line in sys.stdin:
    verb, *words = line.split()
    if verb == "after":
        wanted[words[0]] = float(words[1])
    elif verb == "nodes":
        say("nodes", json.dumps([[n.name, n.id, n.host, n.pid, n.address, n.state, n.age] for n in node.nodes()]))
    elif verb == "topics":
        say("topics", json.dumps({t.name: [len(t.publishers), len(t.subscribers)] for t in node.topics()}))
    elif verb == "dropped":
        say("dropped", json.dumps(dict(node.stats.dropped)))
    elif verb == "why":
        routes = [(s.node.name, s.node.address) for s in publisher.subscribers]
        say("why", json.dumps([subscriber.why(), dict(subscriber.stats.dropped), routes]))
    elif verb == "answering":
        hosts = dict(node._core._link.hosts.known)
        say("answering", json.dumps([ip for ip, host in hosts.items() if host.answered > 0]))
    elif verb == "end":
        break
"""


class Robot:
    """A running ROBOT."""

    def __init__(self, process: Process, name: str) -> None:
        self.process = process
        self.name = name
        self._taken: set[int] = set()
        ready = self._wait(r"^ready (\S+) (\d+) (\S+)", 10.0)
        self.id, self.pid, self.begun = ready[1], int(ready[2]), float(ready[3])

    def _wait(self, pattern: str, timeout: float) -> re.Match[str]:
        """Wait for a line, wherever it is, that was not waited for before."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            for number, line in enumerate(self.process.stdout.splitlines()):
                if number not in self._taken and (found := re.search(pattern, line)):
                    self._taken.add(number)
                    return found
            time.sleep(0.005)
        raise ProcessFailed(f"no line matches {pattern!r} within {timeout} s\n{self.process.report()}")

    def event(self, kind: str, name: str, timeout: float = 20.0) -> tuple[str, float]:
        """Wait for found, lost, stalled or resumed; give its reason and when it came."""
        found = self._wait(rf"^{kind} {name} \S+ (\S+) (\S+)", timeout)
        return found[1].replace("-", " "), float(found[2])

    def hears(self, name: str, since: float, timeout: float = 20.0) -> float:
        """Wait for data that was published after a time; give the seconds from then to its arrival."""
        self.process.send_line(f"after {name} {since}")
        return float(self._wait(rf"^heard {name} (\S+)", timeout)[1]) - since

    def ask(self, what: str) -> Any:
        """Return its nodes (lists), topics, dropped, why, or the hosts that answer knocks (answering)."""
        self.process.send_line(what)
        return json.loads(self._wait(rf"^{what} (.*)", 10.0)[1])

    def nodes(self) -> list[str]:
        """Return the names of the nodes it lists, sorted, with a mark at those that are unresponsive."""
        return sorted(row[0] + ("?" if row[5] != "alive" else "") for row in self.ask("nodes"))

    def logged(self, text: str) -> int:
        """Count the lines of its log that hold a text."""
        return sum(text in line for line in self.process.stdout.splitlines() if line.startswith("log "))


def robot(where: Any, name: str, *place: int, env: dict[str, str] | None = None, **options: Any) -> Robot:
    """Start a ROBOT: where is the fixture ``spawn``, or the ``spawn`` of a LAN with the host in ``place``."""
    return Robot(where(*place, ROBOT, name, json.dumps(options), env=env), name)


def both_hear(one: Robot, other: Robot, since: float | None = None, timeout: float = 20.0) -> float:
    """Wait until data published after a time (None: now) arrived both ways; give the seconds the slower one took."""
    since = time.monotonic() if since is None else since
    return max(one.hears(other.name, since, timeout), other.hears(one.name, since, timeout))


def measured(what: str, seconds: float, aim: float, most: float) -> None:
    """Print a time and what was aimed at, and insist on what also a loaded machine must keep."""
    print(f"measured: {what}: {seconds * 1e3:.0f} ms, aim {aim * 1e3:.0f} ms")
    assert seconds < most, f"{what} took {seconds:.3f} s"
