"""The options that say what crosses a bridge, on the command line and in a file. Knows no engine."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

import ipcpy as ipc

from .options import RATE, as_json, network_options
from .units import BYTES, DURATION

__all__ = ["Crossing", "bridge_options", "crossing"]

F = TypeVar("F", bound=Callable[..., Any])

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType


class _ByTopic(_ParamType):
    """A topic or pattern with a value: ``imu=10``."""

    def __init__(self, value: Any, example: str) -> None:
        self.name = f"topic={value.name}"
        self._value = value
        self._example = example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the topic and the value."""
        if not isinstance(value, str):
            return value
        topic, equals, text = value.rpartition("=")
        if not equals or not topic:
            self.fail(f"{value!r} is no topic with a value, such as {self._example}.", param, ctx)
        return topic, self._value.convert(text.removesuffix("/s").removesuffix("Hz"), param, ctx)


_OPTIONS = (
    click.option("-c", "--config", type=click.Path(), help="A TOML file that says the same; options win over it."),
    click.option(
        "-t",
        "--topics",
        metavar="TOPIC",
        multiple=True,
        help="What crosses, both ways: a topic or pattern; out:TOPIC or in:TOPIC one way only; with / before it "
        "without the prefix.  [default: everything]",
    ),
    click.option("-x", "--exclude", metavar="TOPIC", multiple=True, help="What does not, by name or pattern."),
    click.option("--prefix", help="What names beyond begin with: imu here is robot7/imu there."),
    click.option(
        "--rate", type=_ByTopic(RATE, "imu=10"), multiple=True, help="At most so many messages a second: imu=10."
    ),
    click.option(
        "--max-bandwidth",
        type=_ByTopic(BYTES, "camera/**=125kB"),
        multiple=True,
        help="At most so many bytes a second: 'camera/**=125kB'.",
    ),
    click.option("--name", help="What others call the bridge.  [default: the end of the prefix, or the host]"),
    click.option(
        "--hops", type=click.IntRange(1, 16), help="How many bridges something may have passed.  [default: 4]"
    ),
    click.option("--every", type=DURATION, help="Say how it is so often: 10s.  [default with --json: 5s]"),
)


def bridge_options(command: F) -> F:
    """Add the options that all bridges have."""
    command = as_json(network_options(command))
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True)
class Crossing:
    """What a bridge is to do.

    Attributes:
        rules: what crosses.
        prefix: what names beyond begin with.
        engine: what the file says of the engine.
        settings: its name, and hops where they are said.
    """

    rules: ipc.Rules
    prefix: str
    engine: Mapping[str, Any]
    settings: Mapping[str, Any]

    def bridge(self, adapter: Any) -> Callable[[ipc.Node], ipc.Bridge]:
        """Return what makes the bridge on a node."""
        return lambda node: ipc.Bridge(adapter, self.rules, node=node, **self.settings)


def crossing(ctx: click.Context, engine: str, options: Mapping[str, Any]) -> Crossing:
    """Return what the options of a command and its file say; what the file says of the node is kept in the context.

    Raises:
        ArgumentError: the file or an option is wrong.
    """
    config = ipc.BridgeConfig.read(options["config"]) if options["config"] else ipc.BridgeConfig()
    ctx.obj = {**config.node, **(ctx.obj or {})}
    prefix = options["prefix"] if options["prefix"] is not None else config.prefix or ""
    rules = ipc.Rules(
        options["topics"] or config.topics,
        exclude=options["exclude"] or config.exclude,
        prefix=prefix,
        rate={**dict(options["rate"]), **{k: v for k, v in config.rate.items() if k not in dict(options["rate"])}},
        bandwidth={
            **dict(options["max_bandwidth"]),
            **{k: v for k, v in config.max_bandwidth.items() if k not in dict(options["max_bandwidth"])},
        },
    )
    given = {name: options[name] if options[name] is not None else getattr(config, name) for name in ("name", "hops")}
    given["name"] = given["name"] or rules.prefix.rpartition("/")[2] or platform.node()
    settings = {name: value for name, value in given.items() if value}
    return Crossing(rules, rules.prefix, config.engines.get(engine, {}), settings)
