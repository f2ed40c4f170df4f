"""The codec for ad-hoc payloads. Knows msgpack and what Python types it stands for; trusts no bytes.

=====================================  ==================================================================
published                              received
=====================================  ==================================================================
None, bool, int (64 bit), float, str   the same
bytes, bytearray, memoryview           bytes
list, tuple (namedtuples too)          list
dict                                   dict; keys as here, tuples in keys stay tuples
datetime with a time zone              the same moment in UTC, to the microsecond
datetime without one                   refused: it says no moment
numpy array                            the same array (native, byte-swapped and structured dtypes; no objects)
numpy scalar                           int, float, bool, str or bytes
=====================================  ==================================================================
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgpack

from ..errors import CodecError
from .ndarray import EXTENSION, data_of, header_of, read_array
from .stream import Buffer

__all__ = ["MsgPack"]

_unpackb = msgpack.unpackb
_MARK = msgpack.packb(msgpack.ExtType(EXTENSION, b""))  # 3 bytes in the place of an array
_ARRAY = b"\xc9"  # ext 32, as which every array is written that is not copied
_SMALL = 4096  # bytes; below, copying an array costs less than another part of a message
_TRUSTED_LENGTH = 1000  # items of an array for which memory is taken before they were seen
_MAX_DEPTH = 500  # msgpack writes 511 levels
_POOLED = 1 << 20  # bytes; a writer that has grown beyond is not kept


class MsgPack:
    """Carries dicts, lists, numbers, text, bytes, datetimes and numpy arrays; needs no library on either side.

    Arrays of 4 KiB and more, and any that is itself the message, are not copied: ``encode`` returns parts, and the
    parts with the data are views of the arrays, which must not change before the parts were sent. A received array
    that is itself the message is a view of the received buffer, and writable if that is (a bytearray); arrays inside
    of other data are read-only. ``array.copy()`` makes one to write to.

    >>> codec = MsgPack()
    >>> codec.decode(codec.encode({"pose": (1, 2.5), "ok": True}))
    {'pose': [1, 2.5], 'ok': True}
    """

    name = "msgpack"
    schema: Mapping[str, Any] = {}

    def __init__(self) -> None:
        self._writers: list[_Writer] = []  # each is used by one thread at a time; pop and append are atomic

    def __getstate__(self) -> dict[str, Any]:
        """Return what pickle writes: all but the writers, which are made when they are needed."""
        return {**vars(self), "_writers": []}

    def encode(self, data: Any) -> bytes | list[Buffer]:
        """Make a body, or the parts of one where arrays are in it.

        Raises:
            CodecError: something in data cannot be carried; the text says where and what.
        """
        try:
            writer = self._writers.pop()
        except IndexError:
            writer = _Writer()
        try:
            packed: bytes = writer.pack(data)
        except Exception as error:  # a type's own __index__ or __array__ may raise anything
            raise CodecError(_find_fault(data) or f"MsgPack cannot carry this: {error!r:.200}") from error
        parts = writer.splice(packed) if writer.arrays else packed
        if len(packed) < _POOLED:
            self._writers.append(writer)
        return parts

    def decode(self, body: Buffer) -> Any:
        """Make the data of a body.

        Raises:
            CodecError: the bytes are not one whole msgpack value of known types.
        """
        if body[:1] == _ARRAY and body[5:6] == b"N" and int.from_bytes(body[1:5], "big") == len(body) - 6:
            return read_array(memoryview(body)[6:])
        try:
            # said in full here and once more in _unpack: handing options on costs a third of a small message
            return _unpackb(body, ext_hook=_extension, timestamp=3, strict_map_key=False, max_array_len=_TRUSTED_LENGTH)
        except CodecError:
            raise
        except Exception as error:
            return _unpack_checked(body, error)


class _Writer:
    """A msgpack packer that leaves arrays out and remembers where they belong."""

    def __init__(self) -> None:
        self._packer = msgpack.Packer(default=self._convert, datetime=True)
        self.pack = self._packer.pack
        self.arrays: list[tuple[int, bytes, memoryview]] = []  # position in what is packed, header, data

    def splice(self, packed: bytes) -> list[Buffer]:
        """Put the arrays in their places."""
        parts: list[Buffer] = []
        end = 0
        for position, header, data in self.arrays:
            parts += (packed[end:position] + header, data)
            end = position + len(_MARK)
        if end < len(packed):
            parts.append(packed[end:])
        self.arrays = []
        return parts

    def _convert(self, value: Any) -> Any:
        """Turn what msgpack does not know into what it knows (msgpack calls this while it packs)."""
        numpy = sys.modules.get("numpy")  # a user that has an array has imported it
        if numpy is not None:
            if isinstance(value, numpy.ndarray):
                return self._convert_array(value)
            if isinstance(value, numpy.generic) and type(item := value.item()) in (bool, int, float, str, bytes):
                return item
        raise TypeError(_refusal(value))

    def _convert_array(self, array: Any) -> msgpack.ExtType:
        with self._packer.getbuffer() as written:
            position = len(written)
        header = header_of(array, position)
        data = data_of(array)
        if position and array.nbytes < _SMALL:
            return msgpack.ExtType(EXTENSION, header[6:] + data)
        self.arrays.append((position, header, data))
        return msgpack.ExtType(EXTENSION, b"")


def _unpack(body: Buffer, **options: Any) -> Any:
    return _unpackb(body, ext_hook=_extension, timestamp=3, strict_map_key=False, **options)


def _unpack_checked(body: Buffer, fault: Exception) -> Any:
    """Decode what has long arrays or tuples in keys, having seen that every declared length is true.

    Else a few nested headers, each with a length of millions, would take gigabytes before the first of the items that
    are not there is missed.
    """
    try:
        unpacker = msgpack.Unpacker(max_buffer_size=max(len(body), 1))
        unpacker.feed(body)
        unpacker.skip()
        try:
            return _unpack(body)
        except TypeError:
            return _unpack(body, object_pairs_hook=_dict_of)
    except CodecError:
        raise
    except Exception as error:
        cause = error if str(error) else fault
        raise CodecError(f"not msgpack, or not for MsgPack: {type(cause).__name__} {cause!s:.200}") from error


def _extension(code: int, data: bytes) -> Any:
    if code != EXTENSION:
        raise CodecError(f"msgpack extension type {code} is unknown")
    return read_array(data)


def _dict_of(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    return {_key_of(key): value for key, value in pairs}


def _key_of(key: Any) -> Any:
    return tuple(map(_key_of, key)) if type(key) is list else key


def _refusal(value: Any) -> str:
    name = type(value).__name__
    if isinstance(value, datetime):
        return f"a {name} without a time zone says no moment; use datetime.now(timezone.utc)"
    return f"{name} is not something MsgPack can carry; it takes dict, list, tuple, numbers, str, bytes, None, " + (
        "bool, datetime and numpy arrays"
    )


def _find_fault(data: Any) -> str | None:
    """Look for the first value that cannot be carried, in the order in which they are packed."""
    writer = _Writer()
    found = [(data, "data", 0)]  # a stack of its own: data may be nested deeper than Python's
    while found:
        value, path, depth = found.pop()
        if depth > _MAX_DEPTH:
            return f"{path[:60]}...: nested deeper than {_MAX_DEPTH} levels, or it contains itself"
        children: list[tuple[Any, str, int]] = []
        if isinstance(value, dict):
            for key, item in value.items():
                children += (
                    (key, f"the key {key!r:.60} of {path}", depth + 1),
                    (item, f"{path}[{key!r:.60}]", depth + 1),
                )
        elif isinstance(value, (list, tuple)):
            children += ((item, f"{path}[{n}]", depth + 1) for n, item in enumerate(value))
        else:
            try:
                writer.pack(value)
            except Exception as error:
                return f"{path}: {error!s:.300}"
        found += reversed(children)
    return None
