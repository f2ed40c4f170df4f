"""What a publisher tells who asks for the node's books: how far each of its matches is, and what was sent.

Knows routes and rows; counts nothing itself. Any thread may ask.
"""

from __future__ import annotations

from collections.abc import Collection

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

_new = tuple.__new__


def account(framing: Framing, outlet: Outlet, rows: list[Row]) -> None:
    """Add the rows of a publisher and of each of its subscribers."""
    number = framing.number
    with outlet.monitor.lock:
        rows.append(_new(Published, (PUBLISHED, number, framing.seq, framing.bytes)))
        reached = _by_multicast(outlet)
        for subscriber, route in outlet.by_number.items():
            sender, state = route.sender, route.match.state
            step = 0 if state is State.MATCHED else _STEPS[state]
            way = _way(route, subscriber in reached) if step == 0 or route.match.open else Way.NONE
            again = sender.retransmitted + route.sharing.retransmitted
            queued = sender.backlog if sender.busy else 0
            rows.append(_new(Sent, (SENT, number, subscriber, step, way, *route.books.counts(again), queued)))


def _by_multicast(outlet: Outlet) -> Collection[int]:
    """Return the subscribers that are reached by multicast; these ways come last."""
    ways = outlet.ways
    if not ways or not isinstance(ways[-1][1], Fanout):
        return ()
    return {number for _, target in ways if isinstance(target, Fanout) for number in target.members}


def _way(route: Route, by_multicast: bool) -> int:
    if route.sharing.ready:
        return Way.SHARED
    if by_multicast:
        return Way.MULTICAST
    return Way.LOOPBACK if route.local else Way.UNICAST
