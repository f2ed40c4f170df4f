"""``ipcpy echo``: what is published, as text or JSON. Knows how a message is shown; nothing of how JSON holds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

import ipcpy as ipc

from .jsonform import dumps, record, struct_of
from .listen import Sources, messages, subscribe
from .options import SECONDS, as_json, node_options, open_node, topic_argument
from .render import clock, dim, duration, heading, printable, value

__all__ = ["echo"]


@click.command(short_help="Print messages.")
@topic_argument
@click.option("-n", "--count", type=click.IntRange(min=1), help="End after so many messages.")
@click.option("--timeout", type=SECONDS, help="End when nothing came for so many seconds.")
@click.option("--field", "path", help="Print one field of each message only: gz, or pose.position.0")
@as_json
@node_options
@click.pass_context
def echo(
    ctx: click.Context, topic: str, count: int | None, timeout: float | None, path: str | None, as_json: bool
) -> None:
    """Print the messages of a topic, or of all topics that a pattern matches ('robot/*/imu', 'robot/**').

    With --json a line is an object with topic, seq, sent_ns, received_ns, publisher, codec, data and, for a struct
    message, struct: its id, name, format and fields. 'ipcpy pub' reads such lines. What JSON cannot hold is written
    as {"$bytes": "<base64>"}, {"$float": "nan"}, {"$datetime": "..."}, {"$ndarray": "<base64>", "dtype", "shape"},
    {"$map": [[key, value], ...]}.

    \b
    Example:
      ipcpy echo imu -n 1
      ipcpy echo 'robot/**' --json | jq .data
      ipcpy echo imu --json > imu.jsonl; ipcpy pub imu --pace < imu.jsonl
    """
    with open_node(ctx) as node, subscribe(node, topic) as sub:
        sources = Sources(node)
        for message in messages(sub, count, timeout):
            if path is not None:
                message = message._replace(data=pick(message.data, path))
            _show(message, sources.of(message), as_json=as_json, bare=path is not None)


def _show(message: ipc.Message, source: ipc.EndpointInfo | None, *, as_json: bool, bare: bool) -> None:
    """Print a message; bare: its data alone, which is but one field of what was published."""
    if as_json:
        codec, schema = (source.codec, source.schema) if source else ("", {})
        if bare:
            codec = "msgpack"  # a field of a struct message is none itself
        try:
            click.echo(dumps(record(message, codec, struct_of(message.data, schema) if codec == "struct" else None)))
        except (TypeError, RecursionError) as error:
            click.echo(f"ipcpy: message {message.seq} cannot be JSON: {error}", err=True)
        return
    lines = list(value(message.data))
    if bare:
        click.echo("\n".join(lines).strip())
        return
    name = type(message.data).__name__ if source and source.codec == "struct" else ""
    head = f"{heading(printable(message.topic))} {dim(_details(message, name))}"
    click.echo("\n".join([head, *(f"  {line}" for line in lines)]))


def _details(message: ipc.Message, name: str) -> str:
    late = duration((message.received_ns - message.sent_ns) / 1e9)
    return f"#{message.seq} {name}{' ' if name else ''}{clock(message.sent_ns)} +{late}".replace("+-", "-")


def pick(data: Any, path: str) -> Any:
    """Return a field, or a field of a field.

    Args:
        data: a message's data.
        path: names and numbers joined by dots.

    Raises:
        click.ClickException: there is none; the text names those there are.
    """
    for name in path.split("."):
        fields = _fields(data)
        if name in fields:
            data = fields[name]
        elif not fields and (isinstance(data, list | tuple) or hasattr(data, "shape")):
            data = _item(data, name)
        else:
            there = ", ".join(map(str, fields)) or f"none: it is a {type(data).__name__}"
            raise click.ClickException(f"no field {name!r} in this message; it has {there:.300}")
    return data


def _fields(data: Any) -> Mapping[str, Any]:
    if isinstance(data, Mapping):
        return {str(key): item for key, item in data.items()}
    if hasattr(data, "_asdict"):
        made: dict[str, Any] = data._asdict()
        return made
    return {}


def _item(data: Any, number: str) -> Any:
    try:
        item = data[int(number)]
    except (ValueError, IndexError):
        raise click.ClickException(f"no item {number!r} in this message; it has {len(data)}") from None
    return item.item() if hasattr(item, "item") and getattr(item, "shape", None) == () else item
