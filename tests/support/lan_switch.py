"""An Ethernet switch in user space that spoils what it carries. Knows frames and sockets; nothing of namespaces.

Linux only (AF_PACKET), standard library only: it runs in the supervisor, see ``lan_server``. It adds about 50 µs to a
frame and carries some 100,000 frames a second; what its buffers cannot hold is lost, and counted as dropped.

What happens to the n-th impaired frame from one port to another depends on the seed alone, not on what other ports
carry. ARP is never impaired (Wi-Fi repeats unicast on its own, and a lost ARP costs a second), but blocked it is.
"""

from __future__ import annotations

import heapq
import random
import select
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

assert sys.platform == "linux"  # tells mypy which socket constants there are

ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_STATISTICS = 6
PACKET_IGNORE_OUTGOING = 23
SO_RCVBUFFORCE = 33
BUFFER = 8 << 20  # bytes a port's socket holds while Python is busy
QUEUE = 1 << 20  # bytes waiting at a rate limit before the tail is dropped
HOLD = (0.001, 0.005)  # seconds a reordered frame is held back, so that later ones overtake it

ARP = b"\x08\x06"
IPV4 = b"\x08\x00"
UDP = 17


@dataclass(frozen=True, slots=True)
class Impairment:
    """What befalls the frames of one direction. Shares are 0 to 1, times are seconds, the rate is bits per second."""

    loss: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    rate: float = 0.0

    def __post_init__(self) -> None:
        for name in ("loss", "duplicate", "reorder", "corrupt"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is a share from 0 to 1, not {getattr(self, name)}")
        for name in ("delay", "jitter", "rate"):
            if getattr(self, name) < 0.0:
                raise ValueError(f"{name} is not negative, but {getattr(self, name)} is")


PERFECT = Impairment()


@dataclass(frozen=True, slots=True)
class Port:
    """Where a host's network card is plugged in."""

    name: str
    host: int
    segment: int


@dataclass(slots=True)
class Fate:
    """What the rules say about one direction between two ports."""

    blocked: bool = False
    multicast: bool = True
    impairment: Impairment = PERFECT


def fate(rules: Iterable[dict[str, Any]], source: Port, target: Port) -> Fate:
    """Apply the rules from first to last; a later impairment replaces an earlier one."""
    result = Fate()
    for rule in rules:
        if not _concerns(rule, source, target):
            continue
        match rule["kind"]:
            case "block":
                result.blocked = True
            case "multicast":
                result.multicast = False
            case "impair":
                result.impairment = Impairment(**rule["impairment"])
    return result


def _concerns(rule: dict[str, Any], source: Port, target: Port) -> bool:
    if rule["segment"] not in (None, source.segment):
        return False
    if rule["kind"] == "multicast":  # neither to nor from the host
        return rule["src"] is None or rule["src"] in (source.host, target.host)
    return rule["src"] in (None, source.host) and rule["dst"] in (None, target.host)


def is_multicast(frame: bytes) -> bool:
    """Tell whether this is IPv4 to 224.0.0.0/4."""
    return frame[12:14] == IPV4 and frame[30] >> 4 == 14


def damage(frame: bytes, rng: random.Random) -> bytes:
    """Flip one bit of a UDP payload and switch its checksum off, so that the application gets to see it.

    Anything that is not UDP over IPv4 comes back as it was.
    """
    if frame[12:14] != IPV4 or len(frame) < 34 or frame[23] != UDP:
        return frame
    udp = 14 + (frame[14] & 15) * 4
    end = min(len(frame), 14 + int.from_bytes(frame[16:18], "big"))  # short frames are padded
    first_fragment = (int.from_bytes(frame[20:22], "big") & 0x1FFF) == 0
    start = udp + 8 if first_fragment else udp
    if start >= end:
        return frame
    spoiled = bytearray(frame)
    spoiled[rng.randrange(start, end)] ^= 1 << rng.randrange(8)
    if first_fragment:
        spoiled[udp + 6 : udp + 8] = b"\0\0"
    return bytes(spoiled)


@dataclass(slots=True)
class Path:
    """One direction between two ports: its rules, its dice, its queue and its counts."""

    source: Port
    target: Port
    rng: random.Random
    fate: Fate = field(default_factory=Fate)
    next_free: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)

    def schedule(self, frame: bytes, now: float) -> list[tuple[float, bytes]]:
        """Return what leaves, and when. ``now`` is in seconds."""
        if self.fate.blocked or not (self.fate.multicast or not is_multicast(frame)):
            self.counts["blocked"] += 1
            return []
        self.counts["offered"] += 1
        impairment = self.fate.impairment
        if impairment is PERFECT or frame[12:14] == ARP:
            return [(now, frame)]
        dice = self.rng.random
        lost, doubled, spoiled, late, shift = (
            dice(),
            dice(),
            dice(),
            dice(),
            dice(),
        )  # always five: see the module's docstring
        if lost < impairment.loss:
            self.counts["lost"] += 1
            return []
        if spoiled < impairment.corrupt:
            frame = damage(frame, self.rng)
            self.counts["corrupted"] += 1
        due = now + impairment.delay + impairment.jitter * (2 * shift - 1)
        if late < impairment.reorder:
            self.counts["reordered"] += 1
            due += HOLD[0] + (HOLD[1] - HOLD[0]) * shift
        copies = 2 if doubled < impairment.duplicate else 1
        self.counts["duplicated"] += copies - 1
        sent = (self._queued(len(frame), now, impairment.rate) for _ in range(copies))
        return [(max(now, due + wait), frame) for wait in sent if wait is not None]

    def _queued(self, size: int, now: float, rate: float) -> float | None:
        """Return the seconds this frame spends at the rate limit, None if the queue is full."""
        if not rate:
            return 0.0
        start = max(now, self.next_free)
        if (start - now) * rate / 8 > QUEUE:
            self.counts["overflowed"] += 1
            return None
        self.next_free = start + size * 8 / rate
        return self.next_free - now


