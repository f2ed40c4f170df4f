"""What this node tells others that it has. Knows the table, and when it is told; nothing of frames or peers."""

from __future__ import annotations

import time

from ..protocol.link.entries import PublisherEntry, SubscriberEntry
from ..protocol.link.link import Link
from .introductions import Introductions
from .loop import Alarm, Loop
from .peering import Peering
from .rendezvous import Rendezvous

PAUSE = 0.0005  # seconds between two tellings for each peer: 50 ms where there are 100


class Announcements:
    """The publishers and subscribers of this node as others see them: in the link's table, in mDNS, in the graph."""

    def __init__(
        self, loop: Loop, link: Link, introductions: Introductions, peering: Peering, rendezvous: Rendezvous
    ) -> None:
        self._loop = loop
        self._link = link
        self._introductions = introductions
        self._peering = peering
        self._rendezvous = rendezvous
        self._alarm = Alarm(loop, self._tell)
        self._quiet_until = 0.0

    def put(self, number: int, entry: PublisherEntry | SubscriberEntry, packed: bytes) -> None:
        """Announce a publisher or subscriber, or that its entry is another; from any thread."""
        self._loop.call(self._put, number, entry, packed)

    def remove(self, number: int) -> None:
        """Announce that a publisher or subscriber is no more; from any thread."""
        self._loop.call(self._remove, number)

    def _put(self, number: int, entry: PublisherEntry | SubscriberEntry, packed: bytes) -> None:
        self._link.table.put(number, packed)
        self._introductions.change_own(number, entry)
        self._tell_soon()

    def _remove(self, number: int) -> None:
        self._link.table.remove(number)
        self._introductions.change_own(number, None)
        self._tell_soon()

    def _tell_soon(self) -> None:
        """Tell others at once, but many changes in a row together where there are many to be told."""
        self._alarm.by(max(time.monotonic(), self._quiet_until))

    def _tell(self) -> None:
        self._quiet_until = time.monotonic() + PAUSE * len(self._link.peers)
        self._peering.tell()
        self._rendezvous.show()
