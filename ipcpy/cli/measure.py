"""``ipcpy hz``, ``bw`` and ``delay``: how often, how much, how late. Knows lines of numbers; nothing of contents."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

import ipcpy as ipc

from .arrivals import Arrivals
from .jsonform import dumps
from .listen import first, nothing_came, subscribe
from .options import COUNT, SECONDS, as_json, node_options, open_node, topic_argument
from .render import duration, printable, size, warning

__all__ = ["bw", "delay", "hz"]

PERIOD = 1.0  # seconds between two lines
Report = Callable[["_Window"], dict[str, Any]]
Show = Callable[[dict[str, Any]], str]


@dataclass(frozen=True)
class _Options:
    """What the user asked for; see the help of each."""

    window: int
    count: int | None
    duration: float | None
    timeout: float | None
    as_json: bool


class _Window:
    """The newest messages of a topic, and what the subscriber has counted since the last line."""

    def __init__(self, sub: ipc.Subscriber, size: int) -> None:
        self.arrivals = Arrivals(size)
        self.seconds = 0.0  # since the last line
        self.received = self.bytes = 0  # since then
        self.lost: dict[str, int] = {}  # in all
        self.dropped: dict[str, int] = {}  # in all
        self.sub = sub
        self._before = (0, 0)
        self._at = time.monotonic()
        self.turn()

    def add(self, message: ipc.Message) -> None:
        """Take a message that came."""
        self.arrivals.add(message.sent_ns, message.received_ns)

    def turn(self) -> None:
        """Begin a new line: take what was counted since the last one."""
        stats, now = self.sub.stats, time.monotonic()
        counts = (stats.received, stats.bytes)
        self.received, self.bytes = counts[0] - self._before[0], counts[1] - self._before[1]
        self.lost, self.dropped = dict(stats.lost), dict(stats.dropped)
        self.seconds, self._at, self._before = max(now - self._at, 1e-9), now, counts


def _summary(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    ordered = sorted(values)
    return {
        "min": ordered[0],
        "mean": statistics.fmean(ordered),
        "p50": ordered[len(ordered) // 2],
        "p99": ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
        "max": ordered[-1],
        "std": statistics.pstdev(ordered),
    }


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.pass_context,
        node_options,
        as_json,
        click.option("--timeout", type=SECONDS, help="Give up when no first message came in so many seconds."),
        click.option("--duration", type=SECONDS, help="End after so many seconds."),
        click.option("-n", "--count", type=COUNT, help="End after so many lines."),
        click.option("-w", "--window", type=click.IntRange(min=2, max=1_000_000), default=1000, show_default=True,
                     help="Messages that are looked at, the newest."),
        topic_argument,
    ):  # fmt: skip
        command = option(command)
    return command


def _run(ctx: click.Context, topic: str, report: Report, show: Show, options: _Options) -> None:
    """Receive, and print a line a second."""
    with open_node(ctx) as node, subscribe(node, topic) as sub:
        try:
            message = first(sub, options.timeout)
        except ipc.RecvTimeout:
            raise nothing_came(sub, options.timeout) from None
        seen = _Window(sub, options.window)
        seen.add(message)
        due = time.monotonic()
        end = math.inf if options.duration is None else due + options.duration
        lines = 0
        while (options.count is None or lines < options.count) and due < end:
            due = min(due + PERIOD, end)
            _receive(seen, due)
            seen.turn()
            if step := seen.arrivals.told_step():
                click.echo(warning(f"the clock of this host was set by {step:+,.1f} s"), err=True)
            line = {"topic": topic, **report(seen), "lost": seen.lost, "dropped": seen.dropped}
            text = f"{printable(topic)}  {show(line)}{_losses(seen.lost)}{_drops(seen.dropped)}"
            click.echo(dumps(line) if options.as_json else text)
            lines += 1


def _receive(seen: _Window, until: float) -> None:
    while (left := until - time.monotonic()) > 0:
        try:
            seen.add(seen.sub.recv(left))
        except ipc.RecvTimeout:
            return


def _losses(lost: Mapping[str, int]) -> str:
    if not lost:
        return "  lost 0"
    return warning(f"  lost {_by_cause(lost)}")


def _drops(dropped: Mapping[str, int]) -> str:
    return warning(f"  dropped {_by_cause(dropped)}") if dropped else ""


def _by_cause(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{cause} {count:,}" for cause, count in sorted(counts.items()))


@click.command(short_help="Measure the rate of a topic.")
@_options
def hz(ctx: click.Context, topic: str, **options: Any) -> None:
    """Print once a second how often messages come: the rate, the time between two, and losses by cause.

    'lost' are messages that did not arrive and 'dropped' datagrams that were none, both since it began. With --json
    'rate' is in Hz, 'interval' in seconds.

    \b
    Example:
      ipcpy hz imu
      ipcpy hz imu -n 5 --json
    """

    def show(line: dict[str, Any]) -> str:
        if not line["interval"]:
            return f"{line['rate']:.1f} Hz"
        gap = {name: duration(seconds) for name, seconds in line["interval"].items()}
        return f"{line['rate']:.1f} Hz  min {gap['min']}  max {gap['max']}  std {gap['std']}  of {line['messages']}"

    _run(ctx, topic, _rate, show, _Options(**options))


def _rate(seen: _Window) -> dict[str, Any]:
    return {
        "rate": seen.received / seen.seconds,
        "messages": len(seen.arrivals),
        "interval": _summary(seen.arrivals.intervals()),
    }


@click.command(short_help="Measure the bandwidth of a topic.")
@_options
def bw(ctx: click.Context, topic: str, **options: Any) -> None:
    """Print once a second how many bytes come, how large messages are, and losses by cause.

    'lost' are messages that did not arrive and 'dropped' datagrams that were none, both since it began.

    \b
    Example:
      ipcpy bw camera
      ipcpy bw camera --duration 10 --json
    """

    def show(line: dict[str, Any]) -> str:
        return f"{size(line['bytes_per_second'])}/s  {line['rate']:.1f} Hz  {size(line['mean_size'])} each"

    _run(ctx, topic, _bandwidth, show, _Options(**options))


def _bandwidth(seen: _Window) -> dict[str, Any]:
    return {
        "bytes_per_second": seen.bytes / seen.seconds,
        "rate": seen.received / seen.seconds,
        "mean_size": seen.bytes / seen.received if seen.received else 0.0,
    }


@click.command(short_help="Measure how late messages arrive.")
@_options
def delay(ctx: click.Context, topic: str, **options: Any) -> None:
    """Print once a second the time from publishing to receiving, by the wall clocks of both hosts.

    Between two machines the difference of their clocks is in it, and it may be negative: then only how it varies
    says something. With --json times are in seconds.

    \b
    Example:
      ipcpy delay imu
    """

    told: set[str] = set()

    def report(seen: _Window) -> dict[str, Any]:
        late = seen.arrivals.delays()
        elsewhere = sorted({publisher.node.host for publisher in seen.sub.publishers} - {_own_host()})
        if elsewhere and not told:
            told.update(elsewhere)
            hosts = printable(", ".join(elsewhere))
            click.echo(warning(f"published on {hosts}: the difference of the clocks is in these times"), err=True)
        return {"delay": _summary(late), "messages": len(late), "other_hosts": elsewhere}

    def show(line: dict[str, Any]) -> str:
        if not line["delay"]:
            return "no message to measure"
        late = {name: duration(seconds) for name, seconds in line["delay"].items()}
        return f"min {late['min']}  p50 {late['p50']}  p99 {late['p99']}  max {late['max']}  std {late['std']}"

    _run(ctx, topic, report, show, _Options(**options))


def _own_host() -> str:
    import platform

    return platform.node()
