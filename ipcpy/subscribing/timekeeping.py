"""Who is told, and when, that the messages of a subscriber are late: its watches, and what ``why`` says.

Joins punctuality.py with the I/O thread's alarm and with queues of events. Knows no sockets: it has the reader read
before it says that nothing came.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from weakref import WeakSet

from ..graph import EndpointInfo, NodeInfo
from ..log import get_logger
from ..node.core import Core
from ..node.departures import span, whereabouts
from ..node.loop import Alarm
from ..node.watch import EventQueue
from ..protocol.topics import matches
from ..records import replace
from ..timeouts import NEVER
from ..typed import TYPE_CHECKING, Any
from .flow import Flow
from .intake import Intake
from .lease import weakly
from .punctuality import Line, Punctuality
from .reader import Reader

if TYPE_CHECKING:
    import threading

    from ..events import TopicEvent

log = get_logger(__name__)


class Timekeeper:
    """Tells of one subscriber's lateness.

    Args:
        deadline: seconds within which a message is expected; None goes by what the publishers promise.
        lock: the subscriber's.

    Attributes:
        times: when messages came.
    """

    def __init__(
        self, deadline: float | None, core: Core, reader: Reader, intake: Intake, lock: threading.RLock
    ) -> None:
        self._deadline = deadline
        self._reader = reader
        self._lock = lock
        self._core = core
        self._counts = intake.late
        self._closed = False
        self._queues: WeakSet[EventQueue[Any]] = WeakSet()
        self._slow: dict[str, str] = {}  # publishers that promise less than is expected, by id: a sentence
        self.times = Punctuality(deadline, time.monotonic, intake.late, weakly(self._tell))
        self._hurried = False
        self._alarm = Alarm(core.loop, weakly(self._look))

    # -- publishers, with the lock held ------------------------------------------------------------------------------

    def found(self, info: EndpointInfo) -> None:
        """Say once of a publisher that it promises fewer messages than are expected."""
        deadline = self._deadline
        if deadline is None or not info.rate or info.rate * deadline >= 1 or info.id in self._slow:
            return
        self._slow[info.id] = (
            f"Publisher {whereabouts(info.node)} promises {info.rate:g} messages a second on {info.topic!r}: "
            f"fewer than one in {deadline:g} s, which is the deadline here"
        )
        log.warning("%s", self._slow[info.id])

    def matched(self, flows: Mapping[int, Flow]) -> None:
        """Somebody was matched."""
        for flow in flows.values():
            if flow.matched:
                self.times.matched(flow)
        self._by_due()

    def left(self, number: int, topic: str) -> None:
        """A publisher went."""
        self.times.left(number, topic)
        self._slow.pop(f"{number:016x}", None)

    # -- telling -----------------------------------------------------------------------------------------------------

    def add(self, queue: EventQueue[Any]) -> None:
        """Tell a queue from now on, first of what is late now; for as long as somebody holds it."""
        with self._lock:
            for line in self.times.lines.values():
                if line.late:
                    queue.put(self._event(line, True, time.monotonic() - line.at, line.last))
            self._queues.add(queue)
            if self._closed:
                queue.end()
            self._by_due()

    def told(self) -> list[EventQueue[Any]]:
        """Return the queues that are told: those that somebody holds, and has not closed."""
        return [queue for queue in list(self._queues) if not queue.ended]

    def _tell(self, line: Line, late: bool, seconds: float, publisher: EndpointInfo) -> None:
        if told := self.told():
            event = self._event(line, late, seconds, publisher)
            for queue in told:
                queue.put(event)
        if not late:
            self._by_due()

    def _event(self, line: Line, late: bool, seconds: float, publisher: EndpointInfo) -> TopicEvent:
        from .. import events

        kind = events.TopicLate if late else events.TopicInTime
        return kind(line.topic, seconds, line.deadline, self._core.picture.endpoint(publisher))

    def sentences(self) -> list[str]:
        """Say which topics are late now, how often messages were, and who promises too little."""
        with self._lock:
            late, times, slow = self.times.late(), self._counts.total(), list(self._slow.values())
        found = [f"{each}." for each in slow]
        for line, seconds in late:
            expected = f"the deadline is {line.deadline:g} s"
            if self._deadline is None:
                expected = f"{max(line.rates.values(), default=0) or line.last.rate:g} a second are promised"
            passed = f"{seconds:.2f} s" if seconds < 1 else span(seconds)
            found.append(f"Late: nothing has come on {line.topic!r} for {passed}; {expected}.")
        if times:
            found.append(f"Late {'once' if times == 1 else f'{times:,} times'} so far.")
        return found

    # -- time, in the I/O thread -------------------------------------------------------------------------------------

    def _by_due(self) -> None:
        """Have the times looked at when the next line may be late, if anybody wants to know."""
        due = self.times.due()
        if due != NEVER and (self._deadline is not None or self._queues):
            self._hurry(True)
            self._alarm.by(due)

    def _hurry(self, wanted: bool) -> None:
        if wanted != self._hurried:
            self._hurried = wanted
            self._reader.hurry(wanted)

    def _look(self) -> None:
        if self._closed:
            return
        if self._deadline is None and not self.told():  # nobody wants to know any more
            self._hurry(False)
            return
        with self._lock:
            due = self.times.due()
        if time.monotonic() >= due:
            self.times.as_of = due  # what lies in the socket came before
            try:
                self._reader.drain_now()
            finally:
                self.times.as_of = NEVER
        with self._lock:
            self.times.look()
            self._by_due()

    # -- the end -----------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let those who are told know that nothing more will come."""
        with self._lock:
            self._closed = True
            for queue in list(self._queues):
                queue.end()

    def abandon(self, lock: threading.RLock) -> None:
        """The same in a forked child, where threads are gone that held locks; the subscriber has a new one."""
        self._closed, self._lock = True, lock
        for queue in list(self._queues):
            queue.abandon()


class OwnTopic:
    """Makes of the graph's events those of one topic or pattern, and hands on those that are of it already."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._publishers: dict[str, EndpointInfo] = {}

    def __call__(self, event: Any) -> Iterable[TopicEvent]:
        """Return what is to be told of an event."""
        from .. import events

        known = self._publishers
        if isinstance(event, events.PublisherFound):
            publisher = event.publisher
            if not matches(self._pattern, publisher.topic):
                return []
            known[publisher.id] = publisher
            stalled = publisher.node.state != "alive"
            return [event, events.PublisherStalled(publisher)] if stalled else [event]
        if isinstance(event, events.PublisherLost):
            return [event] if known.pop(event.publisher.id, None) is not None else []
        if isinstance(event, events.NodeStalled | events.NodeResumed):
            kind = events.PublisherStalled if isinstance(event, events.NodeStalled) else events.PublisherResumed
            return self._of_node(kind, event.node)
        return [event] if isinstance(event, events.TopicLate | events.TopicInTime) else []

    def _of_node(self, kind: Callable[[EndpointInfo], TopicEvent], node: NodeInfo) -> list[TopicEvent]:
        told = [replace(each, node=node) for each in self._publishers.values() if each.node.id == node.id]
        self._publishers |= {each.id: each for each in told}
        return [kind(each) for each in told]
