"""Examines why nothing arrives: finds out facts of settings, this host and other hosts, and has them judged.

Joins what multicast.py and ways.py find out in their own time. Does not know what a fact means: judge/ says that.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import replace

from .. import fast
from ..addresses import LOOPBACK, Way, is_loopback
from ..checksum import LIBRARY
from ..discovery.check import zeroconf_error, zeroconf_version
from ..errors import ArgumentError, IpcError
from ..facts import (
    LEVELS,
    Diagnosis,
    Finding,
    HostFacts,
    InterfaceFacts,
    NameFacts,
    PeerFacts,
    Places,
    SettingsFacts,
    Trial,
)
from ..graph import NodeInfo
from ..node.node import Node
from ..node.shared import node_for
from ..protocol.link.greeting import domain_number
from ..settings import DOMAIN, LINK_PORTS, KeyChoice, Settings, StaticPeer, from_environment, parse_peer
from ..timeouts import seconds
from ..transport import probes
from ..transport.hostnames import resolve
from ..transport.interfaces import Interface, interface_to, list_interfaces, list_links
from ..transport.link import LinkSocket
from .judge.host import judge_host
from .judge.interfaces import judge_interfaces
from .judge.peers import judge_peer
from .judge.settings import VARIABLES, judge_keys, judge_name, judge_settings, judge_strangers
from .multicast import GREETING_GROUP, MDNS_GROUP, MulticastCheck
from .ways import probe

__all__ = ["diagnose"]

FIRST = 0.5  # seconds in which those who are there answer our greetings; then their hosts are asked
RESOLVE = 1.0  # seconds that the look-up of names may take
WHOLE = 2.1  # seconds in which every node greets at least once, if there are not too many of them
MANY = 30  # nodes; where there are more, each of them greets less often
MOST = 64  # hosts that are asked

PLACES = Places(GREETING_GROUP, MDNS_GROUP, LINK_PORTS)


def diagnose(
    hosts: str | Iterable[str] = (),
    *,
    timeout: float = 2.2,
    domain: str | None = None,
    interfaces: str | Iterable[str] | None = None,
    peers: str | Iterable[str] | None = None,
    key: KeyChoice = None,
) -> Diagnosis:
    """Examine settings, interfaces, this host, and the way to every host with a node, in about three seconds.

    Nothing is published or subscribed. Greetings and questions go to the nodes of the domain, and to the hosts named.
    Wrong settings are a finding, no error.

    Args:
        hosts: ``host`` or ``host:port``, comma-separated or one each, to be asked whether they are found or not.
        timeout: seconds to listen for others, 0.5 if less is given; below 2.1 it cannot be told whose multicasts do not
            come.
        domain: as of ``Node``, like ``interfaces``, ``peers`` and ``key``.

    Raises:
        ArgumentError: (a ValueError) one of the hosts is no ``host`` or ``host:port``, or timeout is no time.
    """
    listen = seconds(timeout)
    if listen is None:
        raise ArgumentError(f"timeout is a time in seconds that ends, got {timeout!r}")
    asked = [parse_peer(host.strip()) for host in (hosts.split(",") if isinstance(hosts, str) else hosts)]
    settings, error = _understand(domain, interfaces, peers, key)
    return _Examination(asked, settings, error, listen).run()


def _understand(
    domain: str | None, interfaces: str | Iterable[str] | None, peers: str | Iterable[str] | None, key: KeyChoice
) -> tuple[Settings, str]:
    """Read the settings. Where they are wrong, return what is left of them, and what is wrong."""
    try:
        return from_environment(domain, interfaces, peers, key=key), ""
    except ArgumentError as error:
        wrong = str(error)
    try:
        return Settings(interfaces=from_environment(DOMAIN, interfaces, (), key=False).interfaces), wrong
    except ArgumentError:
        return Settings(), wrong


class _Examination:
    """One examination.

    Args:
        asked: the hosts that the user named.
        settings: the settings as they are understood.
        error: what is wrong with the settings; empty if nothing is.
        timeout: seconds to listen for others.
    """

    def __init__(self, asked: list[StaticPeer], settings: Settings, error: str, timeout: float) -> None:
        self._start = time.monotonic()
        self._asked = asked
        self._settings = settings
        self._error = error
        self._timeout = timeout
        self._only = ("lo", LOOPBACK) if settings.only_loopback else settings.interfaces
        self._interfaces = list_interfaces(self._only)
        self._names = _LookUps(peer.host for peer in (*settings.peers, *asked))
        self._node: Node | None = None  # our own, which finds the others

    def run(self) -> Diagnosis:
        """Examine everything, and judge it."""
        with ExitStack() as stack:
            ports = self._ports()  # before our own node takes one
            self._start_node(stack)
            ring = None if self._node is None else node_for(self._node).keys.keyring
            multicast = stack.enter_context(closing(MulticastCheck(self._interfaces, self._settings.domain, ring)))
            multicast.run(self._start + FIRST)
            self._names.wait(self._start + RESOLVE)
            peers = self._probe(self._peers(multicast))
            host = self._host(ports)
            multicast.run(self._start + self._timeout)
            known = {each.address for each in peers}
            peers += self._probe([each for each in self._peers(multicast) if each.address not in known])
            if any(each.heard is False and each.hears for each in self._with_multicast(peers, multicast)):
                multicast.run(time.monotonic() + WHOLE)  # one greeting may have got lost
            host = replace(host, interfaces=self._interface_facts(multicast.trials()))
            return self._judge(host, self._with_multicast(peers, multicast), multicast)

    def _judge(self, host: HostFacts, peers: list[PeerFacts], multicast: MulticastCheck) -> Diagnosis:
        domain = self._settings.domain
        names = {domain_number(DOMAIN): DOMAIN}
        strangers = sorted({(one.address[0], names.get(one.domain, "")) for one in multicast.strangers()})
        found: list[Finding] = [*judge_settings(self._settings_facts(host))]
        for peer in self._asked:
            found += judge_name(self._name_facts(peer), "the command")
        found += judge_interfaces(host.interfaces, PLACES, only_loopback=self._settings.only_loopback)
        found += judge_host(host, PLACES)
        found += judge_strangers(strangers, domain)
        found += judge_keys(() if self._node is None else self._node.strangers())
        for each in peers:
            found += judge_peer(each, PLACES)
        if not peers:
            text = f"No other program was found in domain {domain!r} within {self._timeout:g} s."
            found.append(Finding("note", "nobody", "peers", text, ("Is one running? Then: ipcpy doctor HOST",)))
        return Diagnosis(tuple(sorted(found, key=lambda each: LEVELS.index(each.level))))

    # -- settings and this host ----------------------------------------------------------------------------------------

    def _settings_facts(self, host: HostFacts) -> SettingsFacts:
        settings = self._settings
        there = {name for each in host.interfaces for name in (each.name, *(n.split("/")[0] for n in each.networks))}
        return SettingsFacts(
            settings.domain,
            settings.interfaces,
            tuple(map(self._name_facts, settings.peers)),
            error=self._error,
            unknown=tuple(sorted(name for name in os.environ if name.startswith("IPCPY_") and name not in VARIABLES)),
            missing=tuple(name for name in settings.interfaces if name not in there and name != "lo"),
            log=os.environ.get("IPCPY_LOG", ""),
            namespace=settings.namespace,
            remap=", ".join(map(":=".join, settings.remap)),
            keys=() if self._node is None else self._node.keys,
        )

    def _name_facts(self, peer: StaticPeer) -> NameFacts:
        return NameFacts(peer.host, peer.port, self._names.addresses(peer.host))

    def _ports(self) -> HostFacts:
        host = LOOPBACK if self._settings.only_loopback else ""
        return HostFacts(
            platform.system() or "this system",
            group_port=probes.try_port(*PLACES.group),
            mdns_port=probes.try_port(*PLACES.mdns),
            links_taken=probes.ports_taken(host, PLACES.links),
        )

    def _host(self, ports: HostFacts) -> HostFacts:
        return replace(
            ports,
            rmem_max=probes.rmem_max(),
            buffer=probes.buffer_got(),
            gso=probes.has_gso(),
            gro=probes.has_gro(),
            files=probes.file_limits(),
            zeroconf=zeroconf_version(),
            zeroconf_error=zeroconf_error(),
            compiled=fast.COMPILED,
            why_pure=fast.why_pure,
            crc=LIBRARY,
        )

    def _start_node(self, stack: ExitStack) -> None:
        """Make our own node, where the settings and the system allow one."""
        if self._error:
            return
        settings = self._settings
        peers = [each.host if each.port is None else f"{each.host}:{each.port}" for each in settings.peers]
        key: KeyChoice = settings.key or False
        try:
            node = Node("ipcpy-doctor", domain=settings.domain, interfaces=settings.interfaces, peers=peers, key=key)
        except IpcError as error:
            self._error = str(error)
        else:
            self._node = stack.enter_context(node)

    def _interface_facts(self, trials: dict[int, tuple[Trial, Trial]]) -> tuple[InterfaceFacts, ...]:
        """Return the facts of all interfaces of this host, those first that ipcpy uses."""
        used, facts = {each.index for each in self._interfaces}, []
        for each in self._interfaces:
            group, mdns = trials.get(each.index, (Trial(), Trial()))
            facts.append(replace(_facts_of(each), group=group, mdns=mdns))
        others = [each for each in list_links() if each.index not in used]
        return (*facts, *(replace(_facts_of(each), used=not self._only) for each in others))

    # -- other hosts ---------------------------------------------------------------------------------------------------

    def _peers(self, multicast: MulticastCheck) -> list[PeerFacts]:
        """Return what is known so far of each address that has a node or was named."""
        found: dict[str, PeerFacts] = {}
        for peer in self._asked:
            ports = (peer.port,) if peer.port else tuple(LINK_PORTS)
            for address in self._names.addresses(peer.host) or ():
                found.setdefault(address, replace(self._peer(peer.host, address, ports), asked_for=True))
        for info in self._other_nodes():
            address, _, port = (info.address or "").rpartition(":")
            known = found.get(address) or self._peer(f"{info.name} on {info.host}", address, (int(port),))
            if not known.version and int(port) in known.ports:
                known = replace(known, version=info.version, state=info.state)
            found[address] = known
        own_id = 0 if self._node is None else int(self._node.id, 16)
        for one in sorted(multicast.fellows()):
            address, link = one.address
            if one.id != own_id and address not in self._own_addresses():
                found.setdefault(address, self._peer(address, address, (link,)))
        return list(found.values())[:MOST]

    def _other_nodes(self) -> list[NodeInfo]:
        """Return the nodes that ours has found: all but itself, which has no address."""
        return [info for info in self._node.nodes() if info.address is not None] if self._node is not None else []

    def _peer(self, name: str, address: str, ports: tuple[int, ...]) -> PeerFacts:
        """Return what is known of a host before it is asked.

        On this host our own node would answer, so its port is taken for one where no program listens.
        """
        facts, node = PeerFacts(name, address, ports=ports), self._node
        if is_loopback(address) or address in self._own_addresses():
            own = () if node is None else (node_for(node).link_port,)
            facts = replace(facts, local=True, refused=frozenset(own))
        way = interface_to(self._interfaces, address)
        return facts if way is None else replace(facts, mtu=way.mtu, ours=way.addresses[0])

    def _own_addresses(self) -> set[str]:
        return {address for each in self._interfaces for address in each.addresses}

    def _probe(self, hosts: list[PeerFacts]) -> list[PeerFacts]:
        if not hosts:
            return []
        try:
            only_loopback = self._settings.only_loopback
            link = LinkSocket if self._node is None else node_for(self._node).sockets.link
            return probe(hosts, self._settings.domain, only_loopback=only_loopback, way_to=self._way_to, link=link)
        except IpcError as error:
            self._error = self._error or str(error)
            return []

    def _way_to(self, address: str) -> Way | None:
        """Return how our node leaves for an address: so do our questions."""
        return None if self._node is None else node_for(self._node).way_to(self._node.id, address)

    def _with_multicast(self, peers: list[PeerFacts], multicast: MulticastCheck) -> list[PeerFacts]:
        return [self._add_multicast(each, multicast) for each in peers]

    def _add_multicast(self, facts: PeerFacts, multicast: MulticastCheck) -> PeerFacts:
        way = interface_to(self._interfaces, facts.address)
        if way is None:  # behind a router, where multicast does not go
            return facts
        deaf = multicast.trials().get(way.index, (Trial(), Trial()))[0].result == "not heard"
        fellows = multicast.fellows()
        places = {(facts.address, port) for port in facts.ports}
        heard = any(one.address in places for one in multicast.heard & fellows)
        hears = any(one.address in places for one in multicast.answered & fellows)
        long_enough = self._timeout >= WHOLE and len(fellows) <= MANY
        static = any(facts.address in (self._names.addresses(peer.host) or ()) for peer in self._settings.peers)
        return replace(facts, heard=heard if heard or long_enough else None, hears=hears, static=static, deaf=deaf)


def _facts_of(interface: Interface) -> InterfaceFacts:
    return InterfaceFacts(
        interface.name,
        interface.networks,
        mtu=interface.mtu,
        enabled=interface.enabled,
        up=interface.up,
        loopback=interface.loopback,
        multicast=interface.multicast,
    )


class _LookUps:
    """The addresses of names, looked up all at the same time, in threads that nobody waits for in the end."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self._found: dict[str, tuple[str, ...]] = {}
        self._threads = [
            threading.Thread(target=self._look_up, args=(host,), name=f"ipcpy {host}", daemon=True)
            for host in set(hosts)
        ]
        for thread in self._threads:
            thread.start()

    def _look_up(self, host: str) -> None:
        try:
            self._found[host] = tuple(sorted(set(resolve(host))))
        except UnicodeError:  # no name at all: "a..b", or one that is too long
            self._found[host] = ()

    def wait(self, until: float) -> None:
        """Wait for the look-ups still under way, until a time (``time.monotonic``)."""
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def addresses(self, host: str) -> tuple[str, ...] | None:
        """Return the addresses of a name; None while its look-up is under way."""
        return self._found.get(host)
