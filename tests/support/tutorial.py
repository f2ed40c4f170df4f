"""A document's programs and terminals, read and carried out. Knows the form of docs/tutorial.md; nothing of hosts.

A ``python`` block whose first line is ``# name.py`` is a file. A ``console`` block is a terminal: after a prompt such
as ``robot$`` comes a command, then what it prints. Each printed line has to come, in its order, and others may come
between: numbers match any number, blanks any blanks, a host's name at the end of a line any name, and ``...`` anything.
``^C`` is Ctrl-C.

A ``python`` command that does not end by itself goes on; the same command with ``...`` behind it is its terminal again.
"""

from __future__ import annotations

import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lan_process import Process, ProcessFailed

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROMPT = re.compile(r"^(\w+)\$ (.+)$")
TOKEN = re.compile(r"\.\.\.|\b(?:robot|laptop)$|\d+(?:[.,]\d+)*(?:e[+-]?\d+)?|\s+")
FORMS = {"...": ".*", "robot": r"\S+", "laptop": r"\S+", " ": r"\s+", "0": r"(?:[\d.,]+(?:e[+-]?\d+)?|inf)"}
PATIENCE = 20.0  # seconds, for machines that are slow


@dataclass(frozen=True)
class File:
    """A program to save."""

    name: str
    text: str


@dataclass(frozen=True)
class Typed:
    """A command on a host, and what is shown of it."""

    host: str
    command: str
    shown: tuple[str, ...]

    @property
    def again(self) -> bool:
        """Whether this is the terminal of a command, if that runs already."""
        return self.shown[:1] == ("...",)


def steps(document: str) -> Iterator[File | Typed]:
    """Return what a reader does, in order."""
    for language, text in BLOCK.findall(document):
        if language == "python":
            yield File(text.split("\n", 1)[0].removeprefix("# "), text)
        elif language == "console":
            yield from _typed(text.splitlines())


def _typed(lines: Sequence[str]) -> Iterator[Typed]:
    starts = [n for n, line in enumerate(lines) if PROMPT.match(line)]
    assert starts[:1] == [0], f"a terminal begins with a prompt, and not with {lines[0]!r}"
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        host, command = PROMPT.findall(lines[start])[0]
        yield Typed(host, command, tuple(line for line in lines[start + 1 : end] if line.strip()))


def pattern(line: str) -> str:
    """Return what a printed line has to match, from its beginning to its end."""
    parts, at = [], 0
    line = line.strip()
    for match in TOKEN.finditer(line):
        parts.append(re.escape(line[at : match.start()]))
        token = match[0]
        kind = token if token in FORMS else " " if token.isspace() else "0"
        parts.append(FORMS[kind])
        at = match.end()
    return rf"^\s*{''.join(parts)}{re.escape(line[at:])}\s*$"


class Reader:
    """Does what a document says, and insists on what it shows.

    Args:
        spawn: starts words with an environment on a host of a name.
        folder: where files are saved; the working directory of what ``spawn`` starts.
    """

    def __init__(self, spawn: Callable[[str, list[str], dict[str, str]], Process], folder: Path) -> None:
        self._spawn = spawn
        self._folder = folder
        self._running: dict[tuple[str, str], Process] = {}
        self.done: list[str] = []

    def do(self, step: File | Typed) -> None:
        """Save a file, or type a command and wait for what is shown of it."""
        if isinstance(step, File):
            (self._folder / step.name).write_text(step.text, encoding="utf-8")
            return
        self.done.append(f"{step.host}$ {step.command}")
        key = (step.host, step.command)
        process = self._running[key] if step.again and key in self._running else self._start(step)
        interrupted = step.shown[-1:] == ("^C",)
        for line in step.shown:
            if line not in ("...", "^C"):
                self._await(process, pattern(line))
        if interrupted:
            process.signal(signal.SIGINT)
        if interrupted or "python" not in shlex.split(step.command):
            self._end(step, process)

    @staticmethod
    def _await(process: Process, pattern: str) -> None:
        """Wait for a line in what a terminal shows: of a program's two streams what goes to the second comes last."""
        try:
            process.wait_line(pattern, PATIENCE)
        except ProcessFailed:
            process.wait_line(pattern, PATIENCE, "stderr")

    def _start(self, step: Typed) -> Process:
        words = shlex.split(step.command)
        env = {}
        while "=" in words[0]:
            name, _, value = words.pop(0).partition("=")
            env[name] = value
        if words[0] == "ipcpy":
            words[:1] = [sys.executable, "-m", "ipcpy"]
        else:
            assert words[0] == "python", f"the document types {words[0]}, and readers know python and ipcpy"
            words[0] = sys.executable
        process = self._running[step.host, step.command] = self._spawn(step.host, words, env)
        return process

    def _end(self, step: Typed, process: Process) -> None:
        code = process.wait(PATIENCE)
        del self._running[step.host, step.command]
        refused = any(line.startswith("Error: ") for line in step.shown)
        assert code == (1 if refused else 0), process.report()

    def end(self) -> None:
        """End what goes on."""
        for process in self._running.values():
            process.signal(signal.SIGINT)
        for process in self._running.values():
            assert process.wait(PATIENCE) == 0, process.report()
