"""Plain forms of Python objects. Knows which values have an obvious one, and what to publish instead of the others;
nothing of bytes.

A form is obvious where nobody would expect another one and nothing is lost but the type: a dataclass is a dict of its
fields, an enum its value, a set a list, a path its text. It is not where there are several: a timedelta could be
seconds or nanoseconds, a Decimal its text or the nearest float. Then the refusal names the conversion.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence, Set, ValuesView
from datetime import date, datetime, time, timedelta
from enum import Enum

from ..records import is_dataclass
from ..typed import Any

__all__ = ["form_of", "is_native"]

_NATIVE = (dict, list, tuple, str, bytes, bytearray, memoryview, float, type(None))
_TAKEN = "dict, list, tuple, numbers, str, bytes, None, bool, datetime, numpy arrays and what is plainly one of these"
# Of modules that need not be loaded: a user that has such a value has loaded them.
_TEXTS = (("uuid", "UUID"), ("pathlib", "PurePath"), ("collections", "UserString"))
_EXACT_OR_NEAR = "publish str(value), which is exact, or float(value)"
_ADVICE = (
    ("decimal", "Decimal", _EXACT_OR_NEAR),
    ("fractions", "Fraction", _EXACT_OR_NEAR),
    ("builtins", "complex", "publish [value.real, value.imag]"),
    ("pydantic", "BaseModel", "publish value.model_dump()"),
)


def is_native(value: object) -> bool:
    """Tell whether msgpack knows a value, or what is in it, by itself."""
    if isinstance(value, int):
        return -(2**63) <= value < 2**64
    return isinstance(value, _NATIVE) or (type(value) is datetime and value.tzinfo is not None)


def form_of(value: Any) -> Any:
    """Return what stands for a value that is not native; what is in it may need a form of its own.

    Raises:
        TypeError: nothing obvious does; the text says what to publish instead.
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime) and value.tzinfo is not None:
        return datetime.combine(value.date(), value.timetz())
    if is_dataclass(value) and not isinstance(value, type):
        import dataclasses

        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if any(_is_one(value, module, name) for module, name in _TEXTS):
        return str(value)
    if _is_one(value, "array", "array"):
        return value.tounicode() if value.typecode in "uw" else value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (Sequence, Set, ValuesView)):  # a deque, a range, dict.keys() and such
        return list(value)
    raise TypeError(_refusal(value))


def _is_one(value: object, module: str, name: str) -> bool:
    found = getattr(sys.modules.get(module), name, None)
    return isinstance(found, type) and isinstance(value, found)


def _refusal(value: Any) -> str:
    name = type(value).__name__
    if isinstance(value, int):
        bits = value.bit_length() + (value < 0)
        shown = f"{value} has" if bits <= 128 else f"this {name} has"
        return (
            f"{shown} {bits} bits; MsgPack carries whole numbers from -2**63 to 2**64 - 1. "
            "Publish str(value), hex(value) or float(value)"
        )
    if isinstance(value, datetime):
        return f"a {name} without a time zone says no moment; use datetime.now(timezone.utc)"
    advice = _advice(value)
    return f"{name} is not something MsgPack can carry; " + (advice or f"it takes {_TAKEN}")


def _advice(value: Any) -> str:
    for module, name, advice in _ADVICE:
        if _is_one(value, module, name):
            return advice
    for matches, advice in _GUESSES:
        if matches(value):
            return advice
    return ""


_GUESSES: tuple[tuple[Callable[[Any], bool], str], ...] = (
    (lambda value: isinstance(value, timedelta), "publish its seconds: value.total_seconds()"),
    (lambda value: isinstance(value, (date, time)), "publish value.isoformat()"),
    (lambda value: isinstance(value, Iterator), "publish list(value)"),
    (lambda value: isinstance(value, type) or callable(value), ""),
    (lambda value: hasattr(value, "__array__"), "publish numpy.asarray(value)"),
    (lambda value: hasattr(value, "__float__"), "publish float(value)"),
    (lambda value: hasattr(value, "__dict__"), "publish a dict such as vars(value), or make its class a dataclass"),
)
