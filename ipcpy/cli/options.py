"""Options and arguments that commands share. Knows click and how topic names complete; nothing of single commands."""

from __future__ import annotations

import math
import sys
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

import ipcpy as ipc

from ..overview.fleet import Fleet
from .looking import look, parameters_of

__all__ = [
    "COUNT",
    "PATIENCE",
    "RATE",
    "SECONDS",
    "as_json",
    "domains_options",
    "naming_options",
    "network_options",
    "node_options",
    "open_fleet",
    "open_node",
    "optional_parameters",
    "optional_topic",
    "parameters_argument",
    "service_argument",
    "topic_argument",
    "topics_argument",
]

F = TypeVar("F", bound=Callable[..., Any])

COMPLETION_TIME = 0.4  # seconds that the shell may have to wait for topic names

LONGEST = 1e8  # seconds, three years: for ever


as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")


def _keep(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None and param.name is not None:
        ctx.obj = {**(ctx.obj or {}), param.name: value}


def _keep_key(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.obj = {**(ctx.obj or {}), "key": value or False}


def node_options(command: F) -> F:
    """Add ``--domain``, ``--interfaces``, ``--peers`` and ``--key``, before or after a command's name."""
    return _node_options(command, "The domain to look at.")


def network_options(command: F) -> F:
    """Add the same without ``--key``, for a command whose ``--key`` is another: that of its TLS."""
    return _node_options(command, "The domain to look at.", key=False)


def domains_options(command: F) -> F:
    """Add the same for a command that looks at several domains, and ``--all-domains``; see ``open_fleet``."""
    everywhere = click.option(
        "--all-domains",
        is_flag=True,
        expose_value=False,
        callback=_keep_flag,
        help="Look at all domains of which nodes are heard by mDNS.",
    )
    return _node_options(everywhere(command), "The domain to look at, or several: robotA,robotB.")


def _node_options(command: F, domain: str, *, key: bool = True) -> F:
    if key:
        command = _kept_option("--key", "FILE", _keep_key, "The key file; '' for none.", "IPCPY_KEY_FILE")(command)
    for name, text in (
        ("--peers", "Static addresses host[:port],... where multicast does not pass."),
        ("--interfaces", "Names or addresses of the interfaces to use; 'lo' stays on this host."),
        ("--domain", domain),
    ):
        command = _kept_option(name, "TEXT", _keep, text)(command)
    return command


def _kept_option(
    name: str, metavar: str, keep: Callable[..., None], text: str, variable: str = "", *, multiple: bool = False
) -> Callable[[F], F]:
    """Return what adds an option that is kept for ``open_node``; variable: of the environment, where it has another."""
    variable = variable or f"IPCPY_{name.removeprefix('--').upper()}"
    return click.option(
        name,
        metavar=metavar,
        multiple=multiple,
        expose_value=False,
        callback=keep,
        help=f"{text}  [env: {variable}]",
    )


def _keep_flag(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        ctx.obj = {**(ctx.obj or {}), param.name: True}


def _keep_rules(ctx: click.Context, param: click.Parameter, rules: tuple[str, ...]) -> None:
    _keep(ctx, param, ",".join(rules) if rules else None)


def naming_options(command: F) -> F:
    """Add ``--namespace`` and ``--remap``, for what is asked for by name; likewise before or after."""
    another = "Another name instead; again, or comma-separated, for more."
    command = _kept_option("--remap", "OLD:=NEW", _keep_rules, another, multiple=True)(command)
    under = "What names are put under that do not begin with '/'."
    command = _kept_option("--namespace", "TEXT", _keep, under)(command)
    return command


def open_node(ctx: click.Context) -> ipc.Node:
    """Make the node of a command, named after it."""
    return ipc.Node(f"ipcpy-{ctx.info_name}", **(ctx.obj or {}))


def open_fleet(ctx: click.Context, **more: str) -> Fleet:
    """Make a node, named after the command, in each domain that the options of ``domains_options`` name.

    Args:
        ctx: of the command.
        more: further arguments of each node; ``namespace=""`` and ``remap=""`` for a command that has whole names only.

    Raises:
        ArgumentError: (a ValueError) if one of them can be no domain.
    """
    options = {**(ctx.obj or {}), **more}
    everywhere = bool(options.pop("all_domains", False))
    domains = [part.strip() for part in options.pop("domain").split(",")] if "domain" in options else []
    if not all(domains):
        raise click.UsageError("--domain names domains, comma-separated: robotA,robotB")

    def make(domain: str | None) -> ipc.Node:
        return ipc.Node(f"ipcpy-{ctx.info_name}", domain=domain, **options)

    return Fleet(make, domains, everywhere=everywhere)


if TYPE_CHECKING:
    _ParamType = click.ParamType[str]
else:
    _ParamType = click.ParamType  # it is generic for type checkers only, before click 8.5


class _Number(click.FloatRange):
    """A number, which "nan" is not."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it, and refuse what is not a number though Python has a float for it."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return min(number, LONGEST)


SECONDS = _Number(min=0.0)
PATIENCE = _Number(min=0.001)  # seconds
RATE = _Number(min=1e-6)  # a second
COUNT = click.IntRange(min=1, max=sys.maxsize)


class _Topic(_ParamType):
    """The name of a topic, in the form of Unicode that names of topics have; what has been announced completes.

    What is under the namespace completes without it, everything completes behind a ``/``.
    """

    name = "topic"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Bring to one form what keyboards and file systems write in two."""
        return unicodedata.normalize("NFC", value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Ask the network for names, and say nothing about what goes wrong: the user is typing."""
        typed = unicodedata.normalize("NFC", incomplete)
        try:
            with ipc.Node("ipcpy-completion", **(ctx.obj or {})) as node:
                look(node, COMPLETION_TIME, lambda: bool(self.names(node)))
                names = [_as_typed(name, node.namespace, typed) for name in self.names(node)]
        except Exception:
            return []
        return [CompletionItem(name) for name in names if name.startswith(typed)]

    def names(self, node: ipc.Node) -> list[str]:
        """Return the whole names of topics that are announced now."""
        return [topic.name for topic in node.topics() if "*" not in topic.name]


class _Service(_Topic):
    """The name of a service; those that are answered complete."""

    name = "service"

    def names(self, node: ipc.Node) -> list[str]:
        """Return the whole names of services that are answered now."""
        return [service.name for service in ipc.services(0, node)]


class _Parameters(_Topic):
    """The name of parameters; those that somebody tells complete."""

    name = "parameters"

    def names(self, node: ipc.Node) -> list[str]:
        """Return the whole names of parameters that are told now."""
        return [name for name, _, _ in parameters_of(node)]


def _as_typed(name: str, namespace: str, typed: str) -> str:
    """Return a whole name as one asks for it in a namespace."""
    above = f"{namespace}/" if namespace else ""
    return name.removeprefix(above) if name.startswith(above) and not typed.startswith("/") else f"/{name}"


service_argument = click.argument("service", type=_Service())
parameters_argument = click.argument("name", type=_Parameters())
optional_parameters = click.argument("name", type=_Parameters(), required=False)
topic_argument = click.argument("topic", type=_Topic())
optional_topic = click.argument("topic", type=_Topic(), required=False)
topics_argument = click.argument("topics", type=_Topic(), nargs=-1)
