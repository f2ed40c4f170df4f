"""This host's network interfaces, and when they change. Knows which are wanted; nothing of peers or discovery.

On Linux ``netlink`` tells names, addresses, MTU and flags. Elsewhere, and where a sandbox refuses netlink, ``ifaddr``
tells names and addresses, and the rest is assumed.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence

from ..addresses import LOOPBACK, is_loopback, is_on
from ..records import dataclass, replace
from ..typed import Self
from . import netlink
from .hostnames import plain

__all__ = ["LO", "Interface", "InterfaceWatch", "interface_to", "list_interfaces", "list_links", "source_on"]
__all__ += ["source_to"]

_ASSUMED_MTU = 1500  # of Ethernet and Wi-Fi
_ASSUMED_LOOPBACK_MTU = 65_536 if sys.platform == "linux" else 16_384  # the latter is macOS's


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


LO = Interface(
    name="lo",
    index=1,
    addresses=(LOOPBACK,),
    networks=(f"{LOOPBACK}/8",),
    mtu=65_536,
    up=True,
    loopback=True,
    multicast=True,
)
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


def list_links() -> Sequence[Interface]:
    """List all interfaces by index, also those without an IPv4 address, as far as the system tells; never raises."""
    if netlink.AVAILABLE:
        try:
            return _from_netlink()
        except (OSError, struct.error):
            pass
    try:
        return _from_ifaddr()
    except (ImportError, OSError):
        return (LO,)


def interface_to(interfaces: Iterable[Interface], address: str) -> Interface | None:
    """Return the interface that is up and on whose network an address is; None behind a router."""
    for interface in interfaces:
        if interface.up and any(is_on(address, network) for network in interface.networks):
            return interface
    return None


def source_on(interface: Interface, address: str) -> str:
    """Return the address of an interface that is on the network of another address; its first one behind a router."""
    near = (n.partition("/")[0] for n in interface.networks if is_on(address, n))
    return next(near, interface.addresses[0])


def source_to(address: str) -> str:
    """Return the address of this host that the system would send to another one from; "" if there is no way."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((address, 9))  # which only chooses a route: nothing is sent
            return str(sock.getsockname()[0])
    except OSError:
        return ""


def _selected(interfaces: Sequence[Interface], only: frozenset[str]) -> Iterator[Interface]:
    for each in interfaces:
        if not only or each.loopback or each.name in only:
            yield each
            continue
        kept = [n for n, address in enumerate(each.addresses) if address in only]
        if kept:
            addresses = tuple(each.addresses[n] for n in kept)
            yield replace(each, addresses=addresses, networks=tuple(each.networks[n] for n in kept))


def _from_netlink() -> Sequence[Interface]:
    found = []
    for link in netlink.read_links():
        loopback = bool(link.flags & netlink.IFF_LOOPBACK)
        works = netlink.IFF_UP | netlink.IFF_RUNNING
        found.append(
            Interface(
                name=plain(link.name),
                index=link.index,
                addresses=_addresses(link.networks),
                networks=link.networks,
                mtu=link.mtu,
                up=link.flags & works == works,
                loopback=loopback,
                multicast=loopback or bool(link.flags & netlink.IFF_MULTICAST),
                enabled=bool(link.flags & netlink.IFF_UP),
            )
        )
    return sorted(found, key=lambda each: each.index)


def _from_ifaddr() -> Sequence[Interface]:
    import ifaddr  # takes 10 ms, and where netlink answers nobody needs it

    found = []
    for adapter in ifaddr.get_adapters():
        networks = tuple(f"{ip.ip}/{ip.network_prefix}" for ip in adapter.ips if isinstance(ip.ip, str))
        if not networks:
            continue
        loopback = is_loopback(networks[0])
        found.append(
            Interface(
                name=plain(adapter.nice_name),
                index=adapter.index or 0,
                addresses=_addresses(networks),
                networks=networks,
                mtu=_ASSUMED_LOOPBACK_MTU if loopback else _ASSUMED_MTU,
                up=True,
                loopback=loopback,
                multicast=True,
            )
        )
    return sorted(found, key=lambda each: each.index)


def _addresses(networks: Iterable[str]) -> tuple[str, ...]:
    return tuple(network.partition("/")[0] for network in networks)


class InterfaceWatch:
    """Tells that links, IPv4 addresses or IPv4 routes of this host changed; not what: list the interfaces again.

    Readable like a socket. Not safe from several threads.

    Args:
        kernel: a socket of ``netlink.open_changes``. This object closes it.
    """

    def __init__(self, kernel: socket.socket) -> None:
        self._kernel = kernel

    @classmethod
    def open(cls) -> Self | None:
        """Start to watch. None where the platform has nothing of the kind: list the interfaces now and then."""
        if not netlink.AVAILABLE:
            return None
        try:
            return cls(netlink.open_changes())
        except OSError:
            return None

    def fileno(self) -> int:
        """Return the descriptor to wait on; -1 after ``close``."""
        return self._kernel.fileno()

    def read(self) -> bool:
        """Take all that was reported; True if something changed. Never waits, never raises."""
        changed = False
        for _ in range(1000):  # a kernel that reports more is read again at the caller's next turn
            try:
                data, sender = self._kernel.recvfrom(1 << 16)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    return changed  # EAGAIN: all read; EBADF: closed
                changed = True  # reports were dropped: something did change
                continue
            if sender[0] == 0:  # from the kernel
                changed = changed or netlink.tells_of_change(data)
        return changed

    def close(self) -> None:
        """Stop to watch. Once more does nothing."""
        self._kernel.close()
