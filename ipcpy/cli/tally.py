"""What a recorder shows: a line that moves, what gets lost, a table at the end. Knows its statistics only."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

import ipcpy as ipc

from .render import duration, per_second, plural, printable, size, table, warning

__all__ = ["Progress", "record_of", "summary"]

EVERY = 1.0  # seconds between two lines
SHORT = 120.0  # seconds of recording that the disk has room for, from which on a warning says so


class Progress:
    """The line that moves, on a terminal; elsewhere only what is lost is told, each time that it has doubled."""

    def __init__(self) -> None:
        self._terminal = sys.stderr is not None and sys.stderr.isatty()
        self._at = self._began = time.monotonic()
        self._bytes = 0
        self._told = 0
        self._short = False
        self._shown = False

    def show(self, held: ipc.Recorder | ipc.BlackBox) -> None:
        """Show how things stand, if it is time; to count them costs something where there are many topics."""
        now = time.monotonic()
        if now - self._at < EVERY:
            return
        stats = held.stats
        rate = (stats.bytes - self._bytes) / (now - self._at)
        self._at, self._bytes = now, stats.bytes
        self._tell_losses(stats)
        self._tell_disk(stats, rate)
        if self._terminal:
            line = progress_line(stats, rate, now - self._began)[: shutil.get_terminal_size().columns - 1]
            click.echo(f"\r{line}\x1b[K", err=True, nl=False)
            self._shown = True

    def _tell_losses(self, stats: ipc.RecorderStats) -> None:
        lost = sum(stats.lost.values())
        if lost >= max(1, 2 * self._told):
            self._told = lost
            self._say(f"lost {plural(lost, 'message')} so far: {causes(stats.lost)}")

    def _tell_disk(self, stats: ipc.RecorderStats, rate: float) -> None:
        if rate and not self._short and 0 < stats.disk_left < rate * SHORT:
            self._short = True
            self._say(f"the disk has room for {size(stats.disk_left)}: {duration(stats.disk_left / rate)} at this rate")

    def _say(self, text: str) -> None:
        self.end()
        click.echo(warning(text), err=True)

    def end(self) -> None:
        """Go on in a new line."""
        if self._shown:
            click.echo("", err=True)
            self._shown = False


def progress_line(stats: ipc.RecorderStats, rate: float, seconds: float) -> str:
    """Return how things stand in one line.

    Args:
        stats: what was recorded.
        rate: bytes a second of late.
        seconds: how long it has been going on.
    """
    lost = causes(stats.lost) or "0"
    return (
        f"{_time(seconds)}  {stats.messages:,} messages  {size(stats.bytes)}  {size(rate)}/s  lost {lost}  "
        f"disk left {size(stats.disk_left)}"
    )


def causes(lost: Mapping[str, int]) -> str:
    """List what was lost by cause.

    >>> causes({"inbox": 1200, "kernel": 3})
    'inbox 1,200, kernel 3'
    """
    return ", ".join(f"{printable(cause)} {count:,}" for cause, count in sorted(lost.items()))


def summary(stats: ipc.RecorderStats, paths: Sequence[Path]) -> Iterator[str]:
    """Yield the lines that say what was recorded, topic by topic."""
    rows = []
    for topic, each in stats.topics.items():
        seconds = (each.last_ns - each.first_ns) / 1e9
        hz = per_second((each.messages - 1) / seconds) if each.messages > 1 and seconds > 0 else "-"
        thinned = f"{each.thinned:,}" if each.thinned else "-"
        rows.append((topic, f"{each.messages:,}", hz, size(each.bytes), causes(each.lost) or "-", thinned))
    if rows:
        yield from table(rows, ("topic", "messages", "Hz", "size", "lost", "thinned out"))
    total = f"{plural(stats.messages, 'message')}, {size(stats.bytes)}, in {size(stats.file_bytes)} of "
    shown = ", ".join(printable(str(path)) for path in paths[:3])
    yield total + (shown if len(paths) <= 3 else f"{len(paths)} files, {printable(str(paths[0]))} to {paths[-1].name}")
    if stats.lost:
        yield warning(f"lost {plural(sum(stats.lost.values()), 'message')}: {causes(stats.lost)}")


def record_of(stats: ipc.RecorderStats, paths: Sequence[Path]) -> dict[str, Any]:
    """Make the JSON object that says what was recorded."""
    topics = {
        topic: {
            "messages": each.messages,
            "bytes": each.bytes,
            "thinned": each.thinned,
            "first_ns": each.first_ns,
            "last_ns": each.last_ns,
            "lost": dict(each.lost),
        }
        for topic, each in stats.topics.items()
    }
    return {
        "paths": [str(path) for path in paths],
        "messages": stats.messages,
        "bytes": stats.bytes,
        "file_bytes": stats.file_bytes,
        "lost": dict(stats.lost),
        "topics": topics,
    }


def _time(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
