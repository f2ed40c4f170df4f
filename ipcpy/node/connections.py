"""The connected sockets that publishers send with: one for each subscriber's socket, shared by a node's publishers.

Knows addresses and sockets; nothing of matching. Used in the I/O thread.
"""

from __future__ import annotations

from collections.abc import Callable

from ..addresses import Address, Way
from ..transport.connected import ConnectedSocket
from ..transport.kernel import IP_UDP_HEADERS, LOOPBACK_DATAGRAM
from .loop import Loop

MAX_READ = 64  # answers that are read from one socket before others have their turn


class Connections:
    """Sockets by the address they are connected to.

    Args:
        mtu_to: returns the MTU on the way to an address.
        on_answer: called with a datagram and the address it came from.
        on_refusal: called with an address at which nobody listens, as its host says, or somebody who forged that.
        make: makes a socket to an address for datagrams of a size, which leave by a way or as the system chooses.
        way_to: returns how to leave for an address; None where the system may choose.
    """

    def __init__(
        self,
        loop: Loop,
        mtu_to: Callable[[str], int],
        on_answer: Callable[[bytes, Address], None],
        on_refusal: Callable[[Address], None],
        make: Callable[[Address, int, Way | None], ConnectedSocket] = ConnectedSocket,
        way_to: Callable[[Address], Way | None] = lambda _: None,
    ) -> None:
        self._loop = loop
        self._mtu_to = mtu_to
        self._on_answer = on_answer
        self._on_refusal = on_refusal
        self._make = make
        self._way_to = way_to
        self._sockets: dict[Address, ConnectedSocket] = {}
        self._users: dict[Address, set[int]] = {}
        self._failed: set[Address] = set()  # to which there was no way

    def take(self, address: Address, user: int) -> ConnectedSocket:
        """Return the socket to an address, for one more user.

        Raises:
            TransportError: if there is no way there now; ``refresh`` tells when there may be.
        """
        if address not in self._sockets:
            self._failed.add(address)
            sock = self._connect(address)
            self._failed.discard(address)
            self._sockets[address], self._users[address] = sock, set()
            self._loop.watch(sock, lambda: self._read(sock))
        self._users[address].add(user)
        return self._sockets[address]

    def _connect(self, address: Address) -> ConnectedSocket:
        datagram = min(self._mtu_to(address[0]) - IP_UDP_HEADERS, LOOPBACK_DATAGRAM)
        return self._make(address, datagram, self._way_to(address))

    def release(self, address: Address, user: int) -> None:
        """Take note that a user needs the socket no more; the last one closes it."""
        users = self._users.get(address)
        if users is not None:
            users.discard(user)
            if not users:
                self._drop(address)

    def users(self, address: Address) -> list[int]:
        """Return who uses the socket to an address."""
        return list(self._users.get(address, ()))

    def refresh(self) -> set[Address]:
        """Close the sockets for which the network has another way now; a connected socket keeps its own for good.

        The way is another where this host would send from another of its addresses, or with another MTU.

        Returns:
            The addresses to which a socket has to be taken anew.
        """
        stale, self._failed = self._failed, set()
        for address, sock in list(self._sockets.items()):
            try:
                fresh = self._connect(address)
            except OSError:
                continue  # no way there by any other socket either
            if (fresh.source, fresh.datagram) != (sock.source, sock.datagram):
                self._drop(address)
                stale.add(address)
            fresh.close()
        return stale

    def _drop(self, address: Address) -> None:
        sock = self._sockets.pop(address)
        del self._users[address]
        self._loop.unwatch(sock)
        sock.close()

    def _read(self, sock: ConnectedSocket) -> None:
        for _ in range(MAX_READ):
            try:
                data = sock.poll()
            except ConnectionRefusedError:
                self._on_refusal(sock.address)
                continue
            if data is None:
                break
            self._on_answer(data, sock.address)

    def close(self) -> None:
        """Close all of them."""
        for address in list(self._sockets):
            self._drop(address)

    def abandon(self) -> None:
        """Close the descriptors in a forked child, whose loop is gone."""
        for sock in self._sockets.values():
            sock.close()
