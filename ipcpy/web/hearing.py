"""Subscribers of what somebody looks at, shared by all who do. Knows topics, their newest message and the series of
their fields; nothing of pages.

Nothing is subscribed to that nobody looks at. What nobody looks at any more is heard for some seconds on, so that a
page that is loaded again finds its plots as they were.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping

import ipcpy as ipc

from ..overview.values import Path, number_at, numeric_fields, path_of
from .picture import split_id
from .pictures import find_image
from .plots import KEPT, Series

__all__ = ["Ear", "Hearing"]

MAX_TOPICS = 512  # that are heard at a time
MAX_SERIES = 512  # fields of them
MANY = 64  # series from which on each keeps fewer samples
DEPTH = 10_000  # unread messages of a topic
AT_ONCE = 3000  # messages that are taken before others have their turn
LINGER = 10.0  # seconds
LOOK = 0.5  # seconds between two looks at what fields a message has
COUNT = 2.0  # seconds between two looks at what did not arrive
CLOCK = 1.0  # seconds between two looks at a publisher's clock
RECENT = 10.0  # seconds; a message that was sent before that is drawn where it was received


class Ear:
    """What is heard of one topic.

    Attributes:
        id: the topic's, see picture.py.
        newest: the newest message; None before one came.
        count: how many messages came.
        series: by path of the field.
        missed: messages that did not arrive here, by cause, while fields are plotted.
        until: when it may be given up; None while somebody looks.
    """

    def __init__(self, id: str, node: ipc.Node, sub: ipc.Subscriber) -> None:
        self.id = id
        self.sub = sub
        self.newest: ipc.Message | None = None
        self.count = 0
        self.series: dict[str, Series] = {}
        self.missed: Mapping[str, int] = {}
        self.until: float | None = None
        self._node = node
        self._paths: list[tuple[Path, Series]] = []
        self._offsets: dict[str, tuple[float, float | None]] = {}  # by publisher: when it was asked, and the offset
        self._looked = 0.0
        self._counted = 0.0

    def plot(self, field: str, kept: int) -> None:
        """Keep so many of a field's numbers from now on.

        Raises:
            ArgumentError: it is no path of a field.
        """
        path = path_of(field)
        self.series[field] = Series(kept)
        self._paths.append((path, self.series[field]))

    def poll(self, most: int, now: float) -> int:
        """Take what has come, and return how many messages that were; at most so many."""
        taken = 0
        try:
            if not self._paths:
                message = self.sub.latest()
                if message is not None:
                    taken = 1
                    self.newest = message
            else:
                while taken < most:
                    self._take(self.sub.recv(0), now)
                    taken += 1
        except (TimeoutError, ipc.ClosedError):
            pass
        self.count += taken
        return taken

    def _take(self, message: ipc.Message, now: float) -> None:
        self.newest = message
        at = self._time(message, now)
        for path, series in self._paths:
            value = number_at(message.data, path)
            if value is not None:
                series.add(at, value)

    def _time(self, message: ipc.Message, now: float) -> float:
        """Return when it was sent, by this host's clock; where that is not known, when it was received."""
        asked, offset = self._offsets.get(message.publisher, (-CLOCK, None))
        if now - asked >= CLOCK:
            offset = self._offset(message.publisher)
            if len(self._offsets) > 100:
                self._offsets.clear()
            self._offsets[message.publisher] = now, offset
        received = message.received_ns / 1e9
        if offset is None:
            return received
        sent = message.sent_ns / 1e9 - offset
        return sent if received - RECENT < sent <= received else received

    def _offset(self, publisher: str) -> float | None:
        try:
            clock = self._node.clock(publisher)
        except (ipc.ArgumentError, ipc.ClosedError):
            return None
        return clock.offset if clock.bound < RECENT else None

    def count_missed(self, now: float) -> None:
        """Look now and then at what did not arrive: it is in no plot, which is to be said."""
        if self._paths and now - self._counted >= COUNT:
            self._counted = now
            self.missed = dict(self.sub.stats.lost)

    def look(self, now: float) -> tuple[list[str], bool] | None:
        """Return what fields the newest message has, and whether there is an image in it; None if it was just asked."""
        if self.newest is None or now - self._looked < LOOK:
            return None
        self._looked = now
        return numeric_fields(self.newest.data), find_image(self.newest.data) is not None


class Hearing:
    """All that is heard.

    Args:
        nodes: returns the node of a domain; None where there is none.
        clock: steady seconds.

    Attributes:
        ears: by topic.
    """

    def __init__(self, nodes: Callable[[str], ipc.Node | None], clock: Callable[[], float] = time.monotonic) -> None:
        self._nodes = nodes
        self._clock = clock
        self.ears: dict[str, Ear] = {}
        self._wants: dict[object, Mapping[str, Iterable[str]]] = {}
        self._turn = 0

    def want(self, holder: object, topics: Mapping[str, Iterable[str]]) -> list[str]:
        """Hear what somebody looks at, instead of what they did before.

        Args:
            holder: who looks.
            topics: by their id, which fields are plotted.

        Returns:
            A sentence for each that cannot be heard.
        """
        self._wants[holder] = {id: tuple(fields) for id, fields in topics.items()}
        refused = []
        for id, fields in self._wants[holder].items():
            try:
                ear = self._hear(id)
                for field in fields:
                    if field not in ear.series:
                        ear.plot(field, self._room())
            except (ipc.IpcError, OSError) as error:
                refused.append(str(error))
        self._give_up()
        return refused

    def leave(self, holder: object) -> None:
        """Hear no more for somebody."""
        self._wants.pop(holder, None)
        self._give_up()

    def _hear(self, id: str) -> Ear:
        if id in self.ears:
            return self.ears[id]
        domain, topic = split_id(id)
        node = self._nodes(domain)
        if node is None:
            raise ipc.ArgumentError(f"no domain {domain!r:.80} is shown here")
        if "*" in topic:
            raise ipc.ArgumentError(f"one topic is looked at, by its whole name; {topic!r:.80} is a pattern")
        if len(self.ears) >= MAX_TOPICS:
            raise ipc.ArgumentError(f"{MAX_TOPICS} topics are looked at already")
        ear = self.ears[id] = Ear(id, node, ipc.Subscriber(f"/{topic}", depth=DEPTH, node=node))
        return ear

    def _room(self) -> int:
        """Return how many samples one more series may keep."""
        number = sum(len(ear.series) for ear in self.ears.values())
        if number >= MAX_SERIES:
            raise ipc.ArgumentError(f"{MAX_SERIES} fields are plotted already")
        return KEPT if number < MANY else KEPT // 8

    def _give_up(self) -> None:
        wanted = {id for topics in self._wants.values() for id in topics}
        now = self._clock()
        for id, ear in list(self.ears.items()):
            if id in wanted:
                ear.until = None
            elif ear.until is None:
                ear.until = now + LINGER
            elif now >= ear.until:
                ear.sub.close()
                del self.ears[id]

    def poll(self) -> int:
        """Take what has come, and return how many messages that were: each topic has its turn."""
        now = self._clock()
        ears = list(self.ears.values())
        if any(ear.until is not None for ear in ears):
            self._give_up()
        self._turn += 1
        taken = 0
        for number in range(len(ears)):
            ear = ears[(number + self._turn) % len(ears)]
            taken += ear.poll(max(1, (AT_ONCE - taken) // 2), now)
            ear.count_missed(now)
        return taken

    def close(self) -> None:
        """Hear nothing any more."""
        for ear in self.ears.values():
            with contextlib.suppress(ipc.IpcError):
                ear.sub.close()
        self.ears.clear()
        self._wants.clear()
