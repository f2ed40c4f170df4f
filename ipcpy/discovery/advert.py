"""What a node shows of itself in DNS-SD. Knows names and TXT records (RFC 6763); nothing of packets, sockets or time,
or of who was heard.

The advert is a service: an instance ``<name>-<id>._ipcpy._udp.local.``, whose SRV record tells host and port, whose A
records tell addresses, and whose TXT record tells the rest for people with an mDNS browser. Anyone on the link can
forge an advert, so everything here is bounded, and nothing raises on what was heard.

A node that has a key shows its id, where to knock, and which key it uses: no name of itself, its host, its domain or a
topic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

__all__ = [
    "MAX_TXT",
    "SERVICE_TYPE",
    "Advert",
    "cut_field",
    "from_txt",
    "instance_name",
    "pack_txt",
    "to_txt",
    "unpack_txt",
]

SERVICE_TYPE = "_ipcpy._udp.local."
MAX_TXT = 1200  # bytes: 1472 of a datagram - 12 header - about 200 for PTR, SRV, A and NSEC, with some to spare

_MAX_LABEL = 63  # bytes, RFC 1035
_MAX_STRING = 255  # bytes of "key=value", RFC 1035
_MAX_FIELD = 128  # bytes of a domain or host
_MAX_VERSION = 32  # bytes
_FIELDS = (("v", _MAX_VERSION), ("id", 16), ("domain", _MAX_FIELD), ("host", _MAX_FIELD))
_FIELDS_SEALED = (("id", 16), ("k", 8))
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
        key: the id of the key that it uses, as 8 hexadecimal digits; empty for none.
    """

    node_id: str
    name: str
    host: str
    domain: str
    port: int
    version: str
    topics: tuple[str, ...] = ()
    more: int = 0
    key: str = ""

    @property
    def instance(self) -> str:
        """The full name of the node's service."""
        return instance_name(None if self.key else self.name, self.node_id)


def instance_name(name: str | None, node_id: str) -> str:
    """Return the full name of a node's service: ``<name>-<id>._ipcpy._udp.local.``; for None ``<id>._ipcpy...``.

    Dots, backslashes and what cannot be printed become ``_``; a long name is cut so that its label has 63 bytes.
    """
    if name is None:
        return f"{node_id}.{SERVICE_TYPE}"
    clean = "".join("_" if char in ".\\" or not char.isprintable() else char for char in name)
    return f"{_cut(clean, _MAX_LABEL - 1 - len(node_id)) or 'node'}-{node_id}.{SERVICE_TYPE}"


def cut_field(text: str) -> str:
    """Return what an advert shows of a domain or a host: the longest beginning that has at most 128 bytes."""
    return _cut(text, _MAX_FIELD)


def to_txt(advert: Advert) -> dict[str, bytes]:
    """Return the keys and values of the TXT record: v, id, domain, host, t0, t1, ..., and ``more`` if topics are cut.

    Where the node has a key: id and ``k``, nothing else.

    The record has at most 1,200 bytes. A topic that does not fit a string of 255 bytes is left out.
    """
    if advert.key:
        return {"id": advert.node_id.encode(), "k": advert.key.encode()}
    txt = {
        "v": _cut(advert.version, _MAX_VERSION).encode(),
        "id": advert.node_id.encode(),
        "domain": cut_field(advert.domain).encode(),
        "host": cut_field(advert.host).encode(),
    }
    room = MAX_TXT - _MORE_SPACE - len(pack_txt(txt))
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
    sealed = "k" in txt
    fields = _FIELDS_SEALED if sealed else _FIELDS
    for key, limit in fields:
        text = _text(txt.get(key), limit)
        if text is None:
            return None, f"no {key}" if key not in txt else f"bad {key}"
        texts[key] = text
    if len(texts["id"]) != 16 or not _ID_DIGITS.issuperset(texts["id"]):
        return None, "bad id"
    if sealed:
        if len(texts["k"]) != 8 or not _ID_DIGITS.issuperset(texts["k"]):
            return None, "bad k"
        return Advert(texts["id"], "", "", "", port, "", key=texts["k"]), ""
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
    if len(data) > MAX_TXT:
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


def _text(data: bytes | None, limit: int) -> str | None:
    """Return the text if it can be shown safely and is not too long, else None."""
    if data is None or len(data) > limit:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None


def _topics(txt: Mapping[str, bytes]) -> Iterator[str]:
    """Yield t0, t1, ... up to the first that is missing or cannot be shown."""
    for number in range(MAX_TXT):  # each takes at least one byte
        topic = _text(txt.get(f"t{number}"), _MAX_STRING)
        if topic is None:
            return
        yield topic


def _cut(text: str, limit: int) -> str:
    """Return the longest beginning that has at most ``limit`` bytes in UTF-8."""
    return text.encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")
