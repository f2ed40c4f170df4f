"""What zeroconf tells of the records that are heard, sorted for ``sightings``; zeroconf itself has to forget most.

Knows zeroconf's records and its cache; nothing of sockets, or of what nodes say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from .advert import SERVICE_TYPE
from .sightings import Batch

if TYPE_CHECKING:
    from zeroconf import DNSRecord, RecordUpdate, RecordUpdateListener, Zeroconf  # type: ignore[attr-defined]  # exported, though not in __all__

__all__ = ["PTR", "SRV", "TXT", "A", "batch", "listener"]

PTR, A, TXT, SRV = 12, 1, 16, 33  # types of records, RFC 1035 and RFC 2782


def listener(hear: Callable[[list[DNSRecord]], None], is_kept: Callable[[DNSRecord], bool]) -> RecordUpdateListener:
    """Return what zeroconf tells of records. A function, because the base class is imported late.

    Args:
        hear: called with the records of a packet, those that say goodbye not among them.
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
