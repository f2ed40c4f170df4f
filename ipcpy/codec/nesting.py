"""Fields that hold several values: nested types and arrays. Knows how the fields of a type share out a format's values,
and how an instance becomes those values and is made of them; nothing of IDs, bytes or whole messages.

With ``class Vec(NamedTuple): x: float; y: float; z: float``

================  ===================================================  ===========================================
format            fields                                               what they hold
================  ===================================================  ===========================================
``<3f3f``         ``linear: Vec, angular: Vec``                        a Vec each, of three values
``<d3f9f``        three, whatever they are annotated as                a number, a tuple of three, a tuple of nine
``<3f9f``         ``at: Vec, covariance: list[float]``                 a Vec, a list of nine
================  ===================================================  ===========================================

An array is a tuple, or the list or numpy array that the field is annotated as.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from operator import attrgetter, itemgetter

from ..errors import CodecError, SchemaError
from ..records import dataclass, field, replace
from ..typed import Any
from .fields import annotations_of, array_kind, check_name, field_names, is_text, maker, nested_type
from .layout import Layout
from .made import made_type

__all__ = [
    "MAX_FIELDS",
    "Part",
    "describe",
    "flatten",
    "is_flat",
    "maker_of",
    "outline",
    "parse_parts",
    "parts_of",
    "spreader",
    "text_values",
    "value_names",
]

MAX_FIELDS = 1024
_MAX_DEPTH = 8  # types in types


@dataclass(frozen=True, slots=True)
class Part:
    """One field.

    Attributes:
        name: its name.
        number: how many values an array has; 0 for a value by itself, and for a nested type.
        type: the name of a nested type, else empty.
        parts: the fields of a nested type.
        made: our nested type, or what an array is made as; None takes a named tuple made for it, or a tuple.
        text: whether the value is text.
    """

    name: str
    number: int = 0
    type: str = ""
    parts: tuple[Part, ...] = ()
    made: Any = field(default=None, compare=False)
    text: bool = field(default=False, compare=False)

    @property
    def count(self) -> int:
        """How many values of the format it takes."""
        return sum(part.count for part in self.parts) if self.type else self.number or 1


# -- who gets which values ---------------------------------------------------------------------------------------------


def parts_of(type_: type, layout: Layout) -> tuple[Part, ...]:
    """Share out the values of a layout to the fields of a named type, and to those of nested types.

    Raises:
        SchemaError: they do not come out even, or a name or the depth is one that cannot travel.
    """
    tree = _tree(type_, 1)
    leaves = list(_leaves(tree))
    numbers = _numbers(leaves, layout)
    if numbers is None:
        names = ", ".join(value_names(tree))
        groups = f" in {len(layout.groups)} groups" if len(layout.groups) != layout.count else ""
        raise SchemaError(
            f"{type_.__name__} has {len(leaves)} fields ({names:.200}), "
            f"format {layout.format!r:.60} has {layout.count} values{groups}{_unresolved(type_)}"
        )
    return _numbered(tree, iter(numbers))


def _tree(type_: type, depth: int) -> tuple[Part, ...]:
    names = field_names(type_)
    if len(names) > MAX_FIELDS:
        raise SchemaError(f"{type_.__name__} has {len(names)} fields; {MAX_FIELDS} are allowed")
    annotations = annotations_of(type_)
    parts = []
    for name in map(check_name, names):
        annotation = annotations.get(name)
        nested = nested_type(annotation)
        if nested is None:
            parts.append(Part(name, made=array_kind(annotation), text=is_text(annotation)))
            continue
        if depth == _MAX_DEPTH:
            raise SchemaError(f"{nested.__name__} is nested deeper than {_MAX_DEPTH} levels, or contains itself")
        parts.append(Part(name, 0, check_name(nested.__name__), _tree(nested, depth + 1), nested))
    return tuple(parts)


def _leaves(parts: Iterable[Part]) -> Iterator[Part]:
    for part in parts:
        if part.type:
            yield from _leaves(part.parts)
        else:
            yield part


def _numbers(leaves: list[Part], layout: Layout) -> list[int] | None:
    """Return how many values each field takes as an array, 0 for one by itself; None where they do not fit.

    One value each, or one group of the format each (``3f`` is one); else by what they are annotated as.
    """
    if len(leaves) == layout.count:
        return [0] * len(leaves)
    if len(leaves) == len(layout.groups):
        return [0 if number == 1 else number for number in layout.groups]
    numbers = []
    groups, left = iter(layout.groups), 0
    for leaf in leaves:
        whole = left == 0
        left = left or next(groups, 0)
        if not left or (leaf.made and not whole):
            return None
        numbers.append(left if leaf.made else 0)
        left = 0 if leaf.made else left - 1
    return None if left or next(groups, 0) else numbers


def _numbered(parts: tuple[Part, ...], numbers: Iterator[int]) -> tuple[Part, ...]:
    return tuple(
        replace(part, parts=_numbered(part.parts, numbers)) if part.type else replace(part, number=next(numbers))
        for part in parts
    )


def _unresolved(type_: type) -> str:
    for name, annotation in annotations_of(type_).items():
        if isinstance(annotation, str) and not is_text(annotation):
            return f"; what {name} is annotated as, {annotation!r:.60}, is not there to look at"
    return ""


def is_flat(parts: Iterable[Part]) -> bool:
    """Tell whether each field is one value."""
    return not any(part.type or part.number for part in parts)


def text_values(parts: Iterable[Part]) -> Iterator[int]:
    """Yield the positions of the values whose fields are annotated as text."""
    at = 0
    for leaf in _leaves(parts):
        if leaf.text:
            yield at
        at += leaf.count


def value_names(parts: Iterable[Part], before: str = "") -> Iterator[str]:
    """Yield a name for each value: ``linear.x``, ``covariance[8]``; of what is not shared out, for each field."""
    for part in parts:
        name = f"{before}{part.name}"
        if part.type:
            yield from value_names(part.parts, f"{name}.")
        elif part.number:
            yield from (f"{name}[{n}]" for n in range(part.number))
        else:
            yield name


def outline(parts: Iterable[Part]) -> tuple[object, ...]:
    """Return what is equal for parts that have the same names and take the same values, whatever their types."""
    return tuple((part.name, part.number, outline(part.parts) if part.type else None) for part in parts)


# -- instances and values ----------------------------------------------------------------------------------------------


def spreader(parts: tuple[Part, ...]) -> Callable[[Any], Iterable[Any]]:
    """Return what gives the values of an instance by its attributes; AttributeError or CodecError where it is none."""
    fields = list(leaves(parts))
    if not any(number for _, number in fields) and len(fields) > 1:
        return attrgetter(*(name for name, _ in fields))
    getters = [(attrgetter(name), number, name) for name, number in fields]

    def spread(instance: Any) -> list[Any]:
        values: list[Any] = []
        for get, number, name in getters:
            item = get(instance)
            if not number:
                values.append(item)
            elif type(item) in (tuple, list) and len(item) == number:
                values += item
            else:
                values += _array(number, item, f"field {name}")
        return values

    return spread


def flatten(parts: tuple[Part, ...], data: Any, label: str) -> list[Any]:
    """Return the values of an instance, a mapping, or a list or tuple of what the fields hold; so for nested types.

    Raises:
        CodecError: it is none of these, or an array has another length; ``label`` stands before what is wrong.
    """
    return list(_values(parts, data, label, ""))


def leaves(parts: Iterable[Part], before: str = "") -> Iterator[tuple[str, int]]:
    """Yield the fields that hold values, of nested types too: each with its dotted path, and its length or 0."""
    for part in parts:
        if part.type:
            yield from leaves(part.parts, f"{before}{part.name}.")
        else:
            yield before + part.name, part.number


def _values(parts: tuple[Part, ...], data: Any, label: str, path: str) -> Iterator[Any]:
    for part, item in zip(parts, _items(parts, data, label, path), strict=True):
        name = f"{path}{part.name}"
        if part.type:
            yield from _values(part.parts, item, label, f"{name}.")
        elif part.number:
            yield from _array(part.number, item, f"{label}, field {name}")
        else:
            yield item


def _items(parts: tuple[Part, ...], data: Any, label: str, path: str) -> list[Any]:
    names = [part.name for part in parts]
    place = f"{label}, field {path[:-1]}" if path else label
    if isinstance(data, Mapping):
        missing, unknown = [name for name in names if name not in data], [name for name in data if name not in names]
        if missing or unknown:
            has = f"has the fields {', '.join(names):.200}"
            raise CodecError(f"{place} {has}; missing: {missing!r:.200}, unknown: {unknown!r:.200}")
        return [data[name] for name in names]
    if isinstance(data, (list, tuple)) and not hasattr(data, "_fields"):
        if len(data) != len(names):
            raise CodecError(f"{place} takes {len(names)} values ({', '.join(names):.200}), got {len(data)}")
        return list(data)
    try:
        return [getattr(data, name) for name in names]
    except AttributeError:
        wanted = f"expected an object, mapping, list or tuple with {', '.join(names):.200}"
        raise CodecError(f"{place}: {wanted}, got {type(data).__name__}") from None


def _array(number: int, item: Any, place: str) -> Any:
    try:
        values = item.ravel().tolist() if hasattr(item, "ravel") else None if isinstance(item, str) else list(item)
    except TypeError:
        values = None
    if values is None or len(values) != number:
        got = type(item).__name__ if values is None else str(len(values))
        raise CodecError(f"{place}: expected {number} values, got {got}")
    return values


def maker_of(parts: tuple[Part, ...], type_: type, layout: Layout, start: int = 0) -> Callable[[tuple[Any, ...]], Any]:
    """Return what makes an instance of a type of the values of a message.

    Args:
        parts: the type's fields.
        type_: the type.
        layout: the message's values.
        start: the position of the first one that is the type's.
    """
    make = maker(type_)
    if is_flat(parts):
        cut = slice(start, start + len(parts))
        return lambda values: make(values[cut])
    pieces = []
    for part in parts:
        pieces.append(_piece(part, layout, start))
        start += part.count
    return lambda values: make([piece(values) for piece in pieces])


def _piece(part: Part, layout: Layout, start: int) -> Callable[[tuple[Any, ...]], Any]:
    cut = slice(start, start + part.count)
    if part.type:
        type_ = part.made or made_type(part.type, tuple(inner.name for inner in part.parts))
        return maker_of(part.parts, type_, layout, start)
    if not part.number:
        return itemgetter(start)
    if part.made is None or part.made is tuple:
        return itemgetter(cut)
    if part.made is list:
        return lambda values: list(values[cut])
    code = next(islice(layout.fields(), start, None)).code

    def array(values: tuple[Any, ...]) -> Any:
        import numpy as np  # the field is annotated as one of its arrays

        return np.array(values[cut], code)  # numpy has struct's letters for numbers

    return array


# -- as they travel ----------------------------------------------------------------------------------------------------


def describe(parts: Iterable[Part]) -> list[Any]:
    """Return what JSON can hold and ``parse_parts`` reads."""
    return [
        [part.name, part.type, describe(part.parts)]
        if part.type
        else [part.name, part.number]
        if part.number
        else part.name
        for part in parts
    ]


def parse_parts(told: object, depth: int = 1) -> tuple[Part, ...]:
    """Read fields that came from another machine.

    Raises:
        SchemaError: they are wrong, more than allowed, or nested too deep.
    """
    if not isinstance(told, (list, tuple)) or len(told) > MAX_FIELDS or depth > _MAX_DEPTH:
        raise SchemaError(f"nested fields are lists of at most {MAX_FIELDS} fields and {_MAX_DEPTH} levels")
    parts = tuple(_parse_part(part, depth) for part in told)
    if len({part.name for part in parts}) != len(parts):
        raise SchemaError("two fields have one name")
    return parts


def _parse_part(told: object, depth: int) -> Part:
    match told:
        case [name, int(number)] if type(number) is int and 0 < number <= 0xFFFF:
            return Part(check_name(name), number)
        case [name, str(type_), inner]:
            return Part(check_name(name), 0, check_name(type_), parse_parts(inner, depth + 1))
        case str():
            return Part(check_name(told))
    raise SchemaError(f"a nested field is a name, [name, number] or [name, type, fields], got {told!r:.60}")
