"""Whether nodes of this process are done with what was published: nothing is on its way, unread, or being worked on.

Looks into the books of publishers and subscribers, and at who waits. Publishes nothing and reads nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from ..node.core import Core
from ..protocol.topics import matches
from ..publishing.delivery import Delivery
from ..subscribing.subscription import Subscription

__all__ = ["Quiet"]

PAUSE = 0.00005  # s between two looks


class Quiet:
    """Looks at some nodes.

    Args:
        cores: returns the interiors of the nodes.
        apart: the interior of the one that is not under test; somebody waits at its subscribers.
        served: whether somebody has to wait at every subscriber; else what has come for it is read for it.
    """

    def __init__(self, cores: Callable[[], list[Core]], apart: Core, *, served: bool) -> None:
        self._cores = cores
        self._apart = apart
        self._served = served
        self._busy = ""

    def wait(self, timeout: float) -> str:
        """Wait until all is quiet, and return an empty text; where it does not come to that, the busy topic."""
        until = time.monotonic() + timeout
        before = -1
        while True:
            handed = self._look()
            if handed >= 0 and handed == before:  # between two looks nothing was published: what came is worked off
                return ""
            before = handed
            if time.monotonic() > until:
                return self._busy
            time.sleep(0 if handed >= 0 else PAUSE)

    def meet(self, timeout: float) -> str:
        """Wait until the node apart and those under test have met, and return an empty text; else who has not."""
        until = time.monotonic() + timeout
        while (missing := self._unmet()) and time.monotonic() < until:
            time.sleep(PAUSE)
        return missing

    def _unmet(self) -> str:
        """Return the topic of a subscriber that a publisher has not met; those of one node do not matter."""
        cores = self._cores()
        for core in cores:
            others = [other for other in cores if (other is self._apart) != (core is self._apart)]
            publishers = [each for other in others for each in _publishers(other)]
            for each in _subscribers(core):
                topic = each.stats().topic
                met = {int(info.id, 16) for info in each.publishers()}
                if any(matches(topic, _topic(there)) and there.number not in met for there in publishers):
                    return topic
        return ""

    def _look(self) -> int:
        """Return how often messages were handed to subscribers, if all is quiet; else -1."""
        cores = self._cores()
        if not self._idle(cores):
            return -1
        books = {f"{each.number:016x}": each.stats() for core in cores for each in _subscribers(core)}
        handed = 0
        for publisher in (each for core in cores for each in _publishers(core)):
            with publisher.outlet.monitor.lock:
                stats = publisher.outlet.stats()
            handed += stats.handed
            for id, route in stats.subscribers.items():
                flow = books[id].publishers.get(f"{publisher.number:016x}") if id in books else None
                if flow is None and id in books or flow and flow.received + sum(flow.lost.values()) < route.handed:
                    self._busy = _topic(publisher)
                    return -1
        return handed

    def _idle(self, cores: list[Core]) -> bool:
        for core in cores:
            for each in _subscribers(core):
                if not self._served and core is not self._apart:
                    each.reader.drain_now()  # who reads now and then has the socket for up to 40 ms
                elif each.messages or not _awaited(each):
                    self._busy = each.stats().topic
                    return False
        return True


# What follows looks into interiors that show themselves to nobody else; tests of tests may.


def _publishers(core: Core) -> Iterator[Delivery]:
    return (each for each in list(core._publishers.values()) if isinstance(each, Delivery))  # noqa: SLF001


def _subscribers(core: Core) -> Iterator[Subscription]:
    return (each for each in list(core._subscribers.values()) if isinstance(each, Subscription))  # noqa: SLF001


def _topic(publisher: Delivery) -> str:
    return publisher._terms.entry.topic  # noqa: SLF001


def _awaited(subscription: Subscription) -> bool:
    """Tell whether a thread waits in a subscriber's socket, or a coroutine for its messages."""
    reader: Any = subscription.reader
    if reader._futures:  # noqa: SLF001
        return True
    lock = reader._turn.lock  # noqa: SLF001
    if lock.acquire(False):
        lock.release()
        return False
    return bool(reader._lease.taken)  # noqa: SLF001  # else the I/O thread reads
