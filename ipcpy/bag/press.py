"""The thread that makes of chunks what stands in files. Knows a bounded queue and two threads; nothing of messages.

Compressing, checksums and writing leave Python's lock, so they go on while messages come. Who puts a chunk waits while
too much is queued: then the subscriber's inbox fills, which counts what it drops. While much is queued chunks are not
compressed: that is faster. What is written, or dropped, is held no longer.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Protocol

from ..errors import IpcError
from .chunk import Chunk, Sealed, compressor, seal
from .form import NONE

__all__ = ["Press", "Sink"]

log = logging.getLogger(__name__)

QUEUE = 256 << 20  # bytes of messages that wait to be written: a second of cameras
TICK = 1.0  # seconds
SYNC_EVERY = 0.4  # seconds
_HURRY = 4  # the part of the queue from which on nothing is compressed


class Sink(Protocol):
    """Where chunks go."""

    def add(self, chunk: Sealed) -> None:
        """Take a chunk."""

    def tick(self) -> None:
        """Do what is to be done now and then."""

    def sync(self) -> None:
        """Make it last."""


class Press:
    """Takes chunks from any thread, and hands them on sealed, in its own.

    Args:
        sink: where they go.
        compression: ``zstd``, ``lz4`` or ``none``.
        limit: bytes that may wait.
        every: seconds between two ticks of the sink.
        copied: whether the sink keeps chunks: see ``seal``.
        on_failure: called once with what went wrong, after which everything is dropped.

    Attributes:
        failure: what went wrong; None while nothing did.
        dropped: messages that came after that.
    """

    def __init__(
        self,
        sink: Sink,
        compression: str,
        *,
        limit: int = QUEUE,
        every: float = TICK,
        copied: bool = False,
        on_failure: Callable[[IpcError], object] | None = None,
    ) -> None:
        self.failure: IpcError | None = None
        self.dropped = 0
        self._sink = sink
        self._compression = compression
        self._compress = compressor(compression)
        self._limit = limit
        self._every = every
        self._copied = copied
        self._on_failure = on_failure
        self._queue: deque[Chunk | Callable[[], object]] = deque()
        self._pending = 0
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._dirty = False
        self._threads = [
            threading.Thread(target=self._run, name="ipcpy recording", daemon=True),
            threading.Thread(target=self._keep_in_sync, name="ipcpy recording, to the medium", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pending(self) -> int:
        """Bytes that wait."""
        return self._pending

    def put(self, chunk: Chunk) -> None:
        """Hand on a chunk; waits while too much is queued."""
        with self._changed:
            while self._pending and self._pending + chunk.size > self._limit and self.failure is None:
                self._changed.wait(1.0)
            if self.failure is not None:
                self.dropped += _messages(chunk)
                return
            self._queue.append(chunk)
            self._pending += chunk.size
            self._changed.notify_all()

    def call(self, function: Callable[[], object]) -> None:
        """Have a function called in the thread that writes, behind everything that was put before."""
        with self._changed:
            self._queue.append(function)
            self._changed.notify_all()

    def close(self) -> None:
        """Hand on what waits, and end; idempotent."""
        with self._changed:
            self._closing.set()
            self._changed.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _run(self) -> None:
        due = time.monotonic() + self._every
        while (item := self._next(due)) is not None or not self._closing.is_set():
            try:
                if isinstance(item, Chunk):
                    self._press(item)
                elif item is not None:
                    item()
                if time.monotonic() >= due:
                    due = time.monotonic() + self._every
                    if self.failure is None:
                        self._sink.tick()
            except IpcError as error:
                self._fail(error)
            except Exception as error:  # a defect: it is not to end in silence, with a recorder that seems to run
                log.exception("a chunk could not be written")
                self._fail(IpcError(f"a chunk could not be written: {error!r:.200}"))
            if isinstance(item, Chunk):
                with self._changed:
                    self._pending -= item.size
                    self._changed.notify_all()
            item = None  # its messages may lie in their publishers' memory, which waits for whoever holds them

    def _next(self, until: float) -> Chunk | Callable[[], object] | None:
        with self._changed:
            while not self._queue and not self._closing.is_set() and time.monotonic() < until:
                self._changed.wait(max(0.0, until - time.monotonic()))
            return self._queue.popleft() if self._queue else None

    def _press(self, chunk: Chunk) -> None:
        if self.failure is not None:
            self.dropped += _messages(chunk)
            return
        hurried = self._pending > self._limit // _HURRY
        try:
            self._sink.add(seal(chunk, self._compression, self._compress, hurried=hurried, copied=self._copied))
        except BaseException:
            self.dropped += _messages(chunk)
            raise
        self._dirty = True

    def _keep_in_sync(self) -> None:
        while not self._closing.wait(SYNC_EVERY):
            if self._dirty and self.failure is None:
                self._dirty = False
                try:
                    self._sink.sync()
                except IpcError as error:
                    self._fail(error)

    def _fail(self, error: IpcError) -> None:
        with self._changed:
            if self.failure is not None:
                return
            self.failure = error
            self._changed.notify_all()
        for each in (error, error.__context__):
            if each is not None:
                traceback.clear_frames(each.__traceback__)  # they hold the chunk while somebody has the error
        log.error("recording ended: %s", error)
        if self._on_failure is not None:
            self._on_failure(error)


def _messages(chunk: Chunk) -> int:
    """Return how many messages of publishers a chunk has: without originals and second views."""
    channels = chunk.catalog.channels
    return sum(
        len(entries) // 2
        for number, entries in chunk.entries.items()
        if (origin := channels[number].origin) is not None and origin.body != NONE
    )
