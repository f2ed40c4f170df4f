"""Programs that publish and take large messages, check every byte, and tell what they hold of this host's memory.

Each body bears its number and a checksum of all that follows. Who takes a message checks it at once, and once more when
it lets go of it: memory that is written to while somebody reads it is noticed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from books import Program, balanced
from lan_process import wait_until

PRELUDE = """
import collections, contextlib, gc, json, os, random, struct, sys, threading, time, zlib
import numpy
import ipcpy as ipc

HEAD = struct.Struct("<QII")  # number, size, check
NOISE = 1 << 20
TWICE = memoryview(random.Random(5).randbytes(NOISE) * 2)
Blob = collections.namedtuple("Blob", "bytes")
CODECS = {"bytes": ipc.Raw, "struct": lambda: ipc.MsgLibrary({23: ("<40000s", Blob)})}


def codec(kind):
    return CODECS.get(kind, ipc.MsgPack)()


def fill(memory, number):
    memory = memoryview(memory).cast("B")
    rest = memory[HEAD.size :]
    for start in range(0, len(rest), NOISE):
        piece, shift = rest[start : start + NOISE], 4_099 * number % NOISE
        piece[:] = TWICE[shift : shift + len(piece)]
    HEAD.pack_into(memory, 0, number, len(memory), zlib.crc32(rest, number & 0xFFFF_FFFF))


def made(kind, number, size):
    body = bytearray(40_000 if kind == "struct" else size)
    fill(body, number)
    if kind == "array":
        return numpy.frombuffer(body, numpy.uint8).reshape(-1, 4)
    if kind == "dict":
        return {"number": number, "image": numpy.frombuffer(body, numpy.uint8), "words": ["a", "b"] * 3}
    return Blob(bytes(body)) if kind == "struct" else bytes(body)


def check(data):
    # return the number that the content bears; raise ValueError if a byte of it is wrong
    if isinstance(data, dict):
        if data["words"] != ["a", "b"] * 3:
            raise ValueError(f"wrong words {data['words']}")
        data = data["image"]
    memory = memoryview(data.bytes if isinstance(data, tuple) else data).cast("B")
    number, size, right = HEAD.unpack_from(memory)
    if size != len(memory) or zlib.crc32(memory[HEAD.size :], number & 0xFFFF_FFFF) != right:
        raise ValueError(f"wrong bytes in what says that it is number {number} of {size} bytes, and has {len(memory)}")
    return number


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\\n")
    sys.stdout.flush()
"""

PUBLISHER = (
    PRELUDE
    + """
job = {"topic": "large", "kind": "bytes", "size": 1_000_000, "options": {}, "loan": False, "wait": 1, "rate": 0}
job |= {"count": 0, "name": None} | json.loads(sys.argv[1])
kind, size = job["kind"], job["size"]
node = ipc.Node(job["name"])
publisher = ipc.Publisher(job["topic"], codec(kind), node=node, **job["options"])
number, loans = 0, []


