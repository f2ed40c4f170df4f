"""What a value is, in a few words: its type, and what types its fields have. Knows values; nothing of topics.

>>> what({"speed": 0.5, "name": "arm"})
'dict of 2: speed float, name text[3]'
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .render import array_kind, printable

__all__ = ["facts", "what"]

SHOWN = 6  # fields of a value that are named
LONGEST = 60  # characters of a field's name
CHANNELS = (1, 3, 4)  # of an image: grey, colours, colours with transparency
SMALLEST = 8  # pixels of an image in each direction; what is smaller is rather a matrix

_PLAIN = {bool: "bool", int: "int", float: "float", type(None): "None"}


def what(data: Any) -> str:
    """Say what a value is: ``uint8[480×640×3], an image of 640 × 480``."""
    if isinstance(data, Mapping):
        return _fields(f"dict of {len(data)}", {str(key): item for key, item in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return printable(type(data).__name__)
    kind = _kind(data)
    if _is_array(data):
        image = _image(data)
        kind += f", an image of {image[0]} × {image[1]}" if image else ""
    return kind


def facts(data: Any) -> dict[str, Any]:
    """Return what ``what`` says as values: type, and dtype, shape and bytes of an array, or the types of fields."""
    made: dict[str, Any] = {"type": printable(type(data).__name__), "text": what(data)}
    if _is_array(data):
        made |= {"dtype": printable(str(data.dtype)), "shape": list(data.shape), "bytes": data.nbytes}
        if image := _image(data):
            made["image"] = list(image)
    elif isinstance(data, Mapping):
        made["fields"] = {printable(str(key))[:LONGEST]: _kind(item) for key, item in data.items()}
    return made


def _fields(head: str, fields: Mapping[str, Any]) -> str:
    shown = [f"{printable(name)[:LONGEST]} {_kind(item)}" for name, item in list(fields.items())[:SHOWN]]
    return f"{head}{': ' if shown else ''}{', '.join(shown)}{', ...' if len(fields) > SHOWN else ''}"


def _kind(data: Any, *, within: bool = False) -> str:
    """Name the type of a value, with its size where it has one; within a list the same without what is in it."""
    if type(data) in _PLAIN:
        return _PLAIN[type(data)]
    if _is_array(data):
        return array_kind(data)
    if isinstance(data, str):
        return f"text[{len(data):,}]"
    if isinstance(data, bytes | bytearray | memoryview):
        return f"bytes[{len(data):,}]"
    if isinstance(data, Mapping):
        return f"dict of {len(data)}"
    if isinstance(data, list | tuple) and not hasattr(data, "_fields"):
        kinds = {_kind(item, within=True) for item in data[:SHOWN]} if not within else set()
        same = f" {kinds.pop()}" if len(kinds) == 1 else ""
        return f"{type(data).__name__} of {len(data):,}{same}"
    return printable(type(data).__name__)


def _is_array(data: Any) -> bool:
    return hasattr(data, "dtype") and hasattr(data, "shape") and hasattr(data, "nbytes")


def _image(array: Any) -> tuple[int, int] | None:
    """Return width and height of an array that looks like an image; else None."""
    shape = array.shape
    flat = len(shape) == 2 or (len(shape) == 3 and shape[2] in CHANNELS)
    is_image = flat and array.dtype.kind in "uf" and min(shape[:2]) >= SMALLEST
    return (shape[1], shape[0]) if is_image else None
