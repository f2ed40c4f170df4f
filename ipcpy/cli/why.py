"""``ipcpy why``: why the messages of a topic come, or do not, wherever. Knows what nodes say; judges nothing itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

import ipcpy as ipc

from .endings import NothingFound
from .flows import flow_record, flows_over, loss_text, rate_text, reasons_of
from .jsonform import dumps
from .looking import look
from .options import SECONDS, as_json, naming_options, node_options, open_node, topic_argument
from .render import heading, plural, printable, printable_lines, warning

__all__ = ["why"]


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
        if not found and not any(ipc.matches(name, each.name) for each in node.topics(hidden=True)):
            raise NothingFound(said)
        if as_json:
            known = {each.id: each for each in node.nodes()}
            shown = [flow_record(flow, known) for flow in found]
            click.echo(dumps({"topic": name, "flows": shown, "said": said.split("\n")}))
            return
        for line in _lines(name, found):
            click.echo(line)
        click.echo(printable_lines(said))


def _lines(name: str, found: Sequence[ipc.Flow]) -> Iterator[str]:
    between = [flow for flow in found if flow.subscriber is not None]
    yield f"{heading(printable(name))}  {plural(len(between), 'flow')}"
    for flow in between:
        yield from _flow_lines(flow)
    yield ""


def _flow_lines(flow: ipc.Flow) -> Iterator[str]:
    assert flow.subscriber is not None
    one, other = (f"{each.node.name} ({each.host}, {each.pid})" for each in (flow.publisher, flow.subscriber))
    between = printable(f"  {flow.topic}: {one} to {other}")
    if flow.received is None or flow.sent is None:
        yield f"{between}: one of the two tells nothing."
    else:
        lost = f"lost {loss_text(flow)}" if flow.lost else "none lost"
        yield f"{between}: by {flow.way or 'no way yet'}, {flow.sent:,} sent, {flow.received:,} received, {lost}"
        if flow.way:
            yield f"    {rate_text(flow)}" + (f"; {flow.queued:,} wait" if flow.queued else "")
    yield from (warning(f"    {line}") for line in reasons_of(flow))
