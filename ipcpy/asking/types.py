"""What requests and replies are: the codecs of either side, and whether they fit. Pure: knows codecs and schemas.

A server says with discovery what it takes and what it answers; a client makes its codecs of that, or holds its own
against it before it asks. A client says what it sends, and the server holds that against its own.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from ..codec import ANY, Body, MsgLibrary, MsgPack, Raw, check_codec, reading_codec, variant
from ..errors import ArgumentError, CodecError, SchemaError

if TYPE_CHECKING:
    from ..codec.codec import Codec

Decode = Callable[[Any], Any]
_FORMATS = {float: "d", int: "q", bool: "?"}


class Kind(NamedTuple):
    """A codec as it is told: its name and schema; ``any`` takes whatever comes."""

    codec: str
    schema: Mapping[str, Any]


class Told(NamedTuple):
    """What a server says of itself.

    Attributes:
        steps: whether it answers in steps.
        asides: whether it takes requests that come beside the order.
    """

    request: Kind
    reply: Kind
    steps: bool
    asides: bool = False


class Envelopes:
    """The codec of the topics of requests and answers, as their publisher has it: the bodies are made already.

    It has the name and the schema of the codec that made them.
    """

    def __init__(self, kind: Kind) -> None:
        self.name = kind.codec
        self.schema = kind.schema

    def encode(self, data: Body) -> Body:
        """Return the body."""
        return data

    def decode(self, body: Any) -> Any:
        """Return the body."""
        return body


class AnyEnvelopes(Envelopes):
    """The same as their subscriber has it: it takes them from every publisher, and says what it makes of them."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        super().__init__(Kind(ANY, schema))


def check_type(what: str, given: Any) -> Codec | None:
    """Return the codec of what a user said that requests or replies are; None where nothing was said.

    Args:
        what: ``request`` or ``reply``, for errors.
        given: None, a codec, or a class of named fields: a NamedTuple or a dataclass, of numbers and of such classes.

    Raises:
        ArgumentError: it is none of these.
    """
    if given is None:
        return None
    if isinstance(given, type):
        return MsgLibrary({1: (f"<{_format(what, given, given)}", given)})
    try:
        return check_codec(given)
    except ArgumentError as error:
        raise ArgumentError(f"{what} is a codec, or a class of named fields: {error}") from None


def _format(what: str, outer: type, cls: type) -> str:
    """Return the struct format of a class, without a byte order."""
    if not (dataclasses.is_dataclass(cls) or (issubclass(cls, tuple) and hasattr(cls, "_fields"))):
        raise ArgumentError(
            f"{what} is a codec, or a NamedTuple or dataclass with typed fields, got the class {cls.__name__}"
        )
    try:
        hints = typing.get_type_hints(cls)
    except Exception as error:  # a name in quotes that is none, mostly
        raise ArgumentError(f"{what}: the types of {cls.__name__} are not known: {error}") from None
    names = [each.name for each in dataclasses.fields(cls)] if dataclasses.is_dataclass(cls) else list(cls._fields)
    found = ""
    for name in names:
        hint = hints.get(name)
        if hint in _FORMATS:
            found += _FORMATS[hint]
        elif (
            isinstance(hint, type)
            and hint is not outer
            and (dataclasses.is_dataclass(hint) or hasattr(hint, "_fields"))
        ):
            found += _format(what, outer, hint)
        else:
            shown = "no type" if hint is None else f"the type {getattr(hint, '__name__', hint)}"
            raise ArgumentError(
                f"{what}: {cls.__name__}.{name} has {shown}; of float, int, bool and classes of these the bytes are "
                f"known, else write them: MsgLibrary({{1: ('<3f', {outer.__name__})}})"
            )
    return found


def kind_of(codec: Codec | None, otherwise: str) -> Kind:
    """Return how a codec is told; None as one of a name that has no schema."""
    return Kind(otherwise, {}) if codec is None else Kind(codec.name, dict(codec.schema))


