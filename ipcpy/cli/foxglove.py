"""``ipcpy foxglove``: topics for Foxglove. Knows options and what is said; nothing of channels."""

from __future__ import annotations

from typing import Any

import click

from .jsonform import dumps
from .options import RATE, as_json, naming_options, node_options, open_node, topics_argument
from .render import printable
from .showing import show, told
from .units import DURATION

__all__ = ["foxglove"]

_OWN = ("exclude", "host", "port", "publish", "origins", "max_rate", "bgr")
_COUNTS = ("bytes", "thinned", "lost", "published", "refused")
_LOCAL = ("127.0.0.1", "localhost", "::1")


@click.command(short_help="Show topics in Foxglove.")
@topics_argument
@click.option("-x", "--exclude", metavar="TOPIC", multiple=True, help="Leave out topics, by name or pattern.")
@click.option("--port", type=click.IntRange(0, 0xFFFF), default=8765, show_default=True, help="0 takes a free one.")
@click.option(
    "--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="0.0.0.0 lets the network look."
)
@click.option("--publish", metavar="TOPIC", multiple=True, help="Let viewers publish on topics, by name or pattern.")
@click.option(
    "--origin",
    "origins",
    metavar="URL",
    multiple=True,
    help="Let pages of another place connect: https://viewer.example.",
)
@click.option("--max-rate", type=RATE, help="Show at most so many messages a second of each publisher.")
@click.option("--bgr", is_flag=True, help="Colours of images are blue, green, red, as OpenCV has them.")
@click.option("-d", "--duration", type=DURATION, help="End after so much time.")
@as_json
@node_options
@naming_options
@click.pass_context
def foxglove(ctx: click.Context, /, topics: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Show topics in Foxglove until Ctrl-C: all, or those named, those there are and those to come.

    In Foxglove choose "Open connection", "Foxglove WebSocket", and the address that is printed. Struct messages are
    ROS 2 messages there, dicts JSON, numpy arrays of pixels images. What nobody looks at is not subscribed to.

    \b
    Example:
      ipcpy foxglove
      ipcpy foxglove imu 'camera/**' --max-rate 30
      ipcpy foxglove --publish 'cmd/**'
      ipcpy foxglove --host 0.0.0.0 --port 9000
    """
    from ..viewers.foxglove import FoxgloveServer

    given = {name: options[name] for name in _OWN}
    with open_node(ctx) as node, FoxgloveServer(topics or "/**", node=node, **given) as server:
        if as_json:
            click.echo(dumps({"url": server.url, "port": server.port}))
        else:
            click.echo(f"Foxglove connects to {printable(server.url)}; Ctrl-C ends it", err=True)
        if options["host"] not in _LOCAL:
            what = "sees and publishes" if options["publish"] else "sees"
            click.echo(f"whoever reaches {printable(options['host'])} {what}: there is no password", err=True)
        show(server, options["duration"])
        told(server.stats, _COUNTS, as_json=as_json)
