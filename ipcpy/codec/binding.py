"""One struct message: its ID, its format and its type, bound together. Knows the whole message's bytes.

``bind`` makes three functions per message once, so that packing and unpacking decide nothing per message: they try,
and only a failure looks at the values one by one to say which of them is wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from itertools import repeat

from ..errors import CodecError
from ..records import dataclass
from ..typed import Any
from .fields import field_names
from .layout import Field, Layout
from .nesting import flatten
from .plans import plan_of
from .shape import SCALARS, Shape
from .stream import HEADER_SIZE, START, Buffer, checksum, fold
from .unpacking import quick_decoder

Make = Callable[[tuple[Any, ...]], Any]
Pack = Callable[[Any], bytes]

__all__ = ["Binding", "bind"]

_HEADER = struct.Struct("<BBHH")
_BOOLS = (False, True)

MANY_ROWS = 64  # messages from which on going through columns takes less time than through rows
MANY_COLUMNS = 256  # bytes of payload up to which it does


@dataclass(frozen=True, slots=True)
class Binding:
    """A message that can be packed and unpacked.

    Attributes:
        id: its ID.
        name: its name in errors and in the schema.
        layout: its bytes.
        shape: its type.
        header: the first 6 bytes of each such message: start bytes, ID and size.
        pack: makes a message of an iterable of values; where fields hold several, of what the fields hold.
        encode: makes a message of an instance of the type.
        decode: makes an instance of a whole message that begins with ``header``.
        decode_intact: the same without a look at the check byte.
        unpack: makes an instance of a payload.
        encode_many: makes messages of instances, laid end to end, and gives their size; None if it cannot.
        decode_many: makes instances of messages of one size, laid end to end, without a look at the check bytes.
    """

    id: int
    name: str
    layout: Layout
    shape: Shape
    header: bytes
    pack: Callable[[Iterable[Any]], bytes]
    encode: Callable[[Any], bytes]
    decode: Callable[[Buffer], Any]
    decode_intact: Callable[[Buffer], Any]
    unpack: Callable[[Buffer], Any]
    encode_many: Callable[[Sequence[Any]], tuple[Buffer, int] | None]
    decode_many: Callable[[bytes, int], list[Any]]

    @property
    def size(self) -> int:
        """Bytes of a whole message."""
        return HEADER_SIZE + self.layout.size

    def values(self, data: Any) -> Any:
        """Return what ``pack`` takes of whatever may stand for a message: an instance, an iterable, a mapping.

        Raises:
            CodecError: data is none of these.
        """
        shape = self.shape
        if shape.parts:
            return data  # pack looks for values in it, at every level
        if isinstance(data, shape.type):
            return (shape.spread or tuple)(data)
        if isinstance(data, Mapping):
            return self._by_name(data)
        if shape.fields and field_names(type(data)) == shape.fields:  # another class of the same fields
            return tuple(getattr(data, name) for name in shape.fields)
        if shape.kind in SCALARS and (isinstance(data, (str, bytes, bytearray)) or not hasattr(data, "__iter__")):
            return (data,)
        if not isinstance(data, (str, Set)):
            try:
                return tuple(data)
            except TypeError:
                pass
        wanted = f"{shape.type.__name__} or its {self.layout.count} values in a list or tuple"
        raise CodecError(f"message {self.id}: expected {wanted}, got {_show(data)}")

    def _by_name(self, data: Mapping[Any, Any]) -> tuple[Any, ...]:
        fields = self.shape.fields
        missing = [name for name in fields if name not in data]
        unknown = [name for name in data if name not in fields]
        if missing or unknown:
            raise CodecError(
                f"message {self.id} ({self.name}) has the fields {', '.join(fields) or 'none'}; "
                f"missing: {missing!r:.200}, unknown: {unknown!r:.200}"
            )
        return tuple(data[name] for name in fields)


def bind(id: int, name: str, layout: Layout, shape: Shape) -> Binding:
    """Bind a message together; the shape fits the layout."""
    label = f"message {id} ({name})"
    header = _HEADER.pack(*START, id, HEADER_SIZE + layout.size)
    pack = pack_values = _packer(label, header, layout, shape)
    make = _maker(label, layout, shape)
    (decode, decode_intact), unpack = _decoders(label, header, layout, shape, make), _unpacker(label, layout, make)
    if shape.parts:
        pack = _nested_packer(label, pack_values, shape)
    encode = _encoder(pack_values, pack, shape)
    plan = plan_of(header, layout, shape, encode)
    encode_many = _many_encoder(header, layout, shape, plan)
    encode = encode if plan is None else plan.encode
    decode_many = _many_decoder(label, header, layout, make)
    return Binding(
        id, name, layout, shape, header, pack, encode, decode, decode_intact, unpack, encode_many, decode_many
    )


def _packer(label: str, header: bytes, layout: Layout, shape: Shape) -> Pack:
    pack = struct.Struct(layout.format).pack
    headers = tuple(header + bytes((check,)) for check in range(256))
    xor = fold if layout.size <= 64 else checksum
    struct_error = (struct.error, TypeError, ValueError, OverflowError)

    def pack_values(values: Iterable[Any]) -> bytes:
        try:
            payload = pack(*values)
        except struct_error as error:
            raise _fault(label, layout, shape, values, error) from None
        return headers[xor(payload)] + payload

    converters = _converters(layout, shape)
    if not converters:
        return pack_values

    def pack_converted(values: Iterable[Any]) -> bytes:
        converted = list(values)
        for n, convert in converters:
            if n < len(converted):
                try:
                    converted[n] = convert(converted[n])
                except struct_error as error:
                    raise CodecError(f"{label}, {_place(shape, layout, n)}: {error}") from None
        return pack_values(converted)

    return pack_converted


def _nested_packer(label: str, pack: Pack, shape: Shape) -> Pack:
    return lambda data: pack(flatten(shape.parts, data, label))


def _encoder(pack_values: Pack, pack: Pack, shape: Shape) -> Callable[[Any], bytes]:
    spread = shape.spread
    if spread is None:
        return pack_values
    if not shape.parts:
        return lambda instance: pack_values(spread(instance))

    def encode(instance: Any) -> bytes:
        try:
            return pack_values(spread(instance))
        except (AttributeError, CodecError):  # a field holds something else that has such values, or it will be named
            return pack(instance)

    return encode


def _many_encoder(
    header: bytes, layout: Layout, shape: Shape, plan: Any
) -> Callable[[Sequence[Any]], tuple[Buffer, int] | None]:
    """Return an encoder that goes through many messages column by column, so that the loops are not Python's."""
    spread, size = shape.spread, HEADER_SIZE + layout.size
    pack = struct.Struct(f"{layout.order}{len(header)}sx{layout.format[1:]}").pack
    able = layout.count and layout.size <= MANY_COLUMNS and not _converters(layout, shape)

    def encode_many(messages: Sequence[Any]) -> tuple[Buffer, int] | None:
        if not able or len(messages) < MANY_ROWS:
            return None
        try:
            planned = None if plan is None else plan.encode_many(messages)
            if planned is not None:
                return planned, size
            columns = zip(*(messages if spread is None else map(spread, messages)), strict=True)
            data = bytearray(b"".join(map(pack, repeat(header), *columns)))
        except (struct.error, TypeError, ValueError, OverflowError, AttributeError):
            return None  # one by one it will be said which of them is wrong
        check = 0
        for column in range(HEADER_SIZE, size):
            check ^= int.from_bytes(data[column::size], "little")
        data[len(header) :: size] = check.to_bytes(len(messages), "little")
        return data, size

    return encode_many


