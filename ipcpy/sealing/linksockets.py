"""The sockets of a link with a seal around what they send and take. Know sockets and a seal; nothing of what nodes say.

Each stands around the socket that it was made of, whatever its kind is: so that of a bad network can be sealed too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable

from ..addresses import Address, Way
from ..transport.group import GroupSocket
from ..transport.link import LinkSocket
from .datagram import OVERHEAD, PROOF
from .seal import Seal

__all__ = ["SealedGreetings", "SealedLinkSocket", "sealed_greetings", "sealed_link"]


class SealedLinkSocket(LinkSocket):
    """A link's socket. Its ``poll`` returns b"" for what was refused."""

    overhead = OVERHEAD + PROOF.size

    def __init__(self, inner: LinkSocket, seal: Seal) -> None:
        self._inner = inner
        self._seal = seal.link()
        self.port, self.asked, self.way_to = inner.port, "", lambda *_: None
        seal.speak = seal.speak or self._show_key
        self.fileno, self.failures, self.drops = inner.fileno, inner.failures, inner.drops  # type: ignore[method-assign]

    def poll(self) -> tuple[bytes, Address] | None:
        """Receive a datagram if one is there, and open it."""
        received = self._inner.poll()
        if received is None:
            return None
        data, address = received
        self.asked = self._inner.asked
        with contextlib.suppress(OSError):  # of an answer only: the seal belongs to the parent of this process
            plain = self._seal.open(data, address)
            if self._seal.answer is not None:
                self._inner.sendto(self._seal.answer, address, self.way_to(address[0], self.asked))
            return plain, address
        return b"", address

    def _show_key(self, address: Address) -> None:
        """Show somebody which key we have."""
        with contextlib.suppress(OSError):
            self._inner.sendto(self._seal.empty(), address, self.way_to(address[0], ""))

    def send_error(self, data: bytes, address: Address, way: Way | None = None) -> OSError | None:
        """Send by unicast, and return what the system said if it would not take it."""
        try:
            sealed = self._seal.seal(data, address)
        except OSError as error:
            return error
        return self._inner.send_error(sealed, address, way)

    def sendto(self, data: bytes, address: Address, way: Way | None = None) -> bool:
        """Send by unicast; False if the system would not take it."""
        try:
            return self._inner.sendto(self._seal.seal(data, address), address, way)
        except OSError:
            return False

    def multicast(self, data: bytes, interface: int, address: str) -> bool:
        """Send to the group on an interface; False if that is not possible now."""
        try:
            return self._inner.multicast(self._seal.seal(data, None), interface, address)
        except OSError:
            return False

    def close(self) -> None:
        """Close the socket. Once more does nothing."""
        self._inner.close()
        self._seal.close()


class SealedGreetings(GroupSocket):
    """The socket of the group at which nodes greet. Its ``poll`` returns b"" for what was refused."""

    def __init__(self, inner: GroupSocket, seal: Seal) -> None:
        self._inner = inner
        self._opener = seal.greetings()
        self.fileno, self.drops, self.close = inner.fileno, inner.drops, inner.close  # type: ignore[method-assign]
        self.join, self.rejoin = inner.join, inner.rejoin  # type: ignore[method-assign]

    def poll(self) -> tuple[bytes, Address] | None:
        """Receive a datagram if one is there, and open it."""
        received = self._inner.poll()
        return received and (self._opener.open(*received), received[1])


def sealed_link(make: Callable[..., LinkSocket], seal: Seal) -> Callable[[str, Iterable[int]], LinkSocket]:
    """Return what makes a link's sockets: those that ``make`` does, sealed."""
    return lambda host, ports: SealedLinkSocket(make(host, ports), seal)


def sealed_greetings(make: Callable[..., GroupSocket], seal: Seal) -> Callable[[], GroupSocket]:
    """Return what makes the socket of the group at which nodes greet: that which ``make`` does, sealed."""
    return lambda: SealedGreetings(make(), seal)
