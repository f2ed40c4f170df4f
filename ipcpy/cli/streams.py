"""The three standard streams of a command: closed ones, full disks, other encodings. Knows nothing of what passes."""

from __future__ import annotations

import codecs
import io
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from typing import BinaryIO

__all__ = ["flush_stdout", "mended", "silence_stdout", "stdin_lines", "stdout_pipe"]


@contextmanager
def mended() -> Iterator[None]:
    """Make standard streams fit to be used, and see to it that what is still buffered makes no trouble at exit.

    What the encoding of standard output lacks is written as an escape (``\\u2028``). A closed stream is replaced by
    nothing, else the first socket would get its number.

    Raises:
        SystemExit: standard output or standard error cannot be written.
    """
    _open_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
        flush_stdout()
    except OSError as error:  # while a usage or a help was written
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"Error: standard output cannot be written: {error.strerror}\n")
        raise SystemExit(1) from None
    finally:
        try:
            flush_stdout()
        except OSError:
            silence_stdout()


def _open_closed() -> None:
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)  # it gets the lowest number that is free: this one
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:  # click before 8.2 cannot write to that
            with suppress(OSError):
                setattr(sys, name, open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False))


def flush_stdout() -> None:
    """Write what is buffered.

    Raises:
        OSError: it cannot be written.
    """
    with suppress(ValueError, AttributeError):  # closed, or none (pythonw)
        sys.stdout.flush()


def silence_stdout() -> None:
    """Let what is still buffered go nowhere, else the interpreter complains when it exits."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def stdout_pipe() -> int | None:
    """Return the descriptor of standard output if it is a pipe or a socket, whose other end may be closed."""
    try:
        number = sys.stdout.fileno()
        mode = os.fstat(number).st_mode
    except (OSError, ValueError, AttributeError):  # closed, or not a file at all
        return None
    return number if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None


def stdin_lines() -> Iterator[str]:
    """Yield the lines of standard input, each when it is there: UTF-8 whatever the locale, or UTF-16 that says so.

    Raises:
        ValueError: a line is not in that encoding.
    """
    source: BinaryIO = sys.stdin.buffer
    first = source.readline()
    if first.startswith(codecs.BOM_UTF32_LE):  # it begins as that of UTF-16 does
        raise ValueError("it is UTF-32, not UTF-8")
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        yield from _utf16_lines(chain((first,), source))
        return
    for line in chain((first,) if first else (), source):
        try:
            text = line.decode("utf-8-sig").rstrip("\r\n")
        except UnicodeDecodeError as error:
            what = f"byte {line[error.start]:#04x} at column {error.start + 1}"
            raise ValueError(f"it is not UTF-8 ({what})") from None
        if "\0" in text:  # UTF-16 without its mark reads as UTF-8 with every other byte 0
            raise ValueError("it has a NUL character, as UTF-16 without its mark has; JSON writes it \\u0000")
        yield text


def _utf16_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-16")()
    text = ""
    try:
        for chunk in chain(chunks, (b"",)):
            text += decoder.decode(chunk, final=not chunk)
            *lines, text = text.split("\n")
            yield from (line.rstrip("\r") for line in lines)
    except UnicodeDecodeError as error:
        raise ValueError(f"it begins as UTF-16 and is not UTF-16 ({error.reason})") from None
    if text:
        yield text
