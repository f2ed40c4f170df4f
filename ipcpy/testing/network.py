"""MemoryNetwork: nodes of one process on a network as bad as a test wants it. Knows settings; rolls no dice."""

from __future__ import annotations

import os
from collections import Counter
from types import TracebackType

from ..addresses import LOOPBACK
from ..errors import ArgumentError, ClosedError
from ..node.core import Core
from ..node.node import Node
from ..settings import Remap, Settings, parse_remap
from ..transport.sockets import Sockets
from .sockets import sockets_in
from .weather import Weather

__all__ = ["MemoryNetwork"]

MAX_LOSS = 0.95


class MemoryNetwork:
    """A network between nodes of this process, in a domain of its own, that loses, doubles, reorders and delays.

    Everything is real but the weather: publishers, subscribers, threads and sockets on loopback. No packet leaves this
    host, nothing is shown by mDNS, and no other node is seen. The dice are seeded; which datagram meets which throw
    still depends on timing, so a test should ask for what holds whatever is lost, not for a certain loss.

    Args:
        loss: share of datagrams that vanish, 0 to 0.95; those of discovery and answers included.
        duplicate: share that comes twice, 0 to 1.
        reorder: share that is held back for 2 ms, so that later ones overtake it, 0 to 1.
        delay: seconds that each takes, one way.
        seed: of the dice.

    All but ``seed`` can be changed at any time: ``net.loss = 0.5``.

    Raises:
        ArgumentError: (a ValueError) which argument is wrong, and what was expected.

    >>> import ipcpy as ipc
    >>> from ipcpy.testing import MemoryNetwork
    >>> with MemoryNetwork(loss=0.1, seed=1) as net:
    ...     sub = ipc.Subscriber("speed", node=net.node("reader"))
    ...     pub = ipc.Publisher("speed", reliable=True, node=net.node("writer"))
    ...     _ = pub.wait_for_subscribers(timeout=10)
    ...     for number in range(100):
    ...         _ = pub.publish(number)
    ...     [sub.recv(timeout=10).data for _ in range(100)] == list(range(100))
    True
    """

    def __init__(
        self, *, loss: float = 0.0, duplicate: float = 0.0, reorder: float = 0.0, delay: float = 0.0, seed: int = 0
    ) -> None:
        self._domain = f"test-{os.urandom(8).hex()}"
        self._nodes: list[Node] = []
        self._closed = False
        shares = (_share("loss", loss, MAX_LOSS), _share("duplicate", duplicate), _share("reorder", reorder))
        self._weather = Weather(*shares, _delay(delay), seed)
        self._sockets = sockets_in(self._weather)

    @property
    def domain(self) -> str:
        """The domain of its nodes.

        A process that is started with it as ``IPCPY_DOMAIN`` meets them; what that process sends has fair weather.
        """
        return self._domain

    @property
    def counts(self) -> Counter[str]:
        """Datagrams sent, lost, duplicated and reordered so far."""
        return Counter({name: self._weather.counts[name] for name in ("sent", "lost", "duplicated", "reordered")})

    @property
    def loss(self) -> float:
        """Share of datagrams that vanish."""
        return self._weather.loss

    @loss.setter
    def loss(self, share: float) -> None:
        self._weather.loss = _share("loss", share, MAX_LOSS)

    @property
    def duplicate(self) -> float:
        """Share of datagrams that come twice."""
        return self._weather.duplicate

    @duplicate.setter
    def duplicate(self, share: float) -> None:
        self._weather.duplicate = _share("duplicate", share)

    @property
    def reorder(self) -> float:
        """Share of datagrams that are held back."""
        return self._weather.reorder

    @reorder.setter
    def reorder(self, share: float) -> None:
        self._weather.reorder = _share("reorder", share)

    @property
    def delay(self) -> float:
        """Seconds that each datagram takes, one way."""
        return self._weather.delay

    @delay.setter
    def delay(self, seconds: float) -> None:
        self._weather.delay = _delay(seconds)

    def node(self, name: str | None = None, *, namespace: str = "", remap: Remap = ()) -> Node:
        """Make a node on this network; it is closed with the network.

        Args:
            name: what others see.
            namespace: as of ``ipcpy.Node``; the environment is not looked at.
            remap: likewise.

        Raises:
            ArgumentError: (a ValueError) if one of them is wrong.
            ClosedError: (an OSError) if the network is closed.
        """
        if self._closed:
            raise ClosedError("the network is closed")
        node = _NetworkNode(name, self._domain, self._sockets, namespace, remap)
        self._nodes.append(node)
        return node

    def close(self) -> None:
        """Close its nodes, with their publishers and subscribers; idempotent."""
        self._closed = True
        while self._nodes:
            self._nodes.pop().close()
        self._weather.close()

    def __enter__(self) -> MemoryNetwork:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def cores_of(network: MemoryNetwork) -> list[Core]:
    """Return the interiors of a network's nodes, for the other files here."""
    return [core_of(node) for node in network._nodes if not node.closed]  # noqa: SLF001


def core_of(node: Node) -> Core:
    """Return the interior of a node."""
    return node._core  # noqa: SLF001


class _NetworkNode(Node):
    """A node on loopback whose core is made of other sockets."""

    def __init__(self, name: str | None, domain: str, sockets: Sockets, namespace: str = "", remap: Remap = ()) -> None:
        settings = Settings(domain, (LOOPBACK,), namespace=namespace, remap=parse_remap(remap))
        self._core = Core(name, settings, sockets)
        self._core.ensure_open()


def _share(name: str, share: object, most: float = 1.0) -> float:
    if not isinstance(share, int | float) or not 0 <= share <= most:
        raise ArgumentError(f"{name} is a share of datagrams from 0 to {most:g}, got {share!r}")
    return float(share)


def _delay(seconds: object) -> float:
    if not isinstance(seconds, int | float) or not 0 <= seconds <= 10:
        raise ArgumentError(f"delay is a time in seconds from 0 to 10, got {seconds!r}")
    return float(seconds)
