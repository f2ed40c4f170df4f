"""How discovery grows with the number of nodes: the real link of many nodes, on one fake clock in one process.

    python -m benchmarks.discovery [--sizes 10 30 100 300] [--svg docs/discovery.svg]

Every node is a computer of its own on one LAN. It takes ``COST`` seconds for each datagram it sends or receives, and
reads what has come meanwhile in one go, as ipcpy does. All start at the same moment; each has some topics. Printed, and
drawn if matplotlib is there: how long until every node knows every topic of all others, what that takes in datagrams
and bytes, and the traffic while nothing happens. Bytes are those of UDP's payload. No socket is opened.
"""

from __future__ import annotations

import argparse
import gc
import heapq
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from random import Random

from ipcpy.addresses import Address
from ipcpy.protocol.link.entries import NodeEntry, PublisherEntry, pack_entry
from ipcpy.protocol.link.link import EntryChanged, Link

COST = 30e-6  # seconds of computing for a datagram sent or received, about what is measured on a small computer
LATENCY = 0.0002  # seconds on the wire
DRAIN = 256  # datagrams that are read before what they call for is sent
SETTLE = 2.0  # seconds until the traffic counts as that of a quiet network
WINDOW = 3.0  # seconds for which it is counted


@dataclass(frozen=True)
class Result:
    """What one simulation found; datagrams and bytes are those sent by one node on average."""

    nodes: int
    topics: int
    seconds: float
    start_datagrams: float
    start_bytes: float
    idle_datagrams: float  # a second
    idle_bytes: float  # a second
    idle_sent: float  # datagrams a second, all nodes together


class Node:
    """A computer with one node: its link, what waits to be read, and until when it computes."""

    def __init__(self, number: int, link: Link) -> None:
        self.link = link
        self.address: Address = (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 17_770)
        self.inbox: deque[tuple[float, bytes, Address]] = deque()
        self.free = 0.0
        self.due = float("inf")  # when it is looked after next


class Crowd:
    """Many nodes on one LAN.

    Attributes:
        known: how many entries of others all nodes together know.
    """

    def __init__(self, size: int, topics: int, seed: int = 1) -> None:
        random = Random(seed)
        self.now = 0.0
        self.datagrams = self.bytes = self.known = 0
        self._order = count()
        self._heap: list[tuple[float, int, Node]] = []
        self.nodes = [self._node(number + 1, topics, random) for number in range(size)]
        self._at = {node.address: node for node in self.nodes}

    def _node(self, number: int, topics: int, random: Random) -> Node:
        entry = pack_entry(NodeEntry(f"n{number}", f"h{number}", number, "1", "d"))
        link = Link(number, entry, "d", random.randbytes(32), seed=random.randrange(1 << 30))
        for at in range(topics):
            link.table.put(number << 20 | at + 1, pack_entry(PublisherEntry(f"n{number}/topic{at}", "raw")))
        link.greet(0.0)
        node = Node(number, link)
        self._look_at(node, random.uniform(0.0, 0.001))
        return node

    def _look_at(self, node: Node, when: float) -> None:
        when = max(when, node.free)
        if when < node.due:
            node.due = when
            heapq.heappush(self._heap, (when, next(self._order), node))

    def run(self, until: float, known: float = float("inf")) -> None:
        """Let time pass, until that time or until so many entries are known."""
        while self._heap and self._heap[0][0] <= until and self.known < known:
            when, _, node = heapq.heappop(self._heap)
            if when == node.due:
                self.now = when
                node.due = float("inf")
                self._work(node)
        if self.known < known:
            self.now = until

    def _work(self, node: Node) -> None:
        link, inbox, now, read = node.link, node.inbox, self.now, 0
        while inbox and inbox[0][0] <= now and read < DRAIN:
            _, data, sender = inbox.popleft()
            link.receive_datagram(data, sender, now)
            read += 1
        link.handle_timer(now)
        self.known += sum(isinstance(event, EntryChanged) for event in link.events())
        sent = link.datagrams_to_send()
        node.free = now + COST * (read + len(sent))
        for data, address in sent:
            self._carry(node, data, address)
        if inbox:
            self._look_at(node, inbox[0][0])
        self._look_at(node, link.next_timer())

    def _carry(self, node: Node, data: bytes, address: Address | None) -> None:
        self.datagrams += 1
        self.bytes += len(data)
        arrives = node.free + LATENCY
        for other in self.nodes if address is None else (self._at[address],):
            if other is not node:
                other.inbox.append((arrives, data, node.address))
                self._look_at(other, arrives)


def simulate(size: int, topics: int = 10) -> Result:
    """Start so many nodes at once, wait until all know all, and then watch them do nothing."""
    crowd = Crowd(size, topics)
    crowd.run(60.0, known=size * (size - 1) * topics)
    if crowd.known < size * (size - 1) * topics:
        raise RuntimeError(f"{size} nodes do not know each other after {crowd.now} s")
    seconds, datagrams, sent = crowd.now, crowd.datagrams, crowd.bytes
    crowd.run(seconds + SETTLE)
    before = crowd.datagrams, crowd.bytes
    crowd.run(seconds + SETTLE + WINDOW)
    idle = [(after - was) / WINDOW for after, was in zip((crowd.datagrams, crowd.bytes), before, strict=True)]
    return Result(size, topics, seconds, datagrams / size, sent / size, idle[0] / size, idle[1] / size, idle[0])


def draw(results: Sequence[Result], path: Path) -> None:
    """Draw an SVG.

    Raises:
        ImportError: if there is no matplotlib.
    """
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "ipcpy", "font.size": 9})
    from matplotlib import pyplot

    sizes = [result.nodes for result in results]
    figure, panels = pyplot.subplots(1, 3, figsize=(9.5, 3.0), layout="constrained")
    for panel, title, rows in (
        (panels[0], "all know all: seconds", {"seconds": [r.seconds for r in results]}),
        (
            panels[1],
            "until then, sent by a node",
            {"datagrams": [r.start_datagrams for r in results], "kB": [r.start_bytes / 1e3 for r in results]},
        ),
        (
            panels[2],
            "quiet, sent by a node each second",
            {"datagrams": [r.idle_datagrams for r in results], "kB": [r.idle_bytes / 1e3 for r in results]},
        ),
    ):
        for label, values in rows.items():
            panel.loglog(sizes, values, marker="o", markersize=3, linewidth=1, label=label)
        panel.set_title(title, fontsize=9)
        panel.set_xlabel("nodes")
        panel.grid(visible=True, linewidth=0.3)
        if len(rows) > 1:
            panel.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None, "Creator": None})


def main() -> None:
    """Simulate, print, draw."""
    parser = argparse.ArgumentParser(description="How discovery grows with the number of nodes, simulated.")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 30, 100, 300])
    parser.add_argument("--topics", type=int, default=10, help="of each node")
    parser.add_argument("--svg", type=Path, help="draw to this file; needs matplotlib")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    gc.disable()  # hundreds of thousands of objects that stay: looking at them again and again finds nothing
    results = []
    for size in options.sizes:
        results.append(found := simulate(size, options.topics))
        line = (
            f"{found.nodes:5} nodes: {found.seconds:7.3f} s until all know all,"
            f" {found.start_datagrams:8.0f} datagrams {found.start_bytes / 1e3:8.1f} kB sent by each;"
            f" quiet: {found.idle_datagrams:6.0f} datagrams/s {found.idle_bytes / 1e3:6.1f} kB/s sent by each"
        )
        print(json.dumps(asdict(found)) if options.json else line, flush=True)
    if options.svg:
        draw(results, options.svg)


if __name__ == "__main__":
    main()
