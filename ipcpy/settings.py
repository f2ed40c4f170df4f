"""Settings from arguments and environment. Knows names and defaults; nothing of what they do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .addresses import is_loopback
from .errors import ArgumentError

__all__ = ["LINK_PORTS", "StaticPeer", "Settings", "from_environment"]

DOMAIN = "default"
LINK_PORTS = range(17_770, 17_780)
"""The ports a node's link takes the first free one of; a static peer without a port is knocked at on all of them."""


@dataclass(frozen=True, slots=True)
class StaticPeer:
    """A static peer: a name or an address, and a port or None for any of LINK_PORTS."""

    host: str
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What a node was told.

    Attributes:
        domain: nodes of different domains neither see nor hear each other.
        interfaces: names or addresses; empty for all of them. Loopback is always used.
        peers: static peers, for networks where multicast does not pass.
    """

    domain: str = DOMAIN
    interfaces: tuple[str, ...] = ()
    peers: tuple[StaticPeer, ...] = ()

    @property
    def only_loopback(self) -> bool:
        """Whether nothing may leave this host."""
        names = self.interfaces
        return bool(names) and all(name == "lo" or is_loopback(name) for name in names)


def from_environment(
    domain: str | None = None,
    interfaces: str | Iterable[str] | None = None,
    peers: str | Iterable[str] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Join arguments with the environment; an argument that is not None has precedence.

    Args:
        domain: else ``IPCPY_DOMAIN``.
        interfaces: names or addresses, as a comma-separated str or one each; else ``IPCPY_INTERFACES``.
        peers: ``host`` or ``host:port``, likewise; else ``IPCPY_PEERS``.

    Raises:
        ArgumentError: which one is wrong, and what was expected.
    """
    if domain is None:
        domain = environ.get("IPCPY_DOMAIN") or DOMAIN
    if not isinstance(domain, str) or not domain or len(domain) > 255 or not domain.isprintable():
        raise ArgumentError(f"domain is a short printable text such as 'robot7', got {domain!r}")
    names = _items("interfaces", environ.get("IPCPY_INTERFACES", "") if interfaces is None else interfaces)
    hosts = _items("peers", environ.get("IPCPY_PEERS", "") if peers is None else peers)
    return Settings(domain, names, tuple(map(parse_peer, hosts)))


def _items(what: str, value: str | Iterable[str]) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else list(value)
    if not all(isinstance(part, str) for part in parts):
        raise ArgumentError(f"{what} are texts, comma-separated or one each, got {value!r}")
    return tuple(part.strip() for part in parts if part.strip())


def parse_peer(text: str) -> StaticPeer:
    """Read ``host`` or ``host:port``.

    Raises:
        ArgumentError: if the port is no port, or there is no host.

    >>> parse_peer("robot.local:17770")
    StaticPeer(host='robot.local', port=17770)
    """
    host, colon, port = text.rpartition(":") if ":" in text else (text, "", "")
    if not host.strip() or (colon and not (port.isdecimal() and 0 < int(port) < 65_536)):
        raise ArgumentError(f"a peer is 'host' or 'host:port' with a port from 1 to 65535, got {text!r}")
    return StaticPeer(host, int(port) if colon else None)
