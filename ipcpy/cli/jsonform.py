"""Messages as JSON and back, without loss. Knows values and schemas; nothing of sockets or screens.

What JSON has stands for itself. The rest is an object with one key that begins with ``$``:

=======================================================  ======================================================
value                                                    JSON
=======================================================  ======================================================
NaN, infinities                                          ``{"$float": "nan"}``, ``"inf"``, ``"-inf"``; NaNs that are
                                                         not the usual one with their 8 bytes, as ``"0x7ff8..."``
bytes                                                    ``{"$bytes": "<base64>"}``
datetime                                                 ``{"$datetime": "2026-11-23T10:30:00+00:00"}``
numpy array                                              ``{"$ndarray": "<base64>", "dtype": "<f4", "shape": [2, 3]}``
dict with keys that are not str, or begin with ``$``     ``{"$map": [[key, value], ...]}``
=======================================================  ======================================================

Integers have any size. A named tuple or dataclass is an object of its fields, a tuple an array; the message's
``struct`` says what to make of them. The dtype of a structured array is ``[bytes of an item, [[name, first byte, dtype,
shape], ...]]``, as on the wire, so that gaps and any order of fields come back. numpy's own description, which earlier
versions wrote, is read as well.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import math
import struct
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import ipcpy as ipc

__all__ = ["dumps", "from_json", "is_record", "loads", "record", "struct_of", "to_json"]

_DOUBLE = struct.Struct(">d")
_NAN = _DOUBLE.pack(math.nan)
_TOO_DEEP = "it is nested too deep"


def dumps(value: object) -> str:
    """Write one line of JSON of a value that ``to_json`` made.

    Raises:
        ValueError: it is nested too deep.
    """
    try:
        return json.dumps(value, allow_nan=False, separators=(", ", ": "))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def loads(line: str) -> Any:
    """Read JSON.

    Raises:
        ValueError: it is none; bare NaN and Infinity count as none.
    """
    try:
        return json.loads(line, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def _no_constant(name: str) -> Any:
    raise ValueError(f'{name} is not JSON; write {{"$float": "{name.lower().replace("infinity", "inf")}"}}')


def to_json(value: Any) -> Any:
    """Make of a message's data what JSON can hold.

    Whatever a codec of ipcpy makes of a publisher's bytes has a form, up to a depth of some hundred levels.

    Raises:
        TypeError: it is of a type that no codec of ipcpy makes.
        ValueError: it is nested too deep.
    """
    try:
        return _to_json(value)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def _to_json(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": _float_text(value)}
    if isinstance(value, Mapping):
        return _mapping_to_json(value)
    if isinstance(value, list | tuple):
        fields = getattr(value, "_fields", None)
        items = [_to_json(item) for item in value]
        return items if fields is None else dict(zip(fields, items, strict=True))
    if isinstance(value, bytes | bytearray | memoryview):
        return {"$bytes": _base64(value)}
    if isinstance(value, datetime):
        return {"$datetime": value.isoformat()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "dtype") and hasattr(value, "tobytes"):
        return _array_to_json(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _mapping_to_json(value: Mapping[Any, Any]) -> Any:
    if all(isinstance(key, str) and not key.startswith("$") for key in value):
        return {key: _to_json(item) for key, item in value.items()}
    return {"$map": [[_to_json(key), _to_json(item)] for key, item in value.items()]}


def _array_to_json(array: Any) -> dict[str, Any]:
    if array.dtype.hasobject:
        raise TypeError(f"an array of Python objects ({array.dtype}) has no JSON form")
    return {"$ndarray": _base64(array.tobytes()), "dtype": _describe(array.dtype), "shape": list(array.shape)}


def _describe(dtype: Any) -> Any:
    if dtype.names is None:
        return dtype.str
    fields = []
    for name in dtype.names:
        kind, offset = dtype.fields[name][:2]
        fields.append([name, offset, _describe(kind.base), list(kind.shape)])
    return [dtype.itemsize, fields]


def _float_text(value: float) -> str:
    packed = _DOUBLE.pack(value)
    return repr(value) if not math.isnan(value) or packed == _NAN else f"0x{packed.hex()}"


def _base64(data: bytes | bytearray | memoryview) -> str:
    return base64.b64encode(data).decode("ascii")


def from_json(value: Any) -> Any:
    """Make of JSON the data that it stands for.

    Raises:
        ValueError: an object with a ``$`` key that is none of the above, or that is wrong; or it is nested too deep.
    """
    try:
        return _from_json(value)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    name = next(iter(value), "")
    if not name.startswith("$"):
        return {key: _from_json(item) for key, item in value.items()}
    try:
        return _SPECIAL[name](value)
    except (ValueError, RecursionError):
        raise
    except Exception as error:
        raise ValueError(f"{json.dumps(value):.80} is not a {name} of ipcpy: {error!r:.80}") from None


def _float(value: dict[str, Any]) -> float:
    text = value["$float"]
    number: float = _DOUBLE.unpack(bytes.fromhex(text[2:]))[0] if text.startswith("0x") else float(text)
    return number


def _array(value: dict[str, Any]) -> Any:
    try:
        import numpy as np
    except ImportError:
        raise ValueError("the line has a numpy array, and numpy is not installed here") from None
    dtype, shape = _dtype(value["dtype"]), tuple(value["shape"])
    data = base64.b64decode(value["$ndarray"], validate=True)
    if dtype.hasobject:
        raise ValueError("an array of Python objects cannot be read")
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"an array of shape {list(shape)} and {dtype} has other than {len(data)} bytes")
    return np.ndarray(shape, dtype, data)


def _dtype(text: Any) -> Any:
    """Make the dtype that ``_describe``, or numpy, described."""
    import numpy as np

    if isinstance(text, str):
        return np.dtype(text)
    if not text or not isinstance(text[0], int):
        return np.lib.format.descr_to_dtype(_descr(text))
    size, fields = text
    names, offsets, kinds, shapes = zip(*fields, strict=True) if fields else ((), (), (), ())
    formats = [(_dtype(kind), tuple(shape)) for kind, shape in zip(kinds, shapes, strict=True)]
    return np.dtype({"names": list(names), "formats": formats, "offsets": list(offsets), "itemsize": size})


def _descr(fields: list[list[Any]]) -> list[tuple[Any, ...]]:
    """Make numpy's description of a structured dtype of JSON's, which has no tuples."""
    made = []
    for name, kind, *shape in fields:
        kind = _descr(kind) if isinstance(kind, list) else kind
        made.append((name, kind, *(tuple(size) for size in shape)))
    return made


def _map(value: dict[str, Any]) -> dict[Any, Any]:
    return {_key(_from_json(key)): _from_json(item) for key, item in value["$map"]}


def _key(key: Any) -> Any:
    return tuple(map(_key, key)) if isinstance(key, list) else key


_SPECIAL = {
    "$float": _float,
    "$bytes": lambda value: base64.b64decode(value["$bytes"], validate=True),
    "$datetime": lambda value: datetime.fromisoformat(value["$datetime"]),
    "$ndarray": _array,
    "$map": _map,
}


def record(message: ipc.Message, codec: str, described: Mapping[str, Any] | None) -> dict[str, Any]:
    """Make the object that stands for a received message.

    Args:
        message: the message.
        codec: its codec's name.
        described: for a struct message its description, see ``struct_of``.

    Raises:
        TypeError, ValueError: as ``to_json``.
    """
    made: dict[str, Any] = {
        "topic": message.topic,
        "seq": message.seq,
        "sent_ns": message.sent_ns,
        "received_ns": message.received_ns,
        "publisher": message.publisher,
        "codec": codec,
    }
    if codec == "struct":
        made["struct"] = described
    return {**made, "data": to_json(message.data)}


def struct_of(data: Any, schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Find the description (id, name, format, fields, kind) of a struct message by the type that it was decoded to.

    Returns:
        None where the schema has none for it, or several: two messages of one type, such as two ints.
    """
    name = type(data).__name__
    fields = getattr(data, "_fields", None)
    found = [
        message
        for message in schema.get("messages", ())
        if (message.get("name") == name and _fields_of(message) == fields)
        or (fields is None and message.get("kind") == name and "nested" not in message)
    ]
    return dict(found[0]) if len(found) == 1 else None


def _fields_of(message: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the fields of a described message; of nested ones the outermost."""
    nested = message.get("nested")
    if not nested:
        return tuple(message.get("fields", ()))
    return tuple(field if isinstance(field, str) else field[0] for field in nested["fields"])


def is_record(value: object) -> bool:
    """Tell whether JSON is what ``record`` makes, rather than data."""
    return isinstance(value, dict) and value.keys() >= {"topic", "seq", "sent_ns", "codec", "data"}
