"""What seals and opens the datagrams of one life of a node. Knows keys, sessions and times; nothing of sockets.

See docs/protocol.md, section 9, for the bytes, and docs/security.md for why.
"""

from __future__ import annotations

import errno
import os
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable

from ..addresses import Address
from ..budget import Budget
from ..fast import SealFields
from ..transport.group import GROUP_PORT
from .challenges import Challenges
from .datagram import NAMED, SESSION_SIZE, TICK, mark
from .foreign import Foreign
from .keys import Buffer, Key, Keyring
from .linkseal import LinkOpener, LinkSeal
from .numbers import Streams
from .opener import Opener
from .sealer import Sealer
from .sessions import Sessions

__all__ = ["Seal", "uptime"]

MAKE_UP = 7  # ticks that the age rises by at once after a pause: less than HELD, for what is on its way is younger
AHEAD = (
    10.0  # seconds for which only the link uses a new key: then peers believe us under it, for it says ALIVE each 3 s
)
SHOWN = 20  # strangers a second that are shown which key we have

_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", None)
Sealing = tuple[Callable[[Buffer, Buffer, Buffer], bytes], bytes]


def uptime() -> float:
    """Return seconds of a steady clock that goes on while the computer sleeps, where there is one."""
    return time.clock_gettime(_CLOCK) if _CLOCK is not None else time.monotonic()


class Seal(SealFields):
    """What seals and opens in one life of a node. Thread-safe.

    In a forked child nothing is sealed with the parent's any more: the child would use the parent's numbers again.

    Args:
        keyring: all of its keys open, the first one seals.
        clock: seconds, steady.
        random: returns so many random bytes.

    Attributes:
        session: 12 bytes, new with every life.
        refused: datagrams that were refused, by cause.
        foreign: nodes that seal with other keys, or with none.
        sessions: those that are heard.
        challenges: who has shown to be there.
        clock: as given.
        sealing: what encrypts data now, and what goes with it into the head: key id, session and age.
        linking: the same for what the link says.
        invalid: what a cipher raises if a tag is wrong.
        streams: the numbers of this life.
        speak: shows an address which key we have; set by the first socket of the link.

    Raises:
        ImportError: ``cryptography`` is not installed.
    """

    def __init__(
        self,
        keyring: Keyring,
        clock: Callable[[], float] = uptime,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        from cryptography.exceptions import InvalidTag

        self.invalid: type[Exception] = InvalidTag
        self.clock = clock
        self.session = random(SESSION_SIZE)
        self.refused: Counter[str] = Counter()
        self.foreign = Foreign(clock)
        self.challenges = Challenges(random(32), clock)
        self._born = clock()
        self.sessions = Sessions(self.session, keyring, InvalidTag, self._born)
        self.streams = Streams()
        self.speak: Callable[[Address], object] | None = None
        self._showing = Budget(SHOWN, SHOWN, self._born)
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._ended = False
        self._age = 0
        self._keyring, self._key, self._over_at = keyring, keyring.first, self._born
        self.sealing: Sealing = self._seal_with(keyring.first)
        self.linking = self.sealing
        _alive.add(self)

    @property
    def keyring(self) -> Keyring:
        """The keys; may be replaced at any time.

        The link goes over to a new first key at once, the data some seconds later. So peers believe us under the key
        before anything comes with it that is not said again. Where the key before is not among the new ones, the data
        go over at once too.
        """
        return self._keyring

    @keyring.setter
    def keyring(self, keyring: Keyring) -> None:
        with self._lock:
            self.sessions.replace(keyring, self._age)
            self._keyring, self._over_at = keyring, self.clock() + AHEAD
            if not self._ended:
                self.linking = self._seal_with(keyring.first)
                if self._key not in keyring.keys:
                    self._go_over()

    def _go_over(self) -> None:
        """Have data sealed as the link's is."""
        self._key, self.sealing = self._keyring.first, self.linking

    def _seal_with(self, key: Key) -> Sealing:
        return key.session_cipher(self.session).encrypt, self._name(key)

    def _name(self, key: Key) -> bytes:
        return key.id + self.session + self._age.to_bytes(4, "little")

    def grow_older(self) -> None:
        """Have what is sealed from now on say how old this life is, and forget who is silent.

        The link does so with each datagram that it sends, and it sends several a second while there are peers: so no
        clock is read for a message.
        """
        now = self.clock()
        if os.getpid() != self._process:  # forked by something that Python does not see
            self.end()
        age = int((now - self._born) / TICK)
        with self._lock:
            if age > self._age and not self._ended:
                self._age = min(age, self._age + MAKE_UP)
                self.sealing = self.sealing[0], self._name(self._key)
                self.linking = self.linking[0], self._name(self._keyring.first)
            if self._key != self._keyring.first and now >= self._over_at and not self._ended:
                self._go_over()
        self.sessions.sweep(now)

    def sealer(self, port: int = 0) -> Sealer:
        """Return what seals for one socket, with a stream of its own.

        Args:
            port: of the destination, if it has one only.

        Raises:
            OSError: all streams are used up, or the process is a forked child of the one that this belongs to.
        """
        if os.getpid() != self._process:
            refuse(b"", b"", b"")
        return Sealer(self, port)

    def opener(self, port: int, *, group: bool = False) -> Opener:
        """Return what opens the datagrams that come to a socket of the data path.

        Args:
            port: where it is bound.
            group: whether it receives multicast, as other sockets of the node do.
        """
        return Opener(self, port, group=group)

    def link(self) -> LinkSeal:
        """Return what seals and opens for a socket of the link."""
        return LinkSeal(self)

    def greetings(self) -> LinkOpener:
        """Return what opens for the socket of the group at which nodes greet."""
        return LinkOpener(self, mark(GROUP_PORT), None)

    def show_key(self, address: Address) -> None:
        """Show who has another key, or none, which key we have; now and then, for anybody can be sent in its name."""
        if self.speak is not None and self._showing.take(1, self.clock()):
            self.speak(address)

    def end(self) -> None:
        """Seal nothing any more."""
        self._ended = True
        self.sealing = self.linking = refuse, bytes(NAMED)


def refuse(nonce: Buffer, data: Buffer, head: Buffer) -> bytes:
    """Encrypt nothing: stands where what encrypts has ended.

    Raises:
        OSError: in any case.
    """
    raise OSError(errno.EBADF, "this belongs to the parent of a forked process, or to a node that has ended")


_alive: weakref.WeakSet[Seal] = weakref.WeakSet()


def _end_all() -> None:
    for seal in list(_alive):
        seal.end()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_end_all)
