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

ASKED = "ipcpy/blackbox/dump"
DONE = "ipcpy/blackbox/done"


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
    with open_node(ctx) as node, ipc.Subscriber(DONE, node=node) as done, ipc.Publisher(ASKED, node=node) as asked:
        try:
            asked.wait_for_subscribers(timeout=timeout)
        except ipc.RecvTimeout:
            raise NothingFound(
                f"no black box within {timeout:g} s in domain {node.domain!r}; 'ipcpy record -a --ring 60s' is one"
            ) from None
        node.wait_complete()
        began = time.time_ns()
        boxes = asked.publish({"reason": reason})
        written = _await_files(done, boxes, began, patience, as_json=as_json)
    if written < boxes:
        raise click.ClickException(f"of {boxes} that were asked {written} wrote, within {patience:g} s")


def _await_files(done: ipc.Subscriber, boxes: int, began: int, patience: float, *, as_json: bool) -> int:
    """Show what black boxes say until each has written; return how many have."""
    until = time.monotonic() + patience
    ended: set[str] = set()
    written = 0
    while len(ended) < boxes:
        try:
            message = done.recv(left(until))
        except ipc.RecvTimeout:
            break
        told = message.data
        if not isinstance(told, dict) or told.get("state") not in ("done", "failed") or message.sent_ns < began:
            continue
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
