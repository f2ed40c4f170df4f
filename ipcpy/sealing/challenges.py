"""Who has shown that he is there now, and not a recording. Knows addresses and a clock; nothing of sessions or sockets.

A node's challenge is a keyed hash of the epoch, a stretch of 10 s of its own clock, with a secret of this life. Who
repeats the one of this epoch or of the one before has read it within the last 20 s.

What is repeated to an address is what a believed session sent from there. An answer to a greeting repeats what came
with that greeting: whatever is replayed from the same address changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import TypeVar

from ..addresses import Address

EPOCH = 10.0  # seconds
MOST = 16_384  # addresses that are kept
MOST_GREETINGS = 1_024  # more than are read before they are answered

_K = TypeVar("_K")
_V = TypeVar("_V")


class Challenges:
    """The challenges of one life, and those that were heard.

    Args:
        secret: 16 to 64 random bytes, new with every life.
        clock: seconds, steady.
    """

    def __init__(self, secret: bytes, clock: Callable[[], float]) -> None:
        self._secret, self._clock = secret, clock
        self._epoch: int | None = None
        self._mine = self._before = 0
        self._at: dict[Address, int] = {}
        self._by_cookie: dict[bytes, tuple[bytes, int, int]] = {}  # name and number of what it came in, the challenge

    def mine(self) -> int:
        """Return the challenge of this epoch, never 0."""
        epoch = int(self._clock() // EPOCH)
        if epoch != self._epoch:
            self._mine, self._before, self._epoch = self._challenge(epoch), self._challenge(epoch - 1), epoch
        return self._mine

    def is_mine(self, challenge: int) -> bool:
        """Tell whether a challenge is that of this epoch or of the one before."""
        return challenge == self.mine() or challenge == self._before

    def _challenge(self, epoch: int) -> int:
        digest = blake2b(epoch.to_bytes(8, "little", signed=True), key=self._secret, digest_size=8).digest()
        return int.from_bytes(digest, "little") or 1

    def note(self, address: Address, challenge: int) -> None:
        """Take note of the challenge that a believed session sent from an address."""
        _put(self._at, address, challenge, MOST)

    def note_greeting(self, cookie: bytes, name: bytes, number: int, challenge: int) -> None:
        """Take note of the challenge that came with a greeting, whoever sent it, unless an older one comes again.

        Args:
            cookie: of the greeting.
            name: of its sender: key id and session.
            number: of the datagram.
        """
        before = self._by_cookie.get(cookie)
        if before is None or before[0] != name or number > before[1]:
            _put(self._by_cookie, cookie, (name, number, challenge), MOST_GREETINGS)

    def yours(self, address: Address | None, cookie: bytes | None = None) -> int:
        """Return what a datagram is to repeat; 0 to the group, and where nothing is known.

        Args:
            address: where it goes; None to the group.
            cookie: of the greeting that it answers, if it does.
        """
        if address is None:
            return 0
        answered = self._by_cookie.get(cookie) if cookie is not None else None
        return answered[2] if answered is not None else self._at.get(address, 0)


def _put(table: dict[_K, _V], key: _K, value: _V, most: int) -> None:
    """Make it the newest of a table, and have the oldest go if they are too many."""
    table.pop(key, None)
    if len(table) >= most:
        del table[next(iter(table))]
    table[key] = value
