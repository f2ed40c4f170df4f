"""What a publisher tells who asks for the node's books: how far each of its matches is, and what was sent.

Knows routes and rows; counts nothing itself. Any thread may ask.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ..fast import PublishingAccountFields, compiled, slots
from ..node.books import Moment
from ..protocol.data.matching import State
from ..protocol.link.rows import PUBLISHED, SENT, Published, Row, Sent, Step, Way
from .framing import Framing
from .multicast import Fanout
from .outlet import Outlet
from .route import Route

_STEPS = {
    State.PROBING: int(Step.PROBING),
    State.STARTING: int(Step.STARTING),
    State.MATCHED: int(Step.MATCHED),
    State.VERIFYING: int(Step.VERIFYING),
    State.REFUSED: int(Step.DIFFER),
}

_MATCHED = State.MATCHED
_SHARED, _MULTICAST, _LOOPBACK, _UNICAST = map(int, (Way.SHARED, Way.MULTICAST, Way.LOOPBACK, Way.UNICAST))
_new = tuple.__new__


class Account(PublishingAccountFields):
    """What is told of one publisher, as a function; in C where that is (fast/sent.c), for many at once.

    It looks at few objects: by the time that somebody asks they are in no cache.

    Args:
        own: whether its topic is one of ipcpy's own.
    """

    __slots__ = slots("_by_number _framing _lock _outlet _own", PublishingAccountFields)

    def __init__(self, framing: Framing, outlet: Outlet, *, own: bool) -> None:
        self._lock = outlet.monitor.lock
        self._own = own
        self._framing = framing
        self._outlet = outlet
        self._by_number = outlet.by_number

    def __call__(self, rows: list[Row], moment: Moment) -> None:
        """Add the rows of the publisher and of each of its subscribers."""
        if self._own and not moment.hidden:
            return
        framing = self._framing
        number = framing.number
        with self._lock:
            rows.append(_new(Published, (PUBLISHED, number, framing.seq, framing.bytes)))
            groups = self._outlet.groups
            reached = _reached(groups) if groups else ()
            for route in list(self._by_number.values()):
                rows.append(_sent(number, route, reached))


def _reached(groups: Iterable[Fanout]) -> Collection[int]:
    """Return the subscribers that are reached by multicast."""
    return {number for fanout in groups for number in fanout.members}


def _sent(number: int, route: Route, reached: Collection[int]) -> Sent:
    """Return the row of one subscriber of a publisher."""
    match, sender, sharing = route.match, route.sender, route.sharing
    subscriber, state = match.subscriber, match.state
    step = 0 if state is _MATCHED else _STEPS[state]
    way = 0
    if step == 0 or match.open:
        if sharing.tie is not None and sharing.ready:
            way = _SHARED
        elif subscriber in reached:
            way = _MULTICAST
        else:
            way = _LOOPBACK if route.local else _UNICAST
    messages, size, again = route.books.counts(sender.retransmitted + sharing.retransmitted)
    queued = 0 if sender.idle or not sender.busy else sender.backlog
    return _new(Sent, (SENT, number, subscriber, step, way, messages, size, again, queued))


if compiled is not None:
    compiled.counts_sent(Published, Sent, _MATCHED, _reached, _sent)
