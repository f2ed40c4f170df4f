"""IPv4 addresses as the wire and sockets have them. Knows texts and numbers; resolves and opens nothing."""

from __future__ import annotations

from .records import NamedTuple

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


def number_of(ip: str) -> int:
    """Return the 32 bits of an address.

    Raises:
        ValueError: it is none, in the usual form.
    """
    if _first_octet(ip) < 0:
        raise ValueError(f"{ip!r:.60} is no IPv4 address")
    return int.from_bytes(map(int, ip.split(".")), "big")


def network_of(interface: str) -> tuple[int, int]:
    """Return how many bits of the addresses on the network of an interface, ``10.77.0.1/24``, differ, and the others.

    Raises:
        ValueError: it is no address with a length of 0 to 32 bits.
    """
    ip, _, length = interface.partition("/")
    rest = 32 - int(length)
    if not 0 <= rest <= 32:
        raise ValueError(f"{interface!r:.60} has no length of 0 to 32 bits")
    return rest, number_of(ip) >> rest


def is_on(ip: str, interface: str) -> bool:
    """Tell whether an address is on the network of an interface, ``10.77.0.1/24``.

    Raises:
        ValueError: one of the two is not in the usual form.
    """
    rest, network = network_of(interface)
    return number_of(ip) >> rest == network


def _first_octet(ip: object) -> int:
    octets = ip.split(".") if isinstance(ip, str) and ip.isascii() else []
    if len(octets) != 4 or not all(octet.isdigit() and len(octet) <= 3 and int(octet) < 256 for octet in octets):
        return -1
    return int(octets[0])
