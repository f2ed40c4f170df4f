"""What a bridge is told of its broker. Knows keys, addresses and certificates; opens no connection."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ...errors import ArgumentError
from ...protocol.topics import check_pattern, matches
from .names import ROOT, check_name

__all__ = ["JSON", "RAW", "Address", "Options", "check_address", "check_options", "tls_of"]

JSON, RAW = "json", "raw"
_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}
_KEYS = (
    "connect",
    "username",
    "password_file",
    "ca",
    "cert",
    "key",
    "name",
    "keepalive",
    "format",
    "qos",
    "topics",
    "map",
    "root",
)
_PASSWORD = "IPCPY_MQTT_PASSWORD"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker is.

    Attributes:
        host, port: of it.
        tls: whether the connection is encrypted.
        path: of a WebSocket; None for plain TCP.
        username, password: as the address has them.
    """

    host: str
    port: int
    tls: bool = False
    path: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Options:
    """What a bridge does at its broker.

    Attributes:
        address: where it is.
        username, password: who the bridge is there.
        ca, cert, key: files of certificates.
        name: what the bridge calls itself there; None for the name of its node.
        keepalive: seconds after which a connection that is silent is asked whether it is there.
        map: names of topics there.
        root: what bridges tell of themselves under.
        default: format, and quality of service, of topics that ``topics`` does not name; None for what the topic is.
        topics: the same by name or pattern; the first that matches counts.
    """

    address: Address
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    name: str | None = None
    keepalive: int = 10
    map: Mapping[str, str] = field(default_factory=dict)
    root: str = ROOT
    default: tuple[str, int | None] = (JSON, None)
    topics: Mapping[str, tuple[str | None, int | None]] = field(default_factory=dict)

    def format(self, topic: str) -> str:
        """Return how messages of a topic are written: ``json`` or ``raw``."""
        return next((form for name, (form, _) in self.topics.items() if form and matches(name, topic)), self.default[0])

    def qos(self, topic: str, *, reliable: bool) -> int:
        """Return the quality of service of a topic; where nothing is said, 1 for reliable ones, 0 for others."""
        found = (qos for name, (_, qos) in self.topics.items() if qos is not None and matches(name, topic))
        chosen = next(found, self.default[1])
        return int(reliable) if chosen is None else chosen


