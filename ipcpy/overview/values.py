"""What is in a message: which of its fields are numbers, what they are, and all of it as a tree that is bounded. Pure:
knows values that codecs make; nothing of topics, plots or screens.

A field is named by a path: ``gz``, ``pose.x``, ``values[3]``, ``image[2][5]``, and ``""`` for a message that is itself
a number. A key that a path could not be read with stands as a JSON text in brackets: ``["a.b"]``. A number in brackets
is the place in a list, or a key of a dict that is a number.

The tree is what JSON holds, with stand-ins for what it does not, or for what is too long: objects of one key that
begins with ``$``.

==========================================  ==========================================================================
``{"$float": "nan"}``                       NaN and the infinities, ``inf`` and ``-inf``
``{"$int": "18446744073709551615"}``        an integer that JavaScript would round
``{"$text": "...", "size": 90000}``         the beginning of a long text
``{"$bytes": "ff00...", "size": 640}``      the beginning of bytes, in hexadecimal
``{"$array": [...], "dtype", "shape"}``     an array, and its first values
``{"$datetime": "2026-11-28T10:00:00"}``    a time
``{"$map": [[key, value], ...]}``           a dict with keys that are no text, or begin with ``$``
``{"$deep": "dict of 3"}``                  what lies too deep
``{"$more": 400}``                          how many items were left out, as the last one of a list or a dict
==========================================  ==========================================================================
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import ipcpy as ipc

__all__ = ["Path", "fields_of_schema", "number_at", "numeric_fields", "path_of", "text_of", "tree"]

Path = tuple[str | int, ...]

_HEADER = 7  # bytes of a struct message before its payload, see docs/protocol.md
MAX_FIELDS = 200  # numbers of one message that are offered
MAX_DEPTH = 12  # levels that are looked at
_TEXT, _BYTES, _VALUES, _ITEMS, _NODES = 1000, 32, 64, 100, 4000  # characters, bytes, numbers, items, items in all
_EXACT = 1 << 53  # up to which a double holds every integer
_STEP = re.compile(r'\[(-?\d+|"(?:[^"\\]|\\.)*")\]|(?:^|\.)([^.\[\]"]+)')
_PLAIN = re.compile(r'[^.\[\]"]+')


def text_of(path: Path) -> str:
    """Return how a path is written.

    >>> text_of(("pose", "x")), text_of(("values", 3)), text_of(("a.b", "c")), text_of(())
    ('pose.x', 'values[3]', '["a.b"].c', '')
    """
    made = ""
    for step in path:
        if isinstance(step, int):
            made += f"[{step}]"
        elif _PLAIN.fullmatch(step):
            made += f".{step}" if made else step
        else:
            made += f"[{json.dumps(step)}]"
    return made


def path_of(text: str) -> Path:
    """Read a path.

    Raises:
        ArgumentError: (a ValueError) it is none.

    >>> path_of('poses[2].x'), path_of("")
    (('poses', 2, 'x'), ())
    """
    steps: list[str | int] = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None or len(steps) >= 2 * MAX_DEPTH:
            raise ipc.ArgumentError(f"a field is a path such as pose.x or values[3], got {text!r:.80}")
        inside, name = found.groups()
        try:
            steps.append(name if name is not None else json.loads(inside))
        except ValueError:
            raise ipc.ArgumentError(f"{inside:.80} is no JSON, in the path of a field {text!r:.80}") from None
        at = found.end()
    return tuple(steps)


def number_at(data: Any, path: Path) -> float | None:
    """Return the number at a path of a message; None where there is none. A truth value is 0 or 1."""
    try:
        for step in path:
            if isinstance(data, Mapping) or type(step) is int:
                data = data[step]
            elif step in getattr(data, "_fields", ()) or step in getattr(data, "__dataclass_fields__", ()):
                data = getattr(data, str(step))
            else:
                return None
        return float(data) if _is_number(data) else None
    except (LookupError, TypeError, ValueError, OverflowError):
        return None


def _is_number(value: Any) -> bool:
    if isinstance(value, int | float):
        return True
    return hasattr(value, "dtype") and not value.shape and value.dtype.kind in "biuf"


def numeric_fields(data: Any, limit: int = MAX_FIELDS) -> list[str]:
    """Return the paths of a message's numbers, in its order.

    >>> numeric_fields({"name": "arm", "pose": {"x": 1.0, "ok": True}, "q": [1, 2]})
    ['pose.x', 'pose.ok', 'q[0]', 'q[1]']
    """
    found: list[str] = []
    for path in _numbers(data, (), MAX_DEPTH):
        if len(found) == limit:
            break
        found.append(text_of(path))
    return found


def _numbers(data: Any, path: Path, depth: int) -> Iterator[Path]:
    if _is_number(data):
        yield path
    elif depth and not isinstance(data, str | bytes | bytearray | memoryview):
        for step, item in _items(data):
            yield from _numbers(item, (*path, step), depth - 1)


def _items(data: Any) -> Iterator[tuple[str | int, Any]]:
    """Yield what is in a value, with the step that leads there."""
    if isinstance(data, Mapping):
        yield from ((key, item) for key, item in data.items() if type(key) in (str, int))
    elif isinstance(data, tuple) and hasattr(data, "_fields"):
        yield from zip(data._fields, data, strict=True)
    elif isinstance(data, list | tuple):
        yield from enumerate(data)
    elif dataclasses.is_dataclass(data) and not isinstance(data, type):
        yield from ((field.name, getattr(data, field.name)) for field in dataclasses.fields(data))
    elif hasattr(data, "dtype") and data.dtype.names is None and data.dtype.kind in "biuf" and data.shape:
        yield from enumerate(data)


def fields_of_schema(codec: str, schema: Mapping[str, Any], limit: int = MAX_FIELDS) -> list[str]:
    """Return the paths of the numbers that a publisher's schema tells of, without a message; none where it tells none.

    It came from the network: what is no schema has none.
    """
    if codec != "struct":
        return []
    found: dict[str, None] = {}
    try:
        library = ipc.MsgLibrary.from_schema(schema)
        for id, size in library.sizes.items():
            if len(found) >= limit:
                break
            empty = library.unpack(id, bytes(size - _HEADER))
            found |= dict.fromkeys(numeric_fields(empty, limit))
    except (ipc.IpcError, ValueError, TypeError):
        pass
    return list(found)[:limit]


def tree(data: Any) -> Any:
    """Return a message as JSON can hold it, bounded: at most some thousand items, whatever its size."""
    return _Tree().of(data, MAX_DEPTH)


def _is_name(key: Any) -> bool:
    return isinstance(key, str) and not key.startswith("$") and len(key) <= _TEXT


class _Tree:
    def __init__(self) -> None:
        self._left = _NODES

    def of(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return int(value) if abs(value) <= _EXACT else {"$int": str(value)}
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
        if isinstance(value, str):
            short = value[:_TEXT].encode("utf-8", "replace").decode()  # a lone surrogate is no text for a browser
            return short if len(value) <= _TEXT else {"$text": short, "size": len(value)}
        if isinstance(value, bytes | bytearray | memoryview):
            return {"$bytes": bytes(value[:_BYTES]).hex(), "size": len(value)}
        if isinstance(value, date):
            return {"$datetime": value.isoformat()}
        if hasattr(value, "dtype") and hasattr(value, "shape"):
            return self._array(value)
        return self._of_many(value, depth)

    def _of_many(self, value: Any, depth: int) -> Any:
        many = isinstance(value, Mapping | list | tuple) or dataclasses.is_dataclass(value)
        if not many:
            return {"$text": str(value)[:_TEXT], "size": len(str(value))}
        if not depth:
            return {"$deep": f"{type(value).__name__} of {len(value) if hasattr(value, '__len__') else 1}"}
        if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
            items = [self.of(item, depth - 1) for item in value[: self._room()]]
            return items if len(items) == len(value) else [*items, {"$more": len(value) - len(items)}]
        if isinstance(value, Mapping) and not all(map(_is_name, value)):
            pairs = self._pairs(value.items(), depth)
            left = len(value) - len(pairs)
            return {"$map": pairs} | ({"$more": left} if left else {})
        fields = dict(value) if isinstance(value, Mapping) else dict(_items(value))
        made = dict(self._pairs(fields.items(), depth))
        left = len(fields) - len(made)
        return made | {"$more": left} if left else made

    def _pairs(self, items: Any, depth: int) -> list[Any]:
        room = self._room()
        return [[self.of(key, 1), self.of(item, depth - 1)] for _, (key, item) in zip(range(room), items, strict=False)]

    def _room(self) -> int:
        return max(0, min(_ITEMS, self._left))

    def _array(self, array: Any) -> dict[str, Any]:
        shape = list(array.shape)
        made: dict[str, Any] = {"$array": [], "dtype": str(array.dtype), "shape": shape}
        if array.dtype.kind in "biufSU":
            made["$array"] = [self.of(each, 1) for each in array.flat[:_VALUES].tolist()]
        return made
