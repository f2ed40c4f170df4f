"""Names of parametrized tests: what a value looks like, the same in every run."""

from __future__ import annotations

import re


def shown(value: object, limit: int = 80) -> str:
    """Return the repr of a value without where it lies in memory, cut to a number of characters."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))[:limit]
