"""What a gap is laid to: the buffers of the subscriber's own sockets, or the network before them.

Knows the kernel's counts of dropped datagrams; nothing of frames or publishers.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..typed import Protocol

EXPLAINS = 3.0  # seconds: longer than it takes until the end of a burst is asked for


class CountsDrops(Protocol):
    """A socket that knows how many datagrams the kernel dropped because its buffer was full."""

    def drops(self) -> int:
        """Return the count since the socket was opened."""
        ...


class Losses:
    """Lays the gaps of one subscriber to ``kernel`` or ``network``.

    Args:
        sockets: those the subscriber reads; the list may change.
    """

    def __init__(self, sockets: Sequence[CountsDrops]) -> None:
        self._sockets = sockets
        self._seen = 0  # drops when a gap showed last
        self._unexplained = 0  # dropped datagrams that no gap was laid to yet
        self._explains_until = 0.0

    def drops(self) -> int:
        """Return how many datagrams the kernel dropped before the subscriber read them."""
        return sum(socket.drops() for socket in self._sockets)

    def cause(self, gap: int, now: float, *, local_since: int | None) -> str:
        """Tell what a gap that shows now is to be laid to.

        On loopback nothing but a full buffer loses datagrams. On a network the kernel only counts what it dropped, so
        each drop explains one missing datagram, for a while.

        Args:
            gap: how many datagrams are missing.
            local_since: of a publisher on this host, the drops when the subscriber met it; None of any other.
        """
        drops = self.drops()
        if local_since is not None:
            return "kernel" if drops > local_since else "network"
        if drops > self._seen:
            self._unexplained += drops - self._seen
            self._seen, self._explains_until = drops, now + EXPLAINS
        if now > self._explains_until or self._unexplained <= 0:
            self._unexplained = 0
            return "network"
        self._unexplained -= gap
        return "kernel"
