"""How one subscriber of this host takes shared memory: not at all, not yet, or what it may be told of.

Knows the tie to it and the publisher's memory; nothing of fragments. The publisher's lock is held by whoever calls.
"""

from __future__ import annotations

from collections.abc import Callable

from ..fast import SharingFields, slots
from ..protocol.data.history import Kept, Placed
from ..protocol.data.places import PLACED_FROM, let_go
from ..protocol.data.sender import Sender
from ..timeouts import NEVER
from .framing import Framing
from .memory import Memory
from .segments import Tie

UNTAKEN = 8  # messages in shared memory that wait for a subscriber; more would only be cold memory
NOTHING_COMES = 1 << 63  # a position beyond all: what the subscriber has not taken by then it takes no more
LATER = (0.1, 0.5, 2.0, 10.0)  # seconds after which memory is offered once more
WAIT = 0.25  # seconds that large messages that are kept wait for a late subscriber to take shared memory


class Sharing(SharingFields):
    """Shared memory between a publisher and one subscriber.

    Args:
        memory: the publisher's.
        framing: the publisher's numbers.
        send: sends a frame to the subscriber.
        local: whether the subscriber is on this host.

    Attributes:
        tie: the connection by which it was handed memory; None where it takes none, or not yet.
        possible: whether it takes some, or may be offered some.
        count, retransmitted: how many messages it was told of since the match, and how many of them once more.
    """

    __slots__ = slots(
        "count possible retransmitted tie _framing _last _local _memory _send _tries _wait_until _waiting",
        SharingFields,
    )

    def __init__(self, memory: Memory, framing: Framing, send: Callable[[bytes], object], *, local: bool) -> None:
        self._memory = memory
        self._framing = framing
        self._send = send
        self._last = 0  # the highest number of a message that was placed for this subscriber alone
        self._local = local
        self._wait_until = 0.0
        self._waiting: list[Kept] = []  # what waits for the tie: it may be kept by nobody else meanwhile
        self.tie: Tie | None = None
        self.possible = local and memory.enabled
        self._tries = 0  # in vain, to offer it memory
        self.count = self.retransmitted = 0

    @property
    def ready(self) -> bool:
        """Whether it takes messages."""
        return self.tie is not None and self.tie.ready

    @property
    def way(self) -> str:
        """Which way large messages go, for who asks: ``shared``, ``refused``, or empty where nothing is special."""
        if self.ready:
            return "shared"
        return "refused" if self._local and self._memory.wanted and not self.possible else ""

    @property
    def busy(self) -> bool:
        """Whether too many messages wait that the subscriber has not taken, nor lost."""
        tie = self.tie
        return tie is not None and len(tie.untaken) >= UNTAKEN and self._count_untaken(tie) >= UNTAKEN

    @property
    def taken(self) -> int:
        """The position after the last message that it was told of, if it has taken or lost all of them; else 0."""
        return 0 if self.tie is None or self._count_untaken(self.tie) else self.tie.taken

    @staticmethod
    def _count_untaken(tie: Tie) -> int:
        untaken, acked, ledger = tie.untaken, tie.reader.acked, tie.reader.ledger
        while untaken and (not ledger or ledger[untaken[0][0]] >= untaken[0][1] or acked >= untaken[0][2]):
            _, _, tie.taken = untaken.popleft()
        return len(untaken)

    def begin(self, now: float) -> None:
        """Begin a match: the large messages among what is kept wait a moment, if it may be offered memory."""
        if self.tie is None:
            self.possible = self._local and self._memory.enabled
            if self.possible and self._memory.wanted:
                self._wait_until = now + WAIT

    def settle(self, tie: Tie | None) -> bool:
        """Take note of the tie, or of what became of it; return whether something has waited for that."""
        ended = tie is None or tie.reader.gone
        self.tie = None if ended else tie
        self.possible = not ended
        waited = self._wait_until > 0 and (tie is None or not tie.pending)
        if waited:
            self._wait_until = 0.0
        return waited

    @property
    def due(self) -> float:
        """When what waits is to be sent in any case; ``inf`` if nothing waits."""
        return self._wait_until if self._waiting else NEVER

    def release(self) -> list[Kept]:
        """Return what has waited; nothing waits any more."""
        waiting, self._waiting, self._wait_until = self._waiting, [], 0.0
        return waiting

    def lowest(self, otherwise: int) -> int:
        """Return the lowest number among what waits, or ``otherwise`` if that is lower."""
        return min([otherwise, *(message.seq for message in self._waiting)])

    def end(self) -> None:
        """End with the match: the subscriber is offered nothing more."""
        if self.tie is not None:
            self.tie.parted = True
            self.tie.reader.acked = NOTHING_COMES

    def try_later(self) -> float | None:
        """Return after how many seconds to offer memory once more, for the subscriber's node was busy; or None."""
        self._tries += 1
        self.possible = self._tries <= len(LATER)
        return LATER[self._tries - 1] if self.possible else None

    def takes(self, placed: Placed) -> bool:
        """Tell whether the subscriber may be told of a message."""
        return self.tie is not None and self._memory.takes(self.tie, placed.spot)

    def tell(self, placed: Placed, size: int, sender: Sender, now: float) -> None:
        """Note that the subscriber is told where a message lies, by a frame of a size that is sent next."""
        assert self.tie is not None
        sender.charge(size)
        self._memory.hand(placed.slot, self.tie, sender.position)
        self.tie.untaken.append((placed.spot.entry, let_go(placed.spot.generation), sender.position))
        sender.ask_soon(now)
        self.count += 1

    def send(self, message: Kept, sender: Sender, now: float) -> bool:
        """Send, late or once more, where a message lies; it is placed now if it was not before.

        Returns:
            Whether that was done, or is better done in a moment, when the message is asked for again; else the
            subscriber is to have it in fragments.
        """
        if message.frame or message.size < PLACED_FROM:
            return False
        if now < self._wait_until:
            if all(other.seq != message.seq for other in self._waiting):
                self._waiting.append(message)
            return True
        placed = self._find(message)
        if placed is None or self.tie is None:
            return False
        if message.placed is None:
            again = message.seq <= self._last
            self._last = max(self._last, message.seq)
        else:
            again = self.tie.reader in placed.slot.handed
        frame = self._framing.placed(message, placed)
        self.tell(placed, len(frame), sender, now)
        self.count -= again
        self.retransmitted += again
        self._send(frame)
        return True

    def _find(self, message: Kept) -> Placed | None:
        tie = self.tie
        if tie is None or not tie.ready:
            return None
        placed = message.placed or self._memory.place(message.parts, message.size)
        if placed is None or self._memory.has_taken(tie, placed.spot) or not self.takes(placed):
            return None
        return placed

    def acknowledged(self, position: int) -> None:
        """Note that all before a position has left the subscriber's socket, or got lost."""
        if self.tie is not None:
            self.tie.reader.acked = position
