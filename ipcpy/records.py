"""Value classes as of ``dataclasses`` and ``typing``, in less time. Knows classes; nothing of what they hold.

``dataclasses`` writes the methods of each class as text and compiles it, builds a class with slots twice, and imports
``inspect``. A robot's program pays that for forty classes before its first message. Here all classes share the methods,
and type checkers are shown the original. To the functions of ``dataclasses`` (``fields``, ``replace``, ``asdict``), to
``match``, ``pickle``, ``copy`` and ``inspect`` a class is a dataclass: what only they want is made when they ask.

Less than there: ``frozen`` and ``weakref_slot`` are the options, ``slots=True`` has to be said, the one base that there
may be is such a class too, and ``__post_init__``, ``InitVar`` and ``KW_ONLY`` are not known. Making an instance takes
as long as it does there if all fields are given by position, and one or two microseconds more if not.

``typing.NamedTuple`` compiles each annotation to see whether it is one, and ``collections.namedtuple`` the ``__new__``
of each class. Here annotations stay the texts that they are, classes with as many fields share the code of ``__new__``,
and all share the other methods.
"""

from __future__ import annotations

from collections import _tuplegetter  # type: ignore[attr-defined]  # descriptors of named tuples, in C
from collections.abc import Callable, Iterable
from functools import cache
from operator import attrgetter
from types import CodeType, FunctionType

from .typed import TYPE_CHECKING, Any, Generic

__all__ = ["NamedTuple", "dataclass", "field", "is_dataclass", "replace", "required"]

_NONE: Any = object()  # no default: any value may be one


class _Field:
    """What was said of a field instead of its default."""

    __slots__ = ("compare", "default", "factory")

    def __init__(self, default: Any, factory: Callable[[], Any] | None, compare: bool) -> None:
        self.default, self.factory, self.compare = default, factory, compare


class _Form:
    """The fields of a class.

    Attributes:
        cls: the class.
        names: of its fields, in order.
        defaults: of the fields that have one.
        factories: what makes the default of the fields that want a new one each time.
        key: returns the values of an instance that count when it is compared.
    """

    __slots__ = ("cls", "defaults", "factories", "frozen", "key", "names", "uncompared")

    def __init__(self, base: _Form | None, names: Iterable[str], space: dict[str, Any], frozen: bool) -> None:
        self.names: tuple[str, ...] = (*(base.names if base else ()), *names)
        self.frozen = frozen
        self.cls: type = object
        self.defaults: dict[str, Any] = dict(base.defaults) if base else {}
        self.factories: dict[str, Callable[[], Any]] = dict(base.factories) if base else {}
        self.uncompared: set[str] = set(base.uncompared) if base else set()
        for name in names:
            value = space.pop(name, _NONE)
            if isinstance(value, _Field):
                value = self._note(name, value)
            if value is not _NONE:
                self.defaults[name] = value
        compared = [name for name in self.names if name not in self.uncompared]
        get = attrgetter(*compared)
        self.key: Callable[[Any], tuple[Any, ...]] = get if len(compared) > 1 else lambda self: (get(self),)

    def _note(self, name: str, field: _Field) -> Any:
        if field.factory is not None:
            self.factories[name] = field.factory
        if not field.compare:
            self.uncompared.add(name)
        return field.default

    def complete(self, values: tuple[Any, ...], named: dict[str, Any]) -> list[Any]:
        """Return the values of all fields from those that were given.

        Raises:
            TypeError: one is missing, one is given twice, or there is no field for it.
        """
        what = f"{self.cls.__qualname__}.__init__()"
        if len(values) > len(self.names):
            raise TypeError(f"{what} takes {len(self.names)} values, {len(values)} were given")
        given = dict(zip(self.names, values, strict=False))
        for name, value in named.items():
            if name in given:
                raise TypeError(f"{what} got multiple values for argument {name!r}")
            given[name] = value
        whole = []
        for name in self.names:
            if name in given:
                whole.append(given.pop(name))
            elif name in self.defaults:
                whole.append(self.defaults[name])
            elif name in self.factories:
                whole.append(self.factories[name]())
            else:
                raise TypeError(f"{what} missing required argument: {name!r}")
        if given:
            raise TypeError(f"{what} got an unexpected keyword argument {next(iter(given))!r}")
        return whole

    def twin(self) -> type:
        """Return a class with the same fields, made by ``dataclasses``."""
        import dataclasses

        annotations: dict[str, Any] = {}
        for each in reversed(self.cls.__mro__[:-1]):
            annotations |= each.__annotations__
        fields: list[tuple[str, Any, Any]] = []
        for name in self.names:
            said: dict[str, Any] = {"compare": name not in self.uncompared}
            if name in self.defaults:
                said["default"] = self.defaults[name]
            if name in self.factories:
                said["default_factory"] = self.factories[name]
            fields.append((name, annotations[name], dataclasses.field(**said)))
        return dataclasses.make_dataclass(self.cls.__name__, fields, frozen=self.frozen, slots=True)


