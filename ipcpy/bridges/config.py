"""The file that tells a bridge what to do. Knows TOML and names of keys; nothing of bridges or engines.

A key that is none, or has another value than it takes, is an error with the key and what was expected: a bridge that is
started at boot has nobody who looks whether it does what was meant.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ArgumentError
from ..protocol.topics import check_pattern

__all__ = ["BridgeConfig", "check_bandwidth"]

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-z]*)(?:/s)?", re.ASCII)
_NODE = ("domain", "interfaces", "peers")
ENGINES = ("zenoh", "mqtt")


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """What a file says of a bridge; what it does not say is empty or None.

    Attributes:
        topics: what crosses, as ``Rules`` takes it.
        exclude, prefix, rate, max_bandwidth: likewise.
        name: what the bridge is called.
        hops: how many bridges something may have passed.
        node: ``domain``, ``interfaces`` and ``peers`` of its node.
        engines: the tables of engines, by name, unchecked.
    """

    topics: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    prefix: str | None = None
    rate: Mapping[str, float] = field(default_factory=dict)
    max_bandwidth: Mapping[str, float] = field(default_factory=dict)
    name: str | None = None
    hops: int | None = None
    node: Mapping[str, str] = field(default_factory=dict)
    engines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @staticmethod
    def read(path: str | Path) -> BridgeConfig:
        """Read a file.

        Raises:
            ArgumentError: (a ValueError) it cannot be read, is no TOML, or says something that is wrong; the text says
                where and what.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise ArgumentError(f"{path} cannot be read: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise ArgumentError(f"{path} is no TOML file: it is not UTF-8") from None
        try:
            return _config(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise ArgumentError(f"{path} is no TOML file: {error}") from None
        except RecursionError:
            raise ArgumentError(f"{path} is nested too deep") from None
        except ArgumentError as error:
            raise ArgumentError(f"{path}: {error}") from None


def _config(found: Mapping[str, Any]) -> BridgeConfig:
    _check_keys("", found, ("prefix", "name", "hops", "node", "topics", "rate", "max_bandwidth", *ENGINES))
    topics = _table(found, "topics")
    _check_keys("topics.", topics, ("out", "in", "both", "exclude"))
    node = _table(found, "node")
    _check_keys("node.", node, _NODE)
    crossing = [f"{way}:{name}" for way in ("out", "in", "both") for name in _patterns(topics, way)]
    return BridgeConfig(
        topics=tuple(crossing),
        exclude=_patterns(topics, "exclude"),
        prefix=_text(found, "prefix"),
        rate=_by_topic(found, "rate", _rate),
        max_bandwidth=_by_topic(found, "max_bandwidth", check_bandwidth),
        name=_text(found, "name"),
        hops=_hops(found.get("hops")),
        node={key: _joined(f"node.{key}", value) for key, value in node.items()},
        engines={name: _table(found, name) for name in ENGINES if name in found},
    )


def _check_keys(where: str, found: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in found:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            meant = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise ArgumentError(f"there is no key {where + key!r:.80}; {meant}")


def _table(found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = found.get(key, {})
    if not isinstance(table, dict):
        raise ArgumentError(f"{key!r} is a table, written [{key}], got {table!r:.80}")
    return table


def _text(found: Mapping[str, Any], key: str) -> str | None:
    text = found.get(key)
    if text is not None and not isinstance(text, str):
        raise ArgumentError(f"{key!r} is a text, got {text!r:.80}")
    return text


def _joined(key: str, value: object) -> str:
    """Return one text, or several with commas."""
    texts: list[Any] = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        raise ArgumentError(f"{key!r} is a text or a list of texts, got {value!r:.80}")
    return ",".join(texts)


def _patterns(topics: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = topics.get(key, [])
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list):
        raise ArgumentError(f"'topics.{key}' is a list of topics and patterns, got {value!r:.80}")
    return tuple(_pattern(f"topics.{key}", name) for name in names)


def _pattern(where: str, name: object) -> str:
    """Return a name or pattern, with the slash of those that have no prefix beyond."""
    slash = "/" if isinstance(name, str) and name.startswith("/") else ""
    try:
        return slash + check_pattern(name.removeprefix("/") if isinstance(name, str) else name)
    except ArgumentError as error:
        raise ArgumentError(f"{where!r}: {error}") from None


def _hops(value: object) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 16):
        raise ArgumentError(f"'hops' is how many bridges something may pass, from 1 to 16, got {value!r:.80}")
    return value


def _by_topic(found: Mapping[str, Any], key: str, check: Callable[[str, object], Any]) -> dict[str, Any]:
    return {_pattern(key, name): check(f"{key}.{name}", value) for name, value in _table(found, key).items()}


def _rate(key: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise ArgumentError(f"{key!r} is a number of messages a second, got {value!r:.80}")
    return float(value)


def check_bandwidth(key: str, value: object) -> float:
    """Return bytes a second, of a number or of a text such as ``125kB``.

    Raises:
        ArgumentError: it is neither; the text names the key.
    """
    size = value if isinstance(value, int) and not isinstance(value, bool) else None
    if isinstance(value, str) and (match := _SIZE.fullmatch(value.strip())) and match[2].lower() in _UNITS:
        size = round(float(match[1]) * _UNITS[match[2].lower()])
    if size is None or not 0 < size < 10**15:
        raise ArgumentError(f"{key!r} is bytes a second, 125000 or '125kB', got {value!r:.80}")
    return float(size)
