"""``ipcpy services``: who answers what. Knows the graph; nothing of calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

import ipcpy as ipc

from .endings import NothingFound
from .jsonform import dumps
from .looking import endpoint_record, look, nobody, schema_record, strangers, via
from .options import SECONDS, as_json, node_options, open_node
from .render import dim, plural, printable, table

__all__ = ["services"]


@click.command(short_help="Show services: who answers what.")
@click.option(
    "--timeout", type=SECONDS, default=1.0, show_default=True, help="Seconds after which nothing found is an error."
)
@as_json
@node_options
@click.pass_context
def services(ctx: click.Context, timeout: float, as_json: bool) -> None:
    """Show the services with the types of requests and replies, who answers, and who asks.

    'any' takes what clients send. '(steps)' answers in steps, as a long task does: 'ipcpy call' shows each.

    \b
    Example:
      ipcpy services
      ipcpy services --json | jq -r .service
    """
    with open_node(ctx) as node:
        if not look(node, timeout, lambda: bool(ipc.services(0, node))):
            raise NothingFound(nobody("service", timeout, node.domain, strangers([node])))
        found, known = ipc.services(0, node), {each.id: each for each in node.nodes()}
        if as_json:
            for service in found:
                click.echo(dumps(_record(service, known)))
            return
        head = ("SERVICE", "REQUEST", "REPLY", "ANSWERED BY", "ASKED BY", "HOSTS")
        for line in table((_row(service, known) for service in found), head):
            click.echo(line)
        click.echo(dim(f"{plural(len(found), 'service')} in domain {printable(node.domain)}"))


def _row(service: ipc.ServiceInfo, known: Mapping[str, ipc.NodeInfo]) -> tuple[str, ...]:
    reply = _type(service.reply, service.reply_schema) + (" (steps)" if service.steps else "")
    hosts = sorted({server.node.host for server in service.servers})
    asked = _names(service.clients, known)
    request = _type(service.request, service.request_schema)
    return service.name, request, reply, _names(service.servers, known), asked, ", ".join(hosts)


def _type(codec: str, schema: Mapping[str, Any]) -> str:
    """Name what is sent: the messages of a library, else the codec."""
    messages = schema.get("messages")  # it came from the network
    described = messages if isinstance(messages, list | tuple) else ()
    names = [f"{message.get('name')}" for message in described if isinstance(message, Mapping)]
    if not names:
        return codec
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _names(endpoints: Sequence[ipc.EndpointInfo], known: Mapping[str, ipc.NodeInfo]) -> str:
    names = sorted(_name(each, known.get(each.node.id, each.node)) for each in endpoints)
    return ", ".join(names[:3]) + (f" + {len(names) - 3}" if len(names) > 3 else "") if names else "-"


def _name(endpoint: ipc.EndpointInfo, node: ipc.NodeInfo) -> str:
    name = printable(via(endpoint)) or node.name
    return name if node.state == "alive" else f"{name} ({node.state})"


def _record(service: ipc.ServiceInfo, known: Mapping[str, ipc.NodeInfo]) -> dict[str, Any]:
    return {
        "service": service.name,
        "request": {"codec": service.request, "schema": schema_record(service.request_schema)},
        "reply": {"codec": service.reply, "schema": schema_record(service.reply_schema)},
        "steps": service.steps,
        "servers": [_endpoint(server, known) for server in service.servers],
        "clients": [_endpoint(client, known) for client in service.clients],
    }


def _endpoint(endpoint: ipc.EndpointInfo, known: Mapping[str, ipc.NodeInfo]) -> dict[str, Any]:
    made = endpoint_record(endpoint, known)
    return {"id": made["id"], "node": made["node"], "via": made["via"]}
