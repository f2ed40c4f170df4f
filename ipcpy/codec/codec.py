"""What a codec is. Knows the names of its members, nothing of ipcpy's own; it brings ``typing`` to who asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from .contract import Body
    from .stream import Buffer

__all__ = ["Codec"]


@runtime_checkable
class Codec(Protocol):
    """Turns what is published into bytes, and back. Anything with these four members is one.

    A subscriber's codec named ``any`` is given the bodies of every publisher, whatever that one's codec: for what hands
    messages on, or keeps them, without looking into them. What lies in shared memory it is given where it lies, as a
    ``memoryview`` that cannot be written to.

    A codec may also have ``adapt(schema) -> Codec``, which makes the one that reads a publisher with that schema, and
    raises SchemaError where the two do not fit. These are preferred where its class has them beside its own ``encode``
    or ``decode`` (see ``variant``):

    - ``decode_intact(body)``: need not look for bytes that changed on their way, for the frame's check was right;
    - ``encode_many(messages) -> (bytes, size) | None``: the bodies of a list laid end to end, where all have one size;
      None, or a CodecError, where it cannot: then each is encoded by itself;
    - ``decode_many(data, size) -> list``: the data of such bodies, intact; a CodecError where it cannot.
    """

    @property
    def name(self) -> str:
        """The codec's name, which travels with discovery; ``struct``, ``msgpack`` and ``raw`` are ipcpy's."""

    @property
    def schema(self) -> Mapping[str, Any]:
        """What JSON can hold about the messages, which travels with discovery; empty where there is nothing."""

    def encode(self, data: Any) -> Body:
        """Make a body; a list is parts that are laid end to end.

        Raises:
            CodecError: data cannot be encoded.
        """

    def decode(self, body: Buffer) -> Any:
        """Make the data of a body, which may come from anyone.

        It is bytes, or for a large message a bytearray; only ipcpy's own codecs are given views of shared memory, for
        its publisher may write to it while it is read.

        Raises:
            CodecError: the bytes are not a right body.
        """
