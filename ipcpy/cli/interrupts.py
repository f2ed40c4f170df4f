"""Ctrl-C, SIGTERM and pipes that nobody reads: each ends a command, whenever it comes. Knows signals and threads only.

A signal becomes an exception of the main thread, once: what closes after it is not cut short by a second Ctrl-C. There
are moments at which an exception gets lost. Where a signal comes between the interpreter's last look and a system call
that waits, the exception is raised only when the call returns; raised within ``__del__``, it ends nothing but that. So
a thread of its own repeats a signal that has shown no effect, and ends the process where that does not help either.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

__all__ = ["INTERRUPTED", "TERMINATED", "ReaderGone", "Terminated", "leave_at_once", "signals_raised", "take_time"]

INTERRUPTED = 130  # 128 + SIGINT, as shells have it
TERMINATED = 143  # 128 + SIGTERM

PAUSE = 0.05  # s after which a signal that had no effect is repeated
LIMIT = 3.0  # s that a command may take to close what it has open


class Terminated(BaseException):
    """SIGTERM came."""


class ReaderGone(BaseException):
    """Nobody reads standard output any more. No OSError, which those who wait for a socket may take for their own."""


_time = [LIMIT]  # for the command that runs


_CODES: dict[int, int] = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}
_RAISED: dict[int, type[BaseException]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


def leave_at_once() -> None:
    """Let Ctrl-C and SIGTERM end the process with their exit codes while there is nothing to close.

    That is so while modules are loaded and when a command is done. A signal that this process was told to ignore
    (``nohup``, a job in the background of a script) stays ignored.
    """
    for number in _CODES:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)


def _leave(number: int, _frame: FrameType | None) -> None:
    os._exit(_CODES[number])


def take_time(seconds: float) -> None:
    """Let this command take so many seconds to close what it has open: a file that is to be written to its end."""
    _time[0] = seconds


@contextmanager
def signals_raised(pipe: int | None = None) -> Iterator[None]:
    """Make exceptions of signals: ``KeyboardInterrupt``, ``Terminated``, ``ReaderGone``.

    Args:
        pipe: the descriptor of standard output where that is a pipe or a socket; None where it is none.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kinds = dict(_RAISED)
    if pipe is not None and hasattr(signal, "SIGPIPE"):
        kinds[signal.SIGPIPE] = ReaderGone
    raising = _Raising(kinds)
    with raising.installed():
        if len(kinds) > len(_RAISED):
            threading.Thread(target=raising.await_reader_gone, args=(pipe,), daemon=True).start()
        yield


class _Raising:
    """Raises the exception of a signal in the main thread, and sees to it that it has an effect.

    Args:
        kinds: the exception of each signal.
    """

    def __init__(self, kinds: dict[int, type[BaseException]]) -> None:
        self._kinds = kinds
        self._taken = 0  # the signal whose exception is on its way
        self._over = threading.Event()
        self._main = threading.main_thread().ident or 0

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Take the signals, and give them back."""
        hook = sys.unraisablehook
        ignored = [number for number in _CODES if signal.getsignal(number) is signal.SIG_IGN]
        before: dict[int, Any] = {}
        with self._told():
            try:
                sys.unraisablehook = self._raise_again
                for number in self._kinds:
                    if number not in ignored:
                        before[number] = signal.signal(number, self._take)
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)
                sys.unraisablehook = hook

    def _take(self, number: int, _frame: FrameType | None) -> None:
        if not self._taken:
            self._taken = number
            raise self._kinds[number]

    def _raise_again(self, lost: sys.UnraisableHookArgs) -> None:
        """Take note of an exception that ended only ``__del__`` or the like; the thread raises it once more."""
        if issubclass(lost.exc_type, tuple(self._kinds.values())):
            self._taken = 0
        else:
            sys.__unraisablehook__(lost)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Start the thread that is told of each signal by the system, at once."""
        if not hasattr(signal, "pthread_kill"):
            yield
            return
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        threading.Thread(target=self._see_to_it, args=(reader,), daemon=True).start()
        before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        try:
            yield
        finally:
            self._over.set()
            signal.set_wakeup_fd(before)
            os.close(writer)

    def _see_to_it(self, reader: int) -> None:
        """Repeat what has shown no effect, and end the process where nothing else does."""
        told = os.read(reader, 1)
        while told and told[0] not in self._kinds:  # another one, which has a handler of its own
            told = os.read(reader, 1)
        if told:
            number = told[0]
            until = time.monotonic() + _time[0]
            while not self._over.wait(PAUSE) and time.monotonic() < until:
                if not self._taken:
                    self._kill(number)
            if not self._over.is_set():
                os._exit(_CODES.get(number, 0))
        os.close(reader)

    def await_reader_gone(self, stdout: int) -> None:
        """Wait until nobody reads standard output any more: a write would notice, but there may be nothing to write."""
        import select

        if not hasattr(select, "poll"):
            return
        poll = select.poll()
        poll.register(stdout, 0)  # errors and hang-ups are always told
        with suppress(OSError):
            poll.poll()
            if not self._over.is_set():
                self._kill(signal.SIGPIPE)

    def _kill(self, number: int) -> None:
        with suppress(OSError):
            signal.pthread_kill(self._main, number)
