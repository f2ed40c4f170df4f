"""Arrays as the images that they are. Knows numpy's dtypes by name and the ROS messages for images; needs no numpy.

===================================  ================  ======================================================
array                                encoding          message
===================================  ================  ======================================================
uint8, (h, w) or (h, w, 1)           mono8             sensor_msgs/msg/Image
uint8, (h, w, 3)                     rgb8              the same; bgr8 where the caller says so
uint8, (h, w, 4)                     rgba8             the same; bgra8 where the caller says so
uint16, (h, w) or (h, w, 1)          mono16            the same: depth in mm, thermal
float32, (h, w) or (h, w, 1)         32FC1             the same: depth in m
uint8, (n,), begins as a JPEG, PNG   jpeg, png         sensor_msgs/msg/CompressedImage
===================================  ================  ======================================================

An image has at least 8 rows and columns; a smaller array, and a matrix of floats below 64, is more likely numbers.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import msgpack

from .schema import Schema, ros_schema

__all__ = ["ArrayAt", "Picture", "array_in", "picture_of"]

_ARRAY = struct.Struct(">BIB")  # msgpack's ext 32: 0xc9, length, type
_PREFIX = struct.Struct("<HH")  # where in it the data begin, and how long the description is
_EXTENSION = 78
_MIN_SIDE, _MIN_FLOAT_SIDE, _MAX_SIDE = 8, 64, 1 << 16
_MAGIC = {b"\xff\xd8\xff": "jpeg", b"\x89PN": "png"}

_RULE = "=" * 80
_HEADER = f"""{_RULE}
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
{_RULE}
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
"""
IMAGE = ros_schema(
    "sensor_msgs/msg/Image",
    f"""std_msgs/Header header
uint32 height
uint32 width
string encoding
uint8 is_bigendian
uint32 step
uint8[] data
{_HEADER}""",
)
COMPRESSED = ros_schema(
    "sensor_msgs/msg/CompressedImage",
    f"""std_msgs/Header header
string format
uint8[] data
{_HEADER}""",
)
_STAMP = struct.Struct("<4siI")


class ArrayAt(NamedTuple):
    """An array in a msgpack body.

    Attributes:
        dtype: numpy's string for it, ``|u1``; empty for a structured one.
        shape: its shape.
        begin: where its data begin.
        end: where they end.
    """

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class Picture(NamedTuple):
    """How an array is shown as an image: its CDR is ``head`` and then the array's own bytes.

    Attributes:
        schema: the message.
        rest: the head without its stamp.
    """

    schema: Schema
    rest: bytes

    def head(self, sent_ns: int) -> bytes:
        """Return what stands before the data."""
        seconds, nanoseconds = divmod(max(0, sent_ns), 1_000_000_000)
        return _STAMP.pack(b"\0\1\0\0", min(seconds, 0x7FFFFFFF), nanoseconds) + self.rest


def array_in(body: bytes | bytearray | memoryview) -> ArrayAt | None:
    """Return the array that a msgpack body is; None if it is none."""
    if len(body) < _ARRAY.size + _PREFIX.size or body[0] != 0xC9:
        return None
    _, length, kind = _ARRAY.unpack_from(body)
    if kind != _EXTENSION or length != len(body) - _ARRAY.size:
        return None
    begin, described = _PREFIX.unpack_from(body, _ARRAY.size)
    at = _ARRAY.size + _PREFIX.size
    if not _PREFIX.size + described <= begin <= length:
        return None
    try:
        dtype, shape = msgpack.unpackb(bytes(body[at : at + described]), max_array_len=1024)
        shape = tuple(map(int, shape))
    except Exception:  # whatever msgpack says to what is no header
        return None
    return ArrayAt(dtype if isinstance(dtype, str) else "", shape, _ARRAY.size + begin, len(body))


def picture_of(dtype: str, shape: tuple[int, ...], size: int, begins: bytes, *, bgr: bool = False) -> Picture | None:
    """Return how an array is shown as an image; None if it is none.

    Args:
        dtype: numpy's string for it.
        shape: its shape.
        size: the bytes of its data.
        begins: the first few of them.
        bgr: whether colours are blue, green, red, as OpenCV has them.
    """
    if dtype == "|u1" and len(shape) == 1:
        name = _MAGIC.get(bytes(begins[:3]))
        return None if name is None else Picture(COMPRESSED, _compressed_rest(name, size))
    if len(shape) not in (2, 3) or not all(_MIN_SIDE <= side < _MAX_SIDE for side in shape[:2]):
        return None
    channels = shape[2] if len(shape) == 3 else 1
    encoding, bytes_each = _encoding(dtype, channels, bgr)
    step = shape[1] * channels * bytes_each
    if not encoding or size != shape[0] * step or (dtype == "<f4" and min(shape[:2]) < _MIN_FLOAT_SIDE):
        return None
    return Picture(IMAGE, _image_rest(shape[0], shape[1], encoding, step, size))


def _encoding(dtype: str, channels: int, bgr: bool) -> tuple[str, int]:
    if dtype == "|u1":
        return {1: "mono8", 3: "bgr8" if bgr else "rgb8", 4: "bgra8" if bgr else "rgba8"}.get(channels, ""), 1
    if channels == 1:
        return {"<u2": ("mono16", 2), "<f4": ("32FC1", 4)}.get(dtype, ("", 0))
    return "", 0


def _image_rest(height: int, width: int, encoding: str, step: int, size: int) -> bytes:
    rest = _string(b"", "", 8)
    rest += bytes(-(8 + len(rest)) % 4) + struct.pack("<II", height, width)
    rest = _string(rest, encoding, 8) + b"\0"
    return rest + bytes(-(8 + len(rest)) % 4) + struct.pack("<II", step, size)


def _compressed_rest(name: str, size: int) -> bytes:
    rest = _string(_string(b"", "", 8), name, 8)
    return rest + bytes(-(8 + len(rest)) % 4) + struct.pack("<I", size)


def _string(before: bytes, text: str, at: int) -> bytes:
    before += bytes(-(at + len(before)) % 4)
    raw = text.encode() + b"\0"
    return before + struct.pack("<I", len(raw)) + raw