def _many_decoder(label: str, header: bytes, layout: Layout, make: Make) -> Callable[[bytes, int], list[Any]]:
    iter_unpack = struct.Struct(f"{layout.order}{HEADER_SIZE}x{layout.format[1:]}").iter_unpack
    whole = HEADER_SIZE + layout.size

    def decode_many(data: bytes, size: int) -> list[Any]:
        count, rest = divmod(len(data), size)
        if rest or size != whole or any(data[n::size] != header[n : n + 1] * count for n in range(len(header))):
            raise CodecError(f"{label}: messages of other kinds are among them")
        return list(map(make, iter_unpack(data)))

    return decode_many


def _maker(label: str, layout: Layout, shape: Shape) -> Make:
    make = shape.make
    if not shape.texts:
        return make
    texts = sorted(shape.texts)

    def make_with_text(values: tuple[Any, ...]) -> Any:
        converted = list(values)
        for n in texts:
            try:
                converted[n] = str(values[n].partition(b"\0")[0], "utf-8")
            except UnicodeDecodeError as error:
                raise CodecError(f"{label}, {_place(shape, layout, n)}: {error}") from None
        return make(tuple(converted))

    return make_with_text


def _decoders(
    label: str, header: bytes, layout: Layout, shape: Shape, make: Make
) -> tuple[Callable[[Buffer], Any], Callable[[Buffer], Any]]:
    # "<7x9f" takes the values out of the whole message, and fails if it is not as long as its header says
    unpack = struct.Struct(f"{layout.order}{HEADER_SIZE}x{layout.format[1:]}").unpack
    size = HEADER_SIZE + layout.size
    # the check byte cancels the payload out, so the XOR of a right message is that of its 6 header bytes
    right = checksum(header)
    xor = fold if size <= 64 else checksum

    def decode(body: Buffer) -> Any:
        if len(body) == size and xor(body) != right:
            raise CodecError(f"{label}: bad checksum")
        return decode_intact(body)

    def decode_intact(body: Buffer) -> Any:
        try:
            values = unpack(body)
        except struct.error:
            raise CodecError(f"{label} takes {size} bytes, got {len(body)}") from None
        try:
            return make(values)
        except CodecError:
            raise
        except Exception as error:  # a type may refuse its values, in whatever way its author chose
            raise CodecError(f"{label}: its type does not take {_show(values)}: {error!r:.200}") from error

    return decode, quick_decoder(layout, shape, _careful(label, make), decode_intact)


