"""Tells when a process of this host ends. Knows pidfds and what nodes say of their processes; nothing of frames.

Used in the I/O thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from ..protocol.link.entries import NodeEntry
from ..transport import process
from .loop import Loop


class Processes:
    """Has the kernel tell of the end of processes of our own system (pidfd_open(2)); one descriptor for each process.

    Args:
        own: what this process says of itself.
        on_end: called with the id of each node of a process that ended.
    """

    def __init__(self, loop: Loop, own: NodeEntry, on_end: Callable[[int], None]) -> None:
        self._loop = loop
        self._own = own
        self._on_end = on_end
        self._nodes: dict[int, tuple[int, int]] = {}  # node id -> process
        self._descriptors: dict[tuple[int, int], int] = {}  # pid and when it started -> pidfd

    def add(self, id: int, entry: NodeEntry) -> bool:
        """Watch the process of a node; False if that cannot be."""
        if not entry.machine or entry.machine != self._own.machine:
            return False
        key = entry.pid, entry.started
        if key == (self._own.pid, self._own.started):
            return True  # we end together
        if key not in self._descriptors:
            try:
                descriptor = process.open_watch(*key)
            except ProcessLookupError:
                self._loop.call(self._on_end, id)
                return False
            if descriptor is None:
                return False
            self._descriptors[key] = descriptor
            # Later in the round: if it said goodbye, that is read first.
            self._loop.watch(descriptor, lambda: self._loop.call(self._ended, key))
        self._nodes[id] = key
        return True

    def remove(self, id: int) -> None:
        """Watch the process of a node no more."""
        key = self._nodes.pop(id, None)
        if key is not None and key not in self._nodes.values():
            descriptor = self._descriptors.pop(key)
            self._loop.unwatch(descriptor)
            os.close(descriptor)

    def _ended(self, key: tuple[int, int]) -> None:
        for id in [id for id, other in self._nodes.items() if other == key]:
            self._on_end(id)
            self.remove(id)

    def close(self) -> None:
        """Close the descriptors."""
        for id in list(self._nodes):
            self.remove(id)
