"""A node whose publishers' sockets remember what was sent by them. Everything else about it is real, on loopback."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial

from ipcpy import Node
from ipcpy.addresses import Address, Way
from ipcpy.testing.network import _NetworkNode
from ipcpy.transport.connected import ConnectedSocket
from ipcpy.transport.sockets import Sockets

Datagram = Sequence[bytes | memoryview]


class Record:
    """What a node's publishers sent, in that order; it can be emptied at any time.

    Attributes:
        datagrams: as bytes.
        losing: whether what is sent from now on is lost.
    """

    def __init__(self) -> None:
        self.datagrams: list[bytes] = []
        self.losing = False

    def of_kind(self, kind: int) -> list[bytes]:
        """Return the datagrams that begin with a frame of a kind."""
        return [datagram for datagram in self.datagrams if datagram[3] == kind]


class RecordingSocket(ConnectedSocket):
    """A publisher's socket to one subscriber, with a record."""

    def __init__(self, record: Record, address: Address, datagram: int, way: Way | None = None) -> None:
        super().__init__(address, datagram, way)
        self._record = record
        plain = self.send

        def send(data: bytes) -> int:
            record.datagrams.append(bytes(data))
            return len(data) if record.losing else plain(data)

        self.send = send  # type: ignore[assignment]

    def send_many(self, datagrams: Sequence[Datagram], segment: int) -> None:
        """Send datagrams of equal size."""
        self._record.datagrams += map(b"".join, datagrams)
        if not self._record.losing:
            super().send_many(datagrams, segment)


def recording_node(name: str = "recording") -> tuple[Node, Record]:
    """Make a node, in a domain of its own, and the record of what its publishers send."""
    record = Record()
    sockets = Sockets(connected=partial(RecordingSocket, record), mdns=False)
    return _NetworkNode(name, f"recording-{os.urandom(8).hex()}", sockets), record
