"""One subscriber of one publisher: the way there, how far the match is, and what it is owed.

Joins the pure machines of protocol/ with a socket; its publisher's lock is held by whoever calls.
"""

from __future__ import annotations

import contextlib

from .graph import EndpointInfo
from .protocol.fragments import Outgoing
from .protocol.history import Kept
from .protocol.matching import Match
from .protocol.reports import POLL_BODY, Report
from .protocol.sender import Sender
from .protocol.wire import FRAGMENT_OVERHEAD, OVERHEAD, Kind, Place, pack_frame
from .stats import RouteStats
from .transport.udp import LOOPBACK, Address, RouteSocket

MAX_BACKLOG = 4  # large messages that one subscriber is owed at a time; then the oldest gives way
WINDOW_SHARE = 0.7  # of what a subscriber's socket holds, that is used: others may send to it too


class Route:
    """The way to one subscriber.

    Args:
        since: the number of the last message published before the subscriber was heard of.
    """

    def __init__(self, info: EndpointInfo, address: Address, socket: RouteSocket, match: Match, since: int) -> None:
        self.info = info
        self.address = address
        self.socket = socket
        self.match = match
        self.since = since
        self.sender = Sender(0, lossy=address[0] != LOOPBACK)
        self.refused = 0
        self.retransmitted = 0
        self.acknowledged = 0  # every message up to this number is there, or given up

    @property
    def whole(self) -> int:
        """Bytes that the body of a message may have to fit one datagram."""
        return self.socket.datagram - OVERHEAD

    @property
    def lossy(self) -> bool:
        """Whether datagrams may get lost on the way, as on any network."""
        return self.sender.lossy

    def open(self) -> None:
        """Begin to send: the answer has come."""
        self.sender = Sender(int(self.match.window * WINDOW_SHARE), lossy=self.lossy)

    def send(self, frame: bytes) -> bool:
        """Send a frame; False, and counted, if the system would not take it."""
        for _ in range(2):  # the first call may only report that an earlier datagram was refused
            try:
                self.socket.send(frame)
                return True
            except ConnectionRefusedError:
                continue
            except OSError:
                break
        self.refused += 1
        return False

    def send_again(self, frame: bytes) -> int:
        """Send a frame the system refused; give how many subscribers do not get it, 0 or 1."""
        return not self.send(frame)

    def challenge(self, datagram: bytes) -> None:
        """Send a challenge; one that the system refuses is sent again in time."""
        with contextlib.suppress(OSError):
            self.socket.send(datagram)

    def owe(self, message: Kept, source: int, codec: int, now: float, *, drop: bool, sent: bool = False) -> None:
        """Owe a large message.

        Args:
            drop: with too many owed already, give up the oldest; else this one waits to be asked for.
            sent: it was sent before, only what is asked for is sent.
        """
        if self.sender.backlog >= MAX_BACKLOG:
            if not drop:
                return
            self.sender.drop_oldest()
        place = Place(source, message.seq, message.sent_ns, codec, message.size, self.fragment_size)
        self.sender.add(Outgoing(place, message.parts, sent=sent), now)

    @property
    def fragment_size(self) -> int:
        """Bytes of data in each fragment but the last."""
        return self.socket.datagram - FRAGMENT_OVERHEAD

    def pump(self, now: float) -> bool:
        """Send what credit allows; True if it is time to ask how it went."""
        while taken := self.sender.take():
            message, indexes = taken
            try:
                self.socket.send_many([message.fragment(index) for index in indexes], self.socket.datagram)
            except OSError:
                self.refused += 1
        return self.sender.poll(now) is not None

    def poll(self, source: int, last: int, low: int) -> None:
        """Ask what has arrived of the messages up to ``last``; those from ``low`` on are still to be had."""
        position, low, last = self.sender.position, self.sender.lowest(low), self.sender.reached(last)
        self.send(pack_frame(Kind.POLL, source, last, position, POLL_BODY.pack(position, low)))

    def reported(self, report: Report, position: int, now: float) -> None:
        """Take a REPORT."""
        self.acknowledged = max(self.acknowledged, report.next - 1)
        self.sender.reported(position, report.next, int(report.window * WINDOW_SHARE), now, report.missing)

    def stats(self, last: int) -> RouteStats:
        """Give the counts."""
        handed = max(0, last - self.match.first + 1 - self.refused) if self.match.first else 0
        return RouteStats(handed, self.retransmitted + self.sender.retransmitted, self.refused, self.sender.given_up)
