"""The codec that leaves bytes as they are. Knows buffers; nothing of what is in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import iter_unpack

from ..errors import CodecError
from ..typed import Any
from .stream import Buffer

__all__ = ["Raw"]


class Raw:
    """Carries bytes, unchanged and uncopied.

    >>> Raw().decode(Raw().encode(b"anything"))
    b'anything'
    """

    name = "raw"
    schema: Mapping[str, Any] = {}

    def encode(self, data: Any) -> Buffer:
        """Return the data, as bytes or a view of their bytes.

        Args:
            data: bytes, bytearray, memoryview, array.array, a numpy array or anything else with a contiguous buffer.

        Raises:
            CodecError: data has no buffer, one that is not contiguous, or one of Python objects.
        """
        if type(data) is bytes:
            return data
        try:
            view = memoryview(data)
            form = view.format  # of a structured array T{i:name:O:other:}, with names that may have any letters
            if form != "B" and "O" in "".join(form.split(":")[::2]):
                raise TypeError("its items are Python objects, whose bytes are addresses")
            return view.cast("B") if view.nbytes else b""  # with a zero in its shape it could not be cast
        except (TypeError, ValueError, BufferError) as error:
            raise CodecError(
                f"expected bytes, bytearray, memoryview or an array whose bytes are contiguous, "
                f"got {type(data).__name__}: {error}"
            ) from None

    def decode(self, body: Buffer) -> Buffer:
        """Return the body: bytes, or for large messages the bytearray or memoryview that was received."""
        return body

    def encode_many(self, messages: Sequence[Any]) -> tuple[bytes, int] | None:
        """Lay bytes of one length end to end; None for anything else."""
        size = len(messages[0]) if set(map(type, messages)) == {bytes} else 0
        return (b"".join(messages), size) if size and set(map(len, messages)) == {size} else None

    def decode_many(self, data: bytes, size: int) -> list[bytes]:
        """Take such bytes apart."""
        return [body for (body,) in iter_unpack(f"{size}s", data)]
