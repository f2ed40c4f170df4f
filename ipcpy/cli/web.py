"""``ipcpy web``: a page that shows who sends what to whom. Knows options and signals; ``ipcpy.web`` serves it."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

import click

from .interrupts import Terminated, take_time
from .jsonform import dumps
from .options import as_json, domains_options, open_fleet

__all__ = ["web"]

PORT = 8470
CLOSE = 60.0  # seconds in which a recording is written to a slow disk
LOOK = 0.25  # seconds between two looks whether it still serves


@click.command(short_help="Show it all on a page in a browser.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0 takes one that is free."
)
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--token", help="What a browser has to tell.  [default: none on loopback, else one that is made]")
@click.option("--allow-host", metavar="NAME", multiple=True, help="A name that browsers call this computer by.")
@click.option("--read-only", is_flag=True, help="Publish and record nothing.")
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, writable=True, path_type=Path),
    default=Path(),
    help="Where recordings are written.  [default: here]",
)
@click.option("--bgr", is_flag=True, help="Colours of images are blue, green, red, as OpenCV has them.")
@as_json
@domains_options
@click.pass_context
def web(ctx: click.Context, /, port: int, host: str, as_json: bool, **options: Any) -> None:
    """Serve a page until Ctrl-C: nodes and topics as a drawing, rates, losses, plots, images, events.

    Open the address that it prints. It listens on this computer only, unless --host says otherwise; then the address
    has a token, without which nobody is let in. Nothing is subscribed to that nobody looks at. /metrics is for
    Prometheus, /api for programs: see docs/web.md.

    \b
    Example:
      ipcpy web
      ipcpy web --host 0.0.0.0 --read-only
      ipcpy web --all-domains
    """
    from ..web.extra import need_extra

    need_extra()
    from ..web.server import WebServer

    take_time(CLOSE)
    _end_with_the_terminal()
    with open_fleet(ctx) as fleet:
        server = WebServer(
            fleet,
            host=host,
            port=port,
            token=options["token"],
            names=options["allow_host"],
            read_only=options["read_only"],
            folder=options["folder"],
            bgr=options["bgr"],
        )
        try:
            _tell(server, as_json=as_json)
            _wait(server)
        except (KeyboardInterrupt, Terminated):  # its right end
            pass
        finally:
            server.close()


def _tell(server: Any, *, as_json: bool) -> None:
    if as_json:
        click.echo(dumps({"url": server.url, "port": server.port}))
    else:
        click.echo(f"the page is at {server.url}")
        click.echo("Ctrl-C ends it", err=True)


def _end_with_the_terminal() -> None:
    """Take the end of a terminal, or of its connection, as the end of the page."""
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) == signal.SIG_DFL:
        signal.signal(hangup, lambda *_: signal.raise_signal(signal.SIGTERM))


def _wait(server: Any) -> None:
    """Wait until it has failed; a signal ends that."""
    never = threading.Event()
    while not server.closed:
        never.wait(LOOK)
    raise click.ClickException(f"the server failed: {server.failure}")
