"""What the doctor finds out about this host, its network and other hosts, and what it says about it. Values only.

Knows neither how a fact is found out (doctor/) nor what it means (doctor/judge/). In all facts None stands for "this
could not be found out here".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal

from .addresses import Address

__all__ = [
    "LEVELS",
    "Diagnosis",
    "Finding",
    "HostFacts",
    "InterfaceFacts",
    "Level",
    "NameFacts",
    "PeerFacts",
    "Places",
    "SettingsFacts",
    "Trial",
]

Level = Literal["problem", "warning", "note", "ok"]
LEVELS: tuple[Level, ...] = ("problem", "warning", "note", "ok")
"""From bad to good."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the doctor found, in plain words.

    Attributes:
        level: ``problem`` (something does not work), ``warning`` (it works badly, or will not always), ``note``
            (worth knowing) or ``ok``.
        code: the name of this kind of finding, for programs; it does not change: ``multicast-not-heard``.
        about: the interface, host or variable that the finding is about.
        text: what was found, in one sentence or a few.
        advice: what to do, one line each; commands are meant to be copied.
        data: the numbers behind the text.
    """

    level: Level
    code: str
    about: str
    text: str
    advice: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings, the worst first."""

    findings: tuple[Finding, ...]

    @property
    def level(self) -> Level:
        """The worst level among the findings; ``ok`` if there are none."""
        return next((level for level in LEVELS if any(each.level == level for each in self.findings)), "ok")


@dataclass(frozen=True, slots=True)
class Places:
    """Where programs meet: the groups and ports that the doctor's sentences name.

    Attributes:
        group: multicast group and port at which nodes greet.
        mdns: multicast group and port of mDNS.
        links: the usual link ports; the link of a node takes the first free one.
    """

    group: Address
    mdns: Address
    links: Sequence[int]


@dataclass(frozen=True, slots=True)
class Trial:
    """How an attempt ended.

    Attributes:
        result: ``works``; ``not joined``, ``not sent`` or ``not heard`` for a multicast; ``taken`` for a port that
            another program has and does not share; ``refused`` for anything else that the system did not allow; None
            if there was no attempt.
        reason: what the system said.
        shared: whether other programs have the port too.
    """

    result: Literal["works", "not joined", "not sent", "not heard", "taken", "refused"] | None = None
    reason: str = ""
    shared: bool = False


@dataclass(frozen=True, slots=True)
class InterfaceFacts:
    """A network interface of this host.

    Attributes:
        name: ``eth0``.
        networks: its IPv4 addresses with their prefix lengths: ``10.77.0.1/24``.
        mtu: bytes of the largest IP packet that it takes.
        enabled: whether it is switched on.
        up: whether it is switched on and its link works.
        loopback: whether it leads to this host only.
        multicast: whether the system marks it as able to multicast.
        used: whether the settings let ipcpy use it.
        group: how a multicast to the group of the greetings went.
        mdns: how a multicast to the group of mDNS went.
    """

    name: str
    networks: tuple[str, ...]
    _: KW_ONLY
    mtu: int
    enabled: bool
    up: bool
    loopback: bool
    multicast: bool
    used: bool = True
    group: Trial = Trial()
    mdns: Trial = Trial()


@dataclass(frozen=True, slots=True)
class HostFacts:
    """This host.

    Attributes:
        system: the name of the operating system: ``Linux``.
        interfaces: its network interfaces.
        group_port: whether the port at which nodes greet can be had.
        mdns_port: whether the port of mDNS can be had.
        links_taken: how many of the usual link ports are in use.
        rmem_max: bytes of receive buffer that the system allows a socket.
        buffer: bytes of kernel memory that a subscriber's socket really got.
        gso: whether the kernel cuts large sends into datagrams.
        gro: whether the kernel merges datagrams on receipt.
        files: soft and hard limit of open descriptors; -1 for no limit.
        zeroconf: the version of python-zeroconf that is installed.
        zeroconf_error: why python-zeroconf cannot be imported; empty if it can.
        compiled: whether the compiled part of ipcpy is used.
        why_pure: why it is not, as half a sentence.
        crc: the library whose CRC-32 is used.
    """

    system: str
    _: KW_ONLY
    interfaces: tuple[InterfaceFacts, ...] = ()
    group_port: Trial = Trial()
    mdns_port: Trial = Trial()
    links_taken: int | None = None
    rmem_max: int | None = None
    buffer: int | None = None
    gso: bool | None = None
    gro: bool | None = None
    files: tuple[int, int] | None = None
    zeroconf: str | None = None
    zeroconf_error: str = ""
    compiled: bool | None = None
    why_pure: str = ""
    crc: str = "zlib"


