"""What a subscriber tells who asks for the node's books: how far each match is, what came, what did not, how late.

Knows flows, the inbox and rows; counts nothing itself. The subscriber's lock is held by whoever calls.
"""

from __future__ import annotations

from collections import Counter
from operator import attrgetter

from ..clock import Clock
from ..node.books import Moment
from ..protocol.link.rows import DROPPED, RECEIVED, Dropped, Latency, Received, Row, Step
from ..timeouts import NEVER
from .flow import Flow, losses
from .inbound import Inbound
from .inbox import Inbox
from .latencies import Spread, ask

_publisher_of = attrgetter("publisher")
_NOTHING: dict[str, int] = {}
_new = tuple.__new__


def account(inbound: Inbound, inbox: Inbox, rows: list[Row], moment: Moment) -> None:
    """Add the rows of a subscriber: one for each publisher, and one for what was no message of any."""
    intake = inbound.intake
    number, unread = intake.number, _unread(inbound, inbox) if inbox.messages else {}
    for flow in inbound.flows.values():
        id, receiver = flow.id, flow.receiver
        dropped, discarded, lost = inbox.dropped.get(id, 0), inbox.discarded.get(id, 0), _NOTHING
        received = receiver.next - receiver.first
        if dropped or discarded or flow.undecodable or receiver.lost:
            lost = losses(flow, dropped, discarded)
            received -= sum(lost.values())
        spread = ask(flow, moment.now_ns)
        latency = None if spread is None else _latency(spread, moment.clock(flow.info.node.id))
        step = 0 if flow.matched else _step(flow)
        counts = received, flow.bytes, unread.get(id, 0), intake.late.get(id, 0)
        rows.append(_new(Received, (RECEIVED, flow.number, number, step, *counts, lost, latency)))
    if intake.dropped:
        rows.append(Dropped(DROPPED, number, dict(intake.dropped)))


def _unread(inbound: Inbound, inbox: Inbox) -> dict[str, int]:
    """Return how many messages of each publisher wait to be taken."""
    if len(inbound.flows) == 1:
        return {flow.id: len(inbox.messages) for flow in inbound.flows.values()}
    return Counter(map(_publisher_of, inbox.messages.copy()))


def _step(flow: Flow) -> int:
    if flow.left_at != NEVER:
        return Step.LEFT
    if flow.mismatch:
        return Step.MISFIT
    return Step.SILENT if flow.address is None else Step.ANSWERED


def _latency(spread: Spread, clock: Clock) -> Latency | None:
    """Correct what messages took by how far the publisher's clock is ahead; None where nobody can."""
    if clock.bound == NEVER:
        return None
    offset = clock.offset
    least, p50, p99 = spread[0] / 1e9 + offset, spread[1] / 1e9 + offset, spread[2] / 1e9 + offset
    if least < 0.0:
        least, p50, p99 = 0.0, max(0.0, p50), max(0.0, p99)
    return _new(Latency, (least, p50, p99, clock.bound))
