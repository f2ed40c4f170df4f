"""One subscriber of one publisher: the way there, how far the match is, and what it is owed.

Joins the pure machines of protocol/ with a socket; its publisher's lock is held by whoever calls.
"""

from __future__ import annotations

from collections.abc import Sequence

from .graph import EndpointInfo
from .protocol.fragments import Outgoing
from .protocol.history import Kept
from .protocol.matching import Match
from .protocol.reports import POLL_BODY, unpack_report
from .protocol.sender import Sender
from .protocol.wire import FRAGMENT_OVERHEAD, OVERHEAD, Frame, Kind, Place, pack_frame
from .stats import RouteStats
from .transport.udp import LOOPBACK, Address, RouteSocket

MAX_BACKLOG = 4  # large messages that one subscriber is owed at a time; then the oldest gives way
MAX_RESENT = 256  # messages that one report has sent again


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
        self.sender = Sender(int(self.match.window * 0.7), lossy=self.lossy)

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

    def owe(self, message: Kept, source: int, codec: int, now: float) -> None:
        """Owe a large message; with too many owed already the oldest is given up."""
        place = Place(source, message.seq, message.sent_ns, codec, message.size, self.fragment_size)
        if self.sender.backlog >= MAX_BACKLOG:
            self.sender.drop_oldest()
        self.sender.add(Outgoing(place, message.parts), now)

    @property
    def fragment_size(self) -> int:
        """Bytes of data in each fragment but the last."""
        return self.socket.datagram - FRAGMENT_OVERHEAD

    def pump(self, source: int, last: int, low: int, now: float) -> None:
        """Send what credit allows, and ask how it went where that is due."""
        while taken := self.sender.take():
            message, indexes = taken
            try:
                self.socket.send_many([message.fragment(index) for index in indexes], self.socket.datagram)
            except OSError:
                self.refused += 1
        position = self.sender.poll(now)
        if position is not None:
            self.poll(source, position, last, low)

    def poll(self, source: int, position: int, last: int, low: int) -> None:
        """Ask what has arrived."""
        low, last = self.sender.lowest(low), self.sender.reached(last)
        self.send(pack_frame(Kind.POLL, source, last, position, POLL_BODY.pack(position, low)))

    def reported(self, frame: Frame, now: float) -> tuple[tuple[int, int], ...]:
        """Take a REPORT; give the ranges (start, stop) of messages that are asked for again.

        Raises:
            Malformed: if it is not of the form.
        """
        report = unpack_report(frame.body)
        self.acknowledged = max(self.acknowledged, report.next - 1)
        self.sender.reported(frame.sent_ns, report.next, int(report.window * 0.7), now, report.missing)
        return report.missing

    def resend(self, messages: Sequence[Kept], source: int, codec: int, now: float) -> None:
        """Send kept messages again."""
        for message in messages[:MAX_RESENT]:
            if message.frame:
                self.retransmitted += self.send(message.frame)
            elif not self.sender.owes(message.seq):
                self.owe(message, source, codec, now)

    def stats(self, last: int) -> RouteStats:
        """Give the counts."""
        handed = max(0, last - self.match.first + 1 - self.refused) if self.match.first else 0
        return RouteStats(handed, self.retransmitted + self.sender.retransmitted, self.refused, self.sender.given_up)
