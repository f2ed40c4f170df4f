"""The group of all commands. Knows their names; nothing of what they do."""

from __future__ import annotations

import os
from typing import Any

import click

import ipcpy as ipc

from .bag import bag
from .blackbox import blackbox
from .bridge import bridge
from .call import call
from .completion import completion
from .demo import demo
from .doctor import doctor
from .echo import echo
from .endings import ended_well
from .flows import flows
from .foxglove import foxglove
from .graph import list_topics, nodes
from .info import info
from .key import key
from .measure import bw, delay, hz
from .options import naming_options, node_options
from .param import param
from .play import play
from .plotjuggler import plotjuggler
from .pub import pub
from .record import record
from .services import services
from .top import top
from .web import web
from .why import why

__all__ = ["program"]


class _Program(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        with ended_well():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order in which they were added


def _show_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"ipcpy {ipc.__version__} ({ipc.implementation()})")
        ctx.exit()


@click.group(cls=_Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show version and build.",
)
@node_options
@naming_options
@click.pass_context
def program(ctx: click.Context) -> None:
    """Look at, listen to and talk to the topics of robot programs.

    \b
      ipcpy demo                        see it work
      ipcpy list                        what is there
      ipcpy flows                       who sends what to whom, and what gets lost
      ipcpy echo imu                    listen
      ipcpy pub cmd '{"speed": 0.5}'    talk
      ipcpy call arm/move '{"x": 1}'    ask
      ipcpy doctor                      nothing arrives? what is wrong
      ipcpy key new                     keep others out

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing found before --timeout, 4 and 5 warnings and problems of
    the doctor, 130 interrupted, 143 terminated.
    """
    if os.environ.get("NO_COLOR"):
        ctx.color = False


_COMMANDS = (
    list_topics,
    info,
    flows,
    why,
    echo,
    hz,
    bw,
    delay,
    pub,
    services,
    call,
    param,
    web,
    record,
    play,
    bag,
    blackbox,
    bridge,
    foxglove,
    plotjuggler,
    nodes,
    top,
    doctor,
    key,
    demo,
    completion,
)
for _command in _COMMANDS:
    program.add_command(_command)
