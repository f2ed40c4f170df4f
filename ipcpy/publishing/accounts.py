"""What a publisher tells who asks for the node's books: how far each of its matches is, and what was sent.

Knows routes and rows; counts nothing itself. Any thread may ask.
"""

from __future__ import annotations

from collections.abc import Collection

from ..addresses import LOOPBACK
from ..node.books import Moment
from ..protocol.data.matching import State
from ..protocol.link.rows import PUBLISHED, SENT, Published, Row, Sent, Step, Way
from .framing import Framing
from .multicast import Fanout
from .outlet import Outlet

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


class Account:
    """What is told of one publisher. It looks at few objects: by the time that somebody asks they are in no cache.

    Args:
        own: whether its topic is one of ipcpy's own.
    """

    __slots__ = ("_framing", "_outlet", "_own")

    def __init__(self, framing: Framing, outlet: Outlet, *, own: bool) -> None:
        self._framing = framing
        self._outlet = outlet
        self._own = own

    def add(self, rows: list[Row], moment: Moment) -> None:
        """Add the rows of the publisher and of each of its subscribers."""
        if self._own and not moment.hidden:
            return
        framing, outlet = self._framing, self._outlet
        number = framing.number
        with outlet.monitor.lock:
            rows.append(_new(Published, (PUBLISHED, number, framing.seq, framing.bytes)))
            reached = _by_multicast(outlet)
            for subscriber, route in outlet.by_number.items():
                sender, sharing, state = route.sender, route.sharing, route.match.state
                step = 0 if state is _MATCHED else _STEPS[state]
                way = 0
                if step == 0 or route.match.open:
                    if sharing.tie is not None and sharing.ready:
                        way = _SHARED
                    elif subscriber in reached:
                        way = _MULTICAST
                    else:
                        way = _LOOPBACK if route.address[0] == LOOPBACK else _UNICAST
                again = sender.retransmitted + sharing.retransmitted
                queued = 0 if sender.idle or not sender.busy else sender.backlog
                rows.append(_new(Sent, (SENT, number, subscriber, step, way, *route.books.counts(again), queued)))


def _by_multicast(outlet: Outlet) -> Collection[int]:
    """Return the subscribers that are reached by multicast; these ways come last."""
    ways = outlet.ways
    if not ways or not isinstance(ways[-1][1], Fanout):
        return ()
    return {number for _, target in ways if isinstance(target, Fanout) for number in target.members}
