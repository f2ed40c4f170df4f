"""Programs that publish and subscribe as they are told, and the question whether the books balance."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from typing import Any

from lan_process import Process, wait_until

PIECE = 200  # messages: 212,992 bytes hold 277 small ones

# A best-effort message is lost where the other side does not run for as long as messages wait; on a busy computer that
# happens. With ``patient`` they wait for long: then whatever is lost is lost by a fault.
PATIENT = """
def be_patient():
    from ipcpy.protocol.data import receiver, sender
    from ipcpy.publishing import delivery, pacing
    delivery.Delivery.close.__defaults__ = (30.0,)  # close lingers
    sender.MAX_WAIT = sender.PATIENCE = receiver.PATIENCE = 30.0
    pacing.WAIT = pacing.BATCH_WAIT = 30.0
"""

PUBLISHER = (
    PATIENT
    + """
import json, sys, time
import ipcpy as ipc

job = {"count": 1000, "rate": 0, "size": 64, "batch": 0, "options": {}, "wait": 1, "close": False, "patient": False}
job |= json.loads(sys.argv[1])
if job["patient"]:
    be_patient()
publisher = ipc.Publisher("books", ipc.Raw(), **job["options"])
print("ready", flush=True)


def publish(count):
    body, start, longest = bytes(job["size"]), time.monotonic(), 0.0
    begun = time.monotonic()
    for number in range(count):
        if job["batch"]:
            if number % job["batch"] == 0:
                publisher.publish_many([body] * job["batch"])
            continue
        before = time.monotonic()
        publisher.publish(body)
        longest = max(longest, time.monotonic() - before)
        if job["rate"]:
            start = max(start + 1 / job["rate"], time.monotonic() - 0.5 / job["rate"])
            time.sleep(max(0.0, start - time.monotonic()))
    return longest, time.monotonic() - begun


if job["wait"]:
    publisher.wait_for_subscribers(job["wait"], timeout=20)
print("matched", flush=True)
if job["close"]:
    publish(job["count"])
    publisher.close()
for line in sys.stdin:
    verb, *words = line.split()
    if verb == "publish":
        print("published", *publish(int(words[0])), flush=True)
    elif verb == "stats":
        stats = publisher.stats
        each = [[s.handed, s.retransmitted, s.refused, s.given_up] for s in (stats, *stats.subscribers.values())]
        print("stats", json.dumps([stats.published, each]), flush=True)
    elif verb == "wait":
        print("wait", len(publisher.subscribers), flush=True)
    elif verb == "end":
        break
"""
)

SUBSCRIBER = (
    PATIENT
    + r"""
import json, re, sys, threading, time
import ipcpy as ipc
from ipcpy.transport import kernel

job = {"depth": 1_000_000, "buffer": 0, "read": True, "pause": 0, "patient": False, **json.loads(sys.argv[1])}
if job["patient"]:
    be_patient()
if job["buffer"]:
    kernel.BUFFER = job["buffer"]
subscriber = ipc.Subscriber("books", ipc.Raw(), depth=job["depth"])
taken, last, order = 0, {}, True


def read():
    global taken, order
    for message in subscriber:
        order = order and message.seq > last.get(message.publisher, 0)
        last[message.publisher] = message.seq
        taken += 1
        if job["pause"]:
            time.sleep(job["pause"])


if job["read"]:
    threading.Thread(target=read, daemon=True).start()
print("ready", flush=True)
for line in sys.stdin:
    verb, *words = line.split()
    if verb == "stats":
        s = subscriber.stats
        peak = int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1]) >> 10
        books = {"received": s.received, "lost": dict(s.lost), "duplicates": s.duplicates, "reordered": s.reordered}
        books |= {"dropped": dict(s.dropped), "taken": taken, "order": order, "peak": peak, "last": last,
                  "each": {id: f.received + sum(f.lost.values()) for id, f in s.publishers.items()}}
        print("stats", json.dumps(books), flush=True)
    elif verb == "latest":
        message = subscriber.latest()
        print("latest", message.seq if message else 0, flush=True)
    elif verb == "sleep":
        time.sleep(float(words[0]))
        print("slept", flush=True)
    elif verb == "end":
        break
"""
)


class Program:
    """A running PUBLISHER or SUBSCRIBER."""

    def __init__(self, process: Process) -> None:
        self.process = process
        process.wait_line("ready", 40)

    def ask(self, verb: str, *words: object, answer: str = "", timeout: float = 50.0) -> re.Match[str]:
        """Tell it to do something; give the line that says it is done."""
        self.process.send_line(" ".join(map(str, (verb, *words))))
        return self.process.wait_line(rf"^{answer or verb}\b ?(.*)", timeout)

    def stats(self) -> Any:
        """Return its counts."""
        return json.loads(self.ask("stats")[1])


def start(where: Any, program: str, *place: int, **job: Any) -> Program:
    """Start a program: where is the fixture ``spawn``, or the ``spawn`` of a LAN with the host in ``place``."""
    return Program(where(*place, program, json.dumps(job)))


def balanced(subscriber: Program, published: int, timeout: float = 30.0) -> Any:
    """Wait until what was received and lost is what was published, exactly; give the counts."""

    def stats() -> Any:
        books = subscriber.stats()
        total = books["received"] + sum(books["lost"].values())
        assert total <= published, books
        return books if total == published else None

    try:
        books = wait_until(stats, timeout, 0.05)
    except AssertionError as error:
        raise AssertionError(f"{published} published, {subscriber.stats()}") from error
    print(json.dumps(books))
    return books


def publish_in_pieces(publisher: Program, subscribers: Sequence[Program], count: int) -> float:
    """Publish small messages, as many at a time as the smallest buffer holds; give how long one took at most.

    So none of them depends on how soon a subscriber runs.
    """
    longest = 0.0
    for published in range(PIECE, count + 1, PIECE):
        longest = max(longest, float(publisher.ask("publish", PIECE, answer="published")[1].split()[0]))
        for subscriber in subscribers:
            balanced(subscriber, published)
    return longest


def until(moment: float) -> None:
    """Pace: wait until a moment of the monotonic clock."""
    time.sleep(max(0.0, moment - time.monotonic()))
