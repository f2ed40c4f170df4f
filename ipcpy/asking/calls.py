"""The calls that a client has open at one server. Pure: answers and ``now`` come in, what is to be sent goes out.

A call begins with ``begin`` and is over when its ``outcome`` is there: an answer came, the server said that it is lost,
the server itself was, or the client gave it up. Whoever drives this hands in each answer with its number on its topic
(``arrived``), sends what ``arrived`` and ``due`` return, and says when the server is gone (``fail``).

A small request may go aside: as one datagram that nobody sees to. If its answer does not come soon, ``due`` returns
the request once more, for the topic, which is reliable: the server then does it, or sends again the answer that it has
kept.

Nothing here trusts the topic below to be reliable either. An answer that does not come is asked for: after a gap in the
answers at once, else every few seconds. The server then says nothing while the call runs, and LOST if it does not know
the call, or has answered it: then the answer was before, or is lost.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from typing import Any, NamedTuple

from ..stats import ClientStats
from . import envelope
from .envelope import (
    ANSWERS,
    ASK,
    CALL,
    CANCEL,
    JOINED,
    LOST,
    MAX_PART,
    PART,
    RESULT,
    SIZE,
    STEP,
    Malformed,
    pack_header,
    seal,
    seal_all,
    unpack_header,
    unpack_lost,
    unseal,
)

AGAIN_AFTER = 0.02  # seconds without an answer after which a request that went aside is sent again by the topic
MAX_ASIDE = 4  # calls that are open when one more goes aside: many at once fill sockets, and are paced by the topic
WARY = 16  # calls that go by the topic after one that had to come again: the way loses much, or the function takes long
ASK_AFTER = 2.0  # seconds without an answer after which a client asks whether the server knows of the call
MAX_STEPS = 1_000  # steps of one call that are kept unread, the newest
MAX_UNREAD = 256 << 20  # bytes of them
LARGE = MAX_UNREAD // MAX_STEPS  # bytes of a step of which fewer may be too much
UNSENT = math.inf
GONE = 0  # the kind of an outcome that no answer brought: the server is gone, and the body is the reason
GIVEN_UP = 1  # likewise: the client waits no more
_NO_STEPS: deque[Any] = deque(maxlen=0)  # of all calls that have none: each deque has 64 places from the start
_new = tuple.__new__


class Outcome(NamedTuple):
    """How a call ended: ``kind`` is that of the answer, or GONE."""

    kind: int
    flags: int
    body: Any


class Call:
    """One call.

    Attributes:
        number: among the calls of its client at this server, from 1.
        outcome: how it ended; None while it is open.
        steps: bodies of steps that nobody has taken yet.
        begin: the beginning of an answer that does not fit into a message.
        missed: steps that were dropped, because too many were unread or some did not arrive.
        open_since: how many numbers before it the oldest call is that was open when it began: all before are over.
        aside: the request, sealed, while it has gone aside only.
    """

    outcome: Outcome | None = None
    steps = _NO_STEPS
    missed = open_since = _step = 0
    begun_at = 0.0
    begin = aside = b""

    def __init__(self, number: int, flags: int, asked_at: float = UNSENT) -> None:
        self.number = number
        self.flags = flags
        self.asked_at = asked_at  # when it began, or was asked for last; before it is sent nothing may overtake it

    @property
    def given_up(self) -> bool:
        """Whether the client waits for it no more."""
        return self.outcome is not None and self.outcome.kind == GIVEN_UP

    def request(self, body: Any) -> list[Any]:
        """Return what asks for it by the topic, mostly one piece."""
        return seal_all(CALL, self.number, body, flags=self.flags, step=self.open_since)

    def sent(self) -> None:
        """Take note that its request is on the way."""
        self.asked_at = self.begun_at

    def add(self, step: int, body: Any) -> bool:
        """Keep a step; False if it was there already, or an old one."""
        if step <= self._step:
            return False
        self.missed += step - self._step - 1
        self._step = step
        if self.steps is _NO_STEPS:
            self.steps = deque()
        self.steps.append(body)
        if len(self.steps) > MAX_STEPS:
            self.steps.popleft()
            self.missed += 1
        while len(body) > LARGE and len(self.steps) > 1 and sum(map(len, self.steps.copy())) > MAX_UNREAD:
            self.steps.popleft()
            self.missed += 1
        return True


class Calls:
    """All calls of a client at one server.

    Attributes:
        open: those without an outcome, by number.
        touched: calls that are over or have a new step, since whoever drives this looked; it empties the list.
        dropped: answers that concern no open call, by cause.
        wary: how many calls are to go by the topic before one goes aside again.
        last: the number of the newest call.
    """

    def __init__(self) -> None:
        self.wary = 0
        self.open: dict[int, Call] = {}
        self.touched: list[Call] = []
        self.dropped: Counter[str] = Counter()
        self.last = self._answered = 0
        self._seq = 0  # of the answer before

    def begin(self, now: float, flags: int = 0) -> Call:
        """Begin a call."""
        self.last = number = self.last + 1
        self.wary = max(0, self.wary - 1)
        call = self.open[number] = Call(number, flags)
        call.begun_at = now
        call.open_since = number - next(iter(self.open))
        return call

    def begin_aside(self, body: bytes, flags: int, now: float) -> Call:
        """Begin a call whose request, which is small, goes aside: ``Call.aside`` is to be sent at once."""
        self.last = number = self.last + 1
        since = number - next(iter(self.open)) if self.open else 0
        call = self.open[number] = Call(number, flags, now)
        if since:
            call.open_since = since
        call.aside = pack_header(CALL, flags, 0, since, number) + body
        return call

    def answered(self, call: Call, data: bytes) -> bool:
        """Take an answer that came aside, if it is the result of one call; else False, for ``arrived`` to take it."""
        if len(data) < SIZE:
            return False
        kind, flags, _, _, number = unpack_header(data)
        if kind != RESULT or number != call.number or number not in self.open:
            return False
        del self.open[number]
        self._answered += 1
        call.outcome = _new(Outcome, (RESULT, flags, data[SIZE:]))
        return True

    def arrived(self, data: Any, seq: int, now: float) -> list[Any]:
        """Take an answer; return what is to be sent.

        Args:
            seq: its number on the topic of answers, where one that is missing leaves a gap; 0 if it came aside.
        """
        if (not seq or seq == self._seq + 1) and type(data) is bytes and SIZE <= len(data) <= JOINED:  # the common case
            kind, flags, _, _, number = unpack_header(data)
            call = self.open.get(number)
            if kind == RESULT and call is not None and not call.begin:
                self._seq = seq or self._seq
                self._answered += 1
                call.outcome = _new(Outcome, (RESULT, flags, data[SIZE:]))
                del self.open[number]
                self.touched.append(call)
                return []
        try:
            kind, flags, step, number, body = unseal(data)
            first = unpack_lost(body) if kind == LOST else number
            if kind not in ANSWERS:
                raise Malformed("a server sends no requests")
        except Malformed:
            self.dropped["malformed"] += 1
            return []
        if kind == LOST:
            self._lose(first, number)
        else:
            call = self.open.get(number)
            if call is None:
                self.dropped["late" if 0 < number <= self.last else "unknown"] += 1
            elif kind == PART:
                call.begin = bytes(body[:MAX_PART])
            elif kind != STEP:
                body = b"".join((call.begin, body)) if call.begin else body
                self._answered += 1
                self._end(number, Outcome(kind, flags, body))
            elif call.add(step, body):
                self.touched.append(call)
            else:
                self.dropped["repeated"] += 1
        gap, self._seq = self._seq and seq > self._seq + 1, max(seq, self._seq)
        return self._ask(self.open.values(), now) if gap else []

    def restart(self) -> None:
        """Take note that the answers come from another publisher of the server from now on, numbered anew."""
        self._seq = 0
        for call in self.open.values():
            if call.asked_at != UNSENT:
                call.asked_at = -ASK_AFTER  # what was answered before may be lost

    def _lose(self, first: int, last: int) -> None:
        for number in [number for number in self.open if first <= number <= last]:
            self._end(number, Outcome(LOST, 0, b""))

    def _end(self, number: int, outcome: Outcome) -> None:
        call = self.open.pop(number)
        call.outcome = outcome
        self.touched.append(call)

    def unsent(self, after: int) -> list[Call]:
        """Return the open calls above a number of which the request is not on the topic yet."""
        return [call for call in list(self.open.values()) if call.number > after and call.asked_at == UNSENT]

    def due(self, now: float) -> list[Any]:
        """Return what asks for the calls that have been open for long without a word."""
        wait = ASK_AFTER, AGAIN_AFTER
        return self._ask([call for call in self.open.values() if now >= call.asked_at + wait[bool(call.aside)]], now)

    def _ask(self, calls: Any, now: float) -> list[Any]:
        asks = []
        for call in calls:
            if call.asked_at != UNSENT:
                call.asked_at = now
                asks.append(call.aside or seal(ASK, call.number))
                if call.aside:
                    call.aside, self.wary = b"", WARY
        return asks

    def give_up(self, call: Call) -> list[Any]:
        """Wait for a call no more; return what is to be sent."""
        if self.open.pop(call.number, None) is None:
            return []
        call.outcome = Outcome(GIVEN_UP, 0, b"")
        return [seal(CANCEL, call.number)]

    def cancel(self, call: Call) -> list[Any]:
        """Ask for the end of a call that is waited for still; return what is to be sent."""
        return [seal(CANCEL, call.number, flags=envelope.WAITS)] if call.number in self.open else []

    def counts(self) -> ClientStats:
        """Return what became of the calls."""
        return ClientStats(self.last, self._answered, len(self.open), dict(self.dropped))

    def fail(self, reason: str) -> None:
        """End all calls: their server is gone."""
        for number in list(self.open):
            self._end(number, Outcome(GONE, 0, reason))
