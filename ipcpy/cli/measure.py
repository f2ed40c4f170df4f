"""``ipcpy hz``, ``bw`` and ``delay``: how often, how much, how late. Knows lines of numbers; nothing of contents."""

from __future__ import annotations

import math
import statistics
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

import ipcpy as ipc

from .arrivals import Arrivals
from .jsonform import dumps
from .lateness import Lateness, often_late, promised
from .listen import first, nothing_came, subscribe
from .options import (
    COUNT,
    PATIENCE,
    SECONDS,
    as_json,
    naming_options,
    node_options,
    open_node,
    topic_argument,
)
from .render import duration, printable, size, warning, with_bound

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
    deadline: float | None = None


class _Window:
    """The newest messages of a topic, and what the subscriber has counted since the last line."""

    def __init__(self, sub: ipc.Subscriber, size: int, *, late: bool = False) -> None:
        self.arrivals = Arrivals(size)
        self.late: deque[ipc.Delay] | None = deque(maxlen=size) if late else None
        self.seconds = 0.0  # since the last line
        self.received = self.bytes = 0  # since then
        self.lost: dict[str, int] = {}  # in all
        self.dropped: dict[str, int] = {}  # in all
        self.sub = sub
        self.lateness: Lateness | None = None  # for those who ask
        self._before = (0, 0)
        self._at = time.monotonic()
        self.turn()

    def add(self, message: ipc.Message) -> None:
        """Take a message that came."""
        self.arrivals.add(message.sent_ns, message.received_ns)
        if self.late is not None:
            self.late.append(self.sub.delay(message))

    def delays(self) -> list[ipc.Delay]:
        """Return how late messages were, of those of which that is known."""
        return [late for late in self.late or () if late.bound < math.inf]

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
        naming_options,
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


def _run(ctx: click.Context, topic: str, report: Report, show: Show, options: _Options, *, late: bool = False) -> None:
    """Receive, and print a line a second."""
    with open_node(ctx) as node, subscribe(node, topic, options.deadline) as sub:
        try:
            message = first(sub, options.timeout)
        except ipc.RecvTimeout:
            raise nothing_came(sub, options.timeout) from None
        seen = _Window(sub, options.window, late=late)
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
            line = {"topic": sub.topic, **report(seen), "lost": seen.lost, "dropped": seen.dropped}
            text = f"{printable(sub.topic)}  {show(line)}{_losses(seen.lost)}{_drops(seen.dropped)}"
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
@click.option("--deadline", type=PATIENCE, help="Call a message late that comes so many seconds after the last.")
@_options
def hz(ctx: click.Context, topic: str, **options: Any) -> None:
    """Print once a second how often messages come: the rate, the time between two, and losses by cause.

    'lost' are messages that did not arrive and 'dropped' datagrams that were none, both since it began. Where the
    publisher promises a rate it stands beside that which comes, and 'late' is how often nothing came for three of its
    periods; with --deadline, for so long. With --json 'rate' is in Hz, 'interval' in seconds.

    \b
    Example:
      ipcpy hz imu
      ipcpy hz imu --deadline 0.05
      ipcpy hz imu -n 5 --json
    """
    deadline = options["deadline"]

    def show(line: dict[str, Any]) -> str:
        rate, times = f"{line['rate']:.1f} Hz{promised(line)}", often_late(line, deadline)
        times = warning(times) if line["late"] else times
        if not line["interval"]:
            return rate + times
        gap = {name: duration(seconds) for name, seconds in line["interval"].items()}
        return f"{rate}  min {gap['min']}  max {gap['max']}  std {gap['std']}  of {line['messages']}{times}"

    _run(ctx, topic, _rate, show, _Options(**options))


def _rate(seen: _Window) -> dict[str, Any]:
    seen.lateness = seen.lateness or Lateness(seen.sub)
    return {
        "rate": seen.received / seen.seconds,
        "messages": len(seen.arrivals),
        "interval": _summary(seen.arrivals.intervals()),
        **seen.lateness.record(),
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
    """Print once a second how long messages took from publishing to receiving, and how wrong that can be.

    Between two machines the difference of their clocks is estimated all the time, and taken out. Of a machine whose
    ipcpy is too old for that, the difference is in the times, and only how they vary says something. With --json times
    are in seconds; 'bound' is how wrong p50 can be, null where nothing is known.

    \b
    Example:
      ipcpy delay imu
    """

    told: set[str] = set()

    def report(seen: _Window) -> dict[str, Any]:
        known = seen.delays()
        late = [each.seconds for each in known] or seen.arrivals.delays()
        elsewhere = sorted({publisher.node.host for publisher in seen.sub.publishers} - {_own_host()})
        if elsewhere and not known and not told:
            told.update(elsewhere)
            hosts = printable(", ".join(elsewhere))
            what = "its clock is not known: the difference of the clocks is in these times"
            click.echo(warning(f"published on {hosts}: {what}"), err=True)
        bound = _bound_of_median(known) if known else None
        return {"delay": _summary(late), "bound": bound, "messages": len(late), "other_hosts": elsewhere}

    def show(line: dict[str, Any]) -> str:
        if not line["delay"]:
            return "no message to measure"
        late = {name: duration(seconds) for name, seconds in line["delay"].items()}
        if line["bound"]:
            late["p50"] = with_bound(line["delay"]["p50"], line["bound"])
        return f"min {late['min']}  p50 {late['p50']}  p99 {late['p99']}  max {late['max']}  std {late['std']}"

    _run(ctx, topic, report, show, _Options(**options), late=True)


def _bound_of_median(late: Sequence[ipc.Delay]) -> float:
    """Return how wrong the median can be: it lies between those of the least and of the greatest values."""
    middle = len(late) // 2
    least, told, most = (sorted(each.seconds + sign * each.bound for each in late)[middle] for sign in (-1, 0, 1))
    return max(told - least, most - told)


def _own_host() -> str:
    import platform

    return platform.node()
