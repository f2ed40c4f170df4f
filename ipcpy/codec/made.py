"""Types made at run time, for subscribers without a library. Knows names and fields; nothing of formats or schemas.

A type that no module has cannot be found again by its name. So ``made_type`` makes one named tuple for one name with
one list of fields, and pickle is told how to ask for it: a message that was received can be copied, put into a queue of
multiprocessing and read by another program.
"""

from __future__ import annotations

import copyreg
from collections import namedtuple
from weakref import WeakValueDictionary

from ..typed import Any

__all__ = ["made_type"]


class _Made(type):
    """The type of made types, by which pickle tells them from those that a module has."""


_known: WeakValueDictionary[tuple[str, tuple[str, ...]], type[Any]] = WeakValueDictionary()


def made_type(name: str, fields: tuple[str, ...]) -> type[Any]:
    """Return the named tuple type of that name with those fields: the same one while anybody has it.

    Args:
        name: its name, which ``check_name`` took, as each of the fields.
        fields: its fields; may be none.

    >>> made_type("Imu", ("x", "y")) is made_type("Imu", ("x", "y"))
    True
    """
    key = (name, fields)
    found = _known.get(key)
    if found is None:
        # setdefault, for another thread may have been faster
        found = _known.setdefault(key, _Made(name, (namedtuple(name, fields),), {"__slots__": ()}))
    return found


def _reduce(type_: Any) -> tuple[Any, tuple[str, tuple[str, ...]]]:
    return made_type, (type_.__name__, type_._fields)


copyreg.pickle(_Made, _reduce)
