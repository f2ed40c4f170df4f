"""This host's network interfaces, and word when they change. Knows rtnetlink; nothing of peers or discovery.

On Linux one netlink socket tells names, addresses, MTU and flags in two requests (0.2 ms, nothing to import).
Elsewhere, and where a sandbox refuses netlink, ``ifaddr`` tells names and addresses, and the rest is assumed.
See rtnetlink(7), netlink(7).
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_interface
from typing import Self

from ..addresses import is_loopback

__all__ = ["Interface", "InterfaceWatch", "interface_to", "list_interfaces", "list_links"]

_NETLINK = sys.platform == "linux" and hasattr(socket, "AF_NETLINK")
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
_IFF_UP, _IFF_LOOPBACK, _IFF_RUNNING, _IFF_MULTICAST = 0x1, 0x8, 0x40, 0x1000
_GROUPS = 0x1 | 0x10 | 0x40  # RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE

_PATIENCE = 0.5  # seconds; the kernel answers at once, so more means that it never will


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface.

    Attributes:
        name: ``eth0``.
        index: the system's number for it; another one after it was removed and came back.
        addresses: its IPv4 addresses; perhaps none on a loopback that is down.
        networks: the same with their prefix lengths: ``10.77.0.1/24``.
        mtu: the largest IP packet it takes, in bytes.
        up: it is switched on and its link works.
        loopback: it leads to this host only.
        multicast: it can be used for multicast. Loopback can, though Linux leaves out the flag.
        enabled: it is switched on; where it is not up all the same, its cable or its radio link is missing.
    """

    name: str
    index: int
    addresses: tuple[str, ...]
    networks: tuple[str, ...]
    mtu: int
    up: bool
    loopback: bool
    multicast: bool
    enabled: bool = True


LO = Interface("lo", 1, ("127.0.0.1",), ("127.0.0.1/8",), 65_536, True, True, True)
"""What is assumed where nothing can be asked."""


def list_interfaces(only: Sequence[str] = ()) -> tuple[Interface, ...]:
    """List the interfaces that have an IPv4 address, with those that are down; never raises.

    Args:
        only: names or addresses of those wanted; none for all. One that matches nothing is no error, because it may
            appear later: robots boot before their Wi-Fi. An address selects its interface, with that address alone.

    Returns:
        The interfaces by index. Loopback is always among them.
    """
    usable = [each for each in list_links() if each.addresses or each.loopback]
    found = tuple(_selected(usable, frozenset(only)))
    return found if any(each.loopback for each in found) else (LO, *found)


def _selected(interfaces: Sequence[Interface], only: frozenset[str]) -> Iterator[Interface]:
    for each in interfaces:
        if not only or each.loopback or each.name in only:
            yield each
            continue
        kept = [n for n, address in enumerate(each.addresses) if address in only]
        if kept:
            addresses = tuple(each.addresses[n] for n in kept)
            yield replace(each, addresses=addresses, networks=tuple(each.networks[n] for n in kept))


def interface_to(interfaces: Iterable[Interface], address: str) -> Interface | None:
    """Return the interface that is up and on whose network an address is; None behind a router."""
    wanted = ip_address(address)
    for interface in interfaces:
        if interface.up and any(wanted in ip_interface(network).network for network in interface.networks):
            return interface
    return None


def list_links() -> Sequence[Interface]:
    """List all interfaces by index, also those without an IPv4 address, as far as the system tells; never raises."""
    if _NETLINK:
        try:
            return _from_netlink()
        except (OSError, struct.error):
            pass  # a sandbox (gVisor, seccomp) or a full descriptor table
    try:
        return _from_ifaddr()
    except (ImportError, OSError):
        return (LO,)


# Linux


def _from_netlink() -> Sequence[Interface]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as kernel:
        kernel.settimeout(_PATIENCE)
        links = list(_dump(kernel, _RTM_GETLINK, _LINK.pack(0, 0, 0, 0, 0) + _NO_STATISTICS))
        addresses = list(_dump(kernel, _RTM_GETADDR, _ADDRESS.pack(socket.AF_INET, 0, 0, 0, 0)))
    found: dict[int, list[str]] = {}
    for kind, body in addresses:
        if kind == _RTM_NEWADDR:
            index, network = _parse_address(body)
            found.setdefault(index, []).append(network)
    interfaces = [_parse_link(body, found) for kind, body in links if kind == _RTM_NEWLINK]
    return sorted(interfaces, key=lambda each: each.index)


