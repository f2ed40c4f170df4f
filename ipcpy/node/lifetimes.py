"""What becomes of open nodes when the interpreter exits, and in a forked child. Knows that they can be closed."""

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
    """Close it when the interpreter exits, unless it ended before."""
    _open.add(life)


def ended(life: Life) -> None:
    """Leave it alone from now on."""
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
