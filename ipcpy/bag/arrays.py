"""The messages of one topic of a recording as an array. Knows which way is quick; opens no file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..codec.schema import MessageSpec
from ..errors import CodecError
from .columns import array_of_data, array_of_structs, need_numpy, with_times
from .recording import Recording
from .records import Entry

if TYPE_CHECKING:
    from numpy import ndarray

__all__ = ["array"]


def array(
    recording: Recording, numbers: set[int], span_ns: tuple[int, int], note: Callable[[int, CodecError], None]
) -> ndarray[Any, Any]:
    """Return messages as a structured array.

    Args:
        recording: where they are.
        numbers: of their tracks.
        span_ns: the first moment, and the first one that is not wanted.
        note: told which track had a message that cannot be decoded; it is left out.

    Raises:
        IpcError: numpy is not installed.
        CodecError: they have no one type and shape.
    """
    need_numpy()
    readings = {number: recording.tracks[number].reading for number in numbers if recording.counts[number]}
    spec = _common([reading.spec for reading in readings.values()])
    make: dict[int, Callable[[Entry], Any]] = {
        number: reading.data if spec is None or reading.payload is None else reading.payload
        for number, reading in readings.items()
    }
    rows: list[Any] = []
    sent_ns: list[int] = []
    received_ns: list[int] = []
    for run in recording.runs(readings, *span_ns):
        for entry in run:
            try:
                rows.append(make[entry.channel](entry))
            except CodecError as error:
                note(entry.channel, error)
                continue
            sent_ns.append(entry.publish_ns)
            received_ns.append(entry.log_ns)
    made = array_of_data(rows) if spec is None else array_of_structs(spec, rows)
    return with_times(made, sent_ns, received_ns)


def _common(specs: list[MessageSpec | None]) -> MessageSpec | None:
    """Return what struct messages are, if they are all the same, and numpy has their values as they lie.

    It has not texts, nor pascal strings with their length.
    """
    spec = specs[0] if specs else None
    if spec is None or any(each != spec for each in specs) or spec.texts or spec.kind == "str":
        return None
    return None if any(run.code[-1] == "p" for run in spec.layout.repeats) else spec
