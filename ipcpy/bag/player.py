"""Player: plays a recording. Checks arguments and keeps the pace; publishers are sinks.py's, files the bag's."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType

from ..errors import ArgumentError, ClosedError, CodecError
from ..message import Message
from ..node.node import Node
from ..node.shared import node_for, shared_node
from ..timeouts import number as checked_number
from ..timeouts import seconds as checked_seconds
from .ahead import ahead
from .bag import Bag, recording_of
from .moments import Moment
from .pace import Pace
from .records import Entry
from .reels import Reel
from .sinks import Sinks, check_remap

__all__ = ["Player", "PlayerStats"]

log = logging.getLogger(__name__)

LATE = 0.001  # s that are counted as late
NAP = 0.5  # s that a paused player waits at a time
LONGEST = 1.0  # s that it waits at a time: who waits may be asked to pause meanwhile


@dataclass(frozen=True, slots=True)
class PlayerStats:
    """What a player did.

    Attributes:
        published: messages.
        handed: how often they were handed to subscribers.
        skipped: messages that could not be made again; the log says why.
        late: of those that had a time, how many came more than 1 ms after it.
        worst: how late the latest was, in seconds.
        rounds: how often it began.
    """

    published: int = 0
    handed: int = 0
    skipped: int = 0
    late: int = 0
    worst: float = 0.0
    rounds: int = 0


class Player:
    """Publishes a recording again, with its own codecs and schemas, byte for byte.

    Publishers are announced when it is made, as those were that were recorded: reliable ones are reliable, latched ones
    keep what they kept. With ``start`` a latched topic first gets what it kept at that moment.

    Args:
        bag: the recording.
        topics: a topic, a pattern, or several; None for all but ipcpy's own (``ipcpy/...``), such as requests to black
            boxes, and but parameters, which the program that has them tells.
        start: where it begins, as in ``Bag.messages``.
        end: where it is over.
        rate: how much faster it goes than it went; ``math.inf`` goes as fast as it can.
        loop: whether it begins again when it is over.
        remap: what topics are called instead: ``{"imu": "replay/imu"}``. Names of a recording are whole: they are not
            put under the namespace of the node.
        keep: how many messages late subscribers of each topic first get; None as many as when it was recorded.
        node: the node that it publishes on; by default the one the process shares.

    Raises:
        ArgumentError: (a ValueError) which argument is wrong, and what was expected.
        ClosedError: (an OSError) if the bag or the node is closed.

    Example::

        with ipc.Bag("drive.mcap") as bag, ipc.Player(bag, rate=2, topics="imu") as player:
            player.run()
    """

    def __init__(
        self,
        bag: Bag,
        *,
        topics: str | Iterable[str] | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        rate: float = 1.0,
        loop: bool = False,
        remap: Mapping[str, str] | None = None,
        keep: int | None = None,
        node: Node | None = None,
    ) -> None:
        if not isinstance(bag, Bag):
            raise ArgumentError(f"a player plays a Bag, got {bag!r:.80}: did you mean Player(Bag(path))?")
        self._bag = bag  # one that nobody holds is closed
        self._pace = Pace(rate)
        recording, names = recording_of(bag), check_remap(remap)
        for name in names:
            recording.numbers(name)  # one that is mistyped is told at once
        self._reel = Reel(recording, topics, bag.span_ns(start, end))
        self._loop = bool(loop)
        node_for(node)  # is it one?
        self._sinks = Sinks(node or shared_node(), names, _check_keep(keep))
        self._published = self._handed = self._skipped = self._late = self._rounds = 0
        self._worst = 0.0
        self._last: Entry | None = None
        self._changed = threading.Event()
        self._closed = False
        self._sinks.open(self._reel.tracks)

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that it publishes on, after ``remap``."""
        return tuple(sorted({publisher.topic for publisher in self._sinks.publishers()}))

    @property
    def publishers(self) -> tuple[str, ...]:
        """The ids of its publishers."""
        return tuple(publisher.id for publisher in self._sinks.publishers())

    @property
    def last(self) -> Message | None:
        """The message that it published last, as it was recorded; None before the first, and if it has no data."""
        entry = self._last
        if entry is None:
            return None
        track = self._reel.tracks[entry.channel]
        try:
            data = track.reading.data(entry)
        except CodecError:
            return None
        seq = track.seq(entry.sequence)
        return Message(data, track.topic, seq, entry.publish_ns, entry.log_ns, track.publisher)

    @property
    def stats(self) -> PlayerStats:
        """What it did so far."""
        return PlayerStats(self._published, self._handed, self._skipped, self._late, self._worst, self._rounds)

    @property
    def paused(self) -> bool:
        """Whether it is paused."""
        return self._pace.paused

    @property
    def rate(self) -> float:
        """How much faster it goes than it went; can be changed at any time."""
        return self._pace.rate

    @rate.setter
    def rate(self, rate: float) -> None:
        self._pace.rate = rate
        self._changed.set()

    @property
    def position(self) -> float:
        """How many seconds of the recording, from its ``start`` on, are played."""
        return max(0, self._pace.position_ns - self._reel.first_ns) / 1e9

    @property
    def duration(self) -> float:
        """How many seconds there are to play."""
        return max(0, self._reel.last_ns - self._reel.first_ns) / 1e9

    def wait_for_subscribers(self, count: int = 1, timeout: float | None = None) -> None:
        """Wait until each topic has so many subscribers.

        Raises:
            TimeoutError: they did not come in time; the text says why.
            ArgumentError: (a ValueError) count or timeout is no number.
        """
        self._check_open()
        self._sinks.wait(checked_number(count), checked_seconds(timeout))

    async def wait_for_subscribers_async(self, count: int = 1, timeout: float | None = None) -> None:
        """Wait as ``wait_for_subscribers``, in a coroutine; other coroutines run meanwhile."""
        self._check_open()
        await self._sinks.wait_async(checked_number(count), checked_seconds(timeout))

    def pause(self) -> None:
        """Publish nothing more until ``resume`` or ``step``."""
        self._pace.pause()

    def resume(self) -> None:
        """Go on where it was paused."""
        self._pace.resume()
        self._changed.set()

    def step(self, count: int = 1) -> None:
        """Pause, and publish the next message, or the next ``count``, whatever their time.

        Raises:
            ArgumentError: (a ValueError) count is no number from 1.
        """
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ArgumentError(f"count is how many messages to publish, a number from 1, got {count!r:.40}")
        self._pace.step(count)
        self._changed.set()

    def run(self) -> PlayerStats:
        """Play until it is over, or closed by another thread; return what it did.

        Subscribers that are there already get the first message: it looks for them for up to half a second.

        Raises:
            ClosedError: (an OSError) after ``close``.
        """
        for wait in self.steps():
            self._changed.clear()
            if not self._closed:
                self._changed.wait(wait)
        return self.stats

    async def run_async(self) -> PlayerStats:
        """Play as ``run``, in a thread, while other coroutines run; the player is closed if the task is cancelled."""
        import asyncio

        try:
            return await asyncio.to_thread(self.run)
        except asyncio.CancelledError:
            self.close()
            raise

    def steps(self) -> Iterator[float]:
        """Play as ``run``, and leave the waiting to the caller: yields how many seconds it may wait, at most.

        Whoever waits less is asked again; who waits longer makes messages late.

        Raises:
            ClosedError: (an OSError) after ``close``.
        """
        self._check_open()
        try:
            self._sinks.settle()
            while not self._closed:
                self._rounds += 1
                self._pace.jump(self._reel.first_ns)
                published = self._published
                for entry in self._reel.latched():
                    if (body := self._body(entry)) is not None:
                        self._publish(entry, body)
                for run in ahead(self._reel.runs()):
                    for entry in run:
                        body = self._body(entry)
                        if body is None:
                            continue
                        while (left := self._pace.left(entry.log_ns, time.monotonic())) > 0:
                            yield NAP if left == math.inf else min(left, LONGEST)
                            if self._closed:
                                return
                        self._note_late(-left)
                        self._pace.passed(entry.log_ns)
                        self._publish(entry, body)
                if not self._loop or self._published == published:  # of nothing no loop is made
                    return
        except ClosedError:  # by another thread, in the midst of it
            if not self._closed:
                raise

    def _note_late(self, late: float) -> None:
        if not self._pace.paused and self._pace.rate != math.inf:
            self._worst = max(self._worst, late)
            self._late += late > LATE

    def _publish(self, entry: Entry, body: object) -> None:
        self._handed += self._sinks.publish(entry, body)
        self._published += 1
        self._last = entry

    def _body(self, entry: Entry) -> object:
        try:
            return self._sinks.body(entry)
        except CodecError as error:
            if not self._skipped:
                log.warning("a message is not played: %s", error)
            self._skipped += 1
            return None

    def close(self) -> None:
        """Stop, and withdraw the publishers; idempotent. The bag stays open."""
        self._closed = True
        self._changed.set()
        self._sinks.close()

    def __enter__(self) -> Player:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "paused" if self.paused else f"at {self.position:.3f} s"
        return f"<ipcpy.Player {len(self._reel.tracks)} tracks, {self.duration:.3f} s, {state}>"

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the player is closed")


def _check_keep(keep: object) -> int | None:
    if keep is not None and (not isinstance(keep, int) or isinstance(keep, bool) or not 0 <= keep <= 1_000_000):
        raise ArgumentError(f"keep is a number of messages from 0 to 1000000, or None, got {keep!r:.40}")
    return keep
