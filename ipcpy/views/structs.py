"""Struct messages as CDR, and back bit for bit. Knows formats, ROS 2 definitions and XCDR1's alignment; does no I/O.

CDR aligns each value to its size, from the first byte after the 4 of the encapsulation header
(https://www.omg.org/spec/DDSI-RTPS/2.5, 10). So a message whose values lie aligned anyway is its own CDR, and any
other is the same bytes moved apart:

=====================  ==============================  ===================================================
in the format          in the definition               what is done to the bytes
=====================  ==============================  ===================================================
integers, f, d, ?      int8 ... float64, bool          moved; of ``>`` formats too, for CDR has a byte order
c, 16s, 16p            uint8, uint8[16]                moved
16s, 16p of text       string                          cut at the first NUL, and its length before it
e                      float32                         made a float32: ROS has no half
x                      (nothing)                       left out
=====================  ==============================  ===================================================

The last three can lose something (what stands behind a NUL, the bits of a NaN, padding that is not zero): ``view`` says
for each message whether ``body_of`` makes the same bytes again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from ..codec.nesting import Part, leaves
from ..codec.schema import MessageSpec
from ..codec.stream import HEADER_SIZE, START, Buffer, checksum
from .rosnames import PACKAGE, field_name, type_name, unused
from .schema import Schema, ros_schema

__all__ = ["StructView"]

_ROS = {
    "b": "int8", "B": "uint8", "h": "int16", "H": "uint16", "i": "int32", "I": "uint32", "q": "int64", "Q": "uint64",
    "e": "float32", "f": "float32", "d": "float64", "?": "bool", "c": "uint8",
}  # fmt: skip
_RULE = "=" * 80
_HEADER = struct.Struct("<2sHH")
_EMPTY = "structure_needs_at_least_one_member"  # what ROS 2 itself puts into a message without fields


class _Value(NamedTuple):
    """One value, or several that stay together, where they lie in the payload.

    Attributes:
        code: the struct code of the first one.
        offset: its first byte.
        size: bytes of all.
        text: whether it is text.
        alignment: what its place in CDR is a multiple of.
    """

    code: str
    offset: int
    size: int
    text: bool
    alignment: int


class StructView:
    """How one message of a struct schema looks in CDR.

    Args:
        spec: the message.

    Attributes:
        id: its ID.
        schema: its ROS 2 definition.
        size: the bytes of its body.
    """

    def __init__(self, spec: MessageSpec) -> None:
        layout = spec.layout
        self.id = spec.id
        self.schema: Schema = ros_schema(f"{PACKAGE}/msg/{type_name(spec.name)}", _definition(spec))
        self.size = HEADER_SIZE + layout.size
        self._header = _HEADER.pack(START, spec.id, self.size)
        self._xor = checksum(self._header)  # of a whole right message, whose check byte cancels the payload out
        self._head = b"\0\1\0\0" if layout.order == "<" else b"\0\0\0\0"
        self._spec = spec
        values = list(_together(_values(spec)))
        self._pieces = list(_pieces(values, layout.order))
        self._as_it_is = _lie_alike(values, layout.size)
        moved = sum(value.size for value in values)
        self._bijective = moved == layout.size and not any(value.text or value.code == "e" for value in values)

    def view(self, body: Buffer) -> tuple[bytes, bool] | None:
        """Return the CDR of a body, and whether ``body_of`` makes the same body of it.

        Returns:
            None if the body is no whole message with this ID.
        """
        if len(body) != self.size or body[:6] != self._header:
            return None
        payload = bytes(body[HEADER_SIZE:])
        data = self._head + (payload if self._as_it_is else self._spread(payload))
        if checksum(body) != self._xor:
            return data, False
        return data, self._bijective or self.body_of(data) == body

    def exact(self, body: Buffer) -> bytes | None:
        """Return the CDR of a body of which ``body_of`` makes the same body, in half the time; None of others."""
        if not self._bijective or len(body) != self.size or body[:6] != self._header or checksum(body) != self._xor:
            return None
        return self._head + (body[HEADER_SIZE:] if self._as_it_is else self._spread(bytes(body[HEADER_SIZE:])))

    def body_of(self, data: Buffer) -> bytes:
        """Return the body of which ``view`` made some CDR.

        Raises:
            ValueError: it is not CDR of this message.
        """
        payload = self.payload_of(data)
        return self._header + bytes((checksum(payload),)) + payload

    def payload_of(self, data: Buffer) -> bytes:
        """Return the body's payload: it without its header.

        Raises:
            ValueError: it is not CDR of this message.
        """
        if self._as_it_is:
            payload = bytes(data[4:])
        else:
            try:
                payload = self._gather(bytes(data))
            except (struct.error, IndexError, OverflowError) as error:
                raise ValueError(f"{len(data)} bytes are no {self.schema.name}: {error}") from None
        if len(payload) != self.size - HEADER_SIZE:
            raise ValueError(f"{len(data)} bytes are no {self.schema.name}")
        return payload

    def columns(self) -> list[tuple[str, str, int, int]] | None:
        """Return where values lie in the CDR, for those who read many messages at once.

        Returns:
            The name of each value or array (``linear.x``), its struct code with the byte order, its first byte in the
            CDR (the header of 4 counted), and the number of its values, 0 for one by itself. None where that differs
            from message to message, for there is text.
        """
        places: list[tuple[str, int]] = []
        at = 0
        for value in _values(self._spec):
            if value.text:
                return None
            at += -at % value.alignment
            places.append(("f" if value.code == "e" else value.code, 4 + at))
            at += 4 if value.code == "e" else value.size
        columns = []
        rest = iter(places)
        order = self._spec.layout.order
        for name, number in leaves(_parts(self._spec)):
            taken = [next(rest) for _ in range(number or 1)]
            if len({code for code, _ in taken}) > 1:
                return None
            columns.append((name, order + taken[0][0], taken[0][1], number))
        return columns

    def _spread(self, payload: bytes) -> bytes:
        out = b""
        for piece in self._pieces:
            out += piece.spread(payload, len(out))
        return out or b"\0"

    def _gather(self, data: bytes) -> bytes:
        payload = bytearray(self.size - HEADER_SIZE)
        at = 0
        for piece in self._pieces:
            at = piece.gather(data, at, payload)
        if len(data) != 4 + (at or 1):
            raise IndexError(f"it would have {4 + (at or 1)}")
        return bytes(payload)


# -- pieces: values of fixed sizes, or a text --------------------------------------------------------------------------


class _Run:
    """Values of fixed sizes that follow each other: two structs move them all at once."""

    def __init__(self, values: list[_Value], order: str) -> None:
        self._values = values
        self._order = order
        self._begin = values[0].offset
        self._here = struct.Struct(_here(values, order))
        self._there: dict[int, struct.Struct] = {}  # by where the run begins, for what it is aligned to

    def spread(self, payload: bytes, at: int) -> bytes:
        """Return the values as they stand in CDR from a position on, with the padding before them."""
        return self._at(at).pack(*self._here.unpack_from(payload, self._begin))

    def gather(self, data: bytes, at: int, payload: bytearray) -> int:
        """Put the values into a payload, and return where in CDR they end."""
        there = self._at(at)
        self._here.pack_into(payload, self._begin, *there.unpack_from(data, 4 + at))
        return at + there.size

    def _at(self, at: int) -> struct.Struct:
        found = self._there.get(at % 8)
        if found is None:
            found = self._there[at % 8] = struct.Struct(_there(self._values, self._order, at % 8))
        return found


class _Text:
    """A text: a string in CDR."""

    def __init__(self, value: _Value, order: str) -> None:
        self._value = value
        self._order: Literal["little", "big"] = "little" if order == "<" else "big"

    def spread(self, payload: bytes, at: int) -> bytes:
        """Return the text as it stands in CDR from a position on; what is not UTF-8 becomes U+FFFD."""
        (raw,) = struct.unpack_from(self._value.code, payload, self._value.offset)
        text: bytes = raw.partition(b"\0")[0].decode("utf-8", "replace").encode() + b"\0"
        return bytes(-at % 4) + len(text).to_bytes(4, self._order) + text

    def gather(self, data: bytes, at: int, payload: bytearray) -> int:
        """Put the text into a payload, and return where in CDR it ends."""
        at += -at % 4
        size = int.from_bytes(data[4 + at : 8 + at], self._order)
        at += 4 + size
        if not size or len(data) < 4 + at:
            raise IndexError("a text that goes beyond the end")
        struct.pack_into(self._value.code, payload, self._value.offset, data[4 + at - size : 3 + at])
        return at


def _values(spec: MessageSpec) -> Iterator[_Value]:
    """Yield the values of a message; there may be 65,528."""
    order = spec.layout.order
    texts = {0} if spec.kind == "str" else set(spec.texts)
    sizes: dict[str, int] = {}
    for n, (code, _, offset) in enumerate(spec.layout.fields()):
        size = sizes.get(code)
        if size is None:
            size = sizes[code] = struct.calcsize(order + code)
        yield _Value(code, offset, size, n in texts, 1 if code[-1] in "spcbB?" else 4 if code == "e" else size)


def _together(values: Iterable[_Value]) -> Iterator[_Value]:
    """Yield values that have bytes; those in one that lie side by side here and in CDR, wherever the first one lies."""
    last: _Value | None = None
    for value in values:
        if not value.size:
            continue
        if last is not None:
            moved = not (last.text or value.text or "e" in (last.code, value.code))
            beside = value.offset == last.offset + last.size and not last.size % value.alignment
            if moved and beside and value.alignment <= last.alignment:
                last = last._replace(size=last.size + value.size)
                continue
            yield last
        last = value
    if last is not None:
        yield last


def _pieces(values: list[_Value], order: str) -> Iterator[_Run | _Text]:
    run: list[_Value] = []
    for value in values:
        if not value.text:
            run.append(value)
            continue
        if run:
            yield _Run(run, order)
        yield _Text(value, order)
        run = []
    if run:
        yield _Run(run, order)


def _lie_alike(values: Iterable[_Value], size: int) -> bool:
    """Tell whether values lie in CDR where they lie in the payload."""
    at = 0
    for value in values:
        if value.text or value.code == "e" or value.offset != at or at % value.alignment:
            return False
        at += value.size
    return 0 < at == size


def _here(values: Iterable[_Value], order: str) -> str:
    """Return the format of a run in the payload: halves as numbers, everything else as bytes."""
    moves: list[tuple[int, int, str]] = []
    for value in values:
        moves.append((value.offset, value.size, "e" if value.code == "e" else ""))
    return order + _format(moves, moves[0][0])


def _there(values: Iterable[_Value], order: str, at: int) -> str:
    """Return the format of a run in CDR that begins at a position."""
    moves: list[tuple[int, int, str]] = []
    begin = at
    for value in values:
        at += -at % value.alignment
        size = 4 if value.code == "e" else value.size
        moves.append((at, size, "f" if value.code == "e" else ""))
        at += size
    return order + _format(moves, begin)


def _format(moves: Iterable[tuple[int, int, str]], at: int) -> str:
    codes = []
    for offset, size, number in moves:
        codes.append(f"{offset - at}x" if offset > at else "")
        codes.append(number or f"{size}s")
        at = offset + size
    return "".join(codes)


# -- the definition ----------------------------------------------------------------------------------------------------


def _definition(spec: MessageSpec) -> str:
    """Return the ROS 2 definition of a message, those of nested types behind it."""
    fields = iter(spec.layout.fields())
    texts = {0} if spec.kind == "str" else set(spec.texts)
    typed = [(field.code, n in texts) for n, field in enumerate(fields)]
    parts = _parts(spec)
    others: dict[str, list[str]] = {}
    own = _members(parts, iter(typed), others, {type_name(spec.name)})
    lines = [f"# ipcpy message {spec.id}, {spec.layout.format[:200]}", *(own or [f"uint8 {_EMPTY}"])]
    for name, members in others.items():
        lines += [_RULE, f"MSG: {PACKAGE}/{name}", *members]
    return "\n".join(lines) + "\n"


def _parts(spec: MessageSpec) -> tuple[Part, ...]:
    return spec.parts or tuple(map(Part, spec.fields)) or _unnamed(spec)


def _unnamed(spec: MessageSpec) -> tuple[Part, ...]:
    """Return fields for the values of a message that has none: ``data``, as std_msgs calls what has no name."""
    runs = [run for run in spec.layout.repeats]
    names = ["data"] if len(runs) == 1 else [f"data{n}" for n in range(len(runs))]
    return tuple(Part(name, 0 if run.number == 1 else run.number) for name, run in zip(names, runs, strict=True))


def _members(
    parts: Iterable[Part], values: Iterator[tuple[str, bool]], others: dict[str, list[str]], above: set[str]
) -> list[str]:
    """Return a line for each field of a type; its nested types go to ``others``."""
    lines: list[str] = []
    taken: set[str] = set()
    for part in parts:
        name = unused(field_name(part.name), taken)
        taken.add(name)
        was = "" if name == part.name else f"  # {part.name}"
        if part.type:
            nested = type_name(part.type)
            inner = _members(part.parts, values, others, above | {nested}) or [f"uint8 {_EMPTY}"]
            while nested in above or others.setdefault(nested, inner) != inner:
                nested = unused(nested, {*above, *others})
            lines.append(f"{nested} {name}{was}")
            continue
        codes = [next(values) for _ in range(part.number or 1)]
        if part.number and len(set(codes)) == 1 and codes[0][0][-1] not in "sp":
            lines.append(f"{_ROS[codes[0][0]]}[{part.number}] {name}{was}")
            continue
        for n, (code, text) in enumerate(codes):
            item = name if len(codes) == 1 and not part.number else unused(f"{name}{n}", taken)
            taken.add(item)
            if type := _type(code, text):
                lines.append(f"{type} {item}{was}")
    return lines


def _type(code: str, text: bool) -> str:
    """Return the ROS 2 type of a value; empty for one without bytes."""
    if text:
        return "string"
    if code[-1] in "sp":
        return f"uint8[{code[:-1]}]" if int(code[:-1]) else ""
    return _ROS[code]
