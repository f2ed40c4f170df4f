"""Python types of struct messages. Knows how a type gives its values and is made of them; nothing of bytes or IDs.

===================  =================================  ==========================================================
kind                 its format                         what decodes
===================  =================================  ==========================================================
int, float, bool     one integer, float or ``?``        that value
bytes                one ``16s`` (or ``p``, ``c``)      all 16 bytes, the NULs that filled it up included
str                  one ``16s``                        the UTF-8 text before the first NUL
list, tuple          any                                a list or tuple of the values
named                any; one value for each field      the namedtuple, NamedTuple class or dataclass
===================  =================================  ==========================================================

A field annotated ``str`` is text in the same way; all other ``s`` fields are bytes.
"""

from __future__ import annotations

import dataclasses
import unicodedata
from collections.abc import Callable, Iterable
from functools import partial
from keyword import iskeyword
from operator import attrgetter
from typing import Any

from ..errors import SchemaError
from .layout import Layout

__all__ = ["MAX_FIELDS", "SCALARS", "SEQUENCES", "Shape", "check_name", "field_names", "shape_of"]

MAX_FIELDS = 1024
SCALARS: dict[str, type] = {"int": int, "float": float, "bool": bool, "bytes": bytes, "str": str}
SEQUENCES: dict[str, type] = {"list": list, "tuple": tuple}
_CODES = {"int": "bBhHiIqQ", "float": "efd", "bool": "?", "bytes": "csp", "str": "sp"}


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """How a type's instances become values and come out of them.

    Attributes:
        type: the type.
        kind: ``int``, ``float``, ``bool``, ``str``, ``bytes``, ``list``, ``tuple`` or ``named``.
        fields: the names of a named type, else empty.
        texts: which values are text (UTF-8) in ``s`` fields.
        spread: gives an instance's values; None where the instance is an iterable of them.
        make: makes an instance of a tuple of values.
    """

    type: type[Any]
    kind: str
    fields: tuple[str, ...]
    texts: frozenset[int]
    spread: Callable[[Any], Iterable[Any]] | None
    make: Callable[[tuple[Any, ...]], Any]


def shape_of(type_: object, layout: Layout, texts: Iterable[int] | None = None) -> Shape:
    """Look at a type, and whether the values of the layout fit it.

    Args:
        type_: int, float, bool, str, bytes, list, tuple, a namedtuple, a NamedTuple class or a dataclass.
        layout: what it is packed as.
        texts: which fields are text; None reads it from the annotations.

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
    if issubclass(type_, tuple) and hasattr(type_, "_fields"):
        return _namedtuple(type_, layout, texts)
    if dataclasses.is_dataclass(type_):
        return _dataclass(type_, layout)
    raise SchemaError(
        f"{name} is none of the types a message can have: "
        "int, float, bool, str, bytes, list, tuple, a namedtuple, a NamedTuple class, a dataclass"
    )


def field_names(type_: type) -> tuple[str, ...]:
    """Return the names of what a type carries, none for types without names."""
    if issubclass(type_, tuple):
        return tuple(getattr(type_, "_fields", ()))
    if dataclasses.is_dataclass(type_):
        return tuple(member.name for member in dataclasses.fields(type_) if member.init)
    return ()


def check_name(name: object) -> str:
    """Return the name of a type or field if named tuples can have it.

    Raises:
        SchemaError: not a str of 1 to 128 characters, not an identifier, a keyword, or one with a leading underscore.
    """
    if not isinstance(name, str) or not 0 < len(name) <= 128:
        raise SchemaError(f"a name is a str of 1 to 128 characters, got {name!r:.60}")
    if not name.isidentifier() or iskeyword(name) or name != unicodedata.normalize("NFKC", name):
        raise SchemaError(f"{name!r:.60} is not a name that a field can have")
    if name.startswith("_"):
        raise SchemaError(f"{name!r:.60} begins with an underscore, which fields of named tuples cannot")
    return name


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


def _namedtuple(type_: type, layout: Layout, texts: Iterable[int] | None) -> Shape:
    fields = tuple(type_._fields)  # type: ignore[attr-defined]
    _check_fields(type_, fields, layout)
    if texts is None:
        texts = _texts(fields, _annotations(type_), layout)
    own_new = type_.__mro__[type_.__mro__.index(tuple) - 1]
    plain = type_.__new__ is own_new.__new__ and type_.__init__ is tuple.__init__  # type: ignore[misc]
    # tuple.__new__ is what _make does, without a Python function around it; the count was checked above.
    make = partial(tuple.__new__, type_) if plain else partial(_call, type_)
    return Shape(type_, "named", fields, frozenset(texts), None, make)


def _dataclass(type_: type, layout: Layout) -> Shape:
    members = [member for member in dataclasses.fields(type_) if member.init]
    fields = tuple(member.name for member in members)
    _check_fields(type_, fields, layout)
    texts = _texts(fields, {member.name: member.type for member in members}, layout)
    by_name = any(member.kw_only for member in members)
    make = partial(_call_by_name, type_, fields) if by_name else partial(_call, type_)
    spread: Callable[[Any], Iterable[Any]]
    if not fields:
        spread = _nothing
    elif len(fields) == 1:
        spread = partial(_only, attrgetter(fields[0]))
    else:
        spread = attrgetter(*fields)
    return Shape(type_, "named", fields, frozenset(texts), spread, make)


def _check_fields(type_: type, fields: tuple[str, ...], layout: Layout) -> None:
    if len(fields) > MAX_FIELDS:
        raise SchemaError(f"{type_.__name__} has {len(fields)} fields; {MAX_FIELDS} are allowed")
    for name in fields:
        check_name(name)
    if len(fields) != layout.count:
        raise SchemaError(
            f"{type_.__name__} has {len(fields)} fields ({', '.join(fields):.200}), "
            f"format {layout.format!r:.60} has {layout.count} values"
        )


def _annotations(type_: type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for base in reversed(type_.__mro__):
        try:
            found.update(getattr(base, "__annotations__", {}))
        except NameError:  # Python 3.14 looks names up late, and one of them is not there
            continue
    return found


def _texts(fields: tuple[str, ...], annotations: dict[str, Any], layout: Layout) -> list[int]:
    texts = [n for n, name in enumerate(fields) if _is_str(annotations.get(name))]
    values = tuple(layout.fields()) if texts else ()
    for n in texts:
        if values[n].code[-1] not in "sp":
            raise SchemaError(
                f"field {fields[n]} is annotated str, format {layout.format!r} has {values[n].type} there"
            )
    return texts


def _is_str(annotation: object) -> bool:
    """Tell whether it is str, or ``"str"`` as it is under ``from __future__ import annotations``."""
    return getattr(annotation, "__forward_arg__", annotation) in (str, "str")


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


def _call(type_: type, values: tuple[Any, ...]) -> Any:
    return type_(*values)


def _call_by_name(type_: type, fields: tuple[str, ...], values: tuple[Any, ...]) -> Any:
    return type_(**dict(zip(fields, values, strict=True)))
