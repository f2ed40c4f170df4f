"""The sockets of a node that has a key: what goes out through them is sealed, and what comes in was opened.

Each stands before a socket as a node without a key has it, whatever makes that one, and is used as it is. Knows what
seals and opens, and at which ports; nothing of what is sealed. Those of the link are in linksockets.py.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from ..addresses import Address, Way
from ..alarms import Refusals
from ..fast import compiled
from ..transport.connected import NO_OFFLOAD, ConnectedSocket
from ..transport.data import DataSocket
from ..transport.group import FanoutSocket, GroupSocket
from ..transport.sockets import Sockets
from .datagram import OVERHEAD
from .linksockets import sealed_greetings, sealed_link
from .seal import Seal
from .sealer import Sealer


def sealed(sockets: Sockets, seal: Seal) -> Sockets:
    """Return what makes the sockets of a node that has a key, each before one that ``sockets`` makes."""

    def group(address: str, port: int) -> SealedGroupSocket:
        return SealedGroupSocket(seal, sockets.group(address, port), port)

    return replace(
        sockets,
        data=lambda host: SealedDataSocket(seal, sockets.data(host)),
        connected=lambda *arguments: SealedConnectedSocket(seal, sockets.connected(*arguments)),
        fanout=lambda group, *where: SealedFanoutSocket(seal, sockets.fanout(group, *where), group),
        group=group,
        link=sealed_link(sockets.link, seal),
        greetings=sealed_greetings(sockets.greetings, seal),
    )


class SealedConnectedSocket(ConnectedSocket):
    """A publisher's socket to one subscriber. A stream of numbers is its own from the first send on.

    Args:
        plain: the socket that it stands before; closed with this one.
    """

    overhead = OVERHEAD

    def __init__(self, seal: Seal, plain: ConnectedSocket) -> None:
        self._seal, self._plain = seal, plain
        self._sealer: Sealer | None = None
        self._lock = threading.Lock()  # two threads may send first
        self._opener = seal.opener(plain.port)
        self.address, self.source, self.port = plain.address, plain.source, plain.port
        self.datagram = plain.datagram - OVERHEAD
        self.lossy, self.intact, self.lays = plain.lossy, True, compiled is not None
        self.runs = plain.runs
        self.fileno = plain.fileno
        self.send = self._send_first  # type: ignore[assignment]

    def _send_first(self, data: bytes) -> int:
        self._made_sealer()
        return self.send(data)

    def _made_sealer(self) -> Sealer:
        """Return what seals, once something is sent: many sockets are made to look for a way, and closed."""
        with self._lock:
            if self._sealer is None:
                self._sealer = self._seal.sealer(self.address[1])
                self.send = self._sealer.sending(self._plain.send)  # type: ignore[assignment]
            return self._sealer

    def poll(self) -> bytes | None:
        """Receive an answer if one is there; empty if it was refused."""
        data = self._plain.poll()
        return data if data is None else self._opener.open(data)

    def send_many(self, datagrams: Sequence[Sequence[bytes | memoryview]], segment: int) -> None:
        """Send datagrams of equal size (the last may be shorter), sealed one by one, in as few calls as possible."""
        sealer = self._sealer or self._made_sealer()
        joined = sealer.seal_joined(datagrams, segment)
        if joined is not None:
            self._plain.send_joined(joined, segment + OVERHEAD)
            return
        sealed = [(datagram,) for datagram in sealer.seal_run(datagrams)]
        self._plain.send_many(sealed, segment + OVERHEAD)

    def send_laid(self, heads: bytes, data: memoryview, size: int) -> bool:
        """Send datagrams of which each is one of the heads and so many bytes of data, sealed, if that is one step."""
        sealer = self._sealer or self._made_sealer()
        joined = sealer.seal_laid(heads, data, size)
        if joined is None:
            return False
        segment = size + len(heads) // -(-len(data) // size) + OVERHEAD
        self._plain.send_joined(joined, segment)
        return True

    def send_run(self, common: bytes, number: int, data: memoryview) -> bool:
        """Send fragments of one message, sealed, as ConnectedSocket does; False also while they cannot be sealed so."""
        sealer = self._sealer or self._made_sealer()
        try:
            return sealer.send_run(self._plain.fileno(), common, number, data)
        except OSError as error:
            if error.errno not in NO_OFFLOAD:
                raise
            self.runs = False
            return False

    def close(self) -> None:
        """Close the socket. Once more does nothing."""
        self._plain.close()
        if self._sealer is not None:
            self._sealer.close()


class SealedDataSocket(DataSocket):
    """A subscriber's socket. It is read in place where the compiled part opens right into the places.

    Args:
        plain: as of SealedConnectedSocket.
    """

    intact = True
    in_place = runs = False
    fill = None

    def __init__(self, seal: Seal, plain: DataSocket) -> None:
        self._plain, self._sock = plain, plain._sock  # noqa: SLF001 (one socket: all but what is opened or sealed)
        self._sealer = seal.sealer()
        self.fileno, self.port, self.timeout = plain.fileno, plain.port, plain.timeout
        opener = seal.opener(plain.port)
        self.recvfrom = opener.receiving(plain.recvfrom)
        if (into := opener.receiving_into(plain.recvfrom)) is not None:
            self.receive_into, self.in_place = into[0], True  # type: ignore[method-assign]
            self.fill = into[1] if plain.runs else None

    def sendto(self, data: bytes, address: Address, way: Way | None = None) -> None:
        """Send an answer, sealed; what the system refuses is lost like any datagram."""
        with Refusals():
            self._plain.sendto(self._sealer.seal_to(data, address[1]), address, way)

    def close(self) -> None:
        """Close the socket. Once more does nothing."""
        self._plain.close()
        self._sealer.close()


class SealedGroupSocket(GroupSocket):
    """A subscriber's socket for what a publisher sends to a group.

    Args:
        plain: as of SealedConnectedSocket.
        port: the group's.
    """

    def __init__(self, seal: Seal, plain: GroupSocket, port: int) -> None:
        self.__dict__.update(vars(plain))  # all of it but what is opened
        self.recvfrom = seal.opener(port, group=True).receiving(plain.recvfrom)


class SealedFanoutSocket(FanoutSocket):
    """A publisher's socket for one group: what is sent to several is sealed once.

    Args:
        plain: as of SealedConnectedSocket.
        group: where it sends.
    """

    def __init__(self, seal: Seal, plain: FanoutSocket, group: Address) -> None:
        self._plain, self._sock = plain, plain._sock  # noqa: SLF001 (as above)
        self._to_group, self._to_one = seal.sealer(group[1]), seal.sealer()
        self.fileno, self.port = plain.fileno, plain.port
        self.recvfrom = seal.opener(plain.port).receiving(plain.recvfrom)
        self.send = self._to_group.sending(plain.send)

    def try_send(self, data: bytes, address: Address | None = None) -> None:
        """Send to the group or to one address; what the system refuses is lost like any datagram."""
        with Refusals():
            if address is None:
                self._plain.try_send(self._to_group.seal(data))
            else:
                self._plain.try_send(self._to_one.seal_to(data, address[1]), address)

    def close(self) -> None:
        """Close the socket. Once more does nothing."""
        self._plain.close()
        self._to_group.close()
        self._to_one.close()
