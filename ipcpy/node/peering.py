"""Keeps a node in touch with the others: the link, its sockets, rendezvous, and watches on networks and processes.

Joins; the link itself is protocol/link.py. Everything but ``open`` runs in the I/O thread.
"""

from __future__ import annotations

import logging
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..addresses import LOOPBACK
from ..protocol.link.echo import is_echo
from ..protocol.link.entries import NodeEntry, pack_entry
from ..protocol.link.greeting import domain_number
from ..protocol.link.link import Link, LinkEvent, PeerFound, PeerLost
from ..settings import LINK_PORTS, Settings
from ..transport.interfaces import Interface, InterfaceWatch, interface_to, list_interfaces
from ..transport.sockets import Sockets
from ..transport.udp import GROUP_PORT, GroupSocket, LinkSocket
from .echoes import Echoes
from .loop import Alarm, Loop
from .watching import Names, Processes

if TYPE_CHECKING:
    from ..discovery.mdns import Mdns
    from ..discovery.records import Advert

log = logging.getLogger(__name__)

SETTLE = 0.05  # seconds between the first word of a change of the network and our looking at it
LOOK_AGAIN = 2.0  # seconds between two looks where the system does not tell of changes
MDNS_AFTER = 0.3  # seconds until zeroconf is imported, 55 ms of computing: those who find each other at once are busy
MDNS_LATER = 0.4  # seconds that who has found others waits longer, at most
MDNS_LATER_EACH = 0.1  # seconds more for each of them, again and again while there are ever more
MDNS_AT_LAST = 20.0  # seconds after which mDNS starts even if others are still being found
TELL_PAUSE = 0.0005  # seconds between two tellings of changes for each peer: 50 ms where there are 100
REST = 0.0008  # seconds for each peer that the sockets rest after only what is known already came: to wake up costs
REST_MAX = 0.04  # more than to read, so what comes meanwhile is read together; less than half of Timing.verify
DRAIN = 256  # datagrams that are read before others have their turn


