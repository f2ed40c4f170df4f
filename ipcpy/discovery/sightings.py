"""What was heard of others, put together to hints where to knock. Knows records, adverts and the time it is told;
nothing of sockets, threads or zeroconf, nor of who is really there.

Anyone on the link can forge what is heard, so everything here is bounded, and nothing raises on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

from ..addresses import is_loopback
from ..budget import Budget
from .advert import MAX_TXT, SERVICE_TYPE, cut_field, from_txt, unpack_txt

__all__ = ["Batch", "Hint", "Sightings"]


@dataclass(slots=True)
class Batch:
    """The records of one packet, by kind. Names are as they came."""

    pointers: list[str] = field(default_factory=list)
    services: list[tuple[str, str, int]] = field(default_factory=list)  # instance, server, port
    texts: list[tuple[str, bytes]] = field(default_factory=list)  # instance, TXT
    addresses: list[tuple[str, bytes]] = field(default_factory=list)  # server, 4 bytes


@dataclass(frozen=True, slots=True)
class Hint:
    """Where a node is said to be."""

    node_id: str
    address: str
    port: int


@dataclass(slots=True)
class _Entry:
    """What is known of one instance so far."""

    instance: str
    heard: float
    server: str = ""
    port: int = 0
    text: bytes | None = None
    addresses: tuple[bytes, ...] = ()
    reported: tuple[object, ...] = ()
    reported_at: float = float("-inf")
    asked: int = 0
    domain: str = ""  # of a complete one, where it is another than ours

    @property
    def complete(self) -> bool:
        return bool(self.server and self.text is not None and self.addresses)


class Sightings:
    """Combines the records that are heard into hints.

    Everything is bounded, so that forged records can neither fill memory nor aim us at somebody: 2,048 instances are
    remembered, and the one heard longest ago goes first; at most 256 hints come out a second (512 at once), at most 64
    of them (128 at once) for one address.

    Args:
        node_id: the own node, of which nothing is told.
        domain: the own domain; other domains are ignored.
        count: called with a cause and a detail for everything that is ignored.
        keys: returns the ids of our keys; who uses another one, or none where we have some, is ignored.

    Attributes:
        own: the ids of the nodes that are announced here: the own one, and others of which nothing is told either.
    """

    LIMIT = 2048
    REPEAT = 2.0  # seconds until the same is told again
    KEEP = 120.0  # seconds an instance is remembered; what is remembered only saves repetitions
    ATTEMPTS = 3  # questions for what is missing of one instance
    QUESTIONS = 16  # instances in one packet
    ADDRESSES = 8  # of one instance
    NEIGHBOURS = 256  # instances that share one server name; ours do not

    def __init__(
        self,
        node_id: str,
        domain: str,
        count: Callable[[str, str], None],
        keys: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._keys = keys
        self.own, self._domain, self._count = frozenset({node_id}), cut_field(domain), count
        self._entries: dict[str, _Entry] = {}
        self._by_server: dict[str, set[str]] = {}
        self._all = Budget(512, 256, 0.0)
        self._each: dict[str, Budget] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def hear(self, batch: Batch, own_addresses: frozenset[str], now: float) -> list[Hint]:
        """Take in the records of one packet and return what can be told now."""
        touched: dict[str, _Entry] = {}
        for instance in batch.pointers:
            self._touch(instance, now, touched)
        for instance, server, port in batch.services:
            if entry := self._touch(instance, now, touched):
                self._move(entry, server.lower())
                entry.port = port
        for instance, text in batch.texts:
            if entry := self._touch(instance, now, touched):
                entry.text = text[: MAX_TXT + 1]  # one too many is enough to tell
        self._place(batch.addresses, touched)
        return [hint for entry in touched.values() if entry.complete for hint in self._tell(entry, own_addresses, now)]

    def missing(self) -> list[tuple[str, str]]:
        """Return each (instance, server or "") to ask for: at most 16, those heard last first, each three times."""
        found: list[tuple[str, str]] = []
        for entry in reversed(self._entries.values()):
            if not entry.complete and entry.asked < self.ATTEMPTS:
                entry.asked += 1
                found.append((entry.instance, entry.server))
                if len(found) == self.QUESTIONS:
                    break
        return found

    def unresolved(self, batch: Batch) -> bool:
        """Tell whether something of an instance in this packet did not come along."""
        names = (*batch.pointers, *(service[0] for service in batch.services), *(text[0] for text in batch.texts))
        entries = (self._entries.get(name.lower()) for name in names)
        return any(entry is not None and not entry.complete and entry.asked < self.ATTEMPTS for entry in entries)

    def recent(self, since: float) -> list[str]:
        """Return the names of the instances that were told since then."""
        return [entry.instance for entry in self._entries.values() if entry.reported_at >= since]

    def domains(self) -> Counter[str]:
        """Return the other domains of which nodes are remembered, each with how many; for any thread."""
        return Counter(entry.domain for entry in tuple(self._entries.values()) if entry.domain)

    def clear(self) -> None:
        """Forget all instances: the network changed, and what is heard from now on is news."""
        self._entries.clear()
        self._by_server.clear()

    def prune(self, now: float) -> None:
        """Forget what was not heard for long."""
        for key in [key for key, entry in self._entries.items() if now - entry.heard > self.KEEP]:
            self._forget(key)

    def _touch(self, instance: str, now: float, touched: dict[str, _Entry]) -> _Entry | None:
        """Return the entry of an instance that was heard now, a new one if need be; None for another service."""
        key = instance.lower()
        if not key.endswith("." + SERVICE_TYPE):
            return None
        entry = self._entries.pop(key, None)  # put at the end again: the first one is the one heard longest ago
        if entry is None:
            if len(self._entries) >= self.LIMIT:
                self._count("crowded", f"more than {self.LIMIT} instances")
                self._forget(next(iter(self._entries)))
            entry = _Entry(instance, now)
        entry.heard = now
        self._entries[key] = touched[key] = entry
        return entry

    def _move(self, entry: _Entry, server: str) -> None:
        """Learn which server an instance is on; another server's addresses are not this one's."""
        if server != entry.server:
            self._leave(entry)
            entry.server, entry.addresses = server, ()
            neighbours = self._by_server.setdefault(server, set())
            if len(neighbours) < self.NEIGHBOURS:
                neighbours.add(entry.instance.lower())

    def _leave(self, entry: _Entry) -> None:
        neighbours = self._by_server.get(entry.server)
        if neighbours is not None:
            neighbours.discard(entry.instance.lower())
            if not neighbours:
                del self._by_server[entry.server]

    def _forget(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._leave(entry)

    def _place(self, addresses: Iterable[tuple[str, bytes]], touched: dict[str, _Entry]) -> None:
        """Note the addresses of each server for its instances: all that one packet names, instead of those before."""
        by_server: dict[str, dict[bytes, None]] = {}
        for server, packed in addresses:
            if server.lower() in self._by_server and len(packed) == 4:
                by_server.setdefault(server.lower(), {})[packed] = None
        for server, several in by_server.items():
            for key in self._by_server[server]:
                entry = touched[key] = self._entries[key]
                entry.addresses = tuple(several)[: 2 * self.ADDRESSES]

    def _tell(self, entry: _Entry, own_addresses: frozenset[str], now: float) -> Iterator[Hint]:
        """Yield the hints of one instance, unless the same were told just now."""
        told = (entry.port, entry.text, entry.addresses, own_addresses)
        if told == entry.reported and now - entry.reported_at < self.REPEAT:
            return
        txt = unpack_txt(entry.text or b"")
        advert, wrong = from_txt(txt, entry.port, entry.instance) if txt is not None else (None, "bad TXT")
        entry.domain = advert.domain if advert and not advert.key and advert.domain != self._domain else ""
        if advert is None:
            self._count("malformed", f"{entry.instance!r}: {wrong}")
        elif advert.node_id in self.own:
            self._count("own", "")
        elif advert.key not in (self._keys() or ("",)):
            self._count("key", advert.key or "none")
        elif not advert.key and advert.domain != self._domain:
            self._count("domain", advert.domain)
        else:
            addresses = self._reachable(entry, own_addresses)
            allowed = [address for address in addresses if self._allowed(address, now)]
            if len(allowed) == len(addresses):
                entry.reported, entry.reported_at = told, now
            yield from (Hint(advert.node_id, address, advert.port) for address in allowed)

    def _reachable(self, entry: _Entry, own_addresses: frozenset[str]) -> list[str]:
        """Return the addresses worth a try, loopback first, if it is ours."""
        usable = [".".join(map(str, packed)) for packed in entry.addresses if 0 < packed[0] < 224]
        if len(usable) < len(entry.addresses):
            self._count("address", f"{entry.instance!r}: not an address of a host")
        local = [address for address in usable if is_loopback(address)]
        distant = [address for address in usable if not is_loopback(address)]
        if not own_addresses:  # we keep to this host
            distant = []
        elif distant and own_addresses.isdisjoint(distant):
            local = []  # another host's loopback
        return (local + distant)[: self.ADDRESSES]

    def _allowed(self, address: str, now: float) -> bool:
        budget = self._each.get(address)
        if budget is None:
            if len(self._each) >= self.LIMIT:
                del self._each[next(iter(self._each))]
            budget = self._each[address] = Budget(128, 64, now)
        if budget.take(1, now) and self._all.take(1, now):
            return True
        self._count("flood", f"too many adverts, the last for {address}")
        return False