def schema_of(told: Told) -> dict[str, Any]:
    """Return what a server's subscriber announces as its schema."""
    kinds = {"request": told.request, "reply": told.reply}
    found: dict[str, Any] = {key: {"codec": kind.codec, "schema": dict(kind.schema)} for key, kind in kinds.items()}
    return {**found, "steps": told.steps, "asides": told.asides}


def told_by(schema: Mapping[str, Any]) -> Told:
    """Read what a server announced; of what is not as it should be nothing is believed."""
    request, reply = _kind(schema.get("request"), ANY), _kind(schema.get("reply"), "msgpack")
    return Told(request, reply, schema.get("steps") is True, schema.get("asides") is True)


def _kind(told: Any, otherwise: str) -> Kind:
    if not isinstance(told, Mapping):
        return Kind(otherwise, {})
    codec, schema = told.get("codec"), told.get("schema")
    if not isinstance(codec, str) or not isinstance(schema, Mapping):
        return Kind(otherwise, {})
    return Kind(codec, schema)


def writer(service: str, own: Codec | None, wanted: Kind) -> Codec:
    """Return the codec with which a client makes requests: its own, or what the server takes.

    Raises:
        SchemaError: the two differ, or the server's is none of ipcpy's.
    """
    if own is None:
        if wanted.codec == ANY:
            return MsgPack()
        return _fitting(service, "the server's request", None, wanted)
    if wanted.codec != ANY:
        taken = own if wanted.codec not in ("struct", "msgpack", "raw") else reading_codec(None, *wanted)
        _fitting(service, "the request", taken, kind_of(own, ""))
    return own


def reader(service: str, what: str, own: Codec | None, sent: Kind) -> Decode:
    """Return what decodes the bodies that the other side makes.

    Args:
        what: ``the reply`` or ``the request``, for errors.

    Raises:
        SchemaError: the reader's own codec does not fit what is sent, or there is none for it.
    """
    codec = _fitting(service, what, own, sent)
    decode: Decode = variant(codec, "decode_intact", "decode") or codec.decode
    if not isinstance(codec, MsgLibrary | MsgPack | Raw):  # few functions take a view of memory
        decode = partial(_decode_copied, decode)
    return decode


def _decode_copied(decode: Decode, body: Any) -> Any:
    return decode(bytes(body) if type(body) is memoryview else body)


def _fitting(service: str, what: str, own: Codec | None, sent: Kind) -> Codec:
    try:
        return reading_codec(own, *sent)
    except SchemaError as error:
        differences = error.differences or (str(error),)
        raise SchemaError(f"{what} of {service!r} differs: {'; '.join(differences)}", differences) from None


def encode(codec: Codec, data: Any) -> Body:
    """Encode. A library of one message takes whatever has its fields: a mapping, the values, another class of them.

    Raises:
        CodecError: the codec does not take the data, or failed.
    """
    try:
        body = codec.encode(data)
    except CodecError:
        if not isinstance(codec, MsgLibrary) or len(codec.sizes) != 1:
            raise
        return codec.encode(data, *codec.sizes)
    except Exception as error:
        raise CodecError(f"the codec {codec.name!r} failed: {error!r:.300}") from error
    return body if type(body) is bytes else _checked(codec, body)


def encoder(codec: Codec) -> Callable[[Any], Body]:
    """Return what encodes as ``encode`` does; of what needs no second look it is the codec's own method."""
    return codec.encode if type(codec) is MsgPack else partial(encode, codec)


def _checked(codec: Codec, body: Any) -> Body:
    """Return what a codec made, if it can be sent."""
    for part in body if isinstance(body, list) else [body]:
        if not isinstance(part, bytes | bytearray | memoryview) or not memoryview(part).c_contiguous:
            raise CodecError(f"the codec {codec.name!r} made no bytes of the data, but {part!r:.80}")
    return body  # type: ignore[no-any-return]  # looked at just now
