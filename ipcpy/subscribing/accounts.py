"""What a subscriber tells who asks for the node's books: how far each match is, what came, what did not, how late.

Knows flows, the inbox and rows; counts nothing itself.
"""

from __future__ import annotations

from collections import Counter
from operator import attrgetter
from threading import RLock

from ..clock import Clock
from ..fast import AccountFields, compiled, slots
from ..node.books import Moment
from ..protocol.link.rows import DROPPED, RECEIVED, Dropped, Latency, Received, Row, Step
from ..timeouts import NEVER
from .flow import Flow, losses
from .inbound import Inbound
from .inbox import Inbox
from .latencies import AGAIN, NOT_YET, ask

_publisher_of = attrgetter("publisher")
_NOTHING: dict[str, int] = {}
HERE = Clock(0.0, 0.0, 0.0)  # that of a publisher whose messages come by way of this host alone
_new = tuple.__new__


class Account(AccountFields):
    """What is told of one subscriber, as a function; in C where that is (fast/counting.c), for many at once.

    By the time that somebody asks, the memory of most flows is in no cache of the processor any more, and to fetch it
    takes longer than all that is done with it. So what is looked at is here in one place, instead of behind one object
    after the other.

    Args:
        lock: the subscriber's.
        own: whether its topic is one of ipcpy's own.
    """

    __slots__ = slots("_discarded _dropped _flows _late _lock _messages _nobodys _number _own", AccountFields)

    def __init__(self, inbound: Inbound, inbox: Inbox, lock: RLock, *, own: bool) -> None:
        intake = inbound.intake
        self._lock = lock
        self._own = own
        self._number = intake.number
        self._flows = inbound.flows
        self._messages = inbox.messages
        self._dropped, self._discarded, self._late = inbox.dropped, inbox.discarded, intake.late
        self._nobodys = intake.dropped

    def __call__(self, rows: list[Row], moment: Moment) -> None:
        """Add the rows of the subscriber: one for each publisher, and one for what was no message of any."""
        if self._own and not moment.hidden:
            return
        now_ns, number = moment.now_ns, self._number
        with self._lock:
            messages, dropped, discarded, late = self._messages, self._dropped, self._discarded, self._late
            queued = self._queued() if len(self._flows) > 1 and messages else None
            unheeded = dropped or discarded
            for flow in self._flows.values():
                receiver = flow.receiver
                received, lost = receiver.next - receiver.first, _NOTHING
                if receiver.lost or unheeded or flow.undecodable:
                    lost = losses(flow, dropped.get(flow.id, 0), discarded.get(flow.id, 0))
                    received -= sum(lost.values())
                latency = flow.told
                if latency is None or not 0 <= now_ns - flow.asked_ns < AGAIN:
                    latency = flow.told = _latency(flow, moment)
                row = (
                    RECEIVED,
                    flow.number,
                    number,
                    0 if flow.matched else _step(flow),
                    received,
                    flow.bytes,
                    len(messages) if queued is None else queued.get(flow.id, 0),
                    late.get(flow.id, 0) if late else 0,
                    lost,
                    latency,
                )
                rows.append(_new(Received, row))
            if self._nobodys:
                rows.append(Dropped(DROPPED, number, dict(self._nobodys)))

    def _queued(self) -> dict[str, int]:
        """Return how many messages of each publisher wait to be taken."""
        return Counter(map(_publisher_of, self._messages.copy()))


def _step(flow: Flow) -> int:
    if flow.left_at != NEVER:
        return Step.LEFT
    if flow.mismatch:
        return Step.MISFIT
    return Step.SILENT if flow.address is None else Step.ANSWERED


def _latency(flow: Flow, moment: Moment) -> Latency | None:
    """Correct what messages took by how far the publisher's clock is ahead; None where nobody can, or none came."""
    took = ask(flow, moment.now_ns)
    if not took:
        return None
    clock = HERE if flow.local else moment.clock(flow.info.node.id)
    bound, offset, last = clock.bound, clock.offset, len(took) - 1
    if bound == NEVER:
        return None
    least, p50, p99 = took[0] / 1e9 + offset, took[last // 2] / 1e9 + offset, took[last - last // 100] / 1e9 + offset
    if least < 0.0:
        least, p50, p99 = 0.0, max(0.0, p50), max(0.0, p99)
    return _new(Latency, (least, p50, p99, bound))


if compiled is not None:
    compiled.counts(Received, Latency, Dropped, losses, _step, _latency, _NOTHING, NOT_YET)
