"""Which struct messages the compiled part encodes, and how it is told. Knows layouts and shapes; packs nothing itself.

Python's encoder is the specification: what the compiled part does not take, it passes to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .. import fast
from ..typed import Any
from .layout import Layout
from .nesting import leaves
from .shape import SCALARS, Shape

__all__ = ["plan_of"]

_CODES = frozenset("bBhHiIqQfd?s")

Run = tuple[str, bool, int, int, int]


def plan_of(header: bytes, layout: Layout, shape: Shape, encode: Callable[[Any], bytes]) -> Any:
    """Return what encodes the instances of a type faster than ``encode``, and passes to it what it does not take.

    Returns:
        A ``Plan`` of the compiled part; None where that is not there, or is not for such messages.
    """
    if fast.compiled is None or not layout.count or any(repeat.code[-1] not in _CODES for repeat in layout.repeats):
        return None
    if issubclass(shape.type, tuple) and shape.type.__iter__ is not tuple.__iter__:
        return None
    return fast.compiled.Plan(header, layout.size, tuple(_runs(layout, shape)), _fields(shape), shape.type, encode)


def _runs(layout: Layout, shape: Shape) -> Iterator[Run]:
    """Yield the values of one type that follow one another: code, whether big-endian, offset, width, number."""
    at, big = 0, layout.order == ">"
    for repeat in layout.repeats:
        code = repeat.code[-1]
        if code == "s":
            for n, field in enumerate(repeat.fields(), at):
                yield "t" if n in shape.texts else "s", False, field.offset, repeat.size, 1
        else:
            yield code, big, repeat.offset, repeat.size, repeat.number
        at += repeat.number


def _fields(shape: Shape) -> tuple[tuple[tuple[str, ...], int], ...] | None:
    """Return which attributes of an instance hold its values; None where it is the value, or has them as items."""
    if shape.parts:
        return tuple((tuple(name.split(".")), number) for name, number in leaves(shape.parts))
    if shape.kind in SCALARS or issubclass(shape.type, (tuple, list)):
        return None
    return tuple(((name,), 0) for name in shape.fields)
