"""``ipcpy record``: topics into a file, or into a ring. Knows options and what is shown; nothing of files or chunks."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import Any

import click

import ipcpy as ipc

from .endings import NothingFound
from .interrupts import Terminated, take_time
from .jsonform import dumps
from .looking import named
from .options import RATE, as_json, naming_options, node_options, open_node, topics_argument
from .render import plural, printable
from .tally import Progress, record_of, summary
from .units import BYTES, DURATION, SILENCE, SPLIT, TIME_OR_NONE

__all__ = ["record"]

CLOSE = 120.0  # seconds in which what waits is written to a slow disk
LOOK = 0.25  # seconds between two looks whether it is over
_RING_ONLY = ("ring_size", "after", "on_death", "on_silence", "on_message", "on_loss")
_FILE_ONLY = ("split", "max_rate", "force")


@click.command(short_help="Record topics into a file, or keep their last seconds.")
@topics_argument
@click.option("-a", "--all", "everything", is_flag=True, help="Record all topics, as '/**' does.")
@click.option("-x", "--exclude", metavar="TOPIC", multiple=True, help="Leave out topics, by name or pattern.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file.  [default: a name made of the time]")
@click.option("-d", "--duration", type=DURATION, help="End after so much time.")
@click.option("--split", type=SPLIT, help="Begin a new file after so much: 1GB, 10min.")
@click.option(
    "--compression", type=click.Choice(["zstd", "lz4", "none"]), default="zstd", show_default=True, help="Of the file."
)
@click.option("--max-rate", type=RATE, help="Keep at most so many messages a second of each publisher.")
@click.option("--bgr", is_flag=True, help="Colours of images are blue, green, red, as OpenCV has them.")
@click.option("--force", is_flag=True, help="Overwrite files.")
@click.option("--ring", type=DURATION, help="Keep only so much time, in memory, and write it when something happens.")
@click.option("--ring-size", type=BYTES, help="Keep at most so many bytes.  [default: 512MiB]")
@click.option("--after", type=TIME_OR_NONE, help="Write so much time after what happens too.  [default: 5s]")
@click.option("--on-death", is_flag=True, help="Write when a node dies.")
@click.option("--on-silence", type=SILENCE, multiple=True, help="Write when a topic falls silent: imu=0.5s.")
@click.option("--on-message", metavar="TOPIC", multiple=True, help="Write with each message on a topic.")
@click.option("--on-loss", is_flag=True, help="Write when a message was lost.")
@as_json
@node_options
@naming_options
@click.pass_context
def record(ctx: click.Context, /, topics: tuple[str, ...], everything: bool, as_json: bool, **options: Any) -> None:
    """Record topics, by name or pattern, into an MCAP file until Ctrl-C: those there are and those to come.

    Other programs open the file as it is (Foxglove, PlotJuggler, Rerun, ROS 2), 'ipcpy play' publishes it again, bit
    for bit. With --ring the last seconds are kept in memory, and written when something happens: SIGUSR1, 'ipcpy
    blackbox dump', or what the --on options say.

    \b
    Example:
      ipcpy record -a
      ipcpy record imu 'camera/**' -o run.mcap --split 1GB
      ipcpy record -a -x 'camera/**' --max-rate 10
      ipcpy record -a --ring 60s --on-death --on-silence imu=0.5s
    """
    if everything == bool(topics):
        raise click.UsageError("name TOPICs, or -a for all of them" + (", not both" if topics else ""))
    wanted = ("/**",) if everything else topics
    ring = options["ring"] is not None
    foreign = [name for name in (_FILE_ONLY if ring else _RING_ONLY) if options[name] not in (None, False, ())]
    if foreign:
        name = f"--{foreign[0].replace('_', '-')}"
        raise click.UsageError(f"{name} {'does not go with' if ring else 'goes with'} --ring")
    take_time(CLOSE)
    with open_node(ctx) as node:
        if ring:
            _keep(node, wanted, options, as_json=as_json)
        else:
            _record(node, wanted, options, as_json=as_json)


def _record(node: ipc.Node, topics: tuple[str, ...], options: dict[str, Any], *, as_json: bool) -> None:
    size, seconds = options["split"] or (None, None)
    recorder = ipc.Recorder(
        options["output"],
        topics,
        exclude=options["exclude"],
        compression=options["compression"],
        split_size=size,
        split_seconds=seconds,
        max_rate=options["max_rate"],
        bgr=options["bgr"],
        force=options["force"],
        node=node,
    )
    click.echo(f"recording into {printable(str(recorder.path))}; Ctrl-C ends it", err=True)
    failure: ipc.IpcError | None = None
    try:
        _wait(recorder, options["duration"])
    finally:
        try:
            recorder.close()
        except ipc.IpcError as error:
            failure = error
        stats = recorder.stats
        if as_json:
            click.echo(dumps(record_of(stats, recorder.paths)))
        else:
            for line in summary(stats, recorder.paths):
                click.echo(line)
    if failure is not None:
        raise failure
    if not stats.messages:
        listed = ", ".join(named(node, topic) for topic in topics)
        raise NothingFound(f"nothing was published on {listed}; see ipcpy list")


def _wait(held: ipc.Recorder | ipc.BlackBox, duration: float | None) -> None:
    """Wait until it is to end: after a time, by a signal, or since nothing can be recorded any more."""
    until = None if duration is None else time.monotonic() + duration
    progress = Progress()
    never = threading.Event()
    _end_with_the_terminal()
    try:
        while until is None or time.monotonic() < until:
            never.wait(LOOK if until is None else max(0.0, min(LOOK, until - time.monotonic())))
            if isinstance(held, ipc.Recorder) and held.failure is not None:
                break
            progress.show(held)
    except (KeyboardInterrupt, Terminated):
        pass
    finally:
        progress.end()


def _end_with_the_terminal() -> None:
    """Take the end of a terminal, or of its connection, as the end of the recording."""
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) == signal.SIG_DFL:
        signal.signal(hangup, lambda *_: signal.raise_signal(signal.SIGTERM))


def _keep(node: ipc.Node, topics: tuple[str, ...], options: dict[str, Any], *, as_json: bool) -> None:
    def told(path: Path, reasons: tuple[str, ...]) -> None:
        if as_json:
            click.echo(dumps({"path": str(path), "reasons": list(reasons)}))
        else:
            click.echo(f"wrote {printable(str(path))}: {printable('; '.join(reasons[:3]))}")

    given = {name: options[name] for name in ("after",) if options[name] is not None}
    if options["ring_size"] is not None:
        given["size"] = options["ring_size"]
    with ipc.BlackBox(
        options["ring"],
        options["output"],
        topics,
        exclude=options["exclude"],
        compression=options["compression"],
        on_exception=False,
        on_death=options["on_death"],
        on_silence=dict(options["on_silence"]),
        on_message=options["on_message"],
        on_loss=options["on_loss"],
        on_dump=told,
        bgr=options["bgr"],
        node=node,
        **given,
    ) as box:
        usr1 = getattr(signal, "SIGUSR1", None)
        if usr1 is not None:
            signal.signal(usr1, lambda *_: _dump_soon(box))
        click.echo(f"keeping the last {options['ring']:g} s; SIGUSR1 or 'ipcpy blackbox dump' writes them", err=True)
        _wait(box, options["duration"])
    click.echo(f"wrote {plural(len(box.paths), 'file')}", err=True)


def _dump_soon(box: ipc.BlackBox) -> None:
    """Have it written; in a thread, for what a signal interrupts may hold what that needs."""
    threading.Thread(target=box.dump, args=("SIGUSR1",), kwargs={"wait": False}, daemon=True).start()
