"""``ipcpy flows``: who sends what to whom, how fast, and what gets lost. Knows flows; nothing of how they are told."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import click

import ipcpy as ipc

from ..overview.fleet import Fleet
from .domains import in_domains, look_around, nobody_around
from .endings import NothingFound
from .jsonform import dumps
from .looking import endpoint_record, via
from .options import PATIENCE, SECONDS, as_json, domains_options, naming_options, open_fleet, topics_argument
from .render import dim, per_second, plural, printable, size, table, warning, with_bound

__all__ = [
    "causes_text",
    "fitting",
    "flow_lines",
    "flow_record",
    "flows",
    "flows_over",
    "loss_text",
    "rate_text",
    "reasons_of",
]

HEAD = ("TOPIC", "FROM", "TO", "WAY", "HZ", "BYTES/S", "P50", "P99", "LOST", "WAITING")


@click.command(short_help="Show who sends what to whom, how fast, and what gets lost.")
@topics_argument
@click.option("--watch", is_flag=True, help="Go on, until Ctrl-C.")
@click.option("--every", type=PATIENCE, default=1.0, show_default=True, help="Seconds between two readings.")
@click.option("--hidden", is_flag=True, help="ipcpy's own topics too: services are made of them.")
@click.option(
    "--timeout", type=SECONDS, default=1.0, show_default=True, help="Seconds after which nothing found is an error."
)
@as_json
@domains_options
@naming_options
@click.pass_context
def flows(
    ctx: click.Context, topics: tuple[str, ...], watch: bool, every: float, hidden: bool, timeout: float, as_json: bool
) -> None:
    """Show every flow: which publisher sends to which subscriber, by which way, how fast, how late, and what is lost.

    The nodes themselves tell it; nothing is subscribed to. TOPICS are names or patterns, all if there are none. It
    reads twice, a second apart (--every): rates are those in between. LOST is what part of the messages was lost
    meanwhile, and how many were lost in all; WAITING are messages that nobody has taken yet.

    \b
    Example:
      ipcpy flows
      ipcpy flows 'arm/**' --watch
      ipcpy flows --json | jq 'select(.loss > 0)'
      ipcpy flows --domain robotA,robotB
    """
    with open_fleet(ctx) as fleet:
        wanted = [fleet.nodes[0].resolve(topic) for topic in topics]
        if not look_around(fleet, timeout, lambda node: bool(_published(node, wanted, hidden))) and not watch:
            raise NothingFound(_missing(fleet, topics, wanted, timeout))
        _read(fleet, hidden)
        while True:
            time.sleep(every)
            fleet.look()
            _show(fleet, _chosen(_read(fleet, hidden), wanted), as_json=as_json, watched=watch)
            if not watch:
                return


def _read(fleet: Fleet, hidden: bool) -> list[ipc.Flow]:
    return [flow for node in fleet.nodes for flow in node.flows(hidden=hidden)]


def flows_over(node: ipc.Node, seconds: float, *, hidden: bool = False) -> tuple[ipc.Flow, ...]:
    """Read twice, so that rates and latencies are there."""
    node.flows(hidden=hidden)
    time.sleep(seconds)
    return node.flows(hidden=hidden)


def _published(node: ipc.Node, wanted: Sequence[str], hidden: bool) -> list[str]:
    topics = [topic.name for topic in node.topics(hidden=hidden) if topic.publishers]
    return [name for name in topics if not wanted or any(ipc.matches(each, name) for each in wanted)]


def _missing(fleet: Fleet, topics: Sequence[str], wanted: Sequence[str], timeout: float) -> str:
    names = sorted({name for node in fleet.nodes for name in _published(node, (), hidden=False)})
    if not topics or not names:
        return nobody_around("publisher", timeout, fleet)
    listed = ", ".join(map(printable, names[:10])) + (", ..." if len(names) > 10 else "")
    asked = ", ".join(map(repr, wanted))
    where = printable(in_domains(fleet))
    return f"nobody publishes {asked} {where}. Topics with publishers: {listed}. Try: ipcpy why TOPIC."


def _chosen(found: Iterable[ipc.Flow], wanted: Sequence[str]) -> list[ipc.Flow]:
    return [flow for flow in found if not wanted or any(ipc.matches(each, flow.topic) for each in wanted)]


def _show(fleet: Fleet, found: list[ipc.Flow], *, as_json: bool, watched: bool) -> None:
    if as_json:
        known, now = {each.id: each for node in fleet.nodes for each in node.nodes()}, time.time_ns()
        for flow in found:
            click.echo(dumps({"time_ns": now, "domain": flow.publisher.node.domain, **flow_record(flow, known)}))
        return
    flows, wrong = list(_table(found, fleet.several)), list(_wrong(found))
    if watched and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        click.clear()
        flows, wrong = fitting(flows, wrong, shutil.get_terminal_size().lines - 2)
    for line in (*flows, *wrong, dim(_footer(fleet, found))):
        click.echo(line)


def fitting(flows: list[str], wrong: list[str], height: int) -> tuple[list[str], list[str]]:
    """Leave out what the terminal has no line for: what is wrong may take half of it, or what the table leaves."""
    told = _cut(wrong, max(height // 2, height - len(flows)))
    return _cut(flows, height - len(told)), told


def _cut(lines: list[str], height: int) -> list[str]:
    if len(lines) <= height:
        return lines
    shown = max(1, height - 1)
    return [*lines[:shown], dim(f"... and {plural(len(lines) - shown, 'line')} more: ipcpy top")]


def flow_lines(found: Sequence[ipc.Flow], *, domains: bool = False) -> Iterator[str]:
    """Yield a table of flows, with their domains if asked for, and what is wrong with each."""
    yield from _table(found, domains)
    yield from _wrong(found)


def _table(found: Sequence[ipc.Flow], domains: bool) -> Iterator[str]:
    first = 0 if domains else 1
    rows = ((flow.publisher.node.domain, *_row(flow))[first:] for flow in found)
    yield from table(rows, ("DOMAIN", *HEAD)[first:])


def _wrong(found: Iterable[ipc.Flow]) -> Iterator[str]:
    for flow in found:
        if flow.subscriber is not None:
            between = printable(f"{flow.topic}, {_from(flow)} to {flow.subscriber.node.name}")
            yield from (warning(f"{between}: {line}") for line in reasons_of(flow))


def _footer(fleet: Fleet, found: Sequence[ipc.Flow]) -> str:
    between = sum(flow.subscriber is not None for flow in found)
    silent = {flow.publisher.node.name for flow in found if flow.sent is None}
    silent |= {flow.subscriber.node.name for flow in found if flow.subscriber and flow.received is None}
    told = f"; told nothing: {', '.join(sorted(map(printable, silent)))}" if silent else ""
    return f"{plural(between, 'flow')} {printable(in_domains(fleet))}, {datetime.now():%H:%M:%S}{told}"


def _row(flow: ipc.Flow) -> tuple[str, ...]:
    subscriber = flow.subscriber
    names = _from(flow), subscriber.node.name if subscriber is not None else "-"
    rate = per_second(flow.rate) if flow.rate is not None else "-"
    bandwidth = size(flow.bandwidth) if flow.bandwidth is not None else "-"
    late = [_latency(flow, seconds) for seconds in (flow.latency_p50, flow.latency_p99)]
    return flow.topic, *names, flow.way or "-", rate, bandwidth, *late, loss_text(flow), str(flow.queued or "-")


def _from(flow: ipc.Flow) -> str:
    return via(flow.publisher) or flow.publisher.node.name


def _latency(flow: ipc.Flow, seconds: float | None) -> str:
    return "-" if seconds is None else with_bound(seconds, flow.latency_bound or 0.0)


def loss_text(flow: ipc.Flow) -> str:
    """Say what part was lost since the reading before, and how much in all, by cause."""
    if not flow.lost:
        return "-" if flow.received is None else "0"
    return f"{flow.loss:.1%} ({causes_text(flow)})" if flow.loss else causes_text(flow)


def causes_text(flow: ipc.Flow) -> str:
    """Say how much was lost in all, by cause."""
    return ", ".join(f"{printable(cause)} {count:,}" for cause, count in sorted(flow.lost.items()))


def rate_text(flow: ipc.Flow) -> str:
    """Say how often something comes, how much that is, and how late."""
    if flow.rate is None:
        return "it is not known yet how often"
    if not flow.rate and not flow.loss:
        return "nothing came meanwhile" if flow.published else "nothing was published yet"
    said = f"{per_second(flow.rate)} Hz, {size(flow.bandwidth or 0.0)}/s"
    if flow.loss:
        said += f", {flow.loss:.1%} lost"
    if flow.latency_p50 is not None and flow.latency_p99 is not None:
        said += f", latency {_latency(flow, flow.latency_p50)} (99 %: {_latency(flow, flow.latency_p99)})"
    return said


def reasons_of(flow: ipc.Flow) -> list[str]:
    """Return what is wrong with a flow, line by line."""
    return [printable(line) for line in flow.why.split("\n") if line]


def flow_record(flow: ipc.Flow, known: Mapping[str, ipc.NodeInfo]) -> dict[str, Any]:
    """Make what JSON shows of a flow; without schemas."""
    shown: dict[str, Any] = {"topic": flow.topic, "publisher": endpoint_record(flow.publisher, known)}
    shown["subscriber"] = endpoint_record(flow.subscriber, known) if flow.subscriber is not None else None
    plain = {each: getattr(flow, each) for each in flow.__slots__ if each not in shown}
    return {**shown, **plain, "lost": dict(flow.lost), "dropped": dict(flow.dropped)}
