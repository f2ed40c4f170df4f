"""Times to wait: what a user's timeout may be, and the time that never comes. Knows numbers; waits for nothing."""

from __future__ import annotations

import math
from typing import Any

from .errors import ArgumentError

NEVER = float("inf")
FOR_EVER = 1e6  # seconds; select.poll takes no more than 24 days


def seconds(timeout: Any) -> float | None:
    """Check a time to wait that a user gave; None for ever, which is what more than FOR_EVER is taken for.

    Raises:
        ArgumentError: if it is no number.
    """
    if timeout is None:
        return None
    try:
        value = float(timeout)
    except (TypeError, ValueError):
        value = math.nan
    if math.isnan(value):
        raise ArgumentError(f"timeout is a time in seconds, or None to wait for ever, got {timeout!r}")
    return None if value > FOR_EVER else max(value, 0.0)
