"""Moments of a recording as users give them: seconds from its beginning or its end, dates. Reads no clock."""

from __future__ import annotations

import math
from datetime import datetime

from ..errors import ArgumentError

__all__ = ["Moment", "moment_ns"]

Moment = float | datetime
_NS = 10**17  # from here on a number is no seconds of a recording, which would be 3e9 years, but ns since 1970


def moment_ns(moment: Moment | None, first_ns: int, last_ns: int, default_ns: int) -> int:
    """Return a moment in ns since 1970.

    Args:
        moment: seconds since the recording began; below 0 before it ended; a datetime; ns since 1970, as messages have
            them, which are told from seconds by their size; None for the default.
        first_ns: when the recording began.
        last_ns: when it ended.
        default_ns: the default.

    Raises:
        ArgumentError: it is none of these.
    """
    if moment is None:
        return default_ns
    if isinstance(moment, datetime):
        return int(moment.timestamp() * 1_000_000) * 1000
    if isinstance(moment, bool) or not isinstance(moment, int | float) or not math.isfinite(moment):
        raise ArgumentError(
            f"a moment is seconds since the recording began, below 0 before it ended, or a datetime; got {moment!r:.60}"
        )
    if moment >= _NS:
        return int(moment)
    return int(moment * 1e9) + (last_ns if moment < 0 or str(moment) == "-0.0" else first_ns)
