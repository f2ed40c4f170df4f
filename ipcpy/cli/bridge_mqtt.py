"""``ipcpy bridge mqtt``: topics at an MQTT broker. Knows options; what crosses, and how, is the bridge's."""

from __future__ import annotations

from typing import Any

import click

import ipcpy as ipc

from .bridge_options import bridge_options, crossing
from .bridge_run import run_bridge

__all__ = ["mqtt"]

_TEXTS = ("connect", "username", "password_file", "ca", "cert", "key", "root")


@click.command(short_help="Carry topics over an MQTT broker.")
@click.option("--connect", metavar="URL", help="The broker: mqtt://host, mqtts://host:8883, wss://host/path.")
@click.option("--username", help="Who the bridge is there; IPCPY_MQTT_PASSWORD has the password.")
@click.option("--password-file", type=click.Path(), help="A file with the password.")
@click.option("--ca", type=click.Path(), help="Certificates of who vouches for the broker.  [default: the system's]")
@click.option("--cert", type=click.Path(), help="A certificate of this bridge.")
@click.option("--key", type=click.Path(), help="The key of that certificate.")
@click.option(
    "--format", "form", multiple=True, metavar="FORMAT", help="json or raw, or 'camera/**=raw'.  [default: json]"
)
@click.option("--qos", multiple=True, metavar="QOS", help="0 or 1, or imu=1.  [default: 1 for reliable topics, else 0]")
@click.option("--map", "pairs", multiple=True, metavar="TOPIC=NAME", help="What a topic is called there: imu=home/imu.")
@click.option("--root", help="What bridges tell of themselves under.  [default: ipcpy]")
@bridge_options
@click.pass_context
def mqtt(ctx: click.Context, /, as_json: bool, every: float | None, **options: Any) -> None:
    """Carry topics over an MQTT broker, as JSON that phones, homes and clouds read and write, or as they are.

    What another 'ipcpy bridge mqtt' hears is what was published here: the same types, numbers and times.

    \b
    Example:
      ipcpy bridge mqtt --connect mqtt://broker.local --prefix robot7
      ipcpy bridge mqtt --connect broker.local -t out:imu --rate imu=2 -t in:cmd
      ipcpy bridge mqtt --config bridge.toml --json
    """
    found = crossing(ctx, "mqtt", options)
    table = {**found.engine, **{name: options[name] for name in _TEXTS if options[name] is not None}}
    for key, given in (("format", options["form"]), ("qos", options["qos"])):
        for text in given:
            table = _with(table, key, text)
    if options["pairs"] and isinstance(table.get("map", {}), dict):
        table["map"] = {**table.get("map", {}), **dict(map(_pair, options["pairs"]))}
    run_bridge(found.bridge(ipc.MqttAdapter(prefix=found.prefix, **table)), ctx, as_json=as_json, every=every)


def _with(table: dict[str, Any], key: str, text: str) -> dict[str, Any]:
    """Return a table in which a value, or that of a topic (``imu=1``), is another; what is wrong in it stays so."""
    topic, equals, value = text.rpartition("=")
    chosen: Any = int(value) if key == "qos" and value.isdecimal() else value
    if not equals:
        return {**table, key: chosen}
    topics = table.get("topics", {})
    if not isinstance(topics, dict) or not isinstance(topics.get(topic, {}), dict):
        return table
    return {**table, "topics": {topic: {**topics.get(topic, {}), key: chosen}, **_without(topics, topic)}}


def _without(topics: dict[str, Any], topic: str) -> dict[str, Any]:
    return {name: each for name, each in topics.items() if name != topic}


def _pair(text: str) -> tuple[str, str]:
    topic, equals, name = text.partition("=")
    if not equals:
        raise click.UsageError(f"--map: {text!r} is no topic with a name there, such as imu=home/imu")
    return topic, name
