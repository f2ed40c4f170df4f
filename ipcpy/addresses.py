"""IPv4 addresses as the wire and sockets have them. Knows texts and numbers; resolves and opens nothing."""

from __future__ import annotations

from typing import NamedTuple

Address = tuple[str, int]  # IPv4 address in the usual form, and a port
LOOPBACK = "127.0.0.1"


class Way(NamedTuple):
    """How a datagram leaves this host.

    Attributes:
        interface: the index of the interface that it leaves by; 0 for the one that the system chooses.
        source: the address of this host that it comes from.
    """

    interface: int
    source: str


NOWHERE = Way(-1, "")  # it does not leave: no interface that may be used is there


def is_loopback(ip: str) -> bool:
    """Tell whether an address reaches this host only (127.0.0.0/8, RFC 1122)."""
    return ip.startswith("127.")


def is_host(ip: object) -> bool:
    """Tell whether something is the IPv4 address of a host, in the usual form: no name, which would be looked up."""
    return 0 < _first_octet(ip) < 224


def is_group(ip: object) -> bool:
    """Tell whether something is the IPv4 address of a multicast group (224.0.0.0/4, RFC 5771), in the usual form."""
    return 224 <= _first_octet(ip) < 240


def _first_octet(ip: object) -> int:
    octets = ip.split(".") if isinstance(ip, str) and ip.isascii() else []
    if len(octets) != 4 or not all(octet.isdigit() and len(octet) <= 3 and int(octet) < 256 for octet in octets):
        return -1
    return int(octets[0])
