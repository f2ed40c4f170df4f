"""Images in messages, as files that a browser shows. Knows arrays and Pillow; nothing of topics or pages.

What counts as an image is what counts as one in recordings (``views/images.py``), and any other array of numbers that
has the shape of one: a mask of bools, a map of float64. Whatever is not of 8 bits, depth and thermal images among it,
is shown from its lowest value, black, to its highest, white.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..views.images import picture_of

__all__ = ["Shown", "find_image", "show_image"]

MAX_PIXELS = 64 << 20  # what is larger is not shown
LOOSE = 512 << 10  # bytes of a JPEG up to which it is handed on as it is
SMALL = 1 << 14  # pixels up to which an image is sent without loss
QUALITY = 80
SIDE = 64  # pixels from which on an array of any numbers is an image


class Shown(NamedTuple):
    """An image as a file.

    Attributes:
        type: ``image/jpeg`` or ``image/png``.
        data: the file.
        width: its columns.
        height: its rows.
        full: columns and rows of the original.
        range: which values are black and white, where that was chosen; else None.
    """

    type: str
    data: bytes
    width: int
    height: int
    full: tuple[int, int]
    range: tuple[float, float] | None = None


def find_image(data: Any) -> Any | None:
    """Return the image that a message is, or the first one that is a value of its; None if there is none."""
    if _is_image(data):
        return data
    if isinstance(data, Mapping):
        return next((value for value in data.values() if _is_image(value)), None)
    return None


def _is_image(value: Any) -> bool:
    if isinstance(value, bytes | bytearray | memoryview):
        return len(value) > 16 and picture_of("|u1", (len(value),), len(value), bytes(value[:3])) is not None
    if not (hasattr(value, "dtype") and hasattr(value, "shape")) or value.dtype.names is not None or not value.size:
        return False
    begins = value.reshape(-1)[:3].tobytes() if value.ndim == 1 else b""
    return picture_of(value.dtype.str, value.shape, value.nbytes, begins) is not None or _has_its_shape(value)


def _has_its_shape(array: Any) -> bool:
    if array.dtype.kind not in "biuf" or array.ndim not in (2, 3) or min(array.shape[:2]) < SIDE:
        return False
    return array.ndim == 2 or array.shape[2] in (1, 3)


def show_image(image: Any, width: int, *, bgr: bool = False) -> Shown:
    """Return an image as a file, at most so wide.

    Args:
        image: what ``find_image`` returned.
        width: pixels.
        bgr: its colours are blue, green, red, as OpenCV has them.

    Raises:
        ValueError: it cannot be read, or is too large.
    """
    from PIL import Image

    compressed = isinstance(image, bytes | bytearray | memoryview) or image.ndim == 1
    try:
        if compressed:
            return _shown_file(bytes(image if not hasattr(image, "tobytes") else image.tobytes()), width)
        if image.shape[0] * image.shape[1] > MAX_PIXELS:
            raise ValueError(f"an image of {image.shape[1]} × {image.shape[0]} pixels is too large to be shown")
        full = (image.shape[1], image.shape[0])
        step = max(1, full[0] // max(1, 2 * width))  # half of them are dropped at once, the rest is averaged
        values, range_ = _eight_bits(image[::step, ::step], bgr=bgr)
        return _made(Image.fromarray(values), width, full, range_)
    except (OSError, SyntaxError, TypeError, Image.DecompressionBombError) as error:
        raise ValueError(f"the image cannot be read: {error}") from None


def _eight_bits(image: Any, *, bgr: bool) -> tuple[Any, tuple[float, float] | None]:
    """Return an image in 8 bits a channel, and which values are black and white."""
    import numpy as np

    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if bgr and image.ndim == 3:
        image = image[:, :, [2, 1, 0, *range(3, image.shape[2])]]
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image), None
    known = image[np.isfinite(image)] if image.dtype.kind == "f" else image
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    span = high - low if high > low else 1.0
    wide = np.float64 if image.dtype.itemsize == 8 else np.float32
    with np.errstate(over="ignore", invalid="ignore"):  # what is no number is black, white, or black
        scaled = np.nan_to_num((image.astype(wide) - low) * (255.0 / span), nan=0.0, posinf=255.0, neginf=0.0)
    return scaled.clip(0, 255).astype(np.uint8), (low, high)


def _shown_file(data: bytes, width: int) -> Shown:
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
        full = image.size
        if math.prod(full) > MAX_PIXELS:
            raise ValueError(f"an image of {full[0]} × {full[1]} pixels is too large to be shown")
        if image.format == "JPEG" and full[0] <= width and len(data) <= LOOSE:
            return Shown("image/jpeg", data, full[0], full[1], full)
        image.draft(None, (width, width * full[1] // max(1, full[0])))  # JPEG: decode a fraction of it
        image.load()
        return _made(image, width, full, None)


def _made(image: Any, width: int, full: tuple[int, int], range_: tuple[float, float] | None) -> Shown:
    if image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    if image.size[0] > width:
        image = image.resize((width, max(1, round(image.size[1] * width / image.size[0]))), reducing_gap=2.0)
    into = io.BytesIO()
    columns, rows = image.size
    if columns * rows <= SMALL:
        image.save(into, "PNG", compress_level=1)
        return Shown("image/png", into.getvalue(), columns, rows, full, range_)
    image.save(into, "JPEG", quality=QUALITY)
    return Shown("image/jpeg", into.getvalue(), columns, rows, full, range_)