class _Later:
    """An attribute of the class that ``dataclasses`` and ``inspect`` ask for, made from the twin when they do."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type) -> Any:
        form: _Form = owner.__record__  # type: ignore[attr-defined]
        twin = form.twin()
        if self.name == "__signature__":
            import inspect

            value: Any = inspect.signature(twin)
        else:
            value = getattr(twin, self.name)
        setattr(form.cls, self.name, value)
        return value


def _init_of(form: _Form) -> tuple[Callable[..., None], list[Callable[[Any, Any], None]]]:
    """Return the ``__init__`` of a class, and the list of what sets its fields, which it wants filled in."""
    setters: list[Callable[[Any, Any], None]] = []
    count, complete = len(form.names), form.complete

    def __init__(self: Any, /, *values: Any, **named: Any) -> None:
        if named or len(values) != count:
            values = complete(values, named)  # type: ignore[assignment]
        for put, value in zip(setters, values, strict=False):
            put(self, value)

    return __init__, setters


def _repr(self: Any) -> str:
    values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__record__.names)
    return f"{self.__class__.__qualname__}({values})"


def _eq(self: Any, other: Any) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    key = self.__record__.key
    return key(self) == key(other)


def _hash(self: Any) -> int:
    return hash(self.__record__.key(self))


def _refuse_to_set(self: Any, name: str, value: Any) -> None:
    if type(self) is self.__record__.cls or name in self.__record__.names:
        raise _frozen(f"cannot assign to field {name!r}")
    object.__setattr__(self, name, value)


def _refuse_to_delete(self: Any, name: str) -> None:
    if type(self) is self.__record__.cls or name in self.__record__.names:
        raise _frozen(f"cannot delete field {name!r}")
    object.__delattr__(self, name)


def _frozen(message: str) -> AttributeError:
    from dataclasses import FrozenInstanceError

    return FrozenInstanceError(message)


def _getstate(self: Any) -> list[Any]:
    from dataclasses import fields

    return [getattr(self, each.name) for each in fields(self)]


def _setstate(self: Any, state: list[Any]) -> None:
    from dataclasses import fields

    for each, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, each.name, value)


def _replace(instance: Any, /, **changes: Any) -> Any:
    """Return an instance with other values for some fields, as ``dataclasses.replace`` does."""
    for name in instance.__record__.names:
        if name not in changes:
            changes[name] = getattr(instance, name)
    return instance.__class__(**changes)


_METHODS = {
    "__repr__": _repr,
    "__eq__": _eq,
    "__replace__": _replace,
    "__getstate__": _getstate,
    "__setstate__": _setstate,
    "__hash__": None,
    **{name: _Later(name) for name in ("__dataclass_fields__", "__dataclass_params__", "__signature__")},
}
_FROZEN = {"__hash__": _hash, "__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete}


def _dataclass(*, slots: bool, frozen: bool = False, weakref_slot: bool = False) -> Callable[[type], type]:
    """Return what makes a class with annotations a value class; see the top of this file for the options."""

    def make(cls: type) -> type:
        base: _Form | None = getattr(cls, "__record__", None)
        if not slots or cls.__bases__ != (base.cls if base else object,):
            raise TypeError(f"{cls.__qualname__} wants what only the original offers: take dataclasses.dataclass")
        space = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
        own = tuple(cls.__annotations__)
        form = _Form(base, own, space, frozen)
        init, setters = _init_of(form)
        methods = _METHODS | _FROZEN if frozen else _METHODS
        space = methods | {"__init__": init} | space
        space["__record__"] = form
        space["__match_args__"] = form.names
        space["__slots__"] = (*own, "__weakref__") if weakref_slot else own
        form.cls = type(cls)(cls.__name__, cls.__bases__, space)
        form.cls.__qualname__ = cls.__qualname__
        setters += [getattr(form.cls, name).__set__ for name in form.names]
        return form.cls

    return make


def _field(*, default: Any = _NONE, default_factory: Callable[[], Any] | None = None, compare: bool = True) -> Any:
    """Return a field's default, what makes it, and whether the field counts when instances are compared."""
    return _Field(default, default_factory, compare)