def check_options(table: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Options:
    """Return what a table says, as the file of a configuration has it under ``[mqtt]``.

    Args:
        table: keys and values.
        environ: where the password may stand.

    Raises:
        ArgumentError: a key is none, or has another value than it takes.
    """
    for key in table:
        if key not in _KEYS:
            raise ArgumentError(f"there is no key 'mqtt.{key:.80}'; there are {', '.join(_KEYS)}")
    if "connect" not in table:
        raise ArgumentError("name the broker: --connect mqtt://host, or connect under [mqtt]")
    address = check_address(table["connect"])
    texts = {key: _text(table, key) for key in ("username", "password_file", "ca", "cert", "key", "name")}
    file = texts.pop("password_file")
    password = _first_line(file) if file else environ.get(_PASSWORD) or address.password
    username = texts.pop("username") or address.username
    if password and not username:
        raise ArgumentError("a password needs a username: --username, or username under [mqtt]")
    if bool(texts["cert"]) != bool(texts["key"]):
        raise ArgumentError("cert and key go together: the certificate of this bridge, and its key")
    if not address.tls and (texts["ca"] or texts["cert"]):
        raise ArgumentError(f"certificates need an encrypted connection: connect to mqtts://{address.host}")
    options = Options(
        address,
        username,
        password,
        **texts,
        keepalive=_keepalive(table.get("keepalive", 10)),
        map=_map(table.get("map", {})),
        root=check_name("root", table.get("root", ROOT)),
        default=(_format("format", table.get("format", JSON)), _qos("qos", table.get("qos"))),
        topics=_topics(table.get("topics", {})),
    )
    _check_name(options.name)
    tls_of(options)
    return options


def check_address(text: object) -> Address:
    """Return the address of a broker.

    Raises:
        ArgumentError: it is none.

    >>> check_address("mqtts://broker.local"), check_address("broker:1884")
    (Address(host='broker.local', port=8883, tls=True, path=None, username=None), \
Address(host='broker', port=1884, tls=False, path=None, username=None))
    """
    wanted = "a broker is mqtt://host, mqtts://host:8883 or wss://host/path"
    if not isinstance(text, str) or not text.strip():
        raise ArgumentError(f"{wanted}, got {text!r:.80}")
    try:
        found = urlsplit(text if "://" in text else f"mqtt://{text}")
        port = found.port or _PORTS.get(found.scheme, 0)
    except ValueError as error:
        raise ArgumentError(f"{wanted}, got {text!r:.80}: {error}") from None
    if found.scheme not in _PORTS or not found.hostname or found.query or found.fragment:
        raise ArgumentError(f"{wanted}, got {text!r:.80}")
    socket = found.scheme in ("ws", "wss")
    if not socket and found.path.strip("/"):
        raise ArgumentError(f"{wanted}, got {text!r:.80} with a path: names of topics begin with --prefix")
    return Address(
        found.hostname,
        port,
        found.scheme in ("mqtts", "wss"),
        (found.path or "/mqtt") if socket else None,
        unquote(found.username) if found.username else None,
        unquote(found.password) if found.password else None,
    )


def tls_of(options: Options) -> ssl.SSLContext | None:
    """Make what encrypts the connection; None where nothing does.

    Raises:
        ArgumentError: a file cannot be read, or has no certificate or key.
    """
    if not options.address.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=options.ca)
    except (OSError, ssl.SSLError) as error:
        raise ArgumentError(f"ca: {options.ca!r} has no certificates that can be read: {_why(error)}") from None
    if options.cert and options.key:
        try:
            context.load_cert_chain(options.cert, options.key, password=lambda: b"")
        except (OSError, ssl.SSLError) as error:
            files = f"{options.cert!r} and {options.key!r}"
            raise ArgumentError(f"cert and key: {files} are no certificate and its key: {_why(error)}") from None
    return context


def _why(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or error)


def _text(table: Mapping[str, Any], key: str) -> str | None:
    value = table.get(key)
    if value is not None and (not isinstance(value, str) or not value):
        raise ArgumentError(f"'mqtt.{key}' is a text, got {value!r:.80}")
    return value


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentError(f"password_file: {path!r} cannot be read: {getattr(error, 'strerror', error)}") from None


def _check_name(name: str | None) -> None:
    if name is not None and (not name.isprintable() or set(name) & set("+#/ ") or len(name) > 64):
        raise ArgumentError(f"'mqtt.name' is a short name without blanks, +, # and /, got {name!r:.80}")


def _keepalive(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65_535:
        raise ArgumentError(f"'mqtt.keepalive' is a number of seconds from 1 to 65535, got {value!r:.80}")
    return value


def _format(key: str, value: object) -> str:
    if value not in (JSON, RAW):
        raise ArgumentError(f'\'mqtt.{key}\' is "json" or "raw", got {value!r:.80}')
    return str(value)


def _qos(key: str, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or value not in (0, 1):
        raise ArgumentError(f"'mqtt.{key}' is 0 or 1, got {value!r:.80}")
    return int(str(value))


def _map(table: object) -> dict[str, str]:
    if not isinstance(table, Mapping) or not all(isinstance(name, str) for name in table.values()):
        raise ArgumentError(f"'mqtt.map' says which topic has which name there, imu = \"home/imu\", got {table!r:.80}")
    return dict(table)


def _topics(table: object) -> dict[str, tuple[str | None, int | None]]:
    if not isinstance(table, Mapping):
        raise ArgumentError(f"'mqtt.topics' is a table of tables, [mqtt.topics.\"camera/**\"], got {table!r:.80}")
    made: dict[str, tuple[str | None, int | None]] = {}
    for name, each in table.items():
        if not isinstance(each, Mapping) or each.keys() - {"format", "qos"}:
            raise ArgumentError(f"'mqtt.topics.{name:.80}' has format and qos, got {each!r:.80}")
        form = _format(f"topics.{name}.format", each["format"]) if "format" in each else None
        made[check_pattern(name)] = (form, _qos(f"topics.{name}.qos", each.get("qos")))
    return made
