"""Closes open nodes when the program ends, abandons them in a forked child, and closes handles that are forgotten.

Knows nothing else of any of them.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable

from ..locks import Monitor
from ..typed import Any, Protocol


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


def close_forgotten(thread: Thread, monitor: Monitor, close: Callable[[], object]) -> None:
    """Close what nobody holds any more: at once, or soon in the I/O thread if that may hang.

    The garbage collector calls in any thread, also in one that holds the lock which closing takes.
    """
    if thread.in_thread() or monitor.busy():
        thread.call(close)
    else:
        close()


_open: weakref.WeakSet[Life] = weakref.WeakSet()
_finalized_by = 0  # the process, if it is a child of multiprocessing, in which we are called at its end


def opened(life: Life) -> None:
    """Remember a node, to close it when the interpreter exits, or a child of multiprocessing ends."""
    global _finalized_by
    _open.add(life)
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None and _finalized_by != os.getpid():
        from multiprocessing.util import Finalize

        _finalized_by = os.getpid()
        Finalize(None, close_all, exitpriority=100)  # it ends by os._exit: functions of atexit are not called


def ended(life: Life) -> None:
    """Forget a node: it was closed, or belongs to the parent of this process."""
    _open.discard(life)


def close_all() -> None:
    """Close all nodes that are open."""
    for life in list(_open):
        life.close()


def _abandon_all() -> None:
    for life in list(_open):
        life.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
