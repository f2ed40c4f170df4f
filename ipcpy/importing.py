"""Imports in threads of our own, which a fork waits for. Knows nothing of what is imported.

A child that is forked in the midst of an import has half a module, and a lock of Python's that nobody there gives back:
whoever imports it, be it the child's own ``import asyncio``, waits for ever. A program that forks on its own imports
before that; what our threads import late, it cannot know of.
"""

from __future__ import annotations

import os
import threading
from functools import cache

LONGEST = 10.0  # seconds that a fork waits: far more than an import takes


class Importing:
    """What a thread imports with ``lock`` held; forks of the process begin before or after it."""

    def __init__(self) -> None:
        self._heeded = 0  # how many times forks were told of this
        self.renew()

    def renew(self) -> None:
        """Begin anew: in a child nobody imports."""
        self._lock = threading.RLock()
        self._held = 0  # times, by a fork

    @property
    def lock(self) -> threading.RLock:
        """An RLock, and taken as one: an exception from outside leaves it locked in no place (locks.py).

        What was registered last is called first before a fork. ``logging`` registers that its own lock is taken, and
        modules that are imported ask for loggers: who waited for their end with that lock held would wait in vain.
        """
        if self._heeded == 1:
            with self._lock:
                import logging  # noqa: F401

                self.heed_forks()
        return self._lock

    def heed_forks(self) -> None:
        """Have forks of this process wait for ``lock``."""
        if hasattr(os, "register_at_fork"):
            self._heeded += 1
            os.register_at_fork(before=self.before_fork, after_in_parent=self.after_fork, after_in_child=self.renew)

    def before_fork(self) -> None:
        """Wait for the end of the import that is going on."""
        self._held += self._lock.acquire(timeout=LONGEST)

    def after_fork(self) -> None:
        """Have imports go on in the parent."""
        while self._held:
            self._held -= 1
            self._lock.release()


importing = Importing()
"""What this process imports in threads of ours."""
importing.heed_forks()


@cache
def import_once(name: str) -> None:
    """Import a module when it is first needed, perhaps in a thread of ours; after that the lock is not taken any more.

    Args:
        name: in full, or from a dot on for one of ipcpy's.
    """
    with importing.lock:
        import importlib

        importlib.import_module(name, __package__)
