"""``ipcpy list`` and ``ipcpy nodes``: who is there, and who comes and goes. Knows the graph; nothing of messages."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import click

import ipcpy as ipc

from ..overview.fleet import Fleet
from .domains import events, in_domains, look_around, nobody_around
from .endings import NothingFound
from .jsonform import dumps
from .looking import node_record, strangers, topic_record, via
from .options import SECONDS, as_json, domains_options, open_fleet
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
@domains_options
@click.pass_context
def list_topics(ctx: click.Context, watch: bool, timeout: float, as_json: bool) -> None:
    """Show the topics with their types, publishers, subscribers and hosts.

    'struct: Imu, State' names all types of the publisher's library; which of them are on the topic now says
    'ipcpy info TOPIC'.

    \b
    Example:
      ipcpy list
      ipcpy list --json | jq -r .topic
      ipcpy list --domain robotA,robotB
    """
    with open_fleet(ctx) as fleet:
        if not look_around(fleet, timeout, lambda node: bool(node.topics())) and not watch:
            raise NothingFound(nobody_around("topic", timeout, fleet))
        if watch:
            _watch(fleet, "publisher", "subscriber", as_json=as_json)
            return
        found = [(node.domain, topic) for node in fleet.nodes for topic in node.topics()]
        known = {known.id: known for node in fleet.nodes for known in node.nodes()}
        if as_json:
            for domain, topic in found:
                click.echo(dumps({**topic_record(topic, known), "domain": domain, "hosts": _hosts(topic)}))
            _tell_strangers(fleet)
            return
        head = ("TOPIC", "TYPE", "PUBLISHED BY", "SUBSCRIBED BY", "HOSTS")
        _show(fleet, head, [(domain, *_topic_row(topic, known)) for domain, topic in found])
        concerned = {endpoint.node.id for _, topic in found for endpoint in (*topic.publishers, *topic.subscribers)}
        _footer(plural(len(found), "topic"), fleet, [known[id] for id in concerned if id in known])


@click.command(short_help="Show nodes: the programs that take part.")
@watch_option
@timeout_option
@as_json
@domains_options
@click.pass_context
def nodes(ctx: click.Context, watch: bool, timeout: float, as_json: bool) -> None:
    """Show the nodes: the programs that publish or subscribe, and where they run.

    \b
    Example:
      ipcpy nodes
      ipcpy nodes --watch --json
      ipcpy nodes --all-domains
    """
    with open_fleet(ctx) as fleet:
        if not look_around(fleet, timeout, lambda node: bool(_others(node))) and not watch:
            raise NothingFound(nobody_around("other node", timeout, fleet))
        if watch:
            _watch(fleet, "node", as_json=as_json)
            return
        found = [(node.domain, known) for node in fleet.nodes for known in _others(node)]
        if as_json:
            for _, known in found:
                click.echo(dumps(node_record(known)))
            _tell_strangers(fleet)
            return
        head = ("NODE", "HOST", "PID", "ADDRESS", "VERSION", "STATE", "HEARD")
        _show(fleet, head, [(domain, *_node_row(known)) for domain, known in found])
        _footer(plural(len(found), "node"), fleet, [known for _, known in found])


def _others(node: ipc.Node) -> list[ipc.NodeInfo]:
    return [known for known in node.nodes() if known.id != node.id]


def _show(fleet: Fleet, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows, the first cell of which is a domain, with that only where there may be several."""
    first = 0 if fleet.several else 1
    for line in table([row[first:] for row in rows], ("DOMAIN", *head)[first:]):
        click.echo(line)


def _footer(what: str, fleet: Fleet, concerned: Iterable[ipc.NodeInfo]) -> None:
    oldest = max((known.age for known in concerned), default=0.0)
    where = printable(in_domains(fleet))
    click.echo(dim(f"{what} {where}; the node heard least recently: {duration(oldest)} ago"))
    _tell_strangers(fleet)


def _tell_strangers(fleet: Fleet) -> None:
    """Say who is here and shares no key with us: beside the output, which may be read by a program."""
    if told := strangers(fleet.nodes):
        click.echo(warning(told), err=True)


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


def _watch(fleet: Fleet, *kinds: str, as_json: bool) -> None:
    """Print a line for each event about one of some kinds; those of our own nodes are left out."""
    for event in events(fleet):
        change = _change(event)
        if change.kind not in kinds or change.node.id in {node.id for node in fleet.nodes}:
            continue
        if as_json:
            click.echo(dumps({"time_ns": time.time_ns(), "event": type(event).__name__, **_change_record(change)}))
        else:
            where = f"{printable(change.node.domain)}  " if fleet.several else ""
            click.echo(_change_line(change, where))


def _change_record(change: _Change) -> dict[str, Any]:
    record: dict[str, Any] = {"reason": change.reason}
    if isinstance(change.about, ipc.EndpointInfo):
        about = change.about
        record |= {"topic": about.topic, "codec": about.codec, "endpoint": about.id}
    return {**record, "node": node_record(change.node)}


def _change_line(change: _Change, where: str = "") -> str:
    node = change.node
    what = printable(f"{node.name} ({node.host}, pid {node.pid})")
    if isinstance(change.about, ipc.EndpointInfo):
        what = f"{printable(change.about.topic)}  {change.kind} of {what}"
    reason = f": {printable(change.reason)}" if change.reason else change.words
    line = f"{datetime.now():%H:%M:%S.%f} {change.sign} {where}{what}{reason}"
    return line if change.sign == "+" else warning(line)
