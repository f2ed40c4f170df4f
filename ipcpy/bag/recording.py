"""A recording of one file or several: its tracks, and its messages in one order. Knows files; decodes nothing."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from ..errors import ArgumentError
from ..protocol.topics import check_pattern, is_pattern, matches
from .form import NONE
from .opened import Block, Opened
from .order import in_order
from .own import Pairing, is_beside, origin_of
from .records import Entry
from .tracks import Track, topic_name

if TYPE_CHECKING:
    from mcap.records import Channel

__all__ = ["FILE_BITS", "Recording"]

FILE_BITS = 16  # bits; the number of a track is that of its channel, which has 16, and above them that of its file


class Recording:
    """Files that are read as one.

    Args:
        paths: where they are, in any order.

    Raises:
        ArgumentError, CodecError, OSError: as ``Opened``.

    Attributes:
        files: the files.
        tracks: the channels of all files, by a number that is theirs alone.
        second_views: the topics of channels that show messages of other channels a second time, by such a number.
        counts: how many messages each track has, as the files say.
        first_ns: when the first message was recorded; 0 if there is none.
        last_ns: when the last one was.
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        self.files: list[Opened] = []
        try:
            for path in paths:
                self.files.append(Opened(path))
        except BaseException:
            self.close()
            raise
        self.tracks: dict[int, Track] = {}
        self.second_views: dict[int, str] = {}
        self.counts: Counter[int] = Counter()
        self._beside: set[int] = set()
        self._publishers: dict[int, int] = {}
        for n, file in enumerate(self.files):
            for id, channel in file.contents.definitions.channels.items():
                self._add(file, n << FILE_BITS | id, channel)
        blocks = [block for file in self.files for block in file.contents.blocks if block.last_ns]
        self.first_ns = min((block.first_ns for block in blocks), default=0)
        self.last_ns = max((block.last_ns for block in blocks), default=0)

    def _add(self, file: Opened, number: int, channel: Channel) -> None:
        found = file.contents
        schema = found.definitions.schemas.get(channel.schema_id)
        if schema is None and channel.schema_id:
            file.note(f"channel {channel.id} ({channel.topic:.60}) has a schema {channel.schema_id} that is not there")
        origin = origin_of(channel)
        if is_beside(channel):
            self._beside.add(number)
        elif origin is not None and origin.body == NONE:
            self.second_views[number] = topic_name(origin.topic)
        else:
            self.tracks[number] = Track(channel, schema)
            self.counts[number] = found.counts[channel.id]
            if origin is not None:
                self._publishers[number] = int(origin.publisher, 16)

    @property
    def damage(self) -> list[str]:
        """Sentences on what is wrong with the files, as far as they were read."""
        alone = len(self.files) == 1
        return [text if alone else f"{file.path}: {text}" for file in self.files for text in file.damage]

    def numbers(self, topics: str | Iterable[str] | None) -> set[int]:
        """Return the numbers of the tracks of some topics.

        Args:
            topics: a name, a pattern, or several; None for all.

        Raises:
            ArgumentError: a name that the recording does not have, or a pattern that matches none.
        """
        if topics is None:
            return set(self.tracks)
        wanted = list(topics) if isinstance(topics, Iterable) and not isinstance(topics, str) else [topics]
        found: set[int] = set()
        for topic in wanted:
            if not isinstance(topic, str):
                raise ArgumentError(f"a topic is a str such as 'robot/imu', got {topic!r:.60}")
            if is_pattern(topic):
                check_pattern(topic)
            these = {number for number, track in self.tracks.items() if _is(topic, track.topic)}
            if not these:
                raise ArgumentError(f"the recording has no topic {topic!r:.80}; {self._known(topic)}")
            found |= these
        return found

    def _known(self, topic: str) -> str:
        names = sorted({track.topic for track in self.tracks.values()})
        near = difflib.get_close_matches(topic, names, 3) if len(names) < 10_000 else []
        if near:
            return f"did you mean {' or '.join(map(repr, near))}?"
        return f"it has {', '.join(names[:10]) or 'none'}{', ...' if len(names) > 10 else ''}"

    def runs(self, numbers: Collection[int], start_ns: int, end_ns: int) -> Iterator[list[Entry]]:
        """Yield messages by the time of their recording, in runs.

        Args:
            numbers: of the tracks.
            start_ns: the first moment that is wanted, in ns since 1970.
            end_ns: the first one that is not.
        """
        pairing = Pairing(self._beside, self._publishers) if self._beside else None
        for run in in_order(self._parts({*numbers, *self._beside}, start_ns, end_ns)):
            if pairing is not None:
                run = pairing.pair(run)
                if not run:
                    continue
            if run[0].log_ns < start_ns or run[-1].log_ns >= end_ns:
                run = [entry for entry in run if start_ns <= entry.log_ns < end_ns]
            if run:
                yield run

    def _parts(
        self, numbers: Collection[int], start_ns: int, end_ns: int
    ) -> Iterator[tuple[Block, Callable[[], list[Entry]]]]:
        for n, file in enumerate(self.files):
            wanted = {number & (1 << FILE_BITS) - 1 for number in numbers if number >> FILE_BITS == n}
            for block in file.contents.blocks if wanted else ():
                if block.last_ns < start_ns or block.first_ns >= end_ns:
                    continue
                if block.channels is None or not wanted.isdisjoint(block.channels):
                    yield block, partial(self._load, n, block, wanted)

    def _load(self, n: int, block: Block, wanted: set[int]) -> list[Entry]:
        entries = self.files[n].entries(block, wanted)
        return [entry._replace(channel=n << FILE_BITS | entry.channel) for entry in entries] if n else entries

    def close(self) -> None:
        """Close the files; idempotent."""
        for file in self.files:
            file.close()


def _is(wanted: str, topic: str) -> bool:
    """Tell whether a topic is the one that is wanted; ROS writes ``/imu`` for ``imu``."""
    return matches(wanted.lstrip("/"), topic.lstrip("/")) or wanted == topic
