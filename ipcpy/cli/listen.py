"""Receiving for commands: messages until a count or a silence. Knows nothing of what is done with them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import click

import ipcpy as ipc

from .endings import NothingFound
from .looking import STOPPED
from .render import printable_lines

__all__ = ["Sources", "first", "left", "messages", "nothing_came", "subscribe"]

WORRY = 2.0  # seconds of nothing after which a person at a terminal is told why
DEPTH = 100_000  # messages that wait while the terminal or the next program in the pipe is slow


def subscribe(node: ipc.Node, topic: str, deadline: float | None = None) -> ipc.Subscriber:
    """Make a command's subscriber."""
    return ipc.Subscriber(topic, depth=DEPTH, deadline=deadline, node=node)


def messages(sub: ipc.Subscriber, count: int | None = None, timeout: float | None = None) -> Iterator[ipc.Message]:
    """Yield messages.

    Args:
        sub: the subscriber.
        count: how many; None for no end.
        timeout: seconds without a message after which it ends; None waits for ever.

    Raises:
        NothingFound: it ends by timeout, with fewer messages than asked for or none at all.
    """
    received = 0
    while count is None or received < count:
        try:
            message = first(sub, timeout) if not received else sub.recv(timeout)
        except ipc.RecvTimeout:
            if received and count is None:
                return
            raise nothing_came(sub, timeout, received) from None
        received += 1
        yield message


def first(sub: ipc.Subscriber, timeout: float | None) -> ipc.Message:
    """Wait for the first message, and tell whoever sits at a terminal what is known of why there is none."""
    if timeout is not None and timeout <= WORRY:
        return sub.recv(timeout)
    try:
        return sub.recv(WORRY)
    except ipc.RecvTimeout:
        if sys.stderr.isatty():
            click.echo(printable_lines(f"waiting. {sub.why()}"), err=True)
    return sub.recv(None if timeout is None else timeout - WORRY)


def nothing_came(sub: ipc.Subscriber, timeout: float | None, received: int = 0) -> NothingFound:
    """Make the error that says how little came, and what is known of why."""
    what = f"{received} messages on {sub.topic!r}, then none for" if received else f"no message on {sub.topic!r} within"
    stopped = "" if received or sub.publishers else f" {STOPPED}"
    return NothingFound(f"{what} {timeout:g} s. {sub.why()}{stopped}")


class Sources:
    """Who publishes: publishers by id, those included that are gone before they are asked for."""

    def __init__(self, node: ipc.Node) -> None:
        self._watch = node.watch()
        self._known: dict[str, ipc.EndpointInfo] = {}

    def of(self, message: ipc.Message) -> ipc.EndpointInfo | None:
        """Return the publisher of a message; None if it was never heard of."""
        if message.publisher not in self._known:
            self._read()
        return self._known.get(message.publisher)

    def _read(self) -> None:
        while True:
            try:
                event = self._watch.get(0)
            except (TimeoutError, ipc.ClosedError):
                return
            if isinstance(event, ipc.PublisherFound):
                self._known[event.publisher.id] = event.publisher


def left(deadline: float | None) -> float | None:
    """Return the seconds until a deadline, 0 when it has passed; None without one."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())
