"""What annotations take from ``typing``, without its import. Knows names; nothing of types.

``typing`` takes 6 ms to import, and each of its generic classes and protocols makes metaclasses work. Annotations here
are never evaluated, so stand-ins do where a program starts, and type checkers are shown the originals. Modules that are
not imported with a Publisher and a Subscriber take ``typing`` itself, and so does who wants more of it than this.
"""

from __future__ import annotations

__all__ = [
    "IO",
    "TYPE_CHECKING",
    "Any",
    "BinaryIO",
    "Generic",
    "Literal",
    "NoReturn",
    "Protocol",
    "Self",
    "TypeVar",
    "cast",
]

TYPE_CHECKING = False  # type checkers know the name, and take it for true


class _Subscripted:
    """What stands for a type in brackets, or for one that takes some."""

    __slots__ = ()

    def __class_getitem__(cls, parameters: object) -> type:
        return cls


class _Generic(_Subscripted):
    """A base that adds nothing, unlike the original."""

    __slots__ = ()


class _Protocol(_Subscripted):
    """A base that adds nothing; it cannot be asked whether something is of such a class."""

    __slots__ = ()


def _type_variable(name: str, *constraints: object, **options: object) -> type:
    return object


def _cast(type_: object, value: object) -> object:
    return value


if TYPE_CHECKING:
    from typing import IO as IO
    from typing import Any as Any
    from typing import BinaryIO as BinaryIO
    from typing import Generic as Generic
    from typing import Literal as Literal
    from typing import NoReturn as NoReturn
    from typing import Protocol as Protocol
    from typing import Self as Self
    from typing import TypeVar as TypeVar
    from typing import cast as cast
else:
    Any = NoReturn = Self = object
    IO = BinaryIO = Literal = _Subscripted
    Generic, Protocol, TypeVar, cast = _Generic, _Protocol, _type_variable, _cast
