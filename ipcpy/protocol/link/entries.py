"""What nodes tell each other: the entries of a topic table. Knows msgpack; nothing of how tables travel, or who asks.

An entry is a msgpack map with short keys (docs/protocol.md). What comes from the network is checked field by field
before anything is built from it; what does not fit raises ValueError, which the link counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakValueDictionary

import msgpack

from ...addresses import is_group, is_host, is_loopback
from ...errors import ArgumentError
from ...records import dataclass, field, required
from ...typed import Any
from .. import topics

MAX_ENTRY = 60_000  # bytes
MAX_MISMATCH = 8_000  # bytes of mismatches in a subscriber's entry
MAX_RATE = 1e6  # messages a second that a publisher may promise
KNOWN = 512  # bytes of an entry that is worth looking up
MAX_TOLD = 64  # addresses that a PEERS frame may have
_LIMITS = {
    "max_str_len": MAX_ENTRY,
    "max_bin_len": 1024,
    "max_array_len": 8192,
    "max_map_len": 64,
    "max_ext_len": 0,
}


@dataclass(frozen=True, slots=True, weakref_slot=True)
class NodeEntry:
    """A node about itself; its id in the table is 0.

    Attributes:
        machine: equal for two nodes whose pids can be compared; empty where that cannot be told.
        started: when the process started, in the host's own ticks, to tell a reused pid.
        speaker: the id of the node that announces it by mDNS: itself, another of its host, or 0 for none so far.
        shown: stands for where and with which key it wants to be announced; empty where it does not.
    """

    name: str
    host: str
    pid: int
    version: str
    domain: str
    machine: str = ""
    started: int = 0
    speaker: int = 0
    shown: str = ""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class PublisherEntry:
    """A publisher of a node.

    Attributes:
        group: its multicast address; empty where it has none.
        rate: messages a second that it promises; 0 where it promises none.
        via: where a bridge has it from, see ``EndpointInfo``; empty for a publisher of this LAN.
    """

    topic: str
    codec: str
    schema: Mapping[str, Any] = field(default_factory=dict)
    reliable: bool = False
    keep: int = 0
    group: str = ""
    group_port: int = 0
    rate: float = 0.0
    via: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class SubscriberEntry:
    """A subscriber of a node.

    Attributes:
        topic: a name or a pattern.
        codec: the codec it insists on, or ``any``.
        port: where its data socket listens, at any address of its node.
        mismatch: publisher id -> why it takes nothing from it.
    """

    topic: str
    codec: str
    port: int
    schema: Mapping[str, Any] = field(default_factory=dict)
    mismatch: Mapping[str, Any] = field(default_factory=dict)


Entry = NodeEntry | PublisherEntry | SubscriberEntry
_KEYS: dict[type, tuple[str, dict[str, str]]] = {
    NodeEntry: (
        "n",
        {
            "name": "n",
            "host": "h",
            "pid": "p",
            "version": "v",
            "domain": "d",
            "machine": "m",
            "started": "s",
            "speaker": "b",
            "shown": "w",
        },
    ),
    PublisherEntry: (
        "p",
        {
            "topic": "t",
            "codec": "c",
            "schema": "s",
            "reliable": "r",
            "keep": "k",
            "group": "g",
            "group_port": "o",
            "rate": "f",
            "via": "v",
        },
    ),
    SubscriberEntry: ("s", {"topic": "t", "codec": "c", "port": "p", "schema": "s", "mismatch": "x"}),
}
_CLASSES = {letter: (cls, keys) for cls, (letter, keys) in _KEYS.items()}
_REQUIRED = {cls: required(cls) for cls in _KEYS}
_TYPES: dict[str, type] = {
    "pid": int,
    "started": int,
    "speaker": int,
    "keep": int,
    "port": int,
    "group_port": int,
    "reliable": bool,
    "rate": float,
    "schema": dict,
    "mismatch": dict,
    "via": dict,
}
_MSGPACK = {str: "text", int: "an integer", bool: "a boolean", dict: "a map", list: "an array", float: "a float"}
_MSGPACK |= {bytes: "bin", type(None): "nil"}
_BOUNDS = {"port": 65_535, "group_port": 65_535, "keep": 1 << 32, "pid": 1 << 32, "started": 1 << 63}
_BOUNDS |= {"speaker": (1 << 64) - 1}
_TEXT = {"name": 128, "host": 255, "version": 64, "domain": 255, "codec": 64, "topic": 255, "group": 15, "machine": 64}
_TEXT |= {"shown": 64}


def pack_entry(entry: Entry) -> bytes:
    """Encode an entry; fields that have their default are left out.

    Raises:
        ArgumentError: the entry is longer than MAX_ENTRY bytes, most likely for its schema.
        ValueError: it is not what ``unpack_entry`` takes.
    """
    letter, keys = _KEYS[type(entry)]
    wire: dict[str, Any] = {"e": letter}
    for name, key in keys.items():
        value = getattr(entry, name) if name != "mismatch" else _fitting(entry)
        if value or name in ("topic", "codec", "port"):
            wire[key] = value
    data: bytes = msgpack.packb(wire)
    if len(data) > MAX_ENTRY:
        topic = getattr(entry, "topic", "")
        raise ArgumentError(
            f"the schema is too large for discovery: the types of {topic!r} take {len(data):,} bytes to describe, "
            f"and others take at most {MAX_ENTRY:,}; use fewer fields, or shorter names"
        )
    unpack_entry(data)  # what we would not take ourselves, no peer takes
    return data


def _fitting(entry: Entry) -> dict[str, Any]:
    """Return as many mismatches as fit: they are for people to read, and the entry must not fail for them."""
    found: dict[str, Any] = {}
    room = MAX_MISMATCH
    for id, reasons in entry.mismatch.items() if isinstance(entry, SubscriberEntry) else ():
        room -= len(msgpack.packb([id, reasons]))
        if room < 0 or len(found) == _LIMITS["max_map_len"]:
            break
        found[id] = reasons
    return found


_known: WeakValueDictionary[bytes, Entry] = WeakValueDictionary()  # what somebody still holds


def unpack_entry(data: bytes) -> Entry:
    """Decode an entry from the network.

    The same few bytes become the same value, for all nodes of a process are told the same. An entry with a schema, or
    with mismatches, is decoded anew each time: a user that is given the schema might change it.

    Raises:
        ValueError: whatever is wrong with the entry.
    """
    entry = _known.get(data)
    if entry is None:
        entry = _unpack(data)
        if len(data) <= KNOWN and not any(getattr(entry, name, None) for name in ("schema", "mismatch", "via")):
            _known[data] = entry
    return entry


def _unpack(data: bytes) -> Entry:
    try:
        wire = msgpack.unpackb(data, strict_map_key=False, **_LIMITS)
    except Exception as error:  # msgpack raises a family of its own, and more
        raise ValueError(f"not msgpack: {error}") from None
    if not isinstance(wire, dict):
        raise ValueError("not a map")
    kind = wire.get("e")
    if not isinstance(kind, str) or kind not in _CLASSES:
        raise ValueError("neither node, publisher nor subscriber")
    cls, keys = _CLASSES[kind]
    missing = [f"{keys[name]!r} ({name})" for name in _REQUIRED[cls] if keys[name] not in wire]
    if missing:
        raise ValueError(f"the entry {kind!r} lacks {', '.join(missing)}")
    found = {}
    for name, key in keys.items():
        if key in wire:
            found[name] = _checked(name, wire[key], f"{key!r} ({name}) of the entry {kind!r}")
    if "topic" in found:
        found["topic"] = (topics.told_topic if cls is PublisherEntry else topics.told_pattern)(found["topic"])
    entry: Entry = cls(**found)
    _check_whole(entry)
    return entry


def _checked(name: str, value: Any, where: str) -> Any:
    wanted = _TYPES.get(name, str)
    if wanted is float and type(value) is int:  # some languages write 100.0 so
        value = float(value)
    if type(value) is not wanted:
        raise ValueError(f"{where} is {_MSGPACK.get(type(value), 'of another type')}, not {_MSGPACK[wanted]}")
    if type(value) is int and not 0 <= value <= _BOUNDS[name]:
        raise ValueError(f"{where} is {value}, not from 0 to {_BOUNDS[name]}")
    if type(value) is float and not 0 <= value <= MAX_RATE:  # not a number either
        raise ValueError(f"{where} is {value}, not from 0 to {MAX_RATE:g}")
    if isinstance(value, str) and (len(value) > _TEXT[name] or not value.isprintable()):
        raise ValueError(f"{where} is not a printable text of at most {_TEXT[name]} characters")
    return value


def _check_whole(entry: Entry) -> None:
    if isinstance(entry, PublisherEntry):
        if entry.group and not (is_group(entry.group) and entry.group_port):
            raise ValueError("group is no multicast address with a port")
    elif isinstance(entry, SubscriberEntry):
        if not entry.port:
            raise ValueError("port is 0")


def pack_addresses(addresses: list[tuple[str, int]]) -> bytes:
    """Encode the body of a PEERS frame; an empty ip stands for the sender's own."""
    data: bytes = msgpack.packb([part for address in addresses for part in address])
    return data


def unpack_addresses(data: bytes | memoryview, sender: str) -> list[tuple[str, int]]:
    """Decode the body of a PEERS frame; loopback addresses are believed only if the frame came from this host.

    Raises:
        ValueError: whatever is wrong with the body.
    """
    try:
        flat = msgpack.unpackb(data, max_array_len=2 * MAX_TOLD, max_str_len=15)
        found = [(sender if ip == "" else ip, port) for ip, port in zip(flat[::2], flat[1::2], strict=True)]
    except Exception as error:  # msgpack raises a family of its own, and more
        raise ValueError(f"no addresses: {error}") from None
    for ip, port in found:
        if not is_host(ip) or type(port) is not int or not 0 < port < 65_536:
            raise ValueError("no addresses")
    return [(ip, port) for ip, port in found if not is_loopback(ip) or is_loopback(sender)]
