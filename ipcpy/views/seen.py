"""A publisher's messages as views, and what else has to be kept so that the same bytes can be made again.

Knows the three codecs and which kind of view each message gets; nothing of where views are written. How a body is
made again of its last view: ``body_of`` below, in one expression.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from ..codec import MsgPack, codec_for
from ..codec.ndarray import header_of
from ..codec.schema import MessageSpec, parse_schema
from ..codec.stream import HEADER_SIZE, START, Buffer
from ..errors import CodecError, IpcError
from .documents import document, merged, schema_of, schema_text, signature, type_for
from .images import array_in, picture_of
from .rosnames import type_name, unused
from .schema import Schema, no_schema
from .structs import StructView

__all__ = [
    "BESIDE",
    "SELF",
    "STRUCT",
    "Rest",
    "Schema",
    "Seen",
    "View",
    "Viewer",
    "body_of",
    "struct_views",
    "viewer_for",
]

SELF, STRUCT, BESIDE = "self", "struct", "beside"  # the body is the view; it is made of CDR; it stands beside the view
_MAX_SCHEMAS = 16  # JSON Schemas made for one publisher
_MAX_SIGNATURES = 1000  # that were looked at for it; the types of n fields can be 2^n
_ARRAY = 0xC9  # as which msgpack writes large extensions
_LARGE = 32 << 10  # bytes of a dict's array from which on it is shown as an image of its own


class View(NamedTuple):
    """One message as a viewer reads it.

    Attributes:
        part: what comes behind the topic's name, such as ``/image``; empty for the message as a whole.
        schema: how ``data`` is read.
        data: its bytes, in parts that are laid end to end.
    """

    part: str
    schema: Schema
    data: tuple[Buffer, ...]


class Rest(NamedTuple):
    """What of a body is not in its view.

    Attributes:
        at: how many bytes of ``bytes`` stand before the view's in the body.
        skip: how many of the view's bytes are not of the body.
        bytes: the body without what the view has of it.
    """

    at: int
    skip: int
    bytes: Buffer


class Seen(NamedTuple):
    """A message, looked at.

    Attributes:
        views: what viewers read; the last one is what the body is made of again.
        kind: how: ``self``, ``struct`` or ``beside``.
        id: the ID of a struct message.
        rest: what has to be kept beside; None where the view is enough.
    """

    views: tuple[View, ...]
    kind: str
    id: int | None = None
    rest: Rest | None = None


class Viewer(Protocol):
    """Looks at the messages of one publisher."""

    def known(self) -> tuple[tuple[str, Schema], ...]:
        """Return the part and schema of each view that there can be, before any message; empty where unknown."""

    def see(self, body: Buffer, sent_ns: int) -> Seen:
        """Return a message's views. Never fails: what cannot be read is shown as it is."""

    def again(self, body: Buffer) -> tuple[Buffer, Buffer | None] | None:
        """Return the only view of a message that is of the last one's type, in a fraction of the time of ``see``.

        Returns:
            The view's bytes, and what has to be kept beside: None, or the whole body. None of any other message.
        """


def body_of(data: Buffer, rest: Rest | None, struct: StructView | None = None) -> bytes:
    """Make a body again.

    Args:
        data: its view.
        rest: what was kept beside.
        struct: how a struct message looks, where nothing was kept.

    Raises:
        ValueError: the view is not one of such a message.
    """
    if rest is not None:
        return b"".join((rest.bytes[: rest.at], data[rest.skip :], rest.bytes[rest.at :]))
    return bytes(data) if struct is None else struct.body_of(data)


def struct_views(schema: Mapping[str, Any]) -> tuple[StructView, ...]:
    """Return how each message of a struct schema looks.

    Raises:
        SchemaError: it is none.
    """
    return tuple(map(StructView, parse_schema(schema)))


def viewer_for(codec: str, schema: Mapping[str, Any], *, topic: str = "", bgr: bool = False) -> Viewer:
    """Return what looks at the messages of a publisher.

    Args:
        codec: its codec's name.
        schema: its schema, as discovery has it.
        topic: its topic, after which a JSON Schema is named: viewers take those of one name for the same.
        bgr: whether colours of its images are blue, green, red, as OpenCV has them.
    """
    if codec == "msgpack":
        return _Documents(topic, bgr=bgr)
    if codec == "struct":
        try:
            codec_for(codec, schema)
            return _Structs(schema)
        except IpcError:  # what it said of itself is no schema
            pass
    return _Bytes(codec)


class _Bytes:
    """Bytes of which nothing is known but the codec's name."""

    def __init__(self, codec: str) -> None:
        self._schema = no_schema(codec)

    def known(self) -> tuple[tuple[str, Schema], ...]:
        return (("", self._schema),)

    def see(self, body: Buffer, sent_ns: int) -> Seen:
        return Seen((View("", self._schema, (body,)),), SELF)

    def again(self, body: Buffer) -> tuple[Buffer, Buffer | None] | None:
        return body, None


