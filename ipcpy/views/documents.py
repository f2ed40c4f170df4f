"""What msgpack carries as JSON, with a JSON Schema made of what came. Knows values; nothing of topics or files.

A viewer wants an object: what is none stands in one, ``{"data": 5}``, as std_msgs does it. Bytes are base64. An array
is ``{"dtype": "<f4", "shape": [2, 3], "data": "<base64>"}``; with up to 256 numbers it has them as ``values`` too, so
that they are plotted, and of more than 64 KiB the data are left out: no viewer reads them. NaN and the infinities,
which JSON has not, are null.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

from .schema import Schema, json_schema

__all__ = ["document", "merged", "schema_of", "schema_text", "signature", "type_for"]

_VALUES = 256  # numbers of an array that are written as such
_DATA = 64 << 10  # bytes of an array that are written
_MAX_DEPTH = 16  # levels that a schema describes
_MAX_KEYS = 1024
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False).encode


def document(data: Any, shown: Mapping[str, str] | None = None) -> bytes:
    """Return the JSON of some data.

    Args:
        data: what MsgPack decoded.
        shown: keys whose values are shown elsewhere, and where.

    Raises:
        ValueError: it is nested too deep.
    """
    made: dict[Any, Any] = data if isinstance(data, dict) else {"data": data}
    try:
        if shown:
            made = {key: _elsewhere(value, shown[key]) if key in shown else value for key, value in made.items()}
        try:
            return _encode(made).encode()
        except (TypeError, ValueError):  # a value that JSON has not, or a lone surrogate
            return _encode(_plain(made)).encode("utf-8", "replace")
    except RecursionError:
        raise ValueError("it is nested too deep for JSON") from None


def _elsewhere(array: Any, topic: str) -> dict[str, Any]:
    return {"dtype": array.dtype.str, "shape": list(array.shape), "topic": topic}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return list(map(_plain, value))
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if hasattr(value, "dtype") and hasattr(value, "tobytes"):
        return _array(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _array(array: Any) -> dict[str, Any]:
    dtype = array.dtype.str if array.dtype.names is None else str(array.dtype)
    made: dict[str, Any] = {"dtype": dtype, "shape": list(array.shape)}
    if array.nbytes <= _DATA:
        made["data"] = base64.b64encode(array.tobytes()).decode()
    if array.size <= _VALUES and array.dtype.kind in "biuf":
        made["values"] = [_plain(number) for number in array.ravel().tolist()]
    return made


# -- the schema --------------------------------------------------------------------------------------------------------


def signature(data: Any) -> object:
    """Return what is equal for data that have the same keys with values of the same types, quickly."""
    if type(data) is dict:
        return (*data, *map(type, data.values()))
    return type(data)


def schema_of(data: Any) -> dict[str, Any]:
    """Return a JSON Schema of which the JSON of some data is an instance."""
    return _schema(data if isinstance(data, dict) else {"data": data}, 0)


def _schema(value: Any, depth: int) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int | float):
        return {"type": "number"}
    if isinstance(value, str):
        return {"type": "string"}
    if isinstance(value, bytes | bytearray | memoryview):
        return {"type": "string", "contentEncoding": "base64"}
    if depth == _MAX_DEPTH:
        return {}
    if isinstance(value, Mapping):
        items = list(value.items())[:_MAX_KEYS]
        return {"type": "object", "properties": {str(key): _schema(item, depth + 1) for key, item in items}}
    if isinstance(value, list | tuple):
        found: dict[str, Any] | None = None
        for item in value[:_MAX_KEYS]:
            told = _schema(item, depth + 1)
            found = told if found is None else merged(found, told)
        return {"type": "array", "items": found or {}}
    if hasattr(value, "dtype"):
        return _schema(_array(value[:0] if value.ndim else value), depth) | {"title": "array"}
    return {"type": "string"} if value is not None else {}


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Return a schema for what either of two describes: where they contradict each other, it says nothing."""
    if one == other or not other:
        return one
    if not one:
        return other
    if one.get("type") != other.get("type"):
        return {"title": "anything"}
    if one["type"] == "object":
        mine, theirs = one.get("properties", {}), other.get("properties", {})
        both = {key: merged(mine[key], theirs[key]) if key in theirs else mine[key] for key in mine}
        return {**one, "properties": {**both, **{key: theirs[key] for key in theirs if key not in mine}}}
    if one["type"] == "array":
        return {**one, "items": merged(one.get("items", {}), other.get("items", {}))}
    return {"type": one["type"]}


def type_for(topic: str) -> str:
    """Return what a topic's JSON Schema is named: viewers take those of one name for the same.

    >>> type_for("arm/pose")
    'ipcpy.arm.pose'
    """
    return ".".join(["ipcpy", *topic.split("/")]) if topic else "ipcpy.Document"


def schema_text(name: str, schema: Mapping[str, Any]) -> Schema:
    """Return a JSON Schema under a name."""
    return json_schema(name, json.dumps({"title": name, **schema}, ensure_ascii=False))
