"""Messages of several files in one order: by the time of their recording. Knows entries and blocks; opens nothing."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter

from .opened import Block
from .records import Entry

__all__ = ["in_order"]

_log_ns = itemgetter(0)


def in_order(parts: Iterable[tuple[Block, Callable[[], list[Entry]]]]) -> Iterator[list[Entry]]:
    """Yield the messages of all blocks by the time of their recording, in runs.

    Messages of one time keep the order of the blocks. No more blocks are in memory than have messages of one time.

    Args:
        parts: blocks, and what returns the messages of each in order.
    """
    ordered = sorted(enumerate(parts), key=lambda part: part[1][0].first_ns)
    loaded: dict[int, list[Entry]] = {}  # what is left of blocks, by their place
    for number, (place, (_, load)) in enumerate(ordered, 1):
        loaded[place] = load()
        until_ns = ordered[number][1][0].first_ns if number < len(ordered) else math.inf
        run = _take(loaded, until_ns)
        if run:
            yield run


def _take(loaded: dict[int, list[Entry]], until_ns: float) -> list[Entry]:
    """Take out the messages before a moment, in order."""
    run: list[Entry] = []
    several = len(loaded) > 1
    for place in sorted(loaded):
        entries = loaded[place]
        ready = bisect_left(entries, until_ns, key=_log_ns)
        run += entries[:ready]
        if ready < len(entries):
            loaded[place] = entries[ready:]
        else:
            del loaded[place]
    if several:
        run.sort(key=_log_ns)
    return run
