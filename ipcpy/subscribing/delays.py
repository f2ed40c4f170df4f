"""How long a subscriber's messages were on their way. Joins messages with the clocks of the nodes that sent them."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..clock import Delay
from ..message import Message
from ..node.clocks import Clocks
from ..protocol.link.lateness import Lateness, Times
from ..records import NamedTuple

MAX_PUBLISHERS = 256  # of which is remembered what was said of their last message


class _Publisher(NamedTuple):
    """A publisher: its node, and what was said of its messages."""

    node: int
    lateness: Lateness


class Delays:
    """The delays of the messages of one subscriber.

    Args:
        node_of: finds the id of a publisher's node, by the publisher's; None where it was never heard of.
    """

    def __init__(self, node_of: Callable[[str], int | None]) -> None:
        self._node_of = node_of
        self._publishers: dict[str, _Publisher] = {}

    def of(self, message: Message, clocks: Clocks) -> Delay:
        """Return how long a message was on its way.

        Args:
            message: one that was received.
            clocks: those of its node.
        """
        late_ns = message.received_ns - message.sent_ns
        unknown = Delay(late_ns / 1e9, math.inf)
        publisher = self._publishers.get(message.publisher) or self._find(message.publisher)
        if publisher is None:
            return unknown
        if clocks.is_here(publisher.node):
            return Delay(late_ns / 1e9, 0.0) if late_ns >= 0 else unknown  # the clock was set meanwhile
        known = clocks.known(publisher.node)
        if known is None:
            return unknown
        times = Times(message.seq, message.sent_ns, message.received_ns)
        now = clocks.now()
        passed = publisher.lateness.of(times, known, clocks.own_at(now), now)
        if publisher.lateness.doubtful:
            clocks.hurry(publisher.node)
        if passed is None:
            return unknown
        return Delay((passed.low + passed.high) / 2e9, (passed.high - passed.low) / 2e9)

    def _find(self, id: str) -> _Publisher | None:
        node = self._node_of(id)
        if node is None:
            return None
        if len(self._publishers) >= MAX_PUBLISHERS:
            self._publishers.clear()
        return self._publishers.setdefault(id, _Publisher(node, Lateness()))
