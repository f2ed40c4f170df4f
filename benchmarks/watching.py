"""What it costs nodes that their flows are watched: ``python -m benchmarks.watching``. See docs/flows.md.

One process publishes on many topics, a second one subscribes to all of them, a third one asks both for their books,
in turns with rounds in which nobody asks. What the first two cost is the time of all their threads, by the scheduler.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import private

PUBLISHES = """
import itertools, sys, time
import ipcpy as ipc
flows, hz = int(sys.argv[1]), float(sys.argv[2])
node = ipc.Node("publishes", interfaces="lo")
pubs = [ipc.Publisher(f"t{number}", node=node) for number in range(flows)]
for pub in pubs:
    pub.wait_for_subscribers(timeout=60)
print("ready", flush=True)
begun = time.monotonic()
for turn in itertools.count(1):
    for pub in pubs:
        pub.publish({"speed": 1.0})
    time.sleep(max(0.0, begun + turn / hz - time.monotonic()))
"""
SUBSCRIBES = """
import sys, time
import ipcpy as ipc
node = ipc.Node("subscribes", interfaces="lo")
subs = [ipc.Subscriber(f"t{number}", node=node) for number in range(int(sys.argv[1]))]
time.sleep(1e6)
"""
WATCHES = """
import select, sys, time
import ipcpy as ipc
node = ipc.Node("watches", interfaces="lo")
node.wait_complete(10)
print("ready", flush=True)
every, asking = float(sys.argv[1]), False
while True:
    if select.select([sys.stdin], [], [], every)[0]:
        asking = sys.stdin.readline().strip() == "on"
    elif asking:
        told = [flow for flow in node.flows(timeout=2) if flow.sent is not None and flow.received is not None]
        print(len(told), flush=True)
"""


def start(program: str, *words: object) -> subprocess.Popen[str]:
    """Start a role in its own process."""
    command = [sys.executable, "-c", program, *map(str, words)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def spent(process: subprocess.Popen[str]) -> float:
    """Return the seconds that all threads of a process have run."""
    tasks = Path(f"/proc/{process.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def measure(processes: Sequence[subprocess.Popen[str]], seconds: float) -> list[float]:
    """Return what part of a core each process takes, in percent, over some seconds."""
    before, begun = [spent(each) for each in processes], time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - begun
    return [(spent(each) - earlier) / passed * 100 for each, earlier in zip(processes, before, strict=True)]


def rounds(given: argparse.Namespace) -> list[tuple[list[float], list[float]]]:
    """Return what the publishing and the subscribing process took in each round: unwatched, and watched."""
    roles = [start(PUBLISHES, given.flows, given.hz), start(SUBSCRIBES, given.flows)]
    found: list[tuple[list[float], list[float]]] = []
    try:
        _line(roles[0])
        roles.append(start(WATCHES, given.every))
        watcher = roles[2]
        _line(watcher)
        for number in range(given.rounds):
            both: dict[str, list[float]] = {}
            for state in ("off", "on") if number % 2 else ("on", "off"):
                assert watcher.stdin is not None
                watcher.stdin.write(f"{state}\n")
                watcher.stdin.flush()
                if state == "on":
                    _line(watcher)
                else:
                    time.sleep(min(3.0, given.seconds))  # messages are noted for so long
                both[state] = measure(roles[:2], given.seconds)
            found.append((both["off"], both["on"]))
    finally:
        for role in roles:
            role.kill()
            role.wait()
    return found


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def main(words: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watching", description=__doc__)
    parser.add_argument("--flows", type=int, default=100)
    parser.add_argument("--hz", type=float, default=10.0, help="messages a second of each flow")
    parser.add_argument("--every", type=float, default=0.5, help="seconds between two readings")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each half of a round")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(words)
    found = rounds(given)
    print(f"{given.flows} flows of {given.hz:g} Hz, read every {given.every:g} s; percent of a core, of {given.rounds}")
    print("| | unwatched | watched | more, median | more, least |\n|---|---|---|---|---|")
    for who, name in enumerate(("publisher's node", "subscriber's node")):
        off, on = ([each[state][who] for each in found] for state in (0, 1))
        more = [after - before for before, after in zip(off, on, strict=True)]
        figures = statistics.median(off), statistics.median(on), statistics.median(more), min(more)
        print(f"| {name} | " + " | ".join(f"{figure:.2f}" for figure in figures) + " |")


if __name__ == "__main__":
    private.enter("benchmarks.watching")
    main()
