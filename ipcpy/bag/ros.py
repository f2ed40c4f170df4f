"""Messages of ROS in recordings of others: CDR of ROS 2 and the bytes of ROS 1, by the schema beside them.

A type whose values have one size each (a Twist, a Vector3) becomes a struct message: named tuples in named tuples. Any
other becomes a dict of its fields; arrays of bytes become bytes, those of other numbers numpy arrays. The package
rosbags reads definitions and bytes; ROS need not be installed. Knows no file.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from functools import lru_cache
from keyword import iskeyword
from typing import Any

from ..codec import MsgLibrary, MsgPack
from ..codec.schema import parse_schema
from ..errors import CodecError, SchemaError
from .reading import Reading, Stored, plain_reading
from .records import Entry

__all__ = ["DIALECTS", "read_ros"]

# (encoding of the messages, encoding of the schema)
DIALECTS = {("cdr", "ros2msg"), ("cdr", "ros2idl"), ("ros1", "ros1msg")}
_NAME = re.compile(r"[A-Za-z]\w*(?:(?:/|::)[A-Za-z]\w*){1,2}", re.ASCII)
_TYPE = re.compile(r"[A-Za-z]\w*(?:/[A-Za-z]\w*)+", re.ASCII)
_FIELD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_CODES = {
    "bool": "?", "octet": "B", "byte": "B", "char": "B", "int8": "b", "uint8": "B", "int16": "h", "uint16": "H",
    "int32": "i", "uint32": "I", "int64": "q", "uint64": "Q", "float32": "f", "float64": "d",
}  # fmt: skip
_BYTES = {"octet", "byte", "char", "uint8"}
_BASE, _NAMED, _ARRAY, _SEQUENCE = 1, 2, 3, 4  # kinds of fields, as rosbags numbers them
_MAX_DEPTH = 30
_MAX_VALUES = 65_536  # of a message, sequences counted as one
_MAX_DEFINITION = 1 << 20  # bytes; the longest of ROS has 20,000
_ID = 1  # of the only message in a library that is made here


@lru_cache(64)  # channels of one type have one definition
def read_ros(encoding: str, name: str, schema_encoding: str, definition: bytes) -> Reading:
    """Return how messages of a type of ROS are read.

    Args:
        encoding: ``cdr`` or ``ros1``.
        name: the type's name, such as ``sensor_msgs/msg/Imu``.
        schema_encoding: ``ros2msg``, ``ros2idl`` or ``ros1msg``.
        definition: its definition, those of the types in it included.

    Raises:
        ImportError: rosbags is not installed.
        CodecError: the definition is none.
    """
    store, name = _typestore(name, schema_encoding, definition)
    unpack = store.deserialize_cdr if encoding == "cdr" else store.deserialize_ros1

    def decode(raw: Stored) -> Any:
        try:
            return unpack(bytes(raw), name)
        except Exception as error:  # what rosbags raises for bytes that do not fit is whatever its own code ran into
            raise CodecError(f"the bytes are no {name}: {error!r:.100}") from None

    try:
        library = _library(store, name)
    except SchemaError:  # a name or size that struct messages do not have
        library = None
    if library is None:
        plain, codec = _plainly(store, name), MsgPack()
        return plain_reading(codec, lambda raw: plain(decode(raw)))
    pack, values = struct.Struct(library.schema["messages"][0]["format"]).pack, _spread(store, name)

    def payload(entry: Entry) -> bytes:
        return pack(*values(decode(entry.data)))

    def data(entry: Entry) -> Any:
        return library.unpack(_ID, payload(entry))

    spec = parse_schema(library.schema)[0]
    return Reading(library, data, lambda entry: library.encode(data(entry)), "", spec, payload)


def _typestore(name: str, schema_encoding: str, definition: bytes) -> tuple[Any, str]:
    from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

    if not _NAME.fullmatch(name):
        raise CodecError(f"{name!r:.80} is no name of a type of ROS")
    if len(definition) > _MAX_DEFINITION:
        raise CodecError(f"the definition of {name} has {len(definition):,} bytes")
    parts = name.replace("::", "/").split("/")
    name = f"{parts[0]}/msg/{parts[-1]}"
    try:
        text = definition.decode("utf-8")
        found: Any = get_types_from_idl(text) if schema_encoding == "ros2idl" else get_types_from_msg(text, name)
        if name not in found:
            raise ValueError("it defines other types only")
        store: Any = get_typestore(Stores.EMPTY)
        missing = _missing(found)
        if missing:  # a recorder may leave out what everybody has
            known = get_typestore(Stores.ROS1_NOETIC if schema_encoding == "ros1msg" else Stores.LATEST).fielddefs
            while missing:
                found |= {each: known[each] for each in missing}
                missing = _missing(found)
        _check_names(found)
        store.register(found)
    except KeyError as error:
        raise CodecError(f"the definition of {name} names {error!s:.80}, and does not say what it is") from None
    except Exception as error:  # whatever rosbags says to a text that is none
        raise CodecError(f"the definition of {name} cannot be read: {error!s:.200}") from None
    _count(store.fielddefs, name, {}, 0)
    return store, name


def _check_names(found: Any) -> None:
    """Look whether all names are names: rosbags writes Python of them, and runs it."""
    for name, (constants, fields) in found.items():
        if not _TYPE.fullmatch(name) or not all(_FIELD.fullmatch(each[0]) for each in (*constants, *fields)):
            raise ValueError(f"{name!r:.60} or a field of it has a name that is none")


def _missing(found: Any) -> set[str]:
    fields = [told for _, members in found.values() for _, told in members]
    named: set[str] = {inner for told in fields if (inner := _inner(told)) is not None}
    return named.difference(found)


def _inner(told: Any) -> str | None:
    """Return the name of the type that a field is, or has items of."""
    kind, what = told
    if kind in (_ARRAY, _SEQUENCE):
        kind, what = what[0]
    return what if kind == _NAMED else None


def _count(defined: Any, name: str, counted: dict[str, int], depth: int) -> int:
    """Return how many values a type has, so that none is taken apart whose definition is a bomb."""
    if name not in counted:
        counted[name] = _MAX_VALUES + 1  # while it is counted: it may hold itself
        number = 0
        for _, (kind, what) in defined[name][1]:
            inner = _inner((kind, what))
            one = 1 if inner is None or depth > _MAX_DEPTH else _count(defined, inner, counted, depth + 1)
            number += one * (what[1] if kind == _ARRAY and inner is not None else 1)
        counted[name] = number
    if counted[name] > _MAX_VALUES or depth > _MAX_DEPTH:
        raise CodecError(f"the type {name} holds itself, or more than {_MAX_VALUES:,} values or {_MAX_DEPTH} levels")
    return counted[name]


def _members(store: Any, name: str) -> Iterator[tuple[str, str, Any]]:
    """Yield name, attribute and type of each field: one that is a word of Python's has a ``_`` behind it in rosbags.

    Of its versions some have it in the definition too.
    """
    attributes = store.types[name].__dataclass_fields__
    for field, told in store.fielddefs[name][1]:
        plain = field[:-1] if iskeyword(field[:-1]) and field.endswith("_") else field
        yield plain, plain if plain in attributes else f"{plain}_", told


# -- types of one size: struct messages -------------------------------------------------------------------------------


def _library(store: Any, name: str) -> MsgLibrary | None:
    """Return the library of a type whose values have one size each; None for others.

    Raises:
        SchemaError: it is larger than struct messages are, or has names that they cannot have.
    """
    form: list[str] = []
    parts = _parts(store, name, form)
    if parts is None or not form:
        return None
    message = {"id": _ID, "name": name.rpartition("/")[2], "format": "<" + "".join(form), "fields": [], "kind": "tuple"}
    return MsgLibrary.from_schema({"messages": [{**message, "nested": {"fields": parts}}]})


def _parts(store: Any, name: str, form: list[str]) -> list[Any] | None:
    """Return how the fields share out the values, as a schema says it, and add their codes; None if one has no size."""
    parts: list[Any] = []
    for field, _, (kind, what) in _members(store, name):
        if kind == _BASE and what[0] in _CODES:
            form.append(_CODES[what[0]])
            parts.append(field)
        elif kind == _ARRAY and what[0][0] == _BASE and what[0][1][0] in _CODES:
            form.append(f"{what[1]}{_CODES[what[0][1][0]]}")
            parts.append([field, what[1]])
        elif kind == _NAMED and (inner := _parts(store, what, form)) is not None:
            parts.append([field, what.rpartition("/")[2], inner])
        else:
            return None
    return parts or None


def _spread(store: Any, name: str) -> Callable[[Any], Iterator[Any]]:
    """Return what yields the values of a message of one size, one by one."""
    fields: list[tuple[str, int, Any]] = [
        (attribute, kind, _spread(store, what) if kind == _NAMED else None)
        for _, attribute, (kind, what) in _members(store, name)
    ]

    def values(message: Any) -> Iterator[Any]:
        for field, kind, inner in fields:
            value = getattr(message, field)
            if inner is not None:
                yield from inner(value)
            elif kind == _ARRAY:
                yield from value.tolist()
            else:
                yield value

    return values


# -- any other: dicts -------------------------------------------------------------------------------------------------


def _plainly(store: Any, name: str) -> Callable[[Any], dict[str, Any]]:
    """Return what makes a dict of a message."""
    fields = [(field, attribute, _converter(store, told)) for field, attribute, told in _members(store, name)]

    def plain(message: Any) -> dict[str, Any]:
        return {
            field: getattr(message, attribute) if convert is None else convert(getattr(message, attribute))
            for field, attribute, convert in fields
        }

    return plain


def _converter(store: Any, told: Any) -> Callable[[Any], Any] | None:
    """Return what makes a field's value plain; None if it is so already."""
    kind, what = told
    if kind == _NAMED:
        return _plainly(store, what)
    if kind == _BASE:
        return None
    kind, what = what[0]
    if kind == _NAMED:
        each = _plainly(store, what)
        return lambda items: [each(item) for item in items]
    if what[0] in _BYTES:
        return lambda items: items.tobytes()
    return None if what[0] in _CODES and what[0] != "bool" else _listed


def _listed(items: Any) -> list[Any]:
    """Return a list of booleans, which come as an array, or of texts."""
    listed: list[Any] = items.tolist() if hasattr(items, "tolist") else list(items)
    return listed
