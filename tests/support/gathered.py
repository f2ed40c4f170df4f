"""A subscriber that receives large messages in place, by a pair of sockets without any network, in C or in Python."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Sequence
from random import Random
from typing import Any

from ipcpy.checksum import crc32
from ipcpy.fast import COMPILED, compiled
from ipcpy.protocol.data.fragments import Outgoing
from ipcpy.protocol.data.heads import Place
from ipcpy.protocol.data.reports import POLL_BODY
from ipcpy.protocol.wire import Kind, pack_frame
from ipcpy.sealing.seal import Seal
from ipcpy.subscribing.inplace import Gathering
from ipcpy.timeouts import NEVER
from receiving import Side

PUBLISHER = 0xA1
PORT = 7_000  # that sealed datagrams are for
ADDRESS = ("0.0.0.0", 0)  # what C makes of a sender that has none


class Pair:
    """Stands for a DataSocket.

    Attributes:
        runs: whether it is read in C.
        fill: as of DataSocket.
        intact, in_place, timeout: as of DataSocket.
    """

    intact, in_place, timeout = False, True, None

    def __init__(self, runs: bool) -> None:
        self.runs = runs
        self.fill = compiled.fill if runs and compiled is not None else None
        self._theirs, self._ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ours.setblocking(False)
        self._theirs.setblocking(False)
        self.fileno = self._ours.fileno
        self.send = self._theirs.send

    def recvfrom(self, size: int, flags: int = 0) -> tuple[bytes, tuple[str, int]]:
        """Receive a datagram."""
        return self._ours.recv(size, flags), ADDRESS

    def receive_into(self, buffers: Sequence[bytearray | memoryview]) -> tuple[int, tuple[str, int]]:
        """Receive a datagram into buffers."""
        return self._ours.recvmsg_into(buffers)[0], ADDRESS

    def close(self) -> None:
        """Close both ends."""
        self._theirs.close()
        self._ours.close()


class SealedPair(Pair):
    """Stands for a SealedDataSocket; what is sent to it is sealed by whoever sends.

    Args:
        seal: the life of the subscriber's node.
        compiled: whether it is opened in C, where that is.

    Attributes:
        opener: what opens.
    """

    intact = True

    def __init__(self, seal: Seal, *, compiled: bool) -> None:
        super().__init__(False)
        self.opener = seal.opener(PORT)
        if not compiled:
            self.opener._fast = None
        receive = self.recvfrom
        self.recvfrom = self.opener.receiving(receive)  # type: ignore[method-assign]
        into = self.opener.receiving_into(receive)
        self.in_place = into is not None
        if into is not None:
            self.receive_into, self.fill = into  # type: ignore[method-assign]


class Gathered:
    """One subscriber of one publisher, whose socket is read as a thread does that waits.

    Args:
        compiled: whether in C, where that is.
        socket: what it receives by; of its own if none is given.

    Attributes:
        side: the subscriber.
        seen: number, size and CRC-32 of each message that was read.
        held: the newest of them.
    """

    def __init__(self, *, compiled: bool, socket: Pair | None = None) -> None:
        self.socket: Any = socket or Pair(compiled and COMPILED)
        self.side = Side(depth=50)
        self.side.intake.intact = self.socket.intact
        self.side.match(PUBLISHER, address=ADDRESS)
        self.seen: list[tuple[int, int, int]] = []
        self.held: list[Any] = []
        self._hold = 0
        self._lock = threading.RLock()
        self._gathering = Gathering(self.socket, self.side.inbound, self._lock)

    def take(self, datagrams: Sequence[bytes], hold: int = 0) -> None:
        """Have datagrams sent, and received; each message is read at once, and so many of the newest are held."""
        self._hold = hold
        for data in datagrams:
            try:
                self.socket.send(data)
            except BlockingIOError:  # the system lets a few wait
                self._receive()
                self.socket.send(data)
        self._receive()

    def _receive(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                first = self._gathering.receive_first if self._gathering.expects else self._receive_any
                data, address = first()
                with self._lock:
                    self.side.inbound.take(data, address)
                self._read()
                if self.side.intake.filling is not None:
                    with contextlib.suppress(BlockingIOError):  # a pause
                        self._gathering.gather(NEVER)
                    self._read()

    def _receive_any(self) -> tuple[bytes, tuple[str, int]]:
        data, address = self.socket.recvfrom(65_536)
        return data, address

    def _read(self) -> None:
        messages = self.side.messages()
        self.seen += [(message.seq, len(message.data), crc32(message.data)) for message in messages]
        self.held = [*self.held, *messages]
        del self.held[: max(0, len(self.held) - self._hold)]

    def __enter__(self) -> Gathered:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def merged(message: Outgoing, first: int, stop: int) -> bytes:
    """Return fragments end to end, as the kernel hands them over."""
    return b"".join(b"".join(each) for each in message.fragments(range(first, stop)))


def outgoing(random: Random, seq: int, total: int, size: int, codec: int = 0) -> Outgoing:
    """Return a message of random bytes."""
    place = Place(PUBLISHER, seq, 1_000, codec, total, size)
    return Outgoing(place, [memoryview(random.randbytes(total))])


def spoiled(random: Random, message: Outgoing, per_call: int) -> list[bytes]:
    """Return the datagrams of a message as they may come: some lost, doubled, in another order, damaged or cut."""
    step = max(1, min(per_call, 65_507 // message.datagram))
    whole = [merged(message, at, min(at + step, message.count)) for at in range(0, message.count, step)]
    found: list[bytes] = []
    for data in whole:
        match random.randrange(14):
            case 0:
                continue
            case 1:
                found += [data, data]
            case 2:
                found.insert(random.randrange(len(found) + 1), data)
            case 3:
                found.append(damaged(random, data))
            case 4:
                found.append(data[: random.randrange(len(data) + 1)])
            case 5:
                found.append(data + random.randbytes(random.randrange(1, 60)))
            case _:
                found.append(data)
    return found + random.sample(whole, random.randrange(len(whole) + 1))  # what is sent again


def damaged(random: Random, data: bytes) -> bytes:
    """Return bytes of which one bit is another, often in a head."""
    found = bytearray(data)
    at = random.randrange(min(44, len(data))) if random.random() < 0.5 else random.randrange(len(data))
    found[at] ^= 1 << random.randrange(8)
    return bytes(found)


def sent_as(random: Random, message: Outgoing, per_call: int, how: str) -> list[bytes]:
    """Return a message as it comes, so many fragments merged: ``spoiled``, with an ``empty`` datagram or a ``poll``."""
    step = max(1, min(per_call, 65_507 // message.datagram))
    whole = [merged(message, at, min(at + step, message.count)) for at in range(0, message.count, step)]
    match how:
        case "spoiled":
            return spoiled(random, message, per_call)
        case "empty":
            return [*whole[:1], b"", *whole[1:]]
        case "poll":
            place = message.place
            return [*whole, pack_frame(Kind.POLL, place.source, place.seq, 9, POLL_BODY.pack(9, 1))]
    return whole
