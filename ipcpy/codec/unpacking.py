"""Struct messages decoded by the compiled part (fast/decoding.c), where that is. Knows which layouts and types it does.

Little-endian numbers, bools and bytes become the values; a named tuple, a tuple, a list or a single value is made of
them right there, any other type by the function that is its maker here. What is not as usual, such as a body of
another size, is left to the decoders of Python, whose texts its errors have.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..fast import compiled
from ..typed import Any
from .layout import Layout
from .shape import Shape
from .stream import HEADER_SIZE, Buffer

__all__ = ["quick_decoder", "quick_library"]

CODES = frozenset("bBhHiIqQfd?s")

Decode = Callable[[Buffer], Any]


def quick_decoder(layout: Layout, shape: Shape, make: Callable[[tuple[Any, ...]], Any], otherwise: Decode) -> Decode:
    """Return the compiled twin of a message's decoder; that itself where there is none.

    Args:
        make: makes an instance of a tuple of values, or raises what the decoder does.
        otherwise: the decoder, which does not look at the check byte.
    """
    if compiled is None or layout.order != "<" or any(repeat.code[-1] not in CODES for repeat in layout.repeats):
        return otherwise
    repeats = tuple((repeat.code[-1], repeat.offset, repeat.size, repeat.number) for repeat in layout.repeats)
    size = HEADER_SIZE + layout.size
    quick: Decode = compiled.Unpacking(size, repeats, False if shape.texts else _made(shape), make, otherwise)
    return quick


def _made(shape: Shape) -> object:
    """Return what is made of the values in C: a named tuple, tuple or list, None for the value itself, else False."""
    if shape.kind in ("list", "tuple"):
        return shape.type
    if shape.kind != "named":
        return None
    plain = isinstance(shape.make, partial) and shape.make.func == tuple.__new__
    return shape.type if plain else False


def quick_library(messages: dict[Buffer, Decode], otherwise: Decode) -> Decode:
    """Return the compiled twin of a library's decoder; that itself where there is none.

    Args:
        messages: by their first 6 bytes, what decodes them; more may come.
        otherwise: the decoder.
    """
    if compiled is None:
        return otherwise
    quick: Decode = compiled.Decoder(messages, otherwise)
    return quick