class Peering:
    """The link of a node, alive.

    Args:
        on_event: called with every event of the link.
        on_network: called when the network changed, with whether the interfaces are others, not routes alone.
    """

    def __init__(
        self,
        loop: Loop,
        settings: Settings,
        node_id: int,
        entry: NodeEntry,
        on_event: Callable[[LinkEvent], None],
        on_network: Callable[[bool], None],
        sockets: Sockets,
    ) -> None:
        self._loop = loop
        self._settings = settings
        self._entry = entry
        self._on_event = on_event
        self._on_network_changed = on_network
        self._sockets = sockets
        self.link = Link(node_id, pack_entry(entry), settings.domain, os.urandom(32))
        self.link.host_port = GROUP_PORT  # only the group is bound to it
        self.only_loopback = settings.only_loopback
        self._echoes = Echoes(
            loop,
            node_id,
            domain_number(settings.domain),
            lambda answer, address: self._socket.sendto(answer, address),
            lambda: self._open_socket(()),
            self.link.dropped,
        )
        self.interfaces: tuple[Interface, ...] = ()
        self.counters: Counter[str] = Counter()
        self.sent = 0  # datagrams of the link; one by multicast goes out on each interface
        self._alarm = Alarm(loop, self._on_timer)
        self._look_alarm = Alarm(loop, self._look)
        self._tell_alarm = Alarm(loop, self._tell)
        self._tell_from = 0.0
        self._processes = Processes(loop, entry, self._died)
        self._names = Names(loop, self._on_addresses)
        self._mdns: Mdns | None = None
        self._mdns_waits_for = 0  # peers known when it was put off
        self._started = 0.0
        self._resting = False
        self._topics: tuple[str, ...] = ()
        self._closed = False

    # -- opening and closing -----------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the sockets; in any thread, before the loop runs.

        Raises:
            TransportError: if there is no UDP port to be had.
        """
        self._socket = self._open_socket(LINK_PORTS)
        try:
            self._group: GroupSocket | None = GroupSocket()
        except OSError as error:
            log.warning("no greeting by multicast: %s", error)
            self._group = None
        self._network = None if self.only_loopback else InterfaceWatch.open()
        self._watch()
        if self._network is not None:
            self._loop.watch(self._network, self._on_network)

    def _open_socket(self, ports: Iterable[int]) -> LinkSocket:
        return self._sockets.link(LOOPBACK if self.only_loopback else "", ports)

    @property
    def port(self) -> int:
        """The port of the link."""
        return self._socket.port

    def start(self) -> None:
        """Begin to look for others."""
        self._look()
        self.flush()
        self._started = time.monotonic()
        self._loop.call_at(self._started + MDNS_AFTER, self._plan_mdns)
        for peer in self._settings.peers:
            self._names.add(peer.host, peer.port)

    def close(self) -> None:
        """Say goodbye and close everything."""
        self._closed = True
        self._names.close()
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
        self._echoes.close()
        for file in (self._socket, self._group, self._network):
            if file is not None:
                self._loop.unwatch(file)
                file.close()
        self._processes.close()

    # -- rendezvous --------------------------------------------------------------------------------------------------

    def _plan_mdns(self) -> None:
        """Start mDNS: now if nobody was found without it; else it is but an advert, which comes when there is time."""
        now, found = time.monotonic(), len(self.link.peers)
        if found <= self._mdns_waits_for or now > self._started + MDNS_AT_LAST:
            self._start_mdns()
        else:
            self._mdns_waits_for = found
            later = random.uniform(0.5, 1.0) * (MDNS_LATER + MDNS_LATER_EACH * found)
            self._loop.call_at(now + later, self._plan_mdns)

    def _start_mdns(self) -> None:
        if not self._closed and self._sockets.mdns:
            from ..discovery.mdns import Mdns

            self._mdns = Mdns(self._advert(), self._addresses(), self._on_mdns, known=self._known_instances)
            self._mdns.start()

    def _advert(self) -> Advert:
        from ..discovery.records import Advert

        entry = self._entry
        return Advert(
            f"{self.link.id:016x}", entry.name, entry.host, entry.domain, self.port, entry.version, self._topics
        )

    def changed(self, topics: tuple[str, ...]) -> None:
        """Send what changed in the table, and show these topics in mDNS.

        At once, but many changes in a row are sent together where there are many to be told.
        """
        self._topics = topics
        self._tell_alarm.by(max(time.monotonic(), self._tell_from))

    def _tell(self) -> None:
        if self._closed:
            return
        now = time.monotonic()
        self._tell_from = now + TELL_PAUSE * len(self.link.peers)
        self.link.changed(now)
        self.flush()
        if self._mdns is not None:
            self._mdns.update(self._advert())

    def _addresses(self) -> list[str]:
        usable = [interface for interface in self.interfaces if interface.up and interface.multicast]
        return [interface.addresses[0] for interface in usable if interface.addresses]

    def _known_instances(self) -> list[str]:
        from ..discovery.records import instance_name

        peers = list(self.link.peers.values())
        return [instance_name(peer.entry.name, f"{peer.id:016x}") for peer in peers if peer.entry is not None]

    def _on_mdns(self, address: str, port: int, node_id: str) -> None:
        self._loop.call(self._hint, address, port, int(node_id, 16))

    def _hint(self, address: str, port: int, node_id: int) -> None:
        if node_id not in self.link.peers:
            self.link.hint((address, port), time.monotonic())
            self.flush()

    def _on_addresses(self, port: int | None, addresses: list[str], before: list[str]) -> None:
        now = time.monotonic()
        for each in (port,) if port else LINK_PORTS:
            for address in before:
                self.link.forget((address, each))
            for address in addresses:
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
        else:
            self._on_network_changed(False)
        if self._network is None and not self.only_loopback:
            self._look_alarm.by(time.monotonic() + LOOK_AGAIN)

    def _rejoin(self) -> None:
        if self._group is not None:
            self._group.rejoin(interface.index for interface in self.interfaces if interface.up)
        if self._mdns is not None:
            self._mdns.set_interfaces(self._addresses())
        self.link.greet(time.monotonic())
        self.flush()
        self._names.again()
        self._on_network_changed(True)

    def interface_to(self, address: str) -> Interface | None:
        """Give the interface on whose network a peer's address is; None behind a router."""
        return interface_to(self.interfaces, address)

    def mtu_to(self, address: str) -> int:
        """Give the MTU of the interface that a peer's address is on, as far as can be told."""
        interface = self.interface_to(address)
        if interface is not None:
            return interface.mtu
        return min([i.mtu for i in self.interfaces if i.up and not i.loopback], default=1_500)

    # -- datagrams ---------------------------------------------------------------------------------------------------

    def _on_datagrams(self) -> None:
        now = time.monotonic()
        count, news = self._receive(self._socket, now)
        if 0 < count < DRAIN:
            self._rest_unless(news)
            return  # what failed, if anything did, is why we are called again
        self._receive_failures(now)

    def _receive_failures(self, now: float) -> bool:
        """Take what the network said of what was sent; tell whether that was anything."""
        failures = self._socket.failures()
        for address, refused in failures:
            (self.link.receive_refusal if refused else self.link.receive_unreachable)(address, now)
        if failures:
            self.flush()
        return bool(failures)

    def _on_group(self) -> None:
        if self._group is not None:
            self._rest_unless(self._receive(self._group, time.monotonic())[1])

    def _rest_unless(self, news: bool) -> None:
        if not news and not self._resting:
            self._resting = True
            for source in (self._socket, self._group):
                self._loop.unwatch(source)
            self._rest()

    def _rest(self) -> None:
        self._loop.call_at(time.monotonic() + min(REST * len(self.link.peers), REST_MAX), self._after_rest)

    def _after_rest(self) -> None:
        """Take what came while the sockets rested, and let them rest on if that was nothing new."""
        if self._closed:
            return
        self._resting = False
        try:
            now = time.monotonic()
            count, news = self._receive(self._socket, now)
            greetings, new = self._receive(self._group, now) if self._group is not None else (0, False)
            failed = self._receive_failures(now)  # nobody calls for them while something comes in every rest
            self._resting = 0 < count + greetings < DRAIN and not (news or new or failed)
        finally:
            self._rest() if self._resting else self._watch()

    def _watch(self) -> None:
        self._loop.watch(self._socket, self._on_datagrams)
        if self._group is not None:
            self._loop.watch(self._group, self._on_group)

    def doubt(self, id: int) -> None:
        """Learn that a host said that nobody listens at a port of a peer's other than that of its link."""
        self.link.doubt(id, time.monotonic())
        self.flush()

    def _receive(self, source: LinkSocket | GroupSocket, now: float) -> tuple[int, bool]:
        """Take what has come; give how many datagrams, and whether any said something new."""
        count, news = 0, False
        while count < DRAIN and (received := source.poll()) is not None:
            count += 1
            if source is self._socket and is_echo(received[0]):
                self._echoes.receive(*received)
                news = True
            else:
                news |= self.link.receive_datagram(*received, time.monotonic())
        if news:
            self.flush()
        return count, news

    def _on_timer(self) -> None:
        self.link.handle_timer(time.monotonic())
        self.flush()

    def flush(self) -> None:
        """Pass on what the link wants to send and say."""
        while events := self.link.events():
            for event in events:
                self._on_link_event(event)
        for datagram, address in self.link.datagrams_to_send():
            self.sent += 1
            if address is None:
                self._multicast(datagram)
            elif not self._socket.sendto(datagram, address):
                self.counters["refused"] += 1
                self.link.receive_unreachable(address, time.monotonic())
        self._alarm.by(self.link.next_timer())

    def _multicast(self, datagram: bytes) -> None:
        for interface in self.interfaces:
            for address in interface.addresses if interface.up else ():
                if not self._socket.multicast(datagram, interface.index, address):
                    self.counters["multicast refused"] += 1

    def _on_link_event(self, event: LinkEvent) -> None:
        if isinstance(event, PeerFound):
            self.link.watch(event.id, self._processes.add(event.id, event.entry))
        elif isinstance(event, PeerLost):
            self._processes.remove(event.id)
        self._on_event(event)

    def _died(self, id: int) -> None:
        self.link.process_died(id, time.monotonic())
        self.flush()


def _describe(interface: Interface) -> str:
    return f"{interface.name} {'/'.join(interface.addresses) or 'without address'}"
