"""Struct schemas, as they travel in discovery. Knows what may be in one and how two differ; trusts nothing in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, repeat, zip_longest

from ..errors import SchemaError
from ..records import dataclass
from ..typed import Any
from .binding import Binding, bind
from .fields import check_name
from .layout import Field, Layout, parse_format
from .made import made_type
from .nesting import MAX_FIELDS, Part, is_flat, leaves, outline, parse_parts, value_names
from .nesting import describe as describe_parts
from .shape import SCALARS, SEQUENCES, shape_of

__all__ = ["MessageSpec", "describe", "differences", "parse_schema"]

MAX_MESSAGES = 4096
_MAX_NAMES = 16_384  # fields of all messages together
_MAX_DIFFERENCES = 16  # sentences for one message; more help nobody


@dataclass(frozen=True, slots=True)
class MessageSpec:
    """One message of a schema, checked.

    Attributes:
        id: its ID.
        name: its type's name.
        layout: its bytes.
        kind: see ``ipcpy.codec.shape``.
        fields: the names of its fields; empty where it has none.
        texts: which values are text.
        parts: how the values are shared out to the fields; empty where each field has one.
    """

    id: int
    name: str
    layout: Layout
    kind: str
    fields: tuple[str, ...]
    texts: tuple[int, ...]
    parts: tuple[Part, ...] = ()

    @classmethod
    def of(cls, binding: Binding) -> MessageSpec:
        """Describe a message of ours."""
        shape = binding.shape
        texts = tuple(sorted(shape.texts)) if shape.kind == "named" else ()
        return cls(binding.id, binding.name, binding.layout, shape.kind, shape.fields, texts, shape.parts)

    def bind(self, type_: type | None = None) -> Binding:
        """Make the message.

        Args:
            type_: its type; None takes a built-in one, or a named tuple made for it.
        """
        type_ = type_ or SCALARS.get(self.kind) or SEQUENCES.get(self.kind) or made_type(self.name, self.fields)
        return bind(self.id, self.name, self.layout, shape_of(type_, self.layout, self.texts, self.parts))

    def names(self) -> Iterator[str]:
        """Yield a name for each value, ``linear.x`` and ``covariance[8]`` where fields hold several; none without."""
        return value_names(self.parts) if self.parts else iter(self.fields)

    def typed_fields(self) -> Iterator[tuple[str, str]]:
        """Yield name and type, in words, of each value, and of each array as one; names are empty without fields."""
        texts = {0} if self.kind == "str" else set(self.texts)
        values = enumerate(self.layout.fields())
        for name, number in leaves(self.parts) if self.parts else zip(self.fields or repeat(""), repeat(0)):
            n, value = next(values, (0, None))
            if value is None:
                return
            for _ in range(number - 1):
                next(values)
            type = f"text[{value.code[:-1]}]" if n in texts else value.type
            yield name, f"{type}[{number}]" if number else type


def describe(specs: Iterable[MessageSpec]) -> dict[str, Any]:
    """Return the schema of some messages: what JSON can hold and ``parse_schema`` reads."""
    return {"messages": [_describe(spec) for spec in specs]}


def _describe(spec: MessageSpec) -> dict[str, Any]:
    message = {
        "id": spec.id,
        "name": spec.name,
        "format": spec.layout.format,
        "fields": list(spec.fields),
        "kind": spec.kind,
    }
    if spec.parts:  # who does not know of nested fields reads a tuple
        nested: dict[str, Any] = {"fields": describe_parts(spec.parts)}
        if spec.texts:
            nested["text"] = list(spec.texts)
        return {**message, "fields": [], "kind": "tuple", "nested": nested}
    if spec.texts:
        message["text"] = list(spec.texts)
    return message


def parse_schema(schema: object) -> tuple[MessageSpec, ...]:
    """Check a schema that came from another machine.

    Raises:
        SchemaError: it is not a schema, or larger than allowed (4,096 messages, 1,024 fields each, 16,384 in all).
    """
    messages = schema.get("messages") if isinstance(schema, Mapping) else None
    if not isinstance(messages, (list, tuple)):
        raise SchemaError("a struct schema is a mapping with a list of messages")
    if len(messages) > MAX_MESSAGES:
        raise SchemaError(f"a schema of {len(messages)} messages; {MAX_MESSAGES} are allowed")
    specs: dict[int, MessageSpec] = {}
    names = 0
    for message in messages:
        spec = _parse_message(message)
        if spec.id in specs:
            raise SchemaError(f"a schema with message {spec.id} twice")
        specs[spec.id] = spec
        names += len(spec.fields) + sum(1 for _ in leaves(spec.parts))
        if names > _MAX_NAMES:
            raise SchemaError(f"a schema of more than {_MAX_NAMES} fields in all")
    return tuple(specs.values())


def _parse_message(message: object) -> MessageSpec:
    if not isinstance(message, Mapping):
        raise SchemaError(f"a message of a schema is a mapping, got {type(message).__name__}")
    id = message.get("id")
    if type(id) is not int or not 0 <= id <= 0xFFFF:
        raise SchemaError(f"the ID of a message is 0 to 65535, got {id!r:.60}")
    try:
        layout = parse_format(message.get("format"))
        name = check_name(message.get("name"))
        spec = _parse_nested(id, name, layout, message["nested"]) if "nested" in message else None
        if spec is None:
            fields = _parse_fields(message.get("fields", ()))
            kind = message.get("kind", "named" if fields else "tuple")
            spec = MessageSpec(id, name, layout, kind, fields, _parse_texts(message.get("text", ()), layout))
        _check_kind(spec)
    except SchemaError as error:
        raise SchemaError(f"message {id} of a schema: {error}") from None
    return spec


def _parse_nested(id: int, name: str, layout: Layout, nested: object) -> MessageSpec:
    if not isinstance(nested, Mapping):
        raise SchemaError(f"nested is a mapping with fields, got {type(nested).__name__}")
    parts = parse_parts(nested.get("fields"))
    texts = _parse_texts(nested.get("text", ()), layout)
    fields = tuple(part.name for part in parts)
    return MessageSpec(id, name, layout, "named", fields, texts, () if is_flat(parts) else parts)


def _parse_fields(fields: object) -> tuple[str, ...]:
    if not isinstance(fields, (list, tuple)) or len(fields) > MAX_FIELDS:
        raise SchemaError(f"fields are a list of at most {MAX_FIELDS} names")
    names = tuple(check_name(name) for name in fields)
    if len(set(names)) != len(names):
        raise SchemaError("two fields have one name")
    return names


def _parse_texts(texts: object, layout: Layout) -> tuple[int, ...]:
    if not isinstance(texts, (list, tuple)) or len(texts) > MAX_FIELDS:
        raise SchemaError(f"text is a list of at most {MAX_FIELDS} positions")
    strings = _strings(layout) if texts else ()
    for n in texts:
        if type(n) is not int or n not in strings:
            raise SchemaError(f"text names the position {n!r:.60}, which is not a string of the format")
    return tuple(texts)


def _strings(layout: Layout) -> frozenset[int]:
    """Return the positions of strings; each is written out in the format, so there are not many."""
    found: list[int] = []
    at = 0
    for run in layout.repeats:
        if run.code[-1] in "sp":
            found += range(at, at + run.number)
        at += run.number
    return frozenset(found)


def _check_kind(spec: MessageSpec) -> None:
    kind, layout = spec.kind, spec.layout
    if kind == "named":
        taken = sum(part.count for part in spec.parts) if spec.parts else len(spec.fields)
        if taken != layout.count:
            raise SchemaError(f"{taken} fields, format {layout.format!r:.60} has {layout.count} values")
        return
    if spec.fields or spec.texts:
        raise SchemaError("only a named message has fields")
    known = isinstance(kind, str) and (SCALARS.get(kind) or SEQUENCES.get(kind))
    if not known:
        raise SchemaError(f"{kind!r:.60} is not a kind of message")
    shape_of(known, layout)


def differences(ours: MessageSpec, theirs: MessageSpec) -> tuple[str, ...]:
    """Say how a message of ours and of a publisher differ: one sentence for each value, none if they agree.

    They agree when the same bytes mean the same values under the same names. Names of types are not compared, nor are
    names of fields where one side has none (a list, a tuple).
    """
    mine, other = ours.layout, theirs.layout
    same_names = ours.fields == theirs.fields and outline(ours.parts) == outline(theirs.parts)
    same_bytes = mine.size == other.size and [repeat[1:] for repeat in mine.repeats] == [
        repeat[1:] for repeat in other.repeats
    ]
    if same_bytes and (same_names or not (ours.fields and theirs.fields)):
        return ()
    label = f"message {ours.id} ({ours.name})"
    found = list(islice(_field_differences(label, ours, theirs), _MAX_DIFFERENCES + 1))
    if len(found) > _MAX_DIFFERENCES:
        found[-1] = f"{label}: and more"
    elif mine.size != other.size:
        found.append(f"{label}: a payload of {mine.size} bytes here, {other.size} there")
    return tuple(found)


def _field_differences(label: str, ours: MessageSpec, theirs: MessageSpec) -> Iterator[str]:
    compare_names = bool(ours.fields and theirs.fields)
    values = zip_longest(ours.layout.fields(), theirs.layout.fields(), ours.names(), theirs.names())
    for n, (mine, other, our_name, their_name) in enumerate(values):
        name = our_name or their_name or f"value {n + 1}"
        if mine is None or other is None or mine.type != other.type or (compare_names and our_name != their_name):
            here, there = _words(mine, our_name or "", name), _words(other, their_name or "", name)
        elif mine.offset != other.offset:
            here, there = f"at byte {mine.offset}", f"at byte {other.offset}"
        else:
            continue
        yield f"{label}, field {name}: {here} here, {there} there"


def _words(field: Field | None, own_name: str, name: str) -> str:
    if field is None:
        return "missing"
    return field.type if own_name in ("", name) else f"{own_name}, {field.type},"
