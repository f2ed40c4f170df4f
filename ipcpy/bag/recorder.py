"""Recorder: what a user holds while topics are recorded. Checks arguments and counts.

Capture.py listens, press.py writes; what is asked of either is put together here.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from ..errors import ArgumentError, ClosedError, IpcError
from ..node.node import Node
from .capture import Capture, check_rate, check_topics
from .chunk import COMPRESSIONS
from .extra import need_extra
from .files import Books, Files, Split
from .press import Press

__all__ = [
    "Recorder",
    "RecorderStats",
    "TopicStats",
    "about",
    "check_compression",
    "check_path",
    "default_path",
    "disk_left",
    "topic_stats",
]

MIN_SPLIT = 1 << 16  # bytes; smaller files are mostly headers


@dataclass(frozen=True, slots=True)
class TopicStats:
    """What was recorded of a topic.

    Attributes:
        messages: how many.
        bytes: bytes of their bodies.
        thinned: messages that were left out, since a rate was asked for.
        first_ns: when the first one was received.
        last_ns: when the last one was.
        lost: messages that did not arrive, by cause as in ``FlowStats``.
    """

    messages: int = 0
    bytes: int = 0
    thinned: int = 0
    first_ns: int = 0
    last_ns: int = 0
    lost: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecorderStats:
    """What was recorded until now.

    Attributes:
        messages: how many.
        bytes: bytes of their bodies.
        file_bytes: bytes of the files; what waits to be written is not in it.
        waiting_bytes: bytes that wait.
        lost: messages that did not arrive, by cause as in ``FlowStats``; with ``disk`` for those that could not be
            written.
        topics: the same by topic.
        disk_left: bytes that the disk has left.
    """

    messages: int
    bytes: int
    file_bytes: int
    waiting_bytes: int
    lost: Mapping[str, int]
    topics: Mapping[str, TopicStats]
    disk_left: int


class Recorder:
    """Records topics into an MCAP file, from the time it is made until it is closed.

    What is recorded are the very bytes that were published; others see them as ``docs/recording.md`` says. Publishers
    are not slowed down: what cannot be kept is counted, in ``stats`` and in the file. If the process is killed the file
    is good but for less than its last second; ``ipcpy bag recover`` makes its index.

    Args:
        path: the file; None makes a name of the time, ``ipcpy-20261128-143000.mcap``.
        topics: names and patterns, by default all. Topics that appear later are recorded too, latched messages first.
        exclude: names and patterns of topics that are left out.
        compression: ``zstd``, ``lz4`` or ``none``.
        split_size: bytes at which a new file begins: ``run-001.mcap``, ``run-002.mcap`` and so on.
        split_seconds: seconds after which a new file begins.
        max_rate: messages a second of each publisher that are kept; the others are counted as thinned out.
        bgr: colours of images are blue, green, red, as OpenCV has them.
        force: overwrite files that are there.
        node: the node it belongs to; by default one of its own.

    Raises:
        ArgumentError: (a ValueError) which argument is wrong, and what was expected.
        TransportError: (an OSError) if the file cannot be written, or there is no UDP socket to be had.
        IpcError: if what recordings need is not installed.

    >>> import tempfile, ipcpy as ipc
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with ipc.Recorder(f"{folder}/run.mcap", "doc/*") as recorder, ipc.Publisher("doc/imu") as pub:
    ...         _ = pub.wait_for_subscribers(timeout=5)
    ...         _ = pub.publish({"gz": 0.5})
    ...         recorder.close()
    ...     recorder.stats.messages
    1
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        topics: str | Iterable[str] = "/**",
        *,
        exclude: str | Iterable[str] = (),
        compression: str = "zstd",
        split_size: int | None = None,
        split_seconds: float | None = None,
        max_rate: float | None = None,
        bgr: bool = False,
        force: bool = False,
        node: Node | None = None,
    ) -> None:
        need_extra()
        check_compression(compression)
        names, excluded = check_topics(topics, exclude)
        if max_rate is not None:
            check_rate(max_rate)
        split = Split(_check_split(split_size), round(_check_seconds(split_seconds) * 1e9))
        place = Path(default_path() if path is None else check_path(path))
        self._own_node = None if node is not None else Node()
        self._node = node or self._own_node
        assert self._node is not None
        self._capture: Capture | None = None
        try:
            self._files = Files(place, about(self._node), self._books, split=split, force=force)
            self._press = Press(self._files, compression)
            try:
                self._capture = Capture(
                    names, self._press.put, node=self._node, exclude=excluded, max_rate=max_rate, bgr=bgr
                )
            except BaseException:
                self._press.close()
                self._files.discard()
                raise
        except BaseException:
            if self._own_node is not None:
                self._own_node.close()
            raise
        self._closed = False

    def _books(self) -> Books:
        return Books({}) if self._capture is None else self._capture.books()

    @property
    def path(self) -> Path:
        """The file that is written now."""
        return self._files.path

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files so far."""
        return tuple(self._files.paths)

    @property
    def failure(self) -> IpcError | None:
        """Why nothing is recorded any more, such as a full disk; None while all is well."""
        return self._press.failure

    @property
    def stats(self) -> RecorderStats:
        """What was recorded, and what did not arrive and why."""
        assert self._capture is not None
        lost = self._capture.lost()
        if self._press.dropped:
            lost["disk"] += self._press.dropped
        topics = topic_stats(self._capture)
        return RecorderStats(
            messages=max(0, sum(each.messages for each in topics.values()) - self._press.dropped),
            bytes=sum(each.bytes for each in topics.values()),
            file_bytes=self._files.size,
            waiting_bytes=self._press.pending,
            lost={cause: count for cause, count in lost.items() if count},
            topics=topics,
            disk_left=disk_left(self.path),
        )

    def close(self) -> None:
        """Write what has arrived and the index; idempotent.

        Raises:
            TransportError: (an OSError) if not all could be written; the text says what is in the file.
        """
        if self._closed:
            return
        self._closed = True
        assert self._capture is not None
        try:
            self._capture.close()
            self._press.close()
            failure = self._press.failure
            try:
                self._files.close()
            except IpcError as error:
                failure = failure or error
            if failure is not None:
                raise failure
        finally:
            if self._own_node is not None:
                self._own_node.close()

    def __enter__(self) -> Recorder:
        if self._closed:
            raise ClosedError("the recorder is closed")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ipcpy.Recorder {str(self.path)!r}{' closed' if self._closed else ''}>"


def topic_stats(capture: Capture) -> dict[str, TopicStats]:
    """Return what was recorded, by topic."""
    topics: dict[str, TopicStats] = {}
    for counts in (*capture.counts().values(), *capture.tape.past.values()):
        before = topics.get(counts.topic, TopicStats())
        firsts = [first for first in (before.first_ns, counts.first_ns) if first]
        topics[counts.topic] = TopicStats(
            before.messages + counts.recorded,
            before.bytes + counts.bytes,
            before.thinned + counts.thinned,
            min(firsts, default=0),
            max(before.last_ns, counts.last_ns),
        )
    for topic, lost in capture.lost_by_topic().items():
        before = topics.get(topic, TopicStats())
        topics[topic] = TopicStats(
            before.messages, before.bytes, before.thinned, before.first_ns, before.last_ns, dict(lost)
        )
    return dict(sorted(topics.items()))


def about(node: Node) -> dict[str, str]:
    """Return what is said of a recording as such."""
    host = next((info.host for info in node.nodes() if info.id == node.id), "")
    return {"node": node.name, "domain": node.domain, "host": host, "began_ns": str(time.time_ns())}


def default_path(stem: str = "ipcpy") -> str:
    """Return a name made of the time."""
    return f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}.mcap"


def disk_left(path: Path) -> int:
    """Return the bytes that a file's disk has left; 0 where that cannot be told."""
    try:
        return shutil.disk_usage(path.parent).free
    except OSError:
        return 0


def check_compression(compression: object) -> None:
    """Look whether a compression is one.

    Raises:
        ArgumentError: it is none.
    """
    if compression not in COMPRESSIONS:
        raise ArgumentError(f"compression is one of {', '.join(COMPRESSIONS)}, got {compression!r:.60}")


def check_path(path: object) -> str:
    """Return a path as a text.

    Raises:
        ArgumentError: it is none.
    """
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise ArgumentError(f"path is the name of a file such as 'run.mcap', got {path!r:.60}")
    text = os.fspath(path)
    if isinstance(text, bytes) or "\0" in text:
        raise ArgumentError(f"path is a text without NUL, such as 'run.mcap', got {path!r:.60}")
    return text


def _check_split(size: object) -> int:
    if size is None:
        return 0
    if not isinstance(size, int) or isinstance(size, bool) or size < MIN_SPLIT:
        raise ArgumentError(f"split_size is a number of bytes from {MIN_SPLIT}, got {size!r}")
    return size


def _check_seconds(seconds: object) -> float:
    if seconds is None:
        return 0.0
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 < seconds < 1e9:
        raise ArgumentError(f"split_seconds is a number of seconds above 0, got {seconds!r}")
    return float(seconds)
