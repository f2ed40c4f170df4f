"""Publishes large messages that all subscribers take from shared memory, laid out without calls where they are felt.

That is the common case on one host, and a message at 30 Hz finds nothing of this in the processor's cache: each call
costs more than a microsecond then. Whatever is unusual is left to dispatch.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct

from ..checksum import crc32
from ..codec import Body
from ..protocol.data.history import Kept, Placed
from ..protocol.data.places import PLACED_FROM
from ..protocol.data.sender import DATAGRAM_COST
from ..protocol.wire import CHECK_SIZE, FAST_HEADER, PLACED_WORD
from .framing import Framing, parts_of
from .outlet import Outlet
from .route import Route
from .sharing import UNTAKEN

LOOK = 16  # messages between two looks at what is asked rarely
FULL_SHELF = 2  # messages that not all have taken yet: with more of them some may not have heard

_PLACED = Struct(FAST_HEADER.format + "IIQQQ")  # the header, and the body: a Spot
_SIZE = _PLACED.size + CHECK_SIZE
_COST = _SIZE + DATAGRAM_COST
_new = tuple.__new__
_pack = _PLACED.pack
_pack_check = Struct("<I").pack


class Placing:
    """Publishes through shared memory alone.

    Args:
        outlet: the subscribers.
        framing: the numbers.
        clock: seconds, never going back.
    """

    def __init__(self, outlet: Outlet, framing: Framing, clock: Callable[[], float]) -> None:
        self._outlet = outlet
        self._framing = framing
        self._clock = clock

    def publish(self, body: Body) -> int | Placed | None:
        """Publish a message; the caller does not hold the lock.

        Returns:
            The number of subscribers. Where not all take it there, where it lies. None where it is not to lie there, or
            some have to be waited for before. In both of these cases it is not published yet.
        """
        parts, size = parts_of(body)
        monitor = self._outlet.monitor
        try:
            monitor.lock.acquire()
            return self._publish(parts, size)
        finally:
            try:
                monitor.lock.release()
            except RuntimeError:  # it was not acquired yet
                pass
            if monitor.later:
                monitor.catch_up()

    def _publish(self, parts: Sequence[memoryview], size: int) -> int | Placed | None:
        routes, memory = self._outlet.sharers, self._outlet.memory
        if size < PLACED_FROM or not routes:
            return None
        for route in routes:
            tie = route.sharing.tie
            if tie is None or route.sender.backlog or (len(tie.untaken) >= UNTAKEN and route.busy):
                return None
        placed = memory.place_lent(parts, size) if memory.lent else None
        if placed is None:
            placed = memory.place(parts, size)
            if placed is None:
                return None
        pool, segment = memory.segments.pool, placed.spot.segment
        left, entries = pool.left(size)
        for route in routes:
            tie = route.sharing.tie
            if tie is None or tie.reader.segments <= segment:
                return placed
            reader = tie.reader
            if (reader.held > left or reader.count >= entries or not reader.ledger) and not pool.admits(reader, size):
                return placed
        return self._send(routes, placed, size)

    def _send(self, routes: Sequence[Route], placed: Placed, size: int) -> int:
        outlet, framing, memory = self._outlet, self._framing, self._outlet.memory
        slot, spot, _ = placed
        pool = memory.segments.pool
        seq = framing.seq = framing.seq + 1
        framing.bytes += size
        sent_ns = framing.clock_ns()
        shelf = memory.shelf
        shelf.append(_new(Kept, (seq, sent_ns, b"", (placed.body,), size, placed)))
        entry, taken, handed = spot.entry, slot.mark - 1, slot.handed
        for route in routes:  # first: the memory must not be used again, wherever an exception from outside ends this
            sender, sharing = route.sender, route.sharing
            sender.position = position = sender.position + _COST
            tie = sharing.tie
            if tie is not None:
                reader = tie.reader
                if reader not in handed:  # as Pool.hand
                    reader.count += 1
                    reader.held += slot.bytes
                handed[reader] = position
                tie.untaken.append((entry, taken, position))
                sharing.count += 1
        frame = _pack(_SIZE | PLACED_WORD, framing.codec, framing.number, seq, sent_ns, *spot)
        try:
            outlet.send(frame + _pack_check(crc32(frame)), 0)
            if len(shelf) > FULL_SHELF or not outlet.beating or not seq % LOOK:  # what runs now hinders who reads
                self._look(routes, ask=len(shelf) > FULL_SHELF)
            if pool.free < slot.bytes:
                memory.prepare(slot.spot.size)
        except BaseException:  # from outside: who has not heard of it will ask
            self._look(routes, ask=True)
            raise
        return len(routes)

    def _look(self, routes: Sequence[Route], *, ask: bool) -> None:
        """See to the timers, and whether it is time to ask what has been taken."""
        now = self._clock()
        for route in routes:
            if ask:
                route.sender.ask_soon(now)
            route.pump(now)
        if not self._outlet.beating:
            self._outlet.start_beating()
        self._outlet.send_rest()
