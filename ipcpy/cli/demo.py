"""``ipcpy demo``: a publisher process and a subscriber process on a live topic, and what became of the messages.

Knows the two processes and their results; nothing of what the samples are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile
from typing import IO, Any
from zlib import crc32

import click

import ipcpy as ipc

from .jsonform import dumps, to_json
from .options import RATE, SECONDS, as_json, node_options, open_node
from .render import dim, duration, heading, plural, printable, warning
from .samples import MESSAGE, Samples, computer, rows

__all__ = ["demo"]

READY = 10.0  # seconds in which the processes must have found each other
LINGER = 0.3  # seconds that the publisher stays after its last message
BEHIND = 1.0  # seconds
SHOWN = 0.5  # seconds between two samples that are shown
USUAL_RATE = 100.0  # samples of the computer a second


@click.command(short_help="See it work: real samples from one process to another.")
@click.option("--csv", "path", type=click.Path(exists=True, dir_okay=False), help="Publish the rows of this file.")
@click.option("--rate", type=RATE,
              help="Messages a second.  [default: 100; with --csv its first column, if that is a time]")  # fmt: skip
@click.option("--duration", "seconds", type=SECONDS, default=3.0, show_default=True,
              help="Seconds; 0 for the whole CSV file.")  # fmt: skip
@click.option("--as", "role", nargs=2, hidden=True, metavar="ROLE TOPIC")
@as_json
@node_options
@click.pass_context
def demo(
    ctx: click.Context,
    path: str | None,
    rate: float | None,
    seconds: float,
    role: tuple[str, str] | None,
    as_json: bool,
) -> None:
    """Publish samples of this computer (or of a CSV file) in one process, receive them in another, and sum up.

    Exit code 0 if all arrived, in order and bit for bit; 1 otherwise. While it runs, other shells can look:
    ipcpy list, ipcpy echo 'demo/**'.

    \b
    Example:
      ipcpy demo
      ipcpy demo --csv imu.csv --rate 1000
    """
    if role is None:
        _run(ctx, as_json=as_json)
    elif role[0] == "publisher":
        samples = rows(path, rate) if path else computer(rate or USUAL_RATE)
        _publish(ctx, role[1], samples, seconds or (float("inf") if path else 3.0))
    else:
        _subscribe(ctx, role[1])


# -- the publisher process ---------------------------------------------------------------------------------------------


def _publish(ctx: click.Context, topic: str, samples: Samples, seconds: float) -> None:
    check = published = 0
    with open_node(ctx) as node, ipc.Publisher(topic, samples.library, node=node) as publisher:
        publisher.wait_for_subscribers(timeout=READY)
        start = time.monotonic()
        for due, sample in takewhile(lambda item: item[0] < seconds, samples.supply):
            if time.monotonic() - start > 2 * seconds + BEHIND:  # more a second than this computer can
                break
            pause = start + due - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            publisher.publish(sample)
            published += 1
            check = crc32(samples.library.encode(sample), check)
        elapsed = time.monotonic() - start
        time.sleep(LINGER)
        handed = publisher.stats.handed
    _tell(published=published, handed=handed, seconds=elapsed, check=check)


# -- the subscriber process --------------------------------------------------------------------------------------------


def _subscribe(ctx: click.Context, topic: str) -> None:
    delays: list[int] = []
    in_order, last, check, library, shown = True, 0, 0, None, 0.0
    with open_node(ctx) as node, ipc.Subscriber(topic, node=node) as sub:
        sub.wait_for_publishers(timeout=READY)
        for message in _until_gone(sub):
            if library is None:
                library = ipc.MsgLibrary.from_schema(sub.publishers[0].schema)
            delays.append(message.received_ns - message.sent_ns)
            in_order, last = in_order and message.seq > last, message.seq
            check = crc32(library.encode(tuple(message.data), MESSAGE), check)
            if time.monotonic() - shown >= SHOWN:
                shown = time.monotonic()
                _tell(sample=to_json(message.data), seq=message.seq)
        stats = sub.stats
    delays.sort()
    late = {f"p{share}": delays[len(delays) * share // 100] / 1e9 for share in (50, 99)} if delays else {}
    _tell(received=len(delays), lost=dict(stats.lost), in_order=in_order, check=check, delay=late)


def _until_gone(sub: ipc.Subscriber) -> Iterator[ipc.Message]:
    """Yield messages until the publisher is gone and nothing is left."""
    while True:
        try:
            yield sub.recv(0.1)
        except ipc.RecvTimeout:
            if not sub.publishers:
                return


def _tell(**values: Any) -> None:
    """Tell the process that started this one something, as a line of JSON."""
    click.echo(dumps(values))


# -- the process that starts both --------------------------------------------------------------------------------------


def _run(ctx: click.Context, *, as_json: bool) -> None:
    topic = f"demo/{os.urandom(2).hex()}/{'csv' if ctx.params['path'] else 'computer'}"
    if not as_json:
        click.echo(f"{heading('ipcpy demo')}: {topic}, from one process to another")
    with _child(ctx, "subscriber", topic) as subscriber, _child(ctx, "publisher", topic) as publisher:
        published: dict[str, Any] = {}

        def read() -> None:
            published.update(_last(publisher.stdout))
            if publisher.wait() != 0:
                subscriber.terminate()  # nothing more will come

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        received = _follow(subscriber.stdout, show=not as_json)
        codes = subscriber.wait(READY), publisher.wait(READY)
        reader.join(READY)
    if any(codes) or "published" not in published or "received" not in received:
        raise click.ClickException("one of the two processes failed; what it said stands above")
    summary = _sum_up(topic, published, received)
    if as_json:
        click.echo(dumps(summary))
    else:
        _show(summary)
    ctx.exit(0 if summary["complete"] else 1)


@contextmanager
def _child(ctx: click.Context, role: str, topic: str) -> Iterator[subprocess.Popen[str]]:
    """Start one of the processes, and end it for sure."""
    arguments = ["--as", role, topic, "--duration", str(ctx.params["seconds"])]
    for option, name in (("--csv", "path"), ("--rate", "rate")):
        if ctx.params[name] is not None:
            arguments += [option, str(ctx.params[name])]
    for name, value in (ctx.obj or {}).items():
        arguments += [f"--{name}", value]
    command = [sys.executable, "-m", __package__, "demo", *arguments]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(1.0)
                except subprocess.TimeoutExpired:
                    process.kill()


def _last(output: IO[str] | None) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for line in output or ():
        values = json.loads(line)
    return values


def _follow(output: IO[str] | None, *, show: bool) -> dict[str, Any]:
    """Read samples as they come, and return the last line: the result."""
    values: dict[str, Any] = {}
    for line in output or ():
        values = json.loads(line)
        if show and "sample" in values:
            shown = "  ".join(f"{name} {value:.6g}" for name, value in list(values["sample"].items())[:6]
                              if isinstance(value, int | float))  # fmt: skip
            click.echo(f"  {dim('#' + str(values['seq']))}  {printable(shown)}")
    return values


def _sum_up(topic: str, published: dict[str, Any], received: dict[str, Any]) -> dict[str, Any]:
    equal = published["check"] == received["check"]
    return {
        "topic": topic,
        "published": published["published"],
        "received": received["received"],
        "lost": published["published"] - received["received"],
        "causes": received["lost"],
        "in_order": received["in_order"],
        "equal": equal,
        "seconds": published["seconds"],
        "rate": published["published"] / published["seconds"] if published["seconds"] else 0.0,
        "delay": received["delay"],
        "complete": equal and received["in_order"] and 0 < published["published"] == received["received"],
    }


def _show(summary: dict[str, Any]) -> None:
    click.echo(f"published {plural(summary['published'], 'message')} in {duration(summary['seconds'])}: "
               f"{summary['rate']:.1f} a second")  # fmt: skip
    if summary["complete"]:
        click.echo("received  all of them, in order, equal bit for bit")
    else:
        order = "in order" if summary["in_order"] else "not in order"
        causes = ", ".join(f"{cause} {count}" for cause, count in summary["causes"].items()) or "cause unknown"
        click.echo(warning(f"received  {summary['received']}, {order}; lost {summary['lost']} ({causes})"))
    if summary["delay"]:
        late = summary["delay"]
        click.echo(f"latency   p50 {duration(late['p50'])}, p99 {duration(late['p99'])}")
