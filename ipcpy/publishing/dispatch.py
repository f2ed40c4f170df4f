"""Publishes every message but a single small one, which is publisher.py's: waits for room, numbers, frames, sends.

Knows sizes, and which way a body goes for its size; nothing of codecs or of what the user called.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..codec import Body
from ..errors import ClosedError
from ..locks import Work
from ..protocol.data.batch import Fitting, fitting
from ..protocol.data.fragments import MAX_MESSAGE
from ..protocol.data.history import Placed
from ..protocol.wire import OVERHEAD, Buffer
from ..typed import Any
from .delivery import Delivery
from .framing import Framing, parts_of
from .placing import Placing
from .quick import QUICK, Quick


class Dispatch:
    """Publishes the encoded messages of one publisher. The caller does not hold the lock.

    Every method returns the number of subscribers that the last message was handed to, or will be.

    Args:
        told: the topic, as errors name it.
    """

    def __init__(self, delivery: Delivery, framing: Framing, told: str) -> None:
        self._outlet = delivery.outlet
        self._pacing = delivery.pacing
        self._framing = framing
        quick = Quick(delivery.outlet, framing, delivery.clock)
        self._quick, self._see = quick.publish, quick.see
        self._told = told
        self._placing = Placing(delivery.outlet, framing, delivery.clock)

    def one(self, body: Body) -> int:
        """Publish one message: in fragments if it is too large for a frame, else in a frame of its own.

        Raises:
            ArgumentError: if it is larger than subscribers take.
            ClosedError: if the publisher is closed.
        """
        if self._outlet.quick and type(body) is bytes and len(body) <= QUICK:
            sent = self._quick(body)
            if sent is not None:
                return sent
        if self._outlet.monitor.owned():
            if not isinstance(body, bytes):  # the caller may change it before it is sent
                body = b"".join(parts_of(body)[0])
        elif self._outlet.sharers and self._outlet.usable:
            handed = self._placing.publish(body)
            if isinstance(handed, Placed):
                return self._do(self._large([handed.body], handed.spot.size, handed))
            if handed is not None:
                return handed
        return self._do(self._one(body))

    def many(self, bodies: Sequence[Any]) -> int:
        """Publish messages of any size: as many in a frame as fit, once the subscribers can take them.

        Raises:
            ArgumentError: if one is larger than subscribers take.
            ClosedError: if the publisher is closed.
        """
        fits = Fitting([MAX_MESSAGE if type(body) is list else len(body) for body in bodies])
        handed = at = 0
        while at < len(bodies):
            stop = fits.end(at, self._outlet.max_body)
            if stop > at:
                handed = self._do(self._several(bodies[at:stop]))
            else:
                handed = self.one(bodies[at])
            at = max(stop, at + 1)
        return handed

    def alike(self, data: Buffer, size: int) -> int:
        """Publish bodies of one size that lie end to end; the rest as ``many``."""
        view = memoryview(data)
        handed = at = 0
        while at < len(data):
            part = view[at : at + fitting(size, self._outlet.max_body) * size]
            if part:
                handed = self._do(self._alike(part, size))
            else:
                part = view[at : at + size]
                handed = self.one(part)
            at += len(part)
        return handed

    def check_open(self) -> None:
        """Make sure that the publisher is not closed.

        Raises:
            ClosedError: if it is.
        """
        if self._outlet.closed:
            raise ClosedError(f"the publisher of {self._told} is closed")

    def _do(self, work: Work[int]) -> int:
        """Do work under the lock; in a signal handler that interrupted other work of this publisher, after that."""
        monitor = self._outlet.monitor
        if not monitor.owned():
            return monitor.do(work)
        self.check_open()
        monitor.later.append(work)
        return len(self._outlet.routes)

    # -- work under the lock; what is too large now was not when it was looked at before ----------------------------

    def _one(self, body: Body) -> Work[int]:
        outlet = self._outlet
        self.check_open()
        if isinstance(body, list) or len(body) > outlet.small:
            parts, size = parts_of(body)
            if size > outlet.max_body or outlet.shares(size):
                return (yield from self._large(parts, size))
            body = b"".join(parts)
        if outlet.reliable is None:
            return outlet.send_batch(self._framing.batch([bytes(body)]), 1)
        yield from self._make_room(len(body) + OVERHEAD)
        if len(body) > outlet.max_body:  # it is less than before the waiting
            return (yield from self._large(*parts_of(body)))
        handed = outlet.send_kept(self._framing.kept(bytes(body), outlet.reliable.history.next))
        self._see()
        return handed

    def _several(self, bodies: Sequence[Any]) -> Work[int]:
        """Publish bodies that fitted one frame together when it was looked at."""
        outlet = self._outlet
        if outlet.reliable is None:
            yield from self._make_room(sum(map(len, bodies)))
            if Fitting(map(len, bodies)).end(0, outlet.max_body) == len(bodies):
                return outlet.send_batch(self._framing.batch(bodies), len(bodies))
        return (yield from self._apart(bodies))

    def _alike(self, data: memoryview, size: int) -> Work[int]:
        """Publish bodies that fitted one frame together when it was looked at, and lie end to end."""
        yield from self._make_room(size)
        count = len(data) // size
        if count <= fitting(size, self._outlet.max_body):
            return self._outlet.send_batch(self._framing.alike(data, size), count)
        return (yield from self._apart([data[at : at + size] for at in range(0, len(data), size)]))

    def _apart(self, bodies: Sequence[Any]) -> Work[int]:
        """Publish in a frame of its own each what may be asked for again, or does not fit together any more."""
        handed = 0
        for body in bodies:
            handed = yield from self._one(body)
        return handed

    def _large(self, parts: list[memoryview], size: int, placed: Placed | None = None) -> Work[int]:
        outlet = self._outlet
        yield from self._make_room(size, large=True)
        placed = placed or outlet.place(parts, size)
        if placed is not None:
            parts = [placed.body]
        if outlet.reliable is None:
            message = self._framing.large(parts, size, placed=placed)
        else:
            parts = [part if part.readonly else memoryview(bytes(part)) for part in parts]
            message = self._framing.large(parts, size, outlet.reliable.history.next, placed)
        try:
            handed = outlet.send_large(message)
            yield from self._pacing.hand_back(message)
        finally:
            outlet.send_rest()
        return handed

    def _make_room(self, size: int, *, large: bool | None = None) -> Work[None]:
        yield from self._pacing.make_room(size, large=large)
        self.check_open()