@dataclass(frozen=True, slots=True)
class NameFacts:
    """The name of a static peer, or of a host that the user asked for.

    Attributes:
        host: the name, or an address.
        port: the port beside the name; None where the user gave none.
        addresses: what the name stands for; empty for a name that has no address, None while the look-up still runs.
    """

    host: str
    port: int | None
    addresses: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class SettingsFacts:
    """The settings as they are understood.

    Attributes:
        domain: the domain of the nodes that are looked for.
        interfaces: names or addresses of the interfaces to use; empty for all of them.
        peers: the static peers.
        error: why no node can be made: what is wrong with the settings, or what the system refuses; empty if one can.
        unknown: variables that begin with IPCPY_ and mean nothing.
        missing: interfaces that the settings name and this host does not have.
        log: the level of ``IPCPY_LOG``.
        namespace: what topics are put under.
        remap: what topics are called instead, as ``IPCPY_REMAP`` has it.
        keys: the fingerprints of its keys; the first one seals.
    """

    domain: str = "default"
    interfaces: tuple[str, ...] = ()
    peers: tuple[NameFacts, ...] = ()
    _: KW_ONLY
    error: str = ""
    unknown: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    log: str = ""
    namespace: str = ""
    remap: str = ""
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PeerFacts:
    """Another host, and the way there: first what is known before anybody asks, then what the answers told.

    Attributes:
        name: the name that the user asked for, or the node's name and its host's.
        address: the IPv4 address of the host.
        ports: the link ports at which its node may be; only the right one, once it has answered.
        asked_for: whether the user named the host.
        local: whether it is this host.
        static: whether the settings name the host, so that its node is found without multicast.
        mtu: of our interface on the way there.
        ours: our address on the way there; empty where it is not known.
        version: the version of ipcpy that its node runs; empty where it is not known.
        state: ``alive``, or ``unresponsive`` for a node that fell silent.
        answered: whether its node answered a question.
        greeted: whether its node answered a greeting sent to it; one that does so and answers no question is older.
        refused: the ports at which its host says that nobody listens.
        alive: whether its host says that nobody listens at a port where indeed nobody does.
        unreachable: whether the network says that there is no way to it.
        forbidden: whether this system did not let a datagram out to it.
        rtt: seconds that each round trip took.
        clock: seconds that its wall clock is ahead of ours.
        clock_error: seconds that ``clock`` may be wrong by, either way.
        out: whether a datagram that no firewall can take for an answer passes from here to its node; None if its node
            has no second port, with which that can be tested.
        in_: whether such a datagram passes from its node to here; None likewise.
        usual_only: whether its answers come to the usual link ports of this host, and to no other port.
        asked: questions that were asked one after the other to see how many get lost.
        lost: how many of those had no answer.
        sizes: bytes of a datagram -> whether one arrived there, whether one of that size came back.
        heard: whether greetings by multicast from there arrive here.
        hears: whether its node answered a greeting by multicast from here.
        deaf: whether our interface on the way there sends multicasts, but hears none, not even its own.
    """

    name: str
    address: str
    _: KW_ONLY
    ports: tuple[int, ...] = ()
    asked_for: bool = False
    local: bool = False
    static: bool = False
    mtu: int = 1_500
    ours: str = ""
    version: str = ""
    state: str = "alive"
    answered: bool = False
    greeted: bool = False
    refused: frozenset[int] = frozenset()
    alive: bool = False
    unreachable: bool = False
    forbidden: bool = False
    rtt: tuple[float, ...] = ()
    clock: float | None = None
    clock_error: float = 0.0
    out: bool | None = None
    in_: bool | None = None
    usual_only: bool = False
    asked: int = 0
    lost: int = 0
    sizes: Mapping[int, tuple[bool, bool]] = field(default_factory=dict)
    heard: bool | None = None
    hears: bool | None = None
    deaf: bool = False

    @property
    def port(self) -> int | None:
        """The link port of its node; None while there are several at which it may be."""
        return self.ports[0] if len(self.ports) == 1 else None
