"""The sessions that a node hears: which it believes, what opens them, what it has seen of them. Thread-safe.

A session is one life of one node, under one key. It is *believed* from the moment on that a frame of it repeats our
challenge (challenges.py), and as long as it does so again within LAPSE. Nothing that came under one key counts for
another: so whoever had a key that is not ours any more has spoilt nothing that is sealed with the next. Of a session of
which no frame was opened with a key of ours, nothing is kept. Knows keys and numbers; nothing of sockets or frames.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from ..budget import Budget
from ..fast import SessionFields, slots
from ..timeouts import NEVER
from .datagram import COUNT_BITS, LAST_COUNT, SESSION_SIZE
from .keys import Buffer, Keyring
from .window import Window

LAPSE = 300.0  # seconds for which a session is believed that does not show again that it is there
SWEEP = 10.0  # seconds between two looks for such
HELD = 15  # ticks of 4 s: what its sender made longer ago than that is not taken any more
MOST = 16_384  # believed sessions; more are refused until others lapse
STRANGERS = 256  # other sessions of which something is kept: each greets a few times until it is believed
DERIVED = 2_000  # ciphers a second that are made for sessions of which nothing is known: a flood costs no more
MOST_STREAMS = 65_536  # of one session
GONE = 1 << 32  # above any age: the floor of what is not believed any more, for whoever has it at hand
EARLY = 64  # numbers before the first that came of a stream which may still come

Decrypt = Callable[[Buffer, Buffer, Buffer], bytes]  # nonce, ciphertext with tag, head
Windows = dict[int, Window]


class Session(SessionFields):
    """A session under one key: what opens it, and what has come of it.

    Attributes:
        name: key id and session.
        decrypt: opens a datagram of it.
        windows: of the numbers that came to this node by unicast, by stream.
        floor: the least age that is still taken, in ticks.
        proven: when it last showed that it is there, in seconds.
    """

    __slots__ = slots("_lock decrypt floor name proven windows", SessionFields)

    def __init__(self, name: bytes, decrypt: Decrypt) -> None:
        self.name, self.decrypt = name, decrypt
        self.windows: Windows = {}
        self.floor, self.proven = 0, 0.0
        self._lock = threading.RLock()

    def take(self, windows: Windows, number: int, *, early: int = EARLY) -> bool:
        """Take note of a number whose tag was right; False if it came before.

        Args:
            early: how many before it may still come if it is the first of its stream.
        """
        stream = number >> COUNT_BITS
        with self._lock:
            window = windows.get(stream)
            if window is not None:
                return window.take(number)
            if len(windows) >= MOST_STREAMS:
                return False
            windows[stream] = Window(number, min(early, (number & LAST_COUNT) - 1))
            return True


class Sessions:
    """The sessions that one life of a node hears.

    Args:
        own: this life's session, believed from the start: a node may have both ends of a topic.
        keyring: the keys that open.
        invalid: what a cipher raises if a tag is wrong.
        now: seconds, steady.

    Attributes:
        known: the believed ones, by key id and session; to be read only.
    """

    def __init__(self, own: bytes, keyring: Keyring, invalid: type[Exception], now: float) -> None:
        self._own, self._keyring, self._invalid = own, keyring, invalid
        self._lock = threading.RLock()
        self._strangers: dict[bytes, Session] = {}
        self._budget = Budget(DERIVED, DERIVED, now)
        self._swept = now
        self.known: dict[bytes, Session] = {}
        self.replace(keyring, 0)

    def replace(self, keyring: Keyring, age: int) -> None:
        """Use other keys from now on.

        Args:
            age: of this life, in ticks.
        """
        with self._lock:
            self._keyring = keyring
            known = self._without(lambda session: not keyring.with_id(session.name[:-SESSION_SIZE]))
            for session in known.values():
                session.decrypt = self._derive(session.name)  # anew: two keys may have the same id
            for key in keyring.keys:
                if (name := key.id + self._own) not in known:
                    session = known[name] = Session(name, self._derive(name))
                    session.floor, session.proven = age, NEVER
            self.known, self._strangers = known, {}

    def believed(self, name: bytes) -> Session | str:
        """Return a session that is believed, or why it is not: ``key`` or ``unproven``."""
        return self.known.get(name) or ("unproven" if self._keyring.with_id(name[:-SESSION_SIZE]) else "key")

    def any(self, name: bytes, now: float) -> Session | str:
        """Return a session, whether believed or not, or why there is none: ``key`` or ``crowded``."""
        session = self.believed(name)
        if session == "unproven":
            with self._lock:
                stranger = self._strangers.get(name)
                if stranger is not None:
                    return stranger
                return Session(name, self._derive(name)) if self._budget.take(1, now) else "crowded"
        return "key" if isinstance(session, str) else session

    def prove(self, session: Session, age: int, now: float) -> bool:
        """Take note that a session has shown that it is there; False if too many are believed.

        Args:
            age: of the frame that showed it, in ticks.
        """
        with self._lock:
            if session.name not in self.known:
                if len(self.known) >= MOST or not self._keyring.with_id(session.name[:-SESSION_SIZE]):
                    return False
                session.floor = age  # what it made before is not known to be new
                self._strangers.pop(session.name, None)
                self.known = {**self.known, session.name: session}  # anew: other threads read the one there is
            session.proven = now
            return True

    def keep_stranger(self, session: Session) -> None:
        """Keep what is known of a session that is not believed (yet); its tag was right."""
        with self._lock:
            self._strangers.pop(session.name, None)
            if len(self._strangers) >= STRANGERS:
                del self._strangers[next(iter(self._strangers))]
            if self._keyring.with_id(session.name[:-SESSION_SIZE]):
                self._strangers[session.name] = session

    def sweep(self, now: float) -> None:
        """Believe those no more that have not shown for long that they are there."""
        with self._lock:
            if now - self._swept < SWEEP:
                return
            self._swept = now
            if any(now - session.proven > LAPSE for session in self.known.values()):
                self.known = self._without(lambda session: now - session.proven > LAPSE)

    def _without(self, is_gone: Callable[[Session], bool]) -> dict[bytes, Session]:
        """Return the known ones without some of them, of which nothing is taken any more."""
        for session in self.known.values():
            if is_gone(session):
                session.floor = GONE
        return {name: session for name, session in self.known.items() if session.floor != GONE}

    def _derive(self, name: bytes) -> Decrypt:
        keys, id = self._keyring.with_id(name[:-SESSION_SIZE]), name[-SESSION_SIZE:]
        ciphers: list[Decrypt] = [key.session_cipher(id).decrypt for key in keys]
        return ciphers[0] if len(ciphers) == 1 else self._any_of(ciphers)

    def _any_of(self, ciphers: Sequence[Decrypt]) -> Decrypt:
        """Return what tries several ciphers: their keys have the same id."""
        *first, last = ciphers
        invalid = self._invalid

        def decrypt(nonce: Buffer, data: Buffer, head: Buffer) -> bytes:
            for cipher in first:
                try:
                    return cipher(nonce, data, head)
                except invalid:
                    continue
            return last(nonce, data, head)

        return decrypt
