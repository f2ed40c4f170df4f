"""Asks the peers of other hosts for their clocks, and answers; says what is known of them, to any thread.

Joins protocol/link/clocks.py with sockets and with the clocks of this computer. What is asked and answered runs in the
I/O thread. Nodes of one host have one clock: of these nothing is asked.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable

from ..addresses import Address, is_loopback
from ..clock import Clock
from ..protocol.link.clocks import Known, PeerClock, unpack_clock
from ..protocol.link.link import Link, LinkEvent, PeerFound, PeerLost, PeerMoved
from ..protocol.link.readings import Reading, Track
from ..protocol.wire import Malformed
from ..timeouts import NEVER
from .loop import Alarm, Loop

MAX_PAST = 64  # nodes that went of whose clocks something is known: their last messages may wait to be taken
HURRY = 0.005  # seconds between two questions to a node whose clock may have been set
TRIES = 5  # readings of which the best is taken, where this thread is interrupted between the two clocks
APART = 20_000  # ns that the reading of a clock may take
UNKNOWN = Clock(0.0, math.inf, math.inf)
SAME = Clock(0.0, 0.0, 0.0)


def _steady_ns_from() -> Callable[[], int]:
    """Return the steadiest clock there is: one that is not even slewed while NTP corrects the others."""
    raw = getattr(time, "CLOCK_MONOTONIC_RAW", None)
    if raw is None or sys.platform != "linux":
        return time.monotonic_ns
    return lambda: time.clock_gettime_ns(raw)


_steady_ns = _steady_ns_from()


def read_clocks() -> Reading:
    """Read both clocks of this computer at one moment."""
    best, apart = Reading(0, 0), 1 << 62
    for _ in range(TRIES):
        begin, wall, end = _steady_ns(), time.time_ns(), _steady_ns()
        if 0 <= end - begin < apart:
            best, apart = Reading((begin + end) // 2, wall), end - begin
        if apart <= APART:
            break
    return best


class Clocks:
    """The clocks of the peers.

    Args:
        send: sends a datagram to an address of a peer.
        read: reads the clocks of this computer.
    """

    def __init__(
        self,
        loop: Loop,
        link: Link,
        send: Callable[[bytes, Address], object],
        read: Callable[[], Reading] = read_clocks,
    ) -> None:
        self._loop = loop
        self._link = link
        self._send = send
        self._read = read
        self._clocks: dict[int, PeerClock] = {}
        self._past: dict[int, PeerClock] = {}
        self._alarm = Alarm(loop, self._on_timer)
        self._own = Track().add(read())
        self._hurried = False

    # -- in the I/O thread -------------------------------------------------------------------------------------------

    def on_event(self, event: LinkEvent) -> None:
        """Learn that a peer came, went, or has another address."""
        if isinstance(event, PeerFound | PeerMoved):
            clock = self._clocks.setdefault(event.id, PeerClock())
            clock.here = is_loopback(event.address[0])
            peer = self._link.peers.get(event.id)
            if clock.here or peer is None or not peer.clocks:
                clock.rest()
            else:
                clock.begin(time.monotonic())
                self._alarm.by(clock.due)
        elif isinstance(event, PeerLost) and (gone := self._clocks.pop(event.id, None)) is not None:
            self._past[event.id] = gone
            while len(self._past) > MAX_PAST:
                del self._past[next(iter(self._past))]

    def receive(self, data: bytes, address: Address) -> None:
        """Take a CLOCK frame, and answer if that is wanted."""
        reading = self._read()
        peer = self._link.addresses.get(address)
        try:
            told = unpack_clock(data)
            if peer is None or peer.id != told.source or peer.paths[address].given != told.token:
                raise Malformed("unknown")
        except Malformed as error:
            self._link.dropped[error.cause] += 1
            return
        if peer.entry is None:  # nobody has heard of it: nothing is remembered of it, and it asks again
            return
        clock = self._clocks.setdefault(peer.id, PeerClock())
        self._own = self._own.add(reading)
        clock.receive(told, time.monotonic(), reading.steady_ns, len(self._clocks))
        if told.ask:
            self._send(clock.answer(self._link.id, peer.paths[address].token, self._read()), address)
        self._alarm.by(clock.due)

    def _on_timer(self) -> None:
        now, due = time.monotonic(), NEVER
        for id, clock in self._clocks.items():
            if now >= clock.due:
                self._ask(id, clock, now)
            due = min(due, clock.due)
        self._alarm.by(due)

    def _ask(self, id: int, clock: PeerClock, now: float) -> None:
        peer = self._link.peers.get(id)
        if peer is None or is_loopback(peer.address[0]):
            clock.rest()
            return
        reading = self._read()
        self._own = self._own.add(reading)
        token = peer.paths[peer.address].token
        self._send(clock.ask(self._link.id, token, now, reading, len(self._clocks)), peer.address)

    # -- in any thread -----------------------------------------------------------------------------------------------

    def own_at(self, now: Reading) -> Track:
        """Return what this computer's wall clock showed until now."""
        return self._own.add(now)

    def now(self) -> Reading:
        """Read the clocks of this computer."""
        return self._read()

    def is_here(self, id: int) -> bool:
        """Tell whether a node is on this host, and so has this host's clock."""
        clock = self._clocks.get(id) or self._past.get(id)
        return id == self._link.id or (clock is not None and clock.here)

    def known(self, id: int) -> Known | None:
        """Return what is known of a node's clock, and ask it more often for some seconds; None for nothing."""
        clock = self._clocks.get(id)
        if clock is None:
            gone = self._past.get(id)
            return gone.known if gone is not None else None
        now = time.monotonic()
        if clock.due != NEVER and not clock.wanted(now):
            self._loop.call(self._want, clock, now)
        return clock.known

    def _want(self, clock: PeerClock, now: float) -> None:
        clock.want(now)
        self._alarm.by(clock.due)

    def hurry(self, id: int) -> None:
        """Ask a node at once: its clock may have been set."""
        if not self._hurried:
            self._hurried = True
            self._loop.call(self._ask_now, id)

    def _ask_now(self, id: int) -> None:
        self._hurried = False
        clock = self._clocks.get(id)
        now = time.monotonic()
        if clock is not None and clock.due != NEVER and now >= clock.asked_at + HURRY:
            self._ask(id, clock, now)

    def of(self, id: int) -> Clock:
        """Return the wall clock of a node as it is now, and ask the node more often for some seconds."""
        return SAME if self.is_here(id) else self._as_known(self.known(id))

    def seen(self, id: int) -> Clock:
        """Return the wall clock of a node, as far as it is known without asking more often."""
        clock = self._clocks.get(id)
        return SAME if self.is_here(id) else self._as_known(clock.known if clock is not None else None)

    def _as_known(self, known: Known | None) -> Clock:
        now = self._read()
        found = known.offset(now) if known is not None else None
        if known is None or found is None:
            return UNKNOWN
        (low, high), drift = found
        age = max(0.0, known.age_ns(now)) / 1e9
        return Clock((low + high) / 2e9, (high - low) / 2e9, age, drift)
