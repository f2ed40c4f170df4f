"""Small messages of a reliable topic that follow one another closely: one look at what may be due serves many.

Whatever changes what was seen (an answer, a timer, a subscriber, a large message) has it looked at again: it sets the
Outlet's ``quick`` to 0. The publisher's lock is held by whoever calls ``see`` and ``send``.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

from ..checksum import crc32
from ..protocol.data.history import Kept
from ..protocol.data.sender import DATAGRAM_COST, Sender
from ..protocol.wire import FAST_HEADER, OVERHEAD
from .framing import DATA_OVERHEAD, Framing
from .outlet import Outlet

QUICK = 1_024  # bytes of a body
CHARGE = OVERHEAD + DATAGRAM_COST
COST = QUICK + CHARGE

_new = tuple.__new__
_pack_header = FAST_HEADER.pack
_pack_check = Struct("<I").pack


class Quick:
    """Publishes small messages of a reliable topic, as many as may follow without a look.

    Args:
        clock: seconds, never going back.
    """

    def __init__(self, outlet: Outlet, framing: Framing, clock: Callable[[], float]) -> None:
        self._outlet = outlet
        self._framing = framing
        self._clock = clock

    def see(self) -> None:
        """Find out for how many small messages nothing will be due: no waiting, no poll, no alarm to be set."""
        outlet, reliable = self._outlet, self._outlet.reliable
        if (
            reliable is None
            or not outlet.routes
            or outlet.small < QUICK
            or len(reliable.followers) != len(outlet.routes)
        ):
            return
        credit = min(_spare(route.sender) for route in outlet.routes)
        outlet.quick = max(0, min(credit // COST, reliable.spare(QUICK + OVERHEAD)))

    def publish(self, body: bytes) -> int | None:
        """Publish a small message; None if there is something to look at. The caller does not hold the lock."""
        outlet = self._outlet
        monitor = outlet.monitor
        if monitor.owned():
            return None
        lock = monitor.lock
        try:  # as locks.py says
            lock.acquire()
            reliable = outlet.reliable
            if not outlet.quick or not outlet.usable or reliable is None:
                return None
            outlet.quick -= 1
            framing, size = self._framing, len(body)
            seq, sent_ns = reliable.history.next, framing.clock_ns()
            frame = _pack_header(size + DATA_OVERHEAD, framing.codec, framing.number, seq, sent_ns) + body
            frame += _pack_check(crc32(frame))
            try:  # it is kept first: what is kept is asked for if it is not sent
                reliable.add(_new(Kept, (seq, sent_ns, frame, (), size + OVERHEAD, None)), self._clock())
                return outlet.send(frame)
            finally:  # an exception from outside may come when it is kept and not counted yet
                if reliable.history.next > seq:
                    framing.seq = seq
                    framing.bytes += size
                for route in outlet.routes:
                    route.sender.position += size + CHARGE  # as ``charge`` does
        finally:
            try:
                lock.release()
            except RuntimeError:  # it was not acquired yet
                pass
            if monitor.later:
                monitor.catch_up()


def _spare(sender: Sender) -> int:
    """Return how many bytes of small frames may be sent before credit is used up, or a poll is due."""
    if not sender.idle or sender.open_end:
        return 0
    unpolled = sender.limit // (4 if sender.lossy else 2) - (sender.position - sender.polled)
    return min(sender.limit - (sender.position - sender.acknowledged), unpolled) - 1
