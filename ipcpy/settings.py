"""Settings from arguments and environment. Knows names and defaults; nothing of what they do."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping

from .addresses import is_loopback
from .errors import ArgumentError
from .records import dataclass
from .typed import Literal

__all__ = ["LINK_PORTS", "KeyChoice", "Remap", "StaticPeer", "Settings", "find_key_file", "from_environment"]

DOMAIN = "default"
MEMORY = 256  # MiB
MAX_MEMORY = 1024
LINK_PORTS = range(17_770, 17_780)
"""The ports a node's link takes the first free one of; a static peer without a port is knocked at on all of them."""

CREDENTIAL = "ipcpy.key"
"""The name of systemd's credential that is a key file."""

Remap = Mapping[str, str] | str | Iterable[str]
KeyChoice = str | os.PathLike[str] | Literal[False] | None

_LOOPBACK_NAMES = ("lo", "lo0") if sys.platform == "darwin" else ("lo",)
_IN_NO_NAME = frozenset(";/,")  # and no blanks, but in the names that Windows gives interfaces


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
        memory: bytes that a publisher may share with subscribers of this host; 0 for none.
        namespace: what its topics are put under; empty for nothing.
        remap: pairs of what is asked for and what it is called. Neither is known here to be a name.
        key: the path of the key file; empty for a node that has no key.
    """

    domain: str = DOMAIN
    interfaces: tuple[str, ...] = ()
    peers: tuple[StaticPeer, ...] = ()
    memory: int = MEMORY << 20
    namespace: str = ""
    remap: tuple[tuple[str, str], ...] = ()
    key: str = ""

    @property
    def only_loopback(self) -> bool:
        """Whether nothing may leave this host."""
        names = self.interfaces
        return bool(names) and all(name in _LOOPBACK_NAMES or is_loopback(name) for name in names)


def from_environment(
    domain: str | None = None,
    interfaces: str | Iterable[str] | None = None,
    peers: str | Iterable[str] | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    namespace: str | None = None,
    remap: Remap | None = None,
    key: KeyChoice = None,
) -> Settings:
    """Join arguments with the environment; an argument that is not None has precedence.

    Args:
        domain: else ``IPCPY_DOMAIN``.
        interfaces: names or addresses, as a comma-separated str or one each; else ``IPCPY_INTERFACES``.
        peers: ``host`` or ``host:port``, likewise; else ``IPCPY_PEERS``.
        namespace: else ``IPCPY_NAMESPACE``.
        remap: see ``parse_remap``; else ``IPCPY_REMAP``.
        key: see ``find_key_file``.

    Raises:
        ArgumentError: which one is wrong, and what was expected.
    """
    if domain is None:
        domain = environ.get("IPCPY_DOMAIN", "").strip() or DOMAIN
    if not isinstance(domain, str) or not domain or len(domain) > 255 or not domain.isprintable():
        raise ArgumentError(f"domain is a short printable text such as 'robot7', got {domain!r}")
    if domain != domain.strip():
        raise ArgumentError(f"domain neither begins nor ends with a blank, got {domain!r}")
    names = _items("interfaces", environ.get("IPCPY_INTERFACES", "") if interfaces is None else interfaces)
    for name in names:
        _check_interface(name)
    hosts = _items("peers", environ.get("IPCPY_PEERS", "") if peers is None else peers)
    memory = environ.get("IPCPY_SHM", "").strip() or str(MEMORY)
    if not (memory.isascii() and memory.isdecimal() and int(memory) <= MAX_MEMORY):
        raise ArgumentError(
            f"IPCPY_SHM is how many MiB each publisher may share with subscribers of this host, from 0 (none) to "
            f"{MAX_MEMORY}, got {memory!r}"
        )
    if namespace is None:
        namespace = environ.get("IPCPY_NAMESPACE", "")
    if not isinstance(namespace, str):
        raise ArgumentError(f"namespace is a name such as 'robot1', got {namespace!r}")
    rules = parse_remap(environ.get("IPCPY_REMAP", "") if remap is None else remap)
    path = find_key_file(key, environ)
    return Settings(domain, names, tuple(map(parse_peer, hosts)), int(memory) << 20, namespace, rules, path)


def find_key_file(key: KeyChoice = None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the path of the key file to use, which is not opened here; empty for none.

    Args:
        key: its path; False for none. None for ``IPCPY_KEY_FILE``, which may be empty for none; where that is not set,
            for ``ipcpy.key`` among the credentials that systemd gives a service, or else for the file in the user's
            config folder. Those two are used if they are there, be they readable or not.

    Raises:
        ArgumentError: if the key is no path, or ``IPCPY_KEY`` is set.
    """
    if key is False:
        return ""
    if key is None:
        if environ.get("IPCPY_KEY"):
            raise ArgumentError(
                "IPCPY_KEY is not read: programs that this one starts would have the key too, and who lists processes "
                "can see it. Set IPCPY_KEY_FILE to the path of a key file (ipcpy key new)"
            )
        named = environ.get("IPCPY_KEY_FILE")
        if named is not None:
            return os.path.expanduser(named.strip())
        folder = environ.get("CREDENTIALS_DIRECTORY", "")
        usual = (os.path.join(folder, CREDENTIAL) if folder else "", default_key_file(environ))
        return next((path for path in usual if path and _may_exist(path)), "")
    if not isinstance(key, str | os.PathLike) or not isinstance(path := os.fspath(key), str) or not path.strip():
        raise ArgumentError(f"key is the path of a key file, or False for none, got {type(key).__name__}")
    return os.path.expanduser(path)


