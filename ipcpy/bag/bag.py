"""Bag: a recording as users read it in Python. Checks arguments; the files are the interior's, recording.py."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..clock import Clock, Delay
from ..errors import ArgumentError, ClosedError, CodecError
from ..message import Message
from .books import about, last_clocks, lost_by_topic, merged_books
from .clocks import Point, clock_at_end, delay_by, read_traces
from .extra import need_extra
from .moments import Moment, moment_ns
from .recording import Recording
from .records import Entry
from .tracks import Track

if TYPE_CHECKING:
    from numpy import ndarray

__all__ = ["Bag", "BagTopic", "recording_of"]

Path = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class BagTopic:
    """What a recording has of one topic.

    Attributes:
        name: the topic.
        messages: how many messages.
        codec: the codec that it is published with: its own, or what others' messages become.
        schema: the schema of that.
        type: the name of the schema in the file, such as ``sensor_msgs/msg/Imu``; empty without one.
        encoding: that of its messages in the file, such as ``cdr``.
        publishers: the ids of its publishers, and the names of their nodes and hosts as far as they are known.
        note: a sentence on what to know of it, such as that an extra is missing to decode it; else empty.
        lost: messages that did not reach the recorder, by cause as in ``SubscriberStats``.
    """

    name: str
    messages: int
    codec: str
    schema: Mapping[str, Any]
    type: str
    encoding: str
    publishers: tuple[tuple[str, str, str], ...]
    note: str
    lost: Mapping[str, int]


class Bag:
    """A recording: an MCAP file that ipcpy or another program wrote, or several that are read as one.

    Messages of ipcpy come as they came; CDR of ROS 2, JSON and Protocol Buffers of others as named tuples or dicts. A
    file that was not closed is read as far as it is whole: ``damage`` says what is wrong with it, and so does the log.

    Args:
        paths: the files.

    Raises:
        ArgumentError: (a ValueError) no path, or a folder.
        CodecError: (a ValueError) a file that is no MCAP file; the text says what it looks like.
        OSError: a file that is not there or cannot be read.
        IpcError: what recordings need is not installed.

    Example::

        with ipc.Bag("drive.mcap") as bag:
            for message in bag.messages("imu", start=10, end=20):
                print(message.data.gz, message.sent_ns)
            gyro = bag.array("imu")["gz"]
    """

    def __init__(self, *paths: Path) -> None:
        if not paths:
            raise ArgumentError("a bag is made of one path or several, got none")
        need_extra()
        self._paths = tuple(os.fspath(path) if isinstance(path, str | os.PathLike) else path for path in paths)
        self._recording = Recording(paths)
        self._closed = False

    @property
    def paths(self) -> tuple[str, ...]:
        """The files."""
        return self._paths

    @property
    def start_ns(self) -> int:
        """When the first message was recorded, in ns since 1970; 0 without messages."""
        return self._recording.first_ns

    @property
    def end_ns(self) -> int:
        """When the last message was recorded."""
        return self._recording.last_ns

    @property
    def damage(self) -> tuple[str, ...]:
        """Sentences on what is wrong with the files, as far as they were read; empty where nothing is."""
        return tuple(self._recording.damage)

    @property
    def about(self) -> Mapping[str, str]:
        """What is said of the recording as such.

        ``library`` is the program that wrote it. Where that was ipcpy there are its ``node``, ``host``, ``domain`` and
        ``began_ns``, and of a black box ``reason`` and ``event_ns``. Of several files it is that of the first.
        """
        first = self._recording.files[0]
        return {"library": first.header.library.strip(), **about(first)}

    @property
    def size(self) -> int:
        """The bytes of the files."""
        return sum(file.size for file in self._recording.files)

    def __len__(self) -> int:
        """Return the number of messages."""
        return sum(self._recording.counts.values())

    def topics(self, topics: str | Iterable[str] | None = None) -> tuple[BagTopic, ...]:
        """Return what is recorded, by the names of the topics.

        Args:
            topics: a topic, a pattern, or several; None for all.

        Raises:
            ArgumentError: (a ValueError) a topic that the recording does not have.
            ClosedError: (an OSError) after ``close``.
        """
        self._check_open()
        by_name: dict[str, list[tuple[Track, int]]] = {}
        for number in sorted(self._recording.numbers(topics)):
            track = self._recording.tracks[number]
            by_name.setdefault(track.topic, []).append((track, self._recording.counts[number]))
        lost = lost_by_topic(merged_books(self._recording.files))
        return tuple(_described(name, found, lost.get(name, {})) for name, found in sorted(by_name.items()))

    def messages(
        self, topics: str | Iterable[str] | None = None, *, start: Moment | None = None, end: Moment | None = None
    ) -> Iterator[Message]:
        """Return messages by the time of their recording, as subscribers got them.

        What cannot be decoded is left out, and ``damage`` says so.

        Args:
            topics: a topic, a pattern, or several; None for all.
            start: the first moment: seconds since the recording began, below 0 before it ended; a datetime; or a time
                of a message, such as its ``received_ns``.
            end: the first moment that is not wanted.

        Raises:
            ArgumentError: (a ValueError) a topic that the recording does not have, or no moment.
            ClosedError: (an OSError) after ``close``.
        """
        self._check_open()
        numbers = self._recording.numbers(topics)
        return self._messages(self._recording.runs(numbers, *self.span_ns(start, end)))

    def _messages(self, runs: Iterator[list[Entry]]) -> Iterator[Message]:
        new = tuple.__new__
        readers: dict[int, tuple[Any, str, int, str]] = {}
        for run in runs:
            for entry in run:
                log_ns, number, sequence, publish_ns, _, _ = entry
                try:
                    data, topic, high, publisher = readers[number]
                except KeyError:
                    track = self._recording.tracks[number]
                    data, topic, high, publisher = track.reading.data, track.topic, track.seq(0), track.publisher
                    readers[number] = data, topic, high, publisher
                try:
                    yield new(Message, (data(entry), topic, high | sequence, publish_ns, log_ns, publisher))
                except CodecError as error:
                    self._note(number, error)

    def delay(self, message: Message) -> Delay:
        """Return how many seconds a recorded message took to the recorder, and how wrong that can be.

        The recording has how far the clock of each publisher's host was ahead of the recorder's, as
        ``Subscriber.delay`` would have said; the bound is ``inf`` where it has not.

        Raises:
            ArgumentError: (a ValueError) if it is no message.
        """
        if not isinstance(message, Message):
            raise ArgumentError(f"a delay is that of a Message, got {message!r:.80}")
        traces = self._traces.get(self._nodes.get(message.publisher, ("", ""))[1], ())
        return delay_by(traces, message.sent_ns, message.received_ns)

    @cached_property
    def clocks(self) -> Mapping[str, Clock]:
        """How far the clocks of those who published were ahead of the recorder's at the end, by ``node@host``."""
        return {who: clock_at_end(self._traces.get(id, ())) for who, id in self._nodes.values() if id}

    @cached_property
    def _traces(self) -> dict[str, list[list[Point]]]:
        return read_traces(map(last_clocks, self._recording.files))

    @cached_property
    def _nodes(self) -> dict[str, tuple[str, str]]:
        """Who each publisher was, and the id of its node."""
        tracks = self._recording.tracks.values()
        return {track.publisher: (f"{track.node}@{track.host}", track.node_id) for track in tracks}

    def array(self, topic: str, *, start: Moment | None = None, end: Moment | None = None) -> ndarray[Any, Any]:
        """Return the messages of a topic as a structured numpy array, with ``sent_ns`` and ``received_ns`` of each.

        Fields of a struct message, or keys of a dict, are the fields of the array; what has none is ``value``. A field
        that has fields is an array with fields itself: ``bag.array("cmd")["linear"]["x"]``.

        Args:
            topic: the topic.
            start: as in ``messages``.
            end: as in ``messages``.

        Raises:
            ArgumentError: (a ValueError) no such topic, or no moment.
            IpcError: numpy is not installed.
            CodecError: (a ValueError) the messages do not have one type and shape.
            ClosedError: (an OSError) after ``close``.
        """
        from .arrays import array

        self._check_open()
        if not isinstance(topic, str) or "*" in topic:
            raise ArgumentError(f"an array has the messages of one topic, got {topic!r:.80}")
        numbers = self._recording.numbers(topic)
        return array(self._recording, numbers, self.span_ns(start, end), self._note)

    def verify(self) -> tuple[str, ...]:
        """Read all chunks and check what can be checked, and return ``damage``; no message is decoded.

        Raises:
            ClosedError: (an OSError) after ``close``.
        """
        self._check_open()
        for _ in self._recording.runs(self._recording.tracks, 0, 1 << 64):
            pass
        return self.damage

    def save(
        self,
        path: Path,
        topics: str | Iterable[str] | None = None,
        *,
        start: Moment | None = None,
        end: Moment | None = None,
        compression: str = "zstd",
        force: bool = False,
    ) -> int:
        """Write messages into a new recording, byte for byte: a part of this one, several as one, or what is whole.

        What the files say beside their messages (metadata, attachments) is written too. With ``start`` a latched topic
        begins with what it kept at that moment, received then. ``damage`` tells afterwards what could not be read.

        Args:
            path: the new file.
            topics: as in ``messages``.
            start: as in ``messages``.
            end: as in ``messages``.
            compression: ``zstd``, ``lz4`` or ``none``.
            force: overwrite a file that is there.

        Returns:
            The number of messages.

        Raises:
            ArgumentError: (a ValueError) the file is there and ``force`` is False; or as ``messages``.
            OSError: it cannot be written.
            ClosedError: (an OSError) after ``close``.
        """
        from .saving import save

        self._check_open()
        try:
            target = os.fspath(path)
        except TypeError:
            raise ArgumentError(f"a recording is saved under the path of a file, got {path!r:.80}") from None
        numbers = None if topics is None else self._recording.numbers(topics)
        return save(self._recording, target, numbers, self.span_ns(start, end), (compression, bool(force)))

    def span_ns(self, start: Moment | None = None, end: Moment | None = None) -> tuple[int, int]:
        """Return two moments in ns since 1970: where the messages begin, and where they are over.

        Raises:
            ArgumentError: (a ValueError) one is no moment, or the end is before the start.
        """
        first, last = self._recording.first_ns, self._recording.last_ns
        start_ns = moment_ns(start, first, last, 0)
        end_ns = moment_ns(end, first, last, 1 << 64)
        if end_ns < start_ns:
            raise ArgumentError(f"the end is before the start: {end!r} before {start!r}")
        return start_ns, end_ns

    def close(self) -> None:
        """Close the files; idempotent."""
        self._closed = True
        self._recording.close()

    def __enter__(self) -> Bag:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # one whose files could not be opened has none
            self._recording.close()

    def __repr__(self) -> str:
        state = " closed" if self._closed else ""
        return f"<ipcpy.Bag {', '.join(map(str, self._paths))}: {len(self):,} messages{state}>"

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(f"the bag {', '.join(map(str, self._paths))} is closed")

    def _note(self, number: int, error: CodecError) -> None:
        """Keep why a message could not be decoded; the first of each topic says it."""
        track = self._recording.tracks[number]
        if not track.faults:
            self._recording.files[number >> 16].note(f"a message of {track.topic!r:.80} was left out: {error}")
        track.faults += 1


def recording_of(bag: Bag) -> Recording:
    """Return the interior of a bag.

    Raises:
        ClosedError: it is closed.
    """
    bag._check_open()  # noqa: SLF001 (here only: all others hold handles)
    return bag._recording  # noqa: SLF001


def _described(name: str, found: list[tuple[Track, int]], lost: Mapping[str, int]) -> BagTopic:
    tracks = [track for track, _ in found]
    codec = tracks[0].reading.codec
    return BagTopic(
        name,
        sum(count for _, count in found),
        codec.name,
        codec.schema,
        " ".join(dict.fromkeys(track.type for track in tracks if track.type)),
        " ".join(dict.fromkeys(track.encoding for track in tracks)),
        tuple(dict.fromkeys((track.publisher, track.node, track.host) for track in tracks)),
        next((track.reading.note for track in tracks if track.reading.note), ""),
        dict(lost),
    )
