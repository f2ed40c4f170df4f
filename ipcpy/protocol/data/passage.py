"""How large datagrams may be on the way to one subscriber. Pure: what arrived and what did not comes in, sizes go out.

Our own interface says what leaves this host. What lies beyond may take less, and a switch or tunnel that drops the rest
need not say so: then full-size fragments are asked for again and again, while all that is small passes. Knows nothing
of sockets or of which fragments there are.
"""

from __future__ import annotations

SAFE = 1_472  # bytes of a datagram on Ethernet: 1,500 - 20 (IPv4) - 8 (UDP)
LEAST = 508  # bytes of a datagram that every way takes: 576 - 60 (the longest IPv4 header) - 8 (RFC 791)
ROUNDS = 3  # answers in a row that say that none of the large datagrams has come
LOST = 32  # and so many datagrams that are meant: at 30 % loss by chance once in 10^16
PROVEN = 4  # times as many of both where such have arrived before


class Passage:
    """The size of the datagrams for one subscriber.

    Args:
        size: bytes that our own interface takes at once, less the overhead.
        trusted: whether nothing lies beyond it: both are on one host.
        overhead: bytes that each datagram has on its way beside those that are counted here.

    Attributes:
        size: bytes of a datagram with a fragment, which is asked for again.
    """

    def __init__(self, size: int, *, trusted: bool, overhead: int = 0) -> None:
        self.size = size
        self._safe, self._least = SAFE - overhead, LEAST - overhead
        self._trusted = trusted
        self._arrived = size if trusted else 0  # the largest that has come
        self._losing = size  # the smallest of those that are lost now
        self._rounds = 0
        self._lost = 0

    @property
    def single(self) -> int:
        """Bytes of a datagram that nobody may ask for again: more than Ethernet takes once such have arrived."""
        return min(self.size, max(self._safe, self._arrived))

    @property
    def smaller(self) -> int:
        """Bytes of the datagrams that are tried next; those of up to so many prove nothing."""
        return self._safe if self.size > self._safe else self._least

    def whole(self, *, again: bool) -> int:
        """Return the bytes of a datagram that is sent once more as it is; what is larger goes in fragments.

        Of fragments it is learnt which sizes pass.

        Args:
            again: whether it was sent once more already; then only what a smaller size would not help goes as it is.
        """
        return min(self.size, self.smaller if again else self._safe)

    def fit(self, window: int) -> None:
        """Let a datagram not be larger than what the subscriber's socket holds."""
        self.size = min(self.size, max(window, self._least))

    def arrived(self, size: int) -> None:
        """Learn that a datagram of a size has come."""
        self._arrived = max(self._arrived, size)
        if size >= self._losing:
            self._rounds, self._lost, self._losing = 0, 0, self.size

    def missed(self, size: int, count: int) -> bool:
        """Learn that so many datagrams of a size were sent and none has come; True if they are smaller from now on.

        Call it once for each answer.
        """
        if self._trusted or size <= self.smaller:
            return False
        self._rounds += 1
        self._lost += count
        self._losing = min(self._losing, size)
        patience = PROVEN if size <= self._arrived else 1
        if self._rounds < ROUNDS * patience or self._lost < LOST * patience:
            return False
        self.size = self._losing = self.smaller
        self._arrived = self._rounds = self._lost = 0
        return True
