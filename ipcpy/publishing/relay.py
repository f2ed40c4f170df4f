"""Relay: publishes what another publisher, beyond this LAN, has published: under its id, with its numbers and times.

Knows how numbers and times are set; nothing of bridges, nor of where messages come from.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from ..addresses import Address
from ..codec import Body
from ..codec.bodies import Verbatim
from ..errors import ArgumentError, ClosedError, RecvTimeout
from ..graph import EndpointInfo
from ..node.loop import Alarm
from ..node.node import Node
from ..protocol.naming import Whole
from ..typed import Any
from .delivery import Delivery
from .framing import Framing
from .pacing import BLOCK
from .publisher import Publisher

__all__ = ["Relay"]

MEET = 0.3  # seconds in which subscribers that are there answer; those on one host take 2 ms


class _Late(Delivery):
    """A delivery that meets its subscribers once it is known with which number it begins."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._held: dict[int, tuple[EndpointInfo, Address]] | None = {}

    def subscriber_found(self, number: int, info: EndpointInfo, address: Address) -> None:
        """Challenge a subscriber; not yet before the first number is known."""
        with self.outlet.monitor.lock:
            if self._held is not None:
                self._held[number] = info, address
                return
        super().subscriber_found(number, info, address)

    def subscriber_lost(self, number: int) -> None:
        """Forget a subscriber but for its counts."""
        with self.outlet.monitor.lock:
            if self._held is not None:
                self._held.pop(number, None)
        super().subscriber_lost(number)

    def admit(self, on_done: Callable[[int], None]) -> None:
        """Challenge those that were found until now, in the I/O thread; then say how many they are."""
        with self.outlet.monitor.lock:
            held, self._held = self._held or {}, None
        for number, (info, address) in held.items():
            super().subscriber_found(number, info, address)
        on_done(len(held))
        self.outlet.monitor.bell.ring()


class Relay(Publisher):
    """A publisher that stands for one beyond this LAN.

    Subscribers meet it once it is known with which number it begins, so that what was published before they came does
    not count as lost. Only one thread relays. Where numbers are left out, a subscriber sees a gap; of a topic that
    keeps messages those before the gap are kept no longer.

    Args:
        topic: its topic here, a whole name: no namespace and no remapping of its node changes it.
        codec: the name of the publisher's codec.
        schema: its schema.
        id: its id, 16 hexadecimal digits.
        via: where it comes from, as ``EndpointInfo.via``.
        reliable, keep, block, node: as for a Publisher.

    Raises:
        ArgumentError: (a ValueError) which argument is wrong.
    """

    def __init__(
        self,
        topic: str,
        codec: str,
        schema: Mapping[str, Any],
        *,
        id: str,
        via: Mapping[str, Any],
        reliable: bool = False,
        keep: int = 0,
        block: float = BLOCK,
        node: Node | None = None,
    ) -> None:
        try:
            self._number = int(id, 16)
        except ValueError:
            self._number = 0
        if not 0 < self._number < 1 << 64:
            raise ArgumentError(f"the id of a publisher is 16 hexadecimal digits, got {id!r:.40}")
        self._via = dict(via)
        self._stamp_ns = 0
        self._begun = False
        super().__init__(Whole(topic), Verbatim(codec, schema), reliable=reliable, keep=keep, block=block, node=node)

    def _interior(self) -> tuple[Framing, Delivery]:
        framing = Framing(self._number, self._codec_number, lambda: self._stamp_ns or time.time_ns())
        terms = self._terms._replace(entry=replace(self._terms.entry, via=self._via))
        self._late = _Late(self._core, framing, terms, alarm=partial(Alarm, self._core.loop))
        return framing, self._late

    def _reopen(self) -> None:
        raise ClosedError(f"the relay of {self.topic!r} belongs to the process that made it")

    @property
    def begun(self) -> bool:
        """Whether it is known with which number it begins."""
        return self._begun

    def begin(self, first: int) -> None:
        """Say with which number it begins, and meet the subscribers that are there; the first call counts."""
        if self._begun:
            return
        self._begun = True
        self._jump(max(first, 1))
        found: list[int] = []
        self._core.loop.call(self._late.admit, found.append)
        until = time.monotonic() + MEET
        self._monitor.wait_for(lambda: bool(found) or self._outlet.closed, MEET)
        if found and found[0]:
            with contextlib.suppress(RecvTimeout, ClosedError):  # one does not answer, or its types are others
                self.wait_for_subscribers(found[0], max(0.0, until - time.monotonic()))

    def relay(self, body: Body, seq: int, sent_ns: int) -> int:
        """Publish a body under a number and with a send time.

        Returns:
            The number of subscribers it was handed to; 0 too for a number that is not higher than the last one.

        Raises:
            ArgumentError: (a ValueError) the body is larger than subscribers take.
            ClosedError: (an OSError) it is closed.
        """
        self.begin(seq)
        outlet, framing = self._outlet, self._framing
        if seq <= framing.seq:
            return 0
        if seq != framing.seq + 1:
            self._jump(seq)
        if not outlet.ways and outlet.reliable is None:
            self._dispatch.check_open()
            framing.seq = seq
            return 0
        self._stamp_ns = sent_ns
        return self._dispatch.one(body)

    def _jump(self, seq: int) -> None:
        with self._monitor.lock:
            self._framing.seq = seq - 1
            if self._outlet.reliable is not None:
                self._outlet.reliable.history.skip(seq)
