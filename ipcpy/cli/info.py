"""``ipcpy info``: one topic in full. Knows the graph's values and how a schema reads; nothing of messages' contents."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import click

import ipcpy as ipc

from .endings import NothingFound
from .graph import NOBODY, endpoint_record, look
from .jsonform import dumps
from .listen import subscribe
from .options import SECONDS, as_json, node_options, open_node, topic_argument
from .render import dim, duration, fields_of, heading, plural, printable, size, table, warning

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
        return NOBODY.format(what=f"topic {topic!r}", timeout=timeout, domain=node.domain)
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
    made: dict[str, Any] = {
        "topic": topic.name,
        "codec": topic.codec,
        "schema": dict(topic.schema),
        "publishers": [endpoint_record(endpoint, known) for endpoint in topic.publishers],
        "subscribers": [endpoint_record(endpoint, known) for endpoint in topic.subscribers],
    }
    if stats is not None:
        made["measured"] = {"seconds": seconds, **asdict(stats)}
    return made


def _lines(topic: ipc.TopicInfo, known: Nodes) -> Iterator[str]:
    yield f"{heading(printable(topic.name))}  {topic.codec or 'nobody publishes'}"
    for message in topic.schema.get("messages", ()):
        name = printable(str(message.get("name")))
        yield f"\n{heading('message')} {message.get('id')} {name}  {message.get('format')}"
        rows = list(fields_of(message))
        width = max((len(name) for name, _ in rows), default=0)
        yield from (f"  {printable(name).ljust(width)}  {dim(kind)}".rstrip() for name, kind in rows)
    for what, endpoints in (("publishers", topic.publishers), ("subscribers", topic.subscribers)):
        yield f"\n{heading(what)}" + ("" if endpoints else "  none")
        if endpoints:
            yield from (f"  {line}" for line in _endpoint_lines(endpoints, known))


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
