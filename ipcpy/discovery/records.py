"""A node's DNS-SD advert, and what to make of those that are heard. Knows bytes, names and the time it is told;
nothing of sockets, threads or zeroconf.

The advert is a DNS-SD service (RFC 6763): an instance ``<name>-<id>._ipcpy._udp.local.``, whose SRV record tells host
and port, whose A records tell addresses, and whose TXT record tells the rest for people with an mDNS browser.
All of it can be forged by anyone on the link, so everything here is bounded and nothing raises on what was heard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ..addresses import is_loopback
from ..budget import Budget

__all__ = [
    "SERVICE_TYPE",
    "Advert",
    "Batch",
    "Hint",
    "Sightings",
    "from_txt",
    "instance_name",
    "pack_txt",
    "to_txt",
    "unpack_txt",
]

SERVICE_TYPE = "_ipcpy._udp.local."

_MAX_LABEL = 63  # bytes, RFC 1035
_MAX_STRING = 255  # bytes of "key=value", RFC 1035
_MAX_TXT = 1200  # bytes: 1472 of a datagram - 12 header - about 200 for PTR, SRV, A and NSEC, with some to spare
_MAX_FIELD = 128  # bytes of a domain or host
_MAX_VERSION = 32  # bytes
_MORE_SPACE = len(b"\x0amore=65535")
_ID_DIGITS = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Advert:
    """What a node tells about itself.

    Attributes:
        node_id: 16 hexadecimal digits in lower case, new with every start.
        name: the node's name.
        host: its host's name.
        domain: its domain.
        port: the UDP port of its link.
        version: the version of ipcpy.
        topics: its topics, as many as fit the record where it comes from the network.
        more: how many more topics there are.
    """

    node_id: str
    name: str
    host: str
    domain: str
    port: int
    version: str
    topics: tuple[str, ...] = ()
    more: int = 0


def instance_name(name: str, node_id: str) -> str:
    """Return the full name of a node's service: ``<name>-<id>._ipcpy._udp.local.``.

    Dots, backslashes and what cannot be printed become ``_``; a long name is cut so that its label has 63 bytes.
    """
    clean = "".join("_" if char in ".\\" or not char.isprintable() else char for char in name)
    return f"{_cut(clean, _MAX_LABEL - 1 - len(node_id)) or 'node'}-{node_id}.{SERVICE_TYPE}"


def to_txt(advert: Advert) -> dict[str, bytes]:
    """Return the keys and values of the TXT record: v, id, domain, host, t0, t1, ... and ``more`` where topics are
    left out. At most 1,200 bytes; a topic that does not fit a string of 255 bytes is left out.
    """
    txt = {
        "v": _cut(advert.version, _MAX_VERSION).encode(),
        "id": advert.node_id.encode(),
        "domain": _cut(advert.domain, _MAX_FIELD).encode(),
        "host": _cut(advert.host, _MAX_FIELD).encode(),
    }
    room = _MAX_TXT - _MORE_SPACE - len(pack_txt(txt))
    shown = 0
    for topic in advert.topics:
        key, value = f"t{shown}", topic.encode("utf-8", "replace")
        size = 1 + len(key) + 1 + len(value)
        if size - 1 <= _MAX_STRING and size <= room:
            txt[key] = value
            room -= size
            shown += 1
    left_out = len(advert.topics) - shown + advert.more
    if left_out:
        txt["more"] = str(min(left_out, 65_535)).encode()
    return txt


def from_txt(txt: Mapping[str, bytes], port: int, instance: str = "") -> tuple[Advert | None, str]:
    """Read what another node tells about itself; never raises.

    Args:
        txt: keys and values of its TXT record.
        port: the port of its SRV record.
        instance: the full name of its service, for the node's name.

    Returns:
        The advert and "", or None and what is wrong with it.
    """
    if not 0 < port < 65_536:
        return None, f"port {port}"
    texts: dict[str, str] = {}
    for key, limit in (("v", _MAX_VERSION), ("id", 16), ("domain", _MAX_FIELD), ("host", _MAX_FIELD)):
        text = _text(txt.get(key), limit)
        if text is None:
            return None, f"no {key}" if key not in txt else f"bad {key}"
        texts[key] = text
    if len(texts["id"]) != 16 or not _ID_DIGITS.issuperset(texts["id"]):
        return None, "bad id"
    topics = tuple(_topics(txt))
    more = txt.get("more", b"0")
    left_out = int(more) if more.isdigit() and len(more) <= 5 else 0
    name = instance.partition(".")[0].removesuffix("-" + texts["id"])[:_MAX_LABEL]
    return Advert(texts["id"], name, texts["host"], texts["domain"], port, texts["v"], topics, left_out), ""


def pack_txt(txt: Mapping[str, bytes]) -> bytes:
    """Return the bytes of a TXT record: strings ``key=value``, each behind its length (RFC 6763, 6.4)."""
    strings = (key.encode() + b"=" + value for key, value in txt.items())
    return b"".join(bytes((len(string),)) + string for string in strings)


def unpack_txt(data: bytes) -> dict[str, bytes] | None:
    """Return the keys (in lower case) and values of a TXT record, or None if it is not one, or none of ours."""
    if len(data) > _MAX_TXT:
        return None
    txt: dict[str, bytes] = {}
    offset = 0
    while offset < len(data):
        end = offset + 1 + data[offset]
        if end > len(data):
            return None
        key, _, value = data[offset + 1 : end].partition(b"=")
        txt.setdefault(key.decode("ascii", "replace").lower(), value)  # the first one counts
        offset = end
    return txt


@dataclass(slots=True)
class Batch:
    """The records of one packet, by kind. Names as they came."""

    pointers: list[str] = field(default_factory=list)
    services: list[tuple[str, str, int]] = field(default_factory=list)  # instance, server, port
    texts: list[tuple[str, bytes]] = field(default_factory=list)  # instance, TXT
    addresses: list[tuple[str, bytes]] = field(default_factory=list)  # server, 4 bytes
    goodbyes: list[str] = field(default_factory=list)  # instance


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

    @property
    def complete(self) -> bool:
        return bool(self.server and self.text is not None and self.addresses)


class Sightings:
    """Puts the records that are heard together to hints.

    Bounded: it remembers 2,048 instances, the oldest goes first, and gives at most 256 hints a second (512 at once),
    64 of them (128 at once) to one address, so that forged records can neither fill memory nor aim us at somebody.

    Args:
        node_id: the own node, of which nothing is told.
        domain: the own domain; other domains are ignored.
        count: called with a cause and a detail for everything that is ignored.
    """

    LIMIT = 2048
    REPEAT = 2.0  # seconds until the same is told again
    KEEP = 120.0  # seconds an instance is remembered; what is remembered only saves repetitions
    ATTEMPTS = 3  # questions for what is missing of one instance
    QUESTIONS = 16  # instances in one packet
    ADDRESSES = 8  # of one instance
    NEIGHBOURS = 256  # instances that share one server name; ours do not

    def __init__(self, node_id: str, domain: str, count: Callable[[str, str], None]) -> None:
        self._node_id, self._domain, self._count = node_id, _cut(domain, _MAX_FIELD), count
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
                entry.text = text[: _MAX_TXT + 1]  # one too many is enough to tell
        self._place(batch.addresses, touched)
        return [hint for entry in touched.values() if entry.complete for hint in self._tell(entry, own_addresses, now)]

    def goodbyes(self, batch: Batch) -> Iterator[str]:
        """Forget the instances that said goodbye; yield the node ids their names end with."""
        for instance in batch.goodbyes:
            self._forget(instance.lower())
            node_id = instance.partition(".")[0][-16:].lower()
            if len(node_id) == 16 and _ID_DIGITS.issuperset(node_id) and node_id != self._node_id:
                yield node_id

    def missing(self) -> list[tuple[str, str]]:
        """Return (instance, server or "") of those to ask for, at most 16, the newest first; each three times."""
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

    def clear(self) -> None:
        """Forget all instances: the network changed, and what is heard from now on is news."""
        self._entries.clear()
        self._by_server.clear()

    def prune(self, now: float) -> None:
        """Forget what was not heard for long."""
        for key in [key for key, entry in self._entries.items() if now - entry.heard > self.KEEP]:
            self._forget(key)

    def _touch(self, instance: str, now: float, touched: dict[str, _Entry]) -> _Entry | None:
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
        """Give the instances of each server its addresses: all that one packet names, instead of those before."""
        by_server: dict[str, dict[bytes, None]] = {}
        for server, packed in addresses:
            if server.lower() in self._by_server and len(packed) == 4:
                by_server.setdefault(server.lower(), {})[packed] = None
        for server, several in by_server.items():
            for key in self._by_server[server]:
                entry = touched[key] = self._entries[key]
                entry.addresses = tuple(several)[: 2 * self.ADDRESSES]

    def _tell(self, entry: _Entry, own_addresses: frozenset[str], now: float) -> Iterator[Hint]:
        told = (entry.port, entry.text, entry.addresses, own_addresses)
        if told == entry.reported and now - entry.reported_at < self.REPEAT:
            return
        txt = unpack_txt(entry.text or b"")
        advert, wrong = from_txt(txt, entry.port, entry.instance) if txt is not None else (None, "bad TXT")
        if advert is None:
            self._count("malformed", f"{entry.instance!r}: {wrong}")
        elif advert.node_id == self._node_id:
            self._count("own", "")
        elif advert.domain != self._domain:
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


def _text(data: bytes | None, limit: int) -> str | None:
    """Return what can be shown safely, or None."""
    if data is None or len(data) > limit:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None


def _topics(txt: Mapping[str, bytes]) -> Iterator[str]:
    for number in range(_MAX_TXT):  # each takes at least one byte
        topic = _text(txt.get(f"t{number}"), _MAX_STRING)
        if topic is None:
            return
        yield topic


def _cut(text: str, limit: int) -> str:
    """Return the longest beginning that has at most ``limit`` bytes in UTF-8."""
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")
