"""Publishes every message but a single small one, which is publisher.py's: waits for room, numbers, frames, sends.

Knows sizes, and which way a body goes for its size; nothing of codecs or of what the user called.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..codec import Body
from ..errors import ClosedError
from ..protocol.data.batch import Fitting, fitting
from ..protocol.data.fragments import MAX_MESSAGE
from ..protocol.wire import OVERHEAD, Buffer
from .delivery import Delivery
from .framing import Framing, parts_of


class Dispatch:
    """Publishes the encoded messages of one publisher. The caller does not hold the lock.

    Every method returns the number of subscribers that the last message was handed to.

    Args:
        topic: for what errors say.
    """

    def __init__(self, delivery: Delivery, framing: Framing, topic: str) -> None:
        self._outlet = delivery.outlet
        self._pacing = delivery.pacing
        self._framing = framing
        self._topic = topic

    def one(self, body: Body) -> int:
        """Publish one message: in fragments if it is too large for a frame, else in a frame of its own.

        Raises:
            ArgumentError: if it is larger than subscribers take.
            ClosedError: if the publisher is closed.
        """
        if isinstance(body, list) or len(body) > self._outlet.max_body:
            return self._large(body)
        with self._outlet.lock:
            self.check_open()
            return self._small([body])

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
                with self._outlet.lock:
                    handed = self._small(bodies[at:stop], paced=True)
            else:
                handed = self._large(bodies[at])
            at = max(stop, at + 1)
        return handed

    def alike(self, data: Buffer, size: int) -> int:
        """Publish bodies of one size that lie end to end; the rest as ``many``."""
        view = memoryview(data)
        handed = at = 0
        while at < len(data):
            with self._outlet.lock:
                self._make_room(size)
                part = view[at : at + fitting(size, self._outlet.max_body) * size]
                count = len(part) // size
                if count:
                    handed = self._outlet.send_batch(self._framing.alike(part, size), count)
            if not count:  # somebody has come to whom the way takes less
                part = view[at : at + size]
                handed = self._large(part)
            at += len(part)
        return handed

    def _large(self, body: Body) -> int:
        parts, size = parts_of(body)
        outlet = self._outlet
        with outlet.lock:
            self.check_open()
            if size <= outlet.max_body:
                return self._small([b"".join(parts)])
            self._make_room(size)
            if outlet.reliable is not None:
                parts = [part if part.readonly else memoryview(bytes(part)) for part in parts]
            message = self._framing.large(parts, size)
            handed = outlet.send_large(message)
            try:
                self._pacing.hand_back(message)
            finally:
                outlet.send_rest()
            return handed

    def _small(self, bodies: Sequence[Any], *, paced: bool = False) -> int:
        """Send bodies that fit one frame together: each in a frame of its own if it may be asked for again.

        Args:
            paced: wait until the subscribers can take them, as for a reliable topic it does anyway.
        """
        outlet, framing = self._outlet, self._framing
        if outlet.reliable is None:
            if paced:
                self._make_room(sum(map(len, bodies)))
            return outlet.send_batch(framing.batch(bodies), len(bodies))
        handed = 0
        for body in bodies:
            self._make_room(len(body) + OVERHEAD)
            handed = outlet.send_kept(framing.kept(body))
        return handed

    def _make_room(self, size: int) -> None:
        self._pacing.make_room(size)
        self.check_open()

    def check_open(self) -> None:
        """Make sure that the publisher is not closed.

        Raises:
            ClosedError: if it is.
        """
        if self._outlet.closed:
            raise ClosedError(f"the publisher of {self._topic!r} is closed")
