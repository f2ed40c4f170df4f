"""One subscriber of one publisher: the way there, how far the match is, and what it is owed.

Joins the pure machines of protocol/ with a socket; its publisher's lock is held by whoever calls.
"""

from __future__ import annotations

import contextlib

from ..addresses import LOOPBACK, Address
from ..graph import EndpointInfo
from ..protocol.data.fragments import Outgoing
from ..protocol.data.history import Kept
from ..protocol.data.matching import Match
from ..protocol.data.reliable import Follower
from ..protocol.data.reports import POLL_BODY, Report
from ..protocol.data.sender import Sender
from ..protocol.wire import FRAGMENT_OVERHEAD, OVERHEAD, Kind, Place, pack_frame
from ..stats import RouteStats
from ..transport.udp import MAX_PAYLOAD, ConnectedSocket

MAX_BACKLOG = 4  # large messages that one subscriber is owed at a time; then the oldest gives way
AT_ONCE = 4  # fragments that are made at a time where one fills a call
WINDOW_SHARE = 0.7  # of what a subscriber's socket holds, that is used: others may send to it too


class Route:
    """The way to one subscriber.

    Args:
        since: the number of the last message published before the subscriber was heard of.
    """

    def __init__(self, info: EndpointInfo, address: Address, socket: ConnectedSocket, match: Match, since: int) -> None:
        self.info = info
        self.address = address
        self.socket = socket
        self.match = match
        self.since = since
        self.sender = Sender(0, lossy=socket.lossy)
        self.refused = 0
        self.retransmitted = 0
        self.acknowledged = 0  # every message up to this number is there, or given up
        self._counted = 0  # the number from which on messages are counted as handed; 0 while none is sent
        self._follower: Follower | None = None
        self._past = RouteStats()  # of earlier matches

    @property
    def whole(self) -> int:
        """Bytes that the body of a message may have to fit one datagram."""
        return self.socket.datagram - OVERHEAD

    @property
    def local(self) -> bool:
        """Whether it is on this host."""
        return self.address[0] == LOOPBACK

    @property
    def lossy(self) -> bool:
        """Whether datagrams may get lost on the way, as on any network, or on loopback once one was."""
        return self.sender.lossy

    def lost_some(self) -> None:
        """Learn that something was lost: on loopback too when several publishers fill one socket."""
        self.sender.lossy = True

    def full(self, now: float, *, large: bool) -> bool:
        """Tell whether one more message, small or large, would be too much for a subscriber that answers."""
        busy = self.sender.full or (large and self.sender.backlog >= MAX_BACKLOG)
        return busy and not self.sender.stalled(now)

    def open(self, first: int, last: int, follower: Follower | None) -> None:
        """Begin to send from a number on: the answer has come, perhaps not for the first time.

        Args:
            last: the number of the last message published.
            follower: what it has of a reliable topic.
        """
        again = self.matched
        self.settle(last)
        self.match.first = first
        self.acknowledged = first - 1
        self._counted = last + 1 if again else first
        self._follower = follower
        self.sender = Sender(int(self.match.window * WINDOW_SHARE), lossy=self.lossy)

    @property
    def window(self) -> int:
        """Bytes on their way that its socket can hold, by its answer."""
        return Sender(int(self.match.window * WINDOW_SHARE), lossy=self.lossy).window

    @property
    def matched(self) -> bool:
        """Whether it was ever sent topic data."""
        return self.match.first > 0

    def settle(self, last: int) -> None:
        """Close the books: for now it is sent no more, the last message published being ``last``."""
        self._past = self.stats(last)
        self._counted = self.refused = self.retransmitted = 0
        self._follower = None
        self.sender = Sender(0, lossy=self.lossy)

    def succeed(self, other: Route, last: int) -> None:
        """Go on with the books of a route to the same subscriber at another address."""
        other.settle(last)
        self.match.first = other.match.first
        self._past = other.stats(last)

    def send(self, frame: bytes) -> bool:
        """Send a frame; False if the system would not take it."""
        for _ in range(2):  # the first call may only report that an earlier datagram was refused
            try:
                self.socket.send(frame)
                return True
            except ConnectionRefusedError:
                continue
            except OSError:
                break
        return False

    def send_again(self, frame: bytes, messages: int = 1) -> int:
        """Send messages the system refused once more; give how many subscribers do not get them, 0 or 1."""
        if self.send(frame):
            return 0
        self.refused += messages
        return 1

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
            step = max(AT_ONCE, MAX_PAYLOAD // message.datagram)  # as soon as the first are there, they are sent
            with contextlib.suppress(OSError):  # what the system refuses is asked for again, like what got lost
                for at in range(0, len(indexes), step):
                    self.socket.send_many(message.fragments(indexes[at : at + step]), self.socket.datagram)
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
        """Give the counts, the last message published being ``last``."""
        handed = max(0, last - self._counted + 1 - self.refused) if self._counted else 0
        given_up = self._follower.given_up if self._follower else self.sender.given_up
        retransmitted = self.retransmitted + self.sender.retransmitted
        return self._past + RouteStats(handed, retransmitted, self.refused, given_up)
