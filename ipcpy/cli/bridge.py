"""``ipcpy bridge``: the group of its commands, one for each engine. Knows their names; nothing of what they do."""

from __future__ import annotations

import click

from .bridge_mqtt import mqtt
from .bridge_zenoh import bridge_zenoh

__all__ = ["bridge"]


@click.group(short_help="Carry topics beyond this LAN, over Zenoh or MQTT.")
def bridge() -> None:
    """Carry topics between this LAN and others, over an engine: what is there feels as if it were here.

    \b
      ipcpy bridge zenoh --connect tcp/router.example:7447 --prefix robot7
      ipcpy bridge mqtt --connect mqtt://broker.local --prefix robot7
    """


for _command in (bridge_zenoh, mqtt):
    bridge.add_command(_command)
