"""``ipcpy why``: why the messages of a topic come, or do not, wherever. Knows what nodes say; judges nothing itself."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence

import click

import ipcpy as ipc

from .endings import NothingFound
from .flows import causes_text, flow_record, flows_over, rate_text, reasons_of
from .jsonform import dumps
from .looking import look, via
from .options import SECONDS, as_json, naming_options, node_options, open_node, topic_argument
from .render import heading, plural, printable, printable_lines, warning

__all__ = ["between_lines", "why"]

HEARD = 1.5  # seconds that nodes of other domains, whose greetings came, have to tell their domain by mDNS
LOOK = 0.05  # seconds between two looks whether they did


@click.command(short_help="Explain why a topic's messages come, or do not.")
@topic_argument
@click.option("--timeout", type=SECONDS, default=1.0, show_default=True, help="Seconds to look for the topic.")
@as_json
@node_options
@naming_options
@click.pass_context
def why(ctx: click.Context, topic: str, timeout: float, as_json: bool) -> None:
    """Explain why the subscribers of a topic get its messages, or do not, on whichever hosts they are.

    It shows each flow, and asks every publisher and subscriber what it has to say. TOPIC is a name or a pattern.

    \b
    Example:
      ipcpy why imu
    """
    with open_node(ctx) as node:
        name = node.resolve(topic)
        look(node, timeout, lambda: any(ipc.matches(name, known.name) for known in node.topics(hidden=True)))
        hidden = name.startswith("@")
        found = [flow for flow in flows_over(node, 0.5, hidden=hidden) if ipc.matches(name, flow.topic)]
        said = node.why(topic)
        elsewhere = [] if any(flow.subscriber for flow in found) else [*_service(node, name), *_elsewhere(node, topic)]
        if not found and not any(ipc.matches(name, each.name) for each in node.topics(hidden=True)):
            raise NothingFound("\n".join([said, *elsewhere]))
        if as_json:
            known = {each.id: each for each in node.nodes()}
            shown = [flow_record(flow, known) for flow in found]
            click.echo(dumps({"topic": name, "flows": shown, "said": [*said.split("\n"), *elsewhere]}))
            return
        for line in _lines(name, found):
            click.echo(line)
        click.echo(printable_lines(said))
        for line in elsewhere:
            click.echo(line)


def _lines(name: str, found: Sequence[ipc.Flow]) -> Iterator[str]:
    between = [flow for flow in found if flow.subscriber is not None]
    yield f"{heading(printable(name))}  {plural(len(between), 'flow')}"
    for flow in between:
        yield from between_lines(flow)
    yield ""


def _service(node: ipc.Node, name: str) -> list[str]:
    """Say that there is a service of the name, if so: it is no topic."""
    if not any(service.name == name for service in ipc.services(0, node)):
        return []
    return [f"{printable(repr(name))} is a service. Try: ipcpy services"]


def _elsewhere(node: ipc.Node, topic: str) -> list[str]:
    """Say which other domains there are, if any: who is in one of these is neither seen nor heard."""
    until = time.monotonic() + HEARD
    while len(node.domains()) == 1 and node.stats.dropped.get("domain") and time.monotonic() < until:
        time.sleep(LOOK)
    others = [printable(domain) for domain in node.domains() if domain != node.domain]
    if others:
        listed = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
        command = shlex.join(["ipcpy", "why", printable(topic), "--domain", others[0]])  # names from the network
        return [f"Other domains are here too: {listed}. Try: {command}"]
    if node.stats.dropped.get("domain"):
        return [
            "Greetings of another domain came, whose name mDNS does not tell here. Try: ipcpy why TOPIC --domain NAME"
        ]
    return []


def between_lines(flow: ipc.Flow) -> Iterator[str]:
    """Yield what both halves of a flow count, as far as they are told, and what is wrong."""
    assert flow.subscriber is not None
    one, other = (f"{each.node.name} ({each.host}, {each.pid})" for each in (flow.publisher, flow.subscriber))
    beyond = f"{via(flow.publisher)}: " if flow.publisher.via else ""
    between = printable(f"  {flow.topic}: {beyond}{one} to {other}")
    untold = flow.sent is None
    sent = "what was sent is not told" if untold else f"by {flow.way or 'no way yet'}, {flow.sent:,} sent"
    if flow.received is None:
        came = "nor what came" if untold else "what came is not told"
    else:
        came = f"{flow.received:,} received, " + (f"lost: {causes_text(flow)}" if flow.lost else "none lost")
    yield f"{between}: {sent}, {came}"
    if flow.way or flow.received:
        yield f"    {rate_text(flow)}" + (f"; {flow.queued:,} wait" if flow.queued else "")
    yield from (warning(f"    {line}") for line in reasons_of(flow))
