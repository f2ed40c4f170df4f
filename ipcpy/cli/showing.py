"""How commands wait that show topics in other programs. Knows signals and time; nothing of these programs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import click

from .interrupts import Terminated
from .jsonform import dumps
from .render import plural

__all__ = ["Shows", "show", "told"]

LOOK = 0.2  # seconds between two looks whether it still goes on


class Shows(Protocol):
    """What shows topics until it is closed."""

    @property
    def closed(self) -> bool:
        """Whether it ended."""


def show(shows: Shows, duration: float | None, look: Callable[[], object] = lambda: None) -> None:
    """Wait until it is to end: after a time, by a signal; or since it has.

    Args:
        shows: what shows topics.
        duration: seconds; None for no end.
        look: called now and then.

    Raises:
        click.ClickException: it ended by itself.
    """
    until = None if duration is None else time.monotonic() + duration
    never = threading.Event()
    try:
        while until is None or time.monotonic() < until:
            if shows.closed:
                raise click.ClickException("it ended by itself; IPCPY_LOG=info shows why")
            look()
            never.wait(LOOK if until is None else max(0.0, min(LOOK, until - time.monotonic())))
    except (KeyboardInterrupt, Terminated):
        pass


def told(stats: Any, counts: tuple[str, ...], *, as_json: bool) -> None:
    """Say what was shown.

    Args:
        stats: what was counted; ``messages`` among it.
        counts: the names of other counts, which are said where they are not 0.
        as_json: whether it is said as JSON, on standard output.
    """
    if as_json:
        click.echo(dumps({name: getattr(stats, name) for name in ("messages", *counts)}))
        return
    parts = [f"{getattr(stats, name):,} {name}" for name in counts if getattr(stats, name)]
    click.echo(", ".join([f"showed {plural(stats.messages, 'message')}", *parts]), err=True)
