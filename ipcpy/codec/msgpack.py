"""The codec for ad-hoc payloads. Knows msgpack and what Python types it stands for; trusts no bytes.

=====================================  ==================================================================
published                              received
=====================================  ==================================================================
None, bool, int (64 bit), float, str   the same
bytes, bytearray, memoryview           bytes
list, tuple                            list
dict, other mappings                   dict; keys as here, tuples in keys stay tuples
datetime with a time zone              the same moment in UTC, to the microsecond
datetime without one                   refused: it says no moment
numpy array                            the same array (native, byte-swapped and structured dtypes; no objects)
numpy scalar                           int, float, bool, str or bytes; a datetime64, timedelta64, complex or
                                       structured one an array of no dimensions
dataclass                              dict of its fields
namedtuple                             list: it is a tuple, whose items have numbers; publish its ``_asdict()`` for
                                       names, or use a MsgLibrary
enum                                   its value
set, frozenset, deque, range           list
array.array                            list of its numbers
UUID, Path                             str
Decimal, complex, timedelta, date, ..  refused with the conversion to choose; plain.py
=====================================  ==================================================================

Instances of subclasses count as their bases.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import msgpack

from ..errors import CodecError
from ..importing import import_once
from ..records import is_dataclass
from ..typed import Any
from .plain import form_of, is_native
from .stream import Buffer

__all__ = ["MsgPack"]

EXTENSION = 78  # of an array, see ndarray.py, which is imported with the first
_unpackb = msgpack.unpackb
_MARK = msgpack.packb(msgpack.ExtType(EXTENSION, b""))  # 3 bytes in the place of an array
_ARRAY = b"\xc9"  # ext 32, as which every array is written that is not copied
_SMALL = 4096  # bytes; below, copying an array costs less than another part of a message
_TRUSTED_LENGTH = 1000  # items of an array for which memory is taken before they were seen
_MAX_DEPTH = 500  # msgpack writes 511 levels
_EPOCH = datetime(1970, 1, 1)
_PURE = msgpack.Packer.__module__ == "msgpack.fallback"  # where there was no compiler
_ZONES = (UTC, *(timezone(sign * timedelta(hours=23, minutes=59)) for sign in (1, -1)))
_numbers: dict[type, bool] = {}  # numpy's scalar types, and whether their item() is the number that they are
_POOLED = 1 << 20  # bytes; a writer that has grown beyond is not kept


class MsgPack:
    """Carries dicts, lists, numbers, text, bytes, datetimes and numpy arrays; needs no library on either side.

    Arrays of 4 KiB and more, and any that is itself the message, are not copied: ``encode`` returns parts, and the
    parts with the data are views of the arrays, which must not change before the parts were sent. Received arrays are
    read-only, whatever their size and place: they are views of what was received. ``array.copy()`` makes one to write
    to.

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
        if writer.doubtful:
            _check_keys(packed)
            writer.doubtful = False
        if len(packed) < _POOLED:
            self._writers.append(writer)
        return parts

    def decode(self, body: Buffer | list[Buffer]) -> Any:
        """Make the data of a body, or of the parts of one as ``encode`` returns them.

        Raises:
            CodecError: the bytes are not one whole msgpack value of known types.
        """
        if body[:1] == _ARRAY and body[5:6] == b"N":
            at = memoryview(body)  # type: ignore[arg-type]  # of parts no slice is bytes
            if int.from_bytes(at[1:5], "big") == len(at) - 6:
                return _array_of(at[6:])
        if type(body) is memoryview and body.readonly:  # others may write to it, and msgpack reads a length twice
            body = bytes(body)
        try:
            # said in full here and once more in _unpack: handing options on costs a third of a small message
            return _unpackb(body, ext_hook=_extension, timestamp=3, strict_map_key=False, max_array_len=_TRUSTED_LENGTH)
        except CodecError:
            raise
        except Exception as error:
            if isinstance(body, list):  # looked at here only: from the network parts never come
                return self.decode(b"".join(body))
            return _unpack_checked(body, error)


class _Writer:
    """A msgpack packer that leaves arrays out and remembers where they belong."""

    def __init__(self) -> None:
        self._packer = msgpack.Packer(default=self._convert, datetime=not _PURE)
        self.pack = self._packer.pack
        self.arrays: list[tuple[int, bytes, memoryview]] = []  # position in what is packed, header, data
        self.doubtful = False  # whether a value that can be a key of a dict has become one that cannot

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
            if isinstance(value, numpy.generic):
                if _is_number(value):
                    return value.item()
                if type(item := value.item()) in (str, bytes):
                    return item
                self.doubtful = True
                return self._convert_array(numpy.asarray(value))
        form = form_of(value)
        if isinstance(form, dict) and type(value).__hash__ is not None:
            self.doubtful = True
        if not is_native(form):
            return self._convert(form)
        return _stamp_of(form) if _PURE and isinstance(form, datetime) else form

    def _convert_array(self, array: Any) -> msgpack.ExtType:
        import_once(".codec.ndarray")
        from .ndarray import data_of, header_of

        with self._packer.getbuffer() as written:
            position = len(written)
        header = header_of(array, position)
        data = data_of(array)
        if position and array.nbytes < _SMALL:
            return msgpack.ExtType(EXTENSION, header[6:] + data)
        self.arrays.append((position, header, data))
        return msgpack.ExtType(EXTENSION, b"")


