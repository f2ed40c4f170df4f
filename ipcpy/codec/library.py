"""The struct codec: messages with an ID, packed with ``struct``. Knows which types its IDs have; does no I/O."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from operator import index

from ..errors import ArgumentError, CodecError, SchemaError
from ..typed import Any
from .binding import Binding, bind
from .fields import check_name, field_names
from .layout import parse_format
from .schema import MessageSpec, describe, differences, parse_schema
from .shape import shape_of
from .stream import HEADER_SIZE, START, Buffer
from .unpacking import quick_library

__all__ = ["MsgLibrary"]

_MADE_ANEW = frozenset(("_specs", "_schema", "_bindings", "_ids", "_encoders", "_decoders", "_intact"))


class MsgLibrary:
    """Messages that a publisher and its subscribers agree on: for each ID a struct format and a Python type.

    Formats are little-endian without padding unless they say ``>``. Types: see ``ipcpy.codec.shape``, and for fields
    that are types or arrays (``3f``) themselves ``ipcpy.codec.nesting``.

    Args:
        messages: ``{id: (format, type)}``, or pairs ``(id, (format, type))``. IDs are 0 to 65,535.

    Raises:
        ArgumentError: an ID that is no int, out of range, or there twice.
        SchemaError: a bad format, or a type that does not fit it.

    >>> from collections import namedtuple
    >>> messages = MsgLibrary({22: ("i", int), 23: ("3i", namedtuple("Msg", "a b c"))})
    >>> messages.pack(22, [5]).hex(" ")
    'ff ff 16 00 0b 00 05 05 00 00 00'
    >>> messages.decode(messages.encode(5))
    5
    >>> messages.unpack(23, bytes(12))
    Msg(a=0, b=0, c=0)
    >>> MsgLibrary({7: ("<d3f", namedtuple("Point", "stamp xyz"))}).unpack(7, bytes(20))
    Point(stamp=0.0, xyz=(0.0, 0.0, 0.0))
    """

    name = "struct"

    def __init__(self, messages: Mapping[int, tuple[str, Any]] | Iterable[tuple[int, tuple[str, Any]]]) -> None:
        self._specs: dict[int, MessageSpec] = {}
        self._bindings: dict[int, Binding] = {}  # those of from_schema and adapt are bound when first used
        self._ids: dict[type, list[int]] = {}
        self._encoders: dict[type, Callable[[Any], bytes]] = {}  # of the types with one ID
        self._decoders: dict[Buffer, Callable[[Buffer], Any]] = {}  # by the first 6 bytes: start bytes, ID, size
        self._intact: dict[Buffer, Callable[[Buffer], Any]] = {}  # the same, without a look at the check byte
        for id, entry in _pairs(messages):
            self._add(_bind(id, entry))
        self._schema = describe(self._specs.values())

    @classmethod
    def from_schema(cls, schema: object) -> MsgLibrary:
        """Make a library of what a publisher says about its messages; types with fields become named tuples.

        Raises:
            SchemaError: not a schema, or a larger one than allowed.
        """
        return cls({}).adapt(schema)

    def adapt(self, schema: object) -> MsgLibrary:
        """Make the library that reads a publisher's messages: with our types where we have the ID, else named tuples.

        Raises:
            SchemaError: an ID has another layout there; ``differences`` has a sentence for each field.
        """
        specs = parse_schema(schema)
        shared = [spec for spec in specs if spec.id in self._specs]
        found = tuple(text for spec in shared for text in differences(self._specs[spec.id], spec))
        if found:
            raise SchemaError("; ".join(found), found)
        library = MsgLibrary({})
        library._extend([*self._specs.values(), *(spec for spec in specs if spec.id not in self._specs)])
        for binding in self._bindings.values():
            library._add(binding)
        return library

    @property
    def schema(self) -> Mapping[str, Any]:
        """The messages in a form that JSON can hold; it travels with discovery."""
        return self._schema

    @property
    def sizes(self) -> dict[int, int]:
        """The size in bytes of each whole message, by ID."""
        return {id: HEADER_SIZE + spec.layout.size for id, spec in self._specs.items()}

    def fields(self, id: int) -> tuple[tuple[str, str], ...]:
        """Return the name and the type, in words, of each value and array of a message, in the order of its bytes.

        Words for types are ``int8`` to ``uint64``, ``float16`` to ``float64``, ``bool``, ``char``, ``bytes[16]``,
        ``pascal[16]``, and ``text[16]`` for what decodes to a str; ``big-endian`` precedes numbers that are. Padding is
        no value. An array is ``float32[3]``, a value in a nested type has a name such as ``linear.x``. Names are empty
        where the message's type has none (a list, a tuple, an int, ...).

        Raises:
            ArgumentError: unknown ID.

        >>> MsgLibrary({7: (">Hxd", tuple)}).fields(7)
        (('', 'big-endian uint16'), ('', 'big-endian float64'))
        """
        return tuple(self._spec(id).typed_fields())

    def get_size(self, id: int) -> int:
        """Return the size in bytes of a whole message: its header of 7 and its payload.

        Raises:
            ArgumentError: unknown ID.
        """
        return self._binding(id).size

    def pack(self, id: int, values: Any) -> bytes:
        """Make a message.

        Args:
            id: its ID.
            values: the values in a list, tuple or other iterable, a mapping from field names to values, or an instance
                of the ID's type (for int, float, bool, str and bytes the bare value); nested types likewise.

        Raises:
            ArgumentError: unknown ID.
            CodecError: too many or few values, or one of a wrong type or out of range; the text names it.
        """
        binding = self._bindings.get(id) or self._binding(id)
        kind = type(values)
        if kind is list or kind is tuple:
            return binding.pack(values)
        if kind is binding.shape.type:
            return binding.encode(values)
        return binding.pack(binding.values(values))

    def unpack(self, id: int, payload: Buffer) -> Any:
        """Make an instance of the ID's type of a payload, such as ``get_msg`` returns it.

        Raises:
            CodecError: unknown ID, a payload of another length, text that is not UTF-8, or values the type refuses.
        """
        try:
            return self._binding(id).unpack(payload)
        except ArgumentError as error:
            raise CodecError(str(error)) from None

    def encode(self, data: Any, id: int | None = None) -> bytes:
        """Make a message, with the ID of the type of data.

        An instance of a subclass counts as its base in the library, unless it has other fields.

        Args:
            data: an instance of one of the types, or with ``id`` anything that ``pack`` takes.
            id: the ID, where several have the type.

        Raises:
            ArgumentError: unknown ID, or several IDs have the type.
            CodecError: no ID has the type; or as ``pack``.
        """
        if id is None:
            try:
                encode = self._encoders[type(data)]
            except KeyError:
                encode = self._find_encoder(data)
            return encode(data)
        return self.pack(id, data)

    def decode(self, body: Buffer) -> Any:
        """Make an instance of a whole message, checking its start bytes, ID, size and check byte.

        Raises:
            CodecError: not one whole, right message of a known ID.
        """
        try:
            decode = self._decoders[body[:6]]
        except (KeyError, TypeError, ValueError):
            return self._decode_other(body)
        return decode(body)

    def decode_intact(self, body: Buffer) -> Any:
        """Make an instance of a whole message that is known to have arrived as it was sent: half the time of decode.

        Raises:
            CodecError: as decode; only a wrong check byte is not noticed.
        """
        try:
            decode = self._intact[body[:6]]
        except (KeyError, TypeError, ValueError):
            return self._decode_other(body)
        return decode(body)

    def decoder(self) -> Callable[[Buffer], Any]:
        """Return what ``decode_intact`` does, compiled where that is."""
        return quick_library(self._intact, self.decode_intact)

    def encode_many(self, messages: Sequence[Any]) -> tuple[Buffer, int] | None:
        """Make messages of instances of one type, laid end to end, in a third of the time.

        Returns:
            The messages and the size of each; None where they have to be encoded one by one.
        """
        kinds = set(map(type, messages))
        ids = self._ids.get(kinds.pop(), ()) if len(kinds) == 1 else ()
        return self._bindings[ids[0]].encode_many(messages) if len(ids) == 1 else None

    def decode_many(self, data: bytes, size: int) -> list[Any]:
        """Make the instances of messages of one ID, each of ``size`` bytes, laid end to end and known to be intact.

        Raises:
            CodecError: they have to be decoded one by one.
        """
        if (binding := self._bindings.get(int.from_bytes(data[2:4], "little"))) is None:
            raise CodecError("no such message is known yet")
        return binding.decode_many(data, size)

    def __repr__(self) -> str:
        messages = (f"{spec.id}: ({spec.layout.format!r}, {spec.name})" for spec in self._specs.values())
        return f"MsgLibrary({{{', '.join(messages)}}})"

    def __getstate__(self) -> dict[str, Any]:
        """Return what pickle writes: what the messages are. Functions are made anew from it."""
        state = {name: value for name, value in vars(self).items() if name not in _MADE_ANEW}
        types = {id: binding.shape.type for id, binding in self._bindings.items()}
        return state | {"_specs": tuple(self._specs.values()), "_types": types}

    def __setstate__(self, state: dict[str, Any]) -> None:
        specs: dict[int, MessageSpec] = {spec.id: spec for spec in state.pop("_specs")}
        types: dict[int, type] = state.pop("_types")
        MsgLibrary.__init__(self, ())
        self._extend(specs.values())
        for id, type_ in types.items():
            self._add(specs[id].bind(type_))
        vars(self).update(state)

    def _add(self, binding: Binding) -> None:
        if binding.id in self._bindings:
            raise ArgumentError(f"message {binding.id} is there twice")
        self._specs.setdefault(binding.id, MessageSpec.of(binding))
        self._bindings[binding.id] = binding
        self._decoders[binding.header] = binding.decode
        self._intact[binding.header] = binding.decode_intact
        ids = self._ids.setdefault(binding.shape.type, [])
        ids.append(binding.id)
        if len(ids) == 1:
            self._encoders[binding.shape.type] = binding.encode
        else:
            self._encoders.pop(binding.shape.type, None)

    def _extend(self, specs: Iterable[MessageSpec]) -> None:
        """Learn of messages that will be bound when they are first used."""
        self._specs |= {spec.id: spec for spec in specs}
        self._schema = describe(self._specs.values())

    def _spec(self, id: int) -> MessageSpec:
        spec = self._specs.get(id)
        if spec is None:
            raise ArgumentError(f"unknown message ID {id!r:.60}; this library has {_listed(self._specs)}")
        return spec

    def _binding(self, id: int) -> Binding:
        """Return the message with an ID, bound if it is not yet.

        Raises:
            ArgumentError: unknown ID.
        """
        binding = self._bindings.get(id)
        if binding is None:
            spec = self._spec(id)
            with suppress(ArgumentError):  # another thread bound it first
                self._add(spec.bind())
            binding = self._bindings[id]
        return binding

    def _find_encoder(self, data: Any) -> Callable[[Any], bytes]:
        """Find the message of a type that is not bound yet, has several IDs (an error), or whose base is here."""
        for id in [id for id in self._specs if id not in self._bindings]:
            if type(data).__name__ in (self._specs[id].name, self._specs[id].kind):
                self._binding(id)
        for base in (*type(data).__mro__, _plain_type(data)):
            ids = self._ids.get(base, ())
            if len(ids) > 1:
                raise ArgumentError(f"{base.__name__} is the type of the messages {_listed(ids)}: say which by id=")
            for id in ids:
                binding = self._bindings[id]
                if field_names(type(data)) == binding.shape.fields:
                    return binding.encode
        raise CodecError(_unknown_type(type(data), self._ids))

    def _decode_other(self, body: Buffer) -> Any:
        """Decode a message that is bound late or that no dictionary key can be cut from, or say what is wrong."""
        raw = _whole(body)
        id = int.from_bytes(raw[2:4], "little")
        if id not in self._specs:
            raise CodecError(f"unknown message ID {id}; this library has {_listed(self._specs)}")
        binding = self._binding(id)
        _check_size(raw, binding)
        return binding.decode(raw)


def _whole(body: object) -> bytes:
    """Return the bytes of what may be a message."""
    if not isinstance(body, (bytes, bytearray, memoryview)):
        raise CodecError(f"expected the bytes of a message, got {type(body).__name__}")
    raw = bytes(body)
    if len(raw) < HEADER_SIZE or not raw.startswith(START):
        raise CodecError(f"not a struct message: {len(raw)} bytes that begin with {raw[:2].hex(' ') or 'nothing'}")
    return raw


def _check_size(raw: bytes, binding: Binding) -> None:
    if raw[:6] != binding.header:
        size = int.from_bytes(raw[4:6], "little")
        raise CodecError(f"message {binding.id} ({binding.name}) takes {binding.size} bytes, its header says {size}")


def _plain_type(data: Any) -> type:
    """Return the type of Python's that a numpy number is one of: float for a float32."""
    numpy = sys.modules.get("numpy")  # a user that has such a number has imported it
    if numpy is not None and isinstance(data, numpy.generic) and data.dtype.kind in "biuf":
        return type(data.item())
    return object


