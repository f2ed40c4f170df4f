"""Arrays as a msgpack extension. Knows numpy's dtypes and the header before the data; nothing of what is around it.

An array is an extension of type 78 (``N``): u16 where in it the data begin, u16 how long the description is
(little-endian), the description (msgpack: ``[dtype, shape]``), zeros, and the data in C order. A dtype is numpy's
string for it (``<f4``), or for a structured one ``[bytes of an item, [[name, first byte, dtype, shape], ...]]``.

numpy is not imported before an array is there, so this works without it and costs nothing to those who have no arrays.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from math import prod

import msgpack

from ..errors import CodecError
from ..typed import TYPE_CHECKING, Any
from .msgpack import EXTENSION

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]

__all__ = ["EXTENSION", "data_of", "header_of", "read_array"]

_ALIGNMENT = 64  # bytes: a cache line, and enough for any vector instruction
_PREFIX = struct.Struct("<HH")
_EXT32 = struct.Struct(">BIB")  # msgpack's ext 32: 0xc9, length, type
_SIMPLE = r"[<>|](?:b1|[iu][1248]|f[248]|c8|c16|[SUV][1-9]\d{0,5}|[mM]8(?:\[\d{0,6}[A-Za-z]{1,2}\])?)"
_PLAIN = "?bBhHiIlLqQfd"  # dtypes of which Python's own memoryview makes bytes, in this machine's order or not
_MAX_DIMENSIONS = 32  # what every numpy can have
_MAX_FIELDS = 1024
_MAX_DEPTH = 4  # structures in structures


def data_of(array: Array) -> memoryview:
    """Return the bytes of an array in C order: a view of it, or of a copy where it is not contiguous.

    Raises:
        TypeError: it has a type that does not travel.
    """
    import numpy as np

    if getattr(array, "mask", None) is not None:
        raise TypeError("a masked array would lose its mask; send array.data and array.mask, or array.filled()")
    if array.flags.c_contiguous and array.dtype.char in _PLAIN and array.size and array.ndim:
        return array.data.cast("B")
    flat = np.ascontiguousarray(array).reshape(-1)
    return flat.view(np.uint8).data if flat.size else memoryview(b"")


def header_of(array: Array, position: int) -> bytes:
    """Return all that stands before an array's data.

    Args:
        array: the array.
        position: where in the body the header will be. At 0 the data begin at a multiple of 64 of the body, which the
            received array views; elsewhere at one of 16 of the extension, which msgpack takes out to memory of its own.

    Raises:
        TypeError: it has a type or shape that does not travel.
    """
    if array.ndim > _MAX_DIMENSIONS:
        raise TypeError(f"an array of {array.ndim} dimensions; {_MAX_DIMENSIONS} are allowed")
    if not array.itemsize:
        raise TypeError(f"dtype {array.dtype} has items of 0 bytes, and is not one that travels")
    description = _description(array.dtype, array.shape)
    used = _PREFIX.size + len(description)
    begin = used + (-used % 16 if position else -(_EXT32.size + used) % _ALIGNMENT)
    if begin > 0xFFFF:
        raise TypeError(f"the description of its dtype takes {begin} bytes; 65535 are allowed")
    if begin + array.nbytes > 0xFFFFFFFF:
        raise TypeError(f"an array of {array.nbytes} bytes; msgpack carries 4 GiB")
    head = _EXT32.pack(0xC9, begin + array.nbytes, EXTENSION) + _PREFIX.pack(begin, len(description)) + description
    return head.ljust(_EXT32.size + begin, b"\0")


@lru_cache(maxsize=64)
def _description(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    description: bytes = msgpack.packb([_describe(dtype), shape])
    return description


def read_array(data: bytes | bytearray | memoryview) -> Array:
    """Make an array of an extension's data: a view of them, and always read-only.

    Whether the data could be written to depends on the size of the message, and on how it came.

    Raises:
        CodecError: the header is wrong or does not fit the data, or numpy is not there.
    """
    try:
        import numpy as np
    except ImportError as error:
        raise CodecError("the message has an array, and numpy is not installed here") from error
    if len(data) < _PREFIX.size:
        raise CodecError("an array without a header")
    begin, length = _PREFIX.unpack_from(data)
    if not _PREFIX.size + length <= begin <= len(data):
        raise CodecError(f"an array whose header of {begin} bytes does not fit into {len(data)}")
    try:
        description = bytes(data[_PREFIX.size : _PREFIX.size + length])  # others may write to the memory meanwhile
        dtype_text, shape = msgpack.unpackb(description, max_array_len=_MAX_FIELDS)
        dtype = _parse(dtype_text)
        _check_shape(shape, dtype.itemsize, len(data) - begin)
        if type(data) is memoryview and data.readonly:  # of a memoryview numpy keeps what it is of, which is writable
            source: Any = np.frombuffer(data, np.uint8)
        else:
            source = data
        array: Array = np.ndarray(shape, dtype, source, begin)
        array.flags.writeable = False
        return array
    except CodecError:
        raise
    except Exception as error:  # whatever msgpack or numpy say to bytes that are no header
        raise CodecError(f"an array with a bad header: {error!r:.200}") from error


def _check_shape(shape: object, item: int, size: int) -> None:
    if not isinstance(shape, list) or len(shape) > _MAX_DIMENSIONS:
        raise CodecError(f"an array whose shape is {shape!r:.60}")
    if not all(type(n) is int and 0 <= n < 2**62 for n in shape):
        raise CodecError(f"an array of shape {shape!r:.60}")
    if prod(shape) * item != size or not item:
        raise CodecError(f"an array of shape {shape!r:.60} with {item} bytes each, and {size} bytes of data")


def _is_simple(text: str) -> bool:
    import re  # with the first array

    return re.fullmatch(_SIMPLE, text, re.ASCII) is not None


def _describe(dtype: np.dtype[Any], depth: int = 0) -> str | list[Any]:
    if dtype.hasobject:
        raise TypeError(f"dtype {dtype} holds Python objects, which do not travel")
    if dtype.fields is None or dtype.names is None:
        if not _is_simple(dtype.str) or (dtype.kind == "V" and dtype.name[:4] != "void"):
            raise TypeError(f"dtype {dtype} is not one that travels")
        return dtype.str
    if depth == _MAX_DEPTH or len(dtype.names) > _MAX_FIELDS:
        raise TypeError(f"dtype with more than {_MAX_FIELDS} fields or {_MAX_DEPTH} levels")
    fields = []
    for name in dtype.names:
        field, offset = dtype.fields[name][:2]
        fields.append([name, offset, _describe(field.base, depth + 1), field.shape])
    return [dtype.itemsize, fields]


def _parse(text: object, depth: int = 0) -> np.dtype[Any]:
    import numpy as np

    if isinstance(text, str) and _is_simple(text):
        return np.dtype(text)
    if not isinstance(text, list) or depth == _MAX_DEPTH:
        raise CodecError(f"an array of dtype {text!r:.60}")
    size, fields = text
    names, offsets, types, shapes = zip(*fields, strict=True) if fields else ((), (), (), ())
    formats = [(_parse(type, depth + 1), tuple(shape)) for type, shape in zip(types, shapes, strict=True)]
    return np.dtype({"names": list(names), "formats": formats, "offsets": list(offsets), "itemsize": size})
