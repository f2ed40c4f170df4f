"""The fields of a type: their names, what they are annotated as, and how an instance is made of them.

Knows Python's named tuples, dataclasses and annotations; nothing of formats or bytes.
"""

from __future__ import annotations

import collections.abc
import sys
import types
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from keyword import iskeyword

from ..errors import SchemaError
from ..records import is_dataclass
from ..typed import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it, dataclasses and inspect take 10 ms to import: what needs them does so itself
    import ast

__all__ = ["annotations_of", "array_kind", "check_name", "field_names", "is_text", "maker", "nested_type"]

_MAX_NAME = 128  # characters


def field_names(type_: type) -> tuple[str, ...]:
    """Return the names of what a type carries, none for types without names."""
    if issubclass(type_, tuple):
        return tuple(getattr(type_, "_fields", ()))
    if is_dataclass(type_):
        import dataclasses

        return tuple(member.name for member in dataclasses.fields(type_) if member.init)
    return ()


def check_name(name: object) -> str:
    """Return the name of a type or field if named tuples can have it.

    Raises:
        SchemaError: not a str of 1 to 128 characters, not an identifier, a keyword, or one with a leading underscore.
    """
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME:
        raise SchemaError(f"a name is a str of 1 to {_MAX_NAME} characters, got {name!r:.60}")
    if not name.isidentifier() or iskeyword(name) or name != unicodedata.normalize("NFKC", name):
        raise SchemaError(f"{name!r:.60} is not a name that a field can have")
    if name.startswith("_"):
        raise SchemaError(f"{name!r:.60} begins with an underscore, which fields of named tuples cannot")
    return name


# -- how an instance is made -------------------------------------------------------------------------------------------


def maker(type_: type[Any]) -> Callable[[Iterable[Any]], Any]:
    """Return what makes an instance of its fields' values.

    Raises:
        SchemaError: the type wants something besides, such as an InitVar: nothing that arrives could be made one.
    """
    fields = field_names(type_)
    if issubclass(type_, tuple):
        own_new = type_.__mro__[type_.__mro__.index(tuple) - 1]
        if type_.__new__ is own_new.__new__ and type_.__init__ is tuple.__init__:  # type: ignore[comparison-overlap]
            # tuple.__new__ is what _make does, without a Python function around it; who calls has counted the values
            return partial(tuple.__new__, type_)
    taken = _parameters(type_)
    wanted = [name for name, needed in taken.items() if needed and name not in fields]
    if wanted:
        raise SchemaError(
            f"{type_.__name__} cannot be made of its fields alone: it also wants {', '.join(wanted):.200}. "
            "Give that a default value (an InitVar is no field)"
        )
    in_order = not taken or tuple(taken)[: len(fields)] == fields
    by_name = any(member.kw_only for member in getattr(type_, "__dataclass_fields__", {}).values())
    return partial(_call_by_name, type_, fields) if by_name or not in_order else partial(_call, type_)


def _parameters(type_: type) -> dict[str, bool]:
    """Return what a type can be called with, and whether it has to be; empty where that cannot be told."""
    import inspect

    try:
        parameters = inspect.signature(type_).parameters.values()
    except (ValueError, TypeError):
        return {}
    if any(parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) for parameter in parameters):
        return {}
    return {parameter.name: parameter.default is parameter.empty for parameter in parameters}


def _call(type_: type, values: Iterable[Any]) -> Any:
    return type_(*values)


def _call_by_name(type_: type, fields: tuple[str, ...], values: Iterable[Any]) -> Any:
    return type_(**dict(zip(fields, values, strict=True)))


# -- what the fields are annotated as ----------------------------------------------------------------------------------


def annotations_of(type_: type) -> dict[str, Any]:
    """Return what each field is annotated as: evaluated, or as it was written where a name in it is not there."""
    found: dict[str, Any] = {}
    for base in reversed(type_.__mro__):
        try:
            annotations = getattr(base, "__annotations__", {})
        except NameError:  # Python 3.14 looks names up late, and one of them is not there
            continue
        names = (vars(sys.modules.get(base.__module__, sys)), dict(vars(base)))
        found.update((name, _evaluated(annotation, *names)) for name, annotation in annotations.items())
    return found


def _evaluated(annotation: Any, there: dict[str, Any], here: dict[str, Any]) -> Any:
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation

    from typing import get_type_hints

    def holder() -> None: ...

    holder.__annotations__ = {"it": annotation}
    try:
        return get_type_hints(holder, there, here)["it"]
    except Exception:  # whatever evaluating somebody's words may raise
        return getattr(annotation, "__forward_arg__", annotation)


def _kinds_of(annotation: Any) -> list[Any]:
    """Return the classes that an annotation allows, looking into unions, Annotated, NewType and aliases; None left out.

    What could not be evaluated is looked at as it is written: of ``"str | None"`` it is ``[str]``, of other names text.
    """
    if isinstance(annotation, str):
        return list(_written(annotation))
    if hasattr(annotation, "__supertype__"):  # a NewType
        return _kinds_of(annotation.__supertype__)
    if hasattr(annotation, "__value__") and not isinstance(annotation, type):  # type Name = str, from Python 3.12 on
        return _kinds_of(annotation.__value__)
    import typing

    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _kinds_of(typing.get_args(annotation)[0])
    if origin is typing.Literal:
        return [type(value) for value in typing.get_args(annotation) if value is not None]
    if origin in (typing.Union, types.UnionType):
        return [kind for part in typing.get_args(annotation) for kind in _kinds_of(part)]
    if annotation is None or annotation is type(None):
        return []
    return [origin or annotation]


def is_text(annotation: Any) -> bool:
    """Tell whether it allows text and nothing else, but perhaps None."""
    kinds = _kinds_of(annotation)
    return bool(kinds) and all(isinstance(kind, type) and issubclass(kind, str) for kind in kinds)


def array_kind(annotation: Any) -> type | None:
    """Return list, tuple or numpy's ndarray where it is one of these; tuple for any other sequence; else None."""
    kinds = [kind for kind in _kinds_of(annotation) if isinstance(kind, type)]
    if len(kinds) != 1 or _is_named(kinds[0]):
        return None
    kind: type = kinds[0]
    if kind in (list, tuple) or (kind.__name__ == "ndarray" and kind.__module__ == "numpy"):
        return kind
    is_sequence = kind in (Sequence, Iterable, collections.abc.Collection)
    return tuple if is_sequence or kind.__module__ == "array" else None


def nested_type(annotation: Any) -> type | None:
    """Return the one named tuple or dataclass that it allows; else None."""
    kinds = _kinds_of(annotation)
    return kinds[0] if len(kinds) == 1 and _is_named(kinds[0]) else None


def _is_named(type_: object) -> bool:
    if not isinstance(type_, type):
        return False
    return (issubclass(type_, tuple) and hasattr(type_, "_fields")) or is_dataclass(type_)


def _written(text: str) -> Iterator[Any]:
    import ast

    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return
    yield from _written_in(tree)


def _written_in(tree: ast.expr) -> Iterator[Any]:
    import ast

    match tree:
        case ast.Constant(value=None):
            return
        case ast.Constant(value=str() as text):
            yield from _written(text)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield from _written_in(left)
            yield from _written_in(right)
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name), slice=inner):
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            if name in ("Optional", "Union"):
                for part in parts:
                    yield from _written_in(part)
            elif name == "Annotated":
                yield from _written_in(parts[0])
            else:
                yield name
        case ast.Name(id=name) | ast.Attribute(attr=name):
            yield str if name == "str" else name
        case _:
            yield "?"
