"""Python types of struct messages. Knows how a type gives its values and is made of them; nothing of bytes or IDs.

===================  =================================  ==========================================================
kind                 its format                         what decodes
===================  =================================  ==========================================================
int, float, bool     one integer, float or ``?``        that value
bytes                one ``16s`` (or ``p``, ``c``)      all 16 bytes, the NULs that filled it up included
str                  one ``16s``                        the UTF-8 text before the first NUL
list, tuple          any                                a list or tuple of the values
named                any; see ``nesting.py``            the namedtuple, NamedTuple class or dataclass
===================  =================================  ==========================================================

A field annotated ``str`` (or ``str | None``, ``Annotated[str, ...]``) is text in the same way; all other ``s`` fields
are bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from operator import attrgetter

from ..errors import SchemaError
from ..records import dataclass, is_dataclass
from ..typed import Any
from .fields import field_names, maker
from .layout import Layout
from .nesting import Part, is_flat, maker_of, parts_of, spreader, text_values, value_names

__all__ = ["SCALARS", "SEQUENCES", "Shape", "shape_of"]

SCALARS: dict[str, type] = {"int": int, "float": float, "bool": bool, "bytes": bytes, "str": str}
SEQUENCES: dict[str, type] = {"list": list, "tuple": tuple}
_CODES = {"int": "bBhHiIqQ", "float": "efd", "bool": "?", "bytes": "csp", "str": "sp"}


@dataclass(frozen=True, slots=True)
class Shape:
    """How a type's instances become values and come out of them.

    Attributes:
        type: the type.
        kind: ``int``, ``float``, ``bool``, ``str``, ``bytes``, ``list``, ``tuple`` or ``named``.
        fields: the names of a named type, else empty.
        texts: which values are text (UTF-8) in ``s`` fields.
        spread: gives an instance's values; None where the instance is an iterable of them.
        make: makes an instance of a tuple of values.
        parts: how the values are shared out to the fields; empty where each field has one.
    """

    type: type[Any]
    kind: str
    fields: tuple[str, ...]
    texts: frozenset[int]
    spread: Callable[[Any], Iterable[Any]] | None
    make: Callable[[tuple[Any, ...]], Any]
    parts: tuple[Part, ...] = ()

    def place(self, n: int, count: int) -> str:
        """Name a value of ``count``, for errors."""
        if self.parts:
            return f"field {list(value_names(self.parts))[n]}"
        return f"field {self.fields[n]}" if self.fields else f"value {n + 1} of {count}"


def shape_of(
    type_: object, layout: Layout, texts: Iterable[int] | None = None, parts: tuple[Part, ...] | None = None
) -> Shape:
    """Look at a type, and whether the values of the layout fit it.

    Args:
        type_: int, float, bool, str, bytes, list, tuple, a namedtuple, a NamedTuple class or a dataclass.
        layout: what it is packed as.
        texts: which values are text; None reads it from the annotations.
        parts: how the values are shared out to the fields; None looks at the type.

    Raises:
        SchemaError: another type, or one that does not fit the layout.
    """
    if not isinstance(type_, type):
        raise SchemaError(f"expected a type such as int, a namedtuple or a dataclass, got {type_!r:.60}")
    name = type_.__name__
    if SCALARS.get(name) is type_:
        return _scalar(name, type_, layout)
    if SEQUENCES.get(name) is type_:
        make: Callable[[Any], Any] = list if type_ is list else _same
        return Shape(type_, name, (), frozenset(), None, make)
    if (issubclass(type_, tuple) and hasattr(type_, "_fields")) or is_dataclass(type_):
        return _named(type_, layout, texts, parts_of(type_, layout) if parts is None else parts)
    raise SchemaError(
        f"{name} is none of the types a message can have: "
        "int, float, bool, str, bytes, list, tuple, a namedtuple, a NamedTuple class, a dataclass"
    )


def _scalar(kind: str, type_: type, layout: Layout) -> Shape:
    if layout.count != 1:
        raise SchemaError(
            f"{kind} is one value, format {layout.format!r} has {layout.count}; use tuple or a namedtuple"
        )
    repeat = layout.repeats[0]
    if repeat.code[-1] not in _CODES[kind]:
        raise SchemaError(f"{kind} does not fit format {layout.format!r}, which is {repeat.type}")
    texts = frozenset((0,) if type_ is str else ())
    return Shape(type_, kind, (), texts, _wrap, _first)


def _named(type_: type, layout: Layout, texts: Iterable[int] | None, parts: tuple[Part, ...]) -> Shape:
    texts = _texts(parts, layout) if texts is None else texts
    fields = field_names(type_)
    if is_flat(parts):
        spread = None if issubclass(type_, tuple) else _attributes(fields)
        return Shape(type_, "named", fields, frozenset(texts), spread, maker(type_))
    return Shape(type_, "named", fields, frozenset(texts), spreader(parts), maker_of(parts, type_, layout), parts)


def _attributes(fields: tuple[str, ...]) -> Callable[[Any], Iterable[Any]]:
    if not fields:
        return _nothing
    if len(fields) == 1:
        return partial(_only, attrgetter(fields[0]))
    return attrgetter(*fields)


def _texts(parts: tuple[Part, ...], layout: Layout) -> list[int]:
    texts = list(text_values(parts))
    values, names = (tuple(layout.fields()), tuple(value_names(parts))) if texts else ((), ())
    for n in texts:
        if values[n].code[-1] not in "sp":
            raise SchemaError(f"field {names[n]} is annotated str, format {layout.format!r} has {values[n].type} there")
    return texts


def _same(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return values


def _first(values: tuple[Any, ...]) -> Any:
    return values[0]


def _wrap(value: Any) -> tuple[Any]:
    return (value,)


def _nothing(_instance: Any) -> tuple[()]:
    return ()


def _only(get: Callable[[Any], Any], instance: Any) -> tuple[Any]:
    return (get(instance),)
