"""Which addresses the names of static peers have. Knows the resolver and threads; nothing of frames or peers."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..addresses import is_host
from ..log import get_logger
from ..transport.hostnames import resolve
from .loop import Loop

log = get_logger(__name__)

RESOLVE_AGAIN = 5.0  # seconds between two tries to resolve a name
RESOLVE_EVERY = 60.0  # seconds until a name that was resolved is looked at again: its address may change


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
        warned = False
        while not self._closed:
            found = sorted(set(filter(is_host, resolve(host))))
            if not found and not known and not warned and not self._closed:
                warned = True
                words = "the peer %r cannot be resolved to an IPv4 address; it is tried again every %g s"
                log.warning(words, host, RESOLVE_AGAIN)
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
