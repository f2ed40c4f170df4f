"""Single keys of the terminal, while a command goes on. Knows terminals; nothing of what a key means."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["keys"]

Wait = Callable[[float], str]
_PIECE = 0.05  # s, where a terminal cannot be waited for


@contextmanager
def keys() -> Iterator[Wait | None]:
    """Yield what waits for keys for some seconds and returns those pressed, or an empty text; None without a keyboard.

    The terminal hands over keys as they are pressed meanwhile, and does not show them. Ctrl-C stays Ctrl-C.
    """
    if sys.stdin is None or not sys.stdin.isatty() or not _in_front(sys.stdin.fileno()):
        yield None
        return
    try:
        import termios
        import tty
    except ImportError:
        yield _wait_on_windows if sys.platform == "win32" else None
        return
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    try:
        tty.setcbreak(number, termios.TCSADRAIN)
        yield lambda seconds: _wait(number, seconds)
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def _in_front(number: int) -> bool:
    """Tell whether the terminal is this process's to change: one in the background would be stopped."""
    try:
        return os.tcgetpgrp(number) == os.getpgrp()
    except (AttributeError, OSError):
        return sys.platform == "win32"


def _wait(number: int, seconds: float) -> str:
    import select

    ready, _, _ = select.select([number], [], [], max(0.0, seconds))
    if not ready:
        return ""
    read = os.read(number, 16)
    if not read:  # the terminal is gone
        time.sleep(max(0.0, seconds))
    return read.decode("utf-8", "replace")


def _wait_on_windows(seconds: float) -> str:
    import importlib

    console = importlib.import_module("msvcrt")
    until = time.monotonic() + seconds
    while not console.kbhit():
        left = until - time.monotonic()
        if left <= 0:
            return ""
        time.sleep(min(left, _PIECE))
    key: str = console.getwch()
    return key
