"""What ipcpy says about itself, on demand. Knows the logger ``ipcpy``; without ``IPCPY_LOG`` it touches nothing."""

from __future__ import annotations

import logging
import os

from .errors import ArgumentError

LEVELS = ("debug", "info", "warning", "error")


def configure() -> None:
    """Show the log on standard error from the level in ``IPCPY_LOG`` on: debug, info, warning or error.

    Raises:
        ArgumentError: if it is none of those.
    """
    level = os.environ.get("IPCPY_LOG", "").lower()
    if not level:
        return
    if level not in LEVELS:
        raise ArgumentError(f"IPCPY_LOG is one of {', '.join(LEVELS)}, got {level!r}")
    logger = logging.getLogger("ipcpy")
    logger.setLevel(level.upper())
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False
