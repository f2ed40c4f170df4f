"""Closes open nodes when the interpreter exits, abandons them in a forked child, and closes handles that are forgotten.

Knows nothing else of any of them.
"""

from __future__ import annotations

import atexit
import os
import weakref
from collections.abc import Callable
from threading import Lock
from typing import Any, Protocol


class Life(Protocol):
    """What ends: a node's ``Core``."""

    def close(self) -> None:
        """End it in good order."""

    def abandon(self) -> None:
        """Let go of what belongs to the parent, in a forked child."""


class Thread(Protocol):
    """The I/O thread."""

    def in_thread(self) -> bool: ...
    def call(self, function: Callable[..., object], *arguments: Any) -> None: ...


def close_forgotten(thread: Thread, lock: Lock, close: Callable[[], object]) -> None:
    """Close what nobody holds any more: at once, or soon in the I/O thread if that may hang.

    The garbage collector calls in any thread, also in one that holds the lock which closing takes.
    """
    if thread.in_thread() or not lock.acquire(blocking=False):
        thread.call(close)
    else:
        lock.release()
        close()


_open: weakref.WeakSet[Life] = weakref.WeakSet()


def opened(life: Life) -> None:
    """Remember a node, to close it when the interpreter exits."""
    _open.add(life)


def ended(life: Life) -> None:
    """Forget a node: it was closed, or belongs to the parent of this process."""
    _open.discard(life)


def _close_all() -> None:
    for life in list(_open):
        life.close()


def _abandon_all() -> None:
    for life in list(_open):
        life.abandon()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