class _Structs:
    """Struct messages; of several on one topic each is shown as a topic of its own."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._views: dict[int, tuple[StructView, str]] = {}  # made when the first message comes
        self._specs: dict[int, tuple[MessageSpec, str]] = {}
        self._other = _Bytes("struct")
        self._last: StructView | None = None
        specs = parse_schema(schema)
        taken: set[str] = set()
        for spec in specs:
            name = unused(type_name(spec.name), taken)
            taken.add(name)
            self._specs[spec.id] = (spec, f"/{name}" if len(specs) > 1 else "")

    def _view(self, id: int) -> tuple[StructView, str] | None:
        spec, part = self._specs.get(id, (None, ""))
        if spec is None:
            return None
        known = self._views[id] = (StructView(spec), part)
        return known

    def known(self) -> tuple[tuple[str, Schema], ...]:
        views = [self._views.get(id) or self._view(id) for id in self._specs]
        return tuple((part, struct.schema) for struct, part in filter(None, views))

    def see(self, body: Buffer, sent_ns: int) -> Seen:
        self._last = None
        if len(body) < HEADER_SIZE or body[:2] != START:
            return self._other.see(body, sent_ns)
        id = body[2] | body[3] << 8
        known = self._views.get(id) or self._view(id)
        if known is not None:
            struct, part = known
            made = struct.view(body)
            if made is not None:
                data, exact = made
                self._last = struct
                view = View(part, struct.schema, (data,))
                return Seen((view,), STRUCT, struct.id, None if exact else Rest(0, len(data), body))
        return self._other.see(body, sent_ns)

    def again(self, body: Buffer) -> tuple[Buffer, Buffer | None] | None:
        data = None if self._last is None else self._last.exact(body)
        return None if data is None else (data, None)


class _Documents:
    """What msgpack carries: images as images, everything else as JSON."""

    def __init__(self, topic: str, *, bgr: bool) -> None:
        self._name = type_for(topic)
        self._bgr = bgr
        self._other = _Bytes("msgpack")
        self._decode: Callable[[Buffer], Any] = MsgPack().decode
        self._told: dict[str, Any] = {}
        self._schema: Schema | None = None
        self._signatures: set[object] = set()
        self._made = 0
        self._again = False  # whether the last one was a document

    def known(self) -> tuple[tuple[str, Schema], ...]:
        return ()

    def see(self, body: Buffer, sent_ns: int) -> Seen:
        self._again = False
        if body[:1] == b"\xc9" and (found := array_in(body)) is not None:
            size = found.end - found.begin
            begins = bytes(body[found.begin : found.begin + 3])
            picture = picture_of(found.dtype, found.shape, size, begins, bgr=self._bgr)
            if picture is not None:
                head = picture.head(sent_ns)
                view = View("", picture.schema, (head, memoryview(body)[found.begin :]))
                return Seen((view,), BESIDE, None, Rest(found.begin, len(head), bytes(body[: found.begin])))
        try:
            data = self._decode(body)
            image = self._image(data, body, sent_ns) if type(data) is dict and len(body) > _LARGE else None
            if image is not None:
                return image
            text = document(data)
        except (CodecError, ValueError):
            return self._other.see(body, sent_ns)
        schema = self._schema_for(data)
        self._again = True
        return Seen((View("", schema, (text,)),), BESIDE, None, Rest(0, len(text), body))

    def again(self, body: Buffer) -> tuple[Buffer, Buffer | None] | None:
        if not self._again or not 0 < len(body) <= _LARGE or body[0] == _ARRAY:
            return None
        try:
            data = self._decode(body)
            return (document(data), body) if signature(data) in self._signatures else None
        except (CodecError, ValueError):
            return None

    def _image(self, data: dict[Any, Any], body: Buffer, sent_ns: int) -> Seen | None:
        """Show the first image of a dict as an image of its own, and the dict without it."""
        numpy = sys.modules.get("numpy")
        for key, value in data.items():
            if numpy is None or not isinstance(value, numpy.ndarray) or value.nbytes < _LARGE:
                continue
            dtype = value.dtype.str if value.dtype.names is None else ""
            picture = picture_of(dtype, value.shape, value.nbytes, value.reshape(-1)[:3].tobytes(), bgr=self._bgr)
            begin = -1 if picture is None else _found(body, value)
            if picture is None or begin < 0:
                continue
            part = f"/{key}"
            head, end = picture.head(sent_ns), begin + value.nbytes
            text = document(data, {key: part[1:]})
            rest = bytes(body[:begin]) + bytes(body[end:])
            shown = View("", self._schema_for(data), (text,))
            carried = View(part, picture.schema, (head, memoryview(body)[begin:end]))
            return Seen((shown, carried), BESIDE, None, Rest(begin, len(head), rest))
        return None

    def _schema_for(self, data: Any) -> Schema:
        kind = signature(data)
        room = self._made < _MAX_SCHEMAS and len(self._signatures) < _MAX_SIGNATURES
        if self._schema is None or (room and kind not in self._signatures):
            self._signatures.add(kind)
            told = merged(self._told, schema_of(data))
            if told != self._told or self._schema is None:
                self._told, self._made = told, self._made + 1
                self._schema = schema_text(self._name, told)
        return self._schema


def _found(body: Buffer, array: Any) -> int:
    """Return where in a body the data of an array begin; -1 where another program wrote it in another way."""
    head = header_of(array, 1)
    at = bytes(body).find(head) if isinstance(body, memoryview) else body.find(head)
    begin = at + len(head)
    return begin if at >= 0 and begin + array.nbytes <= len(body) else -1
