"""The interior of a black box: who listens, what is kept, who triggers, what is answered. Knows nothing of arguments
or of exceptions that end a program; blackbox.py has those.

What is asked over the network comes on the topic ``ipcpy/blackbox/dump``, and is answered on ``ipcpy/blackbox/done``.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ArgumentError, ClosedError
from ..message import Message
from ..node.node import Node
from ..publishing.publisher import Publisher
from ..subscribing.subscriber import Subscriber
from .capture import Capture
from .chunk import Sealed, compressor, seal
from .files import Files
from .latches import Latches
from .press import Press
from .recorder import about, check_path, default_path
from .ring import Dump, Ring
from .triggers import Triggers, Wanted

__all__ = ["ASKED", "DONE", "Keeper", "Keeping", "Place"]

log = logging.getLogger(__name__)

ASKED = "ipcpy/blackbox/dump"
DONE = "ipcpy/blackbox/done"
TICK = 0.2  # seconds
PATIENCE = 20.0  # seconds that a program that ends by an exception waits until its last seconds are written
QUEUE = 128 << 20  # bytes that wait to get into the ring


class Keeping(NamedTuple):
    """What is kept.

    Attributes:
        seconds: how far back.
        size: bytes at most.
        after: seconds behind an event that are written too.
        topics: names and patterns.
        exclude: those that are left out.
        compression: ``zstd``, ``lz4`` or ``none``.
        bgr: see ``viewer_for``.
    """

    seconds: float
    size: int
    after: float
    topics: str | Iterable[str]
    exclude: str | Iterable[str]
    compression: str
    bgr: bool


class Keeper:
    """Keeps the last seconds and writes them.

    Args:
        node: the node it belongs to.
        keeping: what is kept.
        place: where files go.
        wanted: what makes it write by itself.
        on_dump: called with a file and its reasons when it is complete.

    Raises:
        ArgumentError, TransportError: as BlackBox.

    Attributes:
        paths: the files that were written.
    """

    def __init__(
        self,
        node: Node,
        keeping: Keeping,
        place: Place,
        wanted: Wanted,
        on_dump: Callable[[Path, tuple[str, ...]], object] | None,
    ) -> None:
        self.paths: list[Path] = []
        self._node = node
        self._place = place
        self._on_dump = on_dump
        self._ended = threading.Condition()
        self._closed = False
        self._fired: set[str] = set()
        self._open: list[Triggers | Subscriber | Capture | Press | Publisher] = []  # in the order of closing
        self.ring = Ring(
            keeping.seconds,
            keeping.size,
            keeping.after,
            self._make_files,
            on_begin=self._begun,
            on_end=self._done,
            latched=self._latched,
        )
        self._latches = Latches(exclude={DONE})  # what other rings answered is of no use to anybody
        self._compression = keeping.compression
        self._compress = compressor(keeping.compression)
        try:
            self._answers = Publisher(f"/{DONE}", keep=16, node=node)
            self._open.insert(0, self._answers)
            self.press = Press(self.ring, keeping.compression, limit=QUEUE, every=TICK, copied=True)
            self._open.insert(0, self.press)
            self.capture = Capture(
                keeping.topics,
                self.press.put,
                node=node,
                exclude=keeping.exclude,
                bgr=keeping.bgr,
                latches=self._latches,
            )
            self._open.insert(0, self.capture)
            self._open.insert(0, Subscriber(f"/{ASKED}", callback=self._asked, node=node))
            self._open.insert(0, Triggers(node, wanted, self._fire, self.capture.lost))
        except BaseException:
            self.close()
            raise

    def _fire(self, reason: str, kind: str) -> None:
        if reason not in self._fired:  # of many at once each would be one more thing to do
            self._fired.add(reason)
            self.dump(reason, kind)

    def dump(self, reason: str, kind: str | None = None, *, wait: bool = False, last: bool = False) -> Path | None:
        """Write what is kept.

        Args:
            reason: what happened.
            kind: as ``Ring.trigger``; None where somebody asked.
            wait: whether to wait until the file is complete.
            last: whether nothing comes any more: then it is complete soon.

        Returns:
            The file; None without waiting, or if there is none.
        """
        if last:
            self.capture.settle()
        if kind is None:  # else that waits for the next chunk
            self.capture.flush()

        written: list[Dump | None] = []

        def trigger() -> None:
            self._fired.discard(reason)
            dump = self.ring.trigger(reason, kind or "", last=last)
            with self._ended:
                written.append(dump)
                self._ended.notify_all()

        def is_over() -> bool:
            return self._closed or bool(written and (written[0] is None or written[0].complete))

        self.press.call(trigger)
        if wait:
            with self._ended:
                self._ended.wait_for(is_over, PATIENCE if last else None)
            done = written[0] if written else None
            if done is not None and done.complete and done.failure is None:
                return done.path
        return None

    def _asked(self, message: Message) -> None:
        told = message.data if isinstance(message.data, dict) else {}
        self.dump(f"asked for by {message.topic}: {str(told.get('reason', ''))[:200] or 'no reason given'}")

    def _make_files(self, told: Mapping[str, str]) -> Files:
        left_out = {"latched_left_out": str(self._latches.left_out)} if self._latches.left_out else {}
        return Files(self._place.next(), {**about(self._node), **told, **left_out}, self.capture.books)

    def _latched(self, number: int, log_ns: int) -> list[Sealed]:
        chunks = self._latches.chunks(number, log_ns)
        return [seal(chunk, self._compression, self._compress) for chunk in chunks]

    def _begun(self, dump: Dump) -> None:
        log.warning("black box: %s; it is written into %s", dump.reasons[0], dump.path)
        self._answer({"state": "begun", "path": str(dump.path), "reasons": dump.reasons})

    def _done(self, dump: Dump) -> None:
        if dump.failure is None:
            self.paths.append(dump.path)
        else:
            log.error("black box: %s", dump.failure)
        state = "done" if dump.failure is None else "failed"
        told = {"path": str(dump.path), "reasons": dump.reasons, "messages": dump.messages, "bytes": dump.size}
        self._answer({"state": state, **told, "failure": "" if dump.failure is None else str(dump.failure)})
        if self._on_dump is not None and dump.failure is None:
            try:
                self._on_dump(dump.path, tuple(dump.reasons))
            except Exception:
                log.exception("on_dump of the black box failed")
        with self._ended:
            self._ended.notify_all()

    def _answer(self, told: dict[str, Any]) -> None:
        try:
            self._answers.publish({**told, "node": self._node.name, "pid": os.getpid()})
        except ClosedError:
            pass

    def close(self) -> None:
        """Complete a file that is being written, with what has arrived, and end; idempotent."""
        for each in self._open:
            if isinstance(each, Press):  # what has arrived until now is in it
                each.call(self.ring.finish)
            each.close()
        with self._ended:
            self._closed = True
            self._ended.notify_all()


class Place:
    """Where files go, one after the other, none over another."""

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self._path = None if path is None else Path(check_path(path))
        if self._path is not None and not self._path.parent.is_dir():
            raise ArgumentError(f"there is no directory {self._path.parent}; make it first")

    def next(self) -> Path:
        """Return a path at which nothing is."""
        first = self._path
        if first is None:
            first = Path(default_path("blackbox"))
        elif first.is_dir():
            first = first / default_path("blackbox")
        path, number = first, 1
        while path.exists():
            number += 1
            path = first.with_name(f"{first.stem}-{number}{first.suffix}")
        return path