def default_key_file(environ: Mapping[str, str] = os.environ) -> str:
    """Return where the user's key file is, or would be; empty where the user has no config folder."""
    if sys.platform == "win32":
        folder = environ.get("APPDATA", "")
    elif sys.platform == "darwin":
        folder = os.path.expanduser("~/Library/Application Support")
    else:
        folder = environ.get("XDG_CONFIG_HOME", "") or os.path.expanduser("~/.config")
    return os.path.join(folder, "ipcpy", "key") if os.path.isabs(folder) else ""


def _may_exist(path: str) -> bool:
    """Tell whether there is a file, or might be: what cannot be looked at must not be taken for no key."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True


def _items(what: str, value: str | Iterable[str]) -> tuple[str, ...]:
    try:
        parts = value.split(",") if isinstance(value, str) else list(value)
    except TypeError:
        raise ArgumentError(f"{what} are texts, comma-separated or one each, got {value!r}") from None
    if not all(isinstance(part, str) for part in parts):
        raise ArgumentError(f"{what} are texts, comma-separated or one each, got {value!r}")
    return tuple(part.strip() for part in parts if part.strip())


def parse_remap(remap: Remap) -> tuple[tuple[str, str], ...]:
    """Read what topics are called instead.

    Args:
        remap: a dict, or ``old:=new``, comma-separated or one each.

    Raises:
        ArgumentError: if it is none of these.

    >>> parse_remap("imu:=front/imu,gps:=/gps"), parse_remap({"imu": "front/imu"})
    ((('imu', 'front/imu'), ('gps', '/gps')), (('imu', 'front/imu'),))
    """
    if isinstance(remap, Mapping):
        pairs = list(remap.items())
    else:
        parts = [part.partition(":=") for part in _items("remap", remap)]
        wrong = [part for part in parts if not (part[1] and part[0].strip() and part[2].strip()) or ":=" in part[2]]
        if wrong:
            raise ArgumentError(
                f"remap is OLD:=NEW, such as imu:=front/imu, comma-separated, got {''.join(wrong[0])!r}"
            )
        pairs = [(old.strip(), new.strip()) for old, _, new in parts]
    if not all(isinstance(name, str) for pair in pairs for name in pair):
        raise ArgumentError(f"remap is a dict such as {{'imu': 'front/imu'}}, got {remap!r:.80}")
    return tuple(pairs)


def _check_interface(name: str) -> None:
    """Raise ArgumentError for what can be no interface's name, and is no IPv4 address: two of them, for one."""
    odd = _odd(name) if sys.platform != "win32" else set(name) & _IN_NO_NAME
    if odd or not name.isprintable() or (":" in name and sys.platform != "win32"):
        raise ArgumentError(
            f"interfaces are names such as 'eth0' or IPv4 addresses such as '10.0.0.5', comma-separated, got {name!r}"
        )


def _odd(text: str) -> set[str]:
    return {char for char in text if char in _IN_NO_NAME or char.isspace() or not char.isprintable()}


def parse_peer(text: str) -> StaticPeer:
    """Read ``host`` or ``host:port``.

    Raises:
        ArgumentError: if the port is no port, there is no host, or what stands there can be no host's name.

    >>> parse_peer("robot.local:17770")
    StaticPeer(host='robot.local', port=17770)
    """
    host, colon, port = text.partition(":")
    wanted = "a peer is 'host' or 'host:port' with a port from 1 to 65535"
    if ":" in port:
        raise ArgumentError(f"{wanted}, and a host is a name or an IPv4 address, got {text!r} with two colons")
    if not host.strip() or (colon and not (port.isdecimal() and 0 < int(port) < 65_536)):
        raise ArgumentError(f"{wanted}, got {text!r}")
    if odd := sorted(_odd(host)):
        raise ArgumentError(f"{wanted}, several are comma-separated, got {text!r} with {odd[0]!r} in it")
    return StaticPeer(host, int(port) if colon else None)
