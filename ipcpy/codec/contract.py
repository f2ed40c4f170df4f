"""What a codec is, and which one reads a publisher's messages. Knows the names of ipcpy's codecs; nothing of how they
work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from ..errors import SchemaError
from .library import MsgLibrary
from .msgpack import MsgPack
from .raw import Raw
from .stream import Buffer

__all__ = ["Body", "Codec", "codec_for", "variant"]

Body = Buffer | list[Buffer]


@runtime_checkable
class Codec(Protocol):
    """Turns what is published into bytes, and back. Anything with these four members is one.

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

        Raises:
            CodecError: the bytes are not a right body.
        """


def variant(codec: object, name: str, base: str) -> Callable[..., Any] | None:
    """Return a codec's faster variant of ``encode`` or ``decode``; None if a subclass or wrapper changed only the base.

    Args:
        name: the variant, such as ``decode_intact``.
        base: the method that the variant does the work of.
    """
    for kind in type(codec).__mro__:
        if base in vars(kind):
            return getattr(codec, name) if name in vars(kind) else None
    return None


def codec_for(name: object, schema: object) -> MsgLibrary | MsgPack | Raw:
    """Make the codec with which a subscriber reads a publisher when it was given none itself.

    Args:
        name: the publisher's codec, as discovery has it.
        schema: its schema; only ``struct`` needs one.

    Raises:
        SchemaError: a codec that ipcpy does not have, or a schema that is wrong or too large.
    """
    if name == "msgpack":
        return MsgPack()
    if name == "raw":
        return Raw()
    if name == "struct":
        return MsgLibrary.from_schema(schema)
    raise SchemaError(f"codec {name!r:.60} is not one of ipcpy's; a subscriber needs it as its own codec")
