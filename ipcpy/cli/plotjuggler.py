"""``ipcpy plotjuggler``: numbers for PlotJuggler. Knows options and what is said; nothing of datagrams."""

from __future__ import annotations

from typing import Any

import click

from .options import RATE, as_json, naming_options, node_options, open_node, topics_argument
from .render import printable
from .showing import show, told
from .units import DURATION

__all__ = ["plotjuggler"]

_OWN = ("exclude", "host", "port", "max_rate")
_COUNTS = ("datagrams", "bytes", "refused", "without", "thinned", "lost")


@click.command(short_help="Plot topics in PlotJuggler.")
@topics_argument
@click.option("-x", "--exclude", metavar="TOPIC", multiple=True, help="Leave out topics, by name or pattern.")
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Where PlotJuggler runs.")
@click.option(
    "--port", type=click.IntRange(1, 0xFFFF), default=9870, show_default=True, help="The port of its UDP server."
)
@click.option("--max-rate", type=RATE, help="Send at most so many messages a second of each publisher.")
@click.option("-d", "--duration", type=DURATION, help="End after so much time.")
@as_json
@node_options
@naming_options
@click.pass_context
def plotjuggler(ctx: click.Context, /, topics: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Send the numbers of topics to PlotJuggler until Ctrl-C: of all, or of those named.

    In PlotJuggler choose "Streaming", "UDP Server", the protocol json, and the field timestamp for the time. A number
    is called by its topic and the way to it: /imu/gz, /arm/joints[2].

    \b
    Example:
      ipcpy plotjuggler
      ipcpy plotjuggler imu 'motor/**' -x 'motor/raw'
      ipcpy plotjuggler --host 192.168.1.20 --max-rate 100
    """
    from ..viewers.plotjuggler import PlotJuggler

    given = {name: options[name] for name in _OWN}
    where = printable(f"{options['host']}:{options['port']}")
    with open_node(ctx) as node, PlotJuggler(topics or "/**", node=node, **given) as plot:
        click.echo(f"sending to PlotJuggler at {where}; Ctrl-C ends it", err=True)
        heard = True

        def look() -> None:
            nonlocal heard
            if heard and not plot.heard:
                click.echo(f"nobody listens at {where}: in PlotJuggler start Streaming, UDP Server", err=True)
            elif plot.heard and not heard:
                click.echo(f"somebody listens at {where}", err=True)
            heard = plot.heard

        show(plot, options["duration"], look)
        told(plot.stats, _COUNTS, as_json=as_json)