def _dump(kernel: socket.socket, kind: int, body: bytes) -> Iterator[tuple[int, bytes]]:
    """Ask for a table and yield (message type, body) for each row."""
    kernel.send(_HEADER.pack(_HEADER.size + len(body), kind, _DUMP, kind, 0) + body)
    while True:
        for answer, sequence, row in _messages(kernel.recv(1 << 18)):
            if sequence != kind:
                continue
            if answer == _NLMSG_DONE:
                return
            if answer == _NLMSG_ERROR:
                code = -struct.unpack_from("=i", row)[0]
                raise OSError(code, os.strerror(code))
            yield answer, row


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield (type, sequence, body) of each netlink message in a datagram."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, _, sequence, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size:
            return
        yield kind, sequence, data[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def _attributes(body: bytes, offset: int) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while offset + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, offset)
        if length < _ATTRIBUTE.size:
            break
        found[kind] = body[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
    return found


def _parse_address(body: bytes) -> tuple[int, str]:
    _, prefix, _, _, index = _ADDRESS.unpack_from(body)
    attributes = _attributes(body, _ADDRESS.size)
    # On a point-to-point link IFA_ADDRESS is the other end.
    packed = attributes.get(_IFA_LOCAL) or attributes[_IFA_ADDRESS]
    return index, f"{socket.inet_ntoa(packed)}/{prefix}"


def _parse_link(body: bytes, networks_by_index: dict[int, list[str]]) -> Interface:
    _, _, index, flags, _ = _LINK.unpack_from(body)
    attributes = _attributes(body, _LINK.size)
    networks = tuple(networks_by_index.get(index, ()))
    loopback = bool(flags & _IFF_LOOPBACK)
    return Interface(
        name=attributes.get(_IFLA_IFNAME, b"?").rstrip(b"\0").decode("utf-8", "replace"),
        index=index,
        addresses=tuple(network.partition("/")[0] for network in networks),
        networks=networks,
        mtu=int.from_bytes(attributes.get(_IFLA_MTU, b""), sys.byteorder) or 1500,
        up=flags & (_IFF_UP | _IFF_RUNNING) == _IFF_UP | _IFF_RUNNING,
        loopback=loopback,
        multicast=loopback or bool(flags & _IFF_MULTICAST),
        enabled=bool(flags & _IFF_UP),
    )


# Everywhere else


def _from_ifaddr() -> Sequence[Interface]:
    import ifaddr  # 10 ms, and not needed on Linux

    interfaces = []
    for adapter in ifaddr.get_adapters():
        networks = tuple(f"{ip.ip}/{ip.network_prefix}" for ip in adapter.ips if isinstance(ip.ip, str))
        if not networks:
            continue
        loopback = is_loopback(networks[0])
        addresses = tuple(network.partition("/")[0] for network in networks)
        mtu = LO.mtu if loopback and sys.platform == "linux" else 16_384 if loopback else 1500
        name, index = adapter.nice_name, adapter.index or 0
        interfaces.append(Interface(name, index, addresses, networks, mtu, True, loopback, True))
    return sorted(interfaces, key=lambda each: each.index)


class InterfaceWatch:
    """Tells that links, IPv4 addresses or IPv4 routes of this host changed; not what: list the interfaces again.

    Readable like a socket. Not safe from several threads.
    """

    def __init__(self, kernel: socket.socket) -> None:
        self._kernel = kernel

    @classmethod
    def open(cls) -> Self | None:
        """Start to watch. None where the platform has nothing of the kind: list the interfaces now and then."""
        if not _NETLINK:
            return None
        try:
            kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        except OSError:
            return None
        try:
            kernel.bind((0, _GROUPS))
        except OSError:
            kernel.close()
            return None
        kernel.setblocking(False)
        return cls(kernel)

    def fileno(self) -> int:
        """Return the descriptor to wait on; -1 after ``close``."""
        return self._kernel.fileno()

    def read(self) -> bool:
        """Take all that was reported; True if something changed. Never waits, never raises."""
        changed = False
        for _ in range(1000):  # who floods us is read again at the next turn
            try:
                data, sender = self._kernel.recvfrom(1 << 16)
            except OSError as exc:
                if exc.errno != errno.ENOBUFS:
                    return changed  # EAGAIN: all read; EBADF: closed
                changed = True  # reports were dropped: something did change
                continue
            if sender[0] == 0:  # from the kernel
                changed = changed or any(kind in _CHANGES for kind, _, _ in _messages(data))
        return changed

    def close(self) -> None:
        """Stop to watch. Once more does nothing."""
        self._kernel.close()
