"""``ipcpy call``: asks a service once. Knows how data are written and shown; nothing of who answers."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

import ipcpy as ipc

from .endings import NothingFound
from .jsonform import dumps, to_json
from .lines import read_data
from .options import SECONDS, as_json, naming_options, node_options, open_node, service_argument
from .pub import DataCommand
from .render import dim, duration, heading, value

__all__ = ["call"]


@click.command(cls=DataCommand, short_help="Ask a service.")
@service_argument
@click.argument("data", required=False)
@click.option(
    "--timeout",
    type=SECONDS,
    default=5.0,
    show_default=True,
    help="Seconds that the answer, and each step, may take; 'inf' waits for ever.",
)
@click.option("--trace", is_flag=True, help="Show the server's traceback, too, where its function fails.")
@as_json
@node_options
@naming_options
@click.pass_context
def call(ctx: click.Context, /, service: str, data: str | None, timeout: float, trace: bool, as_json: bool) -> None:
    """Ask SERVICE with DATA, which is JSON or else a plain text; without DATA with nothing. Print the answer.

    A service that answers in steps has each printed as it comes, and what it returns at last. Ctrl-C cancels the
    call. Exit code 1 if the call failed, 3 if nobody answered in time.

    \b
    Example:
      ipcpy call arm/move '{"x": 1}'
      ipcpy call arm/move '{"x": 1}' --json | jq .data.x
    """
    request = None if data is None else read_data(data)
    began = time.monotonic()
    try:
        with open_node(ctx) as node, ipc.Client(service, trace=trace, node=node) as client:
            stream = client.stream(request, timeout)
            try:
                for step in stream:
                    _show(step, "step", began, as_json=as_json)
                _show(stream.result, "result", began, as_json=as_json)
            except BaseException:
                stream.close()
                raise
    except (ipc.NoService, ipc.RecvTimeout) as error:
        raise NothingFound(str(error)) from None


def _show(data: Any, kind: str, began: float, *, as_json: bool) -> None:
    took = time.monotonic() - began
    if as_json:
        try:
            click.echo(dumps({"kind": kind, "seconds": round(took, 6), "data": to_json(data)}))
        except (TypeError, ValueError, RecursionError) as error:
            raise click.ClickException(f"the {kind} cannot be written as JSON: {error!s:.300}") from None
        return
    if kind == "step":
        click.echo(f"{heading('step')} {dim('+' + duration(took))}  {'; '.join(value(data))}")
    else:
        for line in value(data):
            click.echo(line)
    sys.stdout.flush()
