"""``ipcpy info``: one topic in full. Knows the graph and how a schema reads; nothing of how messages come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

import click

import ipcpy as ipc

from .endings import NothingFound
from .flows import flow_lines, flow_record
from .jsonform import dumps
from .looking import STOPPED, look, named, nobody, strangers, topic_record, via
from .observe import Observed, observe
from .options import SECONDS, as_json, naming_options, node_options, open_node, topic_argument
from .render import dim, duration, heading, plural, printable, size, table, warning

__all__ = ["info"]

MOMENT = 0.5  # seconds to listen, where the user says nothing else
Nodes = Mapping[str, ipc.NodeInfo]


@click.command(short_help="Show one topic in full.")
@topic_argument
@click.option(
    "--measure", type=SECONDS, help="Listen for so many seconds, and show rates and losses too; 0 does not listen."
)
@click.option("--timeout", type=SECONDS, default=1.0, show_default=True, help="Seconds to look for the topic.")
@as_json
@node_options
@naming_options
@click.pass_context
def info(ctx: click.Context, topic: str, measure: float | None, timeout: float, as_json: bool) -> None:
    """Show a topic's messages field by field, its publishers and subscribers, and where their types differ.

    It listens for half a second, and shows what is on the topic now: of a library which of its types, of an array
    its dtype and shape; how often, and how large. The nodes tell what goes to each subscriber, how late, and what is
    lost ('ipcpy flows').

    \b
    Example:
      ipcpy info imu
      ipcpy info imu --measure 2
    """
    with open_node(ctx) as node:
        name = node.resolve(topic)
        if not look(node, timeout, lambda: _find(node, name) is not None):
            raise NothingFound(_missing(node, topic, timeout))
        found = _find(node, name)
        assert found is not None
        known = {each.id: each for each in node.nodes()}
        seconds = MOMENT if measure is None else measure
        node.flows()  # latencies are noted from now on, and rates are counted
        seen = observe(node, found, seconds, topic) if seconds and found.publishers else None
        flows = [flow for flow in node.flows() if flow.topic == name and _between_others(flow, node)]
        if as_json:
            shown = [flow_record(flow, known) for flow in flows]
            click.echo(dumps({**_record(found, known, seen, measure), "flows": shown}))
            return
        for line in _lines(found, known, seen, flows):
            click.echo(line)
        for line in _stats_lines(seen.stats, seconds) if seen and measure else ():
            click.echo(line)


def _missing(node: ipc.Node, topic: str, timeout: float) -> str:
    """Say that a topic is not there: which ones are, or, where there are none, why that may be."""
    names = [known.name for known in node.topics()]
    shut_out = strangers([node])
    if not names:
        return nobody(f"topic {named(node, topic)}", timeout, node.domain, shut_out)
    one = " It takes the name of one topic, no pattern." if "*" in topic else ""
    listed = ", ".join(map(printable, names[:10])) + (", ..." if len(names) > 10 else "")
    what = f"no topic {named(node, topic)} within {timeout:g} s in domain {node.domain!r}."
    said = (f"{what}{one} Topics there are: {listed}.", shut_out, STOPPED)
    return " ".join(filter(None, said))


def _between_others(flow: ipc.Flow, node: ipc.Node) -> bool:
    return flow.subscriber is not None and flow.subscriber.node.id != node.id


def _find(node: ipc.Node, name: str) -> ipc.TopicInfo | None:
    return next((topic for topic in node.topics() if topic.name == name), None)


def _record(topic: ipc.TopicInfo, known: Nodes, seen: Observed | None, measure: float | None) -> dict[str, Any]:
    made = topic_record(topic, known)
    made["observed"] = seen.record() if seen is not None else None
    if measure:
        made["measured"] = {"seconds": measure, **asdict(seen.stats if seen is not None else ipc.SubscriberStats())}
    return made


def _lines(topic: ipc.TopicInfo, known: Nodes, seen: Observed | None, flows: Sequence[ipc.Flow]) -> Iterator[str]:
    yield f"{heading(printable(topic.name))}  {topic.codec or 'nobody publishes'}"
    if seen is not None:
        yield from _seen_lines(seen, topic.codec)
    yield from _message_lines(topic.schema)
    for what, endpoints in (("publishers", topic.publishers), ("subscribers", topic.subscribers)):
        yield f"\n{heading(what)}" + ("" if endpoints else "  none")
        if endpoints:
            yield from (f"  {line}" for line in _endpoint_lines(endpoints, known))
    if flows:
        yield f"\n{heading('flows')}"
        yield from (f"  {line}" for line in flow_lines(flows))
    if not topic.publishers:
        yield f"\n{STOPPED}"


def _seen_lines(seen: Observed, codec: str) -> Iterator[str]:
    """Yield what is on a topic now; where nothing came, what is known of why."""
    if seen.newest is None:
        yield f"\n{heading('now')}  no message within {duration(seen.seconds)}"
        yield from (f"  {printable(line)}" for line in seen.why.split("\n"))
        return
    rate, mean = seen.rate(), seen.size()
    counted = f"{plural(seen.stats.received, 'message')} within {duration(seen.seconds)}"
    often = counted if rate is None else f"{rate:.3g} Hz"
    way = ", through shared memory" if seen.stats.shared else ""
    yield f"\n{heading('now')}  {printable(seen.text(codec))}; {often}, {size(mean or 0.0)} each{way}"


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
        notes += [via(endpoint), "reliable" if endpoint.reliable else "best effort", f"keep={endpoint.keep}"]
        notes.append(f"promises {endpoint.rate:g} Hz" if endpoint.rate else "")
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
