"""``ipcpy blackbox``: talks to the rings of others. Knows two topics; nothing of how rings keep what they keep."""

from __future__ import annotations

import time
from typing import Any

import click

import ipcpy as ipc

from .endings import NothingFound
from .jsonform import dumps
from .listen import left
from .options import SECONDS, as_json, node_options, open_node
from .render import plural, printable, size

__all__ = ["blackbox"]

ASKED = "/ipcpy/blackbox/dump"
DONE = "/ipcpy/blackbox/done"
LOOK = 0.25  # seconds between two looks whether those that are waited for are still there


@click.group(short_help="Have black boxes write what they keep.")
def blackbox() -> None:
    """Talk to black boxes: programs with an ipc.BlackBox, and 'ipcpy record --ring'."""


@blackbox.command(short_help="Have all black boxes write their last seconds.")
@click.option("--reason", default="", help="What stands in the files.")
@click.option("--timeout", type=SECONDS, default=5.0, show_default=True, help="Seconds to wait for a black box.")
@click.option("--patience", type=SECONDS, default=90.0, show_default=True, help="Seconds to wait for their files.")
@as_json
@node_options
@click.pass_context
def dump(ctx: click.Context, reason: str, timeout: float, patience: float, as_json: bool) -> None:
    """Have the black boxes of this domain, on all hosts, write their last seconds, and wait until they have.

    Exit code 3 if there is none.

    \b
    Example:
      ipcpy record -a --ring 60s &
      ipcpy blackbox dump --reason 'the arm twitched'
    """
    with open_node(ctx) as node, ipc.Subscriber(DONE, node=node) as done:
        try:
            done.wait_for_publishers(timeout=timeout)
        except ipc.RecvTimeout:
            raise NothingFound(
                f"no black box within {timeout:g} s in domain {node.domain!r}; 'ipcpy record -a --ring 60s' is one"
            ) from None
        node.wait_complete()
        boxes = {info.id for info in done.publishers}  # who answers: who hears '**' is asked too, and is none
        with ipc.Publisher(ASKED, keep=1, node=node) as asked:  # kept: one that is matched later hears it too
            _pass_over_earlier(done)
            asked.publish({"reason": reason})
            written = _await_files(done, boxes, patience, as_json=as_json)
    if written < len(boxes):
        raise click.ClickException(f"of {len(boxes)} that were asked {written} wrote, within {patience:g} s")


def _pass_over_earlier(done: ipc.Subscriber) -> None:
    """Take the answers to what was asked before; by their time they cannot be told, for clocks of hosts differ."""
    try:
        while True:
            done.recv(0)
    except ipc.RecvTimeout:
        return


def _await_files(done: ipc.Subscriber, boxes: set[str], patience: float, *, as_json: bool) -> int:
    """Show what black boxes say until each has written, or is gone; return how many have."""
    until = time.monotonic() + patience
    ended: set[str] = set()
    written = 0
    while time.monotonic() < until and (boxes - ended) & {info.id for info in done.publishers}:
        try:
            message = done.recv(min(LOOK, left(until) or 0.0))
        except ipc.RecvTimeout:
            continue
        told = message.data
        if message.publisher not in boxes - ended or not isinstance(told, dict):
            continue
        if told.get("state") in ("done", "failed"):
            ended.add(message.publisher)
            written += told["state"] == "done"
            click.echo(dumps(_plain(told)) if as_json else _line(message.publisher, told, done))
    return written


def _line(publisher: str, told: dict[str, Any], done: ipc.Subscriber) -> str:
    host = next((info.host for info in done.publishers if info.id == publisher), "?")
    name = f"{printable(str(told.get('node', '?')))} on {printable(host)}"
    if told["state"] == "failed":
        return f"{name} could not: {printable(str(told.get('failure', '?')))}"
    number, count = told.get("bytes", 0), told.get("messages", 0)
    what = f"{plural(count, 'message')}, {size(number)}" if isinstance(count, int) and isinstance(number, int) else "?"
    return f"{name} wrote {printable(str(told.get('path', '?')))}: {what}"


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    return {str(key): value if isinstance(value, int | str | list) else str(value) for key, value in told.items()}
