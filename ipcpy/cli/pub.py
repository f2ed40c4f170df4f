"""``ipcpy pub``: publishes an argument, or lines, on one topic or several. Knows pauses; nothing of what lines hold."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, repeat
from typing import Any

import click

import ipcpy as ipc

from .endings import NothingFound
from .jsonform import dumps
from .lines import Item, read_data, read_lines
from .listen import left
from .options import COUNT, RATE, SECONDS, as_json, naming_options, node_options, open_node, optional_topic
from .render import plural, printable

__all__ = ["DataCommand", "pub"]

LINGER = 0.1  # seconds that the publisher stays after its last message, so that none meets a subscriber that let go
MOST = 1e6  # messages a second that a publisher may promise
BRIEF = 0.3  # seconds to wait for subscribers of another topic, when those of others were waited for in vain
PACE_LIMIT = 3600.0  # seconds; a longer pause between two recorded messages is taken for a mistake of a clock


# A number below 0, which is data and no option.
_NEGATIVE = re.compile(r"-(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


class DataCommand(click.Command):
    """Takes negative numbers for data: click takes whatever begins with a dash for an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put what is no option behind ``--`` where a negative number is among it."""
        options, data = self._split(args)
        if any(map(_NEGATIVE.fullmatch, data)):
            args = [*options, "--", *data]
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            hint = "A text that begins with a dash is data behind two of them: ipcpy pub TOPIC -- -text"
            raise click.NoSuchOption(
                error.option_name, f"{error.message} ({hint})", error.possibilities, error.ctx
            ) from None

    def _split(self, args: list[str]) -> tuple[list[str], list[str]]:
        valued = {
            name
            for param in self.params
            if isinstance(param, click.Option) and not param.is_flag
            for name in (*param.opts, *param.secondary_opts)
        }
        options: list[str] = []
        data: list[str] = []
        left = iter(args)
        for word in left:
            if word == "--":
                data += left
            elif not word.startswith("-") or word == "-" or _NEGATIVE.fullmatch(word):
                data.append(word)
            else:
                options.append(word)
                if word in valued:
                    options += islice(left, 1)
        return options, data


@click.command(cls=DataCommand, short_help="Publish messages.")
@optional_topic
@click.argument("data", required=False)
@click.option("-r", "--rate", type=RATE, help="Messages a second.  [default: 1]")
@click.option("-n", "--count", type=COUNT, help="End after so many.  [default: 1; no end with --rate]")
@click.option(
    "--wait", type=click.IntRange(min=0), default=1, show_default=True, help="First wait for so many subscribers."
)
@click.option("--timeout", type=SECONDS, default=5.0, show_default=True, help="Seconds to wait for them.")
@click.option("--pace", is_flag=True, help="Keep the pauses with which recorded lines were published.")
@click.option("--keep", type=click.IntRange(min=0), default=0, help="Late subscribers first get so many messages.")
@click.option("--reliable", is_flag=True, help="Send again what a subscriber misses.")
@as_json
@node_options
@naming_options
@click.pass_context
def pub(ctx: click.Context, /, topic: str | None, data: str | None, **options: Any) -> None:
    """Publish DATA: JSON, or else a plain text. Without DATA each line of standard input is a message.

    Lines that 'ipcpy echo --json' printed are published with their own codec, struct messages bit for bit; without
    TOPIC each on the topic that it was recorded from. It waits for a subscriber first, so that the first message is
    not lost (--wait 0 does not); exit code 3 if none comes. With several topics it goes on without those that
    nobody wants.

    \b
    Example:
      ipcpy pub cmd '{"speed": 0.5}' --rate 10
      ipcpy pub imu -0.5
      ipcpy pub imu --pace < imu.jsonl
      ipcpy echo '**' --json > all.jsonl; ipcpy pub --pace < all.jsonl
    """
    asked = _Asked(**options)
    if topic is None and sys.stdin is not None and sys.stdin.isatty():
        raise click.UsageError("name a TOPIC, or give lines that 'ipcpy echo --json' printed as standard input")
    items = read_lines() if data is None else _repeated(Item(read_data(data)), asked)
    with open_node(ctx) as node, _Sinks(node, topic, asked) as sinks:
        _publish(sinks, items if asked.count is None else islice(items, asked.count), asked, as_lines=data is None)
        sinks.finish()


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


class _Sinks:
    """The publishers of all topics: the one that was named, or those that lines were recorded from."""

    def __init__(self, node: ipc.Node, topic: str | None, asked: _Asked) -> None:
        self._node = node
        self._topic = topic
        self._asked = asked
        self._sinks: dict[str, _Sink] = {}
        self._recorded = ""  # the topic that lines were recorded from, where TOPIC is named
        self._patience = asked.timeout  # s left to wait for subscribers that do not come

    def publish(self, item: Item) -> float:
        """Publish one message, and return the seconds that it waited for subscribers."""
        topic = self._topic_of(item)
        began = time.monotonic()
        waited = 0.0
        try:
            sink = self._sinks.get(topic)
            if sink is None:
                promised = self._asked.rate if self._topic is not None else None  # else several topics share it
                sink = self._sinks[topic] = _Sink(self._node, topic, self._asked, promised)
            if sink.prepare(item):
                self._await_subscribers(sink)
                waited = time.monotonic() - began
            sink.publish(item)
        except ipc.IpcError as error:
            named_wrong = self._topic is not None and isinstance(error, ipc.ArgumentError)
            raise error if named_wrong or not item.line else item.refusal(error) from None
        return waited

    def _topic_of(self, item: Item) -> str:
        """Return the topic to publish on; lines have whole names."""
        if self._topic is None:
            if not item.topic:
                raise item.refusal("it names no topic, as lines of 'ipcpy echo --json' do: ipcpy pub TOPIC < FILE")
            return f"/{item.topic}"
        self._recorded = self._recorded or item.topic
        if item.topic not in ("", self._recorded):
            raise item.refusal(
                f"it was recorded from {item.topic!r}, those before from {self._recorded!r}. Leave TOPIC out, and "
                "each is published on its own: ipcpy pub < FILE"
            )
        return self._topic

    def _await_subscribers(self, sink: _Sink) -> None:
        """Wait for subscribers of a new publisher; where there are several topics, all in all as long as for one."""
        if not self._asked.wait:
            return
        began = time.monotonic()
        try:
            sink.wait(self._patience if self._topic is None else self._asked.timeout)
        except ipc.RecvTimeout as error:
            if self._topic is not None:
                raise NothingFound(f"{error} To publish to nobody: --wait 0") from None
            self._patience = max(BRIEF, self._patience - (time.monotonic() - began))

    def finish(self) -> None:
        """Let the last messages arrive, and say what was done.

        Raises:
            NothingFound: nobody was there for any of several topics.
        """
        sinks = self._sinks.values()
        if self._asked.as_json:
            topics = self._sinks or ([self._topic] if self._topic else [])
            for name in topics:
                done = self._sinks.get(name)
                counts = (done.published, done.handed) if done else (0, 0)
                click.echo(dumps({"topic": self._node.resolve(name), "published": counts[0], "handed": counts[1]}))
        else:
            one = self._topic or (next(iter(self._sinks)) if len(sinks) == 1 else "")
            where = self._node.resolve(one) if one else plural(len(sinks), "topic")
            what = f"published {plural(sum(sink.published for sink in sinks), 'message')} on {printable(where)}"
            times = plural(sum(sink.handed for sink in sinks), "time")
            click.echo(f"{what}, handed to subscribers {times}", err=True)
        unheard = [self._node.resolve(sink.topic) for sink in sinks if not sink.handed]
        if self._topic is None and self._asked.wait and unheard:
            listed = ", ".join(map(printable, unheard[:10])) + (", ..." if len(unheard) > 10 else "")
            if len(unheard) == len(sinks):
                raise NothingFound(f"nobody subscribes to {listed}")
            click.echo(f"nobody subscribes to {listed}", err=True)

    def __enter__(self) -> _Sinks:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._sinks:
            time.sleep(LINGER)
        if kind is None:
            for sink in self._sinks.values():
                sink.close()


class _Sink:
    """A topic's publisher, made when the first message says with which codec.

    A struct message that was not announced yet, or another codec, needs a new publisher: the schema travels with
    discovery, before any message.
    """

    def __init__(self, node: ipc.Node, topic: str, asked: _Asked, rate: float | None) -> None:
        self.topic = topic
        self._node = node
        self._rate = None if rate is None else min(rate, MOST)
        self._asked = asked
        self._publisher: ipc.Publisher | None = None
        self._codec = ""
        self._messages: dict[int, dict[str, Any]] = {}
        self.published = self.handed = 0

    def prepare(self, item: Item) -> bool:
        """Have a publisher that can publish a message; return whether it is a new one."""
        id = item.described.get("id") if item.codec == "struct" else None
        if self._publisher is not None and self._codec == item.codec and (id is None or id in self._messages):
            return False
        if self._publisher is not None:
            time.sleep(LINGER)
            self.close()
        codec: ipc.Codec = ipc.Raw() if item.codec == "raw" else ipc.MsgPack()
        if item.codec == "struct":
            self._messages[item.described["id"]] = item.described
            codec = ipc.MsgLibrary.from_schema({"messages": list(self._messages.values())})
        asked = self._asked
        self._codec = item.codec
        terms: dict[str, Any] = {"reliable": asked.reliable, "keep": asked.keep, "rate": self._rate}
        self._publisher = ipc.Publisher(self.topic, codec, **terms, node=self._node)
        return True

    def wait(self, timeout: float) -> None:
        """Wait for as many subscribers as the user asked for.

        Raises:
            RecvTimeout: they did not come.
        """
        assert self._publisher is not None
        self._publisher.wait_for_subscribers(self._asked.wait, timeout)

    def publish(self, item: Item) -> None:
        """Publish a message that it is prepared for."""
        assert self._publisher is not None
        id = item.described.get("id") if item.codec == "struct" else None
        self.handed += self._publisher.publish(item.data, id)
        self.published += 1

    def close(self) -> None:
        """Close the publisher."""
        if self._publisher is not None:
            self._publisher.close()


def _repeated(item: Item, asked: _Asked) -> Iterator[Item]:
    """Yield one message as often as the user asked for."""
    return repeat(item) if asked.count is None and asked.rate is not None else repeat(item, asked.count or 1)


def _publish(sinks: _Sinks, items: Iterable[Item], asked: _Asked, *, as_lines: bool) -> None:
    if asked.rate is not None or not as_lines:
        _publish_paced(sinks, items, 1.0 / (asked.rate or 1.0))
    elif asked.pace:
        _publish_as_recorded(sinks, items)
    else:
        for item in items:
            sinks.publish(item)


def _publish_paced(sinks: _Sinks, items: Iterable[Item], pause: float) -> None:
    due: float | None = None
    for item in items:
        if due is not None:
            time.sleep(left(due) or 0.0)
        sinks.publish(item)
        now = time.monotonic()
        due = max((now if due is None else due) + pause, now)  # after a pause of the computer, no burst


def _publish_as_recorded(sinks: _Sinks, items: Iterable[Item]) -> None:
    """Keep the pauses of the recording; what was waited for subscribers comes on top of them."""
    began, first = 0.0, 0
    for item in items:
        if item.sent_ns and not first:
            sinks.publish(item)
            began, first = time.monotonic(), item.sent_ns
            continue
        pause = began + (item.sent_ns - first) / 1e9 - time.monotonic()
        if item.sent_ns and 0 < pause < PACE_LIMIT:
            time.sleep(pause)
        began += sinks.publish(item)
