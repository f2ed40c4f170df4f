"""Struct formats. Knows which bytes each value of a format takes; nothing of message IDs or Python types.

A format without a byte-order character is little-endian and without padding, on every machine, and so is ``=``;
``>`` and ``!`` are big-endian. ``@`` is refused: sizes and padding of the machine are no agreement between two.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ..errors import SchemaError
from ..records import NamedTuple, dataclass
from .stream import HEADER_SIZE, MAX_SIZE

__all__ = ["Field", "Layout", "Repeat", "parse_format"]

MAX_PAYLOAD = MAX_SIZE - HEADER_SIZE
_MAX_FORMAT = 8192  # characters; enough for 1,024 fields of the longest kind
_ITEM = r"\s*(\d{0,6})([xcbB?hHiIlLqQefdsp])"
_ORDERS = {"<": "<", "=": "<", ">": ">", "!": ">"}
_NAMES = {
    "b": "int8", "B": "uint8", "h": "int16", "H": "uint16", "i": "int32", "I": "uint32", "q": "int64",
    "Q": "uint64", "e": "float16", "f": "float32", "d": "float64", "?": "bool", "c": "char",
}  # fmt: skip
_SAME = {"l": "i", "L": "I"}


class Field(NamedTuple):
    """One value of a format: its struct code (``16s`` with its length), its type in words, its first byte."""

    code: str
    type: str
    offset: int


class Repeat(NamedTuple):
    """Values of one type that follow each other without a gap."""

    code: str
    type: str
    offset: int
    size: int
    number: int

    def fields(self) -> Iterator[Field]:
        for n in range(self.number):
            yield Field(self.code, self.type, self.offset + n * self.size)


@dataclass(frozen=True, slots=True)
class Layout:
    """A format, taken apart.

    Attributes:
        format: the format with its byte-order character, as it travels in a schema.
        order: ``<`` or ``>``.
        size: bytes of a payload.
        repeats: the values, without the padding; equal for two formats that mean the same bytes.
        count: how many values there are.
        groups: how many values each item of the format has, as it is written: 3 and 9 in ``3f9f``.
    """

    format: str
    order: str
    size: int
    repeats: tuple[Repeat, ...]
    count: int
    groups: tuple[int, ...]

    def fields(self) -> Iterator[Field]:
        """Yield the values one by one; there may be 65,528."""
        for repeat in self.repeats:
            yield from repeat.fields()


def parse_format(text: object) -> Layout:
    """Take a struct format apart.

    Args:
        text: the format as a str, or as bytes; may come from another machine.

    Raises:
        SchemaError: not a format, ``@``, a native-only code (n, N, P), or more than 65,528 bytes of payload.
    """
    if isinstance(text, bytes):
        text = text.decode("ascii", "replace")
    if not isinstance(text, str):
        raise SchemaError(f"a struct format is a str like '<3f', got {type(text).__name__}")
    if len(text) > _MAX_FORMAT:
        raise SchemaError(f"a format of {len(text)} characters; {_MAX_FORMAT} are allowed")
    if text[:1] == "@":
        raise SchemaError(f"format {text!r} has the sizes and padding of this machine; write '<' (or nothing) for '@'")
    order = _ORDERS.get(text[:1], "")
    codes = text[1:] if order else text
    order = order or "<"
    repeats, groups, size = _repeats(codes, order, text)
    if size > MAX_PAYLOAD:
        raise SchemaError(f"format {text!r} takes {size} bytes; a message carries at most {MAX_PAYLOAD}")
    return Layout(order + codes.strip(), order, size, repeats, sum(groups), groups)


def _repeats(codes: str, order: str, text: str) -> tuple[tuple[Repeat, ...], tuple[int, ...], int]:
    import re

    repeats: list[Repeat] = []
    groups: list[int] = []
    offset = at = 0
    item = re.compile(_ITEM, re.ASCII)
    while codes[at:].strip():
        match = item.match(codes, at)
        if not match:
            raise SchemaError(_bad_code(codes[at:].lstrip(), text))
        if match[2] == "p" and match[1] and int(match[1]) == 0:
            raise SchemaError(f"format {text!r:.60}: a pascal string takes at least 1 byte")  # 0p crashes struct.unpack
        at = match.end()
        repeat = _repeat(match[2], int(match[1] or 1), order, offset)
        offset += repeat.size * repeat.number
        if match[2] != "x" and repeat.number:
            _append(repeats, repeat)
            groups.append(repeat.number)
    return tuple(repeats), tuple(groups), offset


def _repeat(code: str, number: int, order: str, offset: int) -> Repeat:
    if code in "sp":
        return Repeat(f"{number}{code}", f"{'bytes' if code == 's' else 'pascal'}[{number}]", offset, number, 1)
    code = _SAME.get(code, code)
    size = struct.calcsize("<" + code)
    type = _NAMES.get(code, "padding")
    return Repeat(code, f"big-endian {type}" if order == ">" and size > 1 else type, offset, size, number)


def _append(repeats: list[Repeat], repeat: Repeat) -> None:
    """Add a repeat, to the last one if it goes on with it: ``3i`` and ``iil`` are the same bytes."""
    last = repeats[-1] if repeats else None
    if last and last.type == repeat.type and last.offset + last.size * last.number == repeat.offset:
        repeats[-1] = last._replace(number=last.number + repeat.number)
    else:
        repeats.append(repeat)


def _bad_code(rest: str, text: str) -> str:
    code = rest.lstrip("0123456789")[:1]
    if not code:
        return f"format {text!r} ends with a number and no type code"
    if code in "nNP":
        return f"format {text!r}: {code!r} has the size of this machine; write q or Q"
    return f"format {text!r}: {code!r} is not a struct type code, or its count is out of range"
