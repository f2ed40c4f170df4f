"""How a command ends: its exit code, and a sentence where it failed. Knows nothing of what commands do.

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

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

import ipcpy as ipc

from .interrupts import INTERRUPTED, TERMINATED, ReaderGone, Terminated, signals_raised
from .render import printable_lines
from .streams import flush_stdout, silence_stdout, stdout_pipe

__all__ = ["INTERRUPTED", "NOTHING", "PROBLEMS", "TERMINATED", "WARNINGS", "NothingFound", "ended_well"]

NOTHING = 3
WARNINGS = 4
PROBLEMS = 5


class NothingFound(click.ClickException):
    """Nothing was found in time; the text says what may help."""

    exit_code = NOTHING

    def show(self, file: Any = None) -> None:
        """Print the text to standard error."""
        click.echo(f"ipcpy: {printable_lines(self.format_message())}", err=True)


@contextmanager
def ended_well() -> Iterator[None]:
    """Turn whatever ends a command into its exit code, without a traceback for what is no bug.

    Raises:
        click.exceptions.Exit: with the code.
        click.ClickException: with what was wrong.
    """
    try:
        with signals_raised(stdout_pipe()):
            yield
            flush_stdout()
    except KeyboardInterrupt:
        raise click.exceptions.Exit(INTERRUPTED) from None
    except Terminated:
        raise click.exceptions.Exit(TERMINATED) from None
    except (BrokenPipeError, ReaderGone):
        silence_stdout()
        raise click.exceptions.Exit(0) from None
    except ipc.ArgumentError as error:
        raise click.UsageError(printable_lines(str(error))) from None
    except (ipc.IpcError, OSError) as error:
        raise click.ClickException(printable_lines(_told(error))) from None


def _told(error: ipc.IpcError | OSError) -> str:
    """Return what an error says; of one of the system about a file, its name and what it is, without its number."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)
