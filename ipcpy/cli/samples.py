"""What ``ipcpy demo`` publishes: samples of this computer, or rows of a CSV file. Knows nothing of publishing."""

from __future__ import annotations

import csv
import itertools
import keyword
import os
import re
import time
from collections import namedtuple
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import click

import ipcpy as ipc

__all__ = ["MESSAGE", "Samples", "computer", "rows"]

MESSAGE = 1  # the ID of the one message
BUSY_OVER = 0.25  # seconds over which processors are called busy or not; they count hundredths
LONGEST_PAUSE = 60.0  # seconds between two rows; a longer one says that the first column is no time


class Computer(NamedTuple):
    """What this computer does, from whatever of it the operating system tells; what it does not is 0."""

    uptime: float  # s
    busy: float  # share of all processors over a quarter of a second, 0 to 1
    load: float  # processes that want to run, mean over a minute
    memory: float  # MB that are free for programs
    process: float  # s of processor time of the publisher
    switches: float  # context switches since the start


class Samples(NamedTuple):
    """A source of samples: its library, when (s after the start) each is due, and an endless or finite supply."""

    name: str
    library: ipc.MsgLibrary
    supply: Iterator[tuple[float, Any]]


def computer(rate: float) -> Samples:
    """Make samples of this computer, ``rate`` of them a second."""
    library = ipc.MsgLibrary({MESSAGE: (f"<{len(Computer._fields)}d", Computer)})
    return Samples("computer", library, _sample(rate))


def _sample(rate: float) -> Iterator[tuple[float, Computer]]:
    before, since, busy = _jiffies(), time.monotonic(), 0.0
    for number in itertools.count():
        now, uptime = _jiffies(), time.monotonic()
        if uptime - since >= BUSY_OVER:
            total, idle = now[0] - before[0], now[1] - before[1]
            busy = 1.0 - idle / total if total > 0 else 0.0
            before, since = now, uptime
        yield number / rate, Computer(uptime, busy, _load(), _free(), time.process_time(), now[2])


def _jiffies() -> tuple[float, float, float]:
    """Return the processors' time in all and idle, in hundredths of a second, and the context switches."""
    try:
        text = Path("/proc/stat").read_text()
    except OSError:  # not Linux: of this process only
        times = os.times()
        return times.elapsed, times.elapsed - times.user - times.system, 0.0
    times_of_all = [float(word) for word in text.split("\n", 1)[0].split()[1:9]]
    found = re.search(r"^ctxt (\d+)", text, re.MULTILINE)
    return sum(times_of_all), times_of_all[3] + times_of_all[4], float(found[1]) if found else 0.0


def _load() -> float:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def _free() -> float:
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
        return int(found[1]) / 1000 if found else 0.0
    except OSError:
        return 0.0


def rows(path: str, rate: float | None) -> Samples:
    """Make samples of a CSV file of numbers, whose first row names the columns.

    Args:
        path: the file.
        rate: rows a second; None takes the first column for the time in seconds, or 100 a second where it is none.

    Raises:
        click.ClickException: a row is not as many numbers as there are names, or there are none.
    """
    try:
        names, values = _read(path)
    except (UnicodeDecodeError, csv.Error) as error:
        raise click.ClickException(f"{path} is no CSV file of numbers: {error}") from None
    if not names or not values:
        raise click.ClickException(f"{path} has no rows of numbers under a row of names")
    row_type = namedtuple("Row", names)  # type: ignore[misc]
    library = ipc.MsgLibrary({MESSAGE: (f"<{len(names)}d", row_type)})
    due = [row[0] - values[0][0] for row in values] if rate is None else []
    if not due or not _is_time(due):
        due = [number / (rate or 100.0) for number in range(len(values))]
    supply = ((at, row_type._make(row)) for at, row in zip(due, values, strict=True))
    return Samples(Path(path).stem, library, supply)


def _is_time(due: list[float]) -> bool:
    return len(due) > 1 and all(0 <= later - earlier < LONGEST_PAUSE for earlier, later in pairwise(due))


def _read(path: str) -> tuple[list[str], list[list[float]]]:
    values = []
    with open(path, newline="", encoding="utf-8-sig") as file:
        lines = csv.reader(file)
        names = _identifiers(next(lines, []))
        for row in lines:
            if not row:
                continue
            try:
                numbers = [float(cell) for cell in row]
            except ValueError as error:
                raise click.ClickException(f"{path}, line {lines.line_num}: {error}") from None
            if len(numbers) != len(names):
                raise click.ClickException(f"{path}, line {lines.line_num}: {len(row)} values, {len(names)} names")
            values.append(numbers)
    return names, values


def _identifiers(titles: list[str]) -> list[str]:
    """Make field names of column titles: ``Gyroscope X (deg/s)`` becomes ``gyroscope_x``."""
    names: list[str] = []
    for number, title in enumerate(titles, 1):
        plain = re.sub(r"\(.*?\)|\[.*?\]", "", title).strip().lower()
        name = re.sub(r"\W+", "_", plain, flags=re.ASCII).strip("_")
        if not name or name[0].isdigit() or keyword.iskeyword(name) or name in names:
            name = f"{name or 'column'}_{number}" if name[:1].isalpha() else f"column_{number}"
        names.append(name)
    return names
