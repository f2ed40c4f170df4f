"""What one publisher shares with one subscriber: its segments, which are mapped here, and the subscriber's ledger.

Knows slots and who holds them; nothing of order, numbers or codecs. The subscriber's lock is held by whoever calls, but
for letting go: that happens in any thread, whenever the last view of a message is gone.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from ..protocol.data.places import (
    ENTRIES,
    MAX_MAPPED,
    MAX_SEGMENTS,
    TABLE_SIZE,
    Offer,
    OfferKind,
    Spot,
    held,
    pack_offer,
    unpack_offer,
)
from ..protocol.wire import Malformed
from ..transport import memory
from ..transport.handover import HandoverSocket, close_all
from ..transport.held import Held, Watching
from ..transport.memory import Area

_fence = threading.Lock()  # what is written before it is taken is seen everywhere before what is read after it


class Shares:
    """What one publisher shares with one subscriber, if it does.

    Attributes:
        shared: that; None before the first offer, and once nothing more is taken.
    """

    def __init__(self) -> None:
        self.shared: Shared | None = None

    def take_offer(
        self, offer: Offer, descriptors: list[int], sock: HandoverSocket, loop: Watching, on_lie: Callable[[], object]
    ) -> bool:
        """Take the first segment, in place of what was shared before; False if it is not as it should be."""
        shared = Shared(loop, sock, on_lie)
        if not shared.begin(offer, descriptors):
            return False
        self.close()
        self.shared = shared
        return True

    def take(self, spot: Spot) -> memoryview | None:
        """Return what lies at a spot; see ``Shared.take``.

        Raises:
            Malformed: nothing can lie there.
        """
        if self.shared is None:
            raise Malformed("memory")
        return self.shared.take(spot)

    def sweep(self) -> None:
        """Let go of what nobody holds, though an exception from outside came when that was to be written."""
        if self.shared is not None:
            self.shared.sweep()

    def close(self) -> None:
        """Take nothing more; what users hold stays."""
        shared, self.shared = self.shared, None
        if shared is not None:
            shared.close()

    def abandon(self) -> None:
        """Close the descriptors in a forked child."""
        if self.shared is not None:
            self.shared.abandon()


class _Ledger:
    """What a subscriber writes of what it holds, and the connection that lasts as long as it does.

    Attributes:
        ended: whether nothing more is taken, so that the connection ends with what is held.
    """

    __slots__ = ("ended", "sock", "words")

    def __init__(self, words: memoryview, sock: HandoverSocket) -> None:
        self.words = words
        self.sock = sock
        self.ended = False

    def let_go(self, held: tuple[int, int]) -> None:
        """Write that what lies at an entry is held no more, unless that was written before."""
        entry, mark = held
        if self.words[entry] == mark:  # no call comes between: nothing else can have been taken
            self.words[entry] = mark - 1

    def close_if_ended(self) -> None:
        """Close the connection: nothing is held."""
        if self.ended:
            self.sock.close()


class Shared:
    """The memory that one publisher shares with one subscriber.

    It lasts until the publisher ended the connection, or the subscriber does not need it any more (``close``) and
    nobody holds a message that lies there.

    Args:
        loop: watches the connection.
        sock: by which it is offered.
        on_lie: called when something is offered that is not as it should be.
    """

    def __init__(self, loop: Watching, sock: HandoverSocket, on_lie: Callable[[], object]) -> None:
        self._loop = loop
        self._sock = sock
        self._on_lie = on_lie
        self._areas: tuple[Area, ...] = ()
        self._table = memoryview(b"")
        self._ledger = _Ledger(self._table, sock)
        self._held = Held(loop, self._ledger.let_go, self._ledger.close_if_ended)
        self._offer: Offer | None = None

    def __len__(self) -> int:
        return len(self._held)

    # -- the hand-over -----------------------------------------------------------------------------------------------

    def begin(self, offer: Offer, descriptors: list[int]) -> bool:
        """Take the first segment, and watch for others; False if it is not as it should be, or there is no ledger."""
        if not self.add(offer, descriptors):
            return False
        try:
            descriptor, area = memory.create("ipcpy-ledger", TABLE_SIZE)
        except OSError:
            return False
        self._ledger.words = area.words(ENTRIES)
        self._offer = offer
        try:
            answered = self._answer(offer, [descriptor])
        finally:
            os.close(descriptor)
        if answered:
            self._loop.watch(self._sock, self._read)
        return answered

    def add(self, offer: Offer, descriptors: list[int]) -> bool:
        """Map a segment; False if it is not as it should be."""
        size = offer.size
        mapped = sum(area.size for area in self._areas)
        if offer.segment != len(self._areas) or offer.segment >= MAX_SEGMENTS or mapped + size > MAX_MAPPED:
            return False
        if len(descriptors) != 1 or size <= TABLE_SIZE:
            return False
        try:
            area = memory.open_sealed(descriptors[0], size)
        except (OSError, ValueError, OverflowError):
            return False
        self._areas += (area,)
        if offer.segment == 0:
            self._table = area.words(ENTRIES)
        return True

    def _answer(self, offer: Offer, descriptors: list[int]) -> bool:
        return self._sock.send(pack_offer(offer._replace(kind=OfferKind.TAKEN)), descriptors)

    def _read(self) -> None:
        """Take another segment, or drop the last one, in the I/O thread."""
        received = self._sock.receive()
        if received is None:
            if self._sock.ended:
                self._end()
            return
        data, descriptors = received
        try:
            if not self._read_offer(data, descriptors):
                self._on_lie()
                self._end()
        finally:
            close_all(descriptors)

    def _read_offer(self, data: bytes, descriptors: list[int]) -> bool:
        try:
            offer = unpack_offer(data)
        except Malformed:
            return False
        first = self._offer
        if first is None or offer[1:4] != first[1:4]:  # another publisher, subscriber or token
            return False
        if offer.kind == OfferKind.RETIRED:
            return not descriptors and self._retire(offer)
        return offer.kind == OfferKind.OFFER and self.add(offer, descriptors) and self._answer(offer, [])

    def _retire(self, offer: Offer) -> bool:
        """Drop the last segment, of which views stay as long as anybody has them; False if it is not the last."""
        *areas, last = self._areas
        if not areas or (offer.segment, offer.size) != (len(areas), last.size):
            return False
        self._areas = tuple(areas)
        return True

    # -- messages ----------------------------------------------------------------------------------------------------

    def take(self, spot: Spot) -> memoryview | None:
        """Return what lies at a spot, to be held by whoever has a view of it; None if nothing does any more.

        The mark is set before the look whether it lies there still: so the publisher, which writes to the table before
        it looks for marks, either finds the mark or is found out (a hazard pointer: Michael, IEEE TPDS 15(6), 2004).

        Raises:
            Malformed: the publisher has offered no such memory, or it is held for another message.
        """
        segment, entry, generation, offset, size = spot
        areas, parts = self._areas, self._held  # the areas once: the I/O thread may take one away
        ledger, mark = self._ledger.words, held(generation)
        if areas and ledger[entry] >= mark - 1:  # it was here before; its segment may be gone
            return None
        if segment >= len(areas) or offset + size > areas[segment].size or (entry in parts.live and parts.holds(entry)):
            raise Malformed("memory")
        view = None
        try:
            ledger[entry] = mark
            with _fence:
                pass
            if self._table[entry] == generation:
                part = areas[segment].part(offset, size)
                parts.hold(part, entry, (entry, mark))
                view = memory.view(part)
            else:
                ledger[entry] = mark - 1  # without a call: below, one more exception could come
        finally:  # also where an exception from outside comes
            if view is None and not parts.holds(entry):
                ledger[entry] = mark - 1
        return view

    # -- the end -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Take nothing more; the publisher is told as soon as nobody holds anything."""
        self._loop.unwatch(self._sock)
        self._finish()

    def sweep(self) -> None:
        """See ``Shares.sweep``."""
        self._held.sweep()

    def _finish(self) -> None:
        self._ledger.ended = True
        self.sweep()
        if not len(self._held):
            self._sock.close()

    def _end(self) -> None:
        """The publisher has ended the connection; what was placed before is still there."""
        self._loop.unwatch(self._sock)
        self._sock.close()

    def abandon(self) -> None:
        """Take nothing more, in a forked child; the connection lasts as long as either holds what the parent held."""
        self._finish()
