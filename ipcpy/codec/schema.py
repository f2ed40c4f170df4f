"""Struct schemas, as they travel in discovery. Knows what may be in one and how two differ; trusts nothing in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Any

from ..errors import SchemaError
from .binding import Binding, bind
from .layout import Field, Layout, parse_format
from .made import made_type
from .shape import MAX_FIELDS, SCALARS, SEQUENCES, check_name, shape_of

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
        fields: the names of its values; empty where they have none.
        texts: which values are text.
    """

    id: int
    name: str
    layout: Layout
    kind: str
    fields: tuple[str, ...]
    texts: tuple[int, ...]

    @classmethod
    def of(cls, binding: Binding) -> MessageSpec:
        """Describe a message of ours."""
        shape = binding.shape
        texts = tuple(sorted(shape.texts)) if shape.kind == "named" else ()
        return cls(binding.id, binding.name, binding.layout, shape.kind, shape.fields, texts)

    def bind(self, type_: type | None = None) -> Binding:
        """Make the message.

        Args:
            type_: its type; None takes a built-in one, or a named tuple made for it.
        """
        type_ = type_ or SCALARS.get(self.kind) or SEQUENCES.get(self.kind) or made_type(self.name, self.fields)
        return bind(self.id, self.name, self.layout, shape_of(type_, self.layout, self.texts))

    def typed_fields(self) -> Iterator[tuple[str, str]]:
        """Yield name and type, in words, of each value; the name is empty where the message's type has no names."""
        texts = {0} if self.kind == "str" else set(self.texts)
        names = self.fields or ("",) * self.layout.count
        for n, (name, field) in enumerate(zip(names, self.layout.fields(), strict=True)):
            yield name, f"text[{field.code[:-1]}]" if n in texts else field.type


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
        names += len(spec.fields)
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
        fields = _parse_fields(message.get("fields", ()))
        kind = message.get("kind", "named" if fields else "tuple")
        spec = MessageSpec(id, name, layout, kind, fields, _parse_texts(message.get("text", ()), layout))
        _check_kind(spec)
    except SchemaError as error:
        raise SchemaError(f"message {id} of a schema: {error}") from None
    return spec


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
    values = tuple(islice(layout.fields(), MAX_FIELDS)) if texts else ()
    for n in texts:
        if type(n) is not int or not 0 <= n < len(values) or values[n].code[-1] not in "sp":
            raise SchemaError(f"text names the position {n!r:.60}, which is not a string of the format")
    return tuple(texts)


def _check_kind(spec: MessageSpec) -> None:
    kind, layout = spec.kind, spec.layout
    if kind == "named":
        if len(spec.fields) != layout.count:
            raise SchemaError(f"{len(spec.fields)} fields, format {layout.format!r:.60} has {layout.count} values")
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
    our_names, their_names = ours.fields, theirs.fields
    compare_names = bool(our_names and their_names)
    same_bytes = mine.size == other.size and [repeat[1:] for repeat in mine.repeats] == [
        repeat[1:] for repeat in other.repeats
    ]
    if same_bytes and (our_names == their_names or not compare_names):
        return ()
    label = f"message {ours.id} ({ours.name})"
    found = list(islice(_field_differences(label, ours, theirs), _MAX_DIFFERENCES + 1))
    if len(found) > _MAX_DIFFERENCES:
        found[-1] = f"{label}: and more"
    elif mine.size != other.size:
        found.append(f"{label}: a payload of {mine.size} bytes here, {other.size} there")
    return tuple(found)


def _field_differences(label: str, ours: MessageSpec, theirs: MessageSpec) -> Iterator[str]:
    our_names, their_names = ours.fields, theirs.fields
    compare_names = bool(our_names and their_names)
    for n, (mine, other) in enumerate(zip_longest(ours.layout.fields(), theirs.layout.fields())):
        our_name, their_name = (names[n] if n < len(names) else "" for names in (our_names, their_names))
        name = our_name or their_name or f"value {n + 1}"
        if mine is None or other is None or mine.type != other.type or (compare_names and our_name != their_name):
            here, there = _words(mine, our_name, name), _words(other, their_name, name)
        elif mine.offset != other.offset:
            here, there = f"at byte {mine.offset}", f"at byte {other.offset}"
        else:
            continue
        yield f"{label}, field {name}: {here} here, {there} there"


def _words(field: Field | None, own_name: str, name: str) -> str:
    if field is None:
        return "missing"
    return field.type if own_name in ("", name) else f"{own_name}, {field.type},"
