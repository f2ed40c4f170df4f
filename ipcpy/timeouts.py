"""What to wait for: what a user's timeout, count and rate may be, the time that never comes, waits in pieces, and the
error of who waited in vain. Knows numbers, and which platform lets Ctrl-C end a wait; not what is waited for.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable

from .errors import ArgumentError, RecvTimeout
from .typed import Any, TypeVar

NEVER = float("inf")
SHARE = 200  # of the time that errors of short waits take to find out the reason, the whole is this many times as much
FOR_EVER = 1e6  # seconds; select.poll takes no more than 24 days
MAX_RATE = 1e6  # times a second
MIN_RATE = 1 / FOR_EVER
SHORTEST = 0.001  # seconds: what is late by less nobody can be told in time
PIECE = 0.1 if sys.platform == "win32" else None  # seconds
"""On Windows Ctrl-C ends no wait for a lock or a socket: KeyboardInterrupt comes after it. So waits are short there."""

Found = TypeVar("Found")


def piece(timeout: float | None) -> float | None:
    """Return how long to wait at a time, of the seconds left (None for ever), before one looks again."""
    return timeout if PIECE is None else min(PIECE, FOR_EVER if timeout is None else timeout)


def in_pieces(wait: Callable[[float | None], Found], timeout: float | None) -> Found:
    """Wait for something that can be waited for again and again, in pieces where Ctrl-C could not end the whole.

    Args:
        wait: waits for so many seconds, None for ever, and returns something false where the time was up.
        timeout: seconds; None for ever.

    Returns:
        What ``wait`` returned last.
    """
    deadline = NEVER if timeout is None else time.monotonic() + timeout
    left = timeout
    while True:
        found = wait(piece(left))
        if found or piece(left) == left:
            return found
        left = None if timeout is None else max(0.0, deadline - time.monotonic())


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


def hertz(rate: Any) -> float:
    """Check how many times a second something is to happen.

    Raises:
        ArgumentError: if it is no number from MIN_RATE to MAX_RATE.
    """
    if not MIN_RATE <= (value := _plain(rate)) <= MAX_RATE:
        raise ArgumentError(
            f"a rate is a number of times a second from {MIN_RATE:f} to {MAX_RATE:,.0f}, got {rate!r:.80}"
        )
    return value


def patience(name: str, value: Any) -> float:
    """Check how long a user is ready to do without something.

    Args:
        name: the argument's.

    Raises:
        ArgumentError: if it is no time from SHORTEST to FOR_EVER.
    """
    if not SHORTEST <= (found := _plain(value)) <= FOR_EVER:
        raise ArgumentError(f"{name} is a time in seconds from {SHORTEST:g} to {FOR_EVER:,.0f}, got {value!r}")
    return found


def _plain(value: Any) -> float:
    """Return a number of any kind as a float, what is none as not a number."""
    if isinstance(value, bool | str | bytes):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def number(count: Any) -> int:
    """Check how many publishers or subscribers a user wants to wait for.

    Raises:
        ArgumentError: if it is no number from 0.
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise ArgumentError(f"count is how many to wait for, a number from 0, got {count!r}")
    return count


def after(timeout: float | None) -> str:
    """Say how long one waited in vain; a wait for ever is in vain where nothing can change."""
    return "while a signal handler runs that interrupted the same" if timeout is None else f"within {timeout:g} s"


class Explanations:
    """The errors of waits that were in vain, each with the reason.

    The reason is found out at once, so that it is the one of that moment. In a loop of short waits this would take more
    time than the waits: there it is done now and then, and for the other errors when somebody asks for their text.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next = -NEVER  # when a reason is found out at once again

    def error(self, message: str, why: Callable[[], str]) -> RecvTimeout:
        """Return an error to raise.

        Args:
            message: what was waited for.
            why: returns the reason.
        """
        error, now = RecvTimeout(message), self._clock()
        error.why = why
        if now >= self._next:
            str(error)
            self._next = now + SHARE * (self._clock() - now)
        return error
