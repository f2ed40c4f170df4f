"""Seals and opens for the sockets of a link: each datagram begins with challenges (challenges.py) that find out who is
there now. Knows sessions, and of frames what a greeting is; nothing of sockets or of what else nodes say.

What is refused is counted by the causes that opener.py lists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..addresses import Address
from ..protocol.link.greeting import GREETING_SIZE, GREETINGS
from ..protocol.wire import VERSION, Kind
from ..transport.group import GROUP_PORT
from .datagram import COUNT_BITS, HEAD, HEAD_SIZE, KIND, NONCE, OVERHEAD, PROOF, SESSION_SIZE, mark, what_is
from .sealer import Sealer
from .sessions import HELD, Session

if TYPE_CHECKING:
    from .seal import Seal

__all__ = ["LinkOpener", "LinkSeal"]

SEALED_GREETING = GREETING_SIZE + PROOF.size + OVERHEAD
ANSWERED, COOKIE = slice(16, 24), slice(40, 48)  # in a greeting: the cookie that it answers, and its own

_unpack = HEAD.unpack_from


class LinkOpener:
    """Opens what comes to one socket of the link, or to that of the group: it begins with challenges (challenges.py).

    Args:
        marks: what the head of a datagram for it has.
        own: the session that is none of a peer; None where our own greetings come back.
    """

    def __init__(self, seal: Seal, marks: bytes, own: bytes | None) -> None:
        self._seal, self._marks, self._own = seal, marks, own

    def open(self, data: bytes, address: Address) -> bytes:
        """Return the frames within a datagram that came from an address; b"" for what was refused, or holds none."""
        if not data:
            return b""
        if len(data) < OVERHEAD or data[2] != VERSION or data[3] != KIND:
            return self._refuse(what_is(data), data, address)
        length, marked, number, name, age = _unpack(data)
        if length != len(data) or marked != self._marks:
            return self._refuse("malformed" if length != len(data) else what_is(data))
        if name[-SESSION_SIZE:] == self._own:
            return self._refuse("reflected")
        session = self._seal.sessions.any(name, self._seal.clock())
        if isinstance(session, str):
            return self._refuse(session, data, address)
        if age < session.floor:
            return self._refuse("stale")
        window = session.windows.get(number >> COUNT_BITS)
        if window is not None and not window.is_new(number):
            return self._refuse("replayed")
        try:
            plain = session.decrypt(data[NONCE], data[HEAD_SIZE:], data[:HEAD_SIZE])
        except self._seal.invalid:
            return self._refuse("forged")
        return self._take(plain, session, number, age, address)

    def _take(self, plain: bytes, session: Session, number: int, age: int, address: Address) -> bytes:
        """Take what was opened: its tag was right."""
        sessions, challenges = self._seal.sessions, self._seal.challenges
        if len(plain) < PROOF.size:
            return self._refuse("malformed")
        frames = plain[PROOF.size :]
        if session.name[-SESSION_SIZE:] == self._seal.session:
            return frames  # our own greeting, by multicast: nothing is learned from it
        mine, yours = PROOF.unpack_from(plain)
        proven = challenges.is_mine(yours) and sessions.prove(session, age, self._seal.clock())
        if not session.take(session.windows, number, early=0):
            return self._refuse("replayed")
        is_greeting = len(frames) == GREETING_SIZE and frames[3] in GREETINGS
        if is_greeting:
            challenges.note_greeting(frames[COOKIE], session.name, number, mine)
        if proven or session.name in sessions.known:
            challenges.note(address, mine)
            session.floor = max(session.floor, age - HELD)
            return frames
        sessions.keep_stranger(session)
        if is_greeting:
            return frames
        if frames:
            self._answer(mine)
        return self._refuse("unproven")

    def _answer(self, challenge: int) -> None:
        """Take note that somebody should be shown our challenge: he is not believed (yet)."""

    def _refuse(self, cause: str, data: bytes = b"", address: Address | None = None) -> bytes:
        """Count it, and take note of who has another key, or none: one that is new and greets us hears of our key."""
        self._seal.refused[cause] += 1
        if address is None or cause not in ("key", "unsealed"):
            return b""
        sealed = cause == "key"
        greets = len(data) == SEALED_GREETING if sealed else len(data) == GREETING_SIZE and data[3] == Kind.HELLO
        if sealed or greets:
            foreign = self._seal.foreign
            is_new = foreign.note(data[20:32], data[16:20]) if sealed else foreign.note(data[8:16], None)
            if is_new and greets:
                self._seal.show_key(address)
        return b""


class LinkSeal(LinkOpener):
    """Seals and opens for one socket of the link.

    Attributes:
        answer: what is to be sent back for what was opened last; None for nothing. It shows who is not believed (yet)
            our challenge, and is no longer than what came.
    """

    def __init__(self, seal: Seal) -> None:
        super().__init__(seal, mark(0), seal.session)
        self._single, self._multicast = seal.sealer(0), seal.sealer(GROUP_PORT)
        self.answer: bytes | None = None

    def open(self, data: bytes, address: Address) -> bytes:
        """Return the frames within a datagram that came from an address; b"" for what was refused, or holds none.

        Raises:
            OSError: as ``Sealer.seal``, if there is an answer.
        """
        self.answer = None
        return super().open(data, address)

    def seal(self, data: bytes, address: Address | None) -> bytes:
        """Seal for an address, or for the group.

        Raises:
            OSError: as ``Sealer.seal``.
        """
        is_answer = len(data) == GREETING_SIZE and data[3] in (Kind.WELCOME, Kind.CONFIRM)
        yours = self._seal.challenges.yours(address, data[ANSWERED] if is_answer else None)
        return self._prove(yours, data, self._single if address is not None else self._multicast)

    def _prove(self, yours: int, data: bytes, sealer: Sealer) -> bytes:
        self._seal.grow_older()
        return sealer.seal_by(self._seal.linking, PROOF.pack(self._seal.challenges.mine(), yours) + data)

    def _answer(self, challenge: int) -> None:
        self.answer = self._prove(challenge, b"", self._single)

    def empty(self) -> bytes:
        """Return a datagram that says nothing but what its head does: which key we have. It is as long as a HELLO.

        Raises:
            OSError: as ``Sealer.seal``.
        """
        return self._single.seal_by(self._seal.linking, b"")

    def close(self) -> None:
        """Hand its streams back."""
        self._single.close()
        self._multicast.close()
