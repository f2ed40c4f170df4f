"""How a command ends: exit codes, signals and closed pipes. Knows nothing of what commands do.

====  ==========================================================================================
code  meaning
====  ==========================================================================================
0     done; also when the reader of our output closed the pipe (``ipcpy echo imu | head -1``)
1     failed
2     wrong usage
3     nothing was found, or nobody was there, before ``--timeout``
4     ``ipcpy doctor`` has warnings, but found no problem
5     ``ipcpy doctor`` found a problem
130   interrupted (Ctrl-C)
143   terminated (SIGTERM)
====  ==========================================================================================
"""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

import click

import ipcpy as ipc

__all__ = ["INTERRUPTED", "NOTHING", "PROBLEMS", "TERMINATED", "WARNINGS", "NothingFound", "ended_well"]

NOTHING = 3
WARNINGS = 4
PROBLEMS = 5
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
TERMINATED = 143  # 128 + SIGTERM

TRIES, PAUSE = 20, 0.05  # s; a signal just before a system call that waits does not end it, the next one does


class NothingFound(click.ClickException):
    """Nothing was found in time; the text says what may help."""

    exit_code = NOTHING

    def show(self, file: Any = None) -> None:
        """Print the text to standard error."""
        click.echo(f"ipcpy: {self.format_message()}", err=True)


class _Terminated(BaseException):
    """SIGTERM came."""


class _ReaderGone(BaseException):
    """Nobody reads standard output any more. No OSError, which those who wait for a socket may take for their own."""


@contextmanager
def ended_well() -> Iterator[None]:
    """Turn whatever ends a command into its exit code, without a traceback for what is no bug.

    Raises:
        click.exceptions.Exit: with the code.
        click.ClickException: with what was wrong.
    """
    try:
        with _signals():
            yield
            _flush()
    except KeyboardInterrupt:
        raise click.exceptions.Exit(INTERRUPTED) from None
    except _Terminated:
        raise click.exceptions.Exit(TERMINATED) from None
    except (BrokenPipeError, _ReaderGone):
        _silence_stdout()
        raise click.exceptions.Exit(0) from None
    except ipc.ArgumentError as error:
        raise click.UsageError(str(error)) from None
    except (ipc.IpcError, OSError) as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def _signals() -> Iterator[None]:
    """Make SIGTERM and the end of a pipe's reader exceptions of the main thread, which end any wait."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers: dict[int, Any] = {signal.SIGTERM: _raise_terminated}
    if hasattr(signal, "SIGPIPE") and _stdout_is_pipe():
        handlers[signal.SIGPIPE] = _raise_broken_pipe
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    if len(handlers) > 1:
        threading.Thread(target=_await_reader_gone, args=(sys.stdout.fileno(),), daemon=True).start()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise_terminated(_number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once: what closes now must not be cut short
    raise _Terminated


def _raise_broken_pipe(number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)
    raise _ReaderGone


def _stdout_is_pipe() -> bool:
    try:
        mode = os.fstat(sys.stdout.fileno()).st_mode
    except (OSError, ValueError, AttributeError):  # closed, or not a file at all
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _await_reader_gone(stdout: int) -> None:
    """Wait until nobody reads standard output any more: a write would notice, but there may be nothing to write."""
    import select

    if not hasattr(select, "poll"):
        return
    poll = select.poll()
    poll.register(stdout, 0)  # errors and hang-ups are always told
    with suppress(OSError):
        poll.poll()
        for _ in range(TRIES):
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGPIPE)
            time.sleep(PAUSE)


def _flush() -> None:
    with suppress(ValueError, AttributeError):  # closed, or none (pythonw)
        sys.stdout.flush()


def _silence_stdout() -> None:
    """Let what is still buffered go nowhere, else the interpreter complains when it exits."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
