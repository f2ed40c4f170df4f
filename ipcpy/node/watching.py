"""Watches on what is outside of the link: the processes of peers on this host, and the names of static peers.

Knows descriptors and threads; nothing of frames. ``Processes`` is used in the I/O thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from ..addresses import is_host
from ..protocol.link.entries import NodeEntry
from ..transport import process
from ..transport.udp import resolve
from .loop import Loop

RESOLVE_AGAIN = 5.0  # seconds between two tries to resolve a name
RESOLVE_EVERY = 60.0  # seconds until a name that was resolved is looked at again: its address may change


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
            self._loop.watch(descriptor, lambda: self._ended(key))
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


class Names:
    """Keeps an eye on which addresses the names of static peers have.

    Args:
        on_addresses: called in the loop's thread with (port, addresses the name has now, addresses it had).
    """

    def __init__(self, loop: Loop, on_addresses: Callable[[int | None, list[str], list[str]], None]) -> None:
        self._loop = loop
        self._on_addresses = on_addresses
        self._closed = False
        self._wakes: list[threading.Event] = []

    def add(self, host: str, port: int | None) -> None:
        """Look up a name now and again; an address needs none of that."""
        if is_host(host):
            self._on_addresses(port, [host], [])
            return
        wake = threading.Event()
        self._wakes.append(wake)
        threading.Thread(target=self._run, args=(host, port, wake), name=f"ipcpy {host}", daemon=True).start()

    def _run(self, host: str, port: int | None, wake: threading.Event) -> None:
        known: list[str] = []
        while not self._closed:
            found = sorted(set(resolve(host)))
            if found and found != known and not self._closed:
                self._loop.call(self._on_addresses, port, found, known)
                known = found
            wake.wait(RESOLVE_EVERY if found else RESOLVE_AGAIN)
            wake.clear()

    def again(self) -> None:
        """Look all of them up again: the network is another."""
        for wake in self._wakes:
            wake.set()

    def close(self) -> None:
        """Look up no more; does not wait for a look-up under way."""
        self._closed = True
        self.again()
