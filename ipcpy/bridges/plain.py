"""Messages as plain JSON, as phones, homes and clouds write it, and back. Pure: values and bytes; never a connection.

=======================================  =========================================================================
message                                  JSON
=======================================  =========================================================================
named tuple, dict                        an object of its fields
list, tuple                              an array
number, text, true, false, none          itself; NaN and the infinities, which JSON has not, are null
bytes                                    base64
datetime                                 ISO 8601
numpy array of up to 4,096 items         arrays in arrays
larger array, or one of structures       ``{"dtype": "<f4", "shape": [640, 480], "data": "<base64>"}``
=======================================  =========================================================================

What comes as JSON is itself. Where a subscriber or a publisher here has struct messages on the topic, and what came has
the fields of one of them, it becomes that message (``Shapes``).
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from ..codec import MsgLibrary
from ..codec.schema import MessageSpec, parse_schema
from ..errors import CodecError, SchemaError

__all__ = ["Shapes", "from_plain", "to_plain"]

ITEMS = 4096  # of an array that are written as numbers
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False).encode
_SPECIAL = ("{", "[", '"')


def to_plain(data: Any) -> bytes:
    """Return the JSON of a message's data.

    Raises:
        CodecError: it is nested too deep, or no codec of ipcpy makes such data.

    >>> to_plain({"gz": 0.5, "name": "imu", "raw": b"abc"})
    b'{"gz":0.5,"name":"imu","raw":"YWJj"}'
    """
    try:
        return _encode(_plain(data)).encode("utf-8", "replace")
    except RecursionError:
        raise CodecError("it is nested too deep for JSON") from None


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        fields = getattr(value, "_fields", None)
        items = [_plain(item) for item in value]
        return items if fields is None else dict(zip(fields, items, strict=True))
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "dtype") and hasattr(value, "tobytes"):
        return _array(value)
    raise CodecError(f"{type(value).__name__} has no JSON form")


def _array(array: Any) -> Any:
    if array.size <= ITEMS and array.dtype.kind in "biufU":
        return _plain(array.tolist())
    dtype = array.dtype.str if array.dtype.names is None else str(array.dtype)
    return {"dtype": dtype, "shape": list(array.shape), "data": base64.b64encode(array.tobytes()).decode()}


def from_plain(payload: bytes) -> Any:
    """Return the data of what somebody wrote: JSON, or a text that is none, as ``ON``.

    Raises:
        CodecError: it begins as an object, array or string of JSON and is none; it is not UTF-8; it is empty; or it is
            nested too deep.

    >>> from_plain(b'{"speed": 0.5}'), from_plain(b"21.5"), from_plain(b"ON")
    ({'speed': 0.5}, 21.5, 'ON')
    """
    try:
        text = payload.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CodecError(f"it is neither JSON nor text: byte {error.start} is not UTF-8") from None
    if not text.strip():
        raise CodecError("it is empty")
    try:
        return json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise CodecError("it is nested too deep for JSON") from None
    except ValueError as error:
        if text.lstrip().startswith(_SPECIAL):
            raise CodecError(f"it begins as JSON and is none: {error}") from None
        if "\0" in text:
            raise CodecError("it is neither JSON nor text: it has a NUL character") from None
        return text


def _no_constant(name: str) -> float:
    """Read what Python's own json writes though JSON has it not."""
    return {"NaN": math.nan, "Infinity": math.inf}.get(name, -math.inf)


class Shapes:
    """Struct messages that plain data may be meant for.

    Args:
        schemas: schemas of publishers and subscribers of a topic; one that is wrong counts for none.
    """

    def __init__(self, schemas: Iterable[Mapping[str, Any]]) -> None:
        self._known: list[tuple[MsgLibrary, MessageSpec]] = []
        for schema in schemas:
            try:
                library = MsgLibrary.from_schema(schema)
                self._known += [(library, spec) for spec in parse_schema(schema)]
            except SchemaError:
                continue

    def body(self, data: Any) -> tuple[MsgLibrary, bytes] | None:
        """Return the library and the body of the first message that data fit; None where they fit none.

        A field that is null where a float belongs is NaN, one of base64 where bytes belong is these bytes, as
        ``to_plain`` wrote them; bytes within nested types are not found.
        """
        for library, spec in self._known:
            if _alike(data, spec):
                for values in (data, _with_nan(data), _with_bytes(data, spec)):
                    try:
                        return library, library.pack(spec.id, values)
                    except CodecError:
                        continue
        return None


def _alike(data: Any, spec: MessageSpec) -> bool:
    names = {part.name for part in spec.parts} if spec.parts else set(spec.fields)
    if isinstance(data, dict):
        return data.keys() == names
    return not names and isinstance(data, list if spec.kind in ("tuple", "list") else bool | int | float | str)


def _with_nan(value: Any) -> Any:
    if value is None:
        return math.nan
    if isinstance(value, dict):
        return {key: _with_nan(item) for key, item in value.items()}
    return [_with_nan(item) for item in value] if isinstance(value, list) else value


def _with_bytes(data: Any, spec: MessageSpec) -> Any:
    if not isinstance(data, dict) or spec.parts:
        return data
    made = dict(_with_nan(data))
    for name, kind in spec.typed_fields():
        if kind.startswith(("bytes", "char", "pascal")) and isinstance(made.get(name), str):
            try:
                made[name] = base64.b64decode(made[name], validate=True)
            except ValueError:
                continue
    return made
