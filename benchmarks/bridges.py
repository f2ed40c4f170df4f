"""A bridged message one way, and how much crosses a second, beside plain Zenoh that does the same on the same router.

    python -m benchmarks.bridges

Everything runs on loopback: the publisher and its bridge, the router, the bridge beyond and its subscriber, a process
each. Plain Zenoh has a process that puts and one that subscribes, with the same priority, reliability and congestion
control. The two take turns.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

ROUNDS = 5
SIZES = {
    "small": (100, 1000, 500.0),
    "image": (1_000_000, 150, 0.0),
}  # bytes, messages, a second (0: as fast as it goes)


def zenoh_session(mode: str, endpoint: str) -> Any:
    import zenoh

    config = zenoh.Config()
    side = "listen/endpoints" if mode == "router" else "connect/endpoints"
    for path, value in {"mode": mode, side: [endpoint], "scouting/multicast/enabled": False}.items():
        config.insert_json5(path, json.dumps(value))
    return zenoh.open(config)


def run_router(endpoint: str) -> None:
    session = zenoh_session("router", endpoint)
    tell("ready")
    sys.stdin.readline()
    session.close()


def run_bridge(endpoint: str, domain: str) -> None:
    import ipcpy as ipc

    with ipc.Node("bridge", domain=domain, interfaces="lo") as node:
        with ipc.Bridge(ipc.ZenohAdapter(connect=endpoint), node=node):
            tell("ready")
            sys.stdin.readline()
            tell(str(time.process_time()))


def run_publisher(kind: str, endpoint: str, what: str) -> None:
    size, count, rate = SIZES[what]
    with ExitStack() as stack:
        send = stack.enter_context(publishing(kind, endpoint, what))
        tell("ready")
        sys.stdin.readline()
        start = time.monotonic()
        for n in range(count):
            send(time.time_ns().to_bytes(8, "little") + bytes(size - 8))
            if rate:
                time.sleep(max(0.0, start + (n + 1) / rate - time.monotonic()))
        tell("done")
        sys.stdin.readline()


@contextmanager
def publishing(kind: str, endpoint: str, what: str) -> Iterator[Any]:
    if kind == "zenoh":
        import zenoh

        session = zenoh_session("client", endpoint)
        pub = session.declare_publisher(
            f"plain/{what}", congestion_control=zenoh.CongestionControl.BLOCK, express=what == "small"
        )
        yield pub.put
        session.close()
        return
    import ipcpy as ipc

    with ipc.Node("pub", domain="bench-a", interfaces="lo") as node:
        with ipc.Publisher(what, ipc.Raw(), reliable=True, node=node, block=30.0) as ipcpy_pub:
            ipcpy_pub.wait_for_subscribers(timeout=20)
            yield ipcpy_pub.publish


def run_subscriber(kind: str, endpoint: str, what: str) -> None:
    _, count, _ = SIZES[what]
    late, first = [], 0
    with ExitStack() as stack:
        recv = stack.enter_context(subscribing(kind, endpoint, what, count))
        tell("ready")
        for _ in range(count):
            body = bytes(recv()[:8])
            now = time.time_ns()
            first = first or now
            late.append(now - int.from_bytes(body, "little"))
    late.sort()
    tell(json.dumps([late[len(late) // 2] / 1e3, late[len(late) * 99 // 100] / 1e3, (now - first) / 1e9]))


@contextmanager
def subscribing(kind: str, endpoint: str, what: str, count: int) -> Iterator[Any]:
    if kind == "zenoh":
        import zenoh

        session = zenoh_session("client", endpoint)
        sub = session.declare_subscriber(f"plain/{what}", zenoh.handlers.FifoChannel(count))
        yield lambda: sub.recv().payload.to_bytes()
        session.close()
        return
    import ipcpy as ipc

    with ipc.Node("sub", domain="bench-b", interfaces="lo") as node:
        with ipc.Subscriber(what, ipc.Raw(), depth=10_000, depth_bytes=1 << 30, node=node) as ipcpy_sub:
            yield lambda: ipcpy_sub.recv(30).data


def tell(text: str) -> None:
    print(text, flush=True)


class Child:
    """One of the processes."""

    def __init__(self, *words: str) -> None:
        command = [sys.executable, "-m", "benchmarks.bridges", *words]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def measure(kind: str, endpoint: str, what: str) -> list[float]:
    """Return the median and the 99th percentile of the latency in us, and how many seconds all took."""
    sub = Child("subscriber", kind, endpoint, what)
    sub.line()
    pub = Child("publisher", kind, endpoint, what)
    pub.line()
    time.sleep(0.5)  # plain Zenoh says nothing of its subscribers
    pub.go()
    found: list[float] = json.loads(sub.line())
    pub.end()
    sub.end()
    return found


def main() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        endpoint = f"tcp/127.0.0.1:{sock.getsockname()[1]}"
    children = [Child("router", endpoint)]
    children[0].line()
    children += [Child("bridge", endpoint, domain) for domain in ("bench-a", "bench-b")]
    for child in children[1:]:
        child.line()
    found: dict[tuple[str, str], list[list[float]]] = {}
    try:
        for _ in range(ROUNDS):
            for what in SIZES:
                for kind in ("zenoh", "ipcpy"):
                    found.setdefault((what, kind), []).append(measure(kind, endpoint, what))
    finally:
        for child in children:
            child.end()
    print(f"{os.cpu_count()} cores, median of {ROUNDS} rounds")
    for (what, kind), rounds in found.items():
        size, count, _ = SIZES[what]
        p50, p99, seconds = (statistics.median(each[n] for each in rounds) for n in range(3))
        rate = f", {size * (count - 1) / seconds / 1e6:.0f} MB/s" if what == "image" else ""
        print(f"{what:6} {kind:6} {p50:9.0f} us p50 {p99:9.0f} us p99{rate}")


ROLES: dict[str, Any] = {
    "router": run_router,
    "bridge": run_bridge,
    "publisher": run_publisher,
    "subscriber": run_subscriber,
}

if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        ROLES[sys.argv[1]](*sys.argv[2:])
