"""The segments of one publisher, and the subscribers that they were handed to.

Makes memfds, offers them by connections, reads the answers, and gives back what is not needed any more; knows nothing
of messages, or of what lies where. The publisher's lock is held by whoever calls, unless a method says otherwise.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable

from ..log import get_logger
from ..protocol.data.places import ENTRIES, TABLE_SIZE, Offer, OfferKind, pack_offer, unpack_offer
from ..protocol.data.pool import Pool, Reader
from ..protocol.wire import Malformed
from ..transport import memory
from ..transport.handover import HandoverSocket, close_all
from ..transport.held import Watching
from ..transport.memory import Area
from ..typed import Any, Protocol

log = get_logger(__name__)

PAUSE = 10.0  # seconds between two looks whether the last segments are needed

Connect = Callable[[str], HandoverSocket | None]
_fence = threading.Lock()  # what is written before it is taken is seen everywhere before what is read after it


class Thread(Watching, Protocol):
    """The I/O thread."""

    def call(self, function: Callable[..., object], *arguments: Any) -> None: ...
    def call_at(self, when: float, function: Callable[[], object]) -> None: ...


class Tie:
    """The connection by which one subscriber was handed the segments, for as long as it holds anything.

    Attributes:
        reader: the subscriber, as the pool knows it.
        pending: whether the first answer has not come yet.
        untaken: the messages that it was told of and may not have taken yet, as entry, what the ledger says at least
            once it has, and the position after which it has read of it.
        taken: the position of the latest that it is known to have taken, or lost.
        offered: how many segments it was offered, and has if it has answered.
        parted: whether the subscriber is matched no more: it keeps what it holds, and is offered nothing.
    """

    def __init__(self, sock: HandoverSocket, offer: Offer) -> None:
        self.reader = Reader()
        self.sock = sock
        self.offer = offer
        self.pending = True
        self.untaken: deque[tuple[int, int, int]] = deque()
        self.taken = 0
        self.offered = 0
        self.parted = False

    @property
    def ready(self) -> bool:
        """Whether messages can be placed for it."""
        return bool(self.reader.segments) and not self.reader.gone


class Segments:
    """The shared memory of one publisher, as it was made and handed over.

    Args:
        number: the publisher's id.
        limit: bytes that it may have; 0 for none.
        loop: watches connections.
        connect: connects to the node of a subscriber, by its id; None where nobody takes memory there.
        lock: the publisher's.
        refused: where answers to offers that are not as they should be are counted, by cause.

    Attributes:
        pool: which of it is free; another one once all subscribers have gone and all was free.
        vacate: called where nobody shares it any more: has what is kept take less of it.
        areas: the mappings of the segments.
        lock: as given.
    """

    def __init__(
        self,
        number: int,
        limit: int,
        loop: Thread,
        connect: Connect,
        lock: threading.RLock,
        refused: Counter[str] | None = None,
    ) -> None:
        self.pool = Pool(limit, _pass_fence)
        self.areas: list[Area] = []
        self.vacate: Callable[[], object] = bool
        self._number = number
        self._limit = limit
        self._loop = loop
        self._connect = connect
        self.lock = lock
        self._descriptors: list[int] = []
        self._ties: list[Tie] = []
        self._growing = False  # whether a segment is being made
        self._refused: Counter[str] = Counter() if refused is None else refused
        self._looking = False  # whether there will be a look
        self._generation = 0  # of the pool, at the last look

    # -- segments ----------------------------------------------------------------------------------------------------

    def grow_soon(self, message: int) -> None:
        """Have a segment made in the I/O thread for messages of a size, if one may be made."""
        if not self._growing and self.pool.next_size(message):
            try:
                self._growing = True
                self._loop.call(self.grow, message)
            except BaseException:  # from outside
                self._growing = False
                raise

    def grow(self, message: int) -> bool:
        """Make a segment for a message of a size, and offer it to all; False if none may be made, or is to be had.

        The caller does not hold the lock: a large one takes the system a while.
        """
        with self.lock:
            size, number = self.pool.next_size(message), self.pool.segments
        try:
            made = memory.create("ipcpy-segment", size) if size else None
        except OSError as error:
            made = None
            with self.lock:
                self.pool.limit = self.pool.total
            log.warning("no %d bytes of shared memory more are to be had: %s", size, error)
        with self.lock:
            self._growing = False
            if made is not None and self.pool.segments == number and self.pool.next_size(message) == size:
                self._add(*made)
            elif made is not None:  # another thread was first, or the publisher was closed
                os.close(made[0])
        return made is not None

    def _add(self, descriptor: int, area: Area) -> None:
        number = self.pool.segments
        if not number:
            self.pool.table = area.words(ENTRIES)
        self.areas[number:] = (area,)  # in place of one that an exception from outside left over
        self._descriptors[number:] = (descriptor,)
        self.pool.add(area.size)
        self._loop.call(self._offer_all)

    # -- who takes it, in the I/O thread -----------------------------------------------------------------------------

    def tie(self, node: str, subscriber: int, token: int, size: int, on_change: Callable[[Tie], object]) -> Tie | None:
        """Offer the segments to a subscriber, the first of them made for messages of a size; without the lock.

        Args:
            on_change: called when the subscriber has answered, or does not take anything any more.

        Returns:
            The tie; None if the subscriber's node takes no memory from here.
        """
        sock = self._connect(node)
        if sock is None:
            return None
        if not self.pool.segments and not self.grow(size):
            sock.close()
            return None
        tie = Tie(sock, Offer(OfferKind.OFFER, self._number, subscriber, token, 0, 0))
        with self.lock:
            if not self._limit:  # it was closed meanwhile
                sock.close()
                return None
            self._ties.append(tie)
            self._loop.watch(sock, lambda: self._read(tie, on_change))
            self._offer_all()
        return tie

    def _offer_all(self) -> None:
        """Offer what was not offered yet; here, where no exception comes from outside, each segment once to each."""
        with self.lock:
            for tie in self._ties:
                if tie.parted:
                    continue
                for number in range(tie.offered, self.pool.segments):
                    offer = tie.offer._replace(segment=number, size=self.areas[number].size)
                    tie.sock.send(pack_offer(offer), [self._descriptors[number]])
                tie.offered = self.pool.segments
            self._look_later()

    def _read(self, tie: Tie, on_change: Callable[[Tie], object]) -> None:
        with self.lock:
            while (received := tie.sock.receive()) is not None:
                data, descriptors = received
                try:
                    cause = self._take_answer(tie, data, descriptors)
                finally:
                    close_all(descriptors)
                if cause:
                    self._refused[cause] += 1
                    self._cut(tie)
                    break
            if tie.sock.ended:
                self._cut(tie)
        on_change(tie)

    def _take_answer(self, tie: Tie, data: bytes, descriptors: list[int]) -> str:
        """Take an answer; return what is wrong with it, by the causes of NodeStats, or nothing."""
        reader = tie.reader
        tie.pending = False
        try:
            answer = unpack_offer(data)
        except Malformed:
            return "malformed"
        number = reader.segments
        if number >= tie.offered:
            return "malformed"
        expected = tie.offer._replace(kind=OfferKind.TAKEN, segment=number, size=self.areas[number].size)
        if answer != expected or len(descriptors) != (number == 0):
            return "malformed"
        if number == 0:
            try:
                reader.ledger = memory.open_sealed(descriptors[0], TABLE_SIZE).words(ENTRIES)
            except (OSError, ValueError):
                return "memory"
        reader.segments = number + 1
        return ""

    def _cut(self, tie: Tie) -> None:
        """The connection has ended: what the subscriber was handed it holds no more."""
        tie.pending = False
        if not tie.reader.gone:
            self._ties.remove(tie)
            self._loop.unwatch(tie.sock)
            tie.sock.close()
            self.pool.forget(tie.reader)
        self._drop_if_idle()

    def _drop_if_idle(self) -> None:
        """Let go of all of it, once nobody shares it any more and nobody here uses any of it; else look again later."""
        if not self._ties and self.areas:
            self.vacate()
            if self.pool.idle:
                self._drop()
            else:
                self._look_later()

    # -- what is not needed any more, in the I/O thread --------------------------------------------------------------

    def _look_later(self) -> None:
        if not self._looking and (self.pool.segments > 1 or (self.areas and not self._ties)):
            self._looking = True
            self._loop.call_at(time.monotonic() + PAUSE, self._look)

    def _look(self) -> None:
        """Retire the last segments, or drop all, if nobody has needed them since the last look."""
        with self.lock:
            self._looking = False
            used, self._generation = self.pool.generation > self._generation, self.pool.generation
            if not used:
                self._drop_if_idle()
            before = self.pool.segments
            # Else an answer that is on its way would be taken for one to a later offer of the same number.
            answered = all(tie.reader.segments == tie.offered for tie in self._ties)
            kept = before - self.pool.retire() if answered else before
            for number in range(before - 1, kept - 1, -1):
                self._retire(number)
            areas, self.areas[kept:] = self.areas[kept:], ()
            descriptors, self._descriptors[kept:] = self._descriptors[kept:], ()
            self._look_later()
        del areas  # without the lock: it takes the system a while
        close_all(descriptors)

    def _retire(self, number: int) -> None:
        """Tell all who have it that the last segment, which has a number, is gone."""
        for tie in self._ties:
            if tie.offered > number:
                retired = tie.offer._replace(kind=OfferKind.RETIRED, segment=number, size=self.areas[number].size)
                tie.sock.send(pack_offer(retired))
                tie.offered = tie.reader.segments = number

    # -- the end -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End all connections, and let go of the memory as soon as nobody in this process has anything of it."""
        self._limit = 0
        for tie in list(self._ties):
            self._cut(tie)
        self._drop()

    def _drop(self) -> None:
        self.pool = Pool(self._limit, _pass_fence, self.pool.generation)
        descriptors, self._descriptors = self._descriptors, []
        for each in descriptors:
            os.close(each)
        self.areas = []

    def abandon(self) -> None:
        """Close the descriptors in a forked child."""
        self._limit = 0
        for tie in self._ties:
            tie.sock.close()
        self._ties = []
        with contextlib.suppress(OSError):
            self._drop()


def _pass_fence() -> None:
    with _fence:
        pass
