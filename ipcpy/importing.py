"""Imports in threads of our own, which a fork waits for. Knows nothing of what is imported.

A child that is forked in the midst of an import has half a module, and a lock of Python's that nobody there gives back:
whoever imports it, be it the child's own ``import asyncio``, waits for ever. A program that forks on its own imports
before that; what our threads import late, it cannot know of.
"""

from __future__ import annotations

import os
import threading

LONGEST = 10.0  # seconds that a fork waits: far more than an import takes


class Importing:
    """What a thread imports with ``lock`` held; forks of the process begin before or after it.

    Attributes:
        lock: an RLock, and taken as one: an exception from outside leaves it locked in no place (locks.py).
    """

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin anew: in a child nobody imports."""
        self.lock = threading.RLock()
        self._held = False  # by a fork

    def before_fork(self) -> None:
        """Wait for the end of the import that is going on."""
        self._held = self.lock.acquire(timeout=LONGEST)

    def after_fork(self) -> None:
        """Have imports go on in the parent."""
        if self._held:
            self._held = False
            self.lock.release()


importing = Importing()
"""What this process imports in threads of ours."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=importing.before_fork, after_in_parent=importing.after_fork, after_in_child=importing.renew
    )