def _is_dataclass(value: object) -> bool:
    """Tell whether a class is a dataclass, or a value is of one, as ``dataclasses`` does; that need not be imported."""
    cls = value if isinstance(value, type) else type(value)
    return hasattr(cls, "__record__") or hasattr(cls, "__dataclass_fields__")


def required(cls: type) -> list[str]:
    """Return the names of the fields without a default."""
    form: _Form = cls.__record__  # type: ignore[attr-defined]
    return [name for name in form.names if name not in form.defaults and name not in form.factories]


@cache
def _new_code(count: int) -> CodeType:
    """Return the code of the ``__new__`` of named tuples with so many fields, whatever these are called."""
    fields = ", ".join(f"_{number}" for number in range(count))
    made: Any = eval(f"lambda _cls, {fields}: _tuple_new(_cls, ({fields},))", {})
    code: CodeType = made.__code__
    return code


@classmethod  # type: ignore[misc]
def _make(cls: Any, iterable: Iterable[Any]) -> Any:
    """Make a new instance from a sequence or iterable."""
    made = tuple.__new__(cls, iterable)
    if len(made) != len(cls._fields):
        raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
    return made


def _with(self: Any, /, **changes: Any) -> Any:
    """Return a new instance with other values for some fields."""
    made = self._make(map(changes.pop, self._fields, self))
    if changes:
        raise ValueError(f"Got unexpected field names: {list(changes)!r}")
    return made


def _asdict(self: Any) -> dict[str, Any]:
    """Return a new dict which maps field names to their values."""
    return dict(zip(self._fields, self, strict=False))


def _tuple_repr(self: Any) -> str:
    values = ", ".join(f"{name}={value!r}" for name, value in zip(self._fields, self, strict=False))
    return f"{self.__class__.__name__}({values})"


def _getnewargs(self: Any) -> tuple[Any, ...]:
    """Return self as a plain tuple, for ``copy`` and ``pickle``."""
    return tuple(self)


_TUPLE_METHODS = {
    "__slots__": (),
    "__repr__": _tuple_repr,
    "__getnewargs__": _getnewargs,
    "__replace__": _with,
    "_asdict": _asdict,
    "_make": _make,
    "_replace": _with,
}


class _Maker(type):
    """Makes a named tuple of what is written as a class."""

    def __new__(cls, name: str, bases: tuple[type, ...], space: dict[str, Any]) -> Any:
        if not bases:
            return super().__new__(cls, name, bases, space)
        if bases[1:] not in ((), (Generic,)):
            raise TypeError(f"{name} wants what only the original offers: take typing.NamedTuple")
        types = space.get("__annotations__", {})
        fields = tuple(types)
        defaults = {field: space[field] for field in fields if field in space}
        code = _new_code(len(fields)).replace(co_varnames=("_cls", *fields), co_name="__new__")
        new = FunctionType(code, {"_tuple_new": tuple.__new__, "__name__": f"namedtuple_{name}"}, "__new__")
        new.__defaults__ = tuple(defaults.values())
        new.__annotations__ = types
        getters = {
            field: _tuplegetter(number, f"Alias for field number {number}") for number, field in enumerate(fields)
        }
        names = {"_fields": fields, "_field_defaults": defaults, "__match_args__": fields, "__new__": new}
        space.setdefault("__doc__", f"{name}({', '.join(fields)})")
        return type(name, (tuple,), _TUPLE_METHODS | space | names | getters)


class _NamedTuple(metaclass=_Maker):
    """The base of a named tuple's class, which it is not in the end, as in ``typing``."""


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import is_dataclass as is_dataclass
    from dataclasses import replace as replace
    from typing import NamedTuple as NamedTuple
else:
    NamedTuple, dataclass, field, is_dataclass, replace = _NamedTuple, _dataclass, _field, _is_dataclass, _replace
