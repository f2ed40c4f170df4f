from __future__ import annotations

import pytest

from ipcpy import MsgPack
from ipcpy.views.images import COMPRESSED, IMAGE, array_in, picture_of

np = pytest.importorskip("numpy")


def body_of(array: object) -> bytes:
    return b"".join(MsgPack().encode(array))


@pytest.mark.parametrize("array", [np.zeros((2, 3), "f4"), np.zeros(0), np.zeros((), "u1"), np.ones((9, 9, 9), "i2")])
def test_an_array_is_found_where_it_lies(array: object) -> None:
    body = body_of(array)
    found = array_in(body)
    assert (found.dtype, found.shape) == (array.dtype.str, array.shape)
    assert body[found.begin : found.end] == array.tobytes()


def test_a_structured_array_has_no_plain_dtype() -> None:
    assert array_in(body_of(np.zeros(3, [("a", "f4")]))).dtype == ""


def test_bytes_that_are_no_array_are_none() -> None:
    body = body_of(np.zeros((2, 3), "f4"))
    assert [array_in(each) for each in (b"", body[:-1], body + b"x", b"\xc8" + body[1:])] == [None] * 4
    for at in range(6, 20):
        for bit in range(8):
            odd = bytearray(body)
            odd[at] ^= 1 << bit
            array_in(odd)  # whatever it is, it is no exception


@pytest.mark.parametrize(
    ("dtype", "shape", "encoding"),
    [
        ("|u1", (10, 12), "mono8"),
        ("|u1", (10, 12, 1), "mono8"),
        ("|u1", (10, 12, 3), "rgb8"),
        ("|u1", (10, 12, 4), "rgba8"),
        ("<u2", (10, 12), "mono16"),
        ("<f4", (64, 65), "32FC1"),
    ],
)
def test_arrays_that_are_images(dtype: str, shape: tuple[int, ...], encoding: str) -> None:
    array = np.zeros(shape, dtype)
    picture = picture_of(dtype, shape, array.nbytes, b"")
    assert picture.schema is IMAGE
    assert encoding.encode() + b"\0" in picture.rest
    assert (4 + 8 + len(picture.rest)) % 4 == 0
    assert picture.rest.endswith(array.nbytes.to_bytes(4, "little"))


def test_opencvs_order_of_colours() -> None:
    assert b"bgr8\0" in picture_of("|u1", (8, 8, 3), 192, b"", bgr=True).rest
    assert b"bgra8\0" in picture_of("|u1", (8, 8, 4), 256, b"", bgr=True).rest


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [
        ("|u1", (7, 8)),
        ("|u1", (8, 8, 2)),
        ("|i1", (8, 8)),
        ("<f4", (63, 64)),
        ("<f8", (64, 64)),
        ("<u2", (8, 8, 3)),
        ("|u1", (8,)),
        ("|u1", ()),
        ("", (8, 8)),
    ],
)
def test_arrays_that_are_none(dtype: str, shape: tuple[int, ...]) -> None:
    assert picture_of(dtype, shape, int(np.prod(shape)) * 8, b"abc") is None
    assert picture_of(dtype, shape, int(np.prod(shape)), b"abc") is None


@pytest.mark.parametrize(("magic", "name"), [(b"\xff\xd8\xff\xe0", b"jpeg\0"), (b"\x89PNG", b"png\0")])
def test_what_opencv_encoded_is_a_compressed_image(magic: bytes, name: bytes) -> None:
    picture = picture_of("|u1", (1000,), 1000, magic)
    assert picture.schema is COMPRESSED
    assert name in picture.rest


def test_the_stamp_of_an_image_is_when_it_was_sent() -> None:
    picture = picture_of("|u1", (8, 8), 64, b"")
    assert picture.head(1_500_000_007)[:12] == bytes.fromhex("00010000 01000000") + (500_000_007).to_bytes(4, "little")
    assert len(picture.head(0)) == len(picture.head(1 << 70))
