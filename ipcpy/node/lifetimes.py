"""Closes open nodes when the interpreter exits, and abandons them in a forked child. Knows nothing else of them."""

from __future__ import annotations

import atexit
import os
import weakref
from typing import Protocol


class Life(Protocol):
    """What ends: a node's ``Core``."""

    def close(self) -> None:
        """End it in good order."""

    def abandon(self) -> None:
        """Let go of what belongs to the parent, in a forked child."""


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
