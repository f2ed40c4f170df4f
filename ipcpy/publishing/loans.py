"""What a user is lent to fill: an array or bytes, in shared memory where there is some. Knows shapes and dtypes, and
where in a slot a loan lies; nothing of how slots are had, or of what becomes of the message, which is memory.py's.
"""

from __future__ import annotations

import operator
import weakref
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod

from ..errors import ArgumentError
from ..protocol.data.fragments import MAX_MESSAGE
from ..protocol.data.places import PLACED_FROM
from ..protocol.data.pool import Slot
from ..transport import memory as mappings
from ..transport.memory import Part
from ..typed import Any, Protocol

MARGIN = 4096  # bytes before and after a loan for what the codec writes there
LARGEST = MAX_MESSAGE - PLACED_FROM  # bytes of a loan: what a codec writes beside them is part of the message


class Loan:
    """Memory that the user fills.

    Args:
        slot: what it takes; before and after what is lent are MARGIN bytes.
        part: all of it.
        size: bytes that are lent.

    Attributes:
        slot, size: as given.
        address: where what is lent begins.
        part: returns the part as long as somebody holds it.
    """

    __slots__ = ("_array", "address", "part", "size", "slot")

    def __init__(self, slot: Slot, part: Part, size: int) -> None:
        self.slot = slot
        self.address = mappings.address_of(part) + MARGIN
        self.size = size
        self.part: Callable[[], Part] = weakref.ref(part)
        self._array: Callable[[], Any] = _nothing

    def lent_as(self, array: Callable[[], Any]) -> None:
        """Remember, weakly, the array that the user was given."""
        self._array = array

    def end(self) -> None:
        """The message is published: the array is not to be written to any more."""
        array = self._array()
        if array is not None:
            array.flags.writeable = False


class Lending(Protocol):
    """What lends: the publisher's shared memory."""

    def lend(self, size: int) -> tuple[Loan, memoryview] | None: ...


def lend(memory: Lending, shape: int | Sequence[int], dtype: Any) -> Any:
    """Return memory for a message.

    Args:
        shape: how many bytes, or the shape of an array.
        dtype: of the array; None for bytes, or for an array of them.

    Returns:
        A memoryview to write to, where ``shape`` is a number and there is no dtype; else a numpy array.

    Raises:
        ArgumentError: shape or dtype is wrong, or a message cannot be that large.
    """
    if dtype is None and isinstance(shape, int) and not isinstance(shape, bool):
        return _lend_bytes(memory, _checked(shape, shape, shape))
    try:
        make, lengths, kind, size = _measured(shape, dtype)
    except TypeError:  # unhashable, such as lists
        make, lengths, kind, size = _measured.__wrapped__(shape, dtype)
    lent = memory.lend(size) if size >= PLACED_FROM else None
    if lent is None:
        return make(lengths, kind)
    loan, view = lent
    array = make(lengths, kind, view)
    loan.lent_as(weakref.ref(array))
    return array


@lru_cache(maxsize=64)
def _measured(shape: int | Sequence[int], dtype: Any) -> tuple[Callable[..., Any], tuple[int, ...], Any, int]:
    """Return what makes an array, its shape and dtype, and how many bytes it has."""
    try:
        import numpy as np
    except ImportError:
        raise ArgumentError(
            "a loan of an array takes numpy, which is not installed here; loan(n) lends bytes"
        ) from None
    try:
        kind = np.dtype("uint8" if dtype is None else dtype)
        whole = isinstance(shape, int) and not isinstance(shape, bool)
        lengths = (operator.index(shape),) if whole else tuple(map(operator.index, shape))  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        wanted = "a loan has a shape such as (1080, 1920, 3) and a dtype such as 'uint8'"
        raise ArgumentError(f"{wanted}, got {shape!r:.60} and {dtype!r:.60}: {error!s:.200}") from None
    if kind.hasobject:
        raise ArgumentError(f"dtype {kind} holds Python objects, which do not travel")
    return np.ndarray, lengths, kind, _checked(min(lengths, default=0), prod(lengths) * kind.itemsize, shape)


def _lend_bytes(memory: Lending, size: int) -> memoryview:
    lent = memory.lend(size) if size >= PLACED_FROM else None
    return memoryview(bytearray(size)) if lent is None else lent[1]


def _nothing() -> None:
    return None


def _checked(least: int, size: int, shape: object) -> int:
    if least < 0 or not 0 <= size <= LARGEST:
        raise ArgumentError(f"a loan has from 0 to {LARGEST} bytes, got {shape!r:.60}")
    return size
