"""What it costs nodes that their flows are watched: ``python -m benchmarks.watching``. See docs/flows.md.

One process publishes on many topics, a second one takes the newest message of each, as often as they come, a third one
asks both for their books, or does not, in turns: off, on, on, off, off, on ... What the first two cost is the time of
all their threads, by the scheduler. That of ipcpy's own threads, one of which answers, is told by itself too. Two
halves that follow each other make a pair, so that what drifts is the same in both. Two that are both "off" show what
differs by chance.

What is printed is the middle of the differences of all pairs as Hodges and Lehmann have it: the median of the means of
each two of them. It is nearly as exact as the mean, and a few halves in which something else was at work hardly move
it. The interval is that of Wilcoxon's signed ranks: by chance a half costs as often more as less than its neighbour.

Messages are noted until 128 were, which 10 a second take 13 s to be. So the subscriber ends that by itself, at the end
of each of its turns, where nobody has asked for a while; it looks whether that is so in either half.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import private

SETTLING = 3.0  # seconds from the first picture on until nothing new is told any more
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
from ipcpy.subscribing.latencies import NOT_YET
node = ipc.Node("subscribes", interfaces="lo")
subs = [ipc.Subscriber(f"t{number}", node=node) for number in range(int(sys.argv[1]))]
quiet_ns = int(float(sys.argv[3]) * 1e9)
while True:
    for sub in subs:
        sub.latest()
    until = time.time_ns() - quiet_ns
    for sub in subs:
        for flow in list(sub._subscription._inbound.flows.values()):
            if flow.asked_ns < until and flow.fastest_ns == NOT_YET:
                flow.fastest_ns = flow.least_ns
    time.sleep(1 / float(sys.argv[2]))
"""
WATCHES = """
import select, sys, time
import ipcpy as ipc
node = ipc.Node("watches", interfaces="lo")
node.wait_complete(10)
print("ready", flush=True)
every, asking, complete = float(sys.argv[1]), False, 0
while True:
    if select.select([sys.stdin], [], [], every)[0]:
        asking = sys.stdin.readline().strip() == "on"
        print(complete, flush=True)
        complete = 0
    elif asking:
        flows = node.flows(timeout=2)
        complete += len([flow for flow in flows if None not in (flow.sent, flow.received)]) == int(sys.argv[2])
"""


def start(program: str, *words: object) -> subprocess.Popen[str]:
    """Start a role in its own process."""
    command = [sys.executable, "-c", program, *map(str, words)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def spent(processes: Sequence[subprocess.Popen[str]]) -> list[float]:
    """Return the seconds that all threads of each process have run, and those of them that ipcpy's own have."""
    found = []
    for process in processes:
        tasks = list(Path(f"/proc/{process.pid}/task").iterdir())
        run = {int(task.name): int((task / "schedstat").read_text().split()[0]) / 1e9 for task in tasks}
        found += [sum(run.values()), sum(run.values()) - run[process.pid]]  # all but the one that the program begins in
    return found


def measure(processes: Sequence[subprocess.Popen[str]], seconds: float) -> list[float]:
    """Return what part of a core each process takes, and ipcpy's threads in it, in percent, over some seconds."""
    before, begun = spent(processes), time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - begun
    return [(after - earlier) / passed * 100 for after, earlier in zip(spent(processes), before, strict=True)]


def halves(given: argparse.Namespace) -> tuple[list[tuple[bool, list[float]]], float]:
    """Return of each half whether it was watched, and what the processes took, as ``measure`` does.

    And how often a second all flows were told, while they were watched.
    """
    apart = given.every + 0.2  # seconds without a question from which on nobody asks
    roles = [start(PUBLISHES, given.flows, given.hz), start(SUBSCRIBES, given.flows, given.hz, apart)]
    found: list[tuple[bool, list[float]]] = []
    try:
        _line(roles[0])
        roles.append(start(WATCHES, given.every, given.flows))
        _line(roles[2])
        time.sleep(SETTLING)
        before, readings, seconds = False, 0, 0.0
        for number in range(2 * given.pairs):
            begun, watched = time.monotonic(), number % 4 in (1, 2)
            if watched != before:
                readings += _switch(roles[2], watched)
                time.sleep(apart + 2 / given.hz)
            found.append((watched, measure(roles[:2], given.seconds)))
            before = watched
            seconds += (time.monotonic() - begun) * watched
        readings += _switch(roles[2], False)
        return found, readings / seconds
    finally:
        for role in roles:
            role.kill()
            role.wait()


def _switch(watcher: subprocess.Popen[str], watched: bool) -> int:
    assert watcher.stdin is not None
    watcher.stdin.write("on\n" if watched else "off\n")
    watcher.stdin.flush()
    return int(_line(watcher))


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def differences(took: Sequence[tuple[bool, float]]) -> tuple[list[float], list[float]]:
    """Return by how much more watched halves took than the unwatched ones beside them, and how much those differ."""
    beside = list(itertools.pairwise(took))
    more = [(after - before) * (1 if watched else -1) for (was, before), (watched, after) in beside if was != watched]
    return more, [after - before for (was, before), (watched, after) in beside if not (was or watched)]


def told(differences: Sequence[float]) -> str:
    """Return the middle of some differences, and between which values it is at 90 %."""
    count = len(differences)
    means = sorted((one + other) / 2 for one, other in itertools.combinations_with_replacement(differences, 2))
    deviation = math.sqrt(count * (count + 1) * (2 * count + 1) / 24)  # of the sum of the ranks of those above
    aside = max(0, math.floor(len(means) / 2 - 1.645 * deviation))
    return f"{statistics.median(means):.3f} ({means[aside]:.3f} to {means[len(means) - 1 - aside]:.3f})"


def main(words: Sequence[str] | None = None) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watching", description=__doc__)
    parser.add_argument("--flows", type=int, default=100)
    parser.add_argument("--hz", type=float, default=10.0, help="messages a second of each flow")
    parser.add_argument("--every", type=float, default=0.5, help="seconds between two readings")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each half")
    parser.add_argument("--pairs", type=int, default=100)
    given = parser.parse_args(words)
    given.pairs = max(3, given.pairs)  # with fewer, no two unwatched halves are beside each other
    found, readings = halves(given)
    print(f"{given.flows} flows of {given.hz:g} Hz, told {readings:.2f} times a second; percent of a core, of")
    print(f"{given.pairs} pairs of halves: the middle, and its 90 % interval")
    print("| | unwatched | watched more | by chance |\n|---|---|---|---|")
    for who, name in enumerate(("publisher's node", "ipcpy's threads", "subscriber's node", "ipcpy's threads")):
        took = [(watched, each[who]) for watched, each in found]
        more, chance = differences(took)
        base = statistics.median(cost for watched, cost in took if not watched)
        print(f"| {name} | {base:.2f} | {told(more)} | {told(chance)} |", flush=True)


if __name__ == "__main__":
    private.enter("benchmarks.watching")
    main()