def _careful(label: str, make: Make) -> Make:
    """Return a maker that raises as a decoder does."""

    def made(values: tuple[Any, ...]) -> Any:
        try:
            return make(values)
        except CodecError:
            raise
        except Exception as error:
            raise CodecError(f"{label}: its type does not take {_show(values)}: {error!r:.200}") from error

    return made


def _unpacker(label: str, layout: Layout, make: Make) -> Callable[[Buffer], Any]:
    unpack, made = struct.Struct(layout.format).unpack, _careful(label, make)

    def unpack_payload(payload: Buffer) -> Any:
        try:
            values = unpack(payload)
        except (struct.error, TypeError):
            what = f"{len(payload)} bytes" if isinstance(payload, (bytes, bytearray, memoryview)) else _show(payload)
            raise CodecError(f"{label} has a payload of {layout.size} bytes, got {what}") from None
        return made(values)

    return unpack_payload


def _converters(layout: Layout, shape: Shape) -> list[tuple[int, Callable[[Any], Any]]]:
    """Return what struct would change without a word: strings it cuts off, anything it takes for a bool."""
    if not any(repeat.code[-1] in "sp?" for repeat in layout.repeats):
        return []
    found: list[tuple[int, Callable[[Any], Any]]] = []
    for n, field in enumerate(layout.fields()):
        if field.code == "?":
            found.append((n, _to_bool))
        elif field.code[-1] in "sp":
            room = int(field.code[:-1])
            room = room if field.code[-1] == "s" else max(0, min(room - 1, 255))  # p: its first byte is the length
            found.append((n, _to_text(room) if n in shape.texts else _to_bytes(room)))
    return found


def _to_bool(value: Any) -> Any:
    if value not in _BOOLS:
        raise TypeError(f"expected bool, got {_show(value)}")
    return value


def _to_bytes(room: int) -> Callable[[Any], Any]:
    def convert(value: Any) -> Any:
        if not isinstance(value, (bytes, bytearray)):
            hint = "; annotate the field as str to send text" if isinstance(value, str) else ""
            raise TypeError(f"expected bytes, got {_show(value)}{hint}")
        if len(value) > room:
            raise ValueError(f"expected at most {room} bytes, got {len(value)}")
        return value

    return convert


def _to_text(room: int) -> Callable[[Any], bytes]:
    def convert(value: Any) -> bytes:
        if not isinstance(value, str):
            raise TypeError(f"expected str, got {_show(value)}")
        raw = value.encode()
        if len(raw) > room:
            raise ValueError(f"expected at most {room} bytes of UTF-8, got {len(raw)}: {_show(value)}")
        if b"\0" in raw:
            raise ValueError(f"text ends at its first NUL, and one is in {_show(value)}")
        return raw

    return convert


def _fault(label: str, layout: Layout, shape: Shape, values: Any, error: Exception) -> CodecError:
    """Say which value could not be packed."""
    try:
        given = tuple(values)
    except TypeError:
        return CodecError(f"{label}: expected {layout.count} values in a list or tuple, got {_show(values)}")
    if len(given) != layout.count:
        names = f" ({', '.join(shape.fields):.200})" if shape.fields else ""
        return CodecError(f"{label} takes {layout.count} values{names}, got {len(given)}")
    for n, (field, value) in enumerate(zip(layout.fields(), given, strict=True)):
        try:
            struct.pack(layout.order + field.code, value)
        except Exception:
            return CodecError(f"{label}, {_place(shape, layout, n)}: {_expected(field, value)}")
    return CodecError(f"{label}: {error}")


def _expected(field: Field, value: Any) -> str:
    type = field.type.removeprefix("big-endian ")
    if "int" in type and hasattr(value, "__index__"):
        bits = int(type.lstrip("uint"))
        low, high = (0, 2**bits - 1) if type[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return f"expected {type} ({low} to {high}), got {_show(value)}"
    if "float" in type and hasattr(value, "__float__"):
        return f"{_show(value)} is out of the range of {type}"
    return f"expected {type}, got {_show(value)}"


def _place(shape: Shape, layout: Layout, n: int) -> str:
    return shape.place(n, layout.count)


def _show(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:  # a type's own __repr__ may raise anything, and an int of 4,301 digits does
        return f"a value of type {type(value).__name__}"
    return f"{type(value).__name__} {text if len(text) <= 80 else text[:77] + '...'}"
