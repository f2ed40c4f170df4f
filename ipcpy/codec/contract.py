"""What a codec is, whether something is one, and which one reads a publisher's messages.

Knows the names of ipcpy's codecs; nothing of how they work, nor of who holds one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

import msgpack

from ..errors import ArgumentError, SchemaError
from ..importing import importing
from ..typed import TYPE_CHECKING, Any
from .msgpack import MsgPack
from .raw import Raw
from .stream import Buffer

__all__ = ["ANY", "Body", "check_codec", "codec_for", "encoders", "library", "reading_codec", "variant"]

if TYPE_CHECKING:
    from .codec import Codec
    from .library import MsgLibrary

Body = Buffer | list[Buffer]
ANY = "any"  # what a subscriber without a codec says of itself; one with a codec of that name reads every publisher
_MAX_NAME = 64  # characters of a codec's name that peers take
_OURS: dict[str, str] = {"msgpack": "MsgPack()", "raw": "Raw()", "struct": "MsgLibrary({1: ('<3f', Imu)})"}


def library() -> type[MsgLibrary] | None:
    """Return MsgLibrary if it is imported; if not, no codec is one."""
    return getattr(sys.modules.get(f"{__package__}.library"), "MsgLibrary", None)


def check_codec(codec: object, *, callbacks: bool = False) -> Codec:
    """Return the codec if it is one.

    Args:
        codec: what a user gave as one.
        callbacks: whether a function in its place is likely to be meant as a callback.

    Raises:
        ArgumentError: it is none; the text says what is missing or wrong, and what was probably meant.
    """
    missing = [name for name in ("name", "encode", "decode", "schema") if not hasattr(codec, name)]
    if missing or isinstance(codec, type):
        lacks = "" if isinstance(codec, type) else f" without {' and '.join(missing)}"
        raise ArgumentError(
            "a codec has name, encode, decode and schema, such as MsgLibrary, MsgPack or Raw; "
            f"got {codec!r:.80}{lacks}{_meant(codec, missing, callbacks)}"
        )
    checked: Codec = codec  # type: ignore[assignment]
    name: object = checked.name
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME or not name.isprintable():
        raise ArgumentError(f"the name of a codec is a text of 1 to {_MAX_NAME} characters, got {name!r:.80}")
    for method in ("encode", "decode"):
        if not callable(getattr(codec, method)):
            raise ArgumentError(f"{method} of codec {name!r} is to be a method, got {getattr(codec, method)!r:.80}")
    schema: object = checked.schema
    if not isinstance(schema, Mapping):
        raise ArgumentError(f"the schema of codec {name!r} is to be a mapping such as {{}}, got {schema!r:.80}")
    try:
        msgpack.packb(dict(schema))
    except Exception as error:  # whatever msgpack says to what is no data
        raise ArgumentError(f"the schema of codec {name!r} holds more than JSON can hold: {error!r:.200}") from None
    return checked


def _meant(codec: object, missing: list[str], callbacks: bool) -> str:
    """Guess what was meant; empty where nothing comes to mind."""
    if isinstance(codec, type):
        name = codec.__name__
        if issubclass(codec, library() or ()):
            return f"; it takes messages: did you mean {name}({{1: ('<3f', Imu)}})?"
        if not missing:
            return f"; did you mean {name}()?"
        return (
            f"; a library carries it: did you mean MsgLibrary({{1: ('<3f', {name})}})?" if name.isidentifier() else ""
        )
    if isinstance(codec, str):
        return f"; did you mean {_OURS[codec]}?" if codec in _OURS else ""
    if isinstance(codec, Mapping):
        return "; did you mean MsgLibrary({...})?"
    if callbacks and callable(codec):
        name = getattr(codec, "__name__", "...")
        return f"; did you mean callback={name if name.isidentifier() else '...'}?"
    return ""


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


def encoders(codec: Codec) -> dict[type, Callable[[Any], bytes]]:
    """Return what encodes instances of a type, by the types for which a codec's ``encode`` does nothing else."""
    for kind in type(codec).__mro__:
        if "encode" in vars(kind):
            if kind is library() and "encode" not in vars(codec):
                found: dict[type, Callable[[Any], bytes]] = vars(codec)["_encoders"]
                return found
            break
    return {}


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
        with importing.lock:  # it may be the I/O thread that meets the first one
            from .library import MsgLibrary

        return MsgLibrary.from_schema(schema)
    raise SchemaError(f"codec {name!r:.60} is not one of ipcpy's; a subscriber needs it as its own codec")


def reading_codec(own: Codec | None, name: str, schema: Mapping[str, Any]) -> Codec:
    """Return the codec that reads a publisher: the subscriber's own, adapted, or for None what the schema says.

    Args:
        name, schema: the publisher's, as discovery has them.

    Raises:
        SchemaError: the subscriber's own does not fit, or there is none for the publisher's.
    """
    if own is None:
        return codec_for(name, schema)
    if own.name not in (name, ANY):
        raise SchemaError(f"the publisher's codec is {name}, the subscriber's is {own.name}")
    adapt = getattr(type(own), "adapt", None)  # one that only hands on another's would give that away
    adapted: Codec = own if adapt is None else adapt(own, schema)
    return adapted
