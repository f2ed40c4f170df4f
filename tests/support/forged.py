"""Peers that share memory as docs/protocol.md says, or in any other way: written by hand, with sockets and memfds.

Nothing of transport/ or of the frames of shared memory is used here: what is forged is laid out byte by byte.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import mmap
import os
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

import ipcpy as ipc
from ipcpy.protocol.data.matching import ANSWER_BODY, START_BODY
from ipcpy.protocol.wire import Frame, Kind, codec_number, frames, pack_frame
from lan_process import wait_until
from large import PRELUDE, PUBLISHER, SUBSCRIBER, Large, holdings, warm
from ports import udp_ports

DATAGRAM = struct.Struct("<4sBBHIQQQQ")  # magic, version, kind, segment, entries, publisher, subscriber, token, size
PLACE = struct.Struct("<IIQQQ")  # segment, entry, generation, offset, size
PLACED = 11
OFFER, TAKEN, REFUSED = 1, 2, 3
AS_ANOTHER_USER = """
import ctypes, os, struct
# become another user that may read whatever Python needs: CAP_DAC_READ_SEARCH is kept
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(8, 1, 0, 0, 0)  # PR_SET_KEEPCAPS
os.setgid(65534)
os.setuid(65534)
kept = struct.pack("<6I", 4, 4, 0, 0, 0, 0)
if libc.capset(struct.pack("<Ii", 0x20080522, 0), kept) != 0:
    raise OSError(ctypes.get_errno(), "capset")
"""
ENTRIES = 1_024
TABLE = 8 * ENTRIES
SEALS = 0x1 | 0x2 | 0x4 | 0x10  # F_SEAL_SEAL, SHRINK, GROW, FUTURE_WRITE
OTHERS_PORTS = {5_353, 17_769}  # of mDNS, and the group that nodes greet

_prelude: dict[str, Any] = {}
exec(PRELUDE, _prelude)
fill = _prelude["fill"]


def node_without_memory() -> ipc.Node:
    """Return a node of this process that shares no memory: what it says of it is forged."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPCPY_SHM", "0")
        return ipc.Node()


def name(node: str) -> str:
    """Return the abstract name on which a node listens for hand-overs."""
    return f"\0ipcpy/{node}"


def memory(
    size: int, *, seals: int = SEALS, allocated: int | None = None, flags: int = 0
) -> tuple[int, mmap.mmap | None]:
    """Make a memfd; return its descriptor, and a writable mapping if it has bytes."""
    descriptor = os.memfd_create("forged", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC | flags)
    os.ftruncate(descriptor, size)
    if allocated or (allocated is None and size):
        os.posix_fallocate(descriptor, 0, size if allocated is None else allocated)
    mapped = mmap.mmap(descriptor, size) if size and size < 1 << 30 and not flags else None
    if seals:
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    return descriptor, mapped


def send(sock: socket.socket, data: bytes, descriptors: Sequence[int] = ()) -> None:
    """Send a datagram with descriptors; whoever does not listen any more does not get it."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        sock.sendmsg([data], rights)


def receive(sock: socket.socket) -> tuple[bytes, list[int]]:
    """Receive a datagram, with its descriptors; nothing at the end."""
    try:
        data, descriptors, _, _ = socket.recv_fds(sock, 4_096, 8)
    except ConnectionResetError:
        return b"", []
    return data, descriptors


def close(descriptors: Iterable[int]) -> None:
    """Close them."""
    for descriptor in descriptors:
        os.close(descriptor)


def kind_of(data: bytes) -> int:
    """Return the kind of a datagram of the hand-over; 0 for the end."""
    return DATAGRAM.unpack(data)[2] if data else 0


class Forger:
    """A publisher made by hand: its name is announced by a real one, its frames come from its own socket.

    Args:
        cover: a real publisher of this process, matched with the victim, that itself shares no memory.
        victim: the victim's subscriber, as the cover knows it.
    """

    def __init__(self, cover: ipc.Publisher, victim: ipc.EndpointInfo, codec: int = 0) -> None:
        self.number, self.subscriber, self.node = int(cover.id, 16), int(victim.id, 16), victim.node.id
        self.codec = codec
        assert victim.address is not None
        (port,) = udp_ports(victim.pid) - {int(victim.address.rpartition(":")[2])} - OTHERS_PORTS
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.connect(("127.0.0.1", port))
        self.socket.settimeout(10)
        self.seq = 1_000
        self.generation = 0
        self._meet()

    def _meet(self) -> None:
        self._send(Kind.PROBE, self.subscriber, 5, bytes(ANSWER_BODY.size))
        verdict, _, self.token = ANSWER_BODY.unpack(self._await(Kind.ANSWER).body)
        assert verdict == 0
        self._send(Kind.START, self.seq, self.subscriber, START_BODY.pack(5, self.token))
        self._await(Kind.STARTED)

    def _send(self, kind: int, seq: int, sent_ns: int, body: bytes, codec: int = 0) -> None:
        self.socket.send(pack_frame(kind, self.number, seq, sent_ns, body, codec=codec))

    def _await(self, kind: Kind) -> Frame:
        while True:
            for frame in frames(self.socket.recv(65_536)):
                if frame.kind == kind:
                    return frame

    def connect(self) -> socket.socket:
        """Connect to the victim's hand-over."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(name(self.node))  # waits while too many wait
        sock.settimeout(10)
        return sock

    def offer(self, size: int, **changes: Any) -> bytes:
        """Lay out an OFFER of a first segment."""
        fields = {"magic": b"ipcM", "version": 1, "kind": OFFER, "segment": 0, "entries": ENTRIES}
        fields |= {"publisher": self.number, "subscriber": self.subscriber, "token": self.token, "size": size}
        fields |= changes
        return DATAGRAM.pack(*fields.values())

    def answer_to(self, data: bytes, descriptors: Sequence[int] = ()) -> int:
        """Send something on a new connection; return the kind of the answer, 0 for none but the end."""
        with self.connect() as sock:
            send(sock, data, descriptors)
            answer, theirs = receive(sock)
            close(theirs)
            return kind_of(answer)

    def place(self, *where: int, seq: int | None = None, body: bytes | None = None, codec: int | None = None) -> None:
        """Send a PLACED frame: segment, entry, generation, offset and size, or any body."""
        if seq is None:
            self.seq = seq = self.seq + 1
        self._send(
            PLACED, seq, time.time_ns(), PLACE.pack(*where) if body is None else body,
            self.codec if codec is None else codec,
        )  # fmt: skip

    def close(self) -> None:
        """Close its socket."""
        self.socket.close()


