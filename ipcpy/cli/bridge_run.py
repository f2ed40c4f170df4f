"""A bridge as a command and as a service: until a signal ends it, it says how it is. Knows no engine."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import click

import ipcpy as ipc

from .interrupts import Terminated
from .jsonform import dumps
from .render import plural, printable
from .tally import causes

__all__ = ["run_bridge", "status_line"]

LOOK = 0.25  # seconds between two looks at whether something has changed
EVERY = 5.0  # seconds between two status lines of --json, where the user says nothing else
STUCK = 10.0  # seconds after which a bridge whose thread does not come round is not said to be alive


def run_bridge(
    make: Callable[[ipc.Node], ipc.Bridge], ctx: click.Context, *, as_json: bool, every: float | None = None
) -> None:
    """Run a bridge until Ctrl-C or SIGTERM, which is its right end.

    Args:
        make: makes it.
        ctx: the context of the command.
        as_json: whether its status is printed as lines of JSON: at once, whenever its state changes, and now and then.
        every: seconds between two status lines; None for what is usual: 5 with ``as_json``, else none.
    """
    _tell_the_log()
    supervisor = ipc.Supervisor()
    try:
        with ipc.Node(f"ipcpy-bridge-{ctx.info_name}", **(ctx.obj or {})) as node, make(node) as bridge:
            supervisor.ready(status_line(bridge.status()))
            try:
                _watch(bridge, supervisor, as_json=as_json, every=every if every is not None or not as_json else EVERY)
            finally:
                supervisor.stopping()
    except (KeyboardInterrupt, Terminated):
        pass


def _watch(bridge: ipc.Bridge, supervisor: ipc.Supervisor, *, as_json: bool, every: float | None) -> None:
    never = threading.Event()
    state, due, alive = "", 0.0, 0.0
    pause = LOOK if supervisor.period is None else min(LOOK, supervisor.period)
    while not bridge.closed:
        status, now = bridge.status(), time.monotonic()
        changed = f"{status.state} {status.detail}" != state
        state = f"{status.state} {status.detail}"
        if supervisor.period is not None and now >= alive and status.pulse < STUCK:
            alive = now + supervisor.period
            supervisor.alive(status_line(status))
        if (changed and as_json) or (every is not None and now >= due):
            due = now + (every if every is not None else EVERY)
            if as_json:
                click.echo(dumps({"time_ns": time.time_ns(), **status.record()}))
            else:
                click.echo(printable(status_line(status)), err=True)
        never.wait(pause)


def status_line(status: Any) -> str:
    """Return how a bridge is, in one line."""
    told = status.summary()
    way = f"linked to {status.detail}" if status.state == "linked" else f"away: {status.detail}"
    parts = [
        f"{way}; {plural(told['exported'], 'publisher')} out, {plural(told['sent'], 'message')} sent",
        f"{told['imported']} in, {told['received']:,} received",
    ]
    if told["serving"]:
        parts.append(f"{plural(told['serving'], 'service')}, {plural(told['calls'], 'call')}")
    for what in ("left_out", "missing", "dropped"):
        if told[what]:
            parts.append(f"{what.replace('_', ' ')}: {causes(told[what])}")
    return "; ".join(parts)


def _tell_the_log() -> None:
    """Show what bridges log on standard error, a line each, unless IPCPY_LOG has them shown otherwise."""
    logger = logging.getLogger("ipcpy.bridges")
    if os.environ.get("IPCPY_LOG") or any(isinstance(each, _Echo) for each in logger.handlers):
        return
    logger.addHandler(_Echo())
    logger.setLevel(logging.INFO)
    logger.propagate = False


class _Echo(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Print a record; with the traceback of a defect."""
        try:
            text = printable(record.getMessage())
            if record.exc_info and (formatter := logging.Formatter()):
                text += f"\n{formatter.formatException(record.exc_info)}"
            click.echo(text, err=True)
        except Exception:
            self.handleError(record)
