"""Who has a subscriber's sockets: whoever waits has them on lease, else the I/O thread watches them.

Knows when a reader is away, and what the loop watches; reads nothing itself.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable

from ..fast import LeaseFields, compiled
from ..locks import Turn
from ..node.loop import Alarm, Loop
from ..timeouts import NEVER
from ..typed import Any
from .inlets import Inlets, Socket

LONG = 0.04  # seconds that the sockets are left to a reader who is away; then the I/O thread empties them
SHORT = 0.01  # the same, where so much comes that a socket's buffer might be full by then
HURRIED = 0.003  # the same, where it matters when a message came: it is read at most twice as long after that
MANY = 60  # datagrams in one lease: of small ones, the usual buffer of 212,992 bytes holds 277

_count: Callable[[int], object] = getattr(compiled, "count_lease", lambda by: None)
"""Tells the compiled part how many subscribers are open: a flood of this process is to give way to them."""


class Lease(LeaseFields):
    """The sockets of one subscriber, watched by the I/O thread while nobody has them.

    Args:
        turn: the right to read: who is about to has it.
        on_readable: called in the I/O thread when a socket that it watches can be read.
        on_end: called when the sockets are the I/O thread's again.

    Attributes:
        taken: whether a reader has the sockets.
        reads: datagrams read so far; readers add to it.
        deadline: when who waits wants to be woken.
    """

    def __init__(
        self,
        loop: Loop,
        inlets: Inlets,
        turn: Turn,
        on_readable: Callable[[], object],
        on_end: Callable[[], object],
    ) -> None:
        self.taken = False
        self.reads = 0
        self.deadline = NEVER
        self.turn = turn
        self._loop = loop
        self._inlets = inlets
        self._on_readable = on_readable
        self._on_end = on_end
        self._seen = 0  # of the reads
        self._closed = False
        self._long, self._short = LONG, SHORT
        self._alarm = Alarm(loop, weakly(self._look))
        _count(1)
        self.watch(inlets.unicast)

    def take(self) -> None:
        """Take the sockets; whoever calls has the turn."""
        self._alarm.by(time.monotonic() + self._short)  # first: it ends what an exception from outside leaves half done
        self.taken = True
        for each in self._inlets:
            self._loop.unwatch(each)
        self._alarm.by(time.monotonic() + self._short)  # it may have gone off before they were taken

    def hurry(self, wanted: bool) -> None:
        """Leave the sockets to a reader who is away no longer than HURRIED, or as long as usual."""
        self._long, self._short = (HURRIED, HURRIED) if wanted else (LONG, SHORT)
        if wanted and self.taken:
            self._alarm.by(time.monotonic() + HURRIED)

    def watch(self, socket: Socket) -> None:
        """Have the I/O thread watch one more socket, unless a reader has them all."""
        if not self.taken:
            self._loop.watch(socket, self._on_readable)

    def _look(self) -> None:
        """In the I/O thread, while a reader has the sockets: see whether the reader is there."""
        if self._closed or not self.taken:
            return
        if self.reads == self._seen:
            self.turn.use(self._end)
            if not self.taken:
                return
        if time.monotonic() > self.deadline:  # with each signal that Python handles the kernel's timer begins anew
            self._inlets.unicast.wake()
        lease = self._long if self.reads - self._seen < MANY else self._short
        self._seen = self.reads
        self._alarm.by(time.monotonic() + lease)

    def _end(self) -> None:
        self.taken = False
        self._on_end()
        for each in self._inlets:
            self._loop.watch(each, self._on_readable)

    def close(self) -> None:
        """Have nobody watch the sockets any more."""
        if not self._closed:
            self._closed = True
            _count(-1)
        for each in self._inlets:
            self._loop.unwatch(each)


def weakly(method: Callable[..., None]) -> Callable[..., None]:
    """Return a function that calls a method while its object lives: the I/O thread does not keep that alive."""
    reference = weakref.WeakMethod(method)

    def call(*arguments: Any) -> None:
        living = reference()
        if living is not None:
            living(*arguments)

    return call
