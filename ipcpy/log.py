"""What ipcpy says about itself, on demand. Knows the logger ``ipcpy``; without ``IPCPY_LOG`` it touches nothing."""

from __future__ import annotations

import os
import sys

from .errors import ArgumentError
from .importing import importing
from .typed import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:  # 7 ms to import with what it imports: when something is said
    from logging import Logger

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
    import logging

    logger = logging.getLogger("ipcpy")
    logger.setLevel(level.upper())
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False


class _Speaker:
    """Has what the logger of a name has, and gets that logger when it is asked for it.

    What is said below a warning nobody wants to hear who has not imported ``logging`` himself: it is not for that.
    """

    __slots__ = ("_logger", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        self._logger: Logger | None = None

    def __getattr__(self, what: str) -> Any:
        if self._logger is None:
            if what in ("debug", "info") and "logging" not in sys.modules:
                return _unheard
            with importing.lock:  # it may be the I/O thread that speaks first
                import logging

            self._logger = logging.getLogger(self._name)
        return getattr(self._logger, what)


def _unheard(*_: object, **__: object) -> None:
    pass


def get_logger(name: str) -> Logger:
    """Return the logger of a module; ``logging`` is imported with the first thing that is said."""
    return cast("Logger", _Speaker(name))
