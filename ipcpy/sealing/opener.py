"""Opens what comes to one socket of the data path. Knows sessions and numbers; nothing of sockets, frames or topics.

Nothing of a datagram is looked at beyond its head before its tag is right. What is refused is counted by cause:

    unsealed     a frame without a seal: its sender has no key
    malformed    no datagram of ours
    misdirected  for another port: somebody sent it on
    key          sealed with a key that is not in our keyring
    reflected    our own, which came back to our link
    crowded      of a session that is not known, and there are too many of these at the time
    unproven     of a session that is not believed (yet), and more than a greeting
    stale        made long before it came: somebody held it back
    replayed     came before
    forged       its tag is wrong

See docs/protocol.md, section 9, for the bytes, and docs/security.md for why. The compiled part (fast/sealing.c) opens
what is next in its stream; Python says what that is, and does the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING

from ..addresses import Address
from ..fast import compiled
from .datagram import COUNT_BITS, HEAD, HEAD_SIZE, NONCE, OVERHEAD, PACKED, WAY, mark, what_is
from .numbers import has_gil
from .sessions import Session, Windows
from .window import Window

if TYPE_CHECKING:
    from .seal import Seal

__all__ = ["Opener"]

TRIES = 16  # refused frames of one merged buffer before what is left of it is given up
MOST_GROUPS = 1_024  # sessions of which a group's socket keeps windows before it looks which of them are gone

MOST_WAYS = 1_024  # streams of which is remembered where to look

Received = tuple[bytes, Address]
Into = tuple[Callable[..., tuple[int, Address]], Callable[..., None]]

_unpack = HEAD.unpack_from
_unpack_short = Struct("<H6sQ16xI").unpack_from  # the same without the name
_pack = PACKED.pack
_HEAD, _BODY, _NAME = slice(HEAD_SIZE), slice(HEAD_SIZE, None), slice(16, HEAD_SIZE)


class Opener:
    """Opens what comes to one socket of the data path.

    Attributes:
        refused: what it refused, by cause.
    """

    def __init__(self, seal: Seal, port: int, *, group: bool) -> None:
        self._seal = seal
        self._mark = mark(port)
        self._invalid = seal.invalid
        self._sessions = seal.sessions
        self._groups: dict[Session, Windows] | None = {} if group else None
        self._ways: dict[bytes, tuple[Session, Window, Windows]] = {}  # what came in order once may come so again
        self._quick = has_gil()
        self._fast = compiled if self._quick else None
        self.refused: Counter[str] = Counter()

    def open(self, data: bytes) -> bytes:
        """Return the frames within a datagram, or within several that were merged; b"" for what was refused."""
        size = len(data)
        if size < OVERHEAD:
            return self._refuse(what_is(data)) if size else b""
        length, marked, number, name, age = _unpack(data)
        if length != size:
            return self._open_run(data)
        if marked != self._mark:
            return self._refuse(what_is(data))
        session = self._sessions.known.get(name) or self._sessions.believed(name)
        if isinstance(session, str):
            return self._refuse(session)
        if age < session.floor:
            return self._refuse("stale")
        windows = session.windows if self._groups is None else self._windows(session, self._groups)
        window = windows.get(number >> COUNT_BITS)
        if window is not None and number <= window.highest and not window.is_new(number):
            return self._refuse("replayed")
        try:
            plain = session.decrypt(data[NONCE], data[HEAD_SIZE:], data[:HEAD_SIZE])
        except self._invalid:
            return self._refuse("forged")
        if not session.take(windows, number):
            return self._refuse("replayed")
        if len(self._ways) >= MOST_WAYS:
            self._ways.clear()
        self._ways[data[WAY]] = session, windows[number >> COUNT_BITS], windows
        return plain

    def receiving(self, receive: Callable[..., Received]) -> Callable[..., Received]:
        """Return what receives a datagram and opens it; it waits no longer for what is refused: that is b"" then.

        The common case, the next datagram of a stream, is laid out here without calls. Between its last comparison and
        the note that it was taken no other thread comes in (there is no call), where there is a GIL.
        """
        open, ways, mine, invalid = self.open, self._ways, self._mark, self._invalid
        unpack, way, head, nonce, body, least = _unpack_short, WAY, _HEAD, NONCE, _BODY, OVERHEAD

        def opening(size: int, flags: int = 0) -> Received:
            data, address = receive(size, flags)
            known, got = ways.get(data[way]), len(data)
            if known is not None and got >= least:
                session, window, _ = known
                length, marked, number, age = unpack(data)
                if number == window.highest + 1 and age >= session.floor and length == got and marked == mine:
                    try:
                        plain = session.decrypt(data[nonce], data[body], data[head])
                    except invalid:
                        return self._refuse("forged"), address
                    if number == window.highest + 1:
                        window.highest = number
                        return plain, address
            return open(data), address

        def slowly(size: int, flags: int = 0) -> Received:
            data, address = receive(size, flags)
            return open(data), address

        if self._fast is None:
            return opening if self._quick else slowly
        quick = self._fast.Receiving(ways, mine, receive, open, self._refuse)
        quickly: Callable[..., Received] = quick.recvfrom  # the same in one step
        return quickly

    def receiving_into(self, receive: Callable[..., Received]) -> Into | None:
        """Return what receives datagrams and opens them into buffers; None where that is not done in one step.

        Returns:
            ``receive_into`` and ``fill``, each as DataSocket has it: one datagram, and all fragments that are due.
        """
        if self._fast is None:
            return None
        quick = self._fast.Receiving(self._ways, self._mark, receive, self.open, self._refuse)
        return quick.receive_into, quick.fill

    def _windows(self, session: Session, groups: dict[Session, Windows]) -> Windows:
        """Return the windows of this socket: others of the node are sent the same numbers."""
        windows = groups.get(session)
        if windows is None:
            if len(groups) >= MOST_GROUPS:
                for gone in set(groups).difference(self._sessions.known.values()):
                    del groups[gone]
            windows = groups[session] = {}
        return windows

    def _open_run(self, data: bytes) -> bytes:
        """Open datagrams that lie end to end.

        Whatever stands in the head of one whose tag is wrong says nothing of where the next one begins: that is looked
        for. So who sends from a publisher's address cannot spoil what is merged with it.
        """
        if (plain := self._in_order(data)) is not None:
            return plain
        found: list[bytes] = []
        at, tries, size = 0, 0, len(data)
        spare = size  # bytes that may be tried in vain: heads within heads cost no more than what they lie in
        while size - at >= OVERHEAD and tries < TRIES and spare > 0:
            length = data[at] | data[at + 1] << 8
            if OVERHEAD <= length <= size - at:
                plain = self.open(data[at : at + length])
                if plain:
                    found.append(plain)
                    at += length
                    continue
                spare -= length
            elif not tries:
                self._refuse(what_is(data[at:]))
            tries += 1
            after = data.find(self._mark, at + 3)
            if after < 0:
                break
            at = after - 2
        return b"".join(found)

    def _in_order(self, data: bytes) -> bytes | None:
        """Open several as ``_open_in_order`` does, in one step where that can be."""
        if self._fast is not None:
            plain: bytes | None = self._fast.open_run(self._ways, self._mark, data)
            if plain is not NotImplemented:
                return plain
        return self._open_in_order(data)

    def _open_in_order(self, data: bytes) -> bytes | None:
        """Open several that lie end to end, if they follow one another in their stream; None, and nothing done, else.

        Their heads are not taken apart: they are compared with those that they have to have.
        """
        known = self._ways.get(data[WAY])
        length, _, number, age = _unpack_short(data)
        if known is None or not self._quick or length < OVERHEAD:
            return None
        (session, window, windows), mine, name = known, self._mark, data[_NAME]
        starts = range(0, len(data), length)
        numbers, last = range(number, number + len(starts)), len(data) - starts[-1]
        if age < session.floor or number != window.highest + 1 or last < OVERHEAD:
            return None
        heads = [data[at : at + HEAD_SIZE] for at in starts]
        expected = [_pack(length, mine, number, name) for number in numbers[:-1]]
        if heads != [*expected, _pack(last, mine, numbers[-1], name)]:
            return None
        bodies = [data[at + HEAD_SIZE : at + length] for at in starts]
        try:
            plain = list(map(session.decrypt, [head[NONCE] for head in heads], bodies, heads))
        except self._invalid:
            return None
        if number == window.highest + 1:  # as in ``receiving``
            window.highest = numbers[-1]
        else:  # another thread has taken some of them meanwhile
            plain = [each for number, each in zip(numbers, plain, strict=True) if session.take(windows, number)]
        return b"".join(plain)

    def _refuse(self, cause: str) -> bytes:
        self.refused[cause] += 1
        self._seal.refused[cause] += 1
        return b""
