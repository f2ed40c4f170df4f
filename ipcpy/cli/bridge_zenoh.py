"""``ipcpy bridge zenoh``. Knows options; nothing of Zenoh."""

from __future__ import annotations

from typing import Any

import click

import ipcpy as ipc

from .bridge_options import bridge_options, crossing
from .bridge_run import run_bridge

__all__ = ["bridge_zenoh"]

_OWN = ("connect", "listen", "mode", "ca", "cert", "key", "space", "zenoh_config")


@click.command("zenoh", short_help="Carry topics over Zenoh.")
@click.option("--connect", metavar="ENDPOINT", multiple=True, help="Connect to a router: tcp/HOST:7447, tls/, quic/.")
@click.option("--listen", metavar="ENDPOINT", multiple=True, help="Be a router for others: tcp/0.0.0.0:7447.")
@click.option("--mode", type=click.Choice(["client", "peer", "router"]), help="[default: client; router with --listen]")
@click.option("--ca", type=click.Path(), help="Certificates of those who may sign others', for tls and quic.")
@click.option("--cert", type=click.Path(), help="Our own certificate.")
@click.option("--key", type=click.Path(), help="Its private key.")
@click.option("--space", help="What all keys in Zenoh begin with.  [default: ipcpy]")
@click.option("--zenoh-config", type=click.Path(), help="A file of Zenoh's own (JSON5), for all that is not said here.")
@bridge_options
@click.pass_context
def bridge_zenoh(ctx: click.Context, /, as_json: bool, **options: Any) -> None:
    """Carry topics between this LAN and others over Zenoh, until Ctrl-C.

    It connects and listens where it is told to, and nowhere else. What nobody beyond subscribes to does not cross. A
    router that is out of reach is tried again for ever.

    \b
    Example:
      ipcpy bridge zenoh --listen tcp/0.0.0.0:7447
      ipcpy bridge zenoh --connect tcp/home.example:7447 --prefix robot7 -t out:imu -t 'out:camera/**' -t in:cmd
      ipcpy bridge zenoh --config robot7.toml --json
    """
    found = crossing(ctx, "zenoh", options)
    said = {name.removeprefix("zenoh_"): options[name] for name in _OWN if options[name]}
    adapter = ipc.ZenohAdapter(ipc.ZenohOptions.of({**found.engine, **said}))
    run_bridge(found.bridge(adapter), ctx, as_json=as_json, every=options["every"])
