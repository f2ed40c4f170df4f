"""Messages as one structured numpy array. Knows struct layouts and plain data; nothing of files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..codec.layout import Layout
from ..codec.nesting import Part
from ..codec.schema import MessageSpec
from ..errors import CodecError, IpcError

if TYPE_CHECKING:
    from numpy import dtype as Dtype
    from numpy import ndarray

__all__ = ["array_of_structs", "array_of_data", "need_numpy", "with_times"]

_CODES = {"?": "?", "c": "S1", "e": "f2", "f": "f4", "d": "f8"} | {
    code: f"{'iu'[code.isupper()]}{size}" for code, size in zip("bBhHiIqQ", (1, 1, 2, 2, 4, 4, 8, 8), strict=True)
}
_UNNAMED = "value"
_LAST = (1 << 63) - 1  # ns since 1970 of which differences can be made


def need_numpy() -> None:
    """Make sure that numpy is there.

    Raises:
        IpcError: it is not; the text says how it gets there.
    """
    try:
        import numpy  # noqa: F401
    except ImportError:
        raise IpcError("an array takes numpy, which is not installed here: pip install 'ipcpy[numpy]'") from None


# -- struct messages: their bytes are the array -----------------------------------------------------------------------


def array_of_structs(spec: MessageSpec, payloads: Sequence[bytes]) -> ndarray[Any, Any]:
    """Return struct messages of one kind as an array with their fields, which can be written to.

    Args:
        spec: what they are.
        payloads: their bytes, each as many as the layout takes.
    """
    import numpy as np

    named = _struct_dtype(spec)
    if not spec.layout.size:
        return np.empty(len(payloads), named)
    return np.frombuffer(bytearray().join(payloads), named, len(payloads))


def _struct_dtype(spec: MessageSpec) -> Dtype[Any]:
    fields = _fields(spec.parts or tuple(map(Part, spec.fields)) or _numbered(spec.layout), _Values(spec.layout))
    return _dtype(fields, spec.layout.size)


def _numbered(layout: Layout) -> tuple[Part, ...]:
    if layout.count == 1:
        return (Part(_UNNAMED),)
    return tuple(Part(f"{_UNNAMED}{n}") for n in range(layout.count))


class _Values:
    """The values of a layout, taken one after the other."""

    def __init__(self, layout: Layout) -> None:
        self._fields = layout.fields()
        self._order = layout.order

    def take(self, number: int) -> tuple[int, Any]:
        """Return the first byte and the dtype of the next value, or of the next ``number`` as an array."""
        first = next(self._fields)
        for _ in range(number - 1):
            next(self._fields)
        code = first.code
        kind = f"S{code[:-1]}" if code[-1] in "sp" else self._order + _CODES[code]
        return first.offset, (kind, (number,)) if number else kind


def _fields(parts: Iterable[Part], values: _Values) -> list[tuple[str, int, Any]]:
    fields: list[tuple[str, int, Any]] = []
    for part in parts:
        if part.type:
            inner = _fields(part.parts, values)
            first = inner[0][1] if inner else 0
            fields.append((part.name, first, _dtype([(name, at - first, kind) for name, at, kind in inner], None)))
        else:
            fields.append((part.name, *values.take(part.number)))
    return fields


def _dtype(fields: list[tuple[str, int, Any]], size: int | None) -> Dtype[Any]:
    """Return the dtype of fields at some bytes."""
    import numpy as np

    names, offsets, formats = (list(column) for column in zip(*fields, strict=True)) if fields else ([], [], [])
    described: Any = {"names": names, "formats": formats, "offsets": offsets}
    made: Dtype[Any] = np.dtype(described if size is None else described | {"itemsize": size})
    return made


# -- any other: their data, column by column --------------------------------------------------------------------------


def array_of_data(rows: Sequence[Any]) -> ndarray[Any, Any]:
    """Return data as an array: the fields of dicts and named tuples, ``value`` for what has none.

    None, and what is missing in some of them, is NaN among numbers. Bytes that all have one length are arrays of uint8.

    Raises:
        CodecError: a field has no one type and shape; the text names it.
    """
    import numpy as np

    column = _column(list(rows), "")
    if column.dtype.names is not None and column.ndim == 1:
        return column
    made = np.empty(len(rows), [(_UNNAMED, column.dtype, column.shape[1:])])
    made[_UNNAMED] = column
    return made


def _column(values: list[Any], path: str) -> ndarray[Any, Any]:
    import numpy as np

    present = [value for value in values if value is not None]
    if present and all(isinstance(value, Mapping) for value in present):
        return _nested([dict(value) if value is not None else {} for value in values], path)
    if present and all(hasattr(value, "_fields") for value in present):
        return _nested([value._asdict() if value is not None else {} for value in values], path)
    if present and all(isinstance(value, bytes | bytearray | memoryview) for value in present):
        return _bytes_column([bytes(value or b"") for value in values], path)
    if len(present) < len(values):
        values = [_absent(present[0]) if value is None else value for value in values] if present else []
    try:
        column = np.array(values) if values else np.full(1, np.nan)
    except (ValueError, OverflowError) as error:
        raise _uneven(path, error) from None
    if column.dtype.hasobject:
        raise _uneven(path, f"a {type(present[0]).__name__} is among them")
    return column


def _bytes_column(values: list[bytes], path: str) -> ndarray[Any, Any]:
    """Return bytes of one length as numbers: numpy's own type for bytes leaves out zeros at their ends.

    Raises:
        CodecError: they have several lengths, and would lose such zeros.
    """
    import numpy as np

    length = len(values[0])
    if any(len(value) != length for value in values):
        if any(value.endswith(b"\0") for value in values):
            raise _uneven(path, "zeros at the ends of bytes of several lengths would be lost")
        return np.array(values)
    return np.frombuffer(b"".join(values), np.uint8).reshape(len(values), length)


def _absent(like: Any) -> Any:
    import numpy as np

    if isinstance(like, str):
        return ""
    return np.full(np.shape(like), np.nan)


def _nested(rows: list[dict[Any, Any]], path: str) -> ndarray[Any, Any]:
    import numpy as np

    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {str(name): _column([row.get(name) for row in rows], f"{path}.{name}".lstrip(".")) for name in names}
    made = np.empty(len(rows), [(name, column.dtype, column.shape[1:]) for name, column in columns.items()])
    for name, column in columns.items():
        made[name] = column
    return made


def _uneven(path: str, why: object) -> CodecError:
    where = f"field {path}" if path else "the messages"
    return CodecError(
        f"{where}: not all have one type and shape, so that they make no array ({why!s:.80}); messages() has them"
    )


# -- the times beside -------------------------------------------------------------------------------------------------


def with_times(array: ndarray[Any, Any], sent_ns: Sequence[int], received_ns: Sequence[int]) -> ndarray[Any, Any]:
    """Return the array with the fields ``sent_ns`` and ``received_ns`` behind its own.

    A field of its own that is called so keeps its name, and the time gets ``_`` behind its.
    """
    import numpy as np

    described = np.dtype([]) if array.dtype.names is None else array.dtype
    fields = [(name, *described.fields[name][:1]) for name in described.names or ()]  # type: ignore[index]
    names = {name for name, _ in fields}
    times = [name if name not in names else f"{name}_" for name in ("sent_ns", "received_ns")]
    made = np.empty(len(array), [*fields, *((name, "<i8") for name in times)])
    for name, _ in fields:
        made[name] = array[name]
    for name, moments in zip(times, (sent_ns, received_ns), strict=True):
        made[name] = np.minimum(np.array(moments, "<u8"), _LAST)  # a file may have any 64 bits
    return made
