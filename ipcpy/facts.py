"""What was found out about this host, its network and other hosts. Values only; what they mean is said in diagnosis/.

None stands for "could not be found out here" everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Diagnosis", "Finding", "HostFacts", "InterfaceFacts", "NameFacts", "PeerFacts", "SettingsFacts", "Trial"]

Level = Literal["problem", "warning", "note", "ok"]
LEVELS: tuple[Level, ...] = ("problem", "warning", "note", "ok")
"""From bad to good."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was found, in plain words.

    Attributes:
        level: ``problem`` (something does not work), ``warning`` (it works badly, or will not always), ``note``
            (worth knowing) or ``ok``.
        code: a short name of the kind of finding, that does not change: ``multicast-not-heard``.
        about: an interface, a host, a variable: what it was found at.
        text: what was found, one sentence or a few.
        advice: what to do, one line each; commands are meant to be copied.
        data: numbers behind it.
    """

    level: Level
    code: str
    about: str
    text: str
    advice: tuple[str, ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that was found, what is bad first."""

    findings: tuple[Finding, ...]

    @property
    def level(self) -> Level:
        """The worst level there is."""
        return next((level for level in LEVELS if any(each.level == level for each in self.findings)), "ok")


@dataclass(frozen=True, slots=True)
class Trial:
    """How an attempt ended.

    Attributes:
        result: ``works``; ``not joined``, ``not sent`` or ``not heard`` for a multicast; ``taken`` for a port that
            another program has and does not share; ``refused`` for anything else the system did not allow; None if
            there was no attempt.
        reason: what the system said.
        shared: whether other programs have the port too.
    """

    result: Literal["works", "not joined", "not sent", "not heard", "taken", "refused"] | None = None
    reason: str = ""
    shared: bool = False


@dataclass(frozen=True, slots=True)
class InterfaceFacts:
    """A network interface of this host; used: whether the settings have ipcpy use it."""

    name: str
    networks: tuple[str, ...]
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
        group_port: of the group by which nodes greet.
        mdns_port: 5353.
        links_taken: how many of the usual link ports are in use.
        links: how many there are.
        rmem_max: bytes of receive buffer that the system allows a socket.
        buffer: bytes of kernel memory that a subscriber's socket really got.
        gso: whether the system cuts large sends into datagrams.
        gro: whether it merges datagrams on receipt.
        files: soft and hard limit of open descriptors.
        zeroconf: its version.
        zeroconf_error: why it cannot be imported.
    """

    system: str
    interfaces: tuple[InterfaceFacts, ...] = ()
    group_port: Trial = Trial()
    mdns_port: Trial = Trial()
    links_taken: int | None = None
    links: int = 10
    rmem_max: int | None = None
    buffer: int | None = None
    gso: bool | None = None
    gro: bool | None = None
    files: tuple[int, int] | None = None
    zeroconf: str | None = None
    zeroconf_error: str = ""


@dataclass(frozen=True, slots=True)
class NameFacts:
    """A static peer or a host that was asked for: its addresses, None while the look-up was still under way."""

    host: str
    port: int | None
    addresses: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class SettingsFacts:
    """The settings as they are understood.

    Attributes:
        error: what is wrong with them, so that no node can be made; or why the system allows none.
        unknown: variables that begin with IPCPY_ and mean nothing.
        missing: interfaces that were asked for and are not there.
        log: the level of ``IPCPY_LOG``.
    """

    domain: str = "default"
    interfaces: tuple[str, ...] = ()
    peers: tuple[NameFacts, ...] = ()
    error: str = ""
    unknown: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    log: str = ""


@dataclass(frozen=True, slots=True)
class PeerFacts:
    """What was found out about the way to another node.

    Attributes:
        name: as it was asked for, or the node's and its host's name.
        asked_for: whether the user named it.
        local: whether it is on this host.
        answered: it answered the questions.
        greeted: it answered a greeting at least; then it may be an older version.
        heard: its greetings by multicast were heard here.
        hears: it answered a greeting by multicast from here.
        static: the settings name it, so that it is found without multicast.
        refused: the ports at which its host says that nobody listens.
        asked: the ports that were asked.
        alive: its host says that nobody listens where indeed nobody does.
        unreachable: the network says that there is no way.
        forbidden: this system would not let a datagram out.
        rtt: s, of each round trip.
        clock: s that its wall clock is ahead of ours, with ``clock_error`` either way.
        out: whether a datagram came to a port of it to which none had come before; None if it has no such port.
        in_: whether one from there comes to such a port of ours.
        mtu: of our interface on the way there.
        ours: our address there, as far as it is known.
        deaf: the interface that leads there sends, but hears nothing, not even itself.
        sizes: bytes of a datagram -> whether it arrived there, whether one like it came back.
    """

    name: str
    address: str
    port: int | None = None
    asked_for: bool = False
    local: bool = False
    answered: bool = False
    greeted: bool = False
    heard: bool | None = None
    hears: bool | None = None
    refused: frozenset[int] = frozenset()
    asked: tuple[int, ...] = ()
    alive: bool = False
    unreachable: bool = False
    forbidden: bool = False
    rtt: tuple[float, ...] = ()
    clock: float | None = None
    clock_error: float = 0.0
    out: bool | None = None
    in_: bool | None = None
    mtu: int = 1_500
    sizes: Mapping[int, tuple[bool, bool]] = field(default_factory=dict)
    version: str = ""
    state: str = "alive"
    static: bool = False
    ours: str = ""
    deaf: bool = False
