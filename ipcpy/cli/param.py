"""``ipcpy param``: the parameters of programs, shown and changed. Knows JSON and tables; nothing of how they travel."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import click

import ipcpy as ipc

from .endings import NothingFound
from .jsonform import dumps, loads, to_json
from .listen import left
from .looking import PARAMETERS, STOPPED, Told, look, named, parameters_of, strangers
from .options import (
    SECONDS,
    as_json,
    naming_options,
    node_options,
    open_node,
    optional_parameters,
    parameters_argument,
)
from .render import dim, plural, printable, table

__all__ = ["param"]

EVERYTHING = "/**"
_TRUE, _FALSE = ("true", "on", "yes"), ("false", "off", "no")

_timeout = click.option(
    "--timeout", type=SECONDS, default=2.0, show_default=True, help="Seconds to look for the program that has them."
)
_file = click.argument("file", metavar="FILE", type=click.Path(dir_okay=False))


@click.group(short_help="Show and change the parameters of programs.")
def param() -> None:
    """Show and change the parameters of programs: of an ipc.Parameters("camera", gain=1.0)."""


@param.command("list", short_help="Show all parameters, or those of a pattern.")
@optional_parameters
@_timeout
@as_json
@node_options
@naming_options
@click.pass_context
def list_parameters(ctx: click.Context, name: str | None, timeout: float, as_json: bool) -> None:
    """Show the parameters there are, with their values and kinds and the program that has them.

    NAME may be a pattern, such as 'robot1/**'. Exit code 3 if there are none.

    \b
    Example:
      ipcpy param list
      ipcpy param list camera --json
    """
    with open_node(ctx) as node:
        found = _find(node, name or EVERYTHING, timeout)
        rows = list(_rows(node, found, timeout))
        if as_json:
            for row in rows:
                click.echo(dumps(row))
            return
        head = ("NAME", "PARAMETER", "VALUE", "KIND", "PROGRAM", "HOST")
        keys = ("name", "parameter", "value", "kind", "node", "host")
        for line in table(([_short(row, key) for key in keys] for row in rows), head):
            click.echo(line)
        click.echo(dim(f"{plural(len(rows), 'parameter')} of {plural(len(found), 'program')}"))


@param.command(short_help="Print a value, or all of one program.")
@parameters_argument
@click.argument("parameter", required=False)
@_timeout
@as_json
@node_options
@naming_options
@click.pass_context
def get(ctx: click.Context, name: str, parameter: str | None, timeout: float, as_json: bool) -> None:
    """Print the value of a PARAMETER, or all that a program has, a line each.

    A text is printed as it is, other values as JSON; with --json all of them, and those of a program as one object.

    \b
    Example:
      ipcpy param get camera gain
      ipcpy param get camera --json
    """
    with open_node(ctx) as node, _opened(node, name, timeout) as params:
        values = _values(params)
        if parameter is not None:
            if parameter not in values:
                raise click.ClickException(_without(node, name, parameter, values))
            value = values[parameter]
            click.echo(value if isinstance(value, str) and not as_json else dumps(value))
        elif as_json:
            click.echo(dumps(values))
        else:
            for key, value in values.items():
                click.echo(f"{printable(key)}  {printable(value if isinstance(value, str) else dumps(value))}")


@param.command(
    "set", short_help="Change one or several.", context_settings={"ignore_unknown_options": True}
)  # what begins with a dash is a number below 0
@parameters_argument
@click.argument("pairs", metavar="PARAMETER VALUE...", nargs=-1, required=True, type=click.UNPROCESSED)
@_timeout
@as_json
@node_options
@naming_options
@click.pass_context
def set_parameters(ctx: click.Context, name: str, pairs: tuple[str, ...], timeout: float, as_json: bool) -> None:
    """Change a PARAMETER of a program, or several at once: all of them or, if it refuses one, none.

    A VALUE is JSON, or a text. Exit code 1 if the program refuses, with its reason. With --json all its values are
    printed as they are then.

    \b
    Example:
      ipcpy param set camera gain 2.0
      ipcpy param set camera exposure 0.02 mode manual roi '[0, 0, 320, 240]'
    """
    if len(pairs) % 2:
        raise click.UsageError(f"PARAMETER and VALUE come in pairs, got {' '.join(pairs)!r:.200}")
    with open_node(ctx) as node, _opened(node, name, timeout) as params:
        kinds = next((known.kinds for known in parameters_of(node) if known.name == node.resolve(name)), {})
        asked = zip(pairs[::2], pairs[1::2], strict=True)
        _obey(partial(params.set, {key: _read(text, kinds.get(key, "")) for key, text in asked}))
        if as_json:
            click.echo(dumps(_values(params)))


@param.command(short_help="Write values into a TOML file.")
@parameters_argument
@_file
@_timeout
@as_json
@node_options
@naming_options
@click.pass_context
def save(ctx: click.Context, name: str, file: str, timeout: float, as_json: bool) -> None:
    """Write the values of a program into a TOML FILE, as the table NAME; what else is in it stays.

    NAME may be a pattern: then the file gets a table for each program.

    \b
    Example:
      ipcpy param save camera camera.toml
      ipcpy param save '**' robot.toml
    """
    with open_node(ctx) as node:
        for each in _each(node, name, timeout):
            with _opened(node, each, timeout) as params:
                params.save(file)
            click.echo(
                f"{printable(node.resolve(each))}: {plural(len(params), 'value')} in {printable(file)}", err=True
            )


@param.command(short_help="Set what a TOML file has.")
@parameters_argument
@_file
@_timeout
@as_json
@node_options
@naming_options
@click.pass_context
def load(ctx: click.Context, name: str, file: str, timeout: float, as_json: bool) -> None:
    """Set what the table NAME of a TOML FILE has: all of it or, if the program refuses one value, nothing.

    NAME may be a pattern: then each program gets its table.

    \b
    Example:
      ipcpy param load camera camera.toml
    """
    with open_node(ctx) as node:
        for each in _each(node, name, timeout):
            with _opened(node, each, timeout) as params:
                _obey(partial(params.load, file))
            _say(node.resolve(each), f"set from {printable(file)}", params, as_json=as_json)


# -- finding them ------------------------------------------------------------------------------------------------------


def _find(node: ipc.Node, name: str, timeout: float) -> list[Told]:
    """Return those of a name or pattern, by name.

    Raises:
        NothingFound: there are none in time.
    """
    wanted = node.resolve(name)

    def found() -> list[Told]:
        return [each for each in parameters_of(node) if _matches(wanted, each.name)]

    if not look(node, timeout, lambda: bool(found())):
        there = sorted({each.name for each in parameters_of(node)})
        listed = f"Parameters there are: {', '.join(map(printable, there[:10]))}" if there else "There are none at all"
        what = f"no parameters {named(node, name)} within {timeout:g} s in domain {node.domain!r}"
        raise NothingFound(" ".join(filter(None, (f"{what}. {listed}.", strangers([node]), STOPPED))))
    return found()


def _matches(wanted: str, name: str) -> bool:
    """Tell whether a name is meant, by itself or by a pattern as those of topics are."""
    segments = {"*": "/[^/]+", "**": "(/[^/]+)*"}
    pattern = "".join(segments.get(segment, f"/{re.escape(segment)}") for segment in wanted.split("/"))
    return re.fullmatch(pattern, f"/{name}") is not None


def _each(node: ipc.Node, name: str, timeout: float) -> list[str]:
    """Return the names that are meant: of a pattern those that there are."""
    if "*" not in name:
        return [name]
    return [f"/{each}" for each in sorted({known.name for known in _find(node, name, timeout)})]


def _opened(node: ipc.Node, name: str, timeout: float) -> ipc.Parameters:
    """Return the parameters of a program, once they are known.

    Raises:
        NothingFound: nobody tells them in time.
        click.ClickException: several programs have parameters of that name.
    """
    until = time.monotonic() + timeout
    found = _find(node, name, timeout)
    if len(found) > 1:
        owners = ", ".join(
            sorted(f"{each.owner.node.name} ({each.owner.host}, pid {each.owner.pid})" for each in found)
        )
        raise click.ClickException(
            printable(f"{len(found)} programs have parameters {named(node, name)}: {owners}. Give one a namespace.")
        )
    params = ipc.Parameters(name, node=node)
    try:
        params.wait_for_parameters(max(0.5, left(until) or 0.0))
    except ipc.RecvTimeout as error:
        raise NothingFound(str(error)) from None
    return params


def _rows(node: ipc.Node, found: Iterable[Told], timeout: float) -> Iterator[dict[str, Any]]:
    """Yield what is shown of each parameter; of two programs with one name each tells its own."""
    until = time.monotonic() + timeout
    told: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(each.name for each in found):
        wanted = {each.owner.id for each in found if each.name == name}
        with ipc.Subscriber(f"/{name}{PARAMETERS}", node=node) as sub:
            while wanted - told.keys():
                try:
                    message = sub.recv(max(0.5, left(until) or 0.0))
                except ipc.RecvTimeout:
                    break
                told[message.publisher] = message.data if isinstance(message.data, dict) else {}
    for each in found:
        values = told.get(each.owner.id, {})
        for key, kind in each.kinds.items():
            yield {
                "name": each.name,
                "parameter": key,
                "value": _shown(values.get(key)),
                "kind": kind,
                "node": each.owner.node.name,
                "host": each.owner.node.host,
                "pid": each.owner.node.pid,
            }


def _shown(value: Any) -> Any:
    """Make what JSON shows of a value; whatever a peer published, the next one is shown."""
    try:
        made = to_json(value)
        dumps(made)
    except (TypeError, ValueError, RecursionError) as error:
        return {"unreadable": str(error)}
    return made


def _values(params: ipc.Parameters) -> dict[str, Any]:
    """Make what JSON shows of all values."""
    return {key: _shown(params[key]) for key in params}


def _say(name: str, what: str, params: ipc.Parameters, *, as_json: bool) -> None:
    """Say what was done with the parameters of a program."""
    if as_json:
        click.echo(dumps({"name": name, "values": _values(params)}))
    else:
        click.echo(f"{printable(name)}: {what}", err=True)


def _short(row: Mapping[str, Any], key: str) -> str:
    value = row[key]
    text = value if isinstance(value, str) else "?" if value is None else dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _without(node: ipc.Node, name: str, parameter: str, values: Iterable[str]) -> str:
    return f"{named(node, name)} has no parameter {parameter!r:.80}; it has {', '.join(map(printable, values))}"


# -- changing them -----------------------------------------------------------------------------------------------------


def _read(text: str, kind: str) -> Any:
    """Read a value of some kind, as far as it can be read as one: else its program says what it expects.

    >>> _read("2", "float"), _read("2", "str"), _read("on", "bool"), _read("[1]", "list[int]"), _read("nan", "float")
    (2, '2', True, [1], nan)
    """
    if kind == "bool" and text.lower() in (*_TRUE, *_FALSE):
        return text.lower() in _TRUE
    try:
        value = loads(text)
    except ValueError:
        value = text
    if kind == "float" and isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return text if kind == "str" and not isinstance(value, str) else value


def _obey(change: Callable[[], object]) -> None:
    """Have a program change something; what it refuses is no wrong usage."""
    try:
        change()
    except ipc.ArgumentError as error:
        raise click.ClickException(str(error)) from None
