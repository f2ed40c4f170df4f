"""Who left, when and how: what is told of publishers and subscribers that are not there any more. Knows values and
times; nothing of how a departure is noticed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..graph import EndpointInfo, NodeInfo
from ..records import NamedTuple

MAX_KEPT = 256  # departures; the oldest are forgotten
MAX_TOLD = 5  # in one answer, the latest


class Departure(NamedTuple):
    """A publisher or subscriber that left.

    Attributes:
        reason: as of ``NodeLost``.
        with_node: whether its whole node went.
        at: when, by ``time.monotonic``.
    """

    endpoint: EndpointInfo
    reason: str
    with_node: bool
    at: float


class Departures:
    """The latest departures: of each topic at each node of a name the last one, until it is back.

    Whoever changes it holds the lock of the graph; any thread may ask.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[tuple[str, str, str, str], Departure] = {}

    def add(self, endpoint: EndpointInfo, reason: str, *, with_node: bool) -> None:
        """Take note that somebody left."""
        key = _key(endpoint)
        self._kept.pop(key, None)
        self._kept[key] = Departure(endpoint, reason, with_node, self._clock())
        if len(self._kept) > MAX_KEPT:
            del self._kept[next(iter(self._kept))]

    def returned(self, endpoint: EndpointInfo) -> None:
        """Take note that somebody came, who may have left before."""
        self._kept.pop(_key(endpoint), None)

    def sentences(self, kind: str, wanted: Callable[[str], bool]) -> list[str]:
        """Say of the latest who left, the very latest first, how they did: each a sentence without its full stop.

        Args:
            kind: ``publisher`` or ``subscriber``.
            wanted: tells whether a topic or pattern is one that is asked for.
        """
        left = [each for each in reversed(list(self._kept.values())) if each.endpoint.kind == kind]
        now = self._clock()
        return [_sentence(each, now) for each in left if wanted(each.endpoint.topic)][:MAX_TOLD]


def _key(endpoint: EndpointInfo) -> tuple[str, str, str, str]:
    return endpoint.kind, endpoint.topic, endpoint.node.name, endpoint.node.host


def _sentence(departure: Departure, now: float) -> str:
    endpoint, reason = departure.endpoint, departure.reason
    who, ago = f"{endpoint.kind} {whereabouts(endpoint.node)}", f"{span(now - departure.at)} ago"
    if reason == "process died":
        return f"the process of {who} died {ago}"
    if reason == "host unreachable":
        return f"the host of {who} became unreachable, and it was given up {ago}"
    if reason == "timed out":
        return f"{who} was lost {ago}: nothing came from it any more"
    if reason == "closed":
        return f"{who} left {ago}: {'its node said goodbye' if departure.with_node else 'it was closed'}"
    return f"{who} left {ago}: {reason}"


def whereabouts(node: NodeInfo) -> str:
    """Say which node it is: ``'cam' on h1``.

    >>> whereabouts(NodeInfo("0" * 16, "cam", "h1", 7, "default", "10.0.0.7:17770", "1", "alive", 0.0))
    "'cam' on h1"
    """
    return f"{node.name!r} on {node.host}" if node.address else f"{node.name!r} in this process"


def span(seconds: float) -> str:
    """Write a time as people say it.

    >>> span(0.04), span(3.4), span(200), span(10_000), span(200_000)
    ('0.0 s', '3 s', '3 min', '3 h', '2 days')
    """
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 2 else f"{seconds:.0f} s"
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size or size == 60:
            return f"{seconds / size:.0f} {unit}"
    raise AssertionError
