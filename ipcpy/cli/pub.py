"""``ipcpy pub``: publish data given as an argument, or lines from standard input. Knows nothing of the network."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import click

import ipcpy as ipc

from .endings import NothingFound
from .jsonform import dumps, from_json, is_record, loads
from .listen import left
from .options import SECONDS, as_json, node_options, open_node, topic_argument
from .render import plural

__all__ = ["pub"]

LINGER = 0.1  # seconds that the publisher stays after its last message, so that none meets a subscriber that let go
PACE_LIMIT = 3600.0  # seconds; a longer pause between two recorded messages is taken for a mistake of a clock


@dataclass(frozen=True)
class _Item:
    """One message to publish.

    Attributes:
        data: the data.
        codec: ``msgpack``, ``raw`` or ``struct``.
        described: for struct, the message's description with its id.
        sent_ns: when it was published first, 0 if never.
    """

    data: Any
    codec: str = "msgpack"
    described: dict[str, Any] = field(default_factory=dict)
    sent_ns: int = 0


@click.command(short_help="Publish messages.")
@topic_argument
@click.argument("data", required=False)
@click.option("-r", "--rate", type=click.FloatRange(min=0.0, min_open=True), help="Messages a second.  [default: 1]")
@click.option("-n", "--count", type=click.IntRange(min=1), help="End after so many.  [default: 1; no end with --rate]")
@click.option(
    "--wait", type=click.IntRange(min=0), default=1, show_default=True, help="First wait for so many subscribers."
)
@click.option("--timeout", type=SECONDS, default=5.0, show_default=True, help="Seconds to wait for them.")
@click.option("--pace", is_flag=True, help="Keep the pauses with which recorded lines were published.")
@click.option("--keep", type=click.IntRange(min=0), default=0, help="Late subscribers first get so many messages.")
@click.option("--reliable", is_flag=True, help="Send again what a subscriber misses.")
@as_json
@node_options
@click.pass_context
def pub(ctx: click.Context, /, topic: str, data: str | None, **options: Any) -> None:
    """Publish DATA: JSON, or else a plain text. Without DATA each line of standard input is a message.

    Lines that 'ipcpy echo --json' printed are published with their own codec, struct messages bit for bit. It waits
    for a subscriber first, so that the first message is not lost (--wait 0 does not); exit code 3 if none comes.

    \b
    Example:
      ipcpy pub cmd '{"speed": 0.5}' --rate 10
      ipcpy pub imu --pace < imu.jsonl
    """
    asked = _Asked(**options)
    with open_node(ctx) as node, _Sink(node, topic, asked) as sink:
        if data is None:
            _publish_lines(sink, asked)
        else:
            _publish_often(sink, asked, read_data(data))
        sink.finish()


@dataclass(frozen=True)
class _Asked:
    """What the user asked for; see the help of each."""

    rate: float | None
    count: int | None
    wait: int
    timeout: float
    pace: bool
    keep: int
    reliable: bool
    as_json: bool


class _Sink:
    """A topic's publisher, made when the first message says with which codec.

    A struct message that was not announced yet, or another codec, needs a new publisher: the schema travels with
    discovery, before any message.
    """

    def __init__(self, node: ipc.Node, topic: str, asked: _Asked) -> None:
        self._node = node
        self._topic = topic
        self._asked = asked
        self._publisher: ipc.Publisher | None = None
        self._codec = ""
        self._messages: dict[int, dict[str, Any]] = {}
        self.published = self.handed = 0

    def publish(self, item: _Item) -> None:
        """Publish one message."""
        id = item.described.get("id") if item.codec == "struct" else None
        if self._publisher is None or self._codec != item.codec or (id is not None and id not in self._messages):
            self._open(item)
        assert self._publisher is not None
        self.handed += self._publisher.publish(item.data, id)
        self.published += 1

    def _open(self, item: _Item) -> None:
        self._close()
        self._codec = item.codec
        codec: ipc.Codec = ipc.Raw() if item.codec == "raw" else ipc.MsgPack()
        if item.codec == "struct":
            self._messages[item.described["id"]] = item.described
            codec = ipc.MsgLibrary.from_schema({"messages": list(self._messages.values())})
        asked = self._asked
        self._publisher = ipc.Publisher(self._topic, codec, reliable=asked.reliable, keep=asked.keep, node=self._node)
        if asked.wait:
            try:
                self._publisher.wait_for_subscribers(asked.wait, asked.timeout)
            except ipc.RecvTimeout as error:
                raise NothingFound(f"{error}; --wait 0 publishes to nobody") from None

    def finish(self) -> None:
        """Let the last message arrive, and say what was done."""
        if self._asked.as_json:
            click.echo(dumps({"topic": self._topic, "published": self.published, "handed": self.handed}))
        else:
            what = f"published {plural(self.published, 'message')} on {self._topic}"
            click.echo(f"{what}, handed to subscribers {plural(self.handed, 'time')}", err=True)

    def _close(self) -> None:
        if self._publisher is not None:
            time.sleep(LINGER)
            self._publisher.close()

    def __enter__(self) -> _Sink:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._close()


def read_data(text: str) -> Any:
    """Make data of an argument or a line: JSON if it is that, else the text itself.

    Raises:
        click.UsageError: it begins like a JSON object, array or string, and is none.
    """
    try:
        return from_json(loads(text))
    except ValueError as error:
        if text.lstrip()[:1] in ("{", "[", '"'):
            raise click.UsageError(f"this is neither JSON nor plain text: {text!r:.80}: {error}") from None
        return text


def _publish_often(sink: _Sink, asked: _Asked, data: Any) -> None:
    endless = asked.count is None and asked.rate is not None
    numbers: Iterable[int] = itertools.count() if endless else range(asked.count or 1)
    _publish_paced(sink, (_Item(data) for _ in numbers), 1.0 / (asked.rate or 1.0))


def _publish_paced(sink: _Sink, items: Iterable[_Item], pause: float) -> None:
    due: float | None = None
    for item in items:
        if due is not None:
            time.sleep(left(due) or 0.0)
        sink.publish(item)
        now = time.monotonic()
        due = max((now if due is None else due) + pause, now)  # after a pause of the computer, no burst


def _publish_lines(sink: _Sink, asked: _Asked) -> None:
    items = itertools.islice(_read_lines(), asked.count)
    if asked.rate is not None:
        _publish_paced(sink, items, 1.0 / asked.rate)
    elif asked.pace:
        _publish_as_recorded(sink, items)
    else:
        for item in items:
            sink.publish(item)


def _publish_as_recorded(sink: _Sink, items: Iterable[_Item]) -> None:
    began, first = 0.0, 0
    for item in items:
        if item.sent_ns and not first:
            sink.publish(item)
            began, first = time.monotonic(), item.sent_ns
            continue
        pause = began + (item.sent_ns - first) / 1e9 - time.monotonic()
        if item.sent_ns and 0 < pause < PACE_LIMIT:
            time.sleep(pause)
        sink.publish(item)


def _read_lines() -> Iterator[_Item]:
    for number, line in enumerate(sys.stdin, 1):
        if line.strip():
            try:
                yield _read_item(line.rstrip("\r\n"))
            except (ValueError, click.UsageError) as error:
                raise click.ClickException(f"line {number} of standard input: {error}") from None


def _read_item(line: str) -> _Item:
    try:
        read = loads(line)
    except ValueError:
        return _Item(read_data(line))
    if not is_record(read):
        return _Item(from_json(read))
    codec, described = read["codec"], read.get("struct") or {}
    if codec == "struct" and not (isinstance(described, dict) and isinstance(described.get("id"), int)):
        raise ValueError("a struct message without its id: its library has several messages of one type")
    if codec not in ("struct", "msgpack", "raw"):
        raise ValueError(f"codec {codec!r} is not one of ipcpy's")
    sent_ns = read["sent_ns"]
    return _Item(from_json(read["data"]), codec, described, sent_ns if isinstance(sent_ns, int) else 0)