def _stamp_of(moment: datetime) -> msgpack.Timestamp:
    """Return a moment as msgpack's pure Python does not: with floats it loses microseconds, and years beyond UTC's."""
    since = moment - _EPOCH.replace(tzinfo=UTC)
    return msgpack.Timestamp(since.days * 86_400 + since.seconds, since.microseconds * 1_000)


def _is_number(value: Any) -> bool:
    """Tell whether ``item()`` of a numpy scalar is the number that it is; of a datetime64 it is one in some units."""
    kind = type(value)
    known = _numbers.get(kind)
    if known is None:
        known = _numbers[kind] = value.dtype.kind in "biuf" and type(value.item()) in (int, float, bool)
    return known


def _unpack(body: Buffer, timestamp: int = 3, **options: Any) -> Any:
    return _unpackb(body, ext_hook=_extension, timestamp=timestamp, strict_map_key=False, **options)


def _unpack_checked(body: Buffer, fault: Exception) -> Any:
    """Decode what has long arrays, tuples in keys or years beyond UTC's, having seen that declared lengths are true.

    Else a few nested headers, each with a length of millions, would take gigabytes before the first of the items that
    are not there is missed.
    """
    try:
        unpacker = msgpack.Unpacker(max_buffer_size=max(len(body), 1))
        unpacker.feed(body)
        unpacker.skip()
        try:
            return _unpack(body)
        except (TypeError, OverflowError):
            return _moment(_unpack(body, timestamp=0, list_hook=_list_of, object_pairs_hook=_dict_of))
    except CodecError:
        raise
    except Exception as error:
        cause = error if str(error) else fault
        raise CodecError(f"not msgpack, or not for MsgPack: {type(cause).__name__} {cause!s:.200}") from error


def _extension(code: int, data: bytes) -> Any:
    if code != EXTENSION:
        raise CodecError(f"msgpack extension type {code} is unknown")
    return _array_of(data)


def _array_of(data: Buffer) -> Any:
    import_once(".codec.ndarray")
    from .ndarray import read_array

    return read_array(data)


def _list_of(items: list[Any]) -> list[Any]:
    return [_moment(item) for item in items]


def _dict_of(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    return {_key_of(_moment(key)): _moment(value) for key, value in pairs}


def _key_of(key: Any) -> Any:
    return tuple(map(_key_of, key)) if type(key) is list else key


def _moment(value: Any) -> Any:
    """Return the datetime of a time stamp: in UTC, or where UTC has no such year, in a time zone that has."""
    if type(value) is not msgpack.Timestamp:
        return value
    since = timedelta(seconds=value.seconds, microseconds=value.nanoseconds // 1000)
    for zone in _ZONES:
        try:
            return (_EPOCH + zone.utcoffset(None) + since).replace(tzinfo=zone)
        except OverflowError:
            continue
    raise CodecError(f"a datetime {value.seconds} s after 1970 lies in no year from 1 to 9999")


def _check_keys(packed: bytes) -> None:
    """Look whether every key of a dict can be one where it arrives; arrays, which cannot, need not be in it yet.

    Raises:
        CodecError: one cannot.
    """
    try:
        _unpackb(packed, ext_hook=lambda *_: {}, timestamp=0, strict_map_key=False, object_pairs_hook=_dict_of)
    except TypeError as error:
        raise CodecError(
            "a key of a dict becomes a dict or an array, which cannot be keys where they arrive "
            f"(a dataclass, or a number of numpy): {error!s:.200}"
        ) from None


def _walked(value: Any) -> Any:
    """Return the dict or list that stands for a value, or the value."""
    with suppress(Exception):
        return value if is_native(value) else form_of(value)
    return value


def _shown(key: object) -> str:
    with suppress(Exception):  # a type's own __repr__ may raise anything, and an int of 4,301 digits does
        return f"{key!r:.60}"
    return f"<{type(key).__name__}>"


def _find_fault(data: Any) -> str | None:
    """Look for the first value that cannot be carried, in the order in which they are packed."""
    writer = _Writer()
    found = [(data, "data", 0)]  # a stack of its own: data may be nested deeper than Python's
    while found:
        value, path, depth = found.pop()
        if depth > _MAX_DEPTH:
            return f"{path[:60]}...: nested deeper than {_MAX_DEPTH} levels, or it contains itself"
        children: list[tuple[Any, str, int]] = []
        form = _walked(value)
        if isinstance(form, dict):
            dotted = form is not value and is_dataclass(value)
            for key, item in form.items():
                children += (
                    (key, f"the key {_shown(key)} of {path}", depth + 1),
                    (item, f"{path}.{key}" if dotted else f"{path}[{_shown(key)}]", depth + 1),
                )
        elif isinstance(form, (list, tuple)):
            children += ((item, f"{path}[{n}]", depth + 1) for n, item in enumerate(form))
        else:
            try:
                writer.pack(value)
            except Exception as error:
                return f"{path}: {error!s:.300}"
        found += reversed(children)
    return None
