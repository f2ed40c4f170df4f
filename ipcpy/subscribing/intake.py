"""What all flows of one subscriber share: where messages go, where answers leave, and what is due.

Knows no frames and no order. Whoever calls holds the lock of the subscriber.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable

from ..addresses import Address, Way
from ..fast import IntakeFields
from ..protocol.data import matching
from ..protocol.data.receiver import Receiver
from ..protocol.data.spares import Spares
from ..protocol.wire import Frame
from ..timeouts import NEVER
from ..typed import Any, Protocol
from .inbox import Inbox
from .losses import CountsDrops, Losses


class Socket(CountsDrops, Protocol):
    """What is asked of the subscriber's own socket."""

    @property
    def capacity(self) -> int:
        """Bytes of kernel memory that its buffer may take."""
        ...

    def sendto(self, data: bytes, address: Address, way: Way | None = None, /) -> object:
        """Send a datagram, or lose it."""
        ...


class Intake(IntakeFields):
    """What all flows of one subscriber share: the inbox, the socket that answers, counts and clocks.

    Args:
        number: the subscriber's.
        socket: the subscriber's own: messages come to it, answers leave by it.
        on_matched: called when a publisher was matched.
        clock: seconds that never jump.
        time_ns: this host's wall clock, in ns since 1970.
        seed: of the dice that spread questions over time; None for any.
        intact: whether what comes is what was sent, from wherever: it is sealed.

    Attributes:
        sockets: all that are read: the subscriber's own, and one for each multicast group.
        dropped: datagrams and frames that were no messages of a matched publisher, by cause.
        behind: whether a message came so late that the sockets should be emptied at once; whoever does so resets it.
        spares: buffers for large messages.
        polls: those that came of publishers that send by multicast, by publisher; see ``Inbound.answer_polls``.
        filling: the Receiver of the publisher whose large message is being put together; None if there is none.
        delivering: the Receiver that hands on more than one message that came in time; None if none does.
        handed: how many messages it has handed on, by its own counts, that have come to the inbox.
        timer: when ``Inbound.handle_timer`` wants to be called; ``inf`` for never.
        late: how often messages were late, by publisher.
        follow: called with each new Flow.
        way_to: returns how to leave for an address of a node, by its id; None where the system may choose.
    """

    def __init__(
        self,
        number: int,
        socket: Socket,
        inbox: Inbox,
        on_matched: Callable[[], object],
        *,
        clock: Callable[[], float] = time.monotonic,
        time_ns: Callable[[], int] = time.time_ns,
        seed: int | None = None,
        intact: bool = False,
    ) -> None:
        self.number = number
        self.inbox = inbox
        self.on_matched = on_matched
        self.clock = clock
        self.time_ns = time_ns
        self.seed = seed
        self.intact = intact
        self.window = socket.capacity
        self._socket = socket
        self.late: Counter[str] = Counter()
        self.follow: Callable[[Any], object] = lambda _: None
        self.way_to: Callable[[str, str], Way | None] = lambda *_: None
        self.sockets: list[CountsDrops] = [socket]
        self.losses = Losses(self.sockets)
        self.dropped: Counter[str] = Counter()
        self.logged: set[str] = set()  # publishers of which was logged that a message cannot be decoded
        self.secret = os.urandom(16)
        self.behind = False
        self.delivering: Receiver[Any] | None = None
        self.handed = 0
        self._lost = 0  # by the books of that Receiver, when it began
        self.spares = Spares()
        self.polls: dict[int, Frame] = {}
        self.filling: Receiver[Any] | None = None
        self.timer = NEVER

    def answer(self, data: bytes, address: Address, node: str) -> None:
        """Answer a publisher of a node, by its id, from that of our addresses that the node speaks to."""
        way = self.way_to(node, address[0])
        if way is None:
            self._socket.sendto(data, address)
        else:
            self._socket.sendto(data, address, way)

    def token_for(self, address: Address, publisher: int) -> int:
        """Return the token that only a publisher that reads what is sent to an address can know."""
        return matching.token_for(address, publisher, self.secret)

    def begin(self, receiver: Receiver[Any]) -> None:
        """Note that a Receiver counts messages as delivered before each is handed to the inbox."""
        self.handed = receiver.received
        self._lost = receiver.lost.total()
        self.delivering = receiver

    def mend(self) -> None:
        """Bring in order what an exception from outside has left half done; what came to nobody is missing."""
        self.inbox.mend()
        self.filling = None
        receiver, self.delivering = self.delivering, None
        unheard = receiver.received - self.handed if receiver is not None else 0
        if receiver is not None and unheard > 0:
            if receiver.reliable and receiver.lost.total() == self._lost:  # the last ones: they are asked for again
                receiver.next -= unheard
            else:
                receiver.lost["interrupted"] += unheard
        self.behind = True  # read on: of what was on its way something was lost

    def by(self, when: float) -> None:
        """Have ``Inbound.handle_timer`` called at a time at the latest."""
        if when < self.timer:
            self.timer = when
