"""``ipcpy list`` and ``ipcpy nodes``: who is there. Knows the graph's values; nothing of messages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click

import ipcpy as ipc

from .endings import NothingFound
from .jsonform import dumps
from .options import SECONDS, as_json, node_options, open_node
from .render import dim, duration, plural, printable, table, warning

__all__ = ["endpoint_record", "list_topics", "look", "node_record", "nodes", "schema_text"]

FIRST_PICTURE = 0.45  # seconds that the first picture may take to be complete; then what is there is shown

NOBODY = (
    "no {what} within {timeout:g} s in domain {domain!r}. Does the other program run, with the same --domain "
    "(IPCPY_DOMAIN)? On a network without multicast, name one of its hosts by --peers (IPCPY_PEERS). Try: ipcpy doctor."
)

watch_option = click.option("--watch", is_flag=True, help="Then go on, with a line for each that comes or goes.")
timeout_option = click.option(
    "--timeout", type=SECONDS, default=1.0, show_default=True, help="Seconds after which nothing found is an error."
)


def look(node: ipc.Node, timeout: float, found: Callable[[], bool]) -> bool:
    """Wait for the first complete picture, and longer while it does not show what is wanted.

    Returns:
        Whether it was found within ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    node.wait_complete(min(timeout, FIRST_PICTURE))
    while not found():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        node.wait_complete(min(left, FIRST_PICTURE))
    return True


@click.command("list", short_help="Show topics.")
@watch_option
@timeout_option
@as_json
@node_options
@click.pass_context
def list_topics(ctx: click.Context, watch: bool, timeout: float, as_json: bool) -> None:
    """Show the topics with their types, publishers, subscribers and hosts.

    \b
    Example:
      ipcpy list
      ipcpy list --json | jq -r .topic
    """
    with open_node(ctx) as node:
        if not look(node, timeout, lambda: bool(node.topics())) and not watch:
            raise NothingFound(NOBODY.format(what="topic", timeout=timeout, domain=node.domain))
        if watch:
            _watch(node, as_json, "publisher", "subscriber")
            return
        topics, known = node.topics(), {known.id: known for known in node.nodes()}
        if as_json:
            for topic in topics:
                click.echo(dumps(_topic_record(topic, known)))
            return
        head = ("TOPIC", "TYPE", "PUBLISHED BY", "SUBSCRIBED BY", "HOSTS")
        for line in table(map(_topic_row, topics), head):
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
            raise NothingFound(NOBODY.format(what="other node", timeout=timeout, domain=node.domain))
        if watch:
            _watch(node, as_json, "node")
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


def schema_text(codec: str, schema: Mapping[str, Any]) -> str:
    """Name what a topic carries: the messages of a struct schema, else the codec."""
    names = [f"{message.get('name')}" for message in schema.get("messages", ()) if isinstance(message, Mapping)]
    if not names:
        return codec or "?"
    return f"{codec} {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"


def _topic_row(topic: ipc.TopicInfo) -> tuple[str, ...]:
    hosts = sorted({endpoint.node.host for endpoint in (*topic.publishers, *topic.subscribers)})
    kind = schema_text(topic.codec, topic.schema)
    return topic.name, kind, _names(topic.publishers), _names(topic.subscribers), ", ".join(hosts)


def _names(endpoints: tuple[ipc.EndpointInfo, ...]) -> str:
    names = sorted({endpoint.node.name for endpoint in endpoints})
    if not names:
        return "-"
    more = f" + {len(endpoints) - 3}" if len(endpoints) > 3 else ""
    return ", ".join(names[:3]) + more


def _node_row(node: ipc.NodeInfo) -> tuple[str, ...]:
    heard = f"{duration(node.age)} ago"
    return node.name, node.host, str(node.pid), node.address or "-", node.version, node.state, heard


def node_record(node: ipc.NodeInfo) -> dict[str, Any]:
    """Make what JSON shows of a node."""
    return asdict(node)


def endpoint_record(endpoint: ipc.EndpointInfo, known: Mapping[str, ipc.NodeInfo]) -> dict[str, Any]:
    """Make what JSON shows of a publisher or subscriber; its schema is shown once, with the topic."""
    return {
        "id": endpoint.id,
        "topic": endpoint.topic,
        "codec": endpoint.codec,
        "reliable": endpoint.reliable,
        "keep": endpoint.keep,
        "mismatch": list(endpoint.mismatch),
        "node": node_record(known.get(endpoint.node.id, endpoint.node)),
    }


def _topic_record(topic: ipc.TopicInfo, known: Mapping[str, ipc.NodeInfo]) -> dict[str, Any]:
    return {
        "topic": topic.name,
        "codec": topic.codec,
        "schema": dict(topic.schema),
        "publishers": [endpoint_record(endpoint, known) for endpoint in topic.publishers],
        "subscribers": [endpoint_record(endpoint, known) for endpoint in topic.subscribers],
        "hosts": sorted({endpoint.node.host for endpoint in (*topic.publishers, *topic.subscribers)}),
    }


# -- watching ----------------------------------------------------------------------------------------------------------

_SIGNS = {"Found": "+", "Lost": "-", "Stalled": "?", "Resumed": "+"}


def _watch(node: ipc.Node, as_json: bool, *kinds: str) -> None:
    with node.watch() as watch:
        for event in watch:
            kind, sign, record = _event(event)
            if kind not in kinds or record["node"]["id"] == node.id:
                continue
            if as_json:
                click.echo(dumps({"time_ns": time.time_ns(), **record}))
            else:
                click.echo(_event_line(kind, sign, record))


def _event(event: Any) -> tuple[str, str, dict[str, Any]]:
    """Take an event apart: what it is about (``node``, ``publisher``, ``subscriber``), its sign, what JSON shows."""
    name = type(event).__name__
    kind = next(kind for kind in ("node", "publisher", "subscriber") if name.lower().startswith(kind))
    about = getattr(event, kind)
    record: dict[str, Any] = {"event": name, "reason": getattr(event, "reason", "")}
    if kind == "node":
        record["node"] = node_record(about)
    else:
        record.update(topic=about.topic, codec=about.codec, endpoint=about.id, node=node_record(about.node))
    return kind, _SIGNS[name[len(kind) :]], record


def _event_line(kind: str, sign: str, record: Mapping[str, Any]) -> str:
    node = record["node"]
    where = printable(f"{node['name']} ({node['host']}, pid {node['pid']})")
    what = where if kind == "node" else printable(f"{record['topic']}  {kind} of {where}")
    words = {"?": " does not answer", "+": " answers again" if record["event"] == "NodeResumed" else ""}
    reason = f": {printable(record['reason'])}" if record["reason"] else words.get(sign, "")
    line = f"{datetime.now():%H:%M:%S.%f} {sign} {what}{reason}"
    return line if sign == "+" else warning(line)
