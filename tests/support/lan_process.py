"""Processes under test: started in a clean environment, read by line, ended for sure. Knows nothing of networks."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Literal, TypeVar

T = TypeVar("T")
Stream = Literal["stdout", "stderr"]
Program = str | Path | Sequence[str]  # the text of a Python program, a Python file, or a command with its arguments

KEPT = (
    "HOME",
    "LANG",
    "LC_ALL",
    "PATH",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONPATH",
    "IPCPY_PURE",  # whichever is tested, in all programs
    "ASAN_OPTIONS",  # these three: a sanitizer, which has to be in every process (.ci/sanitize)
    "LD_PRELOAD",
    "UBSAN_OPTIONS",
    "TMPDIR",
    "VIRTUAL_ENV",
    "SYSTEMROOT",
)


class ProcessFailed(AssertionError):
    """A process did not do what the test waited for; the text holds what it printed."""


def wait_until(condition: Callable[[], T], timeout: float = 20.0, interval: float = 0.005) -> T:
    """Return the first true value of ``condition()``.

    Raises:
        AssertionError: there was none within ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            what = getattr(condition, "__qualname__", condition)
            raise AssertionError(f"{what} is still {value!r} after {timeout} s")
        time.sleep(interval)
    return value


def quickest(attempt: Callable[[], float], enough: float) -> float:
    """Return the best time of up to ten attempts: a busy machine delays some of them, a fault delays all."""
    best = attempt()
    for _ in range(9):
        best = min(best, attempt()) if best >= enough else best
    return best


def clean_env(env: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """Return an environment that has of the caller's only what Python needs, and ``env``; None takes a name out."""
    result: dict[str, str | None] = {name: os.environ[name] for name in KEPT if name in os.environ}
    result |= {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1", **(env or {})}
    return {name: value for name, value in result.items() if value is not None}


def command_for(program: Program, arguments: Iterable[str], folder: Path) -> list[str]:
    """Return the command that runs a program; a text becomes a file in ``folder``, so that it can spawn itself."""
    if isinstance(program, str):
        number = sum(1 for _ in folder.glob("program*.py")) + 1
        path = folder / f"program{number}.py"
        path.write_text(textwrap.dedent(program))
        program = path
    if isinstance(program, Path):
        return [sys.executable, str(program), *map(str, arguments)]
    return [*map(str, program), *map(str, arguments)]


class Process:
    """A running process with its output.

    Attributes:
        pid: its process id, also inside a test LAN.
        started, ended: seconds on the monotonic clock; ended is None while it runs.
        name: what it is called in a failure's report.
    """

    def __init__(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None, name: str = "") -> None:
        self.name = name or " ".join(map(str, argv[:3]))
        self.started = time.monotonic()
        self.ended: float | None = None
        self._popen = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,  # a Ctrl-C for pytest is not one for it, and its children can be ended with it
        )
        self.pid = self._popen.pid
        self._changed = threading.Condition()
        self._lines: dict[Stream, list[str]] = {"stdout": [], "stderr": []}
        self._seen: dict[Stream, int] = {"stdout": 0, "stderr": 0}
        self._open: set[Stream] = {"stdout", "stderr"}
        self._threads = [
            self._start(self._read, "stdout"),
            self._start(self._read, "stderr"),
            self._start(self._await_end),
        ]

    def _start(self, function: Callable[..., None], *arguments: str) -> threading.Thread:
        thread = threading.Thread(target=function, args=arguments, daemon=True)
        thread.start()
        return thread

    def _read(self, stream: Stream) -> None:
        source: IO[bytes] | None = getattr(self._popen, stream)
        assert source is not None
        with source:
            for line in source:
                with self._changed:
                    self._lines[stream].append(line.decode(errors="replace").rstrip("\r\n"))
                    self._changed.notify_all()
        with self._changed:
            self._open.discard(stream)
            self._changed.notify_all()

    def _await_end(self) -> None:
        self._popen.wait()
        with self._changed:
            self.ended = time.monotonic()
            self._changed.notify_all()

    @property
    def stdout(self) -> str:
        """What it printed so far."""
        return self._text("stdout")

    @property
    def stderr(self) -> str:
        """What it complained of so far."""
        return self._text("stderr")

    def _text(self, stream: Stream) -> str:
        with self._changed:
            return "".join(f"{line}\n" for line in self._lines[stream])

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.ended is None

    def wait_line(self, pattern: str, timeout: float = 40.0, stream: Stream = "stdout") -> re.Match[str]:
        """Wait for a line that holds the pattern, after the line that matched last.

        Raises:
            ProcessFailed: there was none within ``timeout`` seconds, or the process closed the stream before.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                while self._seen[stream] < len(self._lines[stream]):
                    line = self._lines[stream][self._seen[stream]]
                    self._seen[stream] += 1
                    if match := re.search(pattern, line):
                        return match
                if stream not in self._open:
                    break
                if not self._changed.wait(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                    break
            if stream not in self._open:  # it ends, most likely: then say with which code
                self._changed.wait_for(lambda: self.ended is not None, 1.0)
        raise ProcessFailed(
            f"no line matches {pattern!r} after {time.monotonic() - self.started:.2f} s\n{self.report()}"
        )

    def send_line(self, text: str = "") -> None:
        """Write a line to its standard input."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(f"{text}\n".encode())
        self._popen.stdin.flush()

    def close_stdin(self) -> None:
        """End its standard input."""
        assert self._popen.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._popen.stdin.close()

    def signal(self, number: int) -> None:
        """Send a signal to this process alone."""
        self._popen.send_signal(number)

    def kill(self) -> None:
        """Kill this process alone, and wait until it is gone."""
        self._popen.kill()
        self.wait()

    def wait(self, timeout: float = 40.0) -> int:
        """Wait for the end and return the exit code, negative for a signal.

        Raises:
            ProcessFailed: it still runs after ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            if not self._changed.wait_for(lambda: self.ended is not None, timeout):
                raise ProcessFailed(f"still running after {timeout} s\n{self.report()}")
            left = max(0.1, deadline - time.monotonic())  # its children may hold the pipes
            self._changed.wait_for(lambda: not self._open, min(left, 1.0))
        assert self._popen.returncode is not None
        return self._popen.returncode

    def succeed(self, timeout: float = 40.0) -> str:
        """Wait for the end, insist on exit code 0, and return standard output."""
        if (code := self.wait(timeout)) != 0:
            raise ProcessFailed(f"exit code {code}\n{self.report()}")
        return self.stdout

    def end(self) -> None:
        """End it and its children, whatever they do. Used at teardown."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self.pid, signal.SIGKILL)
        if self.running:
            self._popen.kill()
        for thread in self._threads:
            thread.join(2.0)
        self.close_stdin()

    def report(self) -> str:
        """Say what became of it and what it printed."""
        state = "running" if self.running else f"exit code {self._popen.returncode}"
        parts = [f"--- {self.name} (pid {self.pid}): {state}"]
        for stream in ("stdout", "stderr"):
            lines = self._text(stream).splitlines()
            if lines:
                parts += [f"{stream}:" + (" (last 100 lines)" if len(lines) > 100 else ""), *lines[-100:]]
        return "\n".join(parts)
