"""``ipcpy key``: makes the key of a group of nodes, shows which keys a file has. Knows what to show; never a secret."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

import ipcpy as ipc

from .endings import NothingFound
from .jsonform import dumps
from .options import as_json
from .render import dim, printable_lines, table

__all__ = ["key"]

ALGORITHMS = ("chacha20-poly1305", "aes-256-gcm")
ROLES = ("seals what is sent", "accepted")

_file = click.argument("path", metavar="[FILE]", required=False, type=click.Path(path_type=Path))


@click.group(short_help="Make the key that keeps others out, and show which keys there are.")
def key() -> None:
    """Make the key of a group of robots, and show by which words people know it.

    Who has the key hears and is heard; who has not can neither read nor write. Copy the file to the other computers,
    to the same place, and start the programs anew.

    \b
      ipcpy key new
      ipcpy key show
      scp -p ~/.config/ipcpy/key robot7:.config/ipcpy/key
    """


@key.command()
@_file
@click.option(
    "--algorithm",
    type=click.Choice(ALGORITHMS),
    default=ALGORITHMS[0],
    show_default=True,
    help="How it seals; AES is faster on processors that have it built in.",
)
@as_json
def new(path: Path | None, algorithm: str, as_json: bool) -> None:
    """Make a new key in FILE, by default the one in the config folder, which programs of this user find by themselves.

    Only its owner can read the file. What exists is not overwritten.

    \b
    Example:
      ipcpy key new
      ipcpy key new next.key
    """
    with _said():
        made = ipc.new_key(path, algorithm=algorithm)
    _show(made, as_json=as_json)
    if not as_json:
        click.echo(
            dim("Who has this file is one of you. Copy it to all, by scp -p or a USB stick, and to nobody else.")
        )


@key.command()
@_file
@as_json
def show(path: Path | None, as_json: bool) -> None:
    """Show the fingerprints of the keys in FILE, by default those that a program started here would use.

    The words are the same wherever the key is the same: compare them on the phone. They do not tell the key.

    \b
    Example:
      ipcpy key show
      ipcpy key show --json | jq -r .fingerprint
    """
    if path is None and not ipc.find_key_file():
        raise NothingFound("no key: programs started here talk in the open. Make one: ipcpy key new")
    with _said():
        found = ipc.KeyFile(path)
    _show(found, as_json=as_json)


@contextmanager
def _said() -> Iterator[None]:
    """End with code 1, not 2, where a file is wrong and not what was typed."""
    try:
        yield
    except ipc.ArgumentError as error:
        raise click.ClickException(printable_lines(str(error))) from None


def _show(file: ipc.KeyFile, *, as_json: bool) -> None:
    rows = []
    for number, each in enumerate(file.keys):
        if as_json:
            told = {"path": file.path, "fingerprint": each.fingerprint, "id": each.id.hex()}
            click.echo(dumps({**told, "algorithm": each.algorithm, "seals": number == 0}))
        rows.append((each.fingerprint, each.algorithm, ROLES[number > 0]))
    if not as_json:
        click.echo(printable_lines(file.path))
        for line in table(rows, ("FINGERPRINT", "ALGORITHM", "")):
            click.echo(f"  {line}")