class Segment:
    """A segment that the victim has taken, rightly: a way to send messages, and to lie about them.

    Attributes:
        table, ledger: what lies at each entry, and what the victim says of it.
    """

    def __init__(self, forger: Forger, size: int = 1 << 20) -> None:
        self.forger, self.size = forger, size
        self.descriptor, mapped = memory(size)
        assert mapped is not None
        self.memory = mapped
        self.connection = forger.connect()
        send(self.connection, forger.offer(size), [self.descriptor])
        data, descriptors = receive(self.connection)
        assert kind_of(data) == TAKEN
        (self.ledger_descriptor,) = descriptors
        self.ledger = memoryview(mmap.mmap(self.ledger_descriptor, TABLE, prot=mmap.PROT_READ)).cast("Q")
        self.table = memoryview(self.memory).cast("B")[:TABLE].cast("Q")

    def write(self, entry: int, offset: int, size: int, seq: int) -> int:
        """Lay a right message somewhere; return its generation."""
        self.forger.generation += 1
        fill(memoryview(self.memory)[offset : offset + size], seq)
        self.table[entry] = self.forger.generation
        return self.forger.generation

    def say(self, entry: int = 0, offset: int = TABLE, size: int = 40_000) -> int:
        """Publish a right message; return its generation."""
        generation = self.write(entry, offset, size, self.forger.seq + 1)
        self.forger.place(0, entry, generation, offset, size)
        return generation

    def close(self) -> None:
        """End the lease; its memory stays mapped here until nobody has a view of it."""
        self.connection.close()
        close((self.descriptor, self.ledger_descriptor))


class Scene:
    """A victim that subscribes, an honest publisher, and one that is not.

    Attributes:
        victim: whose pattern both match.
        forger: the publisher made by hand.
    """

    def __init__(self, spawn: Any, codec: Any = None) -> None:
        self.victim = Large(spawn, SUBSCRIBER, topic="t/*", hold=2, kind="any")
        self.honest = Large(spawn, PUBLISHER, topic="t/honest", size=200_000)
        self.honest.process.wait_line("matched", 30)
        self.published = warm(self.honest, self.victim)
        self.by_udp = self.published - self.victim.stats()["shared"]
        codec = codec or ipc.Raw()
        self.node = node_without_memory()
        self.cover = ipc.Publisher("t/forged", codec, node=self.node)
        self.cover.wait_for_subscribers(timeout=20)
        self.forger = Forger(
            self.cover, self.cover.subscribers[0], codec=0 if codec is None else codec_number(codec.name)
        )
        self.goes_on()
        self.before = holdings(self.victim.pid)

    def goes_on(self) -> Any:
        """Insist that honest messages go on through memory, all of them right; return the victim's books."""
        self.honest.ask("publish", 3, answer="published")
        self.published += 3
        wait_until(lambda: self.victim.stats()["topics"]["t/honest"][0] == self.published, 20)
        self.victim.ask("look")
        books = self.victim.stats()
        assert books["topics"]["t/honest"] == [self.published, 0, self.published - self.by_udp], books
        assert books["wrong"] == []
        return books

    def counted(self) -> Any:
        """Return how many hand-overs the victim refused, by cause."""
        return self.victim.stats()["handovers"]

    def close(self) -> None:
        """End all."""
        self.forger.close()
        self.node.close()
        self.victim.finish()
        self.honest.finish()
