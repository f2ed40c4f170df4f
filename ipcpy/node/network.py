"""This host's network as a node uses it: its interfaces, when they change, which of them leads to an address.

Knows interfaces and times; nothing of peers, and sends nothing. Used in the I/O thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ..addresses import LOOPBACK, NOWHERE, Address, Way, is_loopback, network_of
from ..log import get_logger
from ..settings import Settings
from ..transport.group import FanoutSocket
from ..transport.interfaces import Interface, InterfaceWatch, interface_to, list_interfaces, source_on, source_to
from .loop import Alarm, Loop

log = get_logger(__name__)

SETTLE = 0.05  # seconds between the first word of a change and our look: one change makes several words
LOOK_AGAIN = 2.0  # seconds between two looks where the system does not tell of changes
MAX_WAYS = 4_096  # that are remembered
MTU = 1_500  # bytes of a packet on Ethernet, where no interface says better


MakeFanout = Callable[[Address, int, str], FanoutSocket]


class Network:
    """The interfaces that a node may use.

    Args:
        settings: which those are.
        on_change: called with True when the interfaces are others, with False when only routes may be; for the first
            time in ``start``.
        look: lists the interfaces with one of these names or addresses, all if there are none.
        open_watch: opens a file that tells of changes; None where the system tells of none.

    Attributes:
        interfaces: as they were at the last look, with those that are down.
        bind_host: the address to bind sockets to, so that nothing leaves this host if nothing may.
        wanted: names and addresses of the interfaces that it may use; all if there are none.
    """

    def __init__(
        self,
        loop: Loop,
        settings: Settings,
        on_change: Callable[[bool], None],
        look: Callable[[Sequence[str]], tuple[Interface, ...]] = list_interfaces,
        open_watch: Callable[[], InterfaceWatch | None] = InterfaceWatch.open,
    ) -> None:
        self._loop = loop
        self._only_loopback = settings.only_loopback
        self._chosen = bool(settings.interfaces)
        self.wanted: tuple[str, ...] = ("lo", LOOPBACK) if settings.only_loopback else tuple(settings.interfaces)
        self._on_change = on_change
        self._list = look
        self._open_watch = open_watch
        self.interfaces: tuple[Interface, ...] = ()
        self.bind_host = LOOPBACK if settings.only_loopback else ""
        self._watch: InterfaceWatch | None = None
        self._alarm = Alarm(loop, self._look)
        self._closed = False
        self._ways: dict[tuple[str, str], Way | None] = {}  # since the last look: each is asked for again and again

    # -- which interfaces there are ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Look for the first time, and watch from then on."""
        if not self._only_loopback:
            self._watch = self._open_watch()  # before the look: no change falls between them
        if self._watch is not None:
            self._loop.watch(self._watch, self._on_word)
        self._look()

    def _on_word(self) -> None:
        if self._watch is not None and self._watch.read():
            self._alarm.by(time.monotonic() + SETTLE)

    def _look(self) -> None:
        if self._closed:
            return
        found = self._list(self.wanted)
        self._ways = {}
        others = found != self.interfaces
        if others and self.interfaces:
            log.info("the network changed: %s", ", ".join(map(_describe, found)))
        self.interfaces = found
        if self._watch is None and not self._only_loopback:
            self._alarm.by(time.monotonic() + LOOK_AGAIN)
        self._on_change(others)

    # -- questions ---------------------------------------------------------------------------------------------------

    def indexes(self) -> list[int]:
        """Return the interfaces to listen for multicast on, by index."""
        return [interface.index for interface in self.interfaces if interface.up]

    def multicast_addresses(self) -> list[str]:
        """Return an address of each interface that carries multicast."""
        usable = [interface for interface in self.interfaces if interface.up and interface.multicast]
        return [interface.addresses[0] for interface in usable if interface.addresses]

    def places(self) -> list[Way]:
        """Return from where to greet: by each interface that is up, once for each network that it is on."""
        found: dict[tuple[int, object], Way] = {}
        for interface in self.interfaces:
            for address, network in zip(interface.addresses, interface.networks, strict=True) if interface.up else ():
                found.setdefault((interface.index, network_of(network)), Way(interface.index, address))
        return list(found.values())

    def fanout_socket(self, make: MakeFanout, group: Address, address: str) -> FanoutSocket | None:
        """Return a socket that sends to a group on the interface that leads to an address; None if there is none."""
        interface = self.interface_to(address)
        if interface is None:
            return None
        try:
            return make(group, interface.index, source_on(interface, address))
        except OSError:
            return None

    def way_to(self, address: str, asked: str = "") -> Way | None:
        """Return how to leave for an address; None where the system may choose.

        Who was asked at one of its addresses answers from there, for that is where an answer is waited for; by the
        interface that has it, if that leads there. Where the settings name interfaces, nothing leaves by others.

        Args:
            asked: the address of this host that whoever is there speaks to; empty if it is not known.
        """
        if self._only_loopback or is_loopback(address):
            return None
        ways = self._ways
        if (address, asked) not in ways:
            if len(ways) >= MAX_WAYS:
                ways = self._ways = {}
            ways[address, asked] = self._find_way(address, asked)
        return ways[address, asked]

    def _find_way(self, address: str, asked: str) -> Way | None:
        if asked and not is_loopback(asked):
            home = next((each for each in self.interfaces if asked in each.addresses), None)
            if home is not None:
                return Way(home.index if self._chosen or interface_to((home,), address) else 0, asked)
        return self._chosen_way(address) if self._chosen else None

    def _chosen_way(self, address: str) -> Way:
        """Return the way by one of the interfaces that the settings name: behind a router, as the system would."""
        near = interface_to(self.interfaces, address)
        if near is not None:
            return Way(near.index, source_on(near, address))
        usable = [each for each in self.interfaces if each.up and each.addresses and not each.loopback]
        usual = source_to(address)
        ways = [Way(each.index, usual if usual in each.addresses else each.addresses[0]) for each in usable]
        return next((way for way in ways if way.source == usual), ways[0]) if ways else NOWHERE

    def interface_to(self, address: str) -> Interface | None:
        """Return the interface on whose network an address is; None behind a router."""
        return interface_to(self.interfaces, address)

    def mtu_to(self, address: str) -> int:
        """Return the MTU on the way to an address in bytes; behind a router the smallest that it may be."""
        interface = self.interface_to(address)
        if interface is not None:
            return interface.mtu
        return min([each.mtu for each in self.interfaces if each.up and not each.loopback], default=MTU)

    def close(self) -> None:
        """Watch no more; in a forked child too. Idempotent."""
        self._closed = True
        if self._watch is not None:
            self._loop.unwatch(self._watch)
            self._watch.close()


def _describe(interface: Interface) -> str:
    return f"{interface.name} {'/'.join(interface.addresses) or 'without address'}"
