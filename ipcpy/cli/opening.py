"""Recordings, opened for a command: what is wrong with them is said once. Knows nothing of what is done with them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import click

import ipcpy as ipc

from .render import printable_lines, warning

__all__ = ["opened"]


@contextmanager
def opened(*files: str, silent: bool = False) -> Iterator[ipc.Bag]:
    """Yield the bag of some files, and say on standard error what was wrong with them when it was read.

    Args:
        files: the files.
        silent: leave it to the command to say.
    """
    logging.getLogger("ipcpy.bag").addHandler(logging.NullHandler())  # else Python prints what is said here
    with ipc.Bag(*files) as bag:
        said = 0
        try:
            said = 0 if silent else _say(bag, 0)
            yield bag
        finally:
            if not silent:
                _say(bag, said)


def _say(bag: ipc.Bag, said: int) -> int:
    """Say what has not been said yet, and return how much has."""
    for sentence in bag.damage[said:]:
        click.echo(warning(printable_lines(sentence)), err=True)
    return len(bag.damage)