def lend():
    return publisher.loan(size) if kind == "bytes" else publisher.loan((size // 4, 4), "uint8")


def publish(count):
    global number
    due = time.monotonic()
    for _ in range(count):
        number += 1
        if job["loan"]:
            data = lend()
            fill(data, number)
        else:
            data = made(kind, number, size)
        publisher.publish(data)
        if job["rate"]:
            due = max(due + 1 / job["rate"], time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))


publish(job["count"])
say("ready", publisher.id, node.id)
if job["wait"]:
    publisher.wait_for_subscribers(job["wait"], timeout=30)
say("matched")
for line in sys.stdin:
    verb, *words = line.split()
    if verb == "publish":
        publish(int(words[0]))
        say("published", number)
    elif verb == "lend":  # and keep it
        loans.append(lend())
        say("lend", len(loans))
    elif verb == "drop":
        loans.clear()
        gc.collect()
        say("drop")
    elif verb == "stats":
        stats = publisher.stats
        say("stats", json.dumps({
            "published": stats.published, "handed": stats.handed, "refused": stats.refused, "given_up": stats.given_up,
            "shared": {id: route.shared for id, route in stats.subscribers.items()},
            "handovers": dict(node.stats.handovers), "why": publisher.why(),
        }))
    elif verb == "wait":
        say("wait", len(publisher.subscribers))
    elif verb == "end":
        break
"""
)

SUBSCRIBER = (
    PRELUDE
    + """
job = {"topic": "large", "kind": "bytes", "how": "sync", "depth": 1_000_000, "hold": 0}
job |= {"name": None, "gc": False} | json.loads(sys.argv[1])
node = ipc.Node(job["name"])
held, wrong, taken, last, writable = collections.deque(), [], 0, {}, 0
order = True
lock = threading.RLock()
if job["gc"]:  # everywhere, at any moment
    gc.set_threshold(1, 1, 1)


def look(message):
    try:
        number = check(message.data)
        if number != message.seq:
            wrong.append(f"number {number} came as {message.seq}")
    except Exception as error:
        wrong.append(f"{message.seq}: {error!r}")


def let_go(count):
    while len(held) > count:
        look(held[0])
        held.popleft()


def take(message):
    global taken, order, writable
    with lock:
        look(message)
        order = order and message.seq > last.get(message.publisher, 0)
        last[message.publisher] = message.seq
        taken += 1
        if isinstance(message.data, numpy.ndarray):
            writable += message.data.flags.writeable
        held.append(message)
        if job["hold"] is not None:  # None hoards
            let_go(job["hold"])


def read():
    with contextlib.suppress(ipc.ClosedError):
        for message in subscriber:
            take(message)
            del message


async def read_async():
    with contextlib.suppress(ipc.ClosedError):
        async for message in subscriber:
            take(message)
            del message


options = {"depth": job["depth"], "node": node}
if job["how"] == "callback":
    options["callback"] = take
subscriber = ipc.Subscriber(job["topic"], codec(job["kind"]) if job["kind"] != "any" else None, **options)
if job["how"] == "sync":
    threading.Thread(target=read, daemon=True).start()
elif job["how"] == "asyncio":
    import asyncio
    threading.Thread(target=asyncio.run, args=[read_async()], daemon=True).start()
say("ready", subscriber.id, node.id)
for line in sys.stdin:
    verb, *words = line.split()
    if verb == "stats":
        s = subscriber.stats
        say("stats", json.dumps({
            "received": s.received, "lost": dict(s.lost), "duplicates": s.duplicates, "taken": taken, "wrong": wrong,
            "shared": s.shared, "dropped": dict(s.dropped), "order": order,
            "topics": {f.topic: [f.received, sum(f.lost.values()), f.shared] for f in s.publishers.values()},
            "causes": {f.topic: dict(f.lost) for f in s.publishers.values()},
            "held": len(held), "writable": writable, "handovers": dict(node.stats.handovers), "why": subscriber.why(),
        }))
    elif verb == "hold":
        with lock:
            job["hold"] = None if words[0] == "all" else int(words[0])
            if job["hold"] is not None:
                let_go(job["hold"])
        gc.collect()
        say("hold", len(held))
    elif verb == "look":  # at all that is held
        with lock:
            list(map(look, held))
        say("look", json.dumps(wrong))
    elif verb == "close":
        subscriber.close()
        say("close")
    elif verb == "end":
        break
"""
)

OFF = {"IPCPY_SHM": "0"}


class Large(Program):
    """One of the programs, running.

    Attributes:
        ids: what it said of itself: its endpoint's id, its node's.
    """

    def __init__(self, where: Any, program: str, env: Mapping[str, str] | None = None, **job: Any) -> None:
        self.process = where(program, json.dumps(job), env=env)
        self.ids = self.process.wait_line("^ready (.*)", 30.0)[1].split()
        self.pid: int = self.process.pid

    def right(self, published: int, timeout: float = 30.0) -> Any:
        """Wait until the books of a subscriber balance; insist on right bytes; give its counts."""
        books = balanced(self, published, timeout)
        wait_until(lambda: self.stats()["taken"] == books["received"], timeout, 0.02)
        self.ask("look")
        books = self.stats()
        assert books["wrong"] == [] and books["writable"] == 0, books
        return books

    def finish(self) -> None:
        """End it; insist on exit code 0 and nothing to complain of."""
        self.process.send_line("end")
        self.process.succeed(20.0)
        assert self.process.stderr == ""


def warm(publisher: Large, *subscribers: Large, rounds: int = 5, at_once: int = 4) -> int:
    """Publish until each subscriber gets all through memory, which is handed over and grows meanwhile; return how many.

    Args:
        rounds: how often in a row all has to come through memory.
        at_once: how many messages are published before the subscribers are waited for.
    """
    published: int = publisher.stats()["published"]
    begun, good = time.monotonic(), 0
    before = [each.stats()["shared"] for each in subscribers]
    while time.monotonic() < begun + 40:
        publisher.ask("publish", at_once, answer="published")
        published += at_once
        now = [each.right(published)["shared"] for each in subscribers]
        good = good + 1 if all(b - a == at_once for a, b in zip(before, now, strict=True)) else 0
        if good == rounds:
            return published
        before = now
    raise AssertionError(f"not all comes through memory: {publisher.stats()}, {[each.stats() for each in subscribers]}")


class Holdings(NamedTuple):
    """What a process holds of the host.

    Attributes:
        descriptors: how many it has open: files, memory, pipes, and sockets by which descriptors are handed over.
        mappings: how many mappings of shared memory.
        memory: bytes of messages' memory, its own and that of others.
    """

    descriptors: int
    mappings: int
    memory: int


def holdings(pid: int) -> Holdings:
    """Look at what a process holds."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    mapped = [match for line in lines if (match := re.match(r"(\w+)-(\w+) \S+ (\w+) \S+ (\d+) .*memfd:(.*) ", line))]
    reach: dict[str, int] = {}  # inode -> its end, as far as it is mapped
    for start, end, offset, inode, name in (match.groups() for match in mapped):
        if "ledger" not in name:
            reach[inode] = max(reach.get(inode, 0), int(offset, 16) + int(end, 16) - int(start, 16))
    rows = [line.split() for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]]
    listening = "00010000"  # one that a node opens soon after its first subscriber has come
    handovers = {row[6] for row in rows if row[4] == f"{socket.SOCK_SEQPACKET:04}" and row[3] != listening}
    opened = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            opened.append(os.readlink(link))
    counted = [
        each for each in opened if "pidfd" not in each and (not each.startswith("socket:") or each[8:-1] in handovers)
    ]
    return Holdings(len(counted), len(mapped), sum(reach.values()))


def all_let_go(pid: int, before: Holdings, *, more: int = 0, timeout: float = 30.0) -> None:
    """Wait until a process holds no more than it did.

    Args:
        more: how many descriptors and mappings it may have more: a publisher's memory grows with what it is used for.
    """

    def left() -> bool:
        now = holdings(pid)
        return now.descriptors <= before.descriptors + more and now.mappings <= before.mappings + more

    try:
        wait_until(left, timeout, 0.05)
    except AssertionError as error:
        raise AssertionError(f"{holdings(pid)} is left of process {pid}, which had {before}") from error
