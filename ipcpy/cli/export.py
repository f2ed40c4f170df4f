"""``ipcpy bag export``: messages as CSV, lines of JSON, or numpy arrays. Knows these forms; files are the Bag's."""

from __future__ import annotations

import csv
import os
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

import ipcpy as ipc

from .jsonform import dumps, record, struct_of
from .moments import span_options
from .opening import opened
from .render import plural, printable, printable_lines, warning

__all__ = ["export"]

WIDE = 64  # values of one array, and bytes, that a row of CSV has
_TIMES = ("received_ns", "sent_ns", "seq", "publisher")


@click.command(short_help="Write messages as CSV, JSON lines or numpy arrays.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@click.option("--csv", "form", flag_value="csv", help="A folder with a table for each topic.")
@click.option("--jsonl", "form", flag_value="jsonl", help="A line for each message, as 'ipcpy echo --json' prints it.")
@click.option("--npz", "form", flag_value="npz", help="A file with a structured array for each topic, for numpy.load.")
@click.option("-o", "--output", type=click.Path(), help="Where to; '-' prints lines.  [default: beside FILE]")
@span_options
@click.option("--force", is_flag=True, help="Overwrite what is there.")
def export(
    files: tuple[str, ...], form: str | None, output: str | None, force: bool, topics: tuple[str, ...], **span: Any
) -> None:
    """Write the messages of a recording in a form that other programs read.

    In CSV a field within a field is a column such as linear.x, an array one column for each value (up to 64).
    'ipcpy pub --pace' publishes the lines of --jsonl again.

    \b
    Example:
      ipcpy bag export drive.mcap --csv
      ipcpy bag export drive.mcap --jsonl -o - -t imu | head
      ipcpy bag export drive.mcap --npz -o drive.npz
    """
    if form is None:
        raise click.UsageError("say which form: --csv, --jsonl or --npz")
    target = output or str(Path(files[0]).with_suffix("")) + {"csv": "_csv", "jsonl": ".jsonl", "npz": ".npz"}[form]
    if target == "-" and form != "jsonl":
        raise click.UsageError(f"only --jsonl can be printed; --{form} takes -o with a name")
    if target != "-" and os.path.exists(target):
        if any(os.path.exists(file) and os.path.samefile(target, file) for file in files):
            raise click.UsageError(f"{target} is read here: name another place to write (-o)")
        if not force:
            raise click.UsageError(f"{target} is there already; choose another name (-o), or --force")
    with opened(*files) as bag:
        names = [topic.name for topic in bag.topics(topics or None)]
        {"csv": _write_csv, "jsonl": _write_lines, "npz": _write_arrays}[form](bag, names, span, target)


def _write_lines(bag: ipc.Bag, names: list[str], span: dict[str, Any], target: str) -> None:
    described = {topic.name: topic for topic in bag.topics()}
    count = skipped = 0
    with _to(target) as file:
        for message in bag.messages(names, **span) if names else ():
            topic = described[message.topic]
            struct = struct_of(message.data, topic.schema) if topic.codec == "struct" else None
            try:
                line = dumps(record(message, topic.codec, struct))
            except (TypeError, ValueError):
                skipped += 1
                continue
            file.write(f"{line}\n")
            count += 1
    if skipped:
        click.echo(warning(f"{plural(skipped, 'message')} left out: what is in them has no JSON form"), err=True)
    click.echo(f"wrote {plural(count, 'message')}" + ("" if target == "-" else f" into {printable(target)}"), err=True)


@contextmanager
def _to(target: str) -> Iterator[IO[str]]:
    if target == "-":
        yield sys.stdout
        return
    with open(target, "w", encoding="utf-8", newline="") as file:
        yield file


def _write_csv(bag: ipc.Bag, names: list[str], span: dict[str, Any], target: str) -> None:
    os.makedirs(target, exist_ok=True)
    taken: set[str] = set()
    for name in names:
        path = Path(target, _file_name(name, taken) + ".csv")
        columns: dict[str, None] = {}
        for message in bag.messages(name, **span):
            columns.update(dict.fromkeys(column for column, _ in _cells(message.data, "")))
        count = 0
        with open(path, "w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow([*_TIMES, *columns])
            for message in bag.messages(name, **span):
                cells = dict(_cells(message.data, ""))
                times = (message.received_ns, message.sent_ns, message.seq, message.publisher)
                rows.writerow([*times, *(cells.get(column, "") for column in columns)])
                count += 1
        click.echo(f"wrote {plural(count, 'message')} of {printable(name)} into {printable(str(path))}", err=True)


def _file_name(topic: str, taken: set[str]) -> str:
    """Return a file's name for a topic: two topics do not get the same."""
    kept = "".join(char if char.isalnum() or char in "-_." else "_" for char in topic)[:100].lstrip(".") or "topic"
    name, number = kept, 2
    while name.lower() in taken:
        name, number = f"{kept}_{number}", number + 1
    taken.add(name.lower())
    return name


def _cells(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield column and cell for each value in a message's data."""
    fields = getattr(value, "_fields", None)
    if fields is not None:
        value = dict(zip(fields, value, strict=True))
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _cells(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, bytes | bytearray | memoryview):
        yield path or "value", bytes(value).hex() if len(value) <= WIDE else f"{len(value)} bytes"
    elif hasattr(value, "dtype") and hasattr(value, "tolist"):
        if value.size > WIDE:
            yield path or "value", f"{value.dtype} {'x'.join(map(str, value.shape))}"
        else:
            yield from _cells(value.tolist(), path)
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value[:WIDE]):
            yield from _cells(inner, f"{path or 'value'}[{number}]")
    else:
        yield path or "value", value


def _write_arrays(bag: ipc.Bag, names: list[str], span: dict[str, Any], target: str) -> None:
    arrays: dict[str, Any] = {}
    for name in names:
        try:
            arrays[name] = bag.array(name, **span)
        except ipc.CodecError as error:
            click.echo(warning(printable_lines(f"{name} is left out: {error}")), err=True)
    if not arrays:
        raise click.ClickException("no topic makes an array: --jsonl writes all of them")
    import numpy as np

    with zipfile.ZipFile(target, "w") as made:  # numpy's own savez takes no topic that is called file
        for name, array in arrays.items():
            with made.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    count = sum(map(len, arrays.values()))
    click.echo(f"wrote {plural(count, 'message')} of {plural(len(arrays), 'topic')} into {printable(target)}", err=True)
