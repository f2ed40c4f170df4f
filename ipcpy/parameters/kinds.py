"""What a parameter may be: the kind of its default, which each of its values has to have. Pure: knows Python's values;
nothing of who sets them.

===========================  =======================================================================================
default                      values
===========================  =======================================================================================
``True``                     ``bool``: True or False, and no number
``1``                        ``int``: a whole number of 64 bits
``1.0``                      ``float``: a number; whole ones become floats
``"auto"``                   ``str``
``[1.0, 2.0]``               ``list[float]``: any number of items of that kind
``(640, 480)``               ``tuple[int, int]``: as many items as here, each of its own kind
``[]``                       ``list``: any of these
===========================  =======================================================================================
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..errors import ArgumentError

__all__ = ["Kind", "check_name", "kind_of", "plain"]

WHOLE = range(-(1 << 63), 1 << 63)  # what msgpack and TOML both hold
ITEMS = 10_000  # of a list, its lists included
DEPTH = 20  # lists in lists


class Kind(NamedTuple):
    """A kind of values.

    Attributes:
        text: how it is written, such as ``list[float]``.
        take: returns a value as one of this kind, plain; raises ValueError if it is none.
    """

    text: str
    take: Callable[[Any], Any]


def check_name(name: object, taken: frozenset[str]) -> str:
    """Return the name of a parameter, if it is one.

    Args:
        taken: names that it cannot have.

    Raises:
        ArgumentError: it is none.
    """
    if not isinstance(name, str) or not name.isidentifier() or name.startswith("_"):
        raise ArgumentError(f"a parameter's name is one of a variable, such as 'gain', got {name!r}")
    if name in taken:
        raise ArgumentError(f"no parameter can be called {name!r}: that is what Parameters themselves have")
    return name


def kind_of(name: str, default: Any) -> Kind:
    """Return the kind of a parameter with this default.

    Raises:
        ArgumentError: there is no such kind.
    """
    try:
        return _kind(default, 0)
    except ValueError as error:
        wanted = "says of which kind its values are: a bool, int, float, str, list or tuple"
        raise ArgumentError(f"the default of {name!r} {wanted}; {error}") from None


def _kind(default: Any, depth: int) -> Kind:
    for kind in _SINGLE:
        try:
            kind.take(default)
        except ValueError:
            if kind.text == "int" and isinstance(default, numbers.Integral) and not isinstance(default, bool):
                raise ValueError(f"got {default!r:.80}, which has more than 64 bits") from None
            continue
        return kind
    if not isinstance(default, list | tuple):
        raise ValueError(f"got {default!r:.80}")
    if depth >= DEPTH:
        raise ValueError(f"got more than {DEPTH} lists in lists")
    kinds = [_kind(item, depth + 1) for item in default]
    return _tuple_of(kinds) if isinstance(default, tuple) else _list_of(kinds)


def _take_bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"got {value!r:.80}")
    return value


def _take_int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or int(value) not in WHOLE:
        raise ValueError(f"got {value!r:.80}")
    return int(value)


def _take_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ValueError(f"got {value!r:.80}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"got {value!r:.80}") from None


def _take_str(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"got {value!r:.80}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"got {value!r:.80}, which is no Unicode") from None
    return str(value)


_SINGLE = (Kind("bool", _take_bool), Kind("int", _take_int), Kind("float", _take_float), Kind("str", _take_str))


def _tuple_of(kinds: list[Kind]) -> Kind:
    def take(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple) or len(value) != len(kinds):
            raise ValueError(f"got {value!r:.80}")
        return tuple(kind.take(item) for kind, item in zip(kinds, value, strict=True))

    return Kind(f"tuple[{', '.join(kind.text for kind in kinds)}]", take)


def _list_of(kinds: list[Kind]) -> Kind:
    found = {kind.text: kind for kind in kinds}
    if found.keys() == {"int", "float"}:
        del found["int"]
    if len(found) > 1:
        raise ValueError(f"the items of a list are of one kind, got {' and '.join(found)}: take a tuple")
    kind = next(iter(found.values()), Kind("", plain))

    def take(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple) or len(value) > ITEMS:
            raise ValueError(f"got {value!r:.80}")
        return [kind.take(item) for item in value]

    return Kind(f"list[{kind.text}]" if kind.text else "list", take)


def plain(value: Any, depth: int = 0) -> Any:
    """Return a value that may be one of a parameter, whatever its kind; a tuple as a list, as it travels.

    Raises:
        ValueError: no parameter can have it.
    """
    if isinstance(value, list | tuple):
        if depth >= DEPTH:
            raise ValueError(f"got more than {DEPTH} lists in lists")
        if len(value) > ITEMS:
            raise ValueError(f"got more than {ITEMS:,} items")
        return [plain(item, depth + 1) for item in value]
    return _kind(value, DEPTH).take(value)


def take_all(name: str, kinds: Mapping[str, Kind], changes: object) -> dict[str, Any]:
    """Return changes as values of their kinds.

    Args:
        name: of the parameters, for errors.
        kinds: of each parameter.
        changes: what is to be changed, by name.

    Raises:
        ArgumentError: a parameter is not there, or a value is of another kind.
    """
    if not isinstance(changes, Mapping):
        raise ArgumentError(f"parameters are set by a dict such as {{'gain': 2.0}}, got {changes!r:.80}")
    taken = {}
    for key, value in changes.items():
        kind = kinds.get(key) if isinstance(key, str) else None
        if kind is None:
            raise ArgumentError(f"{name} has no parameter {key!r:.80}; it has {', '.join(kinds)}")
        try:
            taken[key] = kind.take(value)
        except ValueError as error:
            raise ArgumentError(f"{key} of {name} is of the kind {kind.text}, {error}") from None
    return taken
