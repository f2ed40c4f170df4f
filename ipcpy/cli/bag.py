"""``ipcpy bag``: looks at recordings, and makes others of them. Knows what to show; files are the Bag's."""

from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path
from typing import Any

import click

import ipcpy as ipc

from .export import export
from .jsonform import dumps
from .moments import span_options
from .opening import opened
from .options import as_json
from .render import duration, per_second, plural, printable, printable_lines, size, table, warning

__all__ = ["bag"]

_files = click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
_force = click.option("--force", is_flag=True, help="Overwrite a file that is there.")
_compression = click.option(
    "--compression",
    type=click.Choice(["zstd", "lz4", "none"]),
    default="zstd",
    show_default=True,
    help="Of the new file.",
)


@click.group(short_help="Look at recordings; cut, merge, export, recover them.")
def bag() -> None:
    """Look at recordings, and make others of them: MCAP files of ipcpy and of others.

    \b
      ipcpy bag info drive.mcap
      ipcpy bag cut drive.mcap -o fault.mcap --start 1:30 --end 1:40
      ipcpy bag export drive.mcap --csv
      ipcpy bag recover broken.mcap
    """


@bag.command()
@_files
@as_json
def info(files: tuple[str, ...], as_json: bool) -> None:
    """Show what is in a recording: topics, types, how many messages, how fast, and whether the file is whole.

    \b
    Example:
      ipcpy bag info drive.mcap
    """
    with opened(*files, silent=True) as found:
        if as_json:
            click.echo(dumps(_record(found)))
            return
        for line in _lines(found):
            click.echo(line)


def _record(found: ipc.Bag) -> dict[str, Any]:
    return {
        "files": list(found.paths),
        "size": found.size,
        "start_ns": found.start_ns,
        "end_ns": found.end_ns,
        "messages": len(found),
        "about": dict(found.about),
        "damage": list(found.damage),
        "clocks": {
            who: {"offset": clock.offset, "bound": clock.bound}
            for who, clock in found.clocks.items()
            if clock.bound < math.inf
        },
        "topics": [
            {
                "name": topic.name,
                "messages": topic.messages,
                "codec": topic.codec,
                "type": topic.type,
                "encoding": topic.encoding,
                "publishers": [dict(zip(("id", "node", "host"), each, strict=True)) for each in topic.publishers],
                "lost": dict(topic.lost),
                "note": topic.note,
            }
            for topic in found.topics()
        ],
    }


def _lines(found: ipc.Bag) -> list[str]:
    seconds = (found.end_ns - found.start_ns) / 1e9
    lines = [printable(path) for path in found.paths]
    lines.append(f"{plural(len(found), 'message')}, {size(found.size)}, {_span(seconds)}")
    if len(found):
        lines.append(f"from {_date(found.start_ns)} to {_date(found.end_ns)}")
    about = found.about
    where = f" by {about.get('node', '')} on {about['host']}" if about.get("host") else ""
    lines.append(printable(f"written{where} with {about['library'] or 'a library that does not say its name'}"))
    if about.get("reason"):
        lines.append(printable(f"because of: {about['reason']}"))
    lines += [
        printable(f"clock of {who}: {clock.offset:+,.4f} s ± {duration(clock.bound)}")
        for who, clock in found.clocks.items()
        if 0 < clock.bound < math.inf
    ]
    rows = [
        (
            topic.name,
            f"{topic.messages:,}",
            _rate(topic.messages, seconds),
            topic.type or topic.codec,
            ", ".join(f"{number:,} {cause}" for cause, number in topic.lost.items()),
            ", ".join(dict.fromkeys(f"{node}@{host}" for _, node, host in topic.publishers if node)),
        )
        for topic in found.topics()
    ]
    if rows:
        lines += ["", *table(rows, ("topic", "messages", "a second", "type", "lost", "from"))]
    notes = [f"{topic.name}: {topic.note}" for topic in found.topics() if topic.note]
    told = [warning(printable_lines(text)) for text in (*notes, *found.damage)]
    return [*lines, *(["", *told] if told else [])]


def _rate(messages: int, seconds: float) -> str:
    """Write how many messages came a second; nothing where that says nothing.

    >>> _rate(18_540, 10), _rate(15, 10), _rate(1, 10)
    ('1,854', '1.5', '')
    """
    if messages < 2 or seconds <= 0:
        return ""
    return per_second(messages / seconds)


def _span(seconds: float) -> str:
    """Write how long a recording is.

    >>> _span(12.34), _span(4000)
    ('12.34 s', '1:06:40')
    """
    if seconds < 600:
        return f"{seconds:.2f} s"
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{left:02}"


def _date(ns: int) -> str:
    try:
        return datetime.fromtimestamp(ns / 1e9).isoformat(" ", "milliseconds")
    except (OverflowError, ValueError, OSError):  # it came from a file
        return f"{ns} ns"


@bag.command()
@click.argument("file", type=click.Path())
@click.option("-o", "--output", type=click.Path(), help="The new file.  [default: FILE.recovered.mcap]")
@_compression
@_force
def recover(file: str, output: str | None, compression: str, force: bool) -> None:
    """Make a whole recording of one that was not closed or is damaged: of all that is in whole chunks.

    The file itself stays as it is.

    \b
    Example:
      ipcpy bag recover drive.mcap
    """
    with opened(file) as found:
        if not found.verify():
            click.echo(f"{printable(file)} is whole: {plural(len(found), 'message')}, nothing to recover", err=True)
            return
        target = output or str(Path(file).with_suffix("")) + ".recovered.mcap"
        count = found.save(target, compression=compression, force=force)
    click.echo(f"recovered {plural(count, 'message')} into {printable(target)}", err=True)


@bag.command()
@_files
@click.option("-o", "--output", type=click.Path(), required=True, help="The new file.")
@span_options
@_compression
@_force
def cut(files: tuple[str, ...], output: str, **options: Any) -> None:
    """Make a recording of a part of one: some topics, from one moment to another.

    \b
    Example:
      ipcpy bag cut drive.mcap -o fault.mcap --start 1:30 --end 1:40 -t imu -t 'camera/**'
    """
    _save(files, output, **options)


@bag.command()
@_files
@click.option("-o", "--output", type=click.Path(), required=True, help="The new file.")
@_compression
@_force
def merge(files: tuple[str, ...], output: str, **options: Any) -> None:
    """Make one recording of several, in the order of time.

    \b
    Example:
      ipcpy bag merge robot.mcap station.mcap -o both.mcap
    """
    _save(files, output, **options)


def _save(files: tuple[str, ...], output: str, topics: tuple[str, ...] = (), **options: Any) -> None:
    with opened(*files) as found:
        count = found.save(output, topics or None, **options)
    click.echo(f"wrote {plural(count, 'message')} into {printable(output)}", err=True)


bag.add_command(export)
