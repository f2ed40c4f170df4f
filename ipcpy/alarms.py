"""Telling what a signal handler raised from what the system refused, for both may be an OSError.

A program that limits its time has a handler of SIGALRM raise TimeoutError, which is an OSError. Knows exceptions and
threads; nothing of sockets.
"""

from __future__ import annotations

import contextlib
import threading
from types import TracebackType


def is_alarm(error: BaseException | None) -> bool:
    """Tell whether an exception is a TimeoutError of a signal handler: what the system raises has a number."""
    return (
        isinstance(error, TimeoutError)
        and error.errno is None
        and threading.current_thread() is threading.main_thread()  # where signal handlers run
    )


def raise_alarm(error: BaseException) -> None:
    """Raise an exception that is an alarm; return where it is none."""
    if is_alarm(error):
        raise error


class Refusals(contextlib.suppress):
    """Ends a block where the system refused something, without an error; what a signal handler raised is raised."""

    def __init__(self) -> None:
        super().__init__(OSError)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return super().__exit__(kind, value, trace) and not is_alarm(value)
