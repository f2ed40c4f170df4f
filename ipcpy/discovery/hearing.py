"""Hearing mDNS: reads no more than its share, sorts records, has zeroconf forget them, and hears its own groups only.

Knows zeroconf's objects; nothing of what nodes say.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..budget import Budget
from .advert import SERVICE_TYPE
from .sightings import Batch

if sys.platform == "win32":
    from selectors import SelectSelector as _Selector
else:
    from selectors import PollSelector as _Selector  # an epoll would be shared with forked children

if TYPE_CHECKING:
    from zeroconf import DNSRecord, RecordUpdate, RecordUpdateListener, Zeroconf  # type: ignore[attr-defined]  # exported, though not in __all__

__all__ = ["IN", "PTR", "SRV", "TXT", "A", "CalmSelector", "batch", "confine", "listener"]

_SHARE, _CREDIT = 0.1, 0.5
"""The thread's share of a core, and the seconds it may work at once: 100 nodes that start together take 0.1."""
PTR, A, TXT, SRV, IN = 12, 1, 16, 33, 1
_SOL_SOCKET, _SO_BINDTODEVICE, _IPPROTO_IP, _IP_MULTICAST_ALL = 1, 25, 0, 49  # of Linux


class CalmSelector(_Selector):
    """Waits for sockets, and before that until the thread has not used more than its share of a core.

    Whoever floods port 5353 thereby fills a kernel buffer, not the interpreter.
    """

    def __init__(self, stopping: threading.Event, on_pause: Callable[[], None]) -> None:
        super().__init__()
        self._stopping, self._on_pause = stopping, on_pause
        self._budget, self._used = Budget(_CREDIT, _SHARE, time.monotonic()), time.thread_time()

    def select(self, timeout: float | None = None) -> Any:
        """Wait like any selector; after too much work pause for up to 0.25 s first."""
        used = time.thread_time()
        self._budget.spend(used - self._used)
        self._used = used
        left = self._budget.left(time.monotonic())
        if left < 0:
            self._on_pause()
            self._stopping.wait(min(-left / _SHARE, 0.25))
        return super().select(timeout)


def listener(hear: Callable[[list[DNSRecord]], None], is_kept: Callable[[DNSRecord], bool]) -> RecordUpdateListener:
    """Return what zeroconf tells of records. A function, because the base class is imported late.

    Args:
        hear: called with the records of a packet.
        is_kept: tells whether zeroconf should remember a record.
    """
    from zeroconf import RecordUpdateListener

    class Listener(RecordUpdateListener):
        """Collects the records of a packet; when zeroconf has stored them, hands them over and has it forget most."""

        def __init__(self) -> None:
            self._records: list[DNSRecord] = []
            self._zeroconf: Zeroconf | None = None

        def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
            self._zeroconf = zc
            # A record that expired was in the cache long enough, or says goodbye: neither tells where a node is.
            self._records = [each.new for each in records if not each.new.is_expired(now)]

        def async_update_records_complete(self) -> None:
            records, self._records = self._records, []
            if records and self._zeroconf is not None:
                cache = self._zeroconf.cache
                dropped = {record for record in records if not is_kept(record)}
                cache.async_remove_records([record for record in dropped if cache.get(record) is not None])
                hear(records)

    return Listener()


def batch(records: Iterable[DNSRecord]) -> Batch:
    """Sort the records of a packet by kind."""
    found = Batch()
    for record in records:
        kind: Any = record  # each type has attributes of its own
        if record.type == PTR and record.name.lower() == SERVICE_TYPE:
            found.pointers.append(kind.alias)
        elif record.type == SRV:
            found.services.append((record.name, kind.server, kind.port))
        elif record.type == TXT:
            found.texts.append((record.name, kind.text))
        elif record.type == A:
            found.addresses.append((record.name, kind.address))
    return found


def confine(instance: Zeroconf, *, to_host: bool) -> None:
    """Hear only groups that this socket joined itself, and with loopback alone only what came over loopback.

    A socket on port 5353 otherwise also gets what came for another program of this host over another interface.
    """
    if sys.platform != "linux":
        return
    for reader in instance.engine.readers:
        with suppress(OSError):
            reader.sock.setsockopt(_IPPROTO_IP, _IP_MULTICAST_ALL, 0)
        if to_host:
            with suppress(OSError):
                reader.sock.setsockopt(_SOL_SOCKET, _SO_BINDTODEVICE, b"lo\0")
