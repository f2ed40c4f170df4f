"""Finds out what the network does to ipcpy, and says so: facts of settings, this host and others, then findings.

Joins; what facts mean is said in diagnosis/.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import replace

from ..addresses import LOOPBACK, is_loopback
from ..discovery.check import zeroconf_error, zeroconf_version
from ..errors import ArgumentError, IpcError
from ..facts import LEVELS, Diagnosis, Finding, HostFacts, InterfaceFacts, NameFacts, PeerFacts, SettingsFacts, Trial
from ..graph import NodeInfo
from ..node.node import Node
from ..node.shared import node_for
from ..protocol.link.greeting import domain_number
from ..settings import DOMAIN, LINK_PORTS, Settings, StaticPeer, from_environment, parse_peer
from ..transport import probes
from ..transport.interfaces import Interface, interface_to, list_interfaces, list_links
from ..transport.udp import GROUP, GROUP_PORT, resolve
from .judge.host import judge_host
from .judge.interfaces import judge_interfaces
from .judge.peers import judge_peer
from .judge.settings import VARIABLES, judge_name, judge_settings, judge_strangers
from .multicast import MDNS_GROUP, MDNS_PORT, Hearing
from .ways import Target, probe

__all__ = ["diagnose"]

FIRST = 0.5  # seconds until who is there has answered, and others are asked
RESOLVE = 1.0  # seconds that the look-up of names may take
WHOLE = 2.1  # seconds in which every node greets at least once, if there are not too many of them
MANY = 30  # nodes; more greet less often
MOST = 64  # hosts that are asked


def diagnose(
    hosts: str | Iterable[str] = (),
    *,
    timeout: float = 2.2,
    domain: str | None = None,
    interfaces: str | Iterable[str] | None = None,
    peers: str | Iterable[str] | None = None,
) -> Diagnosis:
    """Examine settings, interfaces, this host, and the way to every host with a node, in about three seconds.

    Nothing is published or subscribed. Greetings and questions go to the nodes of the domain, and to the hosts named.

    Args:
        hosts: ``host`` or ``host:port``, comma-separated or one each, to be asked whether they are found or not.
        timeout: seconds to listen for others, 0.5 if less is given; below 2.1 it cannot be told whose multicasts do not
            come.
        domain: as of ``Node``, like ``interfaces`` and ``peers``.

    Raises:
        ArgumentError: (a ValueError) one of the hosts is no ``host`` or ``host:port``.
    """
    asked = [parse_peer(host.strip()) for host in (hosts.split(",") if isinstance(hosts, str) else hosts)]
    return _Examination(asked, timeout, domain, interfaces, peers).run()


class _Examination:
    """One examination."""

    def __init__(
        self,
        asked: list[StaticPeer],
        timeout: float,
        domain: str | None,
        interfaces: str | Iterable[str] | None,
        peers: str | Iterable[str] | None,
    ) -> None:
        self._start = time.monotonic()
        self._timeout = timeout
        self._error = ""
        try:
            self._settings = from_environment(domain, interfaces, peers)
        except ArgumentError as error:
            self._error = str(error)
            self._settings = Settings(interfaces=from_environment(DOMAIN, interfaces, ()).interfaces)
        self._only = ("lo", LOOPBACK) if self._settings.only_loopback else self._settings.interfaces
        self._interfaces = list_interfaces(self._only)
        self._names = _Names([*self._settings.peers, *asked])
        self._asked = asked

    def run(self) -> Diagnosis:
        """Examine everything."""
        with ExitStack() as stack:
            ports = self._ports()  # before our own node takes one
            node = self._node(stack)
            hearing = stack.enter_context(closing(Hearing(self._interfaces, self._settings.domain)))
            hearing.run(self._start + FIRST)
            self._names.wait(self._start + RESOLVE)
            peers = self._probe(self._targets(node, hearing))
            host = self._host(ports)
            hearing.run(self._start + self._timeout)
            known = {each.address for each in peers}
            peers += self._probe([each for each in self._targets(node, hearing) if each.address not in known])
            if any(each.heard is False and each.hears for each in self._with_multicast(peers, hearing)):
                hearing.run(time.monotonic() + WHOLE)  # one greeting may have got lost
            trials = hearing.trials()
            host = replace(host, interfaces=tuple(self._interface(each, trials) for each in self._links()))
            return self._judge(host, self._with_multicast(peers, hearing), hearing)

    def _judge(self, host: HostFacts, peers: list[PeerFacts], hearing: Hearing) -> Diagnosis:
        domain = self._settings.domain
        names = {domain_number(DOMAIN): DOMAIN}
        strangers = sorted({(one.address[0], names.get(one.domain, "")) for one in hearing.strangers()})
        found: list[Finding] = [*judge_settings(self._settings_facts(host))]
        for peer in self._asked:
            found += judge_name(self._names.of(peer), "the command")
        found += judge_interfaces(host.interfaces, only_loopback=self._settings.only_loopback)
        found += judge_host(host)
        found += judge_strangers(strangers, domain)
        for each in peers:
            found += judge_peer(each)
        if not peers:
            text = f"No other program was found in domain {domain!r} within {self._timeout:g} s."
            found.append(Finding("note", "nobody", "peers", text, ("Is one running? Then: ipcpy doctor HOST",)))
        return Diagnosis(tuple(sorted(found, key=lambda each: LEVELS.index(each.level))))

    # -- this host ---------------------------------------------------------------------------------------------------

    def _ports(self) -> HostFacts:
        host = LOOPBACK if self._settings.only_loopback else ""
        return HostFacts(
            platform.system() or "this system",
            group_port=probes.try_port(GROUP, GROUP_PORT),
            mdns_port=probes.try_port(MDNS_GROUP, MDNS_PORT),
            links_taken=probes.ports_taken(host, LINK_PORTS),
            links=len(LINK_PORTS),
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
        )

    def _node(self, stack: ExitStack) -> Node | None:
        if self._error:
            return None
        settings = self._settings
        peers = [each.host if each.port is None else f"{each.host}:{each.port}" for each in settings.peers]
        try:
            node = Node("ipcpy-doctor", domain=settings.domain, interfaces=settings.interfaces, peers=peers)
        except IpcError as error:
            self._error = str(error)
            return None
        return stack.enter_context(node)

    def _links(self) -> list[Interface]:
        chosen = {each.index: each for each in self._interfaces}
        return [*self._interfaces, *(each for each in list_links() if each.index not in chosen)]

    def _interface(self, each: Interface, trials: dict[int, tuple[Trial, Trial]]) -> InterfaceFacts:
        used = each in self._interfaces or not self._only
        facts = InterfaceFacts(
            each.name, each.networks, each.mtu, each.enabled, each.up, each.loopback, each.multicast, used
        )
        if each.index not in trials or each not in self._interfaces:
            return facts
        group, mdns = trials[each.index]
        return replace(facts, group=group, mdns=mdns)

    def _settings_facts(self, host: HostFacts) -> SettingsFacts:
        settings = self._settings
        there = {name for each in host.interfaces for name in (each.name, *(n.split("/")[0] for n in each.networks))}
        return SettingsFacts(
            settings.domain,
            settings.interfaces,
            tuple(map(self._names.of, settings.peers)),
            self._error,
            tuple(sorted(name for name in os.environ if name.startswith("IPCPY_") and name not in VARIABLES)),
            tuple(name for name in settings.interfaces if name not in there and name != "lo"),
            os.environ.get("IPCPY_LOG", ""),
        )

    # -- other hosts -------------------------------------------------------------------------------------------------

    def _targets(self, node: Node | None, hearing: Hearing) -> list[Target]:
        """Give one target for each address that has a node or was named."""
        found: dict[str, Target] = {}
        for peer in self._asked:
            for address in self._names.of(peer).addresses or ():
                ports = (peer.port,) if peer.port else tuple(LINK_PORTS)
                found.setdefault(address, self._target(peer.host, address, ports, asked_for=True))
        for info in node.nodes() if node is not None else ():
            if node is not None and info.id != node.id and info.address is not None:
                self._add(found, info)
        self._leave_out_own(found.values(), node)
        own = int(node.id, 16) if node is not None else 0
        for one in sorted(hearing.fellows()):
            if one.id != own and one.address[0] not in self._own_addresses():
                host, port = one.address
                found.setdefault(host, self._target(host, host, (port,)))
        return list(found.values())[:MOST]

    def _leave_out_own(self, targets: Iterable[Target], node: Node | None) -> None:
        """Take the port of our own node for one where no program listens: asked about this host, it would answer."""
        if node is not None:
            for target in targets:
                if target.local:
                    target.refused.add(node_for(node).link_port)

    def _add(self, found: dict[str, Target], info: NodeInfo) -> None:
        address, _, port = (info.address or "").rpartition(":")
        if address not in found:
            found[address] = self._target(f"{info.name} on {info.host}", address, (int(port),))
            found[address].version, found[address].state = info.version, info.state

    def _own_addresses(self) -> set[str]:
        return {address for each in self._interfaces for address in each.addresses}

    def _target(self, name: str, address: str, ports: tuple[int, ...], *, asked_for: bool = False) -> Target:
        local = is_loopback(address) or address in self._own_addresses()
        way = interface_to(self._interfaces, address)
        target = Target(name, address, ports, asked_for, local)
        if way is not None:
            target.mtu, target.ours = way.mtu, way.addresses[0]
        return target

    def _probe(self, targets: list[Target]) -> list[PeerFacts]:
        try:
            return probe(targets, self._settings.domain, only_loopback=self._settings.only_loopback) if targets else []
        except IpcError as error:
            self._error = self._error or str(error)
            return []

    def _with_multicast(self, peers: list[PeerFacts], hearing: Hearing) -> list[PeerFacts]:
        return [self._add_multicast(each, hearing) for each in peers]

    def _add_multicast(self, facts: PeerFacts, hearing: Hearing) -> PeerFacts:
        way = interface_to(self._interfaces, facts.address)
        if way is None:  # behind a router, where multicast does not go
            return facts
        deaf = hearing.trials().get(way.index, (Trial(), Trial()))[0].result == "not heard"
        fellows = hearing.fellows()
        places = {(facts.address, port) for port in facts.asked}
        heard = any(one.address in places for one in hearing.heard & fellows)
        hears = any(one.address in places for one in hearing.answered & fellows)
        long_enough = self._timeout >= WHOLE and len(fellows) <= MANY
        static = any(facts.address in (self._names.of(peer).addresses or ()) for peer in self._settings.peers)
        return replace(facts, heard=heard if heard or long_enough else None, hears=hears, static=static, deaf=deaf)


class _Names:
    """The addresses of names, looked up all at the same time, in threads that nobody waits for in the end."""

    def __init__(self, peers: Iterable[StaticPeer]) -> None:
        self._found: dict[str, tuple[str, ...]] = {}
        self._threads = [
            threading.Thread(target=self._look_up, args=(host,), name=f"ipcpy {host}", daemon=True)
            for host in {peer.host for peer in peers}
        ]
        for thread in self._threads:
            thread.start()

    def _look_up(self, host: str) -> None:
        self._found[host] = tuple(sorted(set(resolve(host))))

    def wait(self, until: float) -> None:
        """Wait for those still under way."""
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def of(self, peer: StaticPeer) -> NameFacts:
        """Give what is known of a name now."""
        return NameFacts(peer.host, peer.port, self._found.get(peer.host))
