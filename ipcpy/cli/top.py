"""``ipcpy top``: what every topic does, live in a terminal. Knows the options; the program is in ``ipcpy/top``."""

from __future__ import annotations

import click

from ..overview.rows import KEYS
from ..top.extra import need_extra, need_terminal
from .options import domains_options, open_fleet

__all__ = ["top"]


@click.command(short_help="Watch all topics: how fast, how late, what gets lost.")
@click.option(
    "--filter", "-f", "words", metavar="TEXT", default="", help="Show topics, domains or nodes with these words."
)
@click.option("--sort", "-s", type=click.Choice(sorted(KEYS)), default="topic", show_default=True, help="Sort by this.")
@domains_options
@click.pass_context
def top(ctx: click.Context, words: str, sort: str) -> None:
    """Watch all topics live: how fast, how late, what gets lost; enter shows the messages of one, and plots them.

    Nothing is subscribed to but the topic that you look into. Keys are shown at the bottom, '?' explains them.
    Needs the extra: pip install 'ipcpy[top]'.

    \b
    Example:
      ipcpy top
      ipcpy top --sort loss
      ipcpy top --all-domains --filter camera
    """
    need_extra()
    need_terminal()
    from ..top.app import run

    with open_fleet(ctx, namespace="", remap="") as fleet:
        code = run(fleet, filter=words, sort=sort)
    ctx.exit(code)
