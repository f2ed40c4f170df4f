"""The last seconds, in bounded memory, and what is written of them. Knows sealed chunks and time; nothing of messages.

All of it is called in the thread that writes, one after the other, so it needs no lock.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import IpcError
from ..timeouts import NEVER
from .chunk import Sealed
from .files import Files

__all__ = ["Dump", "Ring"]

LATE = 0.6  # seconds that what was received needs until its chunk is here
MAX_REASONS = 100
LONGEST = 10  # times ``after`` that a dump lasts at most, whatever happens meanwhile


@dataclass(slots=True)
class Dump:
    """What is written of an event.

    Attributes:
        reasons: why; the first one began it.
        path: the file.
        messages: how many are in it.
        size: its bytes.
        failure: what went wrong.
        complete: whether it is over, well or not.
    """

    reasons: list[str]
    path: Path
    messages: int = 0
    size: int = 0
    failure: IpcError | None = None
    complete: bool = False


class Ring:
    """Keeps chunks, and writes them when something happens.

    Args:
        seconds: how far back.
        size: bytes that are kept.
        after: seconds behind an event that are written too.
        files: makes the files of a dump of what is said of it.
        on_begin: called with a dump that begins.
        on_end: called with a dump that is done.
        latched: returns what latched topics kept that is in none of the chunks from a number on, as received at a time;
            a dump begins with it.
        clock: seconds that nobody sets: a wall clock that is set forward would throw everything away.

    Attributes:
        size: bytes that are kept now.
        held: triggers that were passed over.
    """

    def __init__(
        self,
        seconds: float,
        size: int,
        after: float,
        files: Callable[[Mapping[str, str]], Files],
        *,
        on_begin: Callable[[Dump], object] | None = None,
        on_end: Callable[[Dump], object] | None = None,
        latched: Callable[[int, int], Iterable[Sealed]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._span = seconds
        self._limit = size
        self._after = after
        self._make_files = files
        self._on_begin = on_begin
        self._on_end = on_end
        self._latched = latched
        self._clock = clock
        self._added = 0  # chunks in all
        self._chunks: deque[tuple[float, Sealed]] = deque()  # with the time at which each came
        self._dump: Dump | None = None
        self._files: Files | None = None
        self._until = self._at_most = 0.0
        self._kinds: set[str] = set()  # of what happened in this dump
        self._last: dict[str, float] = {}  # when a dump that a kind of event made longer, or began, was over
        self.size = 0
        self.held = 0

    @property
    def seconds(self) -> float:
        """How many seconds there are."""
        return self._chunks[-1][0] - self._chunks[0][0] if self._chunks else 0.0

    def add(self, chunk: Sealed) -> None:
        """Take a chunk; the oldest ones give way, for time or bytes."""
        now = self._clock()
        self._chunks.append((now, chunk))
        self.size += _size(chunk)
        self._added += 1
        while self._chunks and (self.size > self._limit or self._chunks[0][0] < now - self._span):
            self.size -= _size(self._chunks.popleft()[1])
        if self._dump is not None and self._files is not None:
            self._write(self._dump, self._files, chunk)

    def trigger(self, reason: str, kind: str = "", *, last: bool = False) -> Dump | None:
        """Write what there is; or, while that is going on, go on for longer.

        Args:
            reason: what happened.
            kind: what may happen again and again: then nothing is written that the last dump for it has mostly. Empty
                for what is always written.
            last: whether nothing comes any more.

        Returns:
            What is written of it; None if nothing is.
        """
        now = self._clock()
        dump = self._dump
        if dump is not None:
            if len(dump.reasons) < MAX_REASONS:
                dump.reasons.append(reason)
            self._kinds.add(kind)
            self._until = min(now + self._after, self._at_most)
        elif kind and now < self._last.get(kind, -NEVER) + self._span:
            self.held += 1
        else:
            dump = self._begin(reason, kind, now)
        if last:
            self.finish()
        return dump

    def _begin(self, reason: str, kind: str, now: float) -> Dump:
        self._kinds = {kind}
        self._until, self._at_most = now + self._after, now + LONGEST * self._after
        dump = Dump([reason], Path())
        try:
            files = self._make_files({"reason": reason, "event_ns": str(time.time_ns())})
        except IpcError as error:
            dump.failure = error
            self._end(dump)
            return dump
        self._dump, self._files = dump, files
        dump.path = files.path
        self._tell(self._on_begin, dump)
        chunks = [chunk for came, chunk in self._chunks if came >= now - self._span]
        if self._latched is not None:  # as whoever had begun to record then would have got it
            begin_ns = min((chunk.start_ns for chunk in chunks), default=time.time_ns())
            chunks = [*self._latched(self._added - len(chunks), begin_ns), *chunks]
        for chunk in chunks:
            self._write(dump, files, chunk)
        self.tick()
        return dump

    def tick(self) -> None:
        """End a dump whose time is up."""
        if self._dump is not None and (not self._after or self._clock() > self._until + LATE or self._dump.failure):
            self.finish()

    def sync(self) -> None:
        """Make what is written last; called from another thread."""
        dump, files = self._dump, self._files
        if dump is not None and files is not None:
            try:
                files.sync()
            except IpcError as error:  # as where it cannot be written
                dump.failure = dump.failure or error

    def finish(self) -> None:
        """End a dump now."""
        dump, files = self._dump, self._files
        self._dump = self._files = None
        if dump is None or files is None:
            return
        try:
            files.close()
        except IpcError as error:
            dump.failure = dump.failure or error
        dump.size = files.size
        self._last.update(dict.fromkeys(self._kinds, self._clock()))
        self._end(dump)

    def _end(self, dump: Dump) -> None:
        dump.complete = True
        self._tell(self._on_end, dump)

    def _write(self, dump: Dump, files: Files, chunk: Sealed) -> None:
        if dump.failure is None:
            try:
                files.add(chunk)
            except IpcError as error:  # this dump is over; the ring goes on
                dump.failure = error
            else:
                dump.messages += sum(chunk.counts.values())

    @staticmethod
    def _tell(function: Callable[[Dump], object] | None, dump: Dump) -> None:
        if function is not None:
            function(dump)


def _size(chunk: Sealed) -> int:
    return chunk.size + sum(map(len, chunk.indexes.values()))
