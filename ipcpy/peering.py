"""Keeps a node in touch with the others: the link, its sockets, rendezvous, and watches on networks and processes.

Joins; the link itself is protocol/link.py. Everything but ``open`` runs in the I/O thread.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address, ip_interface
from typing import TYPE_CHECKING

from .loop import Alarm, Loop
from .protocol.entries import NodeEntry, pack_entry
from .protocol.link import Link, LinkEvent, PeerFound, PeerLost
from .settings import LINK_PORTS, Settings
from .transport import process
from .transport.interfaces import Interface, InterfaceWatch, list_interfaces
from .transport.udp import LOOPBACK, GroupSocket, LinkSocket, resolve

if TYPE_CHECKING:
    from .discovery.mdns import Mdns
    from .discovery.records import Advert

log = logging.getLogger(__name__)

SETTLE = 0.05  # seconds between the first word of a change of the network and our looking at it
LOOK_AGAIN = 2.0  # seconds between two looks where the system does not tell of changes
RESOLVE_AGAIN = 5.0  # seconds between two tries to resolve the name of a static peer
MDNS_AFTER = 0.1  # seconds until zeroconf is imported: it is no help to those who find each other at once
DRAIN = 256  # datagrams that are read before others have their turn


class Peering:
    """The link of a node, alive.

    Args:
        on_event: called with every event of the link.
        on_network: called when the interfaces are others.
    """

    def __init__(
        self,
        loop: Loop,
        settings: Settings,
        node_id: int,
        entry: NodeEntry,
        on_event: Callable[[LinkEvent], None],
        on_network: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._settings = settings
        self._entry = entry
        self._on_event = on_event
        self._on_network_changed = on_network
        self.link = Link(node_id, pack_entry(entry), settings.domain, os.urandom(32))
        self.only_loopback = _only_loopback(settings.interfaces)
        self.interfaces: tuple[Interface, ...] = ()
        self.counters: Counter[str] = Counter()
        self._alarm = Alarm(loop, self._on_timer)
        self._look_alarm = Alarm(loop, self._look)
        self._watches: dict[int, int] = {}  # node id -> pidfd
        self._mdns: Mdns | None = None
        self._topics: tuple[str, ...] = ()
        self._closed = False

    # -- opening and closing -----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the sockets; in any thread, before the loop runs.

        Raises:
            TransportError: if there is no UDP port to be had.
        """
        self._socket = LinkSocket(LOOPBACK if self.only_loopback else "", LINK_PORTS)
        try:
            self._group: GroupSocket | None = GroupSocket()
        except OSError as error:
            log.warning("no greeting by multicast: %s", error)
            self._group = None
        self._network = None if self.only_loopback else InterfaceWatch.open()
        self._loop.watch(self._socket, self._on_datagrams)
        if self._group is not None:
            self._loop.watch(self._group, self._on_group)
        if self._network is not None:
            self._loop.watch(self._network, self._on_network)

    @property
    def port(self) -> int:
        """The port of the link."""
        return self._socket.port

    def start(self) -> None:
        """Begin to look for others."""
        self._look()
        self.flush()
        self._loop.call_at(time.monotonic() + MDNS_AFTER, self._start_mdns)
        for peer in self._settings.peers:
            threading.Thread(target=self._find_static, args=(peer.host, peer.port), daemon=True).start()

    def close(self) -> None:
        """Say goodbye and close everything."""
        self._closed = True
        self.link.close()
        self.flush()
        if self._mdns is not None:
            self._mdns.close()
        self.abandon()

    def abandon(self) -> None:
        """Close the descriptors without a word; what a forked child does with those of its parent."""
        self._closed = True
        if self._mdns is not None:
            self._mdns.abandon()
        for file in (self._socket, self._group, self._network):
            if file is not None:
                self._loop.unwatch(file)
                file.close()
        for descriptor in self._watches.values():
            self._loop.unwatch(descriptor)
            os.close(descriptor)
        self._watches.clear()

    # -- rendezvous --------------------------------------------------------------------------------------------------

    def _start_mdns(self) -> None:
        if not self._closed:
            from .discovery.mdns import Mdns

            self._mdns = Mdns(self._advert(), self._addresses(), self._on_mdns, known=self._known_instances)
            self._mdns.start()

    def _advert(self) -> Advert:
        from .discovery.records import Advert

        entry = self._entry
        return Advert(
            f"{self.link.id:016x}", entry.name, entry.host, entry.domain, self.port, entry.version, self._topics
        )

    def advertise(self, topics: tuple[str, ...]) -> None:
        """Show other topics in mDNS."""
        self._topics = topics
        if self._mdns is not None:
            self._mdns.update(self._advert())

    def _addresses(self) -> list[str]:
        usable = [interface for interface in self.interfaces if interface.up and interface.multicast]
        return [interface.addresses[0] for interface in usable if interface.addresses]

    def _known_instances(self) -> list[str]:
        from .discovery.records import instance_name

        peers = list(self.link.peers.values())
        return [instance_name(peer.entry.name, f"{peer.id:016x}") for peer in peers if peer.entry is not None]

    def _on_mdns(self, address: str, port: int, node_id: str) -> None:
        self._loop.call(self._hint, address, port, int(node_id, 16))

    def _hint(self, address: str, port: int, node_id: int) -> None:
        if node_id not in self.link.peers:
            self.link.hint((address, port), time.monotonic())
            self.flush()

    def _find_static(self, host: str, port: int | None) -> None:
        while not self._closed:
            addresses = resolve(host)
            if addresses:
                self._loop.call(self._add_static, addresses, port)
                return
            time.sleep(RESOLVE_AGAIN)

    def _add_static(self, addresses: list[str], port: int | None) -> None:
        now = time.monotonic()
        for address in addresses:
            for each in (port,) if port else LINK_PORTS:
                self.link.hint((address, each), now, until=float("inf"))
        self.flush()

    # -- the network -------------------------------------------------------------------------------------------------

    def _on_network(self) -> None:
        if self._network is not None and self._network.read():
            self._look_alarm.by(time.monotonic() + SETTLE)

    def _look(self) -> None:
        """Look what interfaces there are, and greet on them if they changed."""
        if self._closed:
            return
        found = list_interfaces(("lo", LOOPBACK) if self.only_loopback else self._settings.interfaces)
        if found != self.interfaces:
            if self.interfaces:
                log.info("the network changed: %s", ", ".join(map(_describe, found)))
            self.interfaces = found
            self._rejoin()
        if self._network is None and not self.only_loopback:
            self._look_alarm.by(time.monotonic() + LOOK_AGAIN)

    def _rejoin(self) -> None:
        if self._group is not None:
            self._group.rejoin(interface.index for interface in self.interfaces if interface.up)
        if self._mdns is not None:
            self._mdns.set_interfaces(self._addresses())
        self.link.greet(time.monotonic())
        self.flush()
        self._on_network_changed()

    def interface_to(self, address: str) -> Interface | None:
        """Give the interface on whose network a peer's address is; None behind a router."""
        wanted = ip_address(address)
        for interface in self.interfaces:
            if interface.up and any(wanted in ip_interface(network).network for network in interface.networks):
                return interface
        return None

    def mtu_to(self, address: str) -> int:
        """Give the MTU of the interface that a peer's address is on, as far as can be told."""
        interface = self.interface_to(address)
        if interface is not None:
            return interface.mtu
        return min([i.mtu for i in self.interfaces if i.up and not i.loopback], default=1_500)

    # -- datagrams ---------------------------------------------------------------------------------------------------

    def _on_datagrams(self) -> None:
        now = time.monotonic()
        for address in self._socket.refusals():
            self.link.receive_refusal(address, now)
        self._receive(self._socket, now)

    def _on_group(self) -> None:
        if self._group is not None:
            self._receive(self._group, time.monotonic())

    def _receive(self, source: LinkSocket | GroupSocket, now: float) -> None:
        for _ in range(DRAIN):
            received = source.poll()
            if received is None:
                break
            self.link.receive_datagram(*received, now)
        self.flush()

    def _on_timer(self) -> None:
        self.link.handle_timer(time.monotonic())
        self.flush()

    def flush(self) -> None:
        """Pass on what the link wants to send and say."""
        self.link.handle_timer(time.monotonic())
        while events := self.link.events():
            for event in events:
                self._on_link_event(event)
        for datagram, address in self.link.datagrams_to_send():
            if address is None:
                self._multicast(datagram)
            elif not self._socket.sendto(datagram, address):
                self.counters["refused"] += 1
        self._alarm.by(self.link.next_timer())

    def _multicast(self, datagram: bytes) -> None:
        for interface in self.interfaces:
            for address in interface.addresses if interface.up else ():
                if not self._socket.multicast(datagram, interface.index, address):
                    self.counters["multicast refused"] += 1

    def _on_link_event(self, event: LinkEvent) -> None:
        if isinstance(event, PeerFound):
            self._watch_process(event)
        elif isinstance(event, PeerLost):
            descriptor = self._watches.pop(event.id, None)
            if descriptor is not None:
                self._loop.unwatch(descriptor)
                os.close(descriptor)
        self._on_event(event)

    # -- processes ---------------------------------------------------------------------------------------------------

    def _watch_process(self, peer: PeerFound) -> None:
        """Have the kernel tell of the end of a process that is of our own system (pidfd_open(2))."""
        entry = peer.entry
        if not entry.machine or entry.machine != self._entry.machine or entry.pid == os.getpid():
            return
        try:
            descriptor = process.open_watch(entry.pid, entry.started)
        except ProcessLookupError:
            self._loop.call(self._died, peer.id)
            return
        if descriptor is not None:
            self._watches[peer.id] = descriptor
            self.link.watch(peer.id, True)
            self._loop.watch(descriptor, lambda: self._died(peer.id))

    def _died(self, id: int) -> None:
        self.link.process_died(id, time.monotonic())
        self.flush()


def _only_loopback(interfaces: tuple[str, ...]) -> bool:
    return bool(interfaces) and all(name == "lo" or name.startswith("127.") for name in interfaces)


def _describe(interface: Interface) -> str:
    return f"{interface.name} {'/'.join(interface.addresses) or 'without address'}"
