"""rtnetlink: Linux's tables of links and IPv4 addresses, and word when they change.

Knows the kernel's messages; nothing of which interfaces are wanted, or what they are wanted for. One socket tells it
all in two requests (0.2 ms, nothing to import). See rtnetlink(7), netlink(7).
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator

from ..records import dataclass

AVAILABLE = sys.platform == "linux" and hasattr(socket, "AF_NETLINK")

IFF_UP, IFF_LOOPBACK, IFF_RUNNING, IFF_MULTICAST = 0x1, 0x8, 0x40, 0x1000  # flags of a link, netdevice(7)

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index
_ATTRIBUTE = struct.Struct("=HH")  # rtattr: length with this header, type

_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_RTM_NEWLINK, _RTM_GETLINK, _RTM_NEWADDR, _RTM_GETADDR = 16, 18, 20, 22
_CHANGES = frozenset({16, 17, 20, 21, 24, 25})  # RTM_NEW and RTM_DEL of LINK, ADDR, ROUTE
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_NO_STATISTICS = struct.pack("=HHI", 8, 29, 8)  # IFLA_EXT_MASK = RTEXT_FILTER_SKIP_STATS: half the answer
_IFLA_IFNAME, _IFLA_MTU, _IFA_ADDRESS, _IFA_LOCAL = 3, 4, 1, 2
_GROUPS = 0x1 | 0x10 | 0x40  # RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE

_ETHERNET_MTU = 1500
_PATIENCE = 0.5  # seconds; the kernel answers at once, so more means that it never will


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface as the kernel lists it.

    Attributes:
        name: ``eth0``.
        index: the kernel's number for it.
        mtu: the largest IP packet it takes, in bytes.
        flags: its IFF_ bits.
        networks: its IPv4 addresses with their prefix lengths: ``10.77.0.1/24``.
    """

    name: str
    index: int
    mtu: int
    flags: int
    networks: tuple[str, ...]


def read_links() -> list[Link]:
    """Ask the kernel for all links with their IPv4 addresses.

    Raises:
        OSError, struct.error: the kernel refuses, does not answer, or answers what is no rtnetlink: a sandbox (gVisor,
            seccomp) or a full descriptor table.
    """
    with _open() as kernel:
        kernel.settimeout(_PATIENCE)
        links = list(_dump(kernel, _RTM_GETLINK, _LINK.pack(0, 0, 0, 0, 0) + _NO_STATISTICS))
        addresses = list(_dump(kernel, _RTM_GETADDR, _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0)))
    networks: dict[int, list[str]] = {}
    for kind, body in addresses:
        if kind == _RTM_NEWADDR:
            index, network = _parse_address(body)
            networks.setdefault(index, []).append(network)
    return [_parse_link(body, networks) for kind, body in links if kind == _RTM_NEWLINK]


def open_changes() -> socket.socket:
    """Open a socket that becomes readable when links, IPv4 addresses or IPv4 routes change. Reading it never waits.

    Raises:
        OSError: the kernel refuses.
    """
    kernel = _open()
    try:
        kernel.bind((0, _GROUPS))
    except OSError:
        kernel.close()
        raise
    kernel.setblocking(False)
    return kernel


def tells_of_change(data: bytes) -> bool:
    """Tell whether a datagram of the kernel reports a change."""
    return any(kind in _CHANGES for kind, _, _ in messages(data))


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (type, sequence, body) of each netlink message in a datagram; one that is cut off ends them quietly."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, _, sequence, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size:
            return
        yield kind, sequence, data[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def attributes(body: bytes, offset: int) -> dict[int, bytes]:
    """Return the attributes that follow a message's fixed part, by type; one that is cut off ends them quietly."""
    found: dict[int, bytes] = {}
    while offset + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, offset)
        if length < _ATTRIBUTE.size:
            break
        found[kind] = body[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
    return found


def _open() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)


def _dump(kernel: socket.socket, kind: int, body: bytes) -> Iterator[tuple[int, bytes]]:
    """Ask for a table and yield (message type, body) for each row."""
    kernel.send(_HEADER.pack(_HEADER.size + len(body), kind, _DUMP, kind, 0) + body)
    while True:
        for answer, sequence, row in messages(kernel.recv(1 << 18)):
            if sequence != kind:
                continue
            if answer == _NLMSG_DONE:
                return
            if answer == _NLMSG_ERROR:
                code = -struct.unpack_from("=i", row)[0]
                raise OSError(code, os.strerror(code))
            yield answer, row


def _parse_address(body: bytes) -> tuple[int, str]:
    _, prefix, _, _, index = _ADDRESS.unpack_from(body)
    found = attributes(body, _ADDRESS.size)
    # On a point-to-point link IFA_ADDRESS is the other end.
    packed = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS, b"")
    return index, f"{socket.inet_ntoa(packed)}/{prefix}"


def _parse_link(body: bytes, networks: dict[int, list[str]]) -> Link:
    _, _, index, flags, _ = _LINK.unpack_from(body)
    found = attributes(body, _LINK.size)
    return Link(
        name=found.get(_IFLA_IFNAME, b"?").rstrip(b"\0").decode("utf-8", "replace"),
        index=index,
        mtu=int.from_bytes(found.get(_IFLA_MTU, b""), sys.byteorder) or _ETHERNET_MTU,
        flags=flags,
        networks=tuple(networks.get(index, ())),
    )
