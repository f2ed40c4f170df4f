"""One subscriber of one publisher: the way there, how far the match is, and what it is owed.

Joins the pure machines of protocol/data with a socket. Knows the publisher's numbers and what is kept, nothing of its
other subscribers; reads no clock. The publisher's lock is held by whoever calls.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from ..addresses import LOOPBACK, Address
from ..alarms import Refusals, raise_alarm
from ..fast import RouteFields
from ..graph import EndpointInfo
from ..log import get_logger
from ..protocol.data.fragments import Outgoing
from ..protocol.data.heads import Place
from ..protocol.data.history import Kept
from ..protocol.data.matching import Match
from ..protocol.data.passage import Passage
from ..protocol.data.reliable import Follower, Reliable
from ..protocol.data.reports import POLL_BODY, unpack_missing, unpack_report
from ..protocol.data.sender import DATAGRAM_COST, Sender
from ..protocol.wire import CHECK_SIZE, FRAGMENT_OVERHEAD, HEADER_SIZE, OVERHEAD, UNCHECKED, Frame, Kind, pack_frame
from ..records import replace
from ..stats import RouteStats
from ..transport.connected import ConnectedSocket
from ..transport.kernel import MAX_PAYLOAD
from .books import Books
from .framing import Framing
from .memory import Memory
from .sharing import Sharing

log = get_logger(__name__)

MAX_BACKLOG = 4  # large messages of a reliable topic that a subscriber is owed at a time; others wait to be asked for
AT_ONCE = 4  # fragments that are made at a time where one fills a call
WORTH = 8  # fragments that lie in one part of a message and are sent by themselves, with the one before them
_SMALLER = (
    "datagrams of %d bytes do not reach %s (%s) at %s: a switch or tunnel on the way drops what has more than its MTU. "
    "Those of %d bytes are sent from now on."
)
WINDOW_SHARE = 0.7  # of what a subscriber's socket holds, that is used: others may send to it too


class Route(RouteFields):
    """The way to one subscriber.

    Args:
        info: the subscriber as users see it.
        address: where its socket is.
        socket: connected to that address; the node's other publishers use it too.
        match: the challenge to the subscriber.
        framing: the publisher's numbers.
        reliable: what the publisher keeps; None if it keeps nothing.
        memory: what it shares with subscribers of this host.

    Attributes:
        sender: large messages and credit.
        passage: how large datagrams may be.
        heard_at: the number of the last message published before the publisher heard of the subscriber.
        acknowledged: every message up to this number is there, or given up.
        sharing: how it takes shared memory.
        books: what it was sent.
        local: whether the subscriber is on this host.
    """

    def __init__(
        self,
        info: EndpointInfo,
        address: Address,
        socket: ConnectedSocket,
        match: Match,
        framing: Framing,
        reliable: Reliable | None,
        memory: Memory,
    ) -> None:
        self.info = info
        self.address, self.local = address, address[0] == LOOPBACK
        self.socket = socket
        self.match = match
        self.passage = Passage(socket.datagram, trusted=not socket.lossy, overhead=socket.overhead)
        self.sender = Sender(0, lossy=socket.lossy)
        self.heard_at = framing.seq
        self.acknowledged = 0
        self.books = Books(framing)
        self.sharing = Sharing(memory, framing, self.send, local=self.local)
        self._framing = framing
        self._reliable = reliable
        self._memory = memory
        self._resent = 0  # the highest number of a message that was sent again
        self._follower: Follower | None = None

    # -- what the subscriber and the way to it are like --------------------------------------------------------------

    @property
    def max_body(self) -> int:
        """Bytes that the body of a message may have to fit one datagram."""
        return self.passage.single - OVERHEAD

    def _as_it_is(self, message: Kept) -> bool:
        """Tell whether a message is sent again as one frame; else it goes in fragments, which show if they pass."""
        again = message.seq <= self._resent and self.sender.backlog < MAX_BACKLOG
        self._resent = max(self._resent, message.seq)
        return 0 < len(message.frame) <= (self.passage.size if self.local else self.passage.whole(again=again))

    @property
    def matched(self) -> bool:
        """Whether the subscriber was ever sent topic data."""
        return self.match.first > 0

    @property
    def behind(self) -> bool:
        """Whether the subscriber has not acknowledged the last message published."""
        return self.acknowledged < self._framing.seq

    @property
    def busy(self) -> bool:
        """Whether one more large message would wait, for fragments of others or in shared memory."""
        return self.sender.busy or self.sharing.busy or (self.sender.backlog > 0 and self.sharing.ready)

    def full(self, now: float, *, large: bool) -> bool:
        """Tell whether one more message, small or large, would be too much for a subscriber that answers."""
        busy = self.sender.full or (large and (self.sender.backlog >= MAX_BACKLOG or self.sharing.busy))
        return busy and not self.sender.stalled(now)

    def stats(self) -> RouteStats:
        """Return the counts."""
        given_up = self._follower.given_up if self._follower else self.sender.given_up
        retransmitted = self.sender.retransmitted + self.sharing.retransmitted
        total, info = self.books.sum(retransmitted, given_up, self.sharing.count), self.info
        return replace(total, topic=info.topic, node=info.node.name, host=info.node.host)

    # -- from the first message to the last --------------------------------------------------------------------------

    def begin(self, first: int, now: float) -> None:
        """Send data from a number on: the ANSWER has come, perhaps not for the first time.

        What a reliable topic keeps is sent first; where it keeps less, or the subscriber has some of it already, the
        first number is another.
        """
        follower = None
        self.sharing.begin(now)
        self.passage.fit(_share(self.match.window) - DATAGRAM_COST)
        if self._reliable is not None:
            number = self.match.subscriber
            first = self._reliable.join(number, first, self._new_sender().window, now)
            follower = self._reliable.followers[number]
        again = self.matched
        self.close_books()
        self.match.first = first
        self.acknowledged = first - 1
        self.books.begin(self._framing.seq + 1 if again else first, self._reliable)
        self._follower = follower
        self.sender = self._new_sender()
        self.send(self.match.start_frame())
        if self._reliable is not None:
            self._resend(self._reliable.begin(self.match.subscriber, now), now)
        self.pump(now)

    def _new_sender(self) -> Sender:
        return Sender(_share(self.match.window), lossy=self.sender.lossy, passage=self.passage)

    def close_books(self) -> None:
        """Keep the counts up to the last message published: for now the subscriber is sent no more."""
        self.books.close(self.stats())
        self.sharing.count = self.sharing.retransmitted = 0
        self._follower = None
        self.sender = Sender(0, lossy=self.sender.lossy)

    def take_over(self, other: Route) -> None:
        """Go on with the books of a route to the same subscriber at another address."""
        other.close_books()
        self.heard_at = other.heard_at
        self.match.first = other.match.first
        self.books = other.books

    # -- sending -----------------------------------------------------------------------------------------------------

    def send(self, frame: bytes) -> bool:
        """Send a frame; False if the system would not take it."""
        for _ in range(2):  # the first call may only report that an earlier datagram was refused
            try:
                self.socket.send(frame)
                return True
            except ConnectionError:  # refused; reset, as Windows says
                continue
            except OSError as error:
                raise_alarm(error)
                break
        return False

    def send_again(self, frame: bytes, messages: int = 1) -> int:
        """Send messages the system refused once more; return the number of subscribers that do not get them: 0 or 1."""
        if self.send(frame):
            return 0
        self.books.refused += messages
        return 1

    def charge(self, size: int, now: float) -> None:
        """Count bytes that were just sent against what the subscriber can take."""
        self.sender.charge(size)
        self.pump(now)

    def owe(self, message: Kept, now: float) -> None:
        """Owe a large message, and send of it what credit allows; with too many owed older ones give way."""
        self._owe(message, now)
        self.pump(now)

    def _owe(self, message: Kept, now: float, *, sent: bool = False) -> None:
        """Owe a large message; of one that was sent before only what the subscriber asks for."""
        if self._reliable is None:
            self.sender.make_room(message.size, now)
        elif self.sender.backlog >= MAX_BACKLOG:
            return
        framing = self._framing
        parts, size = message.parts, message.size
        if message.frame:
            parts, size = [memoryview(message.frame)[HEADER_SIZE:-CHECK_SIZE]], size - OVERHEAD
        codec = framing.codec | UNCHECKED if self.socket.overhead else framing.codec  # sealed, all of it is checked
        place = Place(framing.number, message.seq, message.sent_ns, codec, size, self.passage.size - FRAGMENT_OVERHEAD)
        self.sender.add(Outgoing(place, parts, sent_before=sent), now)

    def _resend(self, messages: list[Kept], now: float) -> None:
        """Send what the subscriber lacks of what is kept."""
        for message in messages:
            if self.sharing.send(message, self.sender, now):
                continue
            if self._as_it_is(message):
                self.books.retransmitted += self.send(message.frame)
                self.sender.charge(message.size, again=True)
            elif not self.sender.owes(message.seq):
                self._owe(message, now)
            self.sender.lossy = True  # even loopback is, when several publishers fill one socket

    def send_waiting(self, now: float) -> None:
        """Send what has waited for shared memory, there or in fragments."""
        self._resend(self.sharing.release(), now)
        self.pump(now)

    def pump(self, now: float) -> None:
        """Send what credit allows of what is owed, and ask how it went if it is time to."""
        while taken := self.sender.take():
            message, indexes = taken
            with Refusals():  # what the system refuses is asked for again, like what got lost
                _send_fragments(self.socket, message, indexes)
        if self.sender.poll(now) is not None:
            self.poll()

    def poll(self) -> None:
        """Ask what has arrived of the messages that were sent, and say which of them can still be had."""
        last, position = self._framing.seq, self.sender.position
        kept_from = self._memory.lowest(last + 1) if self._reliable is None else self._reliable.lowest_kept()
        body = POLL_BODY.pack(position, self.sender.lowest(self.sharing.lowest(kept_from)))
        self.send(pack_frame(Kind.POLL, self._framing.number, self.sender.reached(last), position, body))

    # -- answers -----------------------------------------------------------------------------------------------------

    def reported(self, frame: Frame, now: float) -> None:
        """Take a REPORT.

        Raises:
            Malformed: if its body is none.
        """
        report = unpack_report(frame.body)
        self.acknowledged = max(self.acknowledged, report.next - 1)
        size, window = self.passage.size, _share(report.window)
        self.sender.reported(frame.sent_ns, report.next, window, now, report.missing)
        self.sharing.acknowledged(self.sender.acknowledged)
        _warn_if_smaller(self, size)
        if self._reliable is not None:
            lacking = self._reliable.reported(self.match.subscriber, report, now)
            if lacking and self.sender.backlog >= MAX_BACKLOG and not self.sender.owes(lacking[0].seq):
                self.sender.forget_sent()  # later ones, which wait there for this one, must not wait for it here too
            self._resend(lacking, now)
        else:
            self._resend(self._memory.asked(report.missing), now)
        self.pump(now)

    def missing(self, frame: Frame, now: float) -> None:
        """Take a MISSING: fragments of a large message are asked for.

        Raises:
            Malformed: if its body is none.
        """
        first, bitmap = unpack_missing(frame.body)
        if self._reliable is not None and not self.sender.owes(frame.seq):
            message = self._reliable.kept(self.match.subscriber, frame.seq)
            if message is not None:
                self._owe(message, now, sent=True)
        size = self.passage.size
        if self.sender.missing(frame.seq, first, bitmap):  # else the poll was answered in the midst of a message
            self.sender.lossy = True
        _warn_if_smaller(self, size)
        self.pump(now)

    # -- time --------------------------------------------------------------------------------------------------------

    def next_timer(self) -> float:
        """Return when handle_timer wants to be called; ``inf`` for never."""
        return min(self.match.next_timer(), self.sender.next_timer(), self.sharing.due)

    def handle_timer(self, now: float) -> bool:
        """Send the challenge or poll that is due; True if data is sent no more: nobody answers."""
        was_open = self.match.open
        datagram = self.match.handle_timer(now)
        if datagram is not None:
            with contextlib.suppress(OSError):  # one that the system refuses is sent again in time
                self.socket.send(datagram)
        stopped = was_open and not self.match.open
        if stopped:
            self.close_books()
        if now >= self.sharing.due:
            self.send_waiting(now)
        if now >= self.sender.next_timer() and self._reliable is None:
            self.sender.settle(self.sharing.taken, now)  # the ledger says what a report would
        if self.sender.handle_timer(now) is not None:
            self.poll()
        return stopped


def _warn_if_smaller(route: Route, size: int) -> None:
    now = route.passage.size
    if now < size:
        extra = route.socket.overhead
        log.warning(_SMALLER, size + extra, route.info.node.name, route.info.topic, route.address[0], now + extra)


def _share(window: int) -> int:
    return int(window * WINDOW_SHARE)


def _send_fragments(socket: ConnectedSocket, message: Outgoing, indexes: Sequence[int]) -> None:
    if socket.runs and isinstance(indexes, range):
        indexes = _send_runs(socket, message, indexes)
    step = max(AT_ONCE, MAX_PAYLOAD // (message.datagram + socket.overhead))  # the first go at once
    for at in range(0, len(indexes), step):
        some = indexes[at : at + step]
        laid = message.laid(some) if socket.lays else None
        if laid is None or not socket.send_laid(*laid, message.place.size):
            socket.send_many(message.fragments(some), message.datagram)


def _send_runs(socket: ConnectedSocket, message: Outgoing, indexes: range) -> range:
    """Send fragments in C, while many of them lie in one part of the message; return those that are left."""
    at, stop, size = indexes.start, indexes.stop, message.place.size
    while at < stop:
        across = 0 if message.stretch(at, at + 1) else 1
        data = message.stretch(at + across, stop) if at + across < stop else message.stretch(at, at)
        count = -(-len(data) // size)
        if count < WORTH and at + across + count < stop:
            break
        if across:
            socket.send_many(message.fragments(range(at, at + 1)), message.datagram)
        at += across
        if count and not socket.send_run(message.heads.common, at, data):
            break
        at += count
    return range(at, stop)
