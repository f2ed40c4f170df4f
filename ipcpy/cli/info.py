"""``ipcpy info``: one topic in full. Knows the graph and how a schema reads; nothing of what messages say."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import groupby
from typing import Any

import click

import ipcpy as ipc

from .endings import NothingFound
from .jsonform import dumps
from .listen import subscribe
from .looking import look, nobody, topic_record
from .options import SECONDS, as_json, node_options, open_node, topic_argument
from .render import dim, duration, heading, plural, printable, size, table, warning

__all__ = ["info"]

Nodes = Mapping[str, ipc.NodeInfo]


@click.command(short_help="Show one topic in full.")
@topic_argument
@click.option("--measure", type=SECONDS, default=0.0, help="Listen for so many seconds, and show rates and losses.")
@click.option("--timeout", type=SECONDS, default=1.0, show_default=True, help="Seconds to look for the topic.")
@as_json
@node_options
@click.pass_context
def info(ctx: click.Context, topic: str, measure: float, timeout: float, as_json: bool) -> None:
    """Show a topic's messages field by field, its publishers and subscribers, and where their types differ.

    \b
    Example:
      ipcpy info imu
      ipcpy info imu --measure 2
    """
    with open_node(ctx) as node:
        if not look(node, timeout, lambda: _find(node, topic) is not None):
            raise NothingFound(_missing(node, topic, timeout))
        found = _find(node, topic)
        assert found is not None
        known = {each.id: each for each in node.nodes()}
        stats = _measure(node, topic, measure) if measure else None
        if as_json:
            click.echo(dumps(_record(found, known, stats, measure)))
            return
        for line in _lines(found, known):
            click.echo(line)
        for line in _stats_lines(stats, measure) if stats else ():
            click.echo(line)


def _missing(node: ipc.Node, topic: str, timeout: float) -> str:
    """Say that a topic is not there: which ones are, or, where there are none, why that may be."""
    names = [known.name for known in node.topics()]
    if not names:
        return nobody(f"topic {topic!r}", timeout, node.domain)
    one = " It takes the name of one topic, no pattern." if "*" in topic else ""
    listed = ", ".join(map(printable, names[:10])) + (", ..." if len(names) > 10 else "")
    what = f"no topic {topic!r} within {timeout:g} s in domain {node.domain!r}."
    return f"{what}{one} Topics there are: {listed}."


def _find(node: ipc.Node, name: str) -> ipc.TopicInfo | None:
    return next((topic for topic in node.topics() if topic.name == name), None)


def _measure(node: ipc.Node, topic: str, seconds: float) -> ipc.SubscriberStats:
    """Listen for a while."""
    with subscribe(node, topic) as sub:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                sub.recv(left)
            except ipc.RecvTimeout:
                break
        return sub.stats


def _record(topic: ipc.TopicInfo, known: Nodes, stats: ipc.SubscriberStats | None, seconds: float) -> dict[str, Any]:
    made = topic_record(topic, known)
    if stats is not None:
        made["measured"] = {"seconds": seconds, **asdict(stats)}
    return made


def _lines(topic: ipc.TopicInfo, known: Nodes) -> Iterator[str]:
    yield f"{heading(printable(topic.name))}  {topic.codec or 'nobody publishes'}"
    yield from _message_lines(topic.schema)
    for what, endpoints in (("publishers", topic.publishers), ("subscribers", topic.subscribers)):
        yield f"\n{heading(what)}" + ("" if endpoints else "  none")
        if endpoints:
            yield from (f"  {line}" for line in _endpoint_lines(endpoints, known))


def _message_lines(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a schema says of each struct message; the schemas of other codecs have none."""
    if "messages" not in schema:
        return
    try:
        library = ipc.MsgLibrary.from_schema(schema)
    except ipc.SchemaError as error:  # it came from the network
        yield warning(f"the schema cannot be read: {printable(str(error))}")
        return
    for message in library.schema["messages"]:
        id, format = message["id"], message["format"]
        yield f"\n{heading('message')} {id} {printable(message['name'])}  {format}"
        rows = list(_rows(library.fields(id)))
        width = max((len(name) for name, _ in rows), default=0)
        yield from (f"  {name.ljust(width)}  {dim(kind)}".rstrip() for name, kind in rows)


def _rows(fields: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield name and type of each value; a run without names is one row."""
    for (name, kind), same in groupby(fields):
        number = sum(1 for _ in same)
        yield printable(name), kind if number == 1 else f"{kind} × {number}"


def _endpoint_lines(endpoints: tuple[ipc.EndpointInfo, ...], known: Nodes) -> Iterator[str]:
    yield from table((_row(endpoint, known) for endpoint in endpoints), ("NODE", "HOST", "PID", "ADDRESS", "HEARD", ""))
    for endpoint in endpoints:
        for sentence in endpoint.mismatch:
            yield warning(f"{printable(endpoint.node.name)} gets nothing, the types differ: {printable(sentence)}")


def _row(endpoint: ipc.EndpointInfo, known: Nodes) -> tuple[str, ...]:
    node = known.get(endpoint.node.id, endpoint.node)
    notes = []
    if endpoint.kind == "publisher":
        notes += ["reliable" if endpoint.reliable else "best effort", f"keep={endpoint.keep}"]
    else:
        notes += [f"takes {endpoint.codec}", f"pattern {endpoint.topic}" if "*" in endpoint.topic else ""]
    if node.state != "alive":
        notes.append(node.state)
    heard = f"{duration(node.age)} ago"
    return node.name, node.host, str(node.pid), node.address or "-", heard, ", ".join(filter(None, notes))


def _stats_lines(stats: ipc.SubscriberStats, seconds: float) -> Iterator[str]:
    yield f"\n{heading('measured')} over {duration(seconds)}"
    rate, amount = stats.received / seconds, size(stats.bytes / seconds)
    yield f"  {plural(stats.received, 'message')}, {rate:.1f} a second, {amount}/s"
    for what, counts in (("lost", stats.lost), ("dropped", stats.dropped)):
        for cause, count in sorted(counts.items()):
            yield warning(f"  {count:,} {what}: {cause}")
