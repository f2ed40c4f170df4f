"""Asks peers for their books, and waits until the answers are there: for any thread, and for coroutines.

Joins the questions of protocol/link/inquiry.py with a socket and a timer. Knows not what the answers mean (flows.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import count

from ..addresses import Address
from ..locks import Bell, Monitor
from ..protocol.link.inquiry import Question, What, unpack_page
from ..protocol.link.link import Link
from ..protocol.link.peers import Peer
from ..protocol.wire import Malformed
from ..timeouts import NEVER
from .loop import Alarm, Loop


class Round:
    """What several peers are asked at once.

    Attributes:
        what, about: see Inquiry.
        until: when nobody waits for it any more.
        questions: by the id of the peer.
        over: whether all who can have answered.
    """

    def __init__(self, what: What, about: int, until: float) -> None:
        self.what = what
        self.about = about
        self.until = until
        self.questions: dict[int, Question] = {}
        self.over = False


class Inquiries:
    """The questions of one node.

    Args:
        send: sends a datagram to an address of a peer.
    """

    def __init__(self, loop: Loop, link: Link, send: Callable[[bytes, Address], object]) -> None:
        self._loop = loop
        self._link = link
        self._send = send
        self._rounds: list[Round] = []
        self._numbers = count(1)
        self._monitor = Monitor(Bell())
        self._alarm = Alarm(loop, self._on_timer)
        self._closed = False

    # -- in any thread -----------------------------------------------------------------------------------------------

    def ask(self, what: What, timeout: float, about: int = 0, peers: Iterable[int] | None = None) -> Round:
        """Ask peers; those that are silent are left out, and those that do not say that they answer.

        Args:
            timeout: seconds for which somebody waits for the answers.
            about: the id of a publisher or subscriber.
            peers: their ids; None for all.
        """
        asked = Round(what, about, time.monotonic() + timeout)
        self._loop.call(self._begin, asked, peers)
        return asked

    def wait(self, asked: Round) -> None:
        """Wait until all have answered, or the time is up."""
        self._monitor.wait_for(lambda: asked.over or self._closed, max(0.0, asked.until - time.monotonic()))

    async def wait_async(self, asked: Round) -> None:
        """Wait as ``wait``, in a coroutine."""
        left = max(0.0, asked.until - time.monotonic())
        await self._monitor.wait_for_async(lambda: asked.over or self._closed, left)

    # -- in the I/O thread -------------------------------------------------------------------------------------------

    def _begin(self, asked: Round, peers: Iterable[int] | None) -> None:
        now = time.monotonic()
        for id in list(self._link.peers) if peers is None else peers:
            if _answers(self._link.peers.get(id)):
                asked.questions[id] = Question(next(self._numbers) & 0xFFFFFFFF, asked.what, asked.about, now)
        self._rounds.append(asked)
        self._on_timer()

    def _on_timer(self) -> None:
        now = time.monotonic()
        for asked in self._rounds:
            for id, question in asked.questions.items():
                if now >= question.due:
                    self._ask(id, question, now)
        self._settle(now)

    def _ask(self, id: int, question: Question, now: float) -> None:
        peer = self._link.peers.get(id)
        if peer is None or not _answers(peer):
            question.due = NEVER  # it went, or is silent: nothing of it is waited for
            return
        datagram = question.ask(self._link.id, peer.paths[peer.address].token, now)
        if datagram is not None:
            self._send(datagram, peer.address)

    def receive(self, data: bytes, address: Address) -> None:
        """Take a BOOKS frame."""
        peer = self._link.addresses.get(address)
        now = time.monotonic()
        try:
            page = unpack_page(data)
            if peer is None or peer.id != page.source or peer.paths[address].given != page.token:
                raise Malformed("unknown")
        except Malformed as error:
            self._link.dropped[error.cause] += 1
            return
        for asked in self._rounds:
            question = asked.questions.get(peer.id)
            if question is not None and question.number == page.number:
                question.receive(page, now)
                if now >= question.due:
                    self._ask(peer.id, question, now)
        self._settle(now)

    def _settle(self, now: float) -> None:
        """Wake those who wait for what is over, and have the rest looked at in time."""
        due, living = NEVER, []
        for asked in self._rounds:
            asked.over = all(question.due == NEVER for question in asked.questions.values())
            if not asked.over and now < asked.until:
                living.append(asked)
                due = min(due, asked.until, *(question.due for question in asked.questions.values()))
        if len(living) < len(self._rounds):
            self._rounds = living
            self._monitor.bell.ring()
        self._alarm.by(due)

    def malformed(self) -> None:
        """Count a page that cannot be read."""
        self._link.dropped["malformed"] += 1

    def close(self) -> None:
        """Let go of all who wait."""
        self._closed = True
        self._rounds.clear()
        self._monitor.bell.ring()


def _answers(peer: Peer | None) -> bool:
    return peer is not None and peer.books and peer.entry is not None and not peer.stalled