class Switch(threading.Thread):
    """Learns addresses, forwards within a segment, one thread for all ports."""

    def __init__(self, seed: int) -> None:
        super().__init__(name="switch", daemon=True)
        self._seed = seed
        self._rules: list[dict[str, Any]] = []
        self._ports: dict[int, tuple[Port, socket.socket]] = {}  # by file descriptor
        self._places: dict[tuple[int, bytes], int] = {}  # (segment, MAC) -> file descriptor
        self._paths: dict[tuple[Port, Port], Path] = {}
        self._waiting: list[tuple[float, int, int, bytes]] = []
        self._dropped: Counter[int] = Counter()  # by source host, what came faster than Python could take it
        self._count = 0
        self._epoll = select.epoll()
        self._lock = threading.Lock()

    def plug(self, port: Port) -> None:
        """Start to carry what comes from this network card."""
        plug = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        plug.bind((port.name, 0))
        plug.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        try:
            plug.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        except PermissionError:  # not the machine's root: as much as it grants
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        plug.setblocking(False)
        with self._lock:
            self._ports[plug.fileno()] = (port, plug)
        self._epoll.register(plug, select.EPOLLIN)

    def unplug(self, name: str) -> None:
        """Forget a port and who was behind it."""
        with self._lock:
            for fd, (port, plug) in list(self._ports.items()):
                if port.name == name:
                    self._epoll.unregister(plug)
                    plug.close()
                    del self._ports[fd]
                    self._places = {place: at for place, at in self._places.items() if at != fd}

    def obey(self, rules: list[dict[str, Any]]) -> None:
        """Replace all rules; dice and queues go on."""
        with self._lock:
            self._rules = rules
            for path in self._paths.values():
                path.fate = fate(rules, path.source, path.target)

    def counts(self) -> list[dict[str, Any]]:
        """Return what happened so far, one row for each direction that carried something and one for each source."""
        with self._lock:
            for port, plug in self._ports.values():
                _, drops = struct.unpack("II", plug.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))  # reading resets it
                self._dropped[port.host] += drops
            rows = [{"src": p.source.host, "dst": p.target.host, **p.counts} for p in self._paths.values()]
            return rows + [{"src": host, "dst": None, "dropped": drops} for host, drops in self._dropped.items()]

    def run(self) -> None:
        """Carry frames until the process ends."""
        while True:
            wait = max(0.0, self._waiting[0][0] - time.monotonic()) if self._waiting else 1.0
            ready = self._epoll.poll(wait)
            with self._lock:
                self._release()
                for fd, _ in ready:
                    self._drain(fd)

    def _drain(self, fd: int) -> None:
        for _ in range(32):  # then the others have their turn
            try:
                port, plug = self._ports[fd]
                frame = plug.recv(65_600)
            except (OSError, KeyError):  # empty, or its link just went down, or unplugged
                return
            self._forward(port, fd, frame)
            self._release()

    def _forward(self, port: Port, fd: int, frame: bytes) -> None:
        self._places[port.segment, frame[6:12]] = fd
        known = None if frame[0] & 1 else self._places.get((port.segment, frame[:6]))
        for out in (known,) if known is not None else tuple(self._ports):
            target = self._ports[out][0]
            if out == fd or target.segment != port.segment:
                continue
            for due, copy in self._path(port, target).schedule(frame, time.monotonic()):
                self._count += 1  # frames of one instant leave in the order they came
                heapq.heappush(self._waiting, (due, self._count, out, copy))

    def _path(self, source: Port, target: Port) -> Path:
        path = self._paths.get((source, target))
        if path is None:
            rng = random.Random(f"{self._seed}/{source.name}/{target.name}")
            path = Path(source, target, rng, fate(self._rules, source, target))
            self._paths[source, target] = path
        return path

    def _release(self) -> None:
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            _, _, out, frame = heapq.heappop(self._waiting)
            try:
                self._ports[out][1].send(frame)
            except (OSError, KeyError):  # its link is down, or it was unplugged
                continue
