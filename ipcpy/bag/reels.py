"""The part of a recording that is played: some topics, from one moment to another. Knows no time and no publisher."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from operator import itemgetter

from .recording import Recording
from .records import Entry
from .tracks import Track

__all__ = ["Reel", "latched"]

_OWN = "ipcpy/"
_PARAMETERS = "/parameters"


class Reel:
    """Messages of a recording.

    Args:
        recording: the recording.
        topics: a topic, a pattern, or several; None for all but ipcpy's own, which ask black boxes to write, and
            but parameters: their owner tells them.
        span_ns: the first moment, and the first one that is not wanted.

    Raises:
        ArgumentError: a topic that the recording does not have.

    Attributes:
        tracks: the tracks, by number; those without a message are left out.
        first_ns: where it begins.
        last_ns: where its last message is, or the span ends.
    """

    def __init__(self, recording: Recording, topics: str | Iterable[str] | None, span_ns: tuple[int, int]) -> None:
        self._recording = recording
        self._span_ns = span_ns
        found = {number: recording.tracks[number] for number in sorted(recording.numbers(topics))}
        self.tracks = {
            number: track
            for number, track in found.items()
            if recording.counts[number] and (topics is not None or not _is_others(track))
        }
        self.first_ns = max(recording.first_ns, span_ns[0])
        self.last_ns = max(self.first_ns, min(recording.last_ns, span_ns[1]))

    def runs(self) -> Iterator[list[Entry]]:
        """Yield its messages by the time of their recording, in runs."""
        return self._recording.runs(self.tracks, *self._span_ns)

    def latched(self) -> list[Entry]:
        """Return what latched topics kept at its beginning: the last messages before it."""
        return latched(self._recording, self.tracks, self._span_ns[0])


def _is_others(track: Track) -> bool:
    """Tell whether a topic is somebody's own to publish on."""
    if track.topic.endswith(_PARAMETERS):
        return "parameters" in track.reading.codec.schema
    return track.topic.startswith(_OWN)


def latched(recording: Recording, numbers: Iterable[int], start_ns: int) -> list[Entry]:
    """Return what the latched ones among some tracks kept at a moment, by the time of their recording."""
    keeps = {number: recording.tracks[number].keep for number in numbers}
    kept = {number: deque[Entry]([], keep) for number, keep in keeps.items() if keep}
    if not kept or start_ns <= recording.first_ns:
        return []
    for run in recording.runs(kept, 0, start_ns):
        for entry in run:
            kept[entry.channel].append(entry)
    return sorted((entry for each in kept.values() for entry in each), key=itemgetter(0))
