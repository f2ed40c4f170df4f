"""``ipcpy echo``: what is published, as text or JSON. Knows how a message is shown; nothing of how JSON holds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

import ipcpy as ipc

from .jsonform import dumps, record, struct_of
from .listen import Sources, messages, subscribe
from .options import COUNT, SECONDS, as_json, naming_options, node_options, open_node, topic_argument
from .render import clock, dim, duration, heading, plural, printable, value

__all__ = ["echo"]

_PLAIN = "biufSU"  # kinds of numpy's scalars that Python has too, without loss


@click.command(short_help="Print messages.")
@topic_argument
@click.option("-n", "--count", type=COUNT, help="End after so many messages.")
@click.option("--timeout", type=SECONDS, help="End when nothing came for so many seconds.")
@click.option("--field", "path", help="Print one field of each message only: gz, or pose.position.0")
@as_json
@node_options
@naming_options
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
    unshown = 0
    with open_node(ctx) as node, subscribe(node, topic) as sub:
        sources = Sources(node)
        fields = _Fields(path, topic)
        for message in messages(sub, count, timeout):
            try:
                picked = fields.of(message)
                text = _text(picked, sources.of(message), as_json=as_json, bare=path is not None) if picked else ""
            except click.ClickException:
                raise
            except Exception as error:  # whatever a peer published, the next message is shown
                unshown += 1
                click.echo(_failure(message, error, "be JSON" if as_json else "be shown"), err=True)
                continue
            if picked:
                click.echo(text)
    if unshown:
        raise click.ClickException(f"{plural(unshown, 'message')} could not be shown")


class _Fields:
    """The one field of each message that is to be shown.

    Args:
        path: the field; None for whole messages.
        topic: what is listened to; if it is a pattern, messages without the field are usual.
    """

    def __init__(self, path: str | None, topic: str) -> None:
        self._path = path
        self._expected = "*" not in topic
        self._without: set[str] = set()  # topics with a message that had no such field

    def of(self, message: ipc.Message) -> ipc.Message | None:
        """Return the message with the field alone for its data; None where it has none, which is told once a topic.

        Raises:
            click.ClickException: the very first message of a topic has no such field: it is a mistake.
        """
        if self._path is None:
            return message
        try:
            picked = message._replace(data=pick(message.data, self._path))
        except click.ClickException as error:
            if self._expected:
                raise
            if message.topic not in self._without:
                self._without.add(message.topic)
                click.echo(_failure(message, error, "be shown"), err=True)
            return None
        self._expected = False
        return picked


def _failure(message: ipc.Message, error: Exception, what: str) -> str:
    """Say which message cannot be shown, and why."""
    why = error.format_message() if isinstance(error, click.ClickException) else f"{type(error).__name__}: {error}"
    return printable(f"ipcpy: message #{message.seq} on {message.topic} cannot {what}: {why:.300}")


def _text(message: ipc.Message, source: ipc.EndpointInfo | None, *, as_json: bool, bare: bool) -> str:
    """Make what is printed of a message; bare: of its data alone, which is but one field of what was published."""
    if as_json:
        codec, schema = (source.codec, source.schema) if source else ("", {})
        if bare:
            codec = "msgpack"  # a field of a struct message is none itself
        return dumps(record(message, codec, struct_of(message.data, schema) if codec == "struct" else None))
    lines = list(value(message.data))
    if bare:
        return "\n".join(lines).strip()
    name = printable(type(message.data).__name__) if source and source.codec == "struct" else ""
    head = f"{heading(printable(message.topic))} {dim(_details(message, name))}"
    return "\n".join([head, *(f"  {line}" for line in lines)])


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
        elif _has_items(data, name, named=bool(fields)):
            data = _item(data, name)
        else:
            there = ", ".join(map(str, fields)) or f"none: it is a {type(data).__name__}"
            raise click.ClickException(printable(f"no field {name!r} in this message; it has {there:.300}"))
    return data


def _fields(data: Any) -> Mapping[str, Any]:
    if isinstance(data, Mapping):
        return {str(key): item for key, item in data.items()}
    if hasattr(data, "_asdict"):
        made: dict[str, Any] = data._asdict()
        return made
    names = getattr(getattr(data, "dtype", None), "names", None)  # of a structured array, or an item of one
    return {name: data[name] for name in names or ()}


def _has_items(data: Any, name: str, *, named: bool) -> bool:
    """Tell whether something is to be asked for an item by its number, rather than for a field by its name."""
    if hasattr(data, "shape"):
        return not named or name.lstrip("-").isdigit()
    return isinstance(data, list | tuple) and not named


def _item(data: Any, number: str) -> Any:
    try:
        item = data[int(number)]
    except (ValueError, IndexError):
        size = len(data) if getattr(data, "shape", None) != () else "none: it is a single value"
        raise click.ClickException(f"no item {number!r:.80} in this message; it has {size}") from None
    plain = getattr(item, "shape", None) == () and item.dtype.kind in _PLAIN
    return item.item() if plain else item