def _unknown_type(type_: type, types: Iterable[type]) -> str:
    names = ", ".join(sorted(known.__name__ for known in types)) or "none"
    namesake = next((known for known in types if known.__name__ == type_.__name__), None)
    if namesake is None:
        return f"no message has the type {type_.__name__}; the types here: {names:.200} (or give id=)"
    return (
        f"no message has this type {type_.__name__}, of {type_.__module__}: the library has another class of that "
        f"name, of {namesake.__module__}. Was it reloaded or defined twice? Make the library with the class that is "
        "published (or give id=)"
    )


def _pairs(messages: Any) -> Iterable[Any]:
    if isinstance(messages, Mapping):
        return messages.items()
    try:
        return [(id, entry) for id, entry in messages]
    except (TypeError, ValueError):
        raise ArgumentError(f"expected {{id: (format, type)}}, got {messages!r:.80}") from None


def _bind(id: Any, entry: Any) -> Binding:
    if isinstance(id, bool) or not hasattr(id, "__index__") or not 0 <= index(id) <= 0xFFFF:
        raise ArgumentError(f"the ID of a message is an int from 0 to 65535, got {id!r:.60}")
    if not isinstance(entry, (tuple, list)) or len(entry) != 2:
        raise SchemaError(f"message {id}: expected (format, type), got {entry!r:.80}")
    try:
        layout = parse_format(entry[0])
        shape = shape_of(entry[1], layout)
        name = check_name(shape.type.__name__)
    except SchemaError as error:
        raise SchemaError(f"message {id}: {error}") from None
    return bind(index(id), name, layout, shape)


def _listed(ids: Iterable[int]) -> str:
    text = ", ".join(str(id) for id in islice(ids, 21))
    return f"{text[: text.rindex(',')]}, ..." if text.count(",") == 20 else text or "none"
