"""Many topics in one process, and many subscribers of one topic."""

from __future__ import annotations

import itertools
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from ..adapters.contract import LOOPBACK, SAMPLE, VALUES, Sample, Setting
from ..adapters.own import MESSAGES
from ..adapters.raw import connected, receiving
from ..figures import Metric, Target
from ..processes import RoleFailed, Run
from ..publishing import BURST
from ..roles import asked, tell
from .contract import Amount, Row

PAUSE = 0.003  # seconds between bursts
FLAT = 1.3  # what "flat" means: the cost of many is at most so many times that of one


def subscribe(setting: Setting) -> None:
    """Receive what is published on all topics, or with so many subscribers; tell how many came and what it cost."""
    take = _raw_subscribe(setting) if setting.extra["kind"] == "raw" else _own_subscribe(setting)
    tell(ready=True)
    count = 0

    def loop() -> None:
        nonlocal count
        while True:
            count += take()

    threading.Thread(target=loop, daemon=True).start()
    while True:
        asked()
        cpu = time.process_time_ns()
        before = count
        tell(begun=True)
        asked()
        tell(count=count - before, cpu=(time.process_time_ns() - cpu) / 1e3)


def _raw_subscribe(setting: Setting) -> Callable[[], int]:
    selector = selectors.DefaultSelector()
    ports = []
    for _ in range(setting.extra["topics"] * setting.extra["subscribers"]):
        sock = receiving(LOOPBACK, 0)
        ports.append(sock.getsockname()[1])
        selector.register(sock, selectors.EVENT_READ, sock)
    tell(ports=ports)
    buffer = bytearray(2048)

    def take() -> int:
        got = 0
        for key, _ in selector.select():
            sock: socket.socket = key.data
            sock.recv_into(buffer)
            SAMPLE.unpack_from(buffer)
            got += 1
        return got

    return take


def _own_subscribe(setting: Setting) -> Callable[[], int]:
    import ipcpy

    def subscriber() -> Any:
        return ipcpy.Subscriber(f"{setting.name}/**", ipcpy.MsgLibrary(MESSAGES), depth=100_000)

    subscribers = [subscriber() for _ in range(setting.extra["subscribers"])]
    tell(ports=[])

    def take() -> int:
        subscribers[0].recv()  # the others are emptied by the I/O thread
        return 1

    return take


def publish(setting: Setting) -> None:
    """Publish in bursts, topic after topic; tell what a message costs."""
    topics = setting.extra["topics"]
    sends = _raw_publish(setting) if setting.extra["kind"] == "raw" else _own_publish(setting)
    tell(ready=True)
    turn = itertools.cycle(sends)
    for _ in range(2):
        words = asked()
        asleep = 0
        cpu = time.process_time_ns()
        for _ in range(words["bursts"]):
            for _ in range(BURST):
                next(turn)()
            begun = time.thread_time_ns()
            time.sleep(PAUSE)
            asleep += time.thread_time_ns() - begun
        count = words["bursts"] * BURST
        tell(sent=count, cpu=(time.process_time_ns() - cpu - asleep) / 1e3 / count, topics=topics)


def _raw_publish(setting: Setting) -> list[Callable[[], object]]:
    each = setting.extra["subscribers"]
    socks = [connected(LOOPBACK, port) for port in setting.extra["ports"]]

    def sender(group: list[socket.socket]) -> Callable[[], object]:
        sends = [sock.send for sock in group]

        def send() -> None:
            data = SAMPLE.pack(1, *VALUES)
            for each_send in sends:
                each_send(data)

        return send

    return [sender(socks[at : at + each]) for at in range(0, len(socks), each)]


def _own_publish(setting: Setting) -> list[Callable[[], object]]:
    import ipcpy

    codec = ipcpy.MsgLibrary(MESSAGES)
    names = [f"{setting.name}/{number}" for number in range(setting.extra["topics"])]
    publishers = [ipcpy.Publisher(name, codec) for name in names]
    for publisher in publishers:
        publisher.wait_for_subscribers(setting.extra["subscribers"], timeout=20)
    sample = Sample(1, *VALUES)
    return [lambda publish=publisher.publish: publish(sample) for publisher in publishers]  # type: ignore[misc]


def cost(adapter: str, topics: int, subscribers: int, amount: Amount) -> tuple[float, float]:
    """Return what a message costs its publisher, and its subscribers' process."""
    with Run(adapter) as run:
        extra: dict[str, Any] = {"kind": adapter, "topics": topics, "subscribers": subscribers}
        theirs = run.start("benchmarks.rows.topics.subscribe", adapter="", **extra)
        ports = theirs.answer()["ports"]
        theirs.answer()
        ours = run.start("benchmarks.rows.topics.publish", adapter="", **extra, ports=ports)
        ours.answer(40)
        time.sleep(amount.calm)
        ours.ask(60, bursts=max(2, amount.bursts // 10))
        time.sleep(0.1)
        theirs.ask(do="begin")
        said = ours.ask(60, bursts=amount.bursts)
        time.sleep(0.2)
        heard = theirs.ask(do="report")
        if not heard["count"]:
            raise RoleFailed("nothing arrived")
        return said["cpu"], heard["cpu"] / said["sent"]


class Topics(Row):
    """One process publishes on so many topics in turn, another receives all of them with one pattern."""

    name = "topics"
    title = "1, 10, 100 topics in one process"
    floor = "raw"
    adapters = ("raw", "ipcpy")
    NUMBERS = (1, 10, 100)
    metrics = (
        Metric(
            "times", "publisher's CPU with 100 topics, times that with one", "", (Target("ipcpy", FLAT, ratio=False),)
        ),
        *(Metric(f"publish {n}", f"publisher's CPU, {n}", "µs") for n in NUMBERS),
        *(Metric(f"receive {n}", f"subscriber's CPU, {n}", "µs") for n in NUMBERS),
    )
    brief = False
    upright = True

    def measure(self, adapter: str, amount: Amount) -> dict[str, float]:
        figures: dict[str, float] = {}
        for number in (1, 100) if amount.quick else self.NUMBERS:
            figures[f"publish {number}"], figures[f"receive {number}"] = cost(adapter, number, 1, amount)
        return figures | {"times": figures["publish 100"] / figures["publish 1"]}


class Subscribers(Row):
    """One topic, and so many subscribers of it in one process."""

    name = "subscribers"
    title = "1 to 64 subscribers of one topic"
    floor = "raw"
    adapters = ("raw", "ipcpy")
    NUMBERS = (1, 2, 4, 8, 16, 32, 64)
    metrics = tuple(Metric(f"publish {n}", f"publisher's CPU, {n}", "µs") for n in NUMBERS)
    brief = False
    upright = True

    def measure(self, adapter: str, amount: Amount) -> dict[str, float]:
        numbers = (1, 64) if amount.quick else self.NUMBERS
        return {f"publish {number}": cost(adapter, 1, number, amount)[0] for number in numbers}
