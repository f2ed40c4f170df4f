"""``ipcpy list`` and ``ipcpy nodes``: who is there, and who comes and goes. Knows the graph; nothing of messages."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import click

import ipcpy as ipc

from .endings import NothingFound
from .jsonform import dumps
from .looking import look, nobody, node_record, topic_record, via
from .options import SECONDS, as_json, node_options, open_node
from .render import dim, duration, plural, printable, table, warning

__all__ = ["list_topics", "nodes"]

watch_option = click.option("--watch", is_flag=True, help="Then go on, with a line for each that comes or goes.")
timeout_option = click.option(
    "--timeout", type=SECONDS, default=1.0, show_default=True, help="Seconds after which nothing found is an error."
)


@click.command("list", short_help="Show topics.")
@watch_option
@timeout_option
@as_json
@node_options
@click.pass_context
def list_topics(ctx: click.Context, watch: bool, timeout: float, as_json: bool) -> None:
    """Show the topics with their types, publishers, subscribers and hosts.

    'struct: Imu, State' names all types of the publisher's library; which of them are on the topic now says
    'ipcpy info TOPIC'.

    \b
    Example:
      ipcpy list
      ipcpy list --json | jq -r .topic
    """
    with open_node(ctx) as node:
        if not look(node, timeout, lambda: bool(node.topics())) and not watch:
            raise NothingFound(nobody("topic", timeout, node.domain))
        if watch:
            _watch(node, "publisher", "subscriber", as_json=as_json)
            return
        topics, known = node.topics(), {known.id: known for known in node.nodes()}
        if as_json:
            for topic in topics:
                click.echo(dumps({**topic_record(topic, known), "hosts": _hosts(topic)}))
            return
        head = ("TOPIC", "TYPE", "PUBLISHED BY", "SUBSCRIBED BY", "HOSTS")
        for line in table((_topic_row(topic, known) for topic in topics), head):
            click.echo(line)
        concerned = {endpoint.node.id for topic in topics for endpoint in (*topic.publishers, *topic.subscribers)}
        _footer(plural(len(topics), "topic"), node, [known[id] for id in concerned if id in known])


@click.command(short_help="Show nodes: the programs that take part.")
@watch_option
@timeout_option
@as_json
@node_options
@click.pass_context
def nodes(ctx: click.Context, watch: bool, timeout: float, as_json: bool) -> None:
    """Show the nodes: the programs that publish or subscribe, and where they run.

    \b
    Example:
      ipcpy nodes
      ipcpy nodes --watch --json
    """
    with open_node(ctx) as node:

        def others() -> list[ipc.NodeInfo]:
            return [known for known in node.nodes() if known.id != node.id]

        if not look(node, timeout, lambda: bool(others())) and not watch:
            raise NothingFound(nobody("other node", timeout, node.domain))
        if watch:
            _watch(node, "node", as_json=as_json)
            return
        if as_json:
            for known in others():
                click.echo(dumps(node_record(known)))
            return
        head = ("NODE", "HOST", "PID", "ADDRESS", "VERSION", "STATE", "HEARD")
        for line in table(map(_node_row, others()), head):
            click.echo(line)
        _footer(plural(len(others()), "node"), node, others())


def _footer(what: str, node: ipc.Node, concerned: Iterable[ipc.NodeInfo]) -> None:
    oldest = max((known.age for known in concerned), default=0.0)
    click.echo(dim(f"{what} in domain {printable(node.domain)}; the node heard least recently: {duration(oldest)} ago"))


def _topic_row(topic: ipc.TopicInfo, known: Mapping[str, ipc.NodeInfo]) -> tuple[str, ...]:
    kind = _schema_text(topic.codec, topic.schema)
    names = _names(topic.publishers, known), _names(topic.subscribers, known)
    return topic.name, kind, *names, ", ".join(_hosts(topic))


def _schema_text(codec: str, schema: Mapping[str, Any]) -> str:
    """Name what a topic may carry: all messages of a library, else the codec."""
    messages = schema.get("messages")  # it came from the network
    described = messages if isinstance(messages, list | tuple) else ()
    names = [f"{message.get('name')}" for message in described if isinstance(message, Mapping)]
    if not names:
        return codec or "?"
    return f"{codec}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"


def _hosts(topic: ipc.TopicInfo) -> list[str]:
    return sorted({endpoint.node.host for endpoint in (*topic.publishers, *topic.subscribers)})


def _names(endpoints: Sequence[ipc.EndpointInfo], known: Mapping[str, ipc.NodeInfo]) -> str:
    """Name the nodes of publishers or subscribers, and say which of them do not answer."""
    names = sorted({_name(endpoint, known.get(endpoint.node.id, endpoint.node)) for endpoint in endpoints})
    if not names:
        return "-"
    more = f" + {len(endpoints) - 3}" if len(endpoints) > 3 else ""
    return ", ".join(names[:3]) + more


def _name(endpoint: ipc.EndpointInfo, node: ipc.NodeInfo) -> str:
    name = via(endpoint) or node.name
    return name if node.state == "alive" else f"{name} ({node.state})"


def _node_row(node: ipc.NodeInfo) -> tuple[str, ...]:
    heard = f"{duration(node.age)} ago"
    return node.name, node.host, str(node.pid), node.address or "-", node.version, node.state, heard


# -- watching ----------------------------------------------------------------------------------------------------------


class _Change(NamedTuple):
    """An event, as commands show it.

    Attributes:
        kind: what came or went.
        sign: ``+`` for what is there, ``-`` for what is gone, ``?`` for what is in doubt.
        about: the node, publisher or subscriber.
        reason: why it went.
        words: what else a line says of it.
    """

    kind: Literal["node", "publisher", "subscriber"]
    sign: Literal["+", "-", "?"]
    about: ipc.NodeInfo | ipc.EndpointInfo
    reason: str = ""
    words: str = ""

    @property
    def node(self) -> ipc.NodeInfo:
        """The node that it is about, or that the publisher or subscriber belongs to."""
        return self.about if isinstance(self.about, ipc.NodeInfo) else self.about.node


def _change(event: ipc.Event) -> _Change:
    match event:
        case ipc.NodeFound(node):
            return _Change("node", "+", node)
        case ipc.NodeLost(node, reason):
            return _Change("node", "-", node, reason)
        case ipc.NodeStalled(node):
            return _Change("node", "?", node, words=" does not answer")
        case ipc.NodeResumed(node):
            return _Change("node", "+", node, words=" answers again")
        case ipc.PublisherFound(publisher):
            return _Change("publisher", "+", publisher)
        case ipc.PublisherLost(publisher, reason):
            return _Change("publisher", "-", publisher, reason)
        case ipc.SubscriberFound(subscriber):
            return _Change("subscriber", "+", subscriber)
        case ipc.SubscriberLost(subscriber, reason):
            return _Change("subscriber", "-", subscriber, reason)


def _watch(node: ipc.Node, *kinds: str, as_json: bool) -> None:
    """Print a line for each event about one of some kinds; those of our own node are left out."""
    with node.watch() as watch:
        for event in watch:
            change = _change(event)
            if change.kind not in kinds or change.node.id == node.id:
                continue
            if as_json:
                click.echo(dumps({"time_ns": time.time_ns(), "event": type(event).__name__, **_change_record(change)}))
            else:
                click.echo(_change_line(change))


def _change_record(change: _Change) -> dict[str, Any]:
    record: dict[str, Any] = {"reason": change.reason}
    if isinstance(change.about, ipc.EndpointInfo):
        about = change.about
        record |= {"topic": about.topic, "codec": about.codec, "endpoint": about.id}
    return {**record, "node": node_record(change.node)}


def _change_line(change: _Change) -> str:
    node = change.node
    what = printable(f"{node.name} ({node.host}, pid {node.pid})")
    if isinstance(change.about, ipc.EndpointInfo):
        what = f"{printable(change.about.topic)}  {change.kind} of {what}"
    reason = f": {printable(change.reason)}" if change.reason else change.words
    line = f"{datetime.now():%H:%M:%S.%f} {change.sign} {what}{reason}"
    return line if change.sign == "+" else warning(line)
